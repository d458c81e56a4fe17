import { contentOf } from "./api.js";
import { button, dialog, h } from "./dom.js";
import { dimensions, plain } from "./format.js";
import { bindKeys } from "./keys.js";
import { Player } from "./player.js";
import { rateOf, sourceOf } from "./sources.js";

const rows = [
  ["Prompt", (video) => video.prompt ?? ""], ["Seed", (video) => video.kino.seed],
  ["Size", (video) => dimensions(video.size)], ["Seconds", (video) => plain(video.seconds)],
  ["Steps", (video) => recipe(video).steps], ["Guidance", (video) => recipe(video).guidance],
  ["Negative prompt", (video) => recipe(video).negative_prompt], ["Model", (video) => video.model],
];

const recipe = (video) => video.kino.recipe ?? video.kino.settings;

/// Two videos side by side, played in step, with what differs between them.
export function showComparison(first, second) {
  const videos = [first, second];
  const players = videos.map(() => new Player());
  const all = (act) => players.forEach(act);
  const keys = {
    space: () => all((player) => player.toggle()), k: () => all((player) => player.shuttle(0)),
    j: () => all((player) => player.shuttle(-1)), l: () => all((player) => player.shuttle(1)),
    left: () => all((player) => player.step(-1)), right: () => all((player) => player.step(1)),
    home: () => all((player) => player.seek(0)),
  };
  const box = dialog(
    {
      title: "Compare", kind: "full", closed: () => all((player) => player.close()),
    },
    h("div", { class: "compare" }, players.map((player) => player.element)),
    h(
      "div", { class: "dialog-foot" },
      button({ text: "Play both", symbol: "play", kind: "primary", keys: "Space" }, () => {
        all((player) => {
          player.seek(0);
          player.play();
        });
      })),
    h(
      "table", { class: "differences" },
      h("caption", { class: "visually-hidden" }, "What differs"),
      h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col" }, "Left"), h("th", { scope: "col" }, "Right"))),
      h("tbody", {}, rows.map(([name, value]) => {
        const values = videos.map((video) => String(value(video) ?? ""));
        return h(
          "tr", { class: values[0] === values[1] ? "" : "differs" }, h("th", { scope: "row" }, name),
          values.map((words) => h("td", {}, words || "\u2013")));
      }))));
  players.forEach((player, index) => {
    const video = videos[index];
    player.load(contentOf(video.id), {
      rate: rateOf(video), isStill: sourceOf(video).kind === "picture" || isAnimation(video),
    });
  });
  bindKeys(box, keys);
}

/// Moving pictures that are no videos to a browser.
export const isAnimation = (video) => ["gif", "webp"].includes(video.kino.format);
