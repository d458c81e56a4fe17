import { contentOf } from "./api.js";
import { arrange, button, dialog, h, icon } from "./dom.js";
import { field, input, number, showError } from "./fields.js";
import { aspect, dimensions, madeBy, numberOrText, seconds, titleOf } from "./format.js";
import { announce, attempt } from "./notice.js";
import { Preview } from "./preview.js";
import { isPicture } from "./sources.js";
import { store } from "./store.js";
import { verbs } from "./verbs.js";

const doing = {
  planned: "Planned", copying: "Reading sources", encoding: "Reading sources", decoding: "Drawing frames",
  finished: "Writing the file", wrote: "Writing the file",
};

/// What is being made and what waits, in its order; and what ended without a result.
export class Queue {
  #rows = new Map();
  #said = 0;

  constructor(root, actions) {
    this.actions = actions;
    this.pause = button({ text: "Pause", symbol: "pause", kind: "quiet small", pressed: false }, () =>
      attempt(async () => {
        await store.setPaused(!store.isPaused);
        announce(store.isPaused ? "The queue is paused." : "The queue goes on.");
      }));
    this.list = h("ol", { class: "queue-list", "aria-label": "Queue" });
    this.empty = h("p", { class: "empty small" }, "Nothing waits. What you make next shows its progress here.");
    this.ended = h("details", { class: "ended" });
    root.append(
      h("div", { class: "panel-head" }, h("h2", {}, "Queue"), this.pause), this.empty, this.list, this.ended);
    this.list.addEventListener("dragover", (event) => this.#dragOver(event));
    this.list.addEventListener("drop", (event) => this.#drop(event));
    store.addEventListener("queue", () => this.render());
    store.addEventListener("videos", () => this.#showEnded());
    store.addEventListener("video", ({ detail: id }) => this.#update(id));
    store.addEventListener("progress", ({ detail: id }) => this.#progress(id));
    this.render();
  }

  render() {
    const { waiting } = store;
    for (const [id, row] of this.#rows) {
      if (waiting.some((video) => video.id === id)) continue;
      row.preview?.stop();
      this.#rows.delete(id);
    }
    arrange(this.list, waiting.map((video) => this.#row(video)));
    waiting.forEach((video) => this.#update(video.id));
    this.empty.hidden = waiting.length > 0;
    this.pause.setAttribute("aria-pressed", String(store.isPaused));
    this.pause.querySelector("span").textContent = store.isPaused ? "Go on" : "Pause";
    this.pause.querySelector("svg").replaceWith(icon(store.isPaused ? "play" : "pause"));
    this.#showEnded();
  }

  #row(video) {
    const known = this.#rows.get(video.id);
    // A row looks different once its video is being made.
    if (known?.dataset.status === video.status) return known;
    known?.preview?.stop();
    const isRunning = video.status === "in_progress";
    const row = isRunning ? this.#runningRow(video) : this.#waitingRow(video);
    Object.assign(row.dataset, { id: video.id, status: video.status });
    this.#rows.set(video.id, row);
    if (isRunning) this.#progress(video.id);
    return row;
  }

  #runningRow(video) {
    const preview = new Preview(video.size);
    const row = h(
      "li", { class: "job is-running", style: { "--aspect": aspect(video.size) } },
      h("div", { class: "job-screen" }, preview.canvas),
      h("p", { class: "job-title" }, titleOf(video)),
      h("progress", { max: 100, value: video.progress, "aria-label": "Progress" }),
      h(
        "div", { class: "job-foot" }, h("p", { class: "job-state" }, "Begins"),
        button({ text: "Stop", symbol: "stop", kind: "quiet small" }, () => this.actions.cancel(video))));
    row.preview = preview;
    return row;
  }

  #waitingRow(video) {
    const get = () => store.videos.get(video.id);
    return h(
      "li", {
        class: "job", draggable: "true",
        on: {
          dragstart: (event) => {
            this.dragged = video.id;
            event.dataTransfer.setData("application/x-kino-job", video.id);
            event.dataTransfer.effectAllowed = "move";
          },
        },
      },
      h("div", { class: "job-line" }, this.#picture(video),
        h("div", {}, h("p", { class: "job-title" }, titleOf(video)), h("p", { class: "job-state" }, ""))),
      h(
        "div", { class: "job-tools" },
        button({ label: "Move up", symbol: "up", kind: "quiet small" }, () => this.#shift(video.id, -1)),
        button({ label: "Move down", symbol: "down", kind: "quiet small" }, () => this.#shift(video.id, 1)),
        button({ label: "Edit", symbol: "edit", kind: "quiet small" }, () => editJob(get())),
        button({ label: "Make one more", symbol: "plus", kind: "quiet small" },
          () => this.actions.again(get(), false)),
        button({ label: "Cancel", symbol: "close", kind: "quiet small" }, () => this.actions.cancel(video))));
  }

  /// The first source of a job stands for it while there is nothing else to see.
  #picture(video) {
    const parts = video.kino.composition.timeline.map(
      ({ media, shot }) => media?.path ?? shot?.guides[0]?.part.path);
    const path = parts.find(Boolean);
    const symbol = verbs[video.kino.verb]?.symbol ?? "board";
    if (!path?.startsWith("video_")) return h("div", { class: "job-mark" }, icon(symbol));
    return h("img", { class: "job-mark", src: contentOf(path, "thumbnail"), alt: "" });
  }

  #update(id) {
    const video = store.videos.get(id);
    const row = this.#rows.get(id);
    if (!row || !video || video.status !== "queued") return;
    row.querySelector(".job-title").textContent = titleOf(video);
    const { verb, settings } = video.kino;
    row.querySelector(".job-state").textContent = [
      madeBy(verb), dimensions(video.size), isPicture(video) ? null : seconds(video.seconds),
      settings.steps ? `${settings.steps} steps` : null,
    ].filter(Boolean).join(" \u00b7 ");
  }

  #progress(id) {
    const row = this.#rows.get(id);
    const known = store.progress.get(id);
    if (!row?.preview || !known) return;
    const { step, last, percent, preview } = known;
    row.querySelector("progress").value = percent ?? 0;
    if (preview) row.preview.show(preview);
    const words = [];
    if (last.event === "step") words.push(`Step ${last.step} of ${last.steps}`);
    else words.push(doing[last.event] ?? "Being made");
    if ((last.windows ?? 1) > 1) words.push(`window ${last.window} of ${last.windows}`);
    if (step?.seconds_left > 0 && last.event === "step") {
      words.push(`${seconds(Math.ceil(step.seconds_left))} left`);
    }
    row.querySelector(".job-state").textContent = words.join(", ");
    const quarter = Math.floor((percent ?? 0) / 25);
    if (quarter !== this.#said && last.event === "step") {
      this.#said = quarter;
      if (quarter) announce(`${percent} percent. ${words.join(", ")}.`);
    }
  }

  // MARK: Order

  #shift(id, by) {
    const open = store.waiting.filter((video) => video.status === "queued").map((video) => video.id);
    const place = open.indexOf(id);
    const target = place + by;
    if (target < 0 || target >= open.length) return;
    const before = by < 0 ? open[target] : open[target + 1];
    attempt(async () => {
      await store.move(id, before);
      announce(`Now ${target + 1} of ${open.length}.`);
      const name = by < 0 ? "Move up" : "Move down";
      this.#rows.get(id)?.querySelector(`[aria-label="${name}"]`)?.focus();
    });
  }

  #dragOver(event) {
    if (!event.dataTransfer.types.includes("application/x-kino-job")) return;
    event.preventDefault();
    for (const row of this.list.children) row.classList.remove("is-target");
    this.#rowAt(event.clientY)?.classList.add("is-target");
  }

  #rowAt(y) {
    return [...this.list.children].find((row) => {
      const box = row.getBoundingClientRect();
      return row.dataset.status === "queued" && y < box.top + box.height / 2;
    });
  }

  #drop(event) {
    if (!this.dragged) return;
    event.preventDefault();
    event.stopPropagation();
    for (const row of this.list.children) row.classList.remove("is-target");
    const before = this.#rowAt(event.clientY)?.dataset.id;
    const id = this.dragged;
    this.dragged = null;
    if (before !== id) attempt(() => store.move(id, before));
  }

  // MARK: What ended

  #showEnded() {
    const { failed } = store;
    this.ended.hidden = failed.length === 0;
    const isOpen = this.ended.open;
    this.ended.replaceChildren(
      h("summary", {}, `Not finished (${failed.length})`),
      button({ text: "Delete all", symbol: "trash", kind: "quiet small" }, () =>
        this.actions.remove(...failed)),
      h("ul", {}, failed.slice(0, 30).map((video) =>
        h(
          "li", { class: "job" }, h("p", { class: "job-title" }, titleOf(video)),
          h("p", { class: "job-state" }, video.error?.message ?? ""),
          h(
            "div", { class: "job-tools" },
            button({ text: "Again", symbol: "again", kind: "quiet small" }, () => this.actions.again(video, true)),
            button({ text: "Restore", symbol: "settings", kind: "quiet small" }, () => this.actions.restore(video)),
            button({ label: "Delete", symbol: "trash", kind: "quiet small" }, () => this.actions.remove(video)))))));
    this.ended.open = isOpen;
  }
}

/// Changes the request of a job that waits.
function editJob(video) {
  const { composition, settings } = video.kino;
  const shots = composition.timeline.filter((one) => one.shot);
  // One prompt takes the place of all, so only a job with one offers it.
  const hasPrompt = shots.length === 1;
  const prompt = h("textarea", { rows: 4, class: "prompt" });
  prompt.value = video.prompt ?? "";
  const controls = {
    negative_prompt: input({ value: composition.negative_prompt }),
    seed: number({ value: settings.seed ?? "" }), steps: number({ value: settings.steps ?? "" }),
    guidance: number({ value: settings.guidance ?? "" }),
  };
  const error = h("p", { class: "make-error", role: "alert" });
  const form = h(
    "div", { class: "dialog-body" },
    hasPrompt ? field({ param: "prompt", label: "Prompt" }, prompt) : null,
    field({ param: "negative_prompt", label: "Negative prompt" }, controls.negative_prompt),
    h(
      "div", { class: "field-grid three" }, field({ param: "seed", label: "Seed" }, controls.seed),
      field({ param: "steps", label: "Steps" }, controls.steps),
      field({ param: "guidance", label: "Guidance" }, controls.guidance)), error);
  const box = dialog(
    { title: "Edit before it is made" }, form,
    h("div", { class: "dialog-foot" }, button({ text: "Save", kind: "primary" }, async () => {
      const fields = hasPrompt ? { prompt: prompt.value.trim() } : {};
      for (const [name, control] of Object.entries(controls)) {
        const value = name === "negative_prompt" ? control.value : numberOrText(control.value);
        // An emptied field takes what the model would.
        fields[name] = value ?? null;
      }
      try {
        await store.change(video.id, fields);
        box.close();
        announce("Changed.");
      } catch (refusal) {
        if (!showError(form, refusal, { focus: true })) error.textContent = refusal.message;
      }
    })));
}
