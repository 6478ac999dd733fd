// The history of a balance: what moved, and what was left after it.

import { el, find, say } from "./dom.js";
import { olderPages } from "./older.js";
import { ENTRIES, isAdded, number, time } from "./words.js";

// One row of a history.
export function entryRow({ type, credits, balanceAfter, reason, time: when }) {
  const sign = isAdded(type) ? "+" : "−";
  const what = el("td", {}, ENTRIES[type] ?? type);
  if (reason) what.append(el("span", { className: "hint" }, reason));
  const balance = Number.isInteger(balanceAfter) ? number(balanceAfter) : "?";
  return el(
    "tr",
    { "data-type": type },
    el("td", {}, el("time", { dateTime: when.toISOString() }, time(when))),
    what,
    el("td", { className: "figure" }, `${sign}${number(credits)}`),
    el("td", { className: "figure" }, balance),
  );
}

// Follows the feed; gives what stops it.
export function showEntries(feed, fail) {
  const body = find("#entries");
  const more = find("#more-entries");
  const stop = feed.follow({
    next(entries, hasMore) {
      find("#no-entries").hidden = entries.length > 0;
      more.hidden = !hasMore;
      body.replaceChildren(...entries.map(entryRow));
    },
    fail,
  });
  const result = find("#history-result");
  const load = olderPages(feed, more, result);
  more.addEventListener("click", load);
  return () => {
    stop();
    more.removeEventListener("click", load);
    body.replaceChildren();
    more.hidden = true;
    say(result, "");
  };
}
