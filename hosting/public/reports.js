// The weekly reports: the latest ones to choose from, and the page that getWeeklyReport makes of one.

import { call, read } from "./api.js";
import { el, find, once, say } from "./dom.js";
import { day, explained, time } from "./words.js";

const MAX_WEEKS = 12;
const weeks = find("#weeks");
const frame = find("#report");
const result = find("#report-result");
const make = find("#make-report");
let isOpen = false;

// Gives what ends it.
export function openReports() {
  isOpen = true;
  return () => {
    isOpen = false;
    weeks.replaceChildren();
    frame.hidden = true;
    frame.removeAttribute("srcdoc");
  };
}

weeks.addEventListener("change", () => show(weeks.value));
make.addEventListener("click", once(make, makeNow));

export async function showLatest(report = null) {
  try {
    const latest = report ?? (await read("getWeeklyReport"));
    weeks.replaceChildren(choice(latest));
    weeks.disabled = false;
    await show(latest.reportId);
    await listEarlier(latest.previousReportId);
  } catch (error) {
    weeks.disabled = true;
    const none = "There is no report yet. The first one is made on Monday, or now.";
    say(result, error.status === 404 ? none : explained(error), error.status === 404 ? "" : "bad");
  }
}

// Each report names the one before it.
async function listEarlier(reportId) {
  let next = reportId;
  while (next && weeks.options.length < MAX_WEEKS && isOpen) {
    const found = await read("getWeeklyReport", { reportId: next }).catch(() => null);
    if (!found) return;
    weeks.append(choice(found));
    next = found.previousReportId;
  }
}

function choice({ reportId, windowStart, windowEnd, scheduled }) {
  const last = new Date(new Date(windowEnd) - 1);
  const text = `${day(new Date(windowStart))} to ${day(last)}`;
  return el("option", { value: reportId }, scheduled === false ? `${text}, made ${time(new Date(windowEnd))}` : text);
}

async function makeNow() {
  say(result, "Counting the last seven days …");
  try {
    const answer = await call("getWeeklyReport", { method: "POST" });
    await showLatest(await answer.json());
  } catch (error) {
    say(result, explained(error), "bad");
  }
}

async function show(reportId) {
  try {
    const answer = await call("getWeeklyReport", { query: { reportId, format: "html" } });
    await fill(await answer.text());
    say(result, "");
  } catch (error) {
    frame.hidden = true;
    say(result, explained(error), "bad");
  }
}

// No script runs in the frame, and this site's policy allows no style in a text either. So the report's own styles are
// set here, one by one.
async function fill(html) {
  const styles = [];
  const unstyled = html
    .replace(/<style>([^]*?)<\/style>/g, (_, style) => styles.push(style) && "")
    .replace(/<[a-z][^>]*>/gi, (tag) => tag.replaceAll(' style="', ' data-style="'));
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
  page.querySelectorAll("[data-style]").forEach((node) => (node.style.cssText = node.dataset.style));
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
