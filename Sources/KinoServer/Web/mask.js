import { contentOf } from "./api.js";
import { button, dialog, h } from "./dom.js";
import { choices, field } from "./fields.js";
import { attempt } from "./notice.js";
import { uploadSource } from "./sources.js";

/// Asks for a mask over a frame of a source: what is painted may change.
export async function paintMask(source, time, take) {
  const frame = await attempt(() => frameOf(source, time));
  if (frame) new MaskPainter(frame, take);
}

/// One frame of a source, as a canvas.
async function frameOf(source, time) {
  const isStill = source.kind === "picture";
  const element = isStill ? new Image() : document.createElement("video");
  element.muted = true;
  element.preload = "auto";
  element.src = contentOf(source.id);
  await new Promise((resolve, reject) => {
    const fail = () => reject(new Error("The frame can't be shown by this browser."));
    element.addEventListener("error", fail);
    if (isStill) {
      element.addEventListener("load", resolve);
      return;
    }
    element.addEventListener("loadeddata", () => { element.currentTime = Math.max(0.01, time); });
    element.addEventListener("seeked", resolve);
  });
  const canvas = h("canvas", {
    width: isStill ? element.naturalWidth : element.videoWidth,
    height: isStill ? element.naturalHeight : element.videoHeight,
  });
  canvas.getContext("2d").drawImage(element, 0, 0);
  return canvas;
}

class MaskPainter {
  #strokes = [];
  #last = null;
  tool = "paint";
  isDown = false;

  constructor(frame, take) {
    this.frame = frame;
    const { width, height } = frame;
    this.mask = h("canvas", { width, height });
    // Drawn larger than it is, so that the brush is seen sharply.
    this.scale = Math.max(1, Math.round(800 / width));
    this.view = h("canvas", {
      width: width * this.scale, height: height * this.scale, class: "mask-canvas", tabindex: "0",
      role: "application",
      "aria-label":
        "Mask. Drag to paint. With the keyboard: arrows move the brush, space lowers and lifts it.",
    });
    this.cursor = { x: width / 2, y: height / 2 };
    this.brush = h("input", {
      type: "range", min: Math.max(2, width / 64), max: width / 2, step: 1, value: width / 8,
      on: { input: () => this.#draw() },
    });
    this.#listen();
    this.box = dialog(
      { title: "Paint what may change", kind: "wide mask-dialog" },
      h(
        "div", { class: "mask-tools" },
        choices("tool", "Tool", [["paint", "Paint"], ["erase", "Erase"]], "paint", (tool) => {
          this.tool = tool;
        }),
        field({ label: "Brush", param: "brush" }, this.brush),
        button({ text: "Undo", symbol: "undo", kind: "quiet" }, () => this.#undo()),
        button({ text: "Invert", kind: "quiet" }, () => this.#change(() => this.#invert())),
        button({ text: "Clear", kind: "quiet" }, () => this.#change(() => this.#clear()))),
      h("div", { class: "mask-stage" }, this.view),
      h(
        "div", { class: "dialog-foot" },
        h("p", { class: "hint" }, "Everything outside stays as it is, to the pixel."),
        button({ text: "Use mask", kind: "primary" }, async () => {
          const blob = await this.#picture();
          const source = await attempt(() => uploadSource(blob, "mask.png"));
          if (!source) return;
          this.box.close();
          take(source);
        })));
    this.#draw();
  }

  get pen() { return this.mask.getContext("2d", { willReadFrequently: true }); }

  #clear() { this.pen.clearRect(0, 0, this.mask.width, this.mask.height); }

  #invert() {
    this.pen.globalCompositeOperation = "source-out";
    this.pen.fillStyle = "white";
    this.pen.fillRect(0, 0, this.mask.width, this.mask.height);
  }

  /// The mask as the server wants it: a PNG, white where frames may change, black elsewhere.
  #picture() {
    const { width, height } = this.mask;
    const canvas = h("canvas", { width, height });
    const pen = canvas.getContext("2d");
    pen.fillRect(0, 0, width, height);
    pen.drawImage(this.mask, 0, 0);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  #remember() {
    this.#strokes.push(this.pen.getImageData(0, 0, this.mask.width, this.mask.height));
    if (this.#strokes.length > 30) this.#strokes.shift();
  }

  #undo() {
    const last = this.#strokes.pop();
    if (last) this.pen.putImageData(last, 0, 0);
    this.#draw();
  }

  #change(act) {
    this.#remember();
    act();
    this.#draw();
  }

  #paint(x, y) {
    const { pen } = this;
    pen.globalCompositeOperation = this.tool === "paint" ? "source-over" : "destination-out";
    pen.strokeStyle = "white";
    pen.lineWidth = Number(this.brush.value);
    pen.lineCap = "round";
    pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...(this.#last ?? [x, y]));
    pen.lineTo(x + 0.01, y);
    pen.stroke();
    this.#last = [x, y];
    this.#draw();
  }

  #listen() {
    const { view } = this;
    const place = (event) => {
      const box = view.getBoundingClientRect();
      return [
        (event.clientX - box.left) / box.width * this.frame.width,
        (event.clientY - box.top) / box.height * this.frame.height,
      ];
    };
    view.addEventListener("pointerdown", (event) => {
      view.setPointerCapture(event.pointerId);
      this.#remember();
      this.#last = null;
      this.#paint(...place(event));
    });
    view.addEventListener("pointermove", (event) => {
      [this.cursor.x, this.cursor.y] = place(event);
      if (event.buttons) this.#paint(this.cursor.x, this.cursor.y);
      else this.#draw();
    });
    view.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (event.key === " ") {
        this.isDown = !this.isDown;
        if (this.isDown) this.#remember();
        this.#last = null;
      } else if (by) {
        const step = Math.max(1, Number(this.brush.value) / 4);
        this.cursor.x = Math.min(this.frame.width, Math.max(0, this.cursor.x + by[0] * step));
        this.cursor.y = Math.min(this.frame.height, Math.max(0, this.cursor.y + by[1] * step));
      } else {
        return;
      }
      event.preventDefault();
      if (this.isDown) this.#paint(this.cursor.x, this.cursor.y);
      else this.#draw();
    });
  }

  /// The frame, with what is masked in the colour of things to do.
  #draw() {
    const { width, height } = this.frame;
    const pen = this.view.getContext("2d");
    pen.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    const tint = h("canvas", { width, height }).getContext("2d");
    tint.fillStyle = "#ff3d8b";
    tint.fillRect(0, 0, width, height);
    tint.globalCompositeOperation = "destination-in";
    tint.drawImage(this.mask, 0, 0);
    pen.drawImage(this.frame, 0, 0);
    pen.globalAlpha = 0.65;
    pen.drawImage(tint.canvas, 0, 0);
    pen.globalAlpha = 1;
    pen.lineWidth = 2 / this.scale;
    pen.strokeStyle = "white";
    pen.beginPath();
    pen.arc(this.cursor.x, this.cursor.y, Number(this.brush.value) / 2, 0, 7);
    pen.stroke();
  }
}
