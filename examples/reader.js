
// Lights a word and its partners; words are linked within their pair of paragraphs.
let kept = null;

function light(word) {
  for (const lit of document.querySelectorAll(".here, .partner")) lit.classList.remove("here", "partner");
  if (!word) return;
  word.classList.add("here");
  const pair = word.closest(".pair");
  for (const name of word.dataset.partners.split(" ")) {
    pair.querySelector(`[data-word="${name}"]`)?.classList.add("partner");
  }
}

function wordOf(event) {
  return event.target.closest("[tabindex]");
}

document.addEventListener("pointerover", (event) => light(wordOf(event) ?? kept));
document.addEventListener("focusin", (event) => light(wordOf(event)));
document.addEventListener("click", (event) => light((kept = wordOf(event))));
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter") light((kept = wordOf(event)));
  if (event.key === "Escape") light((kept = null));
});
