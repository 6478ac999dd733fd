// Looking up a user, and changing a balance with a reason.

import { read } from "./api.js";
import { find, oneAtATime, say } from "./dom.js";
import { entryRow } from "./entries.js";
import { Orders } from "./orders.js";
import { Turns } from "./turns.js";
import { credits, explained, moveError } from "./words.js";

const PAGE_SIZE = 25;
const lookUp = find("#look-up");
const move = find("#move");
const button = find("#move-button");
const more = find("#more-found");
const lookUpResult = find("#look-up-result");
const moveResult = find("#move-result");

// Gives what ends it.
export function openUsers(adminId) {
  const events = new AbortController();
  const listen = (node, name, work) => node.addEventListener(name, work, { signal: events.signal });
  const orders = { grantCredits: new Orders("grantCredits", adminId), revokeCredits: new Orders("revokeCredits", adminId) };
  const lookUps = new Turns();
  // The user on the page, until another one is looked for.
  let shown = null;

  listen(lookUp, "submit", oneAtATime(find("button", lookUp), () => show(lookUp.elements.user.value.trim())));
  listen(more, "click", oneAtATime(more, () => loadPage(shown, shown.nextPageToken)));
  listen(move, "change", setLabel);
  listen(move, "submit", oneAtATime(button, submit));
  // Browsers keep a form's choices through a reload.
  clearMove();
  Object.values(orders).forEach(finish);

  async function show(typed) {
    const isLast = lookUps.begin();
    shown = null;
    find("#found").hidden = true;
    say(lookUpResult, "");
    say(moveResult, "");
    // What was typed for one user must not move the credits of the next.
    clearMove();
    try {
      const account = typed.includes("@") ? await withEmail(typed) : null;
      if (!isLast()) return;
      find("#found-email").textContent = account ? emailText(account) : "";
      // A mistyped address must not become the id of a new account.
      const mayBeNew = Boolean(account) || !typed.includes("@");
      if (await loadPage({ userId: account?.userId ?? typed, isLast }, null, mayBeNew)) find("#found-name").focus();
    } catch (error) {
      if (isLast()) say(lookUpResult, explained(error), "bad");
    }
  }

  async function loadPage(user, pageToken, mayBeNew = true) {
    try {
      const found = await read("getUserCredits", { userId: user.userId, pageSize: PAGE_SIZE, pageToken });
      if (!user.isLast()) return false;
      const rows = found.transactions.map((entry) => entryRow({ ...entry, time: new Date(entry.timestamp) }));
      const body = find("#found-entries");
      if (pageToken) body.append(...rows);
      else body.replaceChildren(...rows);
      return fill({ ...user, nextPageToken: found.nextPageToken }, credits(found.currentCredits));
    } catch (error) {
      if (!user.isLast()) return false;
      if (error.status === 404 && mayBeNew) return offerNew(user);
      const words = error.status === 404 ? "Nobody has this e-mail address or this id." : explained(error);
      say(lookUpResult, words, "bad");
      return false;
    }
  }

  // A grant opens the account of a user who has none.
  function offerNew(user) {
    find("#found-entries").replaceChildren();
    return fill(user, "No account yet. Giving credits opens one.");
  }

  function fill(user, balance) {
    shown = user;
    find("#found-name").textContent = user.userId;
    find("#found-balance").textContent = balance;
    more.hidden = !user.nextPageToken;
    find("#found").hidden = false;
    return true;
  }

  async function submit() {
    const user = shown;
    const { direction, amount, reason } = move.elements;
    const body = { userId: user.userId, credits: Number(amount.value), reason: reason.value.trim() };
    const isDone = await report(orders[direction.value].send(body), () => (user.isLast() ? moveResult : lookUpResult));
    if (!isDone || !user.isLast()) return;
    amount.value = "";
    reason.value = "";
    await loadPage(user, null);
  }

  // What a reload or a lost connection left without an answer.
  async function finish(each) {
    for (const order of each.unanswered) await report(each.sendAgain(order), () => lookUpResult);
  }

  // Says what came of it at the place that is the right one by then. Gives whether the credits have moved.
  async function report(answer, place) {
    const [words, kind] = await answer.then(
      (done) => [outcome(done), "good"],
      (error) => [moveError(error), "bad"],
    );
    if (!events.signal.aborted) say(place(), words, kind);
    return kind === "good";
  }

  return () => {
    events.abort();
    lookUps.end();
    find("#found").hidden = true;
    lookUp.reset();
    clearMove();
    say(lookUpResult, "");
    say(moveResult, "");
  };
}

// A reset changes the choice without an event.
function clearMove() {
  move.reset();
  setLabel();
}

function setLabel() {
  button.textContent = move.elements.direction.value === "grantCredits" ? "Give credits" : "Take credits back";
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

function outcome({ userId, grantedCredits, revokedCredits, missingCredits, currentCredits }) {
  const balance = `The balance of ${userId} is now ${credits(currentCredits)}.`;
  if (grantedCredits) return `${credits(grantedCredits)} given. ${balance}`;
  const missing = missingCredits ? ` ${credits(missingCredits)} less than asked for: there were no more.` : "";
  return `${credits(revokedCredits)} taken back.${missing} ${balance}`;
}
