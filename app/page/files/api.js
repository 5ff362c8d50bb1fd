// Speaks to the service; every failure becomes a Problem with a sentence for a person.

import { readEvents } from "./events.js";

export class Problem extends Error {
  constructor(sentence, { code = "unreachable", retryAfter = null } = {}) {
    super(sentence);
    this.name = "Problem";
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export class Api {
  /** Sent as a bearer token; in memory only. */
  key = null;

  get(path, options = {}) {
    return this.#send(path, { method: "GET", ...options }).then((response) => response.json());
  }

  /** The response in a form that `mediaType` names. */
  download(path, mediaType) {
    return this.#send(path, { method: "GET", headers: { Accept: mediaType } });
  }

  delete(path) {
    return this.#send(path, { method: "DELETE" });
  }

  translate(body, { signal }) {
    return this.#post("/v1/translate", body, "application/json", signal).then((response) => response.json());
  }

  /** The same, with `onEvent(name, data)` for everything that arrives before the whole. */
  async translateStreaming(body, { signal, onEvent }) {
    const response = await this.#post("/v1/translate", body, "text/event-stream", signal);
    // What stands between may have no streams.
    if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) return response.json();
    for await (const { name, data } of readEvents(response.body)) {
      if (name === "error") throw problemOf(data, null);
      if (name === "done") return data;
      onEvent(name, data);
    }
    throw new Problem("The connection ended before the translation was complete.");
  }

  #post(path, body, accept, signal) {
    const headers = { "Content-Type": "application/json", Accept: accept };
    return this.#send(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  }

  async #send(path, { headers = {}, ...options }) {
    const allHeaders = this.key ? { ...headers, Authorization: `Bearer ${this.key}` } : headers;
    let response;
    try {
      response = await fetch(path, { credentials: "omit", ...options, headers: allHeaders });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem("The service does not answer. Check that it runs and that you are connected.");
    }
    if (response.ok) return response;
    throw problemOf(await response.json().catch(() => null), response);
  }
}

/** A problem+json document as a sentence: what is wrong, and when to come back. */
function problemOf(document, response) {
  const retryAfter = Number(response?.headers.get("Retry-After")) || null;
  if (!document?.code) {
    return new Problem(`The service answered with the status ${response?.status ?? "of an error"}.`, { retryAfter });
  }
  const detail = document.detail.replace(/ \(at \/[^)]*\)$/u, ""); // a place in JSON tells a person nothing
  const parts = [document.title, detail].map((part) => part.replace(/\.$/u, ""));
  const told = parts[1] && parts[1] !== parts[0] ? `${parts[0]}. ${parts[1]}.` : `${parts[0]}.`;
  const wait = retryAfter ? ` Try again in ${retryAfter} second${retryAfter === 1 ? "" : "s"}.` : "";
  return new Problem(told + wait, { code: document.code, retryAfter });
}
