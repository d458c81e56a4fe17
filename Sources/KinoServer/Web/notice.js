import { button, h } from "./dom.js";

/// Says something to those who listen instead of look.
export function announce(words) {
  document.getElementById("announcer").textContent = words;
}

/// A short message that goes by itself, with at most one thing to do about it.
export function notify(words, { action, act, isError = false, seconds = 6 } = {}) {
  const shelf = document.getElementById("notices");
  for (const one of shelf.children) if (one.firstChild.textContent === words) one.remove();
  const kind = `notice ${action ? "has-action" : ""} ${isError ? "is-error" : ""}`;
  const note = h(
    "div", { class: kind, role: isError ? "alert" : "status" },
    h("p", {}, words),
    action
      ? button({ text: action, kind: "quiet" }, () => {
        note.remove();
        act();
      })
      : null,
    button({ label: "Dismiss", symbol: "close", kind: "quiet small" }, () => note.remove()));
  shelf.append(note);
  while (shelf.children.length > 3) shelf.firstElementChild.remove();
  let timer = setTimeout(() => note.remove(), seconds * 1000);
  // Whoever reads or reaches for it gets the time to.
  note.addEventListener("pointerenter", () => clearTimeout(timer));
  note.addEventListener("pointerleave", () => {
    timer = setTimeout(() => note.remove(), 2000);
  });
  return note;
}

/// Shows why something did not work, in the server's words.
export const complain = (error) => notify(error.message, { isError: true, seconds: 10 });

/// Runs what may be refused, and says so if it was.
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    complain(error);
    return null;
  }
}
