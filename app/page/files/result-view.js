// The result: its panels, how they are viewed, its alternatives, and what it is compared with.

import { Panel } from "./panel.js";
import { MEANINGS } from "./result.js";

const ORDINALS = ["best", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th"];
const KINDS = { attention: "attention", head: "alignment head" };

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
  #chosen = 0; // which of its hypotheses
  #kind = null;
  #others = []; // what it can be compared with: { name, get }, where get() gives { result, hypothesis } or null
  #isLighting = false;

  /**
   * `findHypothesis(result, index, kind)` resolves to a hypothesis with that kind of alignment and
   * `findResult(model)` to the Result of another model, or each to null where that failed.
   */
  constructor({ findHypothesis, findResult, onShown }) {
    Object.assign(this, { findHypothesis, findResult, onShown });
    this.#panels.append(this.#first.root);
    this.#threshold.addEventListener("input", () => this.#review());
    this.#levels.addEventListener("change", () => this.#review());
    this.#kinds.addEventListener("change", () => this.#changeKind());
    this.#compare.addEventListener("change", () => this.#changeComparison());
  }

  get shown() {
    return { result: this.#result, index: this.#chosen, kind: this.#kind, hypothesis: this.#first.shown, links: this.#first.drawing.links };
  }

  get view() {
    return { level: this.#levels.querySelector(":checked").value, threshold: this.#threshold.value };
  }

  /** Show what has arrived so far. */
  showPartial(text, partial, { source, target }) {
    this.#root.hidden = false;
    this.#root.classList.add("partial");
    this.#hideSecond();
    this.#first.show({ text, source, target }, partial, "", this.view);
  }

  /** Nothing more arrives: show again what was there before. */
  dropPartial() {
    if (!this.#root.classList.contains("partial")) return;
    this.#root.classList.remove("partial");
    if (this.#result) this.#showChosen();
    else this.#root.hidden = true;
  }

  async show(result, otherModels, kinds) {
    this.#root.hidden = false;
    this.#root.classList.remove("partial");
    this.#result = result;
    this.#chosen = 0;
    this.#kind = result.kind;
    this.#kinds.hidden = this.#meaning.hidden = kinds.length < 2;
    this.#offerComparisons(otherModels, kinds);
    this.#hideSecond();
    await this.#showChosen();
  }

  /** False where what is chosen could not be had; what was shown then stays. */
  async #showChosen() {
    const hypothesis = await this.findHypothesis(this.#result, this.#chosen, this.#kind);
    if (!hypothesis) return false;
    const title = this.#second.root.isConnected ? this.#title(ORDINALS[this.#chosen], this.#kind) : "";
    this.#first.show(this.#result, hypothesis, title, this.view);
    this.#listAlternatives();
    for (const input of this.#kinds.querySelectorAll("input")) input.checked = input.value === this.#kind;
    this.#meaning.textContent = MEANINGS[this.#kind] ?? "";
    this.onShown();
    return true;
  }

  #title(ordinal, kind) {
    const what = this.#kinds.hidden ? [] : [KINDS[kind]];
    return [this.#result.model, `${ordinal} translation`, ...what].join(" · ");
  }

  #listAlternatives() {
    const { hypotheses } = this.#result;
    this.#alternatives.hidden = hypotheses.length < 2;
    this.#list.replaceChildren(...hypotheses.map((hypothesis, index) => this.#alternative(hypothesis, index)));
  }

  #alternative({ text, score }, index) {
    const words = Object.assign(document.createElement("bdi"), { textContent: text, dir: "auto", lang: this.#result.target });
    const told = Object.assign(document.createElement("span"), { className: "score", textContent: `score ${score.toFixed(2)}` });
    told.title = "What the search ranks by: the log-probability, made fair to long translations";
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.setAttribute("aria-pressed", String(index === this.#chosen));
    button.append(words, told);
    button.addEventListener("click", () => this.#choose(index));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  async #choose(index) {
    const before = this.#chosen;
    this.#chosen = index;
    if (!(await this.#showChosen())) this.#chosen = before;
    this.#list.children[index].firstChild.focus();
  }

  async #changeKind() {
    const before = this.#kind;
    this.#kind = this.#kinds.querySelector(":checked").value;
    if (await this.#showChosen()) return;
    this.#kind = before;
    await this.#showChosen();
  }

  #review() {
    document.getElementById("threshold-shown").textContent = `${Math.round(100 * this.view.threshold)}%`;
    this.#first.view(this.view);
    this.#second.view(this.view);
  }

  #offerComparisons(otherModels, kinds) {
    const result = this.#result;
    const alternatives = result.hypotheses.slice(1).map((_, index) => ({
      name: `the ${ORDINALS[index + 1]} translation`,
      title: () => this.#title(ORDINALS[index + 1], this.#kind),
      get: async () => ({ result, hypothesis: await this.findHypothesis(result, index + 1, this.#kind) }),
    }));
    const others = kinds
      .filter((kind) => kind !== result.kind)
      .map((kind) => ({
        name: `its ${KINDS[kind]}`,
        title: () => this.#title(ORDINALS[this.#chosen], kind),
        get: async () => ({ result, hypothesis: await this.findHypothesis(result, this.#chosen, kind) }),
      }));
    const models = otherModels.map((name) => ({
      name: `the model ${name}`,
      title: () => `${name} · best translation`,
      get: async () => {
        const other = await this.findResult(name);
        return { result: other, hypothesis: other?.best };
      },
    }));
    this.#others = [...alternatives, ...others, ...models];
    const options = this.#others.map(({ name }, index) => new Option(name, String(index)));
    this.#compare.replaceChildren(new Option("nothing", ""), ...options);
    this.#compare.parentNode.hidden = options.length === 0;
  }

  async #changeComparison() {
    const other = this.#others[this.#compare.value];
    const found = other && (await other.get());
    if (found?.hypothesis) {
      this.#panels.append(this.#second.root);
      this.#panels.classList.add("two");
      this.#second.show(found.result, found.hypothesis, other.title(), this.view);
    } else {
      this.#compare.value = "";
      this.#hideSecond();
    }
    await this.#showChosen();
  }

  #hideSecond() {
    this.#second.root.remove();
    this.#panels.classList.remove("two");
  }

  /** Both panels have the same source: a word of it that is lit in one is lit in the other. */
  #lightOther(panel, detail) {
    const other = panel === this.#first ? this.#second : this.#first;
    if (this.#isLighting || !other.root.isConnected) return;
    this.#isLighting = true;
    if (detail === null || detail.source === null) other.drawing.release();
    else other.drawing.light({ place: detail.place, source: detail.source }, { lock: detail.locked });
    this.#isLighting = false;
  }
}
