import { button, h, icon } from "./dom.js";
import { check, choices, field, number } from "./fields.js";
import { numberOrText } from "./format.js";
import { MakeBar } from "./makebar.js";
import { paintMask } from "./mask.js";
import { Settings } from "./settings.js";
import { SourceSlot, thumbnail } from "./sources.js";
import { save, saved } from "./store.js";
import { requestOf, verbs } from "./verbs.js";

/// The form that asks for one thing: a verb, words, sources and settings. It is as it was after a reload.
export class Composer {
  constructor(root) {
    this.root = root;
    const kept = saved("composer", {});
    this.verb = verbs[kept.verb] ? kept.verb : "generate";
    this.mask = kept.mask ?? null;
    this.settings = new Settings(kept.settings, () => this.#changed());
    this.prompt = h("textarea", { rows: 4, class: "prompt", enterkeyhint: "enter" });
    this.seconds = number({ placeholder: "model's own" });
    this.strength = h("input", { type: "range", min: 0, max: 1, step: 0.05 });
    this.strengthWords = h("output", {});
    this.from = number({ placeholder: "start" });
    this.to = number({ placeholder: "end" });
    this.loop = check({ param: "loop", label: "Ends where it begins" });
    this.side = "after";
    // A length that suits one verb would surprise in another.
    this.lengths = kept.lengths ?? {};
    this.slots = new Map();
    this.maskRow = h("div", { class: "field", data: { param: "mask" } });
    this.body = h("div", { class: "composer-body" });
    this.bar = new MakeBar({ root, request: () => this.request(), made: () => this.#remember() });
    this.prompt.addEventListener("keydown", (event) => this.#recall(event));
    root.append(this.body, this.bar.element);
    root.addEventListener("input", () => this.#changed());
    this.#fill(kept);
    this.#layout();
  }

  #fill({ prompt = "", seconds = "", strength, from = "", to = "", loop = false, side = "after",
    sources = {} }) {
    this.prompt.value = prompt;
    this.seconds.value = seconds;
    this.from.value = from;
    this.to.value = to;
    this.loop.querySelector("input").checked = loop;
    this.side = side;
    this.strength.value = strength ?? verbs[this.verb].strength ?? 0.6;
    this.keptSources = sources;
  }

  #layout() {
    const verb = verbs[this.verb];
    const changed = () => this.#changed();
    this.slots = new Map(verb.sources.map((options) => [options.param, new SourceSlot(options, changed)]));
    for (const [param, slot] of this.slots) slot.set(this.keptSources[param] ?? null);
    this.prompt.placeholder = verb.example ?? "";
    const words = (text) => text.replace("?", "");
    const secondsField = verb.seconds
      ? field({ param: "seconds frames", label: words(verb.seconds) }, this.seconds) : null;
    const slots = [...this.slots.values()].map((slot) => slot.element);
    this.#showMask();
    this.body.replaceChildren(
      ...[
        choices(
          "verb", "What to make",
          Object.entries(verbs).map(([name, { label, symbol }]) => [name, label, icon(symbol)]),
          this.verb, (name) => this.choose(name), "tiles"),
        // Where a source is required, it is what a person thinks of first.
        this.verb === "generate" ? null : h("div", { class: "slots" }, slots),
        verb.prompt ? field({ param: "prompt", label: words(verb.prompt) }, this.prompt) : null,
        this.verb === "generate" ? h("div", { class: "slots two" }, slots) : null,
        verb.side
          ? h(
            "div", { class: "field", data: { param: "side" } }, h("span", { class: "label" }, "Where"),
            choices("side", "Where", [["before", "Before it"], ["after", "After it"]], this.side,
              (side) => {
                this.side = side;
                this.#changed();
              }),
            h("p", { class: "field-error" }))
          : null,
        verb.loop ? h("div", { class: "field-grid align-end" }, secondsField, this.loop) : secondsField,
        verb.strength === undefined
          ? null
          : field({ param: "strength", label: "How much may change" }, this.strength, this.strengthWords),
        verb.range
          ? h(
            "div", { class: "field-grid" }, field({ param: "from", label: "From second" }, this.from),
            field({ param: "to", label: "To second" }, this.to))
          : null,
        verb.mask ? this.maskRow : null,
        this.settings.element,
      ].filter(Boolean));
    this.#changed();
  }

  #showMask() {
    const source = this.slots.get("video")?.value;
    const open = () => paintMask(source, Number(this.from.value) || 0, (mask) => {
      this.mask = mask;
      this.#showMask();
      this.#changed();
    });
    const parts = this.mask
      ? [
        thumbnail(this.mask, { class: "mask-picture" }),
        button({ text: "Paint again", symbol: "brush", disabled: !source }, open),
        button({ text: "Remove mask", symbol: "close", kind: "quiet" }, () => {
          this.mask = null;
          this.#showMask();
          this.#changed();
        }),
      ]
      : [button({ text: "Paint where it may change", symbol: "brush", disabled: !source }, open)];
    this.maskRow.replaceChildren(
      h("span", { class: "label" }, "Mask", h("em", {}, " optional")),
      h("div", { class: "field-row" }, ...parts), h("p", { class: "field-error" }));
  }

  #changed() {
    for (const [param, slot] of this.slots) this.keptSources[param] = slot.value;
    this.strengthWords.textContent = `${Math.round(this.strength.value * 100)}%`;
    if (this.verb === "edit") {
      const button = this.maskRow.querySelector("button");
      if (button) button.disabled = !this.slots.get("video")?.value;
    }
    save("composer", this.state);
    this.bar.refresh();
  }

  get state() {
    return {
      verb: this.verb, prompt: this.prompt.value, seconds: this.seconds.value, side: this.side,
      strength: this.strength.value, from: this.from.value, to: this.to.value,
      loop: this.loop.querySelector("input").checked, mask: this.mask, sources: this.keptSources,
      settings: this.settings.values, lengths: this.lengths,
    };
  }

  request() {
    const verb = verbs[this.verb];
    return requestOf(this.verb, {
      prompt: this.prompt.value.trim(), seconds: numberOrText(this.seconds.value), side: this.side,
      strength: verb.strength === undefined ? undefined : Number(this.strength.value),
      from: numberOrText(this.from.value), to: numberOrText(this.to.value),
      loop: this.loop.querySelector("input").checked, mask: this.mask, sources: this.keptSources,
      settings: this.settings.body(),
    });
  }

  // MARK: Prompts made before

  #remember() {
    const prompt = this.prompt.value.trim();
    const others = saved("prompts", []).filter((other) => other !== prompt);
    if (prompt) save("prompts", [prompt, ...others].slice(0, 50));
    this.recalled = -1;
  }

  #recall(event) {
    const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!by || !event.altKey) return;
    event.preventDefault();
    const prompts = saved("prompts", []);
    this.recalled = Math.max(0, Math.min(prompts.length - 1, (this.recalled ?? -1) + by));
    if (!prompts.length) return;
    this.prompt.value = prompts[this.recalled];
    this.#changed();
  }

  // MARK: What others do with it

  choose(verb) {
    if (verb !== this.verb) {
      this.strength.value = verbs[verb].strength ?? 0.6;
      this.lengths[this.verb] = this.seconds.value;
      const isNeeded = verbs[verb].seconds && !verbs[verb].seconds.endsWith("?");
      this.seconds.value = this.lengths[verb] || (isNeeded ? "1" : "");
    }
    const hadFocus = this.body.contains(document.activeElement)
      && document.activeElement.name === "verb";
    this.verb = verb;
    this.#layout();
    if (hadFocus) this.body.querySelector(`input[name="verb"][value="${verb}"]`)?.focus();
  }

  /// Begins a verb with a source.
  begin(verb, source, fields = {}) {
    const [first] = verbs[verb].sources;
    this.keptSources = { ...this.keptSources, [fields.param ?? first.param]: source };
    if (fields.prompt !== undefined) this.prompt.value = fields.prompt;
    this.mask = null;
    this.choose(verb);
    this.focus();
  }

  /// Takes a whole form over.
  restore({ verb, settings, mask = null, ...fields }) {
    this.verb = verb;
    this.mask = mask;
    this.#fill(fields);
    this.settings.set(settings);
    this.#layout();
  }

  focus() {
    if (!verbs[this.verb].prompt) return;
    this.prompt.focus();
    this.prompt.select();
  }

  make(isFirst) { return this.bar.make(isFirst); }
}
