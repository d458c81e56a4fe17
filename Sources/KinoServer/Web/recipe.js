import { get } from "./api.js";
import { sourceOf } from "./sources.js";
import { store } from "./store.js";

/// Reads the recipe in a file that Kino made; `null` if there is none.
export async function readRecipe(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  for (const text of texts(bytes)) {
    const recipe = findRecipe(text);
    if (recipe) return recipe;
  }
  return null;
}

/// The bytes as texts in which a recipe can stand in one piece. Each kind of file has its own way to keep
/// a comment; see docs/formats.md.
function* texts(bytes) {
  const decode = (part) => new TextDecoder().decode(part);
  const head = decode(bytes.subarray(0, 4));
  if (head === "GIF8") yield decode(commentOfGIF(bytes));
  else if (bytes[0] === 0xff && bytes[1] === 0xd8) yield decode(commentOfJPEG(bytes));
  const whole = decode(bytes);
  yield whole;
  // In XMP, quotes are escaped.
  if (head === "RIFF") yield unescaped(whole);
}

function unescaped(text) {
  const marks = { quot: "\"", apos: "'", lt: "<", gt: ">", amp: "&" };
  return text
    .replace(/&#(x?)([0-9a-f]+);/gi, (_, hex, code) => String.fromCodePoint(parseInt(code, hex ? 16 : 10)))
    .replace(/&(quot|apos|lt|gt|amp);/g, (_, name) => marks[name]);
}

/// Comment extensions without the lengths of their blocks.
function commentOfGIF(bytes) {
  const parts = [];
  for (let place = bytes.length - 2; place > 0; place -= 1) {
    if (bytes[place] !== 0x21 || bytes[place + 1] !== 0xfe) continue;
    let next = place + 2;
    while (bytes[next]) {
      parts.push(bytes.subarray(next + 1, next + 1 + bytes[next]));
      next += bytes[next] + 1;
    }
    break;
  }
  return joined(parts);
}

function commentOfJPEG(bytes) {
  const parts = [];
  let place = 2;
  while (place + 4 < bytes.length && bytes[place] === 0xff && bytes[place + 1] !== 0xda) {
    const count = bytes[place + 2] * 256 + bytes[place + 3];
    if (bytes[place + 1] === 0xfe) parts.push(bytes.subarray(place + 4, place + 2 + count));
    place += 2 + count;
  }
  return joined(parts);
}

function joined(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) {
    all.set(part, place);
    place += part.length;
  }
  return all;
}

/// The object around a key that every recipe has, and little else.
function findRecipe(text) {
  for (let hit = text.indexOf("\"model_hash\":"); hit >= 0; hit = text.indexOf("\"model_hash\":", hit + 1)) {
    // Keys are sorted, so a recipe may begin with objects; the outermost brace that fits is its own.
    let open = text.lastIndexOf("{", hit);
    for (let tries = 0; open >= 0 && tries < 400; tries += 1) {
      const found = parsed(text, open);
      if (found?.kino && found.verb) return found;
      open = text.lastIndexOf("{", open - 1);
    }
  }
  return null;
}

function parsed(text, start) {
  let depth = 0;
  let isQuoted = false;
  for (let place = start; place < Math.min(text.length, start + 1_000_000); place += 1) {
    const sign = text[place];
    if (isQuoted) {
      if (sign === "\\") place += 1;
      else if (sign === "\"") isQuoted = false;
    } else if (sign === "\"") {
      isQuoted = true;
    } else if (sign === "{") {
      depth += 1;
    } else if (sign === "}" && (depth -= 1) === 0) {
      try {
        return JSON.parse(text.slice(start, place + 1));
      } catch {
        return null;
      }
    }
  }
  return null;
}

/// A recipe in the form of a request: a composition and settings.
export function requestOfRecipe(recipe) {
  const { verb, size, fit = "crop", sound = true, negative_prompt: negative } = recipe;
  const shot = { prompts: [{ text: recipe.prompt, start: 0 }], frames: recipe.frames, joins: [], guides: [] };
  const settings = {};
  for (const name of ["seed", "steps", "guidance", "low_noise_guidance", "guidance_range", "history_guidance",
    "shift", "cache", "sampler", "precision"]) {
    if (recipe[name] !== undefined) settings[name] = recipe[name];
  }
  return {
    composition: {
      verb, size, fit, sound, negative_prompt: negative, frames_per_second: recipe.frames_per_second,
      timeline: recipe.timeline ?? [{ shot }],
    },
    settings, model: recipe.model,
  };
}

/// What a composition calls a source, as a source; `null` if the server has none such.
export async function sourceNamed(path) {
  const id = path.replace(/\.[a-z0-9]+$/i, "");
  const known = store.videos.get(id);
  if (known?.status === "completed") return sourceOf(known);
  try {
    if (/^video_\w+$/.test(id)) return sourceOf(await get(`/v1/videos/${id}`));
    if (!/^file_\w+$/.test(id)) return null;
    const file = await get(`/v1/files/${id}`);
    return {
      id, kind: file.kind, name: file.filename || "Upload", seconds: file.seconds,
      size: `${file.width}x${file.height}`, rate: 12,
    };
  } catch {
    return null;
  }
}

/// Which form shows a request, and what it holds: `{view, form, missing}`. `view` is `make`, `storyboard`
/// or `timeline`; `missing` has the names of sources that are not on the server.
export async function formOf({ composition, settings, model, format }) {
  const missing = [];
  const source = async (part) => {
    const found = part ? await sourceNamed(part.path) : null;
    if (part && !found) missing.push(part.path);
    return found;
  };
  const shared = settingsOf(composition, settings, model, format);
  const { verb, timeline } = composition;
  const shots = timeline.filter((one) => one.shot).map((one) => one.shot);
  const media = timeline.filter((one) => one.media).map((one) => one.media);
  const isPlain = media.every((part) => !part.start && !part.seconds && !part.reversed);
  const shot = shots[0];
  const prompt = shot?.prompts[0]?.text ?? "";
  const length = shot?.seconds ?? (shot?.frames && composition.frames_per_second
    ? shot.frames / composition.frames_per_second : "");
  const form = { prompt, settings: shared, seconds: length === "" ? "" : String(+Number(length).toFixed(3)) };
  const done = (verb, more) => ({ view: "make", form: { ...form, verb, ...more }, missing });

  if (verb === "image") return done("image", {});
  if (verb === "generate" || verb === "animate") {
    if (shots.length === 2 && !media.length) {
      const whole = shots.reduce((sum, one) => sum + (one.seconds ?? 0), 0);
      return done("generate", { loop: true, seconds: String(+whole.toFixed(3)) });
    }
    const [first, last] = [shot.guides.find((one) => !one.start), shot.guides.find((one) => one.start)];
    return done("generate", {
      sources: { input_reference: await source(first?.part), last_frame: await source(last?.part) },
    });
  }
  if (isPlain && verb === "extend" && timeline.length === 2 && media.length === 1) {
    return done("extend", {
      sources: { video: await source(media[0]) }, side: timeline[0].shot ? "before" : "after",
    });
  }
  if (isPlain && verb === "loop" && timeline.length === 2 && media.length === 1) {
    return done("loop", { sources: { video: await source(media[0]) } });
  }
  if (isPlain && verb === "connect" && timeline.length === 3 && media.length === 2) {
    return done("connect", { sources: { first: await source(media[0]), second: await source(media[1]) } });
  }
  if (verb === "reverse") return done("reverse", { sources: { video: await source(media[0]) } });
  const whole = shot?.guides.find((guide) => guide.start === null || guide.start === undefined);
  if (shots.length === 1 && whole && (verb === "edit" || verb === "upscale")) {
    const { start, seconds } = whole.part;
    return done(verb, {
      sources: { video: await source(whole.part) }, strength: whole.noise, seconds: "",
      mask: await source(whole.mask), from: start ? String(start) : "",
      to: seconds ? String(+(start + seconds).toFixed(3)) : "",
    });
  }
  const isBoard = !media.length && shots.every(
    (one) => one.guides.length <= 1 && !one.joins.includes("next") && one.prompts.length === 1);
  const found = new Map();
  const parts = [...media, ...shots.flatMap((one) => one.guides.map((guide) => guide.part))];
  for (const part of parts) found.set(part.path, await source(part));
  return { view: isBoard ? "storyboard" : "timeline", form: { timeline, found, settings: shared }, missing };
}

function settingsOf(composition, settings, model, format) {
  const text = (value) => (value === undefined || value === null ? "" : String(value));
  return {
    size: text(composition.size), seed: text(settings.seed), steps: text(settings.steps),
    guidance: text(settings.guidance), negative_prompt: text(composition.negative_prompt),
    fps: text(composition.frames_per_second), fit: composition.fit === "crop" ? "" : text(composition.fit),
    sampler: text(settings.sampler), model: text(model), sound: composition.sound ?? true,
    format: ["mp4", "png"].includes(format) ? "" : text(format), n: "1",
  };
}
