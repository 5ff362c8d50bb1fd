// The two lists of languages, the button that swaps them, and the choice of a model where several fit.

const names = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });

export function languageName(code) {
  try {
    return names.of(code);
  } catch {
    return code; // not a code that the browser can parse
  }
}

export class Languages {
  #source = document.getElementById("source-language");
  #target = document.getElementById("target-language");
  #swap = document.getElementById("swap");
  #modelChoice = document.getElementById("model-choice");
  #model = document.getElementById("model");
  #targets = new Map();
  #models = [];
  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
    this.#source.addEventListener("change", () => this.#sourceChanged(this.target));
    this.#target.addEventListener("change", () => this.#targetChanged());
    this.#swap.addEventListener("click", () => this.#swapped());
  }

  get source() {
    return this.#source.value;
  }

  get target() {
    return this.#target.value;
  }

  /** The model's name where several translate this pair, else null: the service finds it. */
  get model() {
    return this.#modelChoice.hidden ? null : this.#model.value;
  }

  /** Models that translate the chosen pair. */
  get models() {
    return this.#models.filter((one) => one.source_lang === this.source && one.target_lang === this.target);
  }

  show(languages, models) {
    this.#models = models;
    this.#targets = new Map(languages.map(({ code, targets }) => [code, targets]));
    fill(this.#source, [...this.#targets.keys()]);
    this.#sourceChanged(null);
  }

  choose(source, target) {
    if (!this.#targets.get(source)?.includes(target)) return;
    this.#source.value = source;
    this.#sourceChanged(target);
  }

  #sourceChanged(wanted) {
    const targets = this.#targets.get(this.source) ?? [];
    fill(this.#target, targets);
    if (targets.includes(wanted)) this.#target.value = wanted;
    this.#targetChanged();
  }

  #targetChanged() {
    const canSwap = this.#targets.get(this.target)?.includes(this.source) ?? false;
    this.#swap.disabled = !canSwap;
    this.#swap.title = canSwap ? "Swap languages" : "No model translates the other way";
    const fitting = this.models.map((one) => one.name);
    this.#modelChoice.hidden = fitting.length < 2;
    this.#model.replaceChildren(...fitting.map((name) => new Option(name, name)));
    this.#onChange();
  }

  #swapped() {
    const { source, target } = this;
    this.#source.value = target;
    this.#sourceChanged(source);
  }
}

function fill(select, codes) {
  select.replaceChildren(...codes.map((code) => new Option(languageName(code), code)));
}
