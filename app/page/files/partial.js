// A translation that is still arriving: its events (docs/api.md, “A translation as it is made”) put together in the shape
// of an alignment of pieces.

export class PartialTranslation {
  #source;
  #segments = []; // { source, tokens }, by their index; `tokens` are the latest events of each piece

  /** @param {string} source The text that was sent. */
  constructor(source) {
    this.#source = source;
  }

  /** Take an event in. */
  add(name, data) {
    if (name === "segment") this.#segments[data.segment] = { source: data.source_pieces, tokens: [] };
    const one = this.#segments[data.segment];
    if (name === "token") one.tokens[data.index] = data;
    if (name === "segment_end") one.tokens.length = Math.min(one.tokens.length, data.pieces);
  }

  /** What is there now; it stays as it is when more arrives. */
  get translation() {
    const written = { text: "" };
    const segments = this.#segments.flatMap((one, index) => this.#drawn(one, index, written));
    const hasWeights = segments.every((one) => one.weights.every(Boolean));
    const alignment = { kind: "attention", offset_encoding: "utf-16", segments };
    return { text: written.text, isPartial: true, alignment: hasWeights && segments.length ? alignment : null };
  }

  #drawn({ source, tokens }, segment, written) {
    const present = tokens.filter(Boolean);
    if (present.length === 0) return [];
    if (written.text) written.text += " ";
    const targetTokens = present.map(({ text, log_prob }) => {
      const start = written.text.length + (text.length - text.trimStart().length);
      written.text += text;
      return { text: text.trim(), start, end: written.text.trimEnd().length, log_prob };
    });
    return [
      {
        segment,
        level: "piece",
        source_tokens: source.map(({ start, end }) => ({ text: this.#source.slice(start, end), start, end })),
        target_tokens: targetTokens,
        weights: present.map((token) => token.weights),
        eos: { source_mass: present.map((token) => token.eos) },
      },
    ];
  }
}
