import { contentOf } from "./api.js";
import { lengthOf, rangeOf } from "./segments.js";

/// Plays segments one after the other; a shot that is not made yet shows its words for its time.
export class Sequence {
  #turn = 0;

  /// `shown` hears of the index that plays, and of -1 at the end.
  constructor(player, shown) {
    this.player = player;
    this.shown = shown;
    this.isPlaying = false;
  }

  async play(items, from = 0) {
    const turn = (this.#turn += 1);
    this.isPlaying = true;
    for (let index = from; index < items.length && turn === this.#turn; index += 1) {
      this.shown(index);
      const item = items[index];
      if (item.kind === "clip" && item.source.kind === "clip") {
        await this.#playClip(items, index, () => turn === this.#turn);
      } else {
        await new Promise((done) => setTimeout(done, lengthOf(items, index) * 1000));
      }
    }
    if (turn !== this.#turn) return;
    this.isPlaying = false;
    this.player.video.loop = true;
    this.shown(-1);
  }

  #playClip(items, index, isCurrent) {
    const { player } = this;
    const { source, reversed } = items[index];
    const { start, end } = rangeOf(items, index);
    const { video } = player;
    player.load(contentOf(source.id), { rate: source.rate });
    video.loop = false;
    return new Promise((done) => {
      const begin = () => {
        video.currentTime = reversed ? end : start;
        if (reversed) player.play(-1);
        else player.play();
        const watch = () => {
          const { currentTime, ended } = video;
          const isOver = reversed ? currentTime <= start + 0.02 : ended || currentTime >= end - 0.02;
          if (isOver || !isCurrent()) {
            player.pause();
            done();
          } else {
            requestAnimationFrame(watch);
          }
        };
        requestAnimationFrame(watch);
      };
      if (video.readyState >= 2) begin();
      else video.addEventListener("loadeddata", begin, { once: true });
    });
  }

  stop() {
    if (!this.isPlaying) return;
    this.#turn += 1;
    this.isPlaying = false;
    this.player.pause();
    this.player.video.loop = true;
    this.shown(-1);
  }
}
