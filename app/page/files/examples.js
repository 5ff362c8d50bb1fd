// Sentences to begin with: short, and with words that change places, which is what ribbons show best.

const EXAMPLES = {
  en: [
    ["a sentence", "The black cat sleeps on the red sofa."],
    ["a question", "Where did you put the keys to the old house?"],
    ["a paragraph", "We arrived late in the evening. The small hotel was already closed. A friendly woman showed us the way to the station."],
  ],
  fr: [
    ["une phrase", "Le chat noir dort sur le canapé rouge."],
    ["une question", "Où as-tu mis les clés de la vieille maison ?"],
    ["un paragraphe", "Nous sommes arrivés tard le soir. Le petit hôtel était déjà fermé. Une femme aimable nous a montré le chemin de la gare."],
  ],
  de: [
    ["ein Satz", "Die schwarze Katze schläft auf dem roten Sofa."],
    ["eine Frage", "Wo hast du die Schlüssel des alten Hauses hingelegt?"],
  ],
};

/** `[name, text]` pairs in `language`; empty where we have none. */
export function examplesIn(language) {
  return EXAMPLES[language.split("-")[0]] ?? [];
}
