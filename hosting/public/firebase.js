// Connects to the project that serves this page: its own configuration, and on a developer's machine the emulators.

import { initializeApp } from "./vendor/firebase-12.19.0/firebase-app.js";
import {
  browserLocalPersistence,
  connectAuthEmulator,
  indexedDBLocalPersistence,
  initializeAuth,
} from "./vendor/firebase-12.19.0/firebase-auth.js";

const isLocal = ["127.0.0.1", "localhost"].includes(location.hostname);

async function projectConfig() {
  const answer = await fetch("/__/firebase/init.json");
  if (!answer.ok) {
    document.querySelector("main").textContent = "This project has no web app yet: docs/console.md tells how to add one.";
  }
  return answer.json();
}

// Hosting tells the emulators' addresses in a script that is made for an older SDK, so it is read and not run.
async function emulatorAddresses() {
  if (!isLocal) return {};
  const answer = await fetch("/__/firebase/init.js?useEmulator=true");
  const found = /var firebaseEmulators = (\{.*?\n\})/s.exec(await answer.text());
  return found ? JSON.parse(found[1]) : {};
}

const [config, found] = await Promise.all([projectConfig(), emulatorAddresses()]);

export const emulators = found;
export const app = initializeApp(config);
// Without the SDK's pop-ups, which would load code from elsewhere.
export const auth = initializeAuth(app, { persistence: [indexedDBLocalPersistence, browserLocalPersistence] });
if (emulators.auth) {
  connectAuthEmulator(auth, `http://${emulators.auth.hostAndPort}`, { disableWarnings: true });
}
