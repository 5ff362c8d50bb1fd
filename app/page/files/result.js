// One answer of the service for one text, and the request that leads to it.

const MOST_ALTERNATIVES = 4;
const BEAM = 5;

/** The body of a request for everything that the page shows. */
export function requestBody({ text, source, target, model, kind, lifetime }, limits) {
  const beam = Math.min(BEAM, limits.max_beam_size);
  const alignment = { level: ["word", "piece"], offset_encoding: "utf-16" };
  return {
    text,
    ...(model ? { model } : { ...(source && { source_lang: source }), target_lang: target }),
    decoding: { beam_size: beam, n_best: Math.min(MOST_ALTERNATIVES, beam) },
    alignment: kind ? { ...alignment, kind } : alignment,
    ...lifetime,
  };
}

/** The same request for a text whose matrices would be too large: only the weights that show. */
export function sparseBody(body) {
  return { ...body, alignment: { ...body.alignment, form: "sparse", threshold: 0.01 } };
}

export class Result {
  /** `lifetime` is what its request says of how long it is kept. */
  constructor(text, answer, lifetime) {
    this.text = text;
    this.answer = answer;
    this.lifetime = lifetime;
    this.best = answer.translations[0];
  }

  /** A stored answer, whose text is put together from the words that it names. */
  static ofStored(answer, lifetime) {
    return new Result(sourceOf(answer.translations[0]), answer, lifetime);
  }

  /** Where it is stored, or null. */
  get id() {
    return this.answer.id ?? null;
  }

  /** It is stored once more, with all kinds of alignment. */
  keptAs(id) {
    this.answer = { ...this.answer, id };
  }

  /** It is stored no longer. */
  forget() {
    this.answer = { ...this.answer, id: null };
  }

  get model() {
    return this.answer.model.name;
  }

  get source() {
    return this.best.source_lang;
  }

  /** The service was not told the source language, and found it in the text. */
  get isDetected() {
    return this.best.source_lang_detected ?? false;
  }

  get target() {
    return this.best.target_lang;
  }

  get kind() {
    return this.best.alignment?.kind ?? null;
  }

  /** The best translation and its alternatives. */
  get hypotheses() {
    return [this.best, ...this.best.alternatives];
  }
}

/**
 * The text that was translated. Its words stand in the alignment; between sentences there is what the
 * translation has there, since that is kept character for character, and between words a space.
 */
function sourceOf({ text, segments, alignment }) {
  if (!alignment) return "";
  const translation = slicer(text, alignment.offset_encoding);
  let source = "";
  let targetPlace = 0;
  for (const [index, one] of (segments ?? []).entries()) {
    source += translation(targetPlace, one.target.start);
    targetPlace = one.target.end;
    let place = one.source.start;
    for (const token of alignment.segments.find(({ segment }) => segment === index)?.source_tokens ?? []) {
      if (token.end <= place) continue;
      source += " ".repeat(Math.max(0, token.start - place)) + token.text;
      place = token.end;
    }
  }
  return source + translation(targetPlace, Infinity);
}

function slicer(text, unit) {
  if (unit === "utf-16") return (start, end) => text.slice(start, end);
  if (unit === "utf-32") return (start, end) => [...text].slice(start, end).join("");
  const bytes = new TextEncoder().encode(text);
  return (start, end) => new TextDecoder().decode(bytes.slice(start, end));
}

export const MEANINGS = {
  attention: "Attention: what the network looked at while it chose each word, before it knew which word it would be.",
  head: "Alignment head: which source words each finished word corresponds to, judged after the word was chosen.",
};
