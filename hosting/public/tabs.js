// The page's tabs: one panel at a time, by mouse or by arrow keys.

import { find } from "./dom.js";

// Calls `opened` with the id of the panel that a tab opens. Gives what does so for the panel that is open.
export function linkTabs(opened = () => {}) {
  const tabs = [...document.querySelectorAll("[role=tab]")];

  function select(tab) {
    for (const each of tabs) {
      const isIt = each === tab;
      each.setAttribute("aria-selected", String(isIt));
      each.tabIndex = isIt ? 0 : -1;
      find(`#${panelOf(each)}`).hidden = !isIt;
    }
    opened(panelOf(tab));
  }

  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      select(next);
      next.focus();
    });
  }
  return () => opened(panelOf(tabs.find((tab) => tab.getAttribute("aria-selected") === "true")));
}

const panelOf = (tab) => tab.getAttribute("aria-controls");
