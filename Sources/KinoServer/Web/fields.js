import { h } from "./dom.js";

let count = 0;

/// A control with its label, a hint, and room for what the server says about it.
///
/// `param` is the name of the request's field, by which an error finds its place; several may be given,
/// parted by spaces.
export function field({ param, label, hint, kind = "" }, control, ...beside) {
  const id = control.id || `field-${++count}`;
  control.id = id;
  const hintID = hint ? `${id}-hint` : null;
  const errorID = `${id}-error`;
  control.setAttribute("aria-describedby", [hintID, errorID].filter(Boolean).join(" "));
  return h(
    "div", { class: `field ${kind}`, data: { param } },
    h("label", { for: id }, label),
    h("div", { class: "field-row" }, control, ...beside),
    hint ? h("p", { class: "hint", id: hintID }, hint) : null,
    h("p", { class: "field-error", id: errorID }));
}

export function input(attributes = {}) {
  return h("input", { type: "text", autocomplete: "off", spellcheck: "false", ...attributes });
}

/// A field for a number. What is no number goes to the server as it is, which says what it wants.
export const number = (attributes = {}) => input({ inputmode: "decimal", ...attributes });

export function select(options, attributes = {}) {
  return h(
    "select", attributes,
    options.map(([value, words]) => h("option", { value }, words ?? value)));
}

export function check({ param, label }, attributes = {}) {
  const box = h("input", { type: "checkbox", id: `field-${++count}`, ...attributes });
  return h(
    "div", { class: "field check", data: { param } },
    h("label", { for: box.id }, box, h("span", {}, label)),
    h("p", { class: "field-error" }));
}

/// Choices of which one holds, walked with the arrows as such groups are.
export function choices(name, label, options, chosen, changed, kind = "") {
  return h(
    "fieldset", { class: `choices ${kind}` }, h("legend", { class: "visually-hidden" }, label),
    options.map(([value, words, symbol]) =>
      h(
        "label", { class: "choice" },
        h("input", {
          type: "radio", name, value, checked: value === chosen, on: { change: () => changed(value) },
        }),
        h("span", {}, symbol ?? null, words))));
}

export function clearErrors(root) {
  for (const place of root.querySelectorAll(".has-error")) {
    place.classList.remove("has-error");
    place.querySelector(".field-error").textContent = "";
    place.querySelector("input, textarea, select")?.removeAttribute("aria-invalid");
  }
}

/// Shows an error at the field that it names; whether there is such a field.
export function showError(root, error, { focus = false } = {}) {
  const name = error.param?.split(/[.[]/)[0];
  const place = name && [...root.querySelectorAll("[data-param]")].find(
    (one) => one.dataset.param.split(" ").includes(name) && !one.closest("[hidden]"));
  if (!place) return false;
  place.classList.add("has-error");
  place.querySelector(".field-error").textContent = error.message;
  const control = place.querySelector("input, textarea, select, button");
  control?.setAttribute("aria-invalid", "true");
  const folded = place.closest("details");
  if (folded) folded.open = true;
  if (focus) control?.focus();
  return true;
}
