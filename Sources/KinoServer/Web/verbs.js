/// What can be asked for, and which fields each request has beside those of all.
///
/// `prompt` and `seconds` are what their fields are called, with `?` at the end where they may be left
/// empty; without them a verb has no such field.
export const verbs = {
  generate: {
    label: "Video", symbol: "video", path: "/v1/videos", prompt: "Prompt", seconds: "Length in seconds?",
    example: "A red ball bounces on grass, slow camera, evening light",
    sources: [
      { param: "input_reference", label: "First frame", kind: "picture", isOptional: true },
      { param: "last_frame", label: "Last frame", kind: "picture", isOptional: true },
    ],
    loop: true,
  },
  image: {
    label: "Picture", symbol: "image", path: "/v1/videos/pictures", prompt: "Prompt",
    example: "A blue cube on snow", sources: [],
  },
  extend: {
    label: "Extend", symbol: "extend", path: "/v1/videos/extensions", prompt: "What happens then?",
    seconds: "New seconds", side: true, sources: [{ param: "video", label: "Clip", kind: "clip" }],
  },
  connect: {
    label: "Connect", symbol: "connect", path: "/v1/videos/connections", prompt: "What happens between?",
    seconds: "New seconds?",
    sources: [
      { param: "first", label: "First clip", kind: "clip" },
      { param: "second", label: "Second clip", kind: "clip" },
    ],
  },
  loop: {
    label: "Loop", symbol: "loop", path: "/v1/videos/loops", prompt: "What leads back?",
    seconds: "New seconds?", sources: [{ param: "video", label: "Clip", kind: "clip" }],
  },
  edit: {
    label: "Edit", symbol: "brush", path: "/v1/videos/edits", prompt: "What it should show",
    example: "The ball is blue", strength: 0.6, range: true, mask: true,
    sources: [{ param: "video", label: "Clip or picture" }],
  },
  remix: {
    label: "Remix", symbol: "remix", prompt: "What should be different", strength: 0.7,
    sources: [{ param: "video", label: "Video made here" }],
  },
  upscale: {
    label: "Upscale", symbol: "upscale", path: "/v1/videos/upscales", prompt: "What it shows?",
    strength: 0.35, sources: [{ param: "video", label: "Clip or picture" }],
  },
  reverse: {
    label: "Reverse", symbol: "reverse", path: "/v1/videos/reversals",
    sources: [{ param: "video", label: "Clip", kind: "clip" }],
  },
};

/// The request of a form; `missing` says what it lacks.
export function requestOf(name, form) {
  const verb = verbs[name];
  const body = {};
  for (const { param, label, isOptional } of verb.sources) {
    const source = form.sources[param];
    if (source) body[param] = { id: source.id };
    else if (!isOptional) return { missing: `Choose the ${label.toLowerCase()} to begin.` };
  }
  if (verb.prompt) {
    if (form.prompt) body.prompt = form.prompt;
    else if (!verb.prompt.endsWith("?")) return { missing: "Say what to show to begin." };
  }
  if (verb.seconds) {
    if (form.seconds !== undefined) body.seconds = String(form.seconds);
    else if (!verb.seconds.endsWith("?")) return { missing: "Say how many seconds to begin." };
  }
  if (verb.strength !== undefined && form.strength !== undefined) body.strength = form.strength;
  if (verb.side) body.side = form.side;
  if (verb.loop && form.loop) body.loop = true;
  if (verb.range) {
    if (form.from !== undefined) body.from = form.from;
    if (form.to !== undefined) body.to = form.to;
  }
  if (verb.mask && form.mask) body.mask = { id: form.mask.id };
  if (name === "upscale" && !form.settings.size) return { missing: "Choose a size to begin." };
  if (name !== "remix") return { path: verb.path, body: { ...body, ...form.settings } };
  delete body.video;
  return { path: `/v1/videos/${form.sources.video.id}/remix`, body: { ...body, ...form.settings } };
}
