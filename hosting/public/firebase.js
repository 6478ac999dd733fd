// Connects to the project that serves this page: its own configuration, and on a developer's machine the emulators.

import { initializeApp } from "./vendor/firebase-12.19.0/firebase-app.js";
import {
  browserLocalPersistence,
  connectAuthEmulator,
  indexedDBLocalPersistence,
  initializeAuth,
} from "./vendor/firebase-12.19.0/firebase-auth.js";

const isLocal = ["127.0.0.1", "localhost"].includes(location.hostname);
const NO_APP = "This project has no web app yet: docs/console.md tells how to add one.";
const NO_ANSWER = "This page could not be loaded. Check the connection and reload it.";

async function projectConfig() {
  const answer = await fetch("/__/firebase/init.json");
  if (answer.status === 404) throw new Error("no web app", { cause: NO_APP });
  return answer.json();
}

// Hosting tells the emulators' addresses in a script that is made for an older SDK, so it is read and not run.
async function emulatorAddresses() {
  if (!isLocal) return {};
  const answer = await fetch("/__/firebase/init.js?useEmulator=true");
  const found = /var firebaseEmulators = (\{.*?\n\})/s.exec(await answer.text());
  return found ? JSON.parse(found[1]) : {};
}

// Without these there is no page.
async function started() {
  try {
    return await Promise.all([projectConfig(), emulatorAddresses()]);
  } catch (error) {
    document.querySelector("main").textContent = error.cause ?? NO_ANSWER;
    throw error;
  }
}

const [config, found] = await started();

export const emulators = found;
export const app = initializeApp(config);
// Without the SDK's pop-ups, which would load code from elsewhere.
export const auth = initializeAuth(app, { persistence: [indexedDBLocalPersistence, browserLocalPersistence] });
if (emulators.auth) {
  connectAuthEmulator(auth, `http://${emulators.auth.hostAndPort}`, { disableWarnings: true });
}
