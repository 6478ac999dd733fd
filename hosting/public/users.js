// Looking up a user, and changing a balance with a reason.

import { read } from "./api.js";
import { find, oneAtATime, say } from "./dom.js";
import { entryRow } from "./entries.js";
import { Orders } from "./orders.js";
import { credits, explained, moveError } from "./words.js";

const PAGE_SIZE = 25;
const lookUp = find("#look-up");
const move = find("#move");
const button = find("#move-button");
const more = find("#more-found");

// Gives what ends it.
export function openUsers(adminId) {
  const events = new AbortController();
  const listen = (node, name, work) => node.addEventListener(name, work, { signal: events.signal });
  const orders = { grantCredits: new Orders("grantCredits", adminId), revokeCredits: new Orders("revokeCredits", adminId) };
  let shown = null;

  listen(lookUp, "submit", oneAtATime(find("button", lookUp), () => show(lookUp.elements.user.value.trim())));
  listen(more, "click", oneAtATime(more, () => loadPage(shown.userId, shown.nextPageToken)));
  listen(move, "change", () => (button.textContent = label()));
  listen(move, "submit", oneAtATime(button, submit));
  Object.values(orders).forEach(finish);

  async function show(typed) {
    find("#found").hidden = true;
    say(find("#look-up-result"), "");
    say(find("#move-result"), "");
    try {
      const account = typed.includes("@") ? await withEmail(typed) : null;
      find("#found-email").textContent = account ? emailText(account) : "";
      // A mistyped address must not become the id of a new account.
      if (await loadPage(account?.userId ?? typed, null, Boolean(account) || !typed.includes("@"))) find("#found-name").focus();
    } catch (error) {
      say(find("#look-up-result"), explained(error), "bad");
    }
  }

  async function loadPage(userId, pageToken, mayBeNew = true) {
    try {
      const found = await read("getUserCredits", { userId, pageSize: PAGE_SIZE, pageToken });
      const rows = found.transactions.map((entry) => entryRow({ ...entry, time: new Date(entry.timestamp) }));
      find("#found-name").textContent = userId;
      find("#found-balance").textContent = credits(found.currentCredits);
      const body = find("#found-entries");
      if (pageToken) body.append(...rows);
      else body.replaceChildren(...rows);
      shown = { userId, nextPageToken: found.nextPageToken };
      more.hidden = !found.nextPageToken;
      find("#found").hidden = false;
      return true;
    } catch (error) {
      if (error.status === 404 && mayBeNew) return offerNew(userId);
      if (error.status === 404) return unknown();
      say(find("#look-up-result"), explained(error), "bad");
      return false;
    }
  }

  // A grant opens the account of a user who has none.
  function offerNew(userId) {
    shown = { userId };
    find("#found-name").textContent = userId;
    find("#found-balance").textContent = "No account yet. Giving credits opens one.";
    find("#found-entries").replaceChildren();
    more.hidden = true;
    find("#found").hidden = false;
    return true;
  }

  function unknown() {
    say(find("#look-up-result"), "Nobody has this e-mail address or this id.", "bad");
    return false;
  }

  async function submit() {
    const { direction, amount, reason } = move.elements;
    const body = { userId: shown.userId, credits: Number(amount.value), reason: reason.value.trim() };
    if (await report(orders[direction.value].send(body))) {
      amount.value = "";
      reason.value = "";
      await loadPage(shown.userId, null);
    }
  }

  // What a reload or a lost connection left without an answer.
  async function finish(each) {
    for (const order of each.unanswered) await report(each.sendAgain(order), find("#look-up-result"));
  }

  async function report(answer, node = find("#move-result")) {
    try {
      say(node, outcome(await answer), "good");
      return true;
    } catch (error) {
      say(node, moveError(error), "bad");
      return false;
    }
  }

  return () => {
    events.abort();
    find("#found").hidden = true;
    lookUp.reset();
    move.reset();
    say(find("#look-up-result"), "");
  };
}

// The account with this address, or null: a user id may look like an address too.
async function withEmail(email) {
  try {
    return await read("findUser", { email });
  } catch (error) {
    if (error.status === 404 || error.status === 400) return null;
    throw error;
  }
}

const emailText = ({ email, emailVerified }) => (emailVerified ? email : `${email} (not verified)`);

const label = () => (move.elements.direction.value === "grantCredits" ? "Give credits" : "Take credits back");

function outcome({ userId, grantedCredits, revokedCredits, missingCredits, currentCredits }) {
  const balance = `The balance of ${userId} is now ${credits(currentCredits)}.`;
  if (grantedCredits) return `${credits(grantedCredits)} given. ${balance}`;
  const missing = missingCredits ? ` ${credits(missingCredits)} less than asked for: there were no more.` : "";
  return `${credits(revokedCredits)} taken back.${missing} ${balance}`;
}
