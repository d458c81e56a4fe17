import { follow, get, post, request } from "./api.js";

/// What the page knows of the server: videos, the queue, and what is being made.
///
/// Tells of changes by events: `videos` (what there is), `video` (one changed; `detail` is its id),
/// `progress` (`detail` is an id), `ended` (`detail` is a video), `queue`, `connection`.
class Store extends EventTarget {
  videos = new Map();
  /// Ids that wait or are being made, in order.
  queue = [];
  isPaused = false;
  models = [];
  /// What was last said of a video being made: the record, and a preview if there was one.
  progress = new Map();
  hasMore = false;
  isLoaded = false;
  isConnected = false;
  /// Ids that are hidden because they are about to be removed.
  doomed = new Map();

  #tell(kind, detail) { this.dispatchEvent(new CustomEvent(kind, { detail })); }

  start() {
    // Asks for a key where one is needed, which a stream can't.
    this.reload();
    follow("/v1/events", {
      open: () => {
        this.isConnected = true;
        this.#tell("connection");
        // Whatever happened meanwhile was not heard.
        this.reload();
      },
      lost: () => {
        this.isConnected = false;
        this.#tell("connection");
      },
      video: (video) => this.take(video),
      progress: ({ id, record, progress }) => this.#note(id, record, progress),
      removed: ({ id }) => this.#forget(id),
      queue: (queue) => this.#takeQueue(queue),
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.isConnected) this.reloadQueue();
    });
    addEventListener("pagehide", () => {
      for (const id of this.doomed.keys()) this.#remove(id, { keepalive: true });
    });
  }

  async reload() {
    try {
      const [page, queue, models] = await Promise.all(
        [get("/v1/videos?limit=100"), get("/v1/queue"), get("/v1/models")]);
      const seen = new Set([...page.data, ...queue.data].map((video) => video.id));
      const oldest = page.data.at(-1)?.created_at ?? 0;
      for (const [id, video] of this.videos) {
        if (!seen.has(id) && (!page.has_more || video.created_at > oldest)) this.videos.delete(id);
      }
      for (const video of [...page.data, ...queue.data]) this.videos.set(video.id, video);
      this.hasMore = page.has_more;
      this.models = models.data.map((model) => model.id);
      this.#takeQueue(queue);
      this.isLoaded = true;
      this.#tell("videos");
      this.#tell("models");
      this.#followRunning();
    } catch (error) {
      // The stream tells when the server is back; then all is read again.
      if (!error.isOffline) throw error;
    }
  }

  async loadMore() {
    const oldest = [...this.videos.values()].sort((one, other) => one.created_at - other.created_at)[0];
    const page = await get(`/v1/videos?limit=100&after=${oldest.id}`);
    for (const video of page.data) this.videos.set(video.id, video);
    this.hasMore = page.has_more;
    this.#tell("videos");
  }

  async reloadQueue() { this.#takeQueue(await get("/v1/queue")); }

  #takeQueue(queue) {
    this.queue = queue.data.map((video) => video.id);
    for (const video of queue.data) this.videos.set(video.id, video);
    this.isPaused = queue.paused;
    this.#tell("queue");
  }

  /// A page that opens in the middle asks once for what was said before.
  #followRunning() {
    for (const id of this.queue) {
      const video = this.videos.get(id);
      if (video?.status !== "in_progress" || this.progress.has(id)) continue;
      const source = new EventSource(`/v1/videos/${id}/events`);
      source.addEventListener("progress", (event) => {
        const record = JSON.parse(event.data);
        this.#note(id, record, this.videos.get(id)?.progress ?? 0);
        if (record.event === "step") source.close();
      });
      source.addEventListener("error", () => source.close());
    }
  }

  /// Takes a video from the answer to a request, which may come later than news of what followed.
  takeAnswer(video) {
    const stages = ["queued", "in_progress", "completed", "failed"];
    const known = this.videos.get(video.id);
    if (known && stages.indexOf(known.status) > stages.indexOf(video.status)) return;
    this.take(video);
  }

  /// Takes a video as it is now.
  take(video) {
    const before = this.videos.get(video.id);
    this.videos.set(video.id, video);
    const isOpen = ["queued", "in_progress"].includes(video.status);
    if (isOpen && !this.queue.includes(video.id)) this.queue.push(video.id);
    if (!isOpen) {
      this.queue = this.queue.filter((id) => id !== video.id);
      this.progress.delete(video.id);
    }
    this.#tell(before ? "video" : "videos", video.id);
    if (!before || before.status !== video.status) this.#tell("videos");
    this.#tell("queue");
    if (!isOpen && before && before.status !== video.status) this.#tell("ended", video);
  }

  #note(id, record, percent) {
    const video = this.videos.get(id);
    if (video?.status === "queued") this.take({ ...video, status: "in_progress" });
    const known = this.progress.get(id) ?? {};
    if (record.event === "step") known.step = record;
    if (record.preview) known.preview = record.preview;
    known.last = record;
    known.percent = Math.max(percent ?? 0, known.percent ?? 0);
    this.progress.set(id, known);
    this.#tell("progress", id);
  }

  #forget(id) {
    this.videos.delete(id);
    this.progress.delete(id);
    this.doomed.delete(id);
    this.queue = this.queue.filter((other) => other !== id);
    this.#tell("videos");
    this.#tell("queue");
  }

  // MARK: Lists

  /// Newest first, without those about to be removed.
  get all() {
    return [...this.videos.values()].filter((video) => !this.doomed.has(video.id)).sort(
      (one, other) => other.created_at - one.created_at || (other.id > one.id ? 1 : -1));
  }

  get finished() { return this.all.filter((video) => video.status === "completed"); }
  get failed() { return this.all.filter((video) => video.status === "failed"); }

  get waiting() {
    return this.queue.map((id) => this.videos.get(id))
      .filter((video) => video && !this.doomed.has(video.id));
  }

  get running() { return this.waiting.find((video) => video.status === "in_progress"); }

  // MARK: Changes

  async setPaused(isPaused) { this.#takeQueue(await post("/v1/queue", { paused: isPaused })); }
  async cancel(id) { this.takeAnswer(await post(`/v1/videos/${id}/cancel`)); }
  async change(id, fields) { this.takeAnswer(await request("PATCH", `/v1/videos/${id}`, fields)); }
  star(video) { return this.change(video.id, { starred: !video.kino.starred }); }

  /// Moves one that waits to before another; to the end without.
  async move(id, before) {
    await post(`/v1/videos/${id}/move`, before ? { before } : {});
    await this.reloadQueue();
  }

  /// The same request once more; with another seed unless `isSame`.
  async again(video, isSame) {
    const { composition, settings, format } = video.kino;
    const wanted = { ...settings };
    if (!isSame) delete wanted.seed;
    this.takeAnswer(
      await post("/v1/videos", { composition, settings: wanted, model: video.model, format }));
  }

  /// Hides a video, and removes it when `seconds` have passed without `keep`.
  doom(id, seconds, failed) {
    const timer = setTimeout(() => this.#remove(id).catch((error) => {
      this.keep(id);
      failed(error);
    }), seconds * 1000);
    this.doomed.set(id, timer);
    this.#tell("videos");
    this.#tell("queue");
  }

  keep(id) {
    clearTimeout(this.doomed.get(id));
    this.doomed.delete(id);
    this.#tell("videos");
    this.#tell("queue");
  }

  async #remove(id, options) {
    await request("DELETE", `/v1/videos/${id}`, undefined, options);
    this.#forget(id);
  }
}

export const store = new Store();

/// What the page keeps in this browser.
export function saved(name, fallback) {
  try {
    return JSON.parse(localStorage.getItem(`kino.${name}`)) ?? fallback;
  } catch {
    return fallback;
  }
}

export function save(name, value) {
  try {
    localStorage.setItem(`kino.${name}`, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing is still of use.
  }
}
