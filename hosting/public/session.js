// Who is signed in, the part of the page's head that says so, and the card with which one signs in.

import {
  createUserWithEmailAndPassword,
  onAuthStateChanged,
  signInWithEmailAndPassword,
  signOut,
} from "./vendor/firebase-12.19.0/firebase-auth.js";
import { el, find, oneAtATime, say } from "./dom.js";
import { auth, emulators } from "./firebase.js";
import { signInProblem } from "./words.js";

// Accounts of emulator-data. Their passwords are no secret: they exist in the Auth emulator alone.
const LOCAL_ACCOUNTS = ["testUser1", "testAdmin"];

// Calls `enter` with the user and whether they are an admin, and `leave` when nobody is signed in.
export function follow({ enter, leave }) {
  const gate = find("#gate");
  fillGate(find("#sign-in"));
  find("#sign-out").addEventListener("click", () => signOut(auth));
  onAuthStateChanged(auth, async (user) => {
    leave();
    let isAdmin = false;
    if (user) {
      // Offline, an old token has to do: the functions are who decides.
      const token = await user.getIdTokenResult().catch(() => null);
      isAdmin = token?.claims.admin === true;
    }
    if (user !== auth.currentUser) return;
    gate.hidden = Boolean(user);
    document.querySelectorAll("[data-inside]").forEach((node) => (node.hidden = !user));
    find("#my-email").textContent = user?.email ?? "";
    document.querySelectorAll("[data-for-admins]").forEach((node) => (node.hidden = !isAdmin));
    document.body.dataset.state = user ? "inside" : "outside";
    if (user) enter(user, isAdmin);
  });
}

function fillGate(form) {
  const problem = find(".problem", form);
  const attempt = async (method, email, password) => {
    say(problem, "");
    try {
      await method(auth, email, password);
      form.reset();
    } catch (error) {
      say(problem, signInProblem(error), "bad");
    }
  };
  const typed = () => [form.elements.email.value.trim(), form.elements.password.value];
  const submit = find("[type=submit]", form);
  form.addEventListener("submit", oneAtATime(submit, () => attempt(signInWithEmailAndPassword, ...typed())));
  const signUp = find("#sign-up", form);
  const create = oneAtATime(signUp, () => attempt(createUserWithEmailAndPassword, ...typed()));
  signUp.addEventListener("click", (event) => (form.reportValidity() ? create(event) : undefined));
  if (!emulators.auth) return;
  const buttons = LOCAL_ACCOUNTS.map((name, index) => {
    const button = el("button", { type: "button", className: index ? "quiet" : "primary" }, `Sign in as ${name}`);
    const enter = () => attempt(signInWithEmailAndPassword, `${name.toLowerCase()}@example.com`, name);
    button.addEventListener("click", oneAtATime(button, enter));
    return button;
  });
  const local = find("#local-accounts");
  local.append(...buttons, el("p", { className: "hint" }, "A buyer and an admin, in the emulators only."));
  local.hidden = false;
}
