// The buyer's page: create a picture, own pictures, credit history.

import { backOff, read } from "./api.js";
import { openStudio } from "./create.js";
import { find, say } from "./dom.js";
import { showEntries } from "./entries.js";
import { auth } from "./firebase.js";
import { entriesOf, followBalance, picturesOf } from "./live.js";
import { showPictures } from "./pictures.js";
import { follow } from "./session.js";
import { linkTabs } from "./tabs.js";
import { explained, number } from "./words.js";

const MAX_PAUSE_SECONDS = 60;
let stops = [];

follow({
  enter(user) {
    let known = null;
    let isOpened = false;
    const studio = openStudio(user.uid);
    const show = () => {
      if (known === null && !isOpened) return;
      find("#balance").textContent = number(known ?? 0);
      studio.setBalance(known ?? 0);
    };
    const gallery = showPictures(picturesOf(user.uid), { show: studio.show, buyAgain: studio.fill, fail: lost });
    const entries = showEntries(entriesOf(user.uid), lost);
    const balance = followBalance(user.uid, {
      next(credits, isConnected) {
        // The account may have been opened a moment ago, and this listener not know it yet.
        known = credits ?? known;
        show();
        say(find("#connection"), isConnected ? "" : "Connecting … What you see may be a moment old.");
      },
      fail: lost,
    });
    stops = [studio.close, gallery, entries, balance];
    openAccount(user, (problem) => known === null && say(find("#price"), problem, "bad")).then((credits) => {
      if (user !== auth.currentUser) return;
      known ??= credits;
      isOpened = true;
      show();
    });
  },
  leave() {
    find("#balance").textContent = "…";
    ["#connection", "#lost", "#price"].forEach((each) => say(find(each), ""));
    stops.forEach((stop) => stop());
    stops = [];
  },
});

// A new user's first call opens the account, with its first credits if the shop gives any. Until then the balance is
// not known, so this tries until there is an answer. Gives the balance, null without an account.
async function openAccount(user, tell) {
  for (let tries = 1; user === auth.currentUser; tries += 1) {
    try {
      return (await read("getUserCredits", { pageSize: 1 })).currentCredits;
    } catch (error) {
      if (error.status === 404) break;
      if (user === auth.currentUser) tell(`Your balance could not be read. ${explained(error)}`);
      await backOff(tries, error, MAX_PAUSE_SECONDS);
    }
  }
  return null;
}

function lost() {
  say(find("#lost"), "This page does not follow your account any more. Reload it.");
}

linkTabs();
