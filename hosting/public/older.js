// The older pages of a list that follows Firestore.

import { oneAtATime, say } from "./dom.js";

const FAILED = "What is older could not be loaded. Check the connection and try again.";

// Gives what loads the next one; `more` is the button for it, and `result` says if it could not be loaded.
export function olderPages(feed, more, result) {
  return oneAtATime(more, async () => {
    try {
      await feed.more();
      if (result.textContent === FAILED) say(result, "");
    } catch {
      say(result, FAILED, "bad");
    }
  });
}
