// What the page says: amounts, dates, and each error in words.

const WHOLE = new Intl.NumberFormat("en");
// A report's days are days in UTC, wherever its reader is.
const DAYS = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeZone: "UTC" });
const MINUTE = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const MINUTE_THIS_YEAR = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });

export const number = (value) => WHOLE.format(value);
export const credits = (count) => `${number(count)} ${count === 1 ? "credit" : "credits"}`;
export const days = (first, last) => DAYS.formatRange(first, last);

// Breaks only after a comma.
export function time(date) {
  const format = date.getFullYear() === new Date().getFullYear() ? MINUTE_THIS_YEAR : MINUTE;
  return format.format(date).replaceAll(/(?<!,)\s/g, "\u00a0");
}
export const sizeText = (size) => String(size).replace("x", "\u202f×\u202f");

const FAILURES = {
  REFUSED_CONTENT: "The model does not draw this. Another prompt may help.",
  PROVIDER_BUSY: "The model has too much to do at the moment. Try again in a minute.",
  TIMED_OUT: "The picture took too long.",
  PROVIDER_FAILED: "The model failed.",
  GENERATION_FAILED: "The model failed.",
  LEASE_EXPIRED: "The purchase was interrupted before there was a picture.",
  STORAGE_FAILED: "The picture could not be kept.",
  ACCOUNT_DELETED: "The account was deleted before there was a picture.",
};

// `shown` is the price that the page had, which may have changed since.
const cost = (charged, shown = charged) =>
  `${credits(charged)}${charged === shown ? "" : `, not ${number(shown)}: the price has changed`}.`;
export const ordered = (charged, shown) => `Ordered for ${cost(charged, shown)}`;
export const bought = (charged, shown) => `Bought for ${cost(charged, shown)}`;
export const CANCELED = "Canceled. Your credits came back.";
export const failure = (code) => FAILURES[code] ?? "The model failed.";

const DENIED = "Nothing was charged.";

export const notMade = (code, refunded) => `Nothing was charged: ${credits(refunded)} came back. ${failure(code)}`;

// Why a purchase brought no picture: that it cost nothing, or that nobody knows yet.
export function purchaseError(error) {
  const { reason, ...details } = error.details ?? {};
  switch (reason) {
    case "GENERATION_FAILED":
      return notMade(details.failure, details.refundedCredits);
    case "GENERATION_CANCELED":
      return CANCELED;
    case "INSUFFICIENT_CREDITS":
      return `${DENIED} The picture costs ${credits(details.required)}, and you have ${number(details.available)}.`;
    case "TOO_MANY_PENDING":
      return `${DENIED} ${number(details.maxPending)} of your pictures are still being made. Wait for one of them, or cancel one.`;
    case "INVALID_REQUEST":
      return `${DENIED} ${error.message}`;
  }
  if (error.status === 404) return `${DENIED} You have no credits yet.`;
  if (error.isFinal) return `${DENIED} ${explained(error)}`;
  if (error.status === 401) {
    return `${cause(error)} Sign in again within a few minutes, and this order goes on. It cannot buy the picture twice.`;
  }
  return `${cause(error)} We do not know yet whether it was bought. Ask again: that cannot buy the picture twice.`;
}

// Why credits were not given or taken back, or that nobody knows yet.
export function moveError(error) {
  if (error.isFinal) return explained(error);
  const step = error.status === 401 ? "Sign in again" : "Reload the page";
  return `${cause(error)} We do not know yet whether it was done. ${step} within a few minutes: it asks again, and does it once.`;
}

const ENDED = {
  completed: "Too late to cancel: the picture was done already.",
  failed: "There was nothing to cancel: no picture came, and your credits are back.",
};

// Why a purchase was not canceled.
export function notCanceled(error) {
  const { reason, outcome } = error.details ?? {};
  if (reason === "GENERATION_ENDED") return ENDED[outcome];
  if (error.isPassing) return `${cause(error)} It may be canceled or not. Cancel again to be sure.`;
  return `Not canceled. ${explained(error)}`;
}

// Any other error, with what one can do about it.
export function explained(error) {
  if (error.isUnanswered) return `${cause(error)} Check the connection and try again.`;
  if (error.status === 401) return `${cause(error)} Sign in again.`;
  return cause(error);
}

// What has gone wrong, and no more. The log has the number of an error that the server did not expect.
function cause(error) {
  const errorId = error.details?.errorId;
  if (errorId) return `Something went wrong on the server. If it stays so, report this error number: ${errorId}.`;
  if (error.isUnanswered) return "No answer came.";
  if (error.status === 401) return "The session is over.";
  if (error.status === 403) return "You may not do this: it needs an admin.";
  return error.message || "Something went wrong.";
}

const SIGN_IN = {
  "auth/invalid-credential": "The e-mail address or the password is wrong.",
  "auth/user-not-found": "There is no account with this e-mail address.",
  "auth/wrong-password": "The e-mail address or the password is wrong.",
  "auth/invalid-email": "This is not an e-mail address.",
  "auth/email-already-in-use": "There is an account with this e-mail address already. Sign in instead.",
  "auth/weak-password": "The password needs at least 6 characters.",
  "auth/user-disabled": "This account is disabled.",
  "auth/too-many-requests": "Too many attempts. Wait a few minutes.",
  "auth/network-request-failed": "No answer came. Check the connection and try again.",
  "auth/operation-not-allowed": "Signing in with e-mail and password is switched off for this project.",
  "auth/configuration-not-found": "Authentication is not switched on for this project.",
};

export const signInProblem = (error) => SIGN_IN[error.code] ?? "That did not work. Try again.";

export const DELIVERY = { pending: "Waiting", delivered: "Delivered", failed: "Failed" };
export const ENTRIES = { deduction: "Picture", refund: "Refund", grant: "Credits added", revocation: "Credits taken back" };
export const isAdded = (type) => type === "refund" || type === "grant";
