import { post, whenKeyIsNeeded } from "./api.js";
import { Actions } from "./actions.js";
import { Composer } from "./composer.js";
import { button, dialog, h } from "./dom.js";
import { field, input, showError } from "./fields.js";
import { seconds } from "./format.js";
import { Gallery } from "./gallery.js";
import { bindViewKeys, showKeys, startKeys } from "./keys.js";
import { announce, attempt, notify } from "./notice.js";
import { Queue } from "./queue.js";
import { readRecipe } from "./recipe.js";
import { dragType } from "./sources.js";
import { save, saved, store } from "./store.js";
import { Storyboard } from "./storyboard.js";
import { Timeline } from "./timeline.js";
import { Viewer } from "./viewer.js";

const part = (name) => document.getElementById(name);

/// The page: its views, and what concerns all of them.
class Page {
  #stopAsked = 0;

  constructor() {
    whenKeyIsNeeded(askForKey);
    this.actions = new Actions(this);
    this.viewer = new Viewer(this.actions, () => this.gallery.shown);
    this.composer = new Composer(part("composer"));
    this.gallery = new Gallery(part("gallery"), this.actions, this.viewer);
    this.queue = new Queue(part("queue"), this.actions);
    this.timeline = new Timeline(part("timeline"));
    this.storyboard = new Storyboard(part("storyboard"));
    for (const tab of document.querySelectorAll("[data-view]")) {
      tab.addEventListener("click", () => this.show(tab.dataset.view));
    }
    part("theme").addEventListener("click", () => turnTheme());
    part("keys").addEventListener("click", () => showKeys());
    this.show(saved("view", "make"));
    this.#listen();
    this.#acceptFiles();
    startKeys(this.#keys());
    bindViewKeys(() => this.#viewKeys());
    store.start();
  }

  /// Shows one of `make`, `gallery`, `queue` (which are one view where there is room), `timeline` and
  /// `storyboard`.
  show(view) {
    const isWorkspace = ["make", "gallery", "queue"].includes(view);
    this.view = view;
    document.body.dataset.shown = view;
    part("workspace").hidden = !isWorkspace;
    part("timeline").hidden = view !== "timeline";
    part("storyboard").hidden = view !== "storyboard";
    for (const tab of document.querySelectorAll("[data-view]")) {
      const isRoom = matchMedia("(min-width: 800px)").matches;
      const isCurrent = tab.dataset.view === view || (isRoom && isWorkspace && tab.dataset.view === "make");
      if (isCurrent) tab.setAttribute("aria-current", "page");
      else tab.removeAttribute("aria-current");
    }
    save("view", view);
    this.#form.bar.refresh();
  }

  get #form() {
    return { timeline: this.timeline, storyboard: this.storyboard }[this.view] ?? this.composer;
  }

  #listen() {
    store.addEventListener("connection", () => this.#showConnection());
    store.addEventListener("queue", () => this.#showBusy());
    store.addEventListener("progress", () => this.#showBusy());
    store.addEventListener("ended", ({ detail: video }) => {
      if (video.status === "completed") announce(`Made: ${video.prompt ?? "video"}`);
      else if (video.kino.status === "failed") notify(video.error.message, { isError: true, seconds: 12 });
      else announce("Cancelled.");
    });
    this.#showConnection();
    this.#showBusy();
  }

  #showConnection() {
    const place = part("connection");
    place.textContent = store.isConnected ? "" : "Not connected, trying again";
    place.hidden = store.isConnected;
  }

  #showBusy() {
    const { running, waiting } = store;
    const progress = running ? store.progress.get(running.id) : null;
    const left = progress?.step?.seconds_left;
    const words = [];
    if (running) words.push(`${progress?.percent ?? running.progress}%`);
    if (running && left > 0) words.push(`${seconds(Math.ceil(left))} left`);
    if (waiting.length > 1 || (waiting.length && !running)) {
      words.push(`${waiting.length - (running ? 1 : 0)} ${store.isPaused && !running ? "paused" : "waiting"}`);
    }
    part("busy").textContent = words.join(", ");
    part("busy").hidden = !words.length;
    part("queue-count").textContent = waiting.length ? String(waiting.length) : "";
    document.title = running ? `${progress?.percent ?? running.progress}% - Kino` : "Kino";
  }

  // MARK: Keys

  #keys() {
    return {
      "mod+enter": () => this.#make(), "mod+shift+enter": () => this.#make(true),
      "?": () => showKeys(), "1": () => this.show("make"), "2": () => this.show("timeline"), "3": () => this.show("storyboard"),
      "/": () => {
        this.show("make");
        this.composer.focus();
      },
      escape: () => this.#escape(),
    };
  }

  #make(isFirst) {
    const focused = document.activeElement;
    // What is being typed counts too.
    if (focused?.matches("input, textarea")) focused.dispatchEvent(new Event("change", { bubbles: true }));
    this.#form.make(isFirst);
  }

  #viewKeys() {
    if (this.view === "timeline") return this.timeline.keys;
    return this.view === "storyboard" ? this.storyboard.keys : this.gallery.keys;
  }

  /// Leaves a field; then, asked twice, stops what is being made.
  #escape() {
    const focused = document.activeElement;
    if (focused?.matches("input, textarea, select")) {
      focused.blur();
      return;
    }
    const { running } = store;
    if (!running) return;
    if (performance.now() - this.#stopAsked < 4000) {
      this.#stopAsked = 0;
      this.actions.cancel(running);
      return;
    }
    this.#stopAsked = performance.now();
    notify("Press Esc once more to stop the clip being made.", { seconds: 4 });
  }

  // MARK: Files

  /// A file dropped anywhere but on a form's place for one shows the settings it was made with.
  #acceptFiles() {
    const hint = part("drop-hint");
    let depth = 0;
    const isFile = (event) =>
      event.dataTransfer?.types.includes("Files") && !event.dataTransfer.types.includes(dragType);
    addEventListener("dragenter", (event) => {
      if (!isFile(event)) return;
      depth += 1;
      hint.hidden = false;
    });
    addEventListener("dragleave", (event) => {
      if (!isFile(event)) return;
      depth -= 1;
      hint.hidden = depth > 0 ? hint.hidden : true;
    });
    addEventListener("dragover", (event) => event.preventDefault());
    // Also where a form takes the file and the page hears nothing of it.
    addEventListener("drop", () => {
      depth = 0;
      hint.hidden = true;
    }, true);
    addEventListener("drop", (event) => {
      event.preventDefault();
      const [file] = event.dataTransfer?.files ?? [];
      if (file) this.openFile(file);
    });
    const chooser = part("open-file");
    part("open").addEventListener("click", () => chooser.click());
    chooser.addEventListener("change", () => {
      if (chooser.files[0]) this.openFile(chooser.files[0]);
      chooser.value = "";
    });
  }

  openFile(file) {
    return attempt(async () => {
      const recipe = await readRecipe(file);
      if (recipe) await this.actions.restoreFile(recipe, file.name);
      else notify(`${file.name} has no recipe of Kino's. To use it, drop it on a form's place for a clip.`);
    });
  }
}

function turnTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("kino.theme", root.dataset.theme);
  announce(`${isDark ? "Light" : "Dark"} colours.`);
}

/// A server that is not of this machine wants a key, which becomes a cookie that scripts can't read.
function askForKey() {
  return new Promise((done) => {
    const key = input({ type: "password", autocomplete: "current-password" });
    const form = h("div", { class: "dialog-body" },
      h("p", {}, "This server needs a key. Its owner makes one with ", h("code", {}, "kino keys add NAME"), "."),
      field({ param: "key", label: "Key" }, key));
    const send = async () => {
      try {
        await post("/session", { key: key.value.trim() });
        done();
        box.close();
      } catch (error) {
        showError(form, { message: error.message, param: "key" }, { focus: true });
      }
    };
    key.addEventListener("keydown", (event) => event.key === "Enter" && send());
    const box = dialog(
      { title: "Key", closed: () => done() }, form,
      h("div", { class: "dialog-foot" }, button({ text: "Use key", kind: "primary" }, send)));
  });
}

new Page();
