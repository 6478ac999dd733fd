// The form with which one buys, and the stage on which the picture appears.

import { backOff, pause, read } from "./api.js";
import { choices, el, find, oneAtATime, say, shape, sides } from "./dom.js";
import { Orders } from "./orders.js";
import { cancelButton, untilEnded } from "./pending.js";
import { actions, described, options, pictureUrl } from "./pictures.js";
import { CANCELED, bought, credits, explained, notMade, number, ordered, purchaseError, sizeText } from "./words.js";

// Asked for at once, while one signs in.
let early = read("getCatalog");
early.catch(() => {});

const form = find("#create");
const buy = find("#buy");
const result = find("#result");
const askAgain = find("#ask-again");
const stage = find("#stage");
// Chosen at first, if the catalog has it.
const FAVORITES = ["realistic", "vibrant"];
// A picture may take minutes, so an order is answered when its credits are reserved.
const AT_ONCE = "respond-async";
// Nobody who clicks twice wants two pictures, however fast the answer is.
const DOUBLE_CLICK_SECONDS = 1;
const MAX_PAUSE_SECONDS = 60;
// How old the page may be for the catalog that it asked for at once.
const EARLY_MS = 60_000;
const GROUPS = { style: "#styles", color: "#colors", size: "#sizes", model: "#models" };

export function openStudio(userId) {
  const orders = new Orders("createGenerationRequest", userId, AT_ONCE);
  const state = { offered: "", prices: new Map(), balance: null, isOpen: true };
  const events = new AbortController();
  const listen = (node, name, work) => node.addEventListener(name, work, { signal: events.signal });

  clear();
  loadCatalog(state);
  listen(document, "visibilitychange", () => state.offered && !document.hidden && loadCatalog(state));
  listen(form, "input", () => showPrice(state));
  listen(form, "submit", oneAtATime(buy, () => isAffordable(state) && purchase(order(userId))));
  listen(askAgain, "click", oneAtATime(askAgain, askForAnswers));
  orders.pending.forEach((pending) => track(pending, takeStage(pending.body)));
  askForAnswers();

  const purchase = (body) => attempt(orders.send(body), body, state.prices.get(body.size));

  // Ends with the answer, though the picture may come later. `price` is what the page showed, if it is known.
  async function attempt(answer, body, price) {
    const isShown = takeStage(body);
    try {
      const { key, generationRequestId: requestId, deductedCredits: cost, ...found } = await answer;
      if (!state.isOpen) return;
      if (price !== undefined && price !== cost) loadCatalog(state);
      if (found.status !== "pending") {
        if (isShown()) present({ ...body, id: requestId, imageUrl: found.imageUrl }, bought(cost, price));
        return;
      }
      if (isShown()) say(result, ordered(cost, price));
      track({ key, requestId, price }, isShown);
      await pause(DOUBLE_CLICK_SECONDS);
    } catch (error) {
      if (isShown()) showNone(purchaseError(error), "bad");
      if (state.isOpen) askAgain.hidden = orders.unanswered.length === 0;
    }
  }

  // The newest purchase has the stage; older ones go on in the gallery. Gives whether this one still has it.
  function takeStage(body) {
    const mine = (state.onStage = {});
    wait(body);
    return () => state.isOpen && state.onStage === mine;
  }

  // Follows a purchase until it has ended. Until then its order is kept, whatever becomes of this page.
  async function track({ key, requestId, price }, isShown) {
    let last = null;
    const tell = (told) => {
      if (!isShown()) return;
      if (told.hasEnded) last = told.text;
      say(result, told.text, told.kind);
    };
    if (isShown()) offerCancel(cancelButton(requestId, tell));
    try {
      const request = await untilEnded(requestId, events.signal);
      orders.forget(key);
      if (!isShown()) return;
      if (request.status === "completed") present(request, last ?? bought(request.cost, price));
      else if (request.status === "canceled") showNone(CANCELED);
      else showNone(last ?? notMade(request.failure, request.cost), "bad");
    } catch {
      if (isShown()) showNone("This page does not follow your purchase any more. Reload it to see your pictures.", "bad");
    }
  }

  // Asks for what a reload or a lost connection left without an answer.
  async function askForAnswers() {
    for (const unanswered of orders.unanswered) {
      if (!state.isOpen) return;
      await attempt(orders.sendAgain(unanswered), unanswered.body);
    }
  }

  return {
    show,
    fill(picture) {
      fillForm(picture);
      showPrice(state);
      form.scrollIntoView({ block: "start" });
      buy.focus({ preventScroll: true });
    },
    setBalance(balance) {
      state.balance = balance;
      showPrice(state);
    },
    close() {
      state.isOpen = false;
      events.abort();
      form.reset();
    },
  };
}

// Tries until it is there: without it nobody can buy. Later the page can do with the one that it has.
async function loadCatalog(state) {
  for (let tries = 1; state.isOpen; tries += 1) {
    try {
      const asked = performance.now() < EARLY_MS ? early : null;
      early = null;
      const catalog = await (asked ?? read("getCatalog"));
      if (state.isOpen) offer(catalog, state);
      if (tries > 1) say(result, "");
      return;
    } catch (error) {
      if (state.offered || !state.isOpen) return;
      say(result, `The catalog could not be loaded. ${explained(error)}`, "bad");
      await backOff(tries, error, MAX_PAUSE_SECONDS);
    }
  }
}

// What is chosen already stays chosen.
function offer(catalog, state) {
  const text = JSON.stringify(catalog);
  if (text === state.offered) return;
  state.offered = text;
  const { models, styles, colors, sizes } = catalog;
  state.prices = new Map(sizes.map(({ size, credits }) => [size, credits]));
  choices(find(GROUPS.style), "style", styles, chosen("style", styles));
  choices(find(GROUPS.color), "color", colors, chosen("color", colors));
  choices(find(GROUPS.model), "model", models, chosen("model", models));
  const names = sizes.sort((one, other) => one.credits - other.credits).map(({ size }) => size);
  choices(find(GROUPS.size), "size", names, chosen("size", names), (size) => [
    shape(size),
    sizeText(size),
    el("span", { className: "hint" }, credits(state.prices.get(size))),
  ]);
  showPrice(state);
}

function chosen(name, values) {
  const candidates = [form.elements[name]?.value, ...FAVORITES, values[0]];
  return candidates.find((value) => values.includes(value));
}

function order(userId) {
  const { style, color, size, model } = form.elements;
  const prompt = form.elements.prompt.value.trim();
  const chosen = { userId, model: model.value, style: style.value, color: color.value, size: size.value };
  return prompt ? { ...chosen, prompt } : chosen;
}

const isAffordable = ({ prices, balance }) => prices.get(form.elements.size?.value) <= balance;

function showPrice(state) {
  const price = state.prices.get(form.elements.size?.value);
  if (price === undefined || state.balance === null) return;
  const left = state.balance - price;
  buy.disabled = left < 0;
  buy.textContent = `Buy for ${credits(price)}`;
  const lacking = state.balance === 0 ? "You have no credits yet." : `You have ${credits(state.balance)}.`;
  const text = left < 0 ? `${lacking} This picture costs ${number(price)}.` : `Balance afterwards: ${number(left)}`;
  const node = find("#price");
  if (node.textContent !== text) node.textContent = text;
  node.dataset.kind = left < 0 ? "bad" : "";
  if (stage.dataset.state === "empty") setShape(form.elements.size.value);
}

function fillForm(picture) {
  form.elements.prompt.value = picture.prompt ?? "";
  for (const name of Object.keys(GROUPS)) {
    const wanted = [...form.querySelectorAll(`input[name=${name}]`)].find((input) => input.value === picture[name]);
    if (wanted) wanted.checked = true;
  }
}

function setShape(size) {
  const [width, height] = sides(size);
  find("#canvas").style.setProperty("--ratio", width / height);
}

function clear() {
  setText("Your picture appears here.");
  askAgain.hidden = true;
  say(result, "");
}

function setText(text, isBusy = false) {
  stage.dataset.state = isBusy ? "busy" : "empty";
  find("#canvas").replaceChildren(el("p", { id: "stage-text" }, text));
  find("#stage-caption").hidden = true;
}

function wait(body) {
  clear();
  setShape(body.size);
  setText("Making your picture …", true);
  stage.scrollIntoView({ block: "nearest" });
}

function offerCancel(button) {
  find("#stage-caption").replaceChildren(button);
  find("#stage-caption").hidden = false;
}

function present(picture, words) {
  say(result, words, "good");
  show(picture);
}

// A purchase has brought no picture. Another one that was chosen meanwhile stays.
function showNone(words, kind) {
  const hadFocus = stage.contains(document.activeElement);
  if (find("#stage-text")) setText("No picture this time.");
  if (hadFocus) stage.focus();
  say(result, words, kind);
}

// Shows a picture, large.
function show(picture) {
  const image = el("img", { alt: described(picture), src: pictureUrl(picture.imageUrl) });
  const [width, height] = sides(picture.size);
  Object.assign(image, { width, height });
  stage.dataset.state = "busy";
  setShape(picture.size);
  // Another picture may have taken its place meanwhile.
  image.addEventListener("load", () => image.isConnected && (stage.dataset.state = "done"));
  image.addEventListener("error", () => {
    if (!image.isConnected) return;
    stage.dataset.state = "empty";
    const problem = "The picture is yours, but it could not be loaded. Reload the page.";
    find("#canvas").replaceChildren(el("p", { role: "alert" }, problem));
  });
  find("#canvas").replaceChildren(image);
  const caption = find("#stage-caption");
  const again = () => {
    fillForm(picture);
    form.dispatchEvent(new Event("input"));
    buy.focus();
  };
  caption.replaceChildren(
    el("p", { className: "prompt" }, picture.prompt || "No prompt"),
    options(picture),
    actions(picture, again),
  );
  caption.hidden = false;
  stage.scrollIntoView({ block: "nearest" });
}
