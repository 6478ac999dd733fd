// The catalog with its prices, as buyers get it.

import { read } from "./api.js";
import { el, find, say } from "./dom.js";
import { credits, explained, sizeText } from "./words.js";

export async function showCatalog() {
  try {
    const { models, styles, colors, sizes } = await read("getCatalog");
    const prices = sizes.sort((one, other) => one.credits - other.credits);
    find("#offers").replaceChildren(
      list("Sizes", prices.map(({ size, credits: price }) => `${sizeText(size)}: ${credits(price)}`)),
      list("Styles", styles),
      list("Colors", colors),
      list("Models", models),
    );
    say(find("#catalog-result"), "");
  } catch (error) {
    say(find("#catalog-result"), explained(error), "bad");
  }
}

function list(title, values) {
  const items = values.map((value) => el("li", {}, value));
  return el("section", { className: "card" }, el("h2", {}, title), el("ul", {}, ...items));
}
