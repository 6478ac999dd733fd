// The admin's page. The functions decide who may do this; the page only hides what they would refuse.

import { showCatalog } from "./catalog.js";
import { find } from "./dom.js";
import { showLatest, openReports } from "./reports.js";
import { follow } from "./session.js";
import { linkTabs } from "./tabs.js";
import { openUsers } from "./users.js";
import { openWebhooks, showDeliveries } from "./webhooks.js";

let close = () => {};

follow({
  enter(user, isAdmin) {
    find("#refused").hidden = isAdmin;
    if (!isAdmin) return;
    const ends = [openUsers(user.uid), openReports(), openWebhooks()];
    close = () => ends.forEach((end) => end());
  },
  leave() {
    close();
    close = () => {};
    find("#refused").hidden = true;
    document.querySelectorAll("[data-for-admins]").forEach((node) => (node.hidden = true));
  },
});

linkTabs((panel) => {
  if (panel === "reports") showLatest();
  if (panel === "catalog") showCatalog();
  if (panel === "webhooks") showDeliveries();
});
