// Calls the functions, which Hosting has under /api, as the user who is signed in.

import { auth } from "./firebase.js";

// An answer other than 200, or none at all.
export class CallFailed extends Error {
  constructor({ status = 0, message = "", details = {}, retryAfterSeconds = null }) {
    super(message);
    Object.assign(this, { status, details, retryAfterSeconds });
  }

  // Nobody can tell from it whether the call did anything.
  get isUnanswered() {
    return !this.details.reason && (this.status === 0 || this.status >= 500);
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

// Between two tries of what the page cannot do without.
export const pause = (milliseconds = 2000) => new Promise((done) => setTimeout(done, milliseconds));

// Reading twice does no harm, so one lost answer is not worth a message.
export async function read(name, query) {
  const ask = async () => (await call(name, { query })).json();
  try {
    return await ask();
  } catch (error) {
    if (!error.isUnanswered) throw error;
    await pause();
    return ask();
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
