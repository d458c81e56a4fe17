import { arrange, button, h, uniqueName } from "./dom.js";
import { choices, field, number } from "./fields.js";
import { numberOrText, plain, seconds } from "./format.js";
import { MakeBar } from "./makebar.js";
import { announce } from "./notice.js";
import { Settings } from "./settings.js";
import { SourceSlot } from "./sources.js";
import { save, saved } from "./store.js";

const cardOf = (fields = {}) => ({
  key: uniqueName(), prompt: "", seconds: "1.5", join: "cut", picture: null, at: "0", ...fields,
});

/// One clip told in cards: what is seen, for how long, after a cut or going on.
export class Storyboard {
  #elements = new Map();
  #past = [];

  constructor(root) {
    const kept = saved("storyboard", {});
    this.cards = kept.cards?.length ? kept.cards : [cardOf()];
    this.settings = new Settings(kept.settings, () => this.#changed());
    this.track = h("ol", { class: "board-track", "aria-label": "Times" });
    this.list = h("ol", { class: "cards", "aria-label": "Cards" });
    this.more = h(
      "li", { class: "card-more" },
      button({ text: "Add card", symbol: "plus", kind: "quiet" }, () => this.add()));
    this.total = h("output", { class: "total", "aria-label": "Length" });
    this.bar = new MakeBar({ root, request: () => this.request() });
    root.append(
      h(
        "section", { class: "panel board" },
        h(
          "div", { class: "panel-head" }, h("h2", {}, "Storyboard"), this.total, h("span", { class: "spacer" }),
          button({ text: "Add card", symbol: "plus", kind: "small" }, () => this.add())),
        this.track, this.list),
      h(
        "section", { class: "panel board-settings" },
        h(
          "div", { class: "inspector-scroll" }, h("h2", {}, "Settings"),
          h("p", { class: "hint" },
            "Cards follow each other in time. A card that goes on begins with the last frames of the card before."),
          this.settings.element), this.bar.element));
    this.list.addEventListener("dragover", (event) => {
      if (this.dragged) event.preventDefault();
    });
    this.list.addEventListener("drop", (event) => this.#drop(event));
    this.render();
  }

  // MARK: Changes

  #change(act) {
    this.#past.push(JSON.stringify(this.cards));
    act();
    this.render();
  }

  add(card = cardOf({ join: "continuous", seconds: this.cards.at(-1)?.seconds ?? "1.5" }),
    place = this.cards.length) {
    this.#change(() => this.cards.splice(place, 0, card));
    this.#elements.get(card.key)?.querySelector("textarea").focus();
  }

  #move(card, to) {
    const from = this.cards.indexOf(card);
    if (to < 0 || to >= this.cards.length) return;
    this.#change(() => this.cards.splice(to, 0, ...this.cards.splice(from, 1)));
    announce(`Now card ${to + 1} of ${this.cards.length}.`);
  }

  #remove(card) {
    const place = this.cards.indexOf(card);
    this.#change(() => {
      this.cards.splice(place, 1);
      if (!this.cards.length) this.cards.push(cardOf());
    });
    this.#elements.get(this.cards[Math.min(place, this.cards.length - 1)].key)?.querySelector("textarea").focus();
  }

  undo() {
    const last = this.#past.pop();
    if (!last) return;
    this.cards = JSON.parse(last);
    this.#elements.clear();
    this.render();
  }

  #drop(event) {
    if (!this.dragged) return;
    event.preventDefault();
    event.stopPropagation();
    const target = event.target.closest(".card-edit");
    const to = target ? [...this.list.children].indexOf(target) : -1;
    if (to >= 0) this.#move(this.dragged, to);
    this.dragged = null;
  }

  // MARK: Showing

  render() {
    for (const [key] of this.#elements) {
      if (!this.cards.some((card) => card.key === key)) this.#elements.delete(key);
    }
    arrange(this.list, [...this.cards.map((card) => this.#element(card)), this.more]);
    this.#changed();
  }

  #changed() {
    let time = 0;
    const lengths = this.cards.map((card) => Number(numberOrText(card.seconds)) || 0);
    this.cards.forEach((card, index) => {
      const element = this.#elements.get(card.key);
      if (!element) return;
      element.querySelector("h3").textContent = `${index + 1}`;
      element.querySelector(".card-time").textContent = `at ${plain(time)} s`;
      element.querySelector(".card-join").hidden = index === 0;
      element.querySelector(".move-left").disabled = index === 0;
      element.querySelector(".move-right").disabled = index === this.cards.length - 1;
      time += lengths[index];
    });
    this.total.textContent = seconds(time);
    arrange(this.track, this.cards.map((card, index) =>
      h(
        "li", {
          class: card.join === "continuous" && index ? "goes-on" : "",
          style: { "--share": lengths[index] || 0.1 },
        }, `${plain(lengths[index])} s`)));
    save("storyboard", { cards: this.cards, settings: this.settings.values });
    this.bar.refresh();
  }

  #element(card) {
    const known = this.#elements.get(card.key);
    if (known) return known;
    const bound = (control, name) => {
      control.value = card[name];
      control.addEventListener("input", () => {
        card[name] = control.value;
        this.#changed();
      });
      return control;
    };
    const prompt = h("textarea", { rows: 5, class: "prompt", placeholder: "What is seen in this card" });
    const slot = new SourceSlot({ param: "picture", label: "Picture or clip", isOptional: true }, () => {
      card.picture = slot.value;
      at.hidden = !card.picture;
      this.#changed();
    });
    slot.set(card.picture);
    const at = field({ param: "at", label: "Shown at second" }, bound(number(), "at"));
    at.hidden = !card.picture;
    const tool = ({ name = "", ...options }, act) =>
      button({ kind: `quiet small ${name}`, ...options }, act);
    const place = () => this.cards.indexOf(card);
    const grip = h("span", {
      class: "card-number", draggable: "true", title: "Drag to move",
      on: {
        dragstart: (event) => {
          this.dragged = card;
          event.dataTransfer.setData("application/x-kino-card", card.key);
        },
      },
    }, h("h3", {}, ""));
    const element = h(
      "li", { class: "card-edit" },
      h(
        "div", { class: "card-head" }, grip, h("span", { class: "card-time" }), h("span", { class: "spacer" }),
        tool({ label: "Move card left", symbol: "left", name: "move-left" }, () => this.#move(card, place() - 1)),
        tool({ label: "Move card right", symbol: "right", name: "move-right" }, () => this.#move(card, place() + 1)),
        tool({ label: "Duplicate card", symbol: "copy" },
          () => this.add({ ...card, key: uniqueName() }, place() + 1)),
        tool({ label: "Delete card", symbol: "trash" }, () => this.#remove(card))),
      h(
        "div", { class: "card-join" },
        choices(
          `join-${card.key}`, "How it begins", [["cut", "Cut"], ["continuous", "Goes on"]], card.join,
          (join) => {
            card.join = join;
            this.#changed();
          })),
      field({ param: "prompt", label: "Prompt" }, bound(prompt, "prompt")),
      field({ param: "seconds", label: "Seconds" }, bound(number(), "seconds")), slot.element, at);
    this.#elements.set(card.key, element);
    return element;
  }

  // MARK: The request

  request() {
    const index = this.cards.findIndex((card) => !card.prompt.trim());
    if (index >= 0) return { missing: `Say what card ${index + 1} shows.` };
    const timeline = this.cards.map((card, place) => ({
      shot: {
        prompts: [{ text: card.prompt.trim(), start: 0 }], seconds: numberOrText(card.seconds) ?? 0,
        joins: card.join === "continuous" && place ? ["previous"] : [],
        guides: card.picture
          ? [{
            part: { path: card.picture.id, start: 0, reversed: false }, start: numberOrText(card.at) ?? 0,
            noise: 0,
          }]
          : [],
      },
    }));
    const composition = { verb: "storyboard", timeline, negative_prompt: "", fit: "crop", sound: true };
    return { path: "/v1/videos", body: { composition, ...this.settings.body() } };
  }

  /// Takes a composition over.
  restore({ timeline, found, settings }) {
    this.settings.set(settings);
    this.#change(() => {
      this.cards = timeline.map(({ shot }) => {
        const [guide] = shot.guides;
        return cardOf({
          prompt: shot.prompts[0]?.text ?? "", seconds: plain(shot.seconds ?? 1.5, 3),
          join: shot.joins.includes("previous") ? "continuous" : "cut",
          picture: guide ? found.get(guide.part.path) ?? null : null, at: plain(guide?.start ?? 0, 3),
        });
      });
    });
  }

  make(isFirst) { return this.bar.make(isFirst); }

  get keys() {
    const card = () => this.cards.find(
      (one) => this.#elements.get(one.key)?.contains(document.activeElement));
    const move = (by) => () => {
      const one = card();
      if (one) this.#move(one, this.cards.indexOf(one) + by);
    };
    return {
      "alt+left": move(-1), "alt+right": move(1), "mod+z": () => this.undo(),
      delete: () => card() && this.#remove(card()),
    };
  }
}
