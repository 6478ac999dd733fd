// Orders that cost or move credits. Each has an Idempotency-Key that is kept until it is answered, through reloads and
// lost answers, so that sending it again cannot do it twice. One whose answer is "pending" is kept until it has ended.

import { ask, backOff, CallFailed } from "./api.js";
import { auth } from "./firebase.js";

// Nobody expects a purchase that goes through later than this. What became of it, the account shows.
const MAX_AGE_MS = 10 * 60 * 1000;
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
        const result = await ask(this.name, { body, key, prefer: this.prefer });
        if (result.status === "pending") this.#keep({ key, body, sentAt, requestId: result.generationRequestId });
        else this.forget(key);
        return { ...result, key };
      } catch (error) {
        if (error.isFinal) this.forget(key);
        if (error.isFinal || error.status === 401 || tries === MAX_TRIES) throw error;
        await backOff(tries, error, MAX_PAUSE_SECONDS);
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
