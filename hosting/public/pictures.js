// A user's own pictures, newest first.

import { el, find, say, sides } from "./dom.js";
import { olderPages } from "./older.js";
import { cancelButton } from "./pending.js";
import { CANCELED, credits, failure, sizeText, time } from "./words.js";

// Two lines, or one.
export const options = ({ style, color, size, model }) =>
  el("p", { className: "options chosen" }, el("span", {}, `${style} · ${color}`), " · ", el("span", {}, `${sizeText(size)} · ${model}`));
export const described = ({ style, color, prompt }) => `Picture, ${style}, ${color}: ${prompt || "no prompt"}`;

// Simulated models' pictures are on this site too, whatever address the API has.
export function pictureUrl(imageUrl) {
  if (!URL.canParse(imageUrl, location.origin)) return "";
  const url = new URL(imageUrl, location.origin);
  if (url.pathname.endsWith("/simulatedImage")) return `/api/simulatedImage${url.search}`;
  return ["http:", "https:"].includes(url.protocol) ? url.href : "";
}

// What one can do with a picture.
export function actions(picture, buyAgain) {
  const again = el("button", { type: "button", className: "quiet small" }, "Buy again");
  again.addEventListener("click", buyAgain);
  return el("div", { className: "buttons" }, again, pictureLink(picture));
}

// A browser saves only what is on this site: pictures of simulated models, all of them PNG. Others it opens.
function pictureLink({ id, imageUrl }) {
  const href = pictureUrl(imageUrl);
  if (!href) return null;
  const link = el("a", { className: "button quiet small", href, target: "_blank", rel: "noopener" }, "Open");
  if (link.origin === location.origin) Object.assign(link, { download: `${id}.png`, textContent: "Download" });
  return link;
}

// Follows the feed; gives what stops it.
export function showPictures(feed, { show, buyAgain, fail }) {
  const list = find("#gallery");
  const more = find("#more-pictures");
  const result = find("#pictures-result");
  const cards = new Map();
  list.replaceChildren();
  const stop = feed.follow({
    next(pictures, hasMore) {
      find("#no-pictures").hidden = pictures.length > 0;
      more.hidden = !hasMore;
      pictures.forEach((picture, index) => {
        const card = cardOf(picture);
        if (list.children[index] !== card) list.insertBefore(card, list.children[index] ?? null);
      });
    },
    fail,
  });

  function cardOf(picture) {
    const known = cards.get(picture.id);
    if (known?.status === picture.status) return known.card;
    const card = drawn(picture, show, () => buyAgain(picture), ({ text, kind }) => say(result, text, kind));
    const hadFocus = known?.card.contains(document.activeElement);
    known?.card.replaceWith(card);
    if (hadFocus) find("button", card)?.focus();
    cards.set(picture.id, { card, status: picture.status });
    return card;
  }

  const load = olderPages(feed, more, result);
  const watcher = new IntersectionObserver(([entry]) => entry.isIntersecting && load(), { rootMargin: "600px" });
  more.addEventListener("click", load);
  watcher.observe(more);
  return () => {
    stop();
    watcher.disconnect();
    more.removeEventListener("click", load);
    list.replaceChildren();
    more.hidden = true;
    say(result, "");
  };
}

function drawn(picture, show, buyAgain, tell) {
  const isDone = picture.status === "completed";
  const price = isDone || picture.status === "pending" ? credits(picture.cost) : "not charged";
  return el(
    "li",
    { className: "tile", "data-status": picture.status },
    isDone ? thumbnail(picture, show) : el("div", { className: "thumb" }, el("p", {}, state(picture))),
    el("p", { className: "prompt" }, picture.prompt || "No prompt"),
    options(picture),
    el("p", { className: "options" }, el("span", {}, price), " · ", el("span", {}, time(picture.time))),
    isDone ? actions(picture, buyAgain) : actionsWithoutPicture(picture, buyAgain, tell),
  );
}

function thumbnail(picture, show) {
  const [width, height] = sides(picture.size);
  const image = el("img", { alt: described(picture), loading: "lazy", decoding: "async", width, height });
  image.src = pictureUrl(picture.imageUrl);
  const button = el("button", { type: "button", className: "thumb", title: "Show it large" }, image);
  button.addEventListener("click", () => {
    show(picture);
    find("#stage").focus();
  });
  return button;
}

function state(picture) {
  if (picture.status === "pending") return "Making it …";
  if (picture.status === "canceled") return CANCELED;
  return `No picture. Your credits came back. ${failure(picture.failure)}`;
}

// What one can do without a picture.
function actionsWithoutPicture(picture, buyAgain, tell) {
  if (picture.status === "pending") return el("div", { className: "buttons" }, cancelButton(picture.id, tell));
  const button = el("button", { type: "button", className: "quiet small" }, "Try again");
  button.addEventListener("click", buyAgain);
  return el("div", { className: "buttons" }, button);
}
