import { dialog, h } from "./dom.js";

// What a key does depends on what is open: the topmost dialog's keys, or those of the view.
const ofDialogs = new WeakMap();
let ofView = () => ({});

/// Gives a dialog its keys: a function for each name, such as `k`, `space` or `shift+left`.
export function bindKeys(element, map) { ofDialogs.set(element, map); }

/// Says which keys the page has when no dialog is open.
export function bindViewKeys(keys) { ofView = keys; }

const words = {
  " ": "space", ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down",
  Escape: "escape", Enter: "enter", Delete: "delete", Backspace: "delete", Home: "home", End: "end",
};

function nameOf(event) {
  const isLetter = event.key.length === 1 && event.key !== " ";
  // A shifted sign, such as the question mark, is named by itself.
  const hasShift = event.shiftKey && (!isLetter || /[a-z]/i.test(event.key));
  return [
    event.metaKey || event.ctrlKey ? "mod" : null, event.altKey ? "alt" : null, hasShift ? "shift" : null,
    words[event.key] ?? event.key.toLowerCase(),
  ].filter(Boolean).join("+");
}

const isText = (element) =>
  element.matches("textarea, select, [contenteditable]")
  || element.matches("input") && !["radio", "checkbox", "range", "file"].includes(element.type);

/// Whether space plays what a button stands for, instead of pressing it; Enter does that.
const playsBySpace = (element) => element.matches("[data-plays]");

/// Whether a control makes its own use of a key.
function isTaken(element, name) {
  if (isText(element)) return true;
  if (name === "space" && playsBySpace(element)) return false;
  const isPressed = element.matches("button, summary, a, input[type=checkbox], input[type=radio]");
  if (isPressed && ["space", "enter"].includes(name)) return true;
  const isWalked = element.matches("input[type=radio], input[type=range], [role=slider], canvas");
  return isWalked && (/^(shift\+)?(left|right|up|down|home|end)$/.test(name) || name === "space");
}

export function startKeys(global) {
  // Some browsers press a button when the key comes up.
  addEventListener("keyup", (event) => {
    const isPlayer = event.target instanceof Element && playsBySpace(event.target);
    if (event.key === " " && isPlayer) event.preventDefault();
  });
  addEventListener("keydown", (event) => {
    const open = [...document.querySelectorAll("dialog[open]")].at(-1);
    const map = open ? ofDialogs.get(open) ?? {} : { ...global, ...ofView() };
    const name = nameOf(event);
    const isGlobal = ["mod+enter", "mod+shift+enter", "escape"].includes(name);
    const target = event.target instanceof Element ? event.target : document.body;
    if (!isGlobal && isTaken(target, name)) return;
    if (isGlobal && name === "escape" && open) return;
    if (event.defaultPrevented || event.isComposing) return;
    const act = map[name];
    if (!act) return;
    if (act(event) !== false) event.preventDefault();
  });
}

const table = [
  ["Everywhere", [
    ["Ctrl/\u2318 Enter", "Make what the form asks for; with Shift, before all that waits"],
    ["Esc", "Close, leave a field, stop the clip being made"], ["Alt \u2191 \u2193", "Prompts made before"],
    ["/", "Go to the prompt"], ["1 2 3", "Create, timeline, storyboard"], ["?", "Show these keys"],
  ]],
  ["Gallery", [
    ["Arrows", "Walk"], ["Enter", "Open"], ["Space", "Play"], ["R", "Remix"], ["S or .", "Star"],
    ["C", "Mark, and compare with the one marked before"], ["T", "Add to the timeline"], ["Del", "Delete"],
  ]],
  ["Player", [
    ["Space, K", "Play or pause"], ["J, L", "Play back, play on; again for faster"],
    ["\u2190 \u2192", "One frame"], ["Shift \u2190 \u2192", "One second"], ["I, O", "In and out"],
    ["Home, End", "First and last frame"], ["\u2191 \u2193", "Video before, after"],
  ]],
  ["Timeline and storyboard", [
    ["\u2190 \u2192", "Walk segments"], ["Alt \u2190 \u2192", "Move a segment"],
    ["I, O", "Begin or end the clip at the frame shown"], ["Del", "Take out"], ["Ctrl/\u2318 Z", "Undo"],
  ]],
];

export function showKeys() {
  dialog(
    { title: "Keys", kind: "wide" },
    h(
      "div", { class: "key-table" },
      table.map(([title, rows]) =>
        h(
          "section", {}, h("h3", {}, title),
          h(
            "dl", {},
            rows.map(([keys, what]) => h("div", {}, h("dt", {}, h("kbd", {}, keys)), h("dd", {}, what))))))));
}
