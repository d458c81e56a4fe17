import { uniqueName } from "./dom.js";

/// The timeline as data: clips and shots in a row, and the composition that they are.
///
/// A clip is `{key, kind: "clip", source, in, out, reversed}`, with times in seconds of its file. A shot is
/// `{key, kind: "shot", prompt, seconds, previous, next, blend}`: what it joins, and whether it takes its
/// time from both neighbours.

export const clipOf = (source, range = {}) => ({
  key: uniqueName(), kind: "clip", source, reversed: false, in: range?.in ?? 0,
  out: range?.out ?? source.seconds ?? 1,
});

export const shotOf = (fields = {}) => ({
  key: uniqueName(), kind: "shot", prompt: "", seconds: 1, previous: false, next: false,
  blend: false, ...fields,
});

const round = (value) => Number(value.toFixed(6));

/// How long a segment is on the timeline, without what blends take from it.
export function lengthOf(items, index) {
  const item = items[index];
  if (item.kind === "shot") return Number(item.seconds) || 0;
  return Math.max(0, item.out - item.in - taken(items, index, -1) - taken(items, index, 1));
}

export const totalOf = (items) => items.reduce((sum, _, index) => sum + lengthOf(items, index), 0);

/// What a blend beside a clip takes from its end on that side.
function taken(items, index, by) {
  const shot = items[index + by];
  return shot?.kind === "shot" && shot.blend && items[index + 2 * by]?.kind === "clip"
    ? (Number(shot.seconds) || 0) / 2 : 0;
}

/// The stretch of its file that a clip delivers.
export function rangeOf(items, index) {
  const item = items[index];
  const [before, after] = [taken(items, index, -1), taken(items, index, 1)];
  const [first, last] = item.reversed ? [after, before] : [before, after];
  return { start: round(item.in + first), end: round(item.out - last) };
}

/// What the segments are as a request.
export function compositionOf(items) {
  const timeline = items.map((item, index) => {
    if (item.kind === "shot") {
      const joins = [item.previous && "previous", item.next && "next"].filter(Boolean);
      return {
        shot: { prompts: [{ text: item.prompt, start: 0 }], seconds: item.seconds, joins, guides: [] },
      };
    }
    const { start, end } = rangeOf(items, index);
    const media = { path: item.source.id, start, reversed: item.reversed };
    if (item.source.kind === "picture") return { media: { ...media, start: 0 } };
    // To the end of the file, whatever its last frame's time is.
    const isWhole = end >= item.source.seconds - 1e-3;
    return { media: isWhole ? media : { ...media, seconds: round(end - start) } };
  });
  return { verb: verbOf(items), timeline, negative_prompt: "", fit: "crop", sound: true };
}

/// What the whole is closest to, which is what recipes call it.
function verbOf(items) {
  const clips = items.filter((item) => item.kind === "clip");
  if (!clips.length) return "storyboard";
  if (clips.length > 1) return "connect";
  const last = items.at(-1);
  if (last.kind === "shot" && last.previous && last.next) return "loop";
  return items.length === 1 && clips[0].reversed ? "reverse" : "extend";
}

/// What is missing before the server can be asked; empty if nothing is.
export function missingOf(items) {
  if (!items.length) return "Add a clip or a card to begin.";
  const index = items.findIndex((_, place) => lengthOf(items, place) <= 0);
  return index < 0 ? "" : `Segment ${index + 1} is empty; make it longer.`;
}

/// The segments of a composition. `found` has the source of each path that the server knows.
export function itemsOf(timeline, found) {
  return timeline.flatMap(({ media, shot }) => {
    if (shot) {
      const { prompts, seconds, joins } = shot;
      return [shotOf({
        prompt: prompts[0]?.text ?? "", seconds: seconds ?? 1, previous: joins.includes("previous"),
        next: joins.includes("next"),
      })];
    }
    const source = found.get(media.path);
    if (!source) return [];
    const clip = clipOf(source, {
      in: media.start, out: media.seconds ? media.start + media.seconds : source.seconds,
    });
    return [{ ...clip, reversed: media.reversed }];
  });
}
