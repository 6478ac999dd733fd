// Orders that cost or move credits. Each has an Idempotency-Key that is kept until it is answered, through reloads and
// lost answers, so that sending it again cannot do it twice. One whose answer is "pending" is kept until it has ended.

import { call, CallFailed, pause } from "./api.js";
import { auth } from "./firebase.js";

// By then a purchase has ended one way or the other, and the account shows which. Nothing is bought so late by surprise.
const MAX_AGE_MS = 10 * 60 * 1000;
// What a purchase without a picture ends with.
const ENDS = ["GENERATION_FAILED", "GENERATION_CANCELED"];
const MAX_TRIES = 6;
const MAX_PAUSE_SECONDS = 10;

export class Orders {
  // `name` is the function; each user has orders of their own. `prefer` is the header that goes with each.
  constructor(name, userId, prefer = null) {
    Object.assign(this, { name, userId, prefer, prefix: `${name}:${userId}:` });
  }

  // Those that were sent and not answered, oldest first.
  get unanswered() {
    return this.#kept.filter(({ requestId }) => !requestId);
  }

  // Those that were pending by their last answer, oldest first.
  get pending() {
    return this.#kept.filter(({ requestId }) => requestId);
  }

  get #kept() {
    const names = Object.keys(localStorage).filter((name) => name.startsWith(this.prefix));
    const found = names.map((name) => ({ key: name.slice(this.prefix.length), ...JSON.parse(localStorage[name]) }));
    const isFresh = ({ sentAt }) => Date.now() - sentAt < MAX_AGE_MS;
    found.filter((order) => !isFresh(order)).forEach(({ key }) => this.forget(key));
    return found.filter(isFresh).sort((one, other) => one.sentAt - other.sentAt);
  }

  send(body) {
    const order = { key: crypto.randomUUID(), body, sentAt: Date.now() };
    this.#keep(order);
    return this.sendAgain(order);
  }

  // Gives the answer with the order's key.
  async sendAgain({ key, body, sentAt }) {
    for (let tries = 1; ; tries += 1) {
      // Signed out meanwhile, or somebody else signed in: the order waits for its user.
      if (auth.currentUser?.uid !== this.userId) throw new CallFailed({});
      try {
        const answer = await call(this.name, { body, key, prefer: this.prefer });
        const result = await answer.json();
        if (result.status === "pending") this.#keep({ key, body, sentAt, requestId: result.generationRequestId });
        else this.forget(key);
        return { ...result, key };
      } catch (error) {
        if (isFinal(error)) this.forget(key);
        if (isFinal(error) || error.status === 401 || tries === MAX_TRIES) throw error;
        await pause(1000 * Math.min(error.retryAfterSeconds ?? 2 ** (tries - 1), MAX_PAUSE_SECONDS));
      }
    }
  }

  #keep({ key, ...order }) {
    localStorage[this.prefix + key] = JSON.stringify(order);
  }

  forget(key) {
    localStorage.removeItem(this.prefix + key);
  }
}

// Whether the order has ended, or never began. While the first call with its key runs, the answer is 409.
function isFinal(error) {
  return ENDS.includes(error.details?.reason) || [400, 403, 404, 413, 422, 429].includes(error.status);
}
