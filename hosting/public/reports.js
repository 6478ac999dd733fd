// The weekly reports: the latest ones to choose from, and the page that getWeeklyReport makes of one.

import { call, read } from "./api.js";
import { el, find, oneAtATime, say } from "./dom.js";
import { Turns } from "./turns.js";
import { days, explained, time } from "./words.js";

const MAX_REPORTS = 25;
const weeks = find("#weeks");
const frame = find("#report");
const result = find("#report-result");
const make = find("#make-report");
const turns = new Turns();
// One report at a time goes into the frame.
let filling = Promise.resolve();

export function closeReports() {
  turns.end();
  weeks.replaceChildren();
  frame.hidden = true;
  frame.removeAttribute("srcdoc");
  say(result, "");
}

weeks.addEventListener("change", () => show(weeks.value));
make.addEventListener("click", oneAtATime(make, makeNow));

export async function showLatest() {
  const isLast = turns.begin();
  try {
    const { reports } = await read("listWeeklyReports", { pageSize: MAX_REPORTS });
    if (!isLast()) return;
    weeks.replaceChildren(...reports.map(choice));
    weeks.disabled = !reports.length;
    if (reports.length) await show(weeks.value);
    else say(result, "There is no report yet. The first one is made on Monday, or now.");
  } catch (error) {
    if (!isLast()) return;
    weeks.disabled = true;
    say(result, explained(error), "bad");
  }
}

function choice({ reportId, windowStart, windowEnd, scheduled, criticalCount }) {
  // Of a report that somebody changed by hand.
  if (!windowStart) return el("option", { value: reportId }, reportId);
  const last = new Date(new Date(windowEnd) - 1);
  const week = days(new Date(windowStart), last);
  const made = scheduled ? "" : `, made ${time(new Date(windowEnd))}`;
  return el("option", { value: reportId }, `${week}${made}${criticalCount ? ` · ${criticalCount} critical` : ""}`);
}

async function makeNow() {
  const isLast = turns.begin();
  say(result, "Counting the last seven days …");
  try {
    await call("getWeeklyReport", { method: "POST" });
    if (turns.isOpen) await showLatest();
  } catch (error) {
    if (isLast()) say(result, explained(error), "bad");
  }
}

async function show(reportId) {
  const isLast = turns.begin();
  try {
    const answer = await call("getWeeklyReport", { query: { reportId, format: "html" } });
    const html = await answer.text();
    filling = filling.catch(() => {}).then(() => isLast() && fill(html));
    await filling;
    if (isLast()) say(result, "");
  } catch (error) {
    if (!isLast()) return;
    frame.hidden = true;
    say(result, explained(error), "bad");
  }
}

// No script runs in the frame, and this site's policy allows no style in a text either. So the report's own style sheet
// is set here.
async function fill(html) {
  const styles = [];
  const unstyled = html.replace(/<style>([^]*?)<\/style>/g, (_, style) => styles.push(style) && "");
  const source = new DOMParser().parseFromString(unstyled, "text/html");
  frame.hidden = false;
  await new Promise((resolve) => {
    frame.addEventListener("load", resolve, { once: true });
    frame.srcdoc = `<!doctype html><html lang="en"><title>${Date.now()}</title></html>`;
  });
  const page = frame.contentDocument;
  const sheet = new frame.contentWindow.CSSStyleSheet();
  sheet.replaceSync(styles.join("\n"));
  page.adoptedStyleSheets = [sheet];
  page.body.replaceChildren(...source.body.childNodes);
  page.addEventListener("click", openLinked);
  const fit = () => (frame.style.height = `${page.body.offsetHeight}px`);
  new ResizeObserver(fit).observe(page.body);
  fit();
}

// The report links to other weeks; only a call with a token can read them.
function openLinked(event) {
  const link = event.target.closest("a[href]");
  if (!link || link.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  const reportId = new URL(link.getAttribute("href"), location.href).searchParams.get("reportId");
  if (!reportId) return;
  if ([...weeks.options].some((option) => option.value === reportId)) weeks.value = reportId;
  show(reportId);
}
