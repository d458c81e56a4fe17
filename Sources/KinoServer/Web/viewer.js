import { contentOf } from "./api.js";
import { isAnimation } from "./compare.js";
import { button, dialog, h, wantsLessMotion } from "./dom.js";
import { ago, dimensions, madeBy, plain, seconds, titleOf } from "./format.js";
import { bindKeys } from "./keys.js";
import { attempt } from "./notice.js";
import { Player } from "./player.js";
import { rateOf, sourceOf, uploadSource } from "./sources.js";
import { store } from "./store.js";

/// One video, large: played by frames, with its recipe and all that can be done with it.
export class Viewer {
  constructor(actions, listed) {
    this.actions = actions;
    /// The videos that the arrows walk.
    this.listed = listed;
  }

  open(video) {
    if (this.box) this.box.close();
    this.range = null;
    this.player = new Player({ marked: (range) => this.#mark(range) });
    this.side = h("div", { class: "viewer-side" });
    this.box = dialog(
      {
        title: "Video", kind: "full viewer",
        beside: [
          button({ label: "Video before", symbol: "up", keys: "\u2191", kind: "quiet" }, () => this.#walk(-1)),
          button({ label: "Video after", symbol: "down", keys: "\u2193", kind: "quiet" }, () => this.#walk(1)),
        ],
        closed: () => {
          this.player.close();
          store.removeEventListener("video", this.refresh);
          this.box = null;
          this.closed?.(this.video);
        },
      },
      h("div", { class: "viewer-body" }, this.player.element, this.side));
    this.refresh = (event) => {
      if (event.detail === this.video.id) this.#show(store.videos.get(this.video.id));
    };
    store.addEventListener("video", this.refresh);
    bindKeys(this.box, this.#keys());
    this.#turnTo(video);
    this.player.playButton.focus();
  }

  #turnTo(video) {
    this.range = null;
    this.player.load(contentOf(video.id), {
      rate: rateOf(video), isStill: sourceOf(video).kind === "picture" || isAnimation(video),
    });
    if (!this.player.isStill && !wantsLessMotion()) this.player.play();
    this.#show(video);
  }

  #keys() {
    const act = (work) => () => work(this.video);
    return {
      ...this.player.keys, up: () => this.#walk(-1), down: () => this.#walk(1),
      r: act((video) => this.#leave(() => this.actions.remix(video))),
      s: act((video) => this.actions.star(video)), ".": act((video) => this.actions.star(video)),
      t: act((video) => this.actions.addToTimeline(video, this.range)),
      c: act((video) => this.#leave(() => this.actions.mark(video))),
      delete: () => this.#remove(),
    };
  }

  #walk(by) {
    const videos = this.listed();
    const place = videos.findIndex((video) => video.id === this.video.id);
    const next = videos[place + by];
    if (next) this.#turnTo(next);
  }

  #remove() {
    const { video } = this;
    const videos = this.listed();
    const place = videos.findIndex((other) => other.id === video.id);
    const next = videos[place + 1] ?? videos[place - 1];
    this.actions.remove(video);
    if (next) this.#turnTo(next);
    else this.box.close();
  }

  #leave(act) {
    this.box.close();
    act();
  }

  #mark(range) {
    this.range = range;
    this.#show(this.video);
  }

  #show(video) {
    this.video = video;
    this.box.querySelector("h2").textContent = madeBy(video.kino.verb);
    const { actions } = this;
    const isStill = sourceOf(video).kind === "picture";
    const leave = (act) => () => this.#leave(() => act(video));
    const begin = (verb) => leave((video) => actions.begin(verb, video));
    const focused = document.activeElement?.dataset?.act;
    const one = (act, options, work) => button({ ...options, "data-act": act }, work);
    this.side.replaceChildren(
      h("p", { class: "viewer-prompt" }, titleOf(video)),
      h(
        "div", { class: "row" },
        one("star", {
          text: video.kino.starred ? "Starred" : "Star", symbol: "star", keys: "S",
          pressed: video.kino.starred, kind: video.kino.starred ? "is-starred" : "",
        }, () => actions.star(video)),
        one("download", { text: "Download", symbol: "download" }, () => actions.download(video)),
        one("delete", { text: "Delete", symbol: "trash", keys: "Del", kind: "danger" }, () => this.#remove())),
      this.range
        ? h(
          "div", { class: "callout" },
          h("p", {}, `Marked: ${plain(this.range.in)} to ${plain(this.range.out)} s.`),
          one("recut", { text: "Recut on the timeline", symbol: "timeline", kind: "primary" },
            leave((video) => actions.openInTimeline(video, this.range))))
        : "",
      h("h3", {}, "Go on with it"),
      h(
        "div", { class: "action-grid" },
        one("remix", { text: "Remix", symbol: "remix", keys: "R" }, leave((video) => actions.remix(video))),
        one("more", { text: "Make one more", symbol: "plus" }, () => actions.again(video, false)),
        one("edit", { text: "Edit", symbol: "brush" }, begin("edit")),
        one("upscale", { text: "Upscale", symbol: "upscale" }, begin("upscale")),
        isStill
          ? one("animate", { text: "Animate", symbol: "video" }, begin("generate"))
          : [
            one("extend", { text: "Extend", symbol: "extend" }, begin("extend")),
            one("connect", { text: "Connect", symbol: "connect" }, leave((video) => actions.connect(video))),
            one("loop", { text: "Loop", symbol: "loop" }, begin("loop")),
            one("reverse", { text: "Reverse", symbol: "reverse" }, begin("reverse")),
            one("timeline", { text: "To timeline", symbol: "timeline", keys: "T" },
              () => actions.addToTimeline(video, this.range)),
            one("frame", { text: "Begin with frame", symbol: "frame" }, () => this.#useFrame()),
          ],
        one("compare", { text: "Compare", symbol: "compare", keys: "C" }, leave((video) => actions.mark(video))),
        one("restore", { text: "Restore settings", symbol: "settings" },
          leave((video) => actions.restore(video)))),
      h("h3", {}, "Recipe"), this.#recipe(video, isStill),
      video.kino.warnings.length
        ? h("ul", { class: "warnings" }, video.kino.warnings.map((words) => h("li", {}, words)))
        : "");
    if (focused) this.side.querySelector(`[data-act="${focused}"]`)?.focus();
  }

  async #useFrame() {
    const source = await attempt(async () => uploadSource(await this.player.grab(), "frame.png"));
    if (!source) return;
    this.#leave(() => {
      this.actions.page.show("make");
      this.actions.page.composer.begin("generate", source);
    });
  }

  #recipe(video, isStill) {
    const recipe = video.kino.recipe ?? { ...video.kino.settings };
    const facts = [
      ["Seed", video.kino.seed], ["Size", dimensions(video.size)],
      ["Length", isStill ? null : `${seconds(video.seconds)}, ${recipe.frames ?? "?"} frames`],
      ["Rate", recipe.frames_per_second && !isStill ? `${plain(recipe.frames_per_second)}/s` : null],
      ["Steps", recipe.steps], ["Guidance", recipe.guidance], ["Sampler", recipe.sampler],
      ["Negative prompt", recipe.negative_prompt], ["Model", video.model],
      ["Made", ago(video.completed_at ?? video.created_at)],
    ];
    return h(
      "dl", { class: "facts" },
      facts.filter(([, value]) => value !== null && value !== undefined && value !== "").map(
        ([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)))));
  }
}
