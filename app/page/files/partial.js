// A translation that is still arriving: its events, put together in the shape of an alignment.
//
// `segment` brings { segment, source_tokens }, `token` { segment, text, start, end, log_prob, attention,
// stable }: a piece with its row. A token that is not `stable` may be taken back: the next one of its
// segment then starts at or before its place.

export class PartialTranslation {
  #segments = new Map();
  #text = [];

  /** Take an event in; true where there is something new to see. */
  add(name, data) {
    if (name === "segment") this.#begin(data);
    if (name === "token") this.#extend(data);
    return name === "token";
  }

  /** What is there now; it stays as it is when more arrives. */
  get translation() {
    const segments = [...this.#segments.values()]
      .filter((one) => one.target_tokens.length > 0)
      .map((one) => ({ ...one, target_tokens: [...one.target_tokens], weights: [...one.weights] }));
    return {
      text: this.#text.join(""),
      isPartial: true,
      alignment: { kind: "attention", offset_encoding: "utf-16", segments },
    };
  }

  #begin({ segment, source_tokens: sourceTokens }) {
    this.#segments.set(segment, { segment, level: "piece", source_tokens: sourceTokens, target_tokens: [], weights: [] });
  }

  #extend({ segment, text, start, end, log_prob, attention }) {
    const one = this.#segments.get(segment);
    const kept = one.target_tokens.filter((token) => token.start < start || (token.end === start && token.start === start)).length;
    one.target_tokens.splice(kept, Infinity, { text, start, end, log_prob });
    one.weights.splice(kept, Infinity, attention);
    for (let place = this.#text.length; place < start; place += 1) this.#text.push(" ");
    this.#text.splice(start, Infinity, ...text.split(""));
  }
}
