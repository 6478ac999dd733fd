// Calls the functions, which Hosting has under /api, as the user who is signed in.

import { auth } from "./firebase.js";

// Refusals, before which nothing happened: an order that gets one is over.
const REFUSED = [400, 403, 404, 413, 422];
// The other ends of an order that leave nothing to ask for.
const ENDS = ["GENERATION_FAILED", "GENERATION_CANCELED", "TOO_MANY_PENDING"];

// An answer other than 200, or none at all.
export class CallFailed extends Error {
  constructor({ status = 0, message = "", details = {}, retryAfterSeconds = null }) {
    super(message);
    Object.assign(this, { status, details, retryAfterSeconds });
  }

  // The order is over and cost nothing. After any other error it is not known what became of it.
  get isFinal() {
    return ENDS.includes(this.details.reason) || REFUSED.includes(this.status);
  }

  // Asking again may help, if only later.
  get isPassing() {
    return !this.details.reason && (this.status === 0 || this.status === 429 || this.status >= 500);
  }

  // No function answered: nothing came, or a proxy had no words for it.
  get isUnanswered() {
    return this.isPassing && !this.message;
  }
}

export async function call(name, { query = {}, body = null, key = null, prefer = null, method = null } = {}) {
  const path = `/api/${name}${search(query)}`;
  const request = { method: method ?? (body ? "POST" : "GET"), headers: {} };
  if (body) {
    request.body = JSON.stringify(body);
    request.headers["Content-Type"] = "application/json";
  }
  if (key) request.headers["Idempotency-Key"] = key;
  if (prefer) request.headers.Prefer = prefer;
  let answer = await send(path, request);
  // The token may have been revoked or be from before a change of claims.
  if (answer.status === 401 && auth.currentUser) answer = await send(path, request, true);
  if (!answer.ok) throw await failed(answer);
  return answer;
}

// Gives the JSON of an answer, which may be lost on its way too.
export async function ask(name, options) {
  const answer = await call(name, options);
  try {
    return await answer.json();
  } catch {
    throw new CallFailed({});
  }
}

export const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

// Between two tries: 1, 2, 4 … seconds, longer if the server asks for it, and never longer than the last argument.
export const backOff = (tries, { retryAfterSeconds }, maxSeconds) =>
  pause(Math.min(Math.max(retryAfterSeconds ?? 0, 2 ** (tries - 1)), maxSeconds));

// Reading twice does no harm, so one lost answer is not worth a message.
export async function read(name, query) {
  try {
    return await ask(name, { query });
  } catch (error) {
    if (!error.isPassing || error.details.errorId) throw error;
    await pause(2);
    return ask(name, { query });
  }
}

function search(query) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

async function send(path, request, isNewToken = false) {
  try {
    const token = await auth.currentUser?.getIdToken(isNewToken);
    const headers = { ...request.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    return await fetch(path, { ...request, headers });
  } catch {
    throw new CallFailed({});
  }
}

async function failed(answer) {
  const seconds = Number(answer.headers.get("Retry-After")) || null;
  try {
    const { error } = await answer.json();
    return new CallFailed({ ...error, status: answer.status, retryAfterSeconds: seconds });
  } catch {
    return new CallFailed({ status: answer.status, retryAfterSeconds: seconds });
  }
}
