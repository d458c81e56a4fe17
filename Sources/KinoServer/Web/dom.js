import { icons } from "./icons.js";

/// Makes an element. Keys of `attributes`: `on` has listeners, `data` what `dataset` gets, `style` custom
/// properties; the others are attributes, left out where they are false or null. Children are nodes or
/// texts; a text is never read as markup.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "data") {
      Object.assign(element.dataset, value);
    } else if (name === "style") {
      for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    } else if (name === "value" || name === "checked") {
      element[name] = value;
    } else {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/// A picture for a control; it says nothing to those who can't see it.
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  for (const [key, value] of [["viewBox", "0 0 24 24"], ["aria-hidden", "true"], ["class", "icon"]]) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", icons[name] ?? "");
  svg.append(path);
  return svg;
}

/// A button with a picture and words; `label` alone is read out where there are no words.
export function button({ label, text, symbol, kind = "", keys, disabled, pressed, ...attributes }, act) {
  const title = [label ?? text, keys && `(${keys})`].filter(Boolean).join(" ");
  return h(
    "button",
    {
      type: "button", class: `button ${kind}`, title: text && !keys ? null : title,
      "aria-label": text ? null : label, "aria-pressed": pressed === undefined ? null : String(pressed),
      disabled, on: { click: act }, ...attributes,
    },
    symbol ? icon(symbol) : null, text ? h("span", {}, text) : null);
}

/// A name that nothing else has. Browsers offer `randomUUID` to encrypted pages only, which a server in the
/// next room rarely has.
export function uniqueName() {
  return [...crypto.getRandomValues(new Uint32Array(3))].map((part) => part.toString(36)).join("");
}

/// Puts `wanted` into `parent` in order, moving only what is elsewhere, so that focus stays.
export function arrange(parent, wanted) {
  const keep = new Set(wanted);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  wanted.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
}

/// Calls `act` once nothing has asked for it during `milliseconds`.
export function debounced(milliseconds, act) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...values), milliseconds);
  };
}

export const wantsLessMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/// A dialog of the page's own kind: closes by Esc and its button, removed when closed.
///
/// `beside` stands at the right of its title; `closed` is called at its end.
export function dialog({ title, kind = "", beside = [], closed }, ...children) {
  const heading = h("h2", { id: `dialog-${uniqueName()}` }, title);
  const element = h(
    "dialog", { class: `dialog ${kind}`, "aria-labelledby": heading.id },
    h(
      "div", { class: "dialog-head" }, heading, ...beside,
      button({ label: "Close", symbol: "close", kind: "quiet", keys: "Esc" }, () => element.close())),
    ...children);
  element.addEventListener("close", () => {
    bringMessages(document.body);
    element.remove();
    bringMessages([...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body);
    closed?.();
  });
  element.addEventListener("click", (event) => {
    if (event.target === element) element.close();
  });
  document.body.append(element);
  element.showModal();
  // What was only said in passing would cover what opens.
  for (const note of document.querySelectorAll(".notice:not(.is-error, .has-action)")) note.remove();
  bringMessages(element);
  return element;
}

/// While a dialog is open nothing outside it can be read or pressed, so messages are inside it.
function bringMessages(place) {
  place.append(document.getElementById("notices"), document.getElementById("announcer"));
}
