// The result: its panels, how they are viewed, its alternatives, and what it is compared with.

import { Panel } from "./panel.js";
import { MEANINGS } from "./result.js";

const ordinals = ["best", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th"];

export class ResultView {
  #root = document.getElementById("result");
  #panels = document.getElementById("panels");
  #alternatives = document.getElementById("alternatives");
  #list = document.getElementById("alternatives-list");
  #compare = document.getElementById("compare");
  #threshold = document.getElementById("threshold");
  #levels = document.getElementById("levels");
  #kinds = document.getElementById("kinds");
  #meaning = document.getElementById("kind-meaning");
  #first = new Panel((panel, detail) => this.#lightOther(panel, detail));
  #second = new Panel((panel, detail) => this.#lightOther(panel, detail));
  #result = null;
  #others = []; // what the list of comparisons offers: { name, get: () => [Result, hypothesis] }
  #chosen = 0;
  #isLighting = false;

  /** `ask({ model, kind })` resolves to the Result for the same text, or to null where that failed. */
  constructor(ask) {
    this.ask = ask;
    this.#panels.append(this.#first.root);
    this.#threshold.addEventListener("input", () => this.#review());
    this.#levels.addEventListener("change", () => this.#review());
    this.#kinds.addEventListener("change", () => this.#changeKind());
    this.#compare.addEventListener("change", () => this.#changeComparison());
  }

  /** The Result that is shown, and which of its hypotheses. */
  get shown() {
    return this.#result && { result: this.#result, hypothesis: this.#chosen };
  }

  /** The drawing of the first panel, with its `links`. */
  get drawing() {
    return this.#first.drawing;
  }

  get view() {
    return { level: this.#levels.querySelector(":checked").value, threshold: this.#threshold.value };
  }

  /** Show what has arrived so far. */
  showPartial(text, partial, { source, target }) {
    this.#root.hidden = false;
    this.#root.classList.add("partial");
    this.#first.show({ text, source, target }, partial, "", { ...this.view, level: partial.level ?? "word" });
  }

  show(result, models, kinds) {
    this.#root.hidden = false;
    this.#root.classList.remove("partial");
    this.#result = result;
    this.#chosen = 0;
    this.#showKinds(kinds);
    this.#offerComparisons(models, kinds);
    this.#hideSecond();
    this.#showChosen();
  }

  #showChosen() {
    const { hypotheses } = this.#result;
    this.#first.show(this.#result, hypotheses[this.#chosen], this.#title(), this.view);
    this.#listAlternatives(hypotheses);
    this.#root.dispatchEvent(new CustomEvent("shown"));
  }

  #title() {
    return this.#second.root.isConnected ? `${this.#result.model}, ${ordinals[this.#chosen]} translation` : "";
  }

  #listAlternatives(hypotheses) {
    this.#alternatives.hidden = hypotheses.length < 2;
    this.#list.replaceChildren(
      ...hypotheses.map((hypothesis, index) => {
        const button = document.createElement("button");
        const text = document.createElement("bdi");
        text.textContent = hypothesis.text;
        text.dir = "auto";
        text.lang = this.#result.target;
        const share = document.createElement("span");
        share.className = "share";
        share.textContent = `score ${hypothesis.score.toFixed(2)}`;
        share.title = "What the search ranks by: the log-probability, made fair to long translations";
        button.type = "button";
        button.setAttribute("aria-pressed", String(index === this.#chosen));
        button.append(text, share);
        button.addEventListener("click", () => {
          this.#chosen = index;
          this.#showChosen();
          this.#list.children[index].firstChild.focus();
        });
        const item = document.createElement("li");
        item.append(button);
        return item;
      }),
    );
  }

  #review() {
    document.getElementById("threshold-shown").textContent = `${Math.round(100 * this.view.threshold)}%`;
    this.#first.view(this.view);
    this.#second.view(this.view);
    this.#root.dispatchEvent(new CustomEvent("shown"));
  }

  #showKinds(kinds) {
    const { kind } = this.#result;
    this.#kinds.hidden = kinds.length < 2;
    for (const input of this.#kinds.querySelectorAll("input")) input.checked = input.value === kind;
    this.#meaning.hidden = kinds.length < 2;
    this.#meaning.textContent = MEANINGS[kind] ?? "";
  }

  async #changeKind() {
    const kind = this.#kinds.querySelector(":checked").value;
    const result = await this.ask({ model: this.#result.model, kind });
    if (!result) {
      this.#showKinds(["attention", "head"]);
      return;
    }
    const chosen = Math.min(this.#chosen, result.hypotheses.length - 1);
    this.#result = result;
    this.#chosen = chosen;
    this.#showKinds(["attention", "head"]);
    this.#showChosen();
  }

  #offerComparisons(models, kinds) {
    const { hypotheses, model, kind } = this.#result;
    const asked = (options) => async () => {
      const other = await this.ask(options);
      return other && [other, other.best];
    };
    this.#others = [
      ...hypotheses.slice(1).map((hypothesis, index) => ({
        name: `its ${ordinals[index + 1]} translation`,
        get: async () => [this.#result, hypothesis],
      })),
      ...kinds
        .filter((one) => one !== kind)
        .map((one) => ({ name: one === "head" ? "its alignment head" : "its attention", get: asked({ model, kind: one }) })),
      ...models.filter((one) => one.name !== model).map((one) => ({ name: `the model ${one.name}`, get: asked({ model: one.name, kind: null }) })),
    ];
    this.#compare.replaceChildren(
      new Option("nothing", ""),
      ...this.#others.map(({ name }, index) => new Option(name, String(index))),
    );
    this.#compare.parentNode.hidden = this.#others.length === 0;
  }

  async #changeComparison() {
    const other = this.#others[this.#compare.value];
    const found = other ? await other.get() : null;
    if (!found) {
      this.#compare.value = "";
      this.#hideSecond();
      this.#showChosen();
      return;
    }
    const [result, hypothesis] = found;
    this.#panels.append(this.#second.root);
    this.#panels.classList.add("two");
    this.#second.show(result, hypothesis, `${result.model}, ${other.name.replace(/^(its|the model) /u, "")}`, this.view);
    this.#showChosen();
  }

  #hideSecond() {
    this.#second.root.remove();
    this.#panels.classList.remove("two");
  }

  /** Both panels have the same source: what is lit in one is lit in the other. */
  #lightOther(panel, detail) {
    const other = panel === this.#first ? this.#second : this.#first;
    if (this.#isLighting || !other.root.isConnected) return;
    this.#isLighting = true;
    if (detail?.source !== null && detail?.source !== undefined) {
      other.drawing.light({ place: detail.place, source: detail.source }, { lock: detail.locked });
    } else {
      other.drawing.release();
    }
    this.#isLighting = false;
  }
}
