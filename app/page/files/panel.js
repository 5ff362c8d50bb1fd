// One translation with its alignment; two of them stand side by side.

export class Panel {
  #heading = document.createElement("h2");
  #warning = document.createElement("p");
  #shown = null;
  drawing = document.createElement("attention-alignment");

  constructor(onLight) {
    this.root = document.createElement("article");
    this.root.className = "panel";
    this.#warning.className = "hint";
    this.root.append(this.#heading, this.drawing, this.#warning);
    this.drawing.addEventListener("alignment-light", (event) => onLight(this, event.detail));
  }

  /** The hypothesis that is shown. */
  get shown() {
    return this.#shown;
  }

  show(result, hypothesis, title, view) {
    this.#shown = hypothesis;
    this.#heading.textContent = title;
    this.#heading.hidden = !title;
    this.drawing.setAttribute("source", result.text);
    this.drawing.setAttribute("target", hypothesis.text);
    this.drawing.setAttribute("source-lang", result.source ?? "");
    this.drawing.setAttribute("target-lang", result.target);
    this.drawing.toggleAttribute("partial", Boolean(hypothesis.isPartial));
    this.view(view);
    this.drawing.hidden = !hypothesis.alignment?.segments.length;
    this.drawing.alignment = hypothesis.alignment && { text: hypothesis.text, alignment: hypothesis.alignment };
    this.#warn(hypothesis);
  }

  view({ level, threshold }) {
    this.drawing.setAttribute("level", level);
    this.drawing.setAttribute("threshold", threshold);
  }

  #warn(hypothesis) {
    const said = [];
    if (!hypothesis.alignment?.segments.length) said.push(hypothesis.text);
    if (!hypothesis.alignment && !hypothesis.isPartial) said.push("(This model has no attention, so there is nothing to draw.)");
    if (hypothesis.alignment?.segments.length === 0) said.push("(There is nothing to translate in it, so it stays as it is.)");
    if (hypothesis.finish_reason === "length") said.push("The translation was cut off at its greatest length.");
    if (hypothesis.segments?.some((segment) => segment.split)) said.push("A sentence was too long and was translated in parts.");
    this.#warning.textContent = said.join(" ");
    this.#warning.hidden = said.length === 0;
    this.#warning.dir = "auto";
  }
}
