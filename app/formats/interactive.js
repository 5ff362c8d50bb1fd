"use strict";
// Lights the partners of the word under the pointer or with the focus; a click or Enter keeps them lit.
// All text stands in the page already; this only changes classes and one custom property.

const allCells = JSON.parse(document.getElementById("cells").textContent);
const other = { source: "target", target: "source" };

for (const section of document.querySelectorAll("section")) {
  connect(section, allCells[Number(section.dataset.segment)]);
}

function connect(section, cells) {
  const tokens = { source: [], target: [] };
  for (const token of section.querySelectorAll(".token")) tokens[token.dataset.side].push(token);
  const partners = {
    source: tokens.source.map(() => []),
    target: tokens.target.map(() => []),
  };
  for (const [target, source, weight] of cells) {
    partners.target[target].push([source, weight]);
    partners.source[source].push([target, weight]);
  }
  let kept = null;

  function clear() {
    section.classList.remove("lit");
    for (const lit of section.querySelectorAll(".chosen, .partner, .strong, .bright")) {
      lit.classList.remove("chosen", "partner", "strong", "bright");
    }
    section.querySelector("output").textContent = "";
  }

  function light(side, index) {
    clear();
    section.classList.add("lit");
    tokens[side][index].classList.add("chosen");
    brighten(side, index);
    for (const [partner, weight] of partners[side][index]) {
      const token = tokens[other[side]][partner];
      token.classList.add("partner");
      token.classList.toggle("strong", weight > 0.5);
      token.style.setProperty("--weight", String(weight));
    }
    section.querySelector("output").textContent = tell(side, index);
  }

  function brighten(side, index) {
    for (const part of section.querySelectorAll(`svg [data-${side}="${index}"]`)) {
      part.classList.add("bright");
    }
  }

  function tell(side, index) {
    const strongest = [...partners[side][index]].sort((a, b) => b[1] - a[1]).slice(0, 5);
    const arrow = side === "target" ? "←" : "→";
    const told = strongest.map(
      ([partner, weight]) => `${name(other[side], partner)} ${Math.round(100 * weight)} %`,
    );
    return `${name(side, index)} ${arrow} ${told.join(", ") || "nothing"}`;
  }

  function name(side, index) {
    return `\u2068${tokens[side][index].textContent}\u2069`; // keeps its own direction
  }

  function place(node) {
    const token = node.closest(".token");
    if (token) return [token.dataset.side, Number(token.dataset.index)];
    const row = node.closest("svg [data-target]");
    if (row) return ["target", Number(row.dataset.target)];
    const column = node.closest("svg [data-source]");
    return column ? ["source", Number(column.dataset.source)] : null;
  }

  function show(event) {
    const found = place(event.target);
    if (found && !kept) light(...found);
  }

  function keep(event) {
    const found = place(event.target);
    kept = found && String(found) !== String(kept) ? found : null;
    if (found) light(...found);
    else clear();
  }

  section.addEventListener("pointerover", show);
  section.addEventListener("focusin", show);
  section.addEventListener("pointerleave", () => kept || clear());
  section.addEventListener("click", keep);
  section.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      keep(event);
    } else if (event.key === "Escape") {
      kept = null;
      clear();
    }
  });
}
