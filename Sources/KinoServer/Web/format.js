/// Words for numbers, as people say them.

export function seconds(value) {
  const number = Number(value);
  if (!Number.isFinite(number)) return "";
  if (number >= 90) return `${Math.floor(number / 60)} min ${Math.round(number % 60)} s`;
  return `${number >= 10 ? Math.round(number) : Math.round(number * 100) / 100} s`;
}

export function span(from, to) {
  const words = [from, to].map((value) => (value < 1 ? "1" : String(Math.round(value))));
  if (to >= 90) return `${seconds(from)} to ${seconds(to)}`;
  return words[0] === words[1] ? `${words[1]} s` : `${words[0]} to ${words[1]} s`;
}

export const bytes = (value) =>
  value >= 1e9 ? `${(value / 1e9).toFixed(1)} GB` : `${Math.max(1, Math.round(value / 1e6))} MB`;

/// A place in a clip: minutes, seconds and frames.
export function timecode(time, rate) {
  const frames = Math.max(0, Math.round(time * rate));
  const whole = Math.floor(frames / rate);
  const pad = (number) => String(number).padStart(2, "0");
  return `${pad(Math.floor(whole / 60))}:${pad(whole % 60)}:${pad(Math.floor(frames - whole * rate))}`;
}

export function ago(unix) {
  const passed = Date.now() / 1000 - unix;
  if (passed < 60) return "just now";
  if (passed < 3600) return `${Math.floor(passed / 60)} min ago`;
  if (passed < 86_400) return `${Math.floor(passed / 3600)} h ago`;
  return new Date(unix * 1000).toLocaleDateString();
}

/// Without digits that say nothing.
export const plain = (number, digits = 2) => String(Number(Number(number).toFixed(digits)));

/// A number where the text is one; any other text as it is, for the server to judge.
export function numberOrText(text) {
  const words = String(text).trim().replace(",", ".");
  if (words === "") return undefined;
  const number = Number(words);
  return Number.isFinite(number) ? number : words;
}

/// A size as people write it.
export const dimensions = (size) => String(size).replace("x", " \u00d7 ");

export function aspect(size) {
  const [width, height] = String(size).split("x").map(Number);
  return width > 0 && height > 0 ? width / height : 1;
}

const verbs = {
  generate: "Video", image: "Picture", animate: "Animation", extend: "Extension", loop: "Loop",
  connect: "Connection", edit: "Edit", storyboard: "Storyboard", reverse: "Reversal", upscale: "Upscale",
};

/// What a verb made.
export const madeBy = (verb) => verbs[verb] ?? verb;

/// What stands for a video in a list or message.
export function titleOf(video) {
  return video.prompt || `${madeBy(video.kino?.verb)} without a prompt`;
}
