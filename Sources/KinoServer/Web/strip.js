import { arrange, button, h, icon } from "./dom.js";
import { plain } from "./format.js";
import { lengthOf, shotOf, totalOf } from "./segments.js";
import { acceptDrops, filmstrip } from "./sources.js";

const segmentType = "application/x-kino-segment";
/// New frames on their way to the timeline.
export const shotType = "application/x-kino-shot";

/// The segments drawn to scale: chosen, dragged, and trimmed by their edges.
export class Strip {
  constructor(timeline) {
    this.timeline = timeline;
    this.track = h("ol", { class: "track", "aria-label": "Segments" });
    this.ruler = h("div", { class: "ruler", "aria-hidden": "true" });
    this.empty = h("p", { class: "empty small" }, "Drop clips here, or add them with the buttons above.");
    this.element = h("div", { class: "strip" }, this.ruler, this.track, this.empty);
    acceptDrops(this.element, (source, event) => timeline.addClip(source, null, this.#placeAt(event.clientX)));
    this.element.addEventListener("dragover", (event) => {
      const { types } = event.dataTransfer;
      if (types.includes(segmentType) || types.includes(shotType)) event.preventDefault();
    });
    this.element.addEventListener("drop", (event) => {
      const isNew = event.dataTransfer.types.includes(shotType);
      if (!this.dragged && !isNew) return;
      event.preventDefault();
      event.stopPropagation();
      const place = this.#placeAt(event.clientX);
      if (isNew) {
        timeline.insert(shotOf({ seconds: 1.5 }), place);
        return;
      }
      const from = timeline.items.findIndex((item) => item.key === this.dragged);
      this.dragged = null;
      timeline.move(from, place > from ? place - 1 : place);
    }, true);
    // Segments are drawn to the room there is.
    new ResizeObserver(() => this.#scale()).observe(this.element);
  }

  render() {
    const { items } = this.timeline;
    this.empty.hidden = items.length > 0;
    this.ruler.hidden = !items.length;
    const hadFocus = this.track.contains(document.activeElement);
    arrange(this.track, items.flatMap((item, index) => [
      this.#segment(item, index), ...(index < items.length - 1 ? [this.#seam(index)] : []),
    ]));
    this.#scale();
    if (hadFocus) this.focus();
  }

  /// Pixels for a second: all of it is seen, unless segments would be too narrow to grasp.
  #scale() {
    const { items } = this.timeline;
    const total = totalOf(items);
    if (!total) return;
    const gaps = items.map((_, index) => this.#gap(index));
    const room = this.element.clientWidth - 24 - gaps.reduce((sum, gap) => sum + gap, 0);
    this.pixels = Math.max(60, Math.min(260, room / total));
    const lengths = items.map((_, index) => lengthOf(items, index));
    [...this.track.querySelectorAll(".segment")].forEach((element, index) => {
      element.style.setProperty("--width", `${Math.max(64, lengths[index] * this.pixels)}px`);
    });
    let time = 0;
    this.ruler.replaceChildren(...lengths.map((length, index) => {
      const mark = h(
        "span", { style: { "--width": `${Math.max(64, length * this.pixels) + gaps[index]}px` } },
        `${plain(time)} s`);
      time += length;
      return mark;
    }));
  }

  /// Pixels between a segment and the next: hardly any where one runs into the other.
  #gap(index) {
    const [item, next] = [this.timeline.items[index], this.timeline.items[index + 1]];
    if (!next) return 0;
    return (item.kind === "shot" && item.next) || (next.kind === "shot" && next.previous) ? 3 : 26;
  }

  #segment(item, index) {
    const { timeline } = this;
    const isClip = item.kind === "clip";
    const isChosen = item.key === timeline.selected;
    const length = `${plain(lengthOf(timeline.items, index))} s`;
    const name = isClip ? item.source.name : item.prompt || "New frames";
    const open = h(
      "button", {
        type: "button", class: "segment-open", draggable: "true", "data-plays": true, tabindex: isChosen ? "0" : "-1",
        "aria-current": isChosen ? "true" : null,
        "aria-label": `Segment ${index + 1}, ${isClip ? "clip" : "new frames"}: ${name}, ${length}`,
        on: {
          click: () => {
            timeline.select(item.key);
            this.focus();
          },
          dragstart: (event) => {
            this.dragged = item.key;
            event.dataTransfer.setData(segmentType, item.key);
            event.dataTransfer.effectAllowed = "move";
          },
        },
      },
      isClip ? filmstrip(item.source, { draggable: "false" }) : icon(item.blend ? "blend" : "spark"),
      h("span", { class: "segment-name" }, name),
      h("span", { class: "segment-length" }, item.reversed ? `${length}, reversed` : length));
    const element = h("li", { class: `segment is-${item.kind}${isChosen ? " is-chosen" : ""}` }, open);
    if (isChosen && !(isClip && item.source.kind === "picture")) {
      element.append(this.#handle(item, "in"), this.#handle(item, "out"));
      // A shot grows at its end only.
      if (!isClip) element.querySelector(".handle-in").remove();
    }
    return element;
  }

  #seam(index) {
    const { items } = this.timeline;
    const style = { "--gap": `${this.#gap(index)}px` };
    const isCut = items[index].kind === "clip" && items[index + 1].kind === "clip";
    if (!isCut) return h("li", { class: "seam", role: "presentation", style });
    return h(
      "li", { class: "seam", style },
      button({ label: `Connect segments ${index + 1} and ${index + 2}`, symbol: "plus", kind: "seam-add" },
        () => this.timeline.fill(index)));
  }

  /// An edge to trim by; the fields of the inspector do the same from the keyboard.
  #handle(item, end) {
    const handle = h("span", { class: `handle handle-${end}`, "aria-hidden": "true" });
    handle.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      event.stopPropagation();
      handle.setPointerCapture(event.pointerId);
      const start = event.clientX;
      const { pixels } = this;
      const first = item.kind === "clip" ? item[end] : item.seconds;
      let value = first;
      const drag = (moved) => {
        value = this.#trimmed(item, end, first + (moved.clientX - start) / pixels);
        const change = (value - first) * (end === "in" ? -1 : 1);
        const index = this.timeline.index;
        const length = lengthOf(this.timeline.items, index) + change;
        handle.parentElement.style.setProperty("--width", `${Math.max(24, length * pixels)}px`);
        handle.parentElement.querySelector(".segment-length").textContent = `${plain(length)} s`;
        if (item.kind === "clip") this.timeline.player.seek(value);
      };
      handle.addEventListener("pointermove", drag);
      handle.addEventListener("lostpointercapture", () => {
        handle.removeEventListener("pointermove", drag);
        if (value === first) return;
        this.timeline.change(() => { item[item.kind === "clip" ? end : "seconds"] = value; });
      }, { once: true });
    });
    return handle;
  }

  /// A time on a frame, and within what there is.
  #trimmed(item, end, time) {
    const rate = item.source?.rate ?? 12;
    const value = Math.round(time * rate) / rate;
    if (item.kind === "shot") return Math.max(1 / rate, Math.min(60, value));
    if (end === "in") return Math.max(0, Math.min(value, item.out - 1 / rate));
    return Math.max(item.in + 1 / rate, Math.min(value, item.source.seconds));
  }

  #placeAt(x) {
    const boxes = [...this.track.querySelectorAll(".segment")].map((one) => one.getBoundingClientRect());
    const place = boxes.findIndex((box) => x < box.left + box.width / 2);
    return place < 0 ? boxes.length : place;
  }

  showPlaying(index) {
    [...this.track.querySelectorAll(".segment")].forEach((element, place) => {
      element.classList.toggle("is-playing", place === index);
    });
  }

  focus() { this.track.querySelector(".is-chosen .segment-open")?.focus(); }
}
