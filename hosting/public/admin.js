// The admin's page. The functions decide who may do this; the page only hides what they would refuse.

import { showCatalog } from "./catalog.js";
import { find } from "./dom.js";
import { closeReports, showLatest } from "./reports.js";
import { follow } from "./session.js";
import { linkTabs } from "./tabs.js";
import { openUsers } from "./users.js";
import { closeWebhooks, showDeliveries } from "./webhooks.js";

const LOADS = { reports: showLatest, catalog: showCatalog, webhooks: showDeliveries };
const loadOpenTab = linkTabs((panel) => LOADS[panel]?.());
let closes = [];

follow({
  enter(user, isAdmin) {
    find("#refused").hidden = isAdmin;
    if (!isAdmin) return;
    closes = [openUsers(user.uid), closeReports, closeWebhooks];
    loadOpenTab();
  },
  leave() {
    closes.forEach((close) => close());
    closes = [];
    find("#refused").hidden = true;
    document.querySelectorAll("[data-for-admins]").forEach((node) => (node.hidden = true));
  },
});
