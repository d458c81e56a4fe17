import { post } from "./api.js";
import { button, debounced, h } from "./dom.js";
import { clearErrors, showError } from "./fields.js";
import { bytes, dimensions, plain, span } from "./format.js";
import { announce, notify } from "./notice.js";
import { store } from "./store.js";

/// The foot of a form: what would be made and how long it takes, and the button that makes it.
///
/// `request` gives `{path, body}`, or `{missing}` with words for what the form still lacks. `root` is
/// where errors are shown.
export class MakeBar {
  constructor({ root, request, made }) {
    Object.assign(this, { root, request, made });
    this.plan = h("p", { class: "plan", "aria-live": "polite" });
    this.warnings = h("ul", { class: "warnings" });
    this.error = h("p", { class: "make-error", role: "alert" });
    this.button = button(
      { text: "Make", symbol: "spark", kind: "primary", "aria-keyshortcuts": "Control+Enter Meta+Enter" },
      () => this.make());
    this.button.append(h("kbd", { "aria-hidden": "true" }, isApple ? "\u2318\u21b5" : "Ctrl \u21b5"));
    this.element = h(
      "div", { class: "makebar" },
      h("div", { class: "makebar-remarks" }, this.error, this.warnings), this.plan, this.button);
    this.#askSoon = debounced(500, () => this.#ask());
    store.addEventListener("connection", () => store.isConnected && this.refresh());
  }

  #askSoon;
  #turn = 0;

  /// Asks for the plan of what the form has now.
  refresh() {
    const { missing } = this.request();
    this.#turn += 1;
    clearErrors(this.root);
    this.error.textContent = "";
    this.warnings.replaceChildren();
    if (missing) {
      this.plan.textContent = missing;
      this.plan.classList.remove("is-stale");
      return;
    }
    if (!this.plan.firstElementChild) this.plan.textContent = "Planning...";
    this.plan.classList.add("is-stale");
    this.#askSoon();
  }

  async #ask() {
    const { path, body, missing } = this.request();
    if (missing || this.element.closest("[hidden]")) return;
    const turn = this.#turn;
    try {
      const answer = await post(path, { ...body, dry_run: true });
      if (turn !== this.#turn) return;
      this.#show(answer, body.n ?? 1);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.plan.classList.remove("is-stale");
      this.plan.textContent = "";
      this.#refuse(error, false);
    }
  }

  #show({ plan, warnings }, count) {
    this.plan.classList.remove("is-stale");
    const length = plan.frames === 1
      ? "one picture"
      : `${plain(plan.frames / plan.frames_per_second)} s`;
    const time = plan.canvas_frames
      ? `${span(plan.fastest_seconds * count, plan.slowest_seconds * count)} to make, ` +
        bytes(plan.peak_bytes)
      : "nothing new to sample";
    this.plan.title = `${plan.frames} frames, ${plain(plan.frames_per_second)} a second`;
    this.plan.replaceChildren(
      h("strong", {}, `${count > 1 ? `${count} times ` : ""}${dimensions(plan.size)}`),
      `, ${length}`, h("br"), time);
    this.warnings.replaceChildren(...warnings.map((words) => h("li", {}, words)));
  }

  async #moveFirst(id) {
    const first = store.waiting.find((other) => other.status === "queued");
    // It may be its turn already.
    if (first && first.id !== id && store.videos.get(id)?.status === "queued") {
      await store.move(id, first.id).catch(() => {});
    }
  }

  #refuse(error, focus) {
    if (!showError(this.root, error, { focus })) this.error.textContent = error.message;
  }

  /// Makes it; `isFirst` puts it before all that wait.
  async make(isFirst = false) {
    const { path, body, missing } = this.request();
    if (missing) {
      this.error.textContent = missing;
      return;
    }
    clearErrors(this.root);
    this.error.textContent = "";
    this.button.disabled = true;
    try {
      const video = await post(path, body);
      store.takeAnswer(video);
      if (body.n > 1) await store.reload();
      if (isFirst) await this.#moveFirst(video.id);
      const place = store.waiting.findIndex((other) => other.id === video.id);
      const words = place > 0 ? `Queued, ${place} before it.` : "Being made.";
      announce(words);
      this.made?.(video);
      if (matchMedia("(max-width: 799px)").matches) notify(words);
    } catch (error) {
      this.#refuse(error, true);
    } finally {
      this.button.disabled = false;
    }
  }
}

// Where the key that commands have is another.
const isApple = /Mac|iPhone|iPad/.test(navigator.platform);
