/// What the server answered instead of what was asked for, in its own words.
export class Refusal extends Error {
  constructor({ message, param = null, code = "" }, status = 0) {
    super(message);
    this.param = param;
    this.code = code;
    this.status = status;
  }

  get isOffline() { return this.code === "offline"; }
}

let askForKey = null;

/// Says who asks for a key when the server wants one; the promise ends once a key was taken.
export function whenKeyIsNeeded(ask) {
  let asking = null;
  // Several requests are refused at once; one question answers them all.
  askForKey = () => (asking ??= ask().finally(() => { asking = null; }));
}

/// Sends a request and returns its answer.
///
/// `body` is an object (sent as JSON) or a form. Throws a `Refusal`.
export async function request(method, path, body, options = {}) {
  const isForm = body instanceof FormData;
  let response;
  try {
    response = await fetch(path, {
      method, credentials: "same-origin", ...options,
      headers: body && !isForm ? { "Content-Type": "application/json" } : {},
      body: body ? (isForm ? body : JSON.stringify(body)) : undefined,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal({ message: "The server can't be reached. Is it running?", code: "offline" });
  }
  if (response.status === 401 && askForKey && path !== "/session") {
    await askForKey();
    return request(method, path, body, options);
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  // A proxy in between answers without the server's words.
  const isGone = [502, 503, 504].includes(response.status) && !answer?.error;
  throw new Refusal(
    answer?.error ?? {
      message: isGone ? "The server can't be reached. Is it running?" : `The answer was ${response.status}.`,
      code: isGone ? "offline" : "",
    },
    response.status);
}

export const get = (path) => request("GET", path);
export const post = (path, body, options) => request("POST", path, body, options);

/// Uploads a picture or clip; the answer has its id.
export async function upload(file, name = file.name) {
  const form = new FormData();
  form.append("file", file, name);
  return post("/v1/files", form);
}

/// Where the bytes of a video, its thumbnail or its sheet are; or those of an upload.
export function contentOf(id, variant = "video") {
  if (!id.startsWith("video_")) return `/v1/files/${id}/content`;
  return `/v1/videos/${id}/content${variant === "video" ? "" : `?variant=${variant}`}`;
}

/// Follows the server's events for ever: connects again, later and later, until it is there.
///
/// `on` has `open`, `lost`, and a listener for each kind of event.
export function follow(path, on) {
  let wait = 500;
  const connect = () => {
    const source = new EventSource(path);
    source.addEventListener("open", () => {
      wait = 500;
      on.open?.();
    });
    for (const kind of ["video", "progress", "removed", "queue"]) {
      source.addEventListener(kind, (event) => on[kind]?.(JSON.parse(event.data)));
    }
    // The browser gives up by itself after an answer that is no stream.
    source.addEventListener("error", () => {
      source.close();
      on.lost?.();
      setTimeout(connect, wait);
      wait = Math.min(wait * 1.6, 8000);
    });
  };
  connect();
}
