import { button, h } from "./dom.js";
import { check, field, input, number, select } from "./fields.js";
import { numberOrText } from "./format.js";
import { store } from "./store.js";

const sizes = [
  ["", "Automatic"], ["256x256", "256 \u00d7 256, square"], ["320x192", "320 \u00d7 192, wide"],
  ["192x320", "192 \u00d7 320, tall"], ["832x480", "832 \u00d7 480, wide"],
  ["480x832", "480 \u00d7 832, tall"], ["1280x720", "1280 \u00d7 720, HD"], ["720x1280", "720 \u00d7 1280, tall HD"],
  ["1920x1080", "1920 \u00d7 1080, full HD"], ["1080x1920", "1080 \u00d7 1920, tall"], ["other", "Other..."],
];

const names = [
  "seed", "n", "steps", "guidance", "negative_prompt", "fps", "fit", "sampler", "format", "model", "sound",
];

/// How something is made, whatever it is: size, seed, and what few people change.
export class Settings {
  constructor(values, changed) {
    this.changed = changed;
    this.controls = {
      size: select(sizes, { class: "grow" }),
      other: input({ placeholder: "1024x576", "aria-label": "Width and height", class: "short" }),
      n: select(["1", "2", "3", "4", "8"].map((text) => [text, text])),
      seed: number({ placeholder: "random", inputmode: "numeric", class: "grow" }),
      steps: number({ placeholder: "model's own", inputmode: "numeric" }),
      guidance: number({ placeholder: "model's own" }),
      negative_prompt: h("textarea", { rows: 2, placeholder: "blurry, text" }),
      fps: input({ placeholder: "automatic" }),
      fit: select([["", "Crop"], ["pad", "Pad"], ["stretch", "Stretch"]]),
      sampler: select([
        ["", "Model's own"], ["unipc", "UniPC"], ["euler", "Euler"], ["heun", "Heun"],
        ["dpm++2m", "DPM++ 2M"],
      ]),
      format: select([
        ["", "Automatic"], ["mp4", "MP4"], ["mov", "MOV"], ["gif", "GIF"], ["webp", "WebP"],
        ["png", "PNG"], ["jpg", "JPEG"],
      ]),
      model: select([["", "First model"]]),
    };
    this.sound = check({ param: "sound", label: "Keep the sound of sources" }, { checked: true });
    this.controls.sound = this.sound.querySelector("input");
    this.element = this.#layout();
    this.element.addEventListener("input", () => {
      this.#showOther();
      changed();
    });
    store.addEventListener("models", () => this.#listModels());
    this.#listModels();
    this.set(values);
  }

  #layout() {
    const c = this.controls;
    this.random = button({ label: "Random seed", symbol: "again", kind: "quiet small" }, () => {
      c.seed.value = "";
      this.changed();
    });
    return h(
      "div", { class: "settings" },
      h(
        "div", { class: "field-pair" },
        field({ param: "size", label: "Size" }, c.size, c.other),
        field({ param: "n", label: "Variations", kind: "narrow" }, c.n)),
      field({ param: "seed", label: "Seed" }, c.seed, this.random),
      h(
        "details", { class: "more" }, h("summary", {}, "Fine settings"),
        h(
          "div", { class: "field-grid" },
          field({ param: "steps", label: "Steps", hint: "More is finer and slower" }, c.steps),
          field({ param: "guidance", label: "Guidance", hint: "How literally the prompt is taken" },
            c.guidance)),
        field({ param: "negative_prompt", label: "Negative prompt" }, c.negative_prompt),
        h(
          "div", { class: "field-grid" },
          field({ param: "fps", label: "Frames a second" }, c.fps),
          field({ param: "fit", label: "Other shapes" }, c.fit),
          field({ param: "sampler", label: "Sampler" }, c.sampler),
          field({ param: "format", label: "Format" }, c.format)),
        field({ param: "model", label: "Model" }, c.model),
        this.sound));
  }

  #listModels() {
    const chosen = this.controls.model.value || this.wantedModel || "";
    this.controls.model.replaceChildren(
      ...[["", "First model"], ...store.models.map((name) => [name, name])].map(
        ([value, words]) => h("option", { value }, words)));
    this.controls.model.value = store.models.includes(chosen) ? chosen : "";
  }

  #showOther() {
    this.controls.other.hidden = this.controls.size.value !== "other";
  }

  /// Takes over what is given; the rest becomes the default.
  set(values = {}) {
    const c = this.controls;
    const size = values.size ?? "";
    const isListed = sizes.some(([value]) => value === size);
    c.size.value = isListed ? size : "other";
    c.other.value = isListed ? (values.other ?? "") : size;
    for (const name of names) {
      if (name === "sound") c.sound.checked = values.sound ?? true;
      else c[name].value = values[name] ?? (name === "n" ? "1" : "");
    }
    if (!c.n.value) c.n.value = "1";
    this.wantedModel = values.model;
    this.#listModels();
    this.#showOther();
  }

  /// What is kept over a reload.
  get values() {
    const values = { size: this.size, sound: this.controls.sound.checked };
    for (const name of names) if (name !== "sound") values[name] = this.controls[name].value;
    return values;
  }

  get size() {
    const { size, other } = this.controls;
    return size.value === "other" ? other.value.trim() : size.value;
  }

  /// The fields of a request; what is automatic is left out.
  body() {
    const { controls: c } = this;
    const body = {
      size: this.size || undefined, seed: numberOrText(c.seed.value), steps: numberOrText(c.steps.value),
      guidance: numberOrText(c.guidance.value), negative_prompt: c.negative_prompt.value.trim() || undefined,
      fps: c.fps.value.trim() || undefined, fit: c.fit.value || undefined,
      sampler: c.sampler.value || undefined, format: c.format.value || undefined,
      model: c.model.value || undefined, n: Number(c.n.value) > 1 ? Number(c.n.value) : undefined,
      sound: c.sound.checked ? undefined : false,
    };
    for (const name of Object.keys(body)) if (body[name] === undefined) delete body[name];
    return body;
  }
}
