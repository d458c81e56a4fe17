import { contentOf } from "./api.js";
import { isAnimation } from "./compare.js";
import { arrange, button, h, icon, wantsLessMotion } from "./dom.js";
import { choices, input } from "./fields.js";
import { aspect, madeBy, seconds, titleOf } from "./format.js";
import { attempt } from "./notice.js";
import { dragType, isPicture } from "./sources.js";
import { save, saved, store } from "./store.js";

const filters = [["all", "All"], ["starred", "Starred"], ["clips", "Clips"], ["pictures", "Pictures"]];

/// What was made, newest first. One card at a time takes the tabulator; the arrows walk.
export class Gallery {
  #cards = new Map();
  #current = null;

  constructor(root, actions, viewer) {
    this.actions = actions;
    this.viewer = viewer;
    viewer.closed = (video) => this.#focus(video.id);
    this.filter = saved("filter", "all");
    this.search = input({
      type: "search", autocomplete: null, placeholder: "Search prompts",
      "aria-label": "Search prompts", class: "search",
      on: { input: () => this.render() },
    });
    this.grid = h("ul", { class: "grid", "aria-label": "Gallery" });
    this.empty = h("div", { class: "empty" });
    this.more = button({ text: "Show more", kind: "quiet" }, () => attempt(() => store.loadMore()));
    root.append(
      h(
        "div", { class: "panel-head" }, h("h2", {}, "Gallery"),
        choices("filter", "Show", filters, this.filter, (filter) => {
          this.filter = filter;
          save("filter", filter);
          this.render();
        }), this.search),
      this.empty, this.grid, this.more);
    this.grid.addEventListener("focusin", (event) => {
      const card = event.target.closest(".card");
      if (card) this.#makeCurrent(card.dataset.id);
    });
    store.addEventListener("videos", () => this.render());
    store.addEventListener("video", ({ detail: id }) => this.#update(id));
    this.render();
  }

  get shown() {
    const words = this.search.value.trim().toLowerCase();
    return store.finished.filter((video) => {
      const isClip = !isPicture(video);
      return (this.filter !== "starred" || video.kino.starred) && (this.filter !== "clips" || isClip)
        && (this.filter !== "pictures" || !isClip)
        && (!words || (video.prompt ?? "").toLowerCase().includes(words));
    });
  }

  render() {
    const { shown } = this;
    const hadFocus = this.grid.contains(document.activeElement);
    arrange(this.grid, shown.map((video) => this.#card(video)));
    for (const id of this.#cards.keys()) if (!store.videos.has(id)) this.#cards.delete(id);
    if (!shown.some((video) => video.id === this.#current)) this.#makeCurrent(shown[0]?.id);
    if (hadFocus && !this.grid.contains(document.activeElement)) this.#focus(this.#current);
    this.more.hidden = !store.hasMore;
    this.#showEmpty(shown.length);
  }

  #showEmpty(count) {
    this.empty.hidden = count > 0;
    if (count) return;
    if (!store.isLoaded) {
      this.empty.replaceChildren(h("p", {}, "Looking for your videos..."));
    } else if (store.finished.length) {
      this.empty.replaceChildren(
        icon("grid"), h("h3", {}, "Nothing matches"),
        h("p", {}, "Choose All above, or search for other words."));
    } else {
      this.empty.replaceChildren(
        icon("spark"), h("h3", {}, "Your first video"),
        h("p", {}, "Say what to show, and press Make. It appears here, with a preview while it is made."),
        h("p", {}, "Or drop a file that Kino made anywhere on this page to restore its settings."));
    }
  }

  #card(video) {
    const known = this.#cards.get(video.id);
    if (known) return known;
    const style = { "--aspect": aspect(video.size) };
    const card = h("li", { class: "card", data: { id: video.id }, style });
    const star = button(
      {
        label: "Star", symbol: "star", keys: "S", pressed: video.kino.starred, kind: "overlay star",
        tabindex: "-1",
      }, () => this.actions.star(store.videos.get(video.id)));
    const length = isPicture(video) ? null : seconds(video.seconds);
    const title = titleOf(video);
    card.append(
      h(
        "button", {
          type: "button", class: "card-open", tabindex: "-1", draggable: "true", "data-plays": true,
          "aria-label": `${title}. ${[madeBy(video.kino.verb), length].filter(Boolean).join(", ")}`,
          on: {
            click: () => this.viewer.open(store.videos.get(video.id)),
            dragstart: (event) => {
              event.dataTransfer.setData(dragType, video.id);
              event.dataTransfer.effectAllowed = "copy";
            },
          },
        },
        h("img", { src: contentOf(video.id, "thumbnail"), alt: "", loading: "lazy", draggable: "false" }),
        length ? h("span", { class: "badge" }, length) : null),
      star, h("p", { class: "caption", title }, title));
    this.#playOnHover(card, video);
    this.#cards.set(video.id, card);
    return card;
  }

  #playOnHover(card, video) {
    if (isPicture(video) || isAnimation(video)) return;
    let timer = 0;
    const open = card.querySelector(".card-open");
    const stop = () => {
      clearTimeout(timer);
      open.querySelector("video")?.remove();
    };
    const start = () => {
      clearTimeout(timer);
      if (!wantsLessMotion()) timer = setTimeout(() => this.#play(open, video), 160);
    };
    card.addEventListener("pointerenter", start);
    card.addEventListener("pointerleave", stop);
    open.addEventListener("blur", stop);
  }

  #play(open, video) {
    if (open.querySelector("video")) return;
    const moving = h(
      "video", { src: contentOf(video.id), loop: true, playsinline: true, "aria-hidden": "true" });
    moving.muted = true;
    open.append(moving);
    moving.play().catch(() => {});
  }

  #togglePlay(video) {
    const open = this.#cards.get(video.id).querySelector(".card-open");
    const moving = open.querySelector("video");
    if (moving) moving.remove();
    else if (!isPicture(video) && !isAnimation(video)) this.#play(open, video);
  }

  #update(id) {
    const video = store.videos.get(id);
    const card = this.#cards.get(id);
    if (!card || !video) return;
    card.querySelector(".star").setAttribute("aria-pressed", String(video.kino.starred));
    if (this.filter === "starred") this.render();
  }

  // MARK: Keys

  #makeCurrent(id) {
    this.#cards.get(this.#current)?.querySelector(".card-open").setAttribute("tabindex", "-1");
    this.#current = id;
    this.#cards.get(id)?.querySelector(".card-open").setAttribute("tabindex", "0");
  }

  #focus(id) {
    const card = this.#cards.get(id) ?? this.grid.firstElementChild;
    card?.querySelector(".card-open").focus();
  }

  #walk(way) {
    const cards = [...this.grid.children];
    if (!cards.length) return false;
    if (!this.grid.contains(document.activeElement)) {
      if (document.activeElement !== document.body) return false;
      this.#focus(this.#current);
      return true;
    }
    const here = cards.findIndex((card) => card.dataset.id === this.#current);
    const next = { left: here - 1, right: here + 1, home: 0, end: cards.length - 1 }[way]
      ?? this.#beside(cards, here, way);
    if (cards[next]) this.#focus(cards[next].dataset.id);
    return true;
  }

  /// The nearest card of the row above or below.
  #beside(cards, here, way) {
    const from = cards[here].getBoundingClientRect();
    const middle = from.left + from.width / 2;
    let best = -1;
    let least = Infinity;
    cards.forEach((card, index) => {
      const box = card.getBoundingClientRect();
      const rows = way === "down" ? box.top - from.top : from.top - box.top;
      if (rows < 10) return;
      const distance = rows * 10 + Math.abs(box.left + box.width / 2 - middle);
      if (distance < least) [best, least] = [index, distance];
    });
    return best;
  }

  get keys() {
    const act = (work) => () => {
      const video = store.videos.get(this.#current);
      if (!video || !this.grid.contains(document.activeElement)) return false;
      return work(video);
    };
    const walk = (way) => () => this.#walk(way);
    return {
      left: walk("left"), right: walk("right"), up: walk("up"), down: walk("down"), home: walk("home"),
      end: walk("end"), r: act((video) => this.actions.remix(video)),
      s: act((video) => this.actions.star(video)),
      ".": act((video) => this.actions.star(video)), c: act((video) => this.actions.mark(video)),
      space: act((video) => this.#togglePlay(video)),
      t: act((video) => this.actions.addToTimeline(video)), delete: act((video) => this.actions.remove(video)),
    };
  }
}
