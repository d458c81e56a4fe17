import { contentOf } from "./api.js";
import { button, h, icon } from "./dom.js";
import { plain, seconds } from "./format.js";
import { Inspector } from "./inspector.js";
import { MakeBar } from "./makebar.js";
import { announce } from "./notice.js";
import { Player } from "./player.js";
import {
  clipOf, compositionOf, itemsOf, missingOf, rangeOf, shotOf, totalOf,
} from "./segments.js";
import { Sequence } from "./sequence.js";
import { Settings } from "./settings.js";
import { chooseSource, dragType, sourceOf, thumbnail } from "./sources.js";
import { save, saved, store } from "./store.js";
import { shotType, Strip } from "./strip.js";

/// Clips and shots in a row: trimmed, extended, connected, looped, blended, and made as one composition.
export class Timeline {
  #past = [];

  constructor(root) {
    const kept = saved("timeline", {});
    this.items = kept.items ?? [];
    this.selected = kept.selected ?? null;
    this.settings = new Settings(kept.settings, () => this.#changed());
    this.player = new Player({ marked: (range) => this.#trim(range) });
    this.card = h("div", { class: "screen-card", hidden: true });
    this.player.screen.append(this.card);
    this.sequence = new Sequence(this.player, (index) => this.#playing(index));
    this.strip = new Strip(this);
    this.inspector = new Inspector(this);
    this.bar = new MakeBar({ root, request: () => this.request() });
    this.bin = h("div", { class: "bin", role: "group", "aria-label": "Clips to add" });
    root.append(
      h("section", { class: "panel bin-panel" }, h("div", { class: "panel-head" }, h("h2", {}, "Clips")), this.bin),
      h("section", { class: "panel monitor", "aria-label": "Monitor" }, this.player.element),
      h(
        "section", { class: "panel inspector-panel" },
        h("div", { class: "inspector-scroll" }, this.inspector.element, this.settings.element),
        this.bar.element),
      h("section", { class: "panel strip-panel", "aria-label": "Timeline" }, this.#toolbar(), this.strip.element));
    store.addEventListener("videos", () => this.#showBin());
    this.#showBin();
    this.render();
  }

  #toolbar() {
    const tool = (text, symbol, act) => button({ text, symbol, kind: "quiet small" }, act);
    this.playAll = tool("Play all", "play", () => this.#togglePlay());
    this.length = h("output", { class: "total", "aria-label": "Length" });
    this.undoButton = button({ label: "Undo", symbol: "undo", keys: "Ctrl Z", kind: "quiet small" },
      () => this.undo());
    return h(
      "div", { class: "toolbar" }, this.playAll, this.length,
      h("span", { class: "spacer" }),
      tool("Add clip", "plus",
        () => chooseSource({ title: "Add to the timeline" }, (source) => this.addClip(source))),
      tool("Add card", "board", () => this.insert(shotOf({ seconds: 1.5 }), this.#after())),
      tool("Extend before", "left", () => this.insert(shotOf({ next: true }), 0)),
      tool("Extend after", "right", () => this.insert(shotOf({ previous: true }), this.items.length)),
      tool("Close the loop", "loop",
        () => this.insert(shotOf({ previous: true, next: true }), this.items.length)),
      this.undoButton,
      button({ label: "Clear the timeline", symbol: "trash", kind: "quiet small" }, () => this.change(() => {
        this.items = [];
      })));
  }

  #showBin() {
    const clips = store.finished.slice(0, 60).map(sourceOf);
    const card = button({ text: "New card", symbol: "spark", kind: "bin-card" },
      () => this.insert(shotOf({ seconds: 1.5 }), this.#after()));
    card.draggable = true;
    card.addEventListener("dragstart", (event) => event.dataTransfer.setData(shotType, "new"));
    this.bin.replaceChildren(
      card,
      ...clips.map((source) => {
        const add = button({ label: `Add ${source.name}`, kind: "bin-clip" }, () => this.addClip(source));
        add.append(thumbnail(source, { draggable: "false" }), h("span", {}, source.name));
        add.draggable = true;
        add.addEventListener("dragstart", (event) => {
          event.dataTransfer.setData(dragType, source.id);
        });
        return add;
      }),
      ...(clips.length
        ? []
        : [h("p", { class: "empty small" }, "Videos that you make wait here for the timeline.")]));
  }

  // MARK: Changes

  get index() { return this.items.findIndex((item) => item.key === this.selected); }
  get item() { return this.items[this.index]; }

  #after() { return this.index < 0 ? this.items.length : this.index + 1; }

  /// Changes the segments in a way that can be undone.
  change(act) {
    this.#past.push(JSON.stringify(this.items));
    if (this.#past.length > 60) this.#past.shift();
    act();
    this.render();
  }

  undo() {
    const last = this.#past.pop();
    if (!last) return;
    this.items = JSON.parse(last);
    this.render();
    announce("Undone.");
  }

  insert(item, place) {
    this.change(() => {
      this.items.splice(place, 0, item);
      this.selected = item.key;
    });
    announce(`Segment ${place + 1} added.`);
  }

  addClip(source, range, place = this.items.length) { this.insert(clipOf(source, range), place); }

  /// Fills the gap behind a segment with new frames that join both sides.
  fill(index) {
    this.insert(shotOf({ previous: true, next: true }), index + 1);
  }

  remove() {
    const { index } = this;
    if (index < 0) return false;
    this.change(() => {
      this.items.splice(index, 1);
      this.selected = (this.items[index] ?? this.items[index - 1])?.key ?? null;
    });
    this.strip.focus();
    return true;
  }

  move(from, to) {
    if (from < 0 || to < 0 || to >= this.items.length || from === to) return;
    this.change(() => this.items.splice(to, 0, ...this.items.splice(from, 1)));
    announce(`Now segment ${to + 1} of ${this.items.length}.`);
  }

  select(key) {
    this.sequence.stop();
    this.selected = key;
    this.render();
  }

  #trim(range) {
    const { item } = this;
    if (item?.kind === "clip") this.change(() => Object.assign(item, range));
  }

  // MARK: Showing

  render() {
    if (this.index < 0) this.selected = this.items[0]?.key ?? null;
    this.strip.render();
    this.inspector.render();
    this.#showItem(this.item);
    this.length.textContent = this.items.length ? seconds(totalOf(this.items)) : "";
    this.playAll.disabled = !this.items.length;
    this.undoButton.disabled = !this.#past.length;
    this.#changed();
  }

  #showItem(item) {
    const isCard = item?.kind !== "clip";
    this.card.hidden = !isCard;
    this.player.transport.hidden = isCard;
    if (!isCard) {
      const { source } = item;
      this.player.load(contentOf(source.id), {
        rate: source.rate, isStill: source.kind === "picture", range: [item.in, item.out],
      });
      this.player.transport.hidden = source.kind === "picture";
      return;
    }
    this.player.pause();
    this.card.replaceChildren(
      this.#neighbours(item) ?? icon(item ? "spark" : "timeline"),
      h("p", {}, item
        ? item.prompt || "New frames, without a prompt" : "Add clips, or drop them below."),
      item ? h("small", {}, `${plain(item.seconds)} s that will be made`) : "");
  }

  /// The frames that a shot goes on from and runs into.
  #neighbours(item) {
    const index = this.items.indexOf(item);
    const { items } = this;
    const ends = [
      item?.previous ? [index - 1, "end"] : null,
      // After the last segment comes the first, which closes a loop.
      item?.next ? [(index + 1) % items.length, "start"] : null,
    ].filter((end) => end && items[end[0]]?.kind === "clip" && items[end[0]].source.kind === "clip");
    if (!ends.length) return null;
    const frames = ends.map(([place, end]) => {
      const time = rangeOf(items, place)[end] - (end === "end" ? 0.5 / items[place].source.rate : 0);
      const picture = h("video", {
        src: `${contentOf(items[place].source.id)}#t=${Math.max(0.001, time).toFixed(3)}`, preload: "auto",
      });
      picture.muted = true;
      return picture;
    });
    const isBefore = item.previous && ends[0][1] === "end";
    const shown = isBefore ? [frames[0], icon("spark"), frames[1]] : [icon("spark"), frames[0]];
    return h("div", { class: "neighbours" }, shown);
  }

  #playing(index) {
    this.strip.showPlaying(index);
    this.playAll.querySelector("span").textContent = index < 0 ? "Play all" : "Stop";
    this.playAll.querySelector("svg").replaceWith(icon(index < 0 ? "play" : "stop"));
    if (index < 0) {
      this.#showItem(this.item);
    } else if (this.items[index].kind === "shot") {
      this.#showItem(this.items[index]);
    } else {
      this.card.hidden = true;
    }
  }

  #togglePlay() {
    if (this.sequence.isPlaying) this.sequence.stop();
    else this.sequence.play(this.items);
  }

  #changed() {
    save("timeline", { items: this.items, selected: this.selected, settings: this.settings.values });
    this.bar.refresh();
  }

  request() {
    const missing = missingOf(this.items);
    if (missing) return { missing };
    return { path: "/v1/videos", body: { composition: compositionOf(this.items), ...this.settings.body() } };
  }

  /// Takes a composition over.
  restore({ timeline, found, settings }) {
    this.settings.set(settings);
    this.change(() => {
      this.items = itemsOf(timeline, found);
      this.selected = this.items[0]?.key ?? null;
    });
  }

  make(isFirst) { return this.bar.make(isFirst); }

  get keys() {
    const walk = (by) => () => {
      const next = this.items[this.index + by];
      if (!next) return;
      this.select(next.key);
      this.strip.focus();
    };
    const inStrip = () => this.strip.element.contains(document.activeElement);
    const { player } = this;
    const either = (first, second) => () => (inStrip() ? first() : second());
    return {
      ...player.keys, left: either(walk(-1), player.keys.left), right: either(walk(1), player.keys.right),
      "alt+left": () => this.move(this.index, this.index - 1),
      "alt+right": () => this.move(this.index, this.index + 1), delete: () => this.remove(),
      "mod+z": () => this.undo(),
      space: () => {
        if (this.item?.kind === "clip" && !this.sequence.isPlaying) player.toggle();
        else this.#togglePlay();
      },
    };
  }
}

