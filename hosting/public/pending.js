// A purchase whose picture is still being made: followed until it has ended, and canceled if its buyer asks for that.

import { call } from "./api.js";
import { el, oneAtATime } from "./dom.js";
import { followRequest } from "./live.js";
import { CANCELED, notCanceled } from "./words.js";

const ENDED = ["completed", "failed", "canceled"];

// Gives the request once it has ended. Follows it until then; at the signal it stops and fails.
export function untilEnded(requestId, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const end = (settle, value) => {
      stop();
      settle(value);
    };
    const stop = followRequest(requestId, {
      next: (request) => ENDED.includes(request.status) && end(resolve, request),
      fail: reject,
    });
    signal.addEventListener("abort", () => end(reject, signal.reason));
  });
}

// `tell` gets what came of it, in words, and whether the request has ended.
export function cancelButton(requestId, tell) {
  const button = el("button", { type: "button", className: "quiet small" }, "Cancel");
  button.addEventListener("click", oneAtATime(button, async () => tell(await cancel(requestId))));
  return button;
}

async function cancel(generationRequestId) {
  try {
    await call("cancelGenerationRequest", { body: { generationRequestId } });
    return { text: CANCELED, hasEnded: true };
  } catch (error) {
    const hasEnded = error.details?.reason === "GENERATION_ENDED";
    return { text: notCanceled(error), hasEnded, kind: hasEnded ? "" : "bad" };
  }
}
