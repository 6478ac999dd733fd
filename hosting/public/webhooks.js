// The deliveries of webhooks: what was sent, what the receiver said, and sending it again.

import { ask, read } from "./api.js";
import { el, find, oneAtATime, say } from "./dom.js";
import { Turns } from "./turns.js";
import { DELIVERY, explained, number, time } from "./words.js";

const PAGE_SIZE = 25;
const status = find("#delivery-status");
const list = find("#deliveries");
const more = find("#more-deliveries");
const result = find("#webhooks-result");
const refresh = find("#reload-deliveries");
const turns = new Turns();
let nextPageToken = null;

export function closeWebhooks() {
  turns.end();
  list.replaceChildren();
  more.hidden = true;
  status.value = "";
  say(result, "");
}

export const showDeliveries = () => loadPage(null);

status.addEventListener("change", showDeliveries);
refresh.addEventListener("click", oneAtATime(refresh, showDeliveries));
more.addEventListener("click", oneAtATime(more, () => loadPage(nextPageToken)));

async function loadPage(pageToken) {
  const isLast = turns.begin();
  try {
    const found = await read("listWebhookDeliveries", { status: status.value, pageSize: PAGE_SIZE, pageToken });
    if (!isLast()) return;
    const rows = found.deliveries.map(row);
    if (pageToken) list.append(...rows);
    else list.replaceChildren(...rows);
    nextPageToken = found.nextPageToken;
    more.hidden = !nextPageToken;
    say(result, list.children.length ? "" : nothing());
  } catch (error) {
    if (isLast()) say(result, explained(error), "bad");
  }
}

function nothing() {
  if (status.value) return "There is no such delivery.";
  return "No webhooks were sent in the last 30 days. They are sent once COMPLETION_WEBHOOK_URL or REPORT_WEBHOOK_URL is set.";
}

function row(delivery) {
  const again = el("button", { type: "button", className: "quiet small" }, "Send again");
  const node = el(
    "li",
    { "data-status": delivery.status },
    el("p", {}, el("b", {}, delivery.type)),
    again,
    el("p", { className: "hint" }, el("span", { className: "state" }, DELIVERY[delivery.status]), ` · ${attempts(delivery)}`),
    el(
      "details",
      {},
      el("summary", {}, "What was sent"),
      el("pre", { tabIndex: 0 }, `${delivery.id}\n${JSON.stringify(delivery.data, null, 2)}`),
    ),
  );
  again.addEventListener("click", oneAtATime(again, () => sendAgain(delivery.id, node)));
  return node;
}

function attempts({ attempts: count, lastAnswer, createdAt }) {
  const tries = count === 0 ? "not tried yet" : `${number(count)} ${count === 1 ? "attempt" : "attempts"}`;
  const last = lastAnswer ? ` · last answer: ${lastAnswer}` : "";
  return `${tries}${last} · ${time(new Date(createdAt))}`;
}

async function sendAgain(deliveryId, node) {
  try {
    const delivery = await ask("resendWebhookDelivery", { body: { deliveryId } });
    const sent = row(delivery);
    node.replaceWith(sent);
    find("button", sent).focus();
    say(result, "It is on its way again, under the same id. Refresh to see the answer.", "good");
  } catch (error) {
    say(result, error.status === 404 ? "This delivery is not kept any more." : explained(error), "bad");
  }
}
