import { contentOf } from "./api.js";
import { showComparison } from "./compare.js";
import { formOf, requestOfRecipe } from "./recipe.js";
import { announce, attempt, complain, notify } from "./notice.js";
import { sourceOf } from "./sources.js";
import { store } from "./store.js";

/// What can be done with a video, from wherever it is shown.
///
/// `page` has the views: `composer`, `timeline`, `storyboard`, and `show(view)`.
export class Actions {
  #marked = null;

  constructor(page) { this.page = page; }

  begin(verb, video, fields = {}) {
    this.page.show("make");
    this.page.composer.begin(verb, sourceOf(video), { prompt: video.prompt ?? "", ...fields });
  }

  remix(video) { this.begin("remix", video); }

  connect(video) {
    const { composer } = this.page;
    const isSecond = composer.verb === "connect" && composer.keptSources.first
      && composer.keptSources.first.id !== video.id;
    this.begin("connect", video, {
      param: isSecond ? "second" : "first", prompt: isSecond ? composer.prompt.value : "",
    });
  }

  addToTimeline(video, range) {
    this.page.timeline.addClip(sourceOf(video), range);
    announce("Added to the timeline.");
    notify("Added to the timeline.", { action: "Open", act: () => this.page.show("timeline") });
  }

  openInTimeline(video, range) {
    this.page.show("timeline");
    this.page.timeline.addClip(sourceOf(video), range);
  }

  again(video, isSame) {
    return attempt(async () => {
      await store.again(video, isSame);
      announce("Queued once more.");
      notify(isSame ? "Queued again." : "Queued once more, with another seed.");
    });
  }

  star(video) {
    return attempt(async () => {
      await store.star(video);
      announce(store.videos.get(video.id).kino.starred ? "Starred." : "Star taken off.");
    });
  }

  remove(...videos) {
    for (const { id } of videos) store.doom(id, 7, complain);
    const words = videos.length > 1 ? `${videos.length} deleted.` : "Deleted.";
    announce(words);
    notify(words, {
      action: "Undo", seconds: 7, act: () => videos.forEach(({ id }) => store.keep(id)),
    });
  }

  cancel(video) { return attempt(() => store.cancel(video.id)); }

  download(video) {
    const link = document.createElement("a");
    link.href = contentOf(video.id);
    link.download = `${video.id}.${video.kino.format}`;
    link.click();
  }

  /// The first marks, the second is compared with it.
  mark(video) {
    const first = this.#marked && store.videos.get(this.#marked);
    if (first && first.id !== video.id) {
      this.#marked = null;
      showComparison(first, video);
      return;
    }
    this.#marked = video.id;
    notify("Marked. Press C on another, or choose Compare there, to see both side by side.");
  }

  // MARK: Settings of what was made

  restore(video) {
    const { composition, settings, format, recipe } = video.kino;
    // The recipe knows what was chosen for what the request left open.
    const wanted = recipe ? requestOfRecipe(recipe) : { composition, settings, model: video.model };
    return this.#restore({
      ...wanted, composition: { ...wanted.composition, timeline: composition.timeline }, format,
    }, "Settings restored.");
  }

  restoreFile(recipe, name) {
    return this.#restore(requestOfRecipe(recipe), `Settings restored from ${name}.`);
  }

  async #restore(request, words) {
    const { view, form, missing } = await formOf(request);
    this.page.show(view);
    if (view === "make") this.page.composer.restore(form);
    else this.page[view].restore(form);
    announce(words);
    notify(missing.length ? `${words} Not on this server: ${[...new Set(missing)].join(", ")}.` : words);
  }
}
