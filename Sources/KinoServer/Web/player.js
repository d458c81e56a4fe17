import { button, h } from "./dom.js";
import { timecode } from "./format.js";

/// Plays a clip as editors do: by frames, at several speeds, with an in and an out. A picture it shows.
export class Player {
  rate = 12;
  in = 0;
  out = 0;
  #speed = 0;
  #timer = 0;

  /// `marked` hears of new in and out points.
  constructor({ marked } = {}) {
    this.marked = marked;
    this.video = h("video", { playsinline: true, muted: true, loop: true, preload: "auto" });
    this.video.muted = true;
    this.image = h("img", { alt: "", hidden: true });
    this.playButton = button({ label: "Play", symbol: "play", keys: "Space", kind: "quiet" },
      () => this.toggle());
    this.scrub = h("input", {
      type: "range", min: 0, max: 1, step: "any", value: 0, "aria-label": "Place in the clip",
      on: { input: () => this.seek(Number(this.scrub.value)) },
    });
    this.time = h("output", { class: "timecode", "aria-label": "Time" }, "00:00:00");
    this.marks = h("div", { class: "marks", "aria-hidden": "true" });
    this.transport = h(
      "div", { class: "transport" }, this.playButton,
      button({ label: "One frame back", symbol: "left", keys: "\u2190", kind: "quiet small" },
        () => this.step(-1)),
      button({ label: "One frame on", symbol: "right", keys: "\u2192", kind: "quiet small" },
        () => this.step(1)),
      h("div", { class: "scrub" }, this.scrub, this.marks), this.time,
      marked
        ? [
          button({ text: "In", kind: "quiet small", title: "Begin here (I)", "aria-label": "In: begin here" },
            () => this.mark("in")),
          button({ text: "Out", kind: "quiet small", title: "End here (O)", "aria-label": "Out: end here" },
            () => this.mark("out")),
        ]
        : []);
    this.screen = h("div", { class: "screen" }, this.video, this.image);
    this.element = h("div", { class: "player" }, this.screen, this.transport);
    for (const kind of ["play", "pause"]) this.video.addEventListener(kind, () => this.#showState());
    for (const kind of ["seeked", "loadedmetadata", "durationchange"]) {
      this.video.addEventListener(kind, () => this.#showTime());
    }
    this.screen.addEventListener("click", () => this.toggle());
  }

  get duration() { return Number.isFinite(this.video.duration) ? this.video.duration : 0; }
  get isStill() { return this.video.hidden; }

  /// Shows another file; `range` is what is in.
  load(url, { rate = 12, isStill = false, range = null } = {}) {
    this.rate = rate;
    this.#speed = 0;
    clearInterval(this.#timer);
    this.video.hidden = isStill;
    this.image.hidden = !isStill;
    this.transport.hidden = isStill;
    if (isStill) {
      this.video.removeAttribute("src");
      this.image.src = url;
      return;
    }
    this.image.removeAttribute("src");
    if (this.video.getAttribute("src") !== url) this.video.src = url;
    [this.in, this.out] = range ?? [0, 0];
    this.#showTime();
  }

  get isPlaying() { return !this.video.paused || this.#speed < 0; }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play(speed = 1) {
    clearInterval(this.#timer);
    this.#speed = speed;
    this.video.playbackRate = Math.min(8, Math.abs(speed));
    if (speed > 0) this.video.play().then(() => this.#watch(), () => {});
    else this.#playBack(-speed);
    this.#showState();
  }

  /// Keeps the scrubber with the picture, and the picture between the marks.
  #watch() {
    if (this.video.paused) return;
    const { currentTime } = this.video;
    if (this.out && this.video.loop && (currentTime >= this.out || currentTime < this.in - 0.1)) {
      this.video.currentTime = this.in;
    }
    this.#showTime();
    requestAnimationFrame(() => this.#watch());
  }

  pause() {
    clearInterval(this.#timer);
    this.#speed = 0;
    this.video.pause();
    this.#showState();
  }

  /// Browsers don't play backwards; frames are shown one by one.
  #playBack(speed) {
    this.video.pause();
    this.#timer = setInterval(() => {
      if (this.video.seeking) return;
      const next = this.video.currentTime - 1 / this.rate;
      this.seek(next > 0 ? next : this.duration, true);
    }, 1000 / this.rate / speed);
  }

  /// J, K and L: again for faster, the other way for slower.
  shuttle(direction) {
    if (direction === 0) {
      this.toggle();
      return;
    }
    const speed = this.#speed * direction > 0 ? Math.min(8, Math.abs(this.#speed) * 2) : 1;
    this.play(direction * speed);
  }

  step(frames) {
    this.pause();
    // The middle of a frame, so that rounding never shows its neighbour.
    const frame = Math.floor(this.video.currentTime * this.rate + 1e-3) + frames;
    this.seek((frame + 0.5) / this.rate);
  }

  seek(time, keepsPlaying = false) {
    if (!keepsPlaying && this.#speed < 0) this.pause();
    this.video.currentTime = Math.max(0, Math.min(time, Math.max(0, this.duration - 0.5 / this.rate)));
    this.#showTime();
  }

  /// The begin of the frame that is shown, or its end.
  mark(end) {
    const frame = Math.floor(this.video.currentTime * this.rate + 1e-3);
    if (end === "in") this.in = frame / this.rate;
    else this.out = Math.min(this.duration, (frame + 1) / this.rate);
    if (this.out && this.out <= this.in) {
      if (end === "in") this.out = 0;
      else this.in = 0;
    }
    this.#showTime();
    this.marked?.({ in: this.in, out: this.out || this.duration });
  }

  #showState() {
    const symbol = this.isPlaying ? "pause" : "play";
    const fresh = button({ label: this.isPlaying ? "Pause" : "Play", symbol });
    this.playButton.replaceChildren(...fresh.childNodes);
    this.playButton.setAttribute("aria-label", this.isPlaying ? "Pause" : "Play");
  }

  #showTime() {
    const { duration } = this;
    this.scrub.max = duration || 1;
    this.scrub.value = this.video.currentTime;
    this.time.textContent = timecode(this.video.currentTime, this.rate);
    this.scrub.setAttribute("aria-valuetext", this.time.textContent);
    const share = (time) => `${(duration ? time / duration : 0) * 100}%`;
    this.marks.style.setProperty("--in", share(this.in));
    this.marks.style.setProperty("--out", share(this.out || duration));
    this.marks.hidden = !this.in && (!this.out || this.out >= duration - 0.5 / this.rate);
  }

  /// The frame that is shown, as a PNG.
  async grab() {
    const source = this.isStill ? this.image : this.video;
    const canvas = h("canvas", {
      width: this.isStill ? source.naturalWidth : source.videoWidth,
      height: this.isStill ? source.naturalHeight : source.videoHeight,
    });
    canvas.getContext("2d").drawImage(source, 0, 0);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  get keys() {
    return {
      space: () => this.toggle(), k: () => this.shuttle(0), j: () => this.shuttle(-1),
      l: () => this.shuttle(1), left: () => this.step(-1), right: () => this.step(1),
      "shift+left": () => this.step(-Math.round(this.rate)),
      "shift+right": () => this.step(Math.round(this.rate)), home: () => this.seek(0),
      end: () => this.seek(this.duration),
      ...(this.marked ? { i: () => this.mark("in"), o: () => this.mark("out") } : {}),
    };
  }

  close() {
    this.pause();
    this.video.removeAttribute("src");
    this.video.load();
  }
}
