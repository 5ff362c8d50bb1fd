// A translation that is still arriving: what has come so far, in the shape of an alignment.

export class PartialTranslation {
  constructor(text) {
    this.text = text;
    this.translation = { text: "", alignment: null, isPartial: true };
  }

  add() {
    return false;
  }
}
