import { button, h } from "./dom.js";
import { check, field, number } from "./fields.js";
import { numberOrText, plain } from "./format.js";

/// The chosen segment in fields: all that can be dragged can be typed.
export class Inspector {
  constructor(timeline) {
    this.timeline = timeline;
    this.element = h("div", { class: "inspector" });
  }

  render() {
    const { item, index } = this.timeline;
    // Fields stay while they are typed in.
    if (this.shown === item?.key && this.element.contains(document.activeElement)) {
      this.#refresh(item, index);
      return;
    }
    this.shown = item?.key;
    this.element.replaceChildren(...(item ? this.#fields(item, index) : [
      h("h2", {}, "Timeline"),
      h("p", { class: "hint" },
        "Put clips in a row. A gap between two is filled with new frames that lead from one to the other. "
        + "Cards are new scenes."),
    ]));
  }

  #refresh(item, index) {
    this.element.querySelector("h2").textContent = this.#title(item, index);
    if (item.kind !== "clip") return;
    for (const name of ["in", "out"]) {
      if (this[name] && this[name] !== document.activeElement) this[name].value = plain(item[name], 3);
    }
  }

  #fields(item, index) {
    return [
      h(
        "div", { class: "panel-head" },
        h("h2", {}, this.#title(item, index)),
        button({ label: "Move left", symbol: "left", keys: "Alt \u2190", kind: "quiet small" },
          () => this.timeline.move(this.timeline.index, this.timeline.index - 1)),
        button({ label: "Move right", symbol: "right", keys: "Alt \u2192", kind: "quiet small" },
          () => this.timeline.move(this.timeline.index, this.timeline.index + 1)),
        button({ label: "Take out", symbol: "trash", keys: "Del", kind: "quiet small" },
          () => this.timeline.remove())),
      ...(item.kind === "clip" ? this.#clipFields(item) : this.#shotFields(item)),
    ];
  }

  #title(item, index) { return `${item.kind === "clip" ? "Clip" : "New frames"} ${index + 1}`; }

  #set(item, name, value) {
    if (item[name] === value) return;
    this.timeline.change(() => { item[name] = value; });
  }

  #clipFields(item) {
    const end = (name) => {
      const control = number({ value: plain(item[name], 3) });
      control.addEventListener("change", () => {
        const value = Number(numberOrText(control.value));
        const most = item.source.seconds ?? 60;
        const isGood = Number.isFinite(value) && value >= 0 && value <= most + 1e-3
          && (name === "in" ? value < item.out : value > item.in);
        if (isGood) this.#set(item, name, value);
        else control.value = plain(item[name], 3);
      });
      this[name] = control;
      return control;
    };
    const turned = check({ param: "reversed", label: "Play it backwards" }, { checked: item.reversed });
    turned.querySelector("input").addEventListener("change", (event) =>
      this.#set(item, "reversed", event.target.checked));
    const isStill = item.source.kind === "picture";
    return [
      h("p", { class: "segment-title" }, item.source.name),
      isStill
        ? ""
        : h(
          "div", { class: "field-grid" }, field({ param: "in", label: "In, seconds" }, end("in")),
          field({ param: "out", label: `Out, of ${plain(item.source.seconds)} s` }, end("out"))),
      isStill ? "" : turned,
    ];
  }

  #shotFields(item) {
    const prompt = h("textarea", { rows: 3, class: "prompt", placeholder: "What happens here" });
    prompt.value = item.prompt;
    prompt.addEventListener("change", () => this.#set(item, "prompt", prompt.value.trim()));
    const length = number({ value: plain(item.seconds, 3) });
    length.addEventListener("change", () => {
      const value = Number(numberOrText(length.value));
      if (value > 0) this.#set(item, "seconds", value);
      else length.value = plain(item.seconds, 3);
    });
    const option = (name, label) => {
      const box = check({ param: name, label }, { checked: item[name] });
      box.querySelector("input").addEventListener("change", (event) => {
        this.#set(item, name, event.target.checked);
        // A blend is new frames in place of both ends; it joins both.
        if (name === "blend" && event.target.checked) Object.assign(item, { previous: true, next: true });
        this.shown = null;
        this.timeline.render();
      });
      return box;
    };
    return [
      field({ param: "prompt", label: "Prompt" }, prompt),
      field({ param: "seconds", label: "Seconds" }, length),
      option("previous", "Goes on from what is before"),
      option("next", "Runs into what is after"),
      option("blend", "Blends: takes its time from both neighbours"),
    ];
  }
}
