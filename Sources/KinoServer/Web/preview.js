import { h, wantsLessMotion } from "./dom.js";
import { aspect } from "./format.js";

/// What is being sampled, moving: the frames of a preview come side by side in one picture.
export class Preview {
  constructor(size) {
    this.ratio = aspect(size);
    this.canvas = h("canvas", { class: "preview", role: "img", "aria-label": "Preview" });
    this.frame = 0;
    this.timer = setInterval(() => this.#draw(), 125);
  }

  /// Shows a sheet, a PNG in base64.
  async show(sheet) {
    if (sheet === this.shown) return;
    this.shown = sheet;
    const image = new Image();
    image.src = `data:image/png;base64,${sheet}`;
    try {
      await image.decode();
    } catch {
      return;
    }
    this.sheet = image;
    this.count = Math.max(1, Math.round(image.width / (image.height * this.ratio)));
    this.canvas.width = Math.round(image.width / this.count);
    this.canvas.height = image.height;
    this.#draw();
  }

  #draw() {
    if (!this.sheet || document.hidden) return;
    const { width, height } = this.canvas;
    if (!wantsLessMotion()) this.frame = (this.frame + 1) % this.count;
    this.canvas.getContext("2d").drawImage(
      this.sheet, Math.min(this.frame, this.count - 1) * width, 0, width, height, 0, 0, width, height);
  }

  stop() { clearInterval(this.timer); }
}
