// One answer of the service for one text, and the request that leads to it.

const MOST_ALTERNATIVES = 4;
const BEAM = 5;

/** The body of a request for everything that the page shows. */
export function requestBody({ text, source, target, model, kind }, limits) {
  const beam = Math.min(BEAM, limits.max_beam_size);
  const alignment = { level: ["word", "piece"], offset_encoding: "utf-16" };
  return {
    text,
    ...(model ? { model } : { source_lang: source, target_lang: target }),
    decoding: { beam_size: beam, n_best: Math.min(MOST_ALTERNATIVES, beam) },
    alignment: kind ? { ...alignment, kind } : alignment,
  };
}

/** The same request for a text whose matrices would be too large: only the weights that show. */
export function sparseBody(body) {
  return { ...body, alignment: { ...body.alignment, form: "sparse", threshold: 0.01 } };
}

export class Result {
  constructor(text, answer) {
    this.text = text;
    this.answer = answer;
    this.best = answer.translations[0];
  }

  /** Where it is stored, or null. */
  get id() {
    return this.answer.id ?? null;
  }

  get model() {
    return this.answer.model.name;
  }

  get source() {
    return this.best.source_lang;
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

export const MEANINGS = {
  attention: "Attention: what the network looked at while it chose each word, before it knew which word it would be.",
  head: "Alignment head: which source words each finished word corresponds to, judged after the word was chosen.",
};
