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
  #detected = null; // the language of the last text whose language was detected
  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
    this.#source.addEventListener("change", () => this.#sourceChanged(this.target));
    this.#target.addEventListener("change", () => this.#targetChanged());
    this.#swap.addEventListener("click", () => this.#swapped());
  }

  /** The source language; null where it is to be detected. */
  get source() {
    return this.#source.value || null;
  }

  /** The source language, as far as it is known. */
  get known() {
    return this.source ?? this.#detected;
  }

  /** The language to give examples in. */
  get exampleLanguage() {
    return this.known ?? [...this.#targets.keys()][0];
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
    return this.#models.filter((one) => one.source_lang === this.known && one.target_lang === this.target);
  }

  show({ languages, detection }, models) {
    this.#models = models;
    this.#targets = new Map(languages.map(({ code, targets }) => [code, targets]));
    fill(this.#source, [...this.#targets.keys()]);
    if (detection && languages.length > 1) {
      this.#source.prepend(new Option("Detect language", ""));
      this.#source.value = "";
    }
    this.#sourceChanged(null);
  }

  /** The text that was translated turned out to be in this language. */
  showDetected(code) {
    if (this.source !== null) return;
    this.#detected = code;
    this.#source.options[0].textContent = `${languageName(code)} (detected)`;
    this.#targetChanged();
  }

  choose(source, target) {
    if (!this.#targets.get(source)?.includes(target)) return;
    this.#source.value = source;
    this.#sourceChanged(target);
  }

  #sourceChanged(wanted) {
    this.#forgetDetected();
    const targets = this.source ? (this.#targets.get(this.source) ?? []) : [...new Set([...this.#targets.values()].flat())];
    fill(this.#target, targets);
    if (targets.includes(wanted)) this.#target.value = wanted;
    this.#targetChanged();
  }

  #targetChanged() {
    const canSwap = this.#targets.get(this.target)?.includes(this.known) ?? false;
    this.#swap.disabled = !canSwap;
    this.#swap.title = canSwap ? "Swap languages" : this.known ? "No model translates the other way" : "Not before the language is known";
    const fitting = this.models.map((one) => one.name);
    this.#modelChoice.hidden = fitting.length < 2;
    this.#model.replaceChildren(...fitting.map((name) => new Option(name, name)));
    this.#onChange();
  }

  #swapped() {
    const { known, target } = this;
    this.#source.value = target;
    this.#sourceChanged(known);
  }

  #forgetDetected() {
    if (this.#detected === null) return;
    this.#detected = null;
    this.#source.options[0].textContent = "Detect language";
  }
}

function fill(select, codes) {
  select.replaceChildren(...codes.map((code) => new Option(languageName(code), code)));
}
