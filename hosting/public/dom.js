// Small helpers for the page. Text is always set as text, so nothing that a user wrote can become markup.

export const find = (selector, root = document) => root.querySelector(selector);

export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Says it to screen readers too: the element is a live region, which they follow only while it is in the page. So it is
// never hidden, and takes no place while it is empty (style.css).
export function say(node, text, kind = "") {
  node.textContent = text;
  node.dataset.kind = kind;
}

// Runs a form's or a button's work once at a time, however often it is clicked.
export function oneAtATime(button, work) {
  let isRunning = false;
  return async (event) => {
    event?.preventDefault();
    if (isRunning) return;
    isRunning = true;
    button.setAttribute("aria-disabled", "true");
    try {
      await work(event);
    } finally {
      isRunning = false;
      button.removeAttribute("aria-disabled");
    }
  };
}

// A group of radio buttons that look like chips.
export function choices(fieldset, name, values, chosen, describe = (value) => [value]) {
  const legend = find("legend", fieldset);
  const chips = values.map((value) =>
    el(
      "label",
      { className: "chip", "data-value": value },
      el("input", { type: "radio", name, value, checked: value === chosen, required: true }),
      ...describe(value),
    ),
  );
  fieldset.replaceChildren(legend, el("div", { className: "chips" }, ...chips));
}

const SVG = "http://www.w3.org/2000/svg";

// The shape of a picture of this size, as a little drawing.
export function shape(size) {
  const [width, height] = sides(size);
  const scale = 14 / Math.max(width, height);
  const svg = document.createElementNS(SVG, "svg");
  const rect = document.createElementNS(SVG, "rect");
  const attributes = { x: 8 - (width * scale) / 2, y: 8 - (height * scale) / 2, rx: 1.5 };
  Object.entries({ ...attributes, width: width * scale, height: height * scale }).forEach(([name, value]) =>
    rect.setAttribute(name, value),
  );
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.append(rect);
  return svg;
}

export function sides(size) {
  const found = /^(\d+)x(\d+)$/.exec(size);
  return found ? [Number(found[1]), Number(found[2])] : [1, 1];
}
