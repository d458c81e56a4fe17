import { contentOf, upload } from "./api.js";
import { button, dialog, h, icon } from "./dom.js";
import { seconds, titleOf } from "./format.js";
import { attempt } from "./notice.js";
import { store } from "./store.js";

/// What is dragged from one place of the page to another.
export const dragType = "application/x-kino-source";

/// Whether a video is one picture.
export function isPicture(video) {
  const { recipe, verb, format } = video.kino;
  return recipe ? recipe.frames === 1 : verb === "image" || ["png", "jpg"].includes(format);
}

/// A source is what a request names by its id: a video made here, or an upload.
export function sourceOf(video) {
  const isStill = isPicture(video);
  return {
    id: video.id, kind: isStill ? "picture" : "clip", name: titleOf(video),
    seconds: isStill ? 0 : Number(video.seconds), size: video.size, rate: rateOf(video),
  };
}

/// Frames a second of a video.
export function rateOf(video) {
  return video.kino.recipe?.frames_per_second ?? video.kino.composition.frames_per_second ?? 12;
}

/// Uploads a file to be a source.
export async function uploadSource(file, name) {
  const answer = await upload(file, name);
  return {
    id: answer.id, kind: answer.kind, name: answer.filename || "Upload", seconds: answer.seconds,
    size: `${answer.width}x${answer.height}`, rate: 12,
  };
}

/// A small picture of a source.
export function thumbnail(source, attributes = {}) {
  const isVideo = source.kind === "clip" && !source.id.startsWith("video_");
  if (isVideo) {
    return h("video", { src: `${contentOf(source.id)}#t=0.01`, muted: true, preload: "metadata", ...attributes });
  }
  return h("img", { src: contentOf(source.id, "thumbnail"), alt: "", loading: "lazy", ...attributes });
}

/// Frames of a source in a row, where the server has such a sheet.
export function filmstrip(source, attributes = {}) {
  const hasSheet = source.kind === "clip" && source.id.startsWith("video_");
  if (!hasSheet) return thumbnail(source, attributes);
  return h("img", { src: contentOf(source.id, "spritesheet"), alt: "", ...attributes });
}

/// Reads what was dropped: a source of this page, or a file, which is uploaded.
export async function droppedSource(transfer) {
  const id = transfer.getData(dragType);
  if (id) {
    const video = store.videos.get(id);
    return video ? sourceOf(video) : null;
  }
  const [file] = transfer.files;
  return file ? attempt(() => uploadSource(file)) : null;
}

/// Makes an element take what is dropped on it.
export function acceptDrops(element, take) {
  element.addEventListener("dragover", (event) => {
    const kinds = [...event.dataTransfer.types];
    if (!kinds.includes(dragType) && !kinds.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    element.classList.add("is-target");
  });
  for (const kind of ["dragleave", "drop"]) {
    element.addEventListener(kind, () => element.classList.remove("is-target"));
  }
  element.addEventListener("drop", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const source = await droppedSource(event.dataTransfer);
    if (source) take(source, event);
  });
}

/// Asks for a source: one of the gallery, or a file of this machine.
export function chooseSource({ title, kind }, take) {
  const isRight = (source) => !kind || source.kind === kind;
  const found = store.finished.map(sourceOf).filter(isRight);
  const file = h("input", {
    type: "file", class: "visually-hidden", tabindex: "-1", "aria-label": "A file of this machine",
    accept: kind === "picture" ? "image/*" : kind === "clip" ? "video/*,image/gif,image/webp" : "image/*,video/*",
    on: {
      change: async () => {
        if (!file.files[0]) return;
        const source = await attempt(() => uploadSource(file.files[0]));
        if (source) {
          box.close();
          take(source);
        }
      },
    },
  });
  const box = dialog(
    { title, kind: "wide" },
    h(
      "div", { class: "picker-bar" },
      button({ text: "Upload a file", symbol: "upload" }, () => file.click()), file),
    found.length
      ? h(
        "div", { class: "picker" },
        found.map((source) =>
          h(
            "button", {
              type: "button", class: "pick", "aria-label": `Use ${source.name}`,
              on: {
                click: () => {
                  box.close();
                  take(source);
                },
              },
            },
            thumbnail(source), h("span", {}, source.name))))
      : h("p", { class: "empty" }, "What you make shows up here. Until then, upload a file."));
}

/// A place in a form for a source.
export class SourceSlot {
  constructor({ param, label, kind, isOptional, hint }, changed) {
    this.value = null;
    this.changed = changed;
    this.options = { param, label, kind, isOptional };
    this.body = h("div", { class: "slot" });
    this.error = h("p", { class: "field-error" });
    this.element = h(
      "div", { class: "field", data: { param }, role: "group", "aria-label": label },
      h("span", { class: "label" }, label, isOptional ? h("em", {}, " optional") : null),
      this.body, hint ? h("p", { class: "hint" }, hint) : null, this.error);
    acceptDrops(this.body, (source) => this.choose(source));
    this.#show();
  }

  choose(source) {
    this.set(source);
    this.changed();
  }

  set(source) {
    this.value = source;
    this.#show();
  }

  #show() {
    const { label, kind } = this.options;
    const ask = () => chooseSource({ title: label, kind }, (source) => this.choose(source));
    if (!this.value) {
      this.body.replaceChildren(
        h(
          "button", { type: "button", class: "slot-empty", on: { click: ask } },
          icon(kind === "picture" ? "image" : "video"),
          h("span", {}, `Choose or drop a ${kind ?? "clip or picture"}`)));
      return;
    }
    const { name, seconds: length, size } = this.value;
    this.body.replaceChildren(
      h(
        "div", { class: "slot-full" }, thumbnail(this.value),
        h(
          "div", { class: "slot-words" }, h("strong", {}, name),
          h("span", {}, [length ? seconds(length) : null, size].filter(Boolean).join(", "))),
        button({ label: `Change ${label}`, symbol: "edit", kind: "quiet small" }, ask),
        button({ label: `Remove ${label}`, symbol: "close", kind: "quiet small" }, () => this.choose(null))));
  }
}
