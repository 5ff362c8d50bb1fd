/*
 * <attention-alignment>: which source words made which target words, as ribbons and as a matrix.
 *
 * One file without dependencies; README.md beside it tells how to use it. Works as a module and as a
 * classic script, under a strict Content-Security-Policy and with Trusted Types: texts only ever
 * become the text of a node, styles are a constructed sheet and CSSOM properties.
 *
 * Copyright the Softalign authors, Apache License 2.0.
 */
(() => {
  "use strict";

  const SMALLEST_SHOWN = 0.01; // what would be read as 0%
  const LITTLE_COVERAGE = 0.2; // summed weight under which a source word counts as left out
  const LONGEST_LOOP = 8; // tokens of a repeated phrase that is looked for
  const MOST_READ = 4; // partners that the reading line names
  const WIDE = 720; // pixels from which the matrix stands beside the texts
  const EMPTY = "∅"; // a piece without characters, such as the first byte of an emoji
  const OTHER = { source: "target", target: "source" };

  // From no weight to all, on light and on dark ground: colours of `oslo` of Fabio Crameri's Scientific
  // colour maps 8 (MIT licence, doi:10.5281/zenodo.1243862) after that of an empty cell. Ordered by
  // lightness alone, so that they read the same with any colour vision and in grey.
  const ON_LIGHT = ["#f3f5f7", "#cfd2d8", "#a3b1ca", "#7d99ca", "#507bbc", "#26578c", "#15395b", "#0e1e2e"];
  const ON_DARK = ["#1b2128", "#15395b", "#26578c", "#507bbc", "#7d99ca", "#a3b1ca", "#cfd2d8", "#ffffff"];

  class AlignmentError extends Error {}

  // ---- reading: everything becomes pairs --------------------------------------------------------
  //
  // A pair is one segment: { segment, kind, level, source, target, weights, ends }. `source` and
  // `target` are tokens { text, before, logProb }, where `before` is what stands between a token and
  // the one before it; `weights[target][source]`; `ends[target]`, the weight on the source's end.

  /** Pairs of an answer of the API, of one of its translations, or of an alignment alone. */
  function pairsOfReply(given, { source, target, level }) {
    const value = typeof given === "string" ? parse(given) : given;
    const translation = value?.translations?.[0] ?? value;
    const alignment = translation?.alignment ?? (translation?.segments?.[0]?.source_tokens ? translation : null);
    if (!alignment) throw new AlignmentError("There is no alignment in this JSON.");
    const unit = alignment.offset_encoding ?? "utf-32";
    const sides = {
      source: slicer(source, unit),
      target: slicer(target ?? translation.text ?? null, unit),
    };
    const levels = new Set(alignment.segments.map((one) => one.level));
    const shown = levels.has(level) ? level : [...levels][0];
    return alignment.segments
      .filter((one) => one.level === shown)
      .map((one) => ({
        segment: one.segment,
        kind: alignment.kind,
        level: one.level,
        source: tokens(one.source_tokens, sides.source),
        target: tokens(one.target_tokens, sides.target),
        weights: matrix(one),
        ends: one.eos?.source_mass ?? null,
      }));
  }

  function parse(text) {
    try {
      return JSON.parse(text);
    } catch {
      throw new AlignmentError("This is not JSON.");
    }
  }

  /** `(start, end) => text` in the unit of the offsets; without a text a gap is a space. */
  function slicer(text, unit) {
    if (text === null) return (start, end) => (end > start ? " " : "");
    if (unit === "utf-16") return (start, end) => text.slice(start, end);
    if (unit === "utf-8") {
      const bytes = new TextEncoder().encode(text);
      return (start, end) => new TextDecoder().decode(bytes.subarray(start, end));
    }
    const characters = [...text];
    return (start, end) => characters.slice(start, end).join("");
  }

  function tokens(given, slice) {
    let place = given.length ? given[0].start : 0;
    return given.map(({ text, start, end, log_prob: logProb }) => {
      const before = slice(place, start);
      place = Math.max(place, end);
      return { text, before, logProb };
    });
  }

  function matrix(one) {
    if (one.weights) return one.weights;
    const weights = one.target_tokens.map(() => new Array(one.source_tokens.length).fill(0));
    for (const [source, target, weight] of one.links ?? []) weights[target][source] = weight;
    one.values?.forEach((weight, index) => {
      weights[one.rows[index]][one.cols[index]] = weight;
    });
    return weights;
  }

  /** Pairs of Pharaoh links such as `0-0 1-2`; tokens are what spaces part, `1?2` is a possible link. */
  function pairsOfPharaoh(written, { source, target }) {
    const sides = { source: spaced(source), target: spaced(target) };
    const links = written.split(/\s+/u).filter(Boolean).map((link) => {
      const [, from, sign, to] = /^(\d+)([-?])(\d+)$/.exec(link) ?? [];
      if (!sides.source[from] || !sides.target[to]) {
        throw new AlignmentError(
          `“${link}” is not a link between ${sides.source.length} source and ${sides.target.length} target words.`,
        );
      }
      return [Number(from), Number(to), sign === "-" ? 1 : 0.5];
    });
    return [linked(sides, links)];
  }

  function spaced(text) {
    const found = [...(text ?? "").matchAll(/(\s*)(\S+)/gu)];
    return found.map(([, before, word], index) => ({ text: word, before: index ? before : "" }));
  }

  /** Pairs of Azure's `proj`, such as `0:2-0:3 4:4-5:7`: inclusive ranges of UTF-16 units. */
  function pairsOfProj(written, { source, target }) {
    const texts = { source: source ?? "", target: target ?? "" };
    const ranges = written.split(/\s+/u).filter(Boolean).map((link) => {
      const [, ...ends] = (/^(\d+):(\d+)-(\d+):(\d+)$/.exec(link) ?? []).map(Number);
      const [a, b, c, d] = ends;
      if (!(a <= b && b < texts.source.length && c <= d && d < texts.target.length)) {
        throw new AlignmentError(`“${link}” is not a pair of ranges within the two texts.`);
      }
      return { source: [a, b + 1], target: [c, d + 1] };
    });
    const sides = {
      source: cut(texts.source, ranges.map((range) => range.source)),
      target: cut(texts.target, ranges.map((range) => range.target)),
    };
    const inside = (side, [start, end]) =>
      sides[side].flatMap((token, index) => (token.start >= start && token.end <= end ? [index] : []));
    const links = ranges.flatMap((range) =>
      inside("source", range.source).flatMap((from) => inside("target", range.target).map((to) => [from, to, 1])),
    );
    return [linked(sides, links)];
  }

  /** Tokens of a text that no range crosses; what no range holds is parted at spaces. */
  function cut(text, ranges) {
    const held = new Set(ranges.flatMap(([start, end]) => [start, end]));
    const found = [];
    let before = "";
    let start = 0;
    for (let place = 0; place <= text.length; place += 1) {
      const isSpace = place === text.length || /\s/u.test(text[place]);
      const inRange = ranges.some(([from, to]) => from <= place && place < to);
      if (place > start && (held.has(place) || (isSpace && !inRange))) {
        found.push({ text: text.slice(start, place), before, start, end: place });
        before = "";
        start = place;
      }
      if (isSpace && !inRange && start === place) {
        before += text[place] ?? "";
        start = place + 1;
      }
    }
    if (found.length) found[0].before = "";
    return found;
  }

  function linked(sides, links) {
    const weights = sides.target.map(() => new Array(sides.source.length).fill(0));
    for (const [from, to, weight] of links) weights[to][from] = weight;
    return { segment: 0, kind: "links", level: "word", ...sides, weights, ends: null };
  }

  // ---- what a pair tells ------------------------------------------------------------------------

  /**
   * The best source of each target and every pair of at least `threshold` (docs/api.md, rule 9). An alignment head that
   * weighs the source's end more than any word says that a token stands for none: it has no best source.
   */
  function links(pair, threshold) {
    return pair.weights.flatMap((row, target) => {
      const most = Math.max(...row);
      const best = pair.kind === "head" && pair.ends?.[target] > most ? -1 : row.indexOf(most);
      return row.flatMap((weight, source) =>
        weight > 0 && (source === best || weight >= threshold) ? [{ source, target, weight }] : [],
      );
    });
  }

  /** Indices of source words that the whole translation hardly looked at. */
  function leftOut(pair) {
    if (!pair.weights.length) return [];
    return pair.source.flatMap((token, source) => {
      const coverage = pair.weights.reduce((sum, row) => sum + row[source], 0);
      return coverage < LITTLE_COVERAGE && /[\p{L}\p{N}]/u.test(token.text) ? [source] : [];
    });
  }

  /** Indices of target words that say again what stands before them, out of the same source words. */
  function repeated(pair) {
    const words = pair.target.map((token) => token.text.toLowerCase());
    const best = pair.weights.map((row) => row.indexOf(Math.max(...row)));
    const found = new Set();
    for (let length = 1; length <= LONGEST_LOOP; length += 1) {
      // One word is often said twice (“nous nous”), so it counts from the third time on.
      const times = length === 1 ? 3 : 2;
      for (let start = 0; start + length * times <= words.length; start += 1) {
        const again = Array.from({ length: length * (times - 1) }, (_, index) => start + length + index);
        const isLoop =
          again.every((index) => words[index] === words[index - length]) &&
          again.some((index) => /\p{L}/u.test(words[index])) &&
          2 * again.filter((index) => best[index] === best[index - length]).length > again.length;
        if (isLoop) again.forEach((index) => found.add(index));
      }
    }
    return [...found].sort((a, b) => a - b);
  }

  /** What lights up: { source: [weights], target: [weights] } for a word, or for a cell of the matrix. */
  function lightOf(pair, { source, target }) {
    const lit = { source: pair.source.map(() => 0), target: pair.target.map(() => 0) };
    if (source !== null && target !== null) {
      lit.source[source] = lit.target[target] = pair.weights[target][source];
    } else if (target !== null) {
      lit.source = pair.weights[target];
    } else if (source !== null) {
      lit.target = pair.weights.map((row) => row[source]);
    }
    return lit;
  }

  // ---- nodes ------------------------------------------------------------------------------------

  function node(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in made) made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  function drawn(tag, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  function isolated(text, className = "") {
    return node("bdi", { dir: "auto", className, textContent: text || EMPTY });
  }

  function percent(weight) {
    return `${Math.round(100 * weight)}%`;
  }

  /** The direction of a line is that of its first letter, which `dir=auto` does not find inside of `bdi`. */
  function direction(list) {
    const letter = /\p{L}/u.exec(list.map((token) => token.text).join(""))?.[0] ?? "";
    return /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u.test(letter)
      ? "rtl"
      : "ltr";
  }

  function colour(weight, scale) {
    const place = Math.min(1, Math.max(0, weight)) * (scale.length - 1);
    const below = Math.min(Math.floor(place), scale.length - 2);
    const channels = [1, 3, 5].map((at) => {
      const [low, high] = [scale[below], scale[below + 1]].map((text) => parseInt(text.slice(at, at + 2), 16));
      return Math.round(low + (place - below) * (high - low));
    });
    return `rgb(${channels.join(" ")})`;
  }

  function cellColour(weight) {
    return `light-dark(${colour(weight, ON_LIGHT)}, ${colour(weight, ON_DARK)})`;
  }

  // ---- the two lines of a segment and the ribbons between them ----------------------------------

  class SegmentView {
    constructor(pair, place, languages) {
      this.pair = pair;
      this.words = { source: [], target: [] };
      this.ribbons = drawn("svg", { class: "ribbons", "aria-hidden": "true" });
      this.lines = node("div", { className: "lines" }, this.ribbons, this.#line("source", languages), this.#line("target", languages));
      this.notes = node("p", { className: "notes" });
      this.root = node("section", { className: "segment", "aria-label": `Segment ${place + 1}` }, this.lines, this.notes);
      this.root.dataset.place = place;
    }

    #line(side, languages) {
      const list = this.pair[side];
      const line = node("p", {
        className: `line ${side}`,
        dir: direction(list),
        role: "group",
        "aria-label": `${side === "source" ? "Source" : "Translation"}; arrow keys move between words`,
      });
      if (languages[side]) line.lang = languages[side];
      let whole = null; // words that no line may part
      list.forEach((token, index) => {
        const word = node("span", { className: "word", role: "button", tabIndex: index ? -1 : 0 }, isolated(token.text));
        word.setAttribute("aria-pressed", "false");
        word.dataset[side] = index;
        this.words[side].push(word);
        if (!whole || !clings(list[index - 1], token)) {
          whole = node("span", { className: "whole" });
          line.append(token.before, whole);
        }
        whole.append(word);
      });
      return line;
    }

    /** Mark what was left out and what repeats itself, and say it in a sentence. */
    mark() {
      const marks = [
        ["source", "left-out", leftOut(this.pair), "Hardly looked at: "],
        ["target", "repeated", repeated(this.pair), "Says again: "],
      ];
      this.notes.replaceChildren();
      for (const [side, className, found, words] of marks) {
        found.forEach((index) => this.words[side][index].classList.add(className));
        if (!found.length) continue;
        const texts = new Set(found.map((index) => this.pair[side][index].text));
        const names = [...texts].flatMap((text, nth) => [nth ? ", " : "", isolated(text)]);
        this.notes.append(node("span", { className: `note ${className}` }, words, ...names));
      }
    }

    drawRibbons(threshold) {
      const frame = this.lines.getBoundingClientRect();
      const boxes = {
        source: this.words.source.map((word) => word.getBoundingClientRect()),
        target: this.words.target.map((word) => word.getBoundingClientRect()),
      };
      const paths = links(this.pair, threshold).map(({ source, target, weight }) => {
        const path = drawn("path", {
          class: "ribbon",
          d: ribbon(boxes.source[source], boxes.target[target], weight, frame),
        });
        path.style.setProperty("--weight", weight);
        Object.assign(path.dataset, { source, target });
        return path;
      });
      this.ribbons.replaceChildren(...paths);
    }

    light(chosen, isLocked) {
      const lit = chosen && lightOf(this.pair, chosen);
      this.root.classList.toggle("lit", Boolean(chosen));
      for (const side of ["source", "target"]) {
        this.words[side].forEach((word, index) => {
          const isChosen = Boolean(chosen) && chosen[side] === index;
          const weight = lit ? lit[side][index] : 0;
          word.classList.toggle("chosen", isChosen);
          word.classList.toggle("partner", !isChosen && weight >= SMALLEST_SHOWN);
          word.style.setProperty("--weight", weight);
          word.setAttribute("aria-pressed", String(isChosen && isLocked));
        });
      }
      for (const path of this.ribbons.children) path.classList.toggle("on", Boolean(chosen) && isOn(path.dataset, chosen));
    }

    focus(side, index) {
      const line = this.words[side];
      line.forEach((word, at) => {
        word.tabIndex = at === index ? 0 : -1;
      });
      line[index]?.focus();
    }
  }

  /** A comma stays with the word before it, what stands behind a bracket or an apostrophe with that. */
  function clings(last, token) {
    return token.before === "" && (/^[\p{Pe}\p{Pf}\p{Po}]+$/u.test(token.text) || /[\p{Ps}\p{Pi}'’]$/u.test(last.text));
  }

  function isOn(data, chosen) {
    return ["source", "target"].every((side) => chosen[side] === null || Number(data[side]) === chosen[side]);
  }

  /** A band from the bottom of a source word to the top of a target word, as wide as its weight. */
  function ribbon(from, to, weight, frame) {
    const share = 0.12 + 0.74 * weight;
    const ends = [from, to].map((box) => {
      const middle = (box.left + box.right) / 2 - frame.left;
      const half = (share * box.width) / 2;
      return [middle - half, middle + half].map((x) => x.toFixed(1));
    });
    const [[a, b], [c, d]] = ends;
    const top = (from.bottom - frame.top).toFixed(1);
    const bottom = (to.top - frame.top).toFixed(1);
    const middle = ((Number(top) + Number(bottom)) / 2).toFixed(1);
    return `M${a} ${top}C${a} ${middle} ${c} ${middle} ${c} ${bottom}H${d}C${d} ${middle} ${b} ${middle} ${b} ${top}Z`;
  }

  // ---- the matrix of one segment ----------------------------------------------------------------

  class MatrixView {
    constructor(pair, languages) {
      this.pair = pair;
      this.rows = pair.target.map((token, target) => this.#row(token, target, languages.target));
      const size = Math.max(pair.source.length, pair.target.length) > 24 ? "small" : "large";
      this.root = node(
        "table",
        { className: size, dir: direction(pair.source) },
        node("caption", { className: "unseen", textContent: "Weight of each source word (column) in each word of the translation (row)" }),
        node("thead", {}, this.#head(languages.source)),
        node("tbody", {}, ...this.rows),
      );
    }

    #head(language) {
      const names = this.pair.source.map((token, source) => {
        const heading = node("th", { scope: "col", className: sideways(token.text) }, isolated(token.text));
        if (language) heading.lang = language;
        heading.dataset.source = source;
        return heading;
      });
      const end = this.pair.ends ? node("th", { scope: "col", className: "end sideways" }, isolated("end")) : null;
      return node("tr", {}, node("td"), ...names, end);
    }

    #row(token, target, language) {
      const heading = node("th", { scope: "row" }, isolated(token.text));
      if (language) heading.lang = language;
      heading.dataset.target = target;
      const cells = this.pair.weights[target].map((weight, source) => {
        const cell = this.#cell(weight);
        Object.assign(cell.dataset, { source, target });
        return cell;
      });
      const end = this.pair.ends ? this.#cell(this.pair.ends[target]) : null;
      if (end) {
        end.classList.add("end");
        end.dataset.target = target;
      }
      const row = node("tr", {}, heading, ...cells, end);
      row.dataset.target = target;
      return row;
    }

    #cell(weight) {
      const cell = node("td");
      if (weight < SMALLEST_SHOWN) return cell;
      cell.style.backgroundColor = cellColour(weight);
      cell.classList.toggle("strong", weight > 0.45);
      if (this.pair.kind !== "links") cell.append(node("span", { className: "percent", textContent: Math.round(100 * weight) }));
      return cell;
    }

    markLinks(threshold) {
      const marked = new Set(links(this.pair, threshold).map(({ source, target }) => `${target} ${source}`));
      for (const cell of this.root.querySelectorAll("td[data-source]")) {
        cell.classList.toggle("link", marked.has(`${cell.dataset.target} ${cell.dataset.source}`));
      }
    }

    light(chosen) {
      this.root.classList.toggle("lit", Boolean(chosen));
      for (const cell of this.root.querySelectorAll("[data-source], [data-target]:not(tr)")) {
        const { source, target } = cell.dataset;
        const inColumn = source !== undefined && chosen?.source === Number(source);
        const inRow = target !== undefined && chosen?.target === Number(target);
        cell.classList.toggle("on", Boolean(chosen) && (inColumn || inRow));
      }
    }
  }

  /** Chinese, Japanese and Korean stand upright; other words of more than two letters lie down. */
  function sideways(text) {
    if ([...text].length <= 2) return "level";
    return /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u.test(text) ? "upright" : "sideways";
  }

  // ---- the sentence that tells what is lit ------------------------------------------------------

  function reading(pair, chosen) {
    const side = chosen.target === null ? "source" : "target";
    const index = chosen[side];
    const other = OTHER[side];
    const weights = lightOf(pair, chosen)[other];
    const partners = weights
      .map((weight, at) => [weight, pair[other][at].text])
      .filter(([weight]) => weight >= SMALLEST_SHOWN)
      .sort((a, b) => b[0] - a[0])
      .slice(0, MOST_READ);
    const arrow = side === "target" ? ["←", "made from"] : ["→", "went into"];
    const told = [
      isolated(pair[side][index].text, "name"),
      node("span", { className: "arrow", ariaHidden: "true", textContent: ` ${arrow[0]} ` }),
      node("span", { className: "unseen", textContent: ` ${arrow[1]} ` }),
      ...(partners.length ? [] : ["nothing"]),
      ...partners.flatMap(([weight, text], nth) => [
        nth ? ", " : "",
        isolated(text, "name"),
        pair.kind === "links" ? "" : ` ${percent(weight)}`,
      ]),
    ];
    const end = side === "target" && chosen.source === null ? (pair.ends?.[index] ?? 0) : 0;
    if (end >= SMALLEST_SHOWN) told.push(`, end of the sentence ${percent(end)}`);
    const { logProb } = pair[side][index];
    if (logProb !== undefined && chosen.source === null) {
      told.push(node("span", { className: "probability", textContent: ` · probability ${percent(Math.exp(logProb))}` }));
    }
    return told;
  }

  // ---- style ------------------------------------------------------------------------------------

  const STYLE = new CSSStyleSheet();
  STYLE.replaceSync(`
    :host {
      --_accent: var(--alignment-accent, light-dark(#26578c, #8fb0e6));
      --_ink: var(--alignment-ink, light-dark(#1a1d21, #e8eaed));
      --_muted: var(--alignment-muted, light-dark(#5c646d, #9aa4af));
      --_line: var(--alignment-line, light-dark(#dfe3e8, #2b323a));
      --_warning: var(--alignment-warning, light-dark(#9a4b00, #e8a657));
      display: block;
      container-type: inline-size;
      color: var(--_ink);
      line-height: 1.5;
    }
    :host([hidden]) { display: none; }
    p { margin: 0; }
    .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
    .frame { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.25rem 2.5rem; align-items: start; }
    .error { color: var(--_warning); }

    .segment { min-width: 0; }
    .lines { position: relative; display: grid; grid-template-columns: minmax(0, auto); width: fit-content; max-width: 100%; gap: 4.25rem; padding-block: 0.25rem; }
    .line { position: relative; font-size: var(--alignment-size, 1.3rem); line-height: 1.75; white-space: pre-wrap; overflow-wrap: anywhere; }
    .whole { white-space: pre; }
    .word {
      display: inline-block; max-width: 100%; padding-inline: 0.14em; margin-inline: -0.08em; border-radius: 0.25em;
      line-height: 1.4; white-space: pre-wrap; cursor: pointer; transition: background-color 120ms, box-shadow 120ms;
      -webkit-tap-highlight-color: transparent; user-select: text;
    }
    .word:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px; }
    .partner {
      background: color-mix(in srgb, var(--_accent) calc(2% + 46% * var(--weight)), transparent);
      box-shadow: inset 0 calc(-3px * var(--weight)) var(--_accent);
    }
    .chosen { box-shadow: inset 0 0 0 2px var(--_accent); }
    .chosen[aria-pressed="true"] { background: var(--_accent); color: light-dark(#ffffff, #0d1116); }
    .left-out { text-decoration: underline dashed var(--_warning) 2px; text-underline-offset: 0.3em; }
    .repeated { text-decoration: underline wavy var(--_warning) 2px; text-underline-offset: 0.3em; }
    .ribbons { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; pointer-events: none; }
    .ribbon { fill: var(--_accent); fill-opacity: calc(0.04 + 0.26 * var(--weight)); transition: fill-opacity 120ms; }
    .lit .ribbon { fill-opacity: calc(0.02 + 0.06 * var(--weight)); }
    .lit .ribbon.on { fill-opacity: calc(0.12 + 0.55 * var(--weight)); }
    .notes { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; color: var(--_muted); font-size: 0.875rem; }
    .notes:empty { display: none; }
    .note::before { content: ""; display: inline-block; width: 1.5em; margin-inline-end: 0.5em; vertical-align: 0.2em; border-bottom: 2px dashed var(--_warning); }
    .note.repeated { text-decoration: none; }
    .note.repeated::before { border-bottom-style: dotted; }
    .note.left-out { text-decoration: none; }

    .pane { min-width: 0; display: grid; gap: 0.5rem; }
    .reading { width: 0; min-width: 100%; min-height: 3em; color: var(--_muted); }
    .reading .name { color: var(--_ink); font-weight: 600; }
    .scroller { overflow: auto; max-height: min(42rem, 80vh); padding: 2px; }
    .scroller:focus-visible { outline: 2px solid var(--_accent); }

    table { border-collapse: separate; border-spacing: 1px; font-size: 0.8125rem; line-height: 1.2; }
    table.small { font-size: 0.6875rem; }
    th { font-weight: 400; color: var(--_ink); cursor: pointer; }
    thead th { vertical-align: bottom; padding: 0 0 0.35rem; height: 4rem; }
    thead th bdi { display: inline-block; max-height: 8rem; overflow: hidden; }
    .sideways bdi { writing-mode: vertical-rl; transform: rotate(180deg); }
    .upright bdi { writing-mode: vertical-rl; text-orientation: upright; }
    tbody th { text-align: end; padding-inline-end: 0.5rem; white-space: nowrap; max-width: 9rem; overflow: hidden; text-overflow: ellipsis; }
    tbody td { box-sizing: border-box; min-width: 1.75rem; height: 1.75rem; padding: 0; text-align: center; border-radius: 3px; background: light-dark(#f3f5f7, #1b2128); font-size: 0.6875rem; font-variant-numeric: tabular-nums; cursor: pointer; }
    .small tbody td { min-width: 1.2rem; height: 1.2rem; border-radius: 2px; font-size: 0.5625rem; }
    tbody td.end { border-inline-start: 0.5rem solid transparent; background-clip: padding-box; min-width: 2.25rem; }
    .small tbody td.end { min-width: 1.7rem; }
    thead th.end { color: var(--_muted); font-style: italic; cursor: default; padding-inline-start: 0.5rem; }
    .percent { color: light-dark(#1a1d21, #ffffff); }
    .strong .percent { color: light-dark(#ffffff, #0d1116); }
    td:not(.link, .on) .percent, .lit td:not(.on) .percent { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
    .lit td:not(.on) { opacity: 0.3; }
    .lit th.on { font-weight: 700; color: var(--_accent); }
    td[data-source]:hover { box-shadow: 0 0 0 2px var(--_accent); }

    @container (min-width: ${WIDE}px) {
      .both { grid-template-columns: minmax(0, 1fr) minmax(0, max-content); }
      .both .segment { grid-column: 1; }
      .both .pane { grid-column: 2; position: sticky; top: 1rem; min-width: 20rem; max-width: 46cqw; }
      .both:not(.several) .lines { gap: 7rem; }
    }
    @container (max-width: 30rem) {
      .large tbody td { min-width: 1.45rem; height: 1.45rem; }
    }
    .several .segment { padding-block-end: 1rem; border-block-end: 1px solid var(--_line); }
    .several .segment:last-of-type { border: 0; }
    .ribbons-only .scroller, .matrix-only .lines { display: none; }
    @media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
    @media (forced-colors: active) { .partner, .chosen { outline: 2px solid Highlight; } }
  `);

  // ---- the element ------------------------------------------------------------------------------

  const HINT = "Point at a word to see what it was made from. Click to keep it.";

  class AttentionAlignment extends HTMLElement {
    static observedAttributes = ["source", "target", "source-lang", "target-lang", "pharaoh", "proj", "level", "threshold", "view", "partial"];

    #root = this.attachShadow({ mode: "open" });
    #given = null;
    #segments = [];
    #matrix = null;
    #chosen = null; // { place, source, target }, one of the last two may be null
    #isLocked = false;
    #isWaiting = false;
    #observer = new ResizeObserver(() => this.#drawRibbons());
    #frame = node("div");
    #pane = node("div", { className: "pane" });
    #reading = node("p", { className: "reading", role: "status" });
    #scroller = node("div", { className: "scroller", tabIndex: 0, role: "region", "aria-label": "Matrix of weights" });

    constructor() {
      super();
      this.#root.adoptedStyleSheets = [STYLE];
      this.#root.append(this.#frame);
      this.#pane.append(this.#reading, this.#scroller);
      this.#frame.addEventListener("pointerover", (event) => event.pointerType !== "touch" && this.#show(event));
      this.#frame.addEventListener("pointerleave", () => this.#isLocked || this.release());
      this.#frame.addEventListener("focusin", (event) => this.#show(event));
      this.#frame.addEventListener("click", (event) => this.#keep(event));
      this.#frame.addEventListener("keydown", (event) => this.#press(event));
    }

    connectedCallback() {
      this.#observer.observe(this);
      this.#later();
    }

    disconnectedCallback() {
      this.#observer.disconnect();
    }

    attributeChangedCallback(name) {
      if (name === "threshold") this.#drawLinks();
      else this.#later();
    }

    /** An answer of the API, one of its translations, or an alignment; also as JSON text. */
    get alignment() {
      return this.#given;
    }

    set alignment(value) {
      this.#given = value;
      this.#later();
    }

    get threshold() {
      const value = Number(this.getAttribute("threshold") ?? 0.15);
      return Number.isFinite(value) ? value : 0.15;
    }

    /** Links `[source, target, weight]` of each segment at the threshold, in Pharaoh's order. */
    get links() {
      this.#render();
      return this.#segments.map(({ pair }) => links(pair, this.threshold).map(({ source, target, weight }) => [source, target, weight]));
    }

    /** Light a word or, with both a source and a target, a pair, of the segment at `place`. */
    light({ place = 0, source = null, target = null }, { lock = false } = {}) {
      this.#render();
      const pair = this.#segments[place]?.pair;
      if (!pair || (source === null && target === null)) return;
      if ((source !== null && !pair.source[source]) || (target !== null && !pair.target[target])) return;
      this.#isLocked = lock;
      this.#chosen = { place, source, target };
      this.#openMatrix(place);
      this.#draw();
    }

    /** Let go of what is lit. */
    release() {
      this.#isLocked = false;
      this.#chosen = null;
      this.#draw();
    }

    #later() {
      if (this.#isWaiting) return;
      this.#isWaiting = true;
      queueMicrotask(() => this.#render());
    }

    #pairs() {
      const texts = {
        source: this.getAttribute("source"),
        target: this.getAttribute("target"),
        level: this.getAttribute("level") ?? "word",
      };
      const inside = this.querySelector('script[type="application/json"]')?.textContent;
      if (this.#given !== null) return pairsOfReply(this.#given, texts);
      if (this.hasAttribute("pharaoh")) return pairsOfPharaoh(this.getAttribute("pharaoh"), texts);
      if (this.hasAttribute("proj")) return pairsOfProj(this.getAttribute("proj"), texts);
      return inside ? pairsOfReply(inside, texts) : [];
    }

    #languages() {
      return { source: this.getAttribute("source-lang"), target: this.getAttribute("target-lang") };
    }

    #render() {
      if (!this.#isWaiting) return;
      this.#isWaiting = false;
      this.#chosen = null;
      this.#isLocked = false;
      this.#matrix = null;
      let pairs = [];
      let problem = null;
      try {
        pairs = this.#pairs();
      } catch (error) {
        if (!(error instanceof AlignmentError)) throw error;
        problem = error.message;
      }
      this.#segments = pairs.map((pair, place) => new SegmentView(pair, place, this.#languages()));
      this.#frame.className = `frame ${this.#viewClass()}${pairs.length > 1 ? " several" : ""}`;
      this.#frame.replaceChildren(...this.#segments.map((segment) => segment.root));
      if (problem) this.#frame.append(node("p", { className: "error", role: "alert", textContent: problem }));
      if (!this.hasAttribute("partial")) this.#segments.forEach((segment) => segment.mark());
      if (pairs.length) this.#openMatrix(this.hasAttribute("partial") ? pairs.length - 1 : 0);
      this.#draw();
      this.#drawRibbons();
      if (problem) this.dispatchEvent(new CustomEvent("alignment-error", { detail: problem, bubbles: true, composed: true }));
    }

    #viewClass() {
      const view = this.getAttribute("view");
      return view === "ribbons" || view === "matrix" ? `${view}-only` : "both";
    }

    /** Show the matrix of a segment: beside the texts where there is room, else under its segment. */
    #openMatrix(place) {
      const segment = this.#segments[place];
      const isBeside = this.#isBeside();
      if (!isBeside || this.#pane.parentNode !== this.#frame) segment.root.after(this.#pane);
      this.#pane.style.gridRow = isBeside ? `1 / span ${this.#segments.length + 1}` : "auto";
      if (this.#matrix?.pair === segment.pair) return;
      this.#matrix = new MatrixView(segment.pair, this.#languages());
      this.#matrix.markLinks(this.threshold);
      this.#scroller.replaceChildren(this.#matrix.root);
    }

    #isBeside() {
      return this.offsetWidth >= WIDE && this.#frame.classList.contains("both");
    }

    #drawLinks() {
      this.#matrix?.markLinks(this.threshold);
      this.#drawRibbons();
      this.#draw();
    }

    #drawRibbons() {
      if (!this.isConnected) return;
      for (const segment of this.#segments) segment.drawRibbons(this.threshold);
      if (this.#chosen) this.#segments[this.#chosen.place].light(this.#chosen, this.#isLocked);
    }

    #draw() {
      const chosen = this.#chosen;
      this.#segments.forEach((segment, place) => segment.light(chosen?.place === place ? chosen : null, this.#isLocked));
      const shown = chosen && this.#segments[chosen.place].pair;
      this.#matrix?.light(this.#matrix.pair === shown ? chosen : null);
      this.#reading.replaceChildren(...(shown ? reading(shown, chosen) : [HINT]));
      const detail = chosen ? { ...chosen, locked: this.#isLocked } : null;
      this.dispatchEvent(new CustomEvent("alignment-light", { detail, bubbles: true, composed: true }));
    }

    /** The word, or the cell, that an event happened at. */
    #found(event) {
      const at = event.target.closest("[data-source], [data-target]");
      if (!at || at.matches("tr")) return null;
      const place = this.#pane.contains(at)
        ? this.#segments.findIndex((segment) => segment.pair === this.#matrix.pair)
        : Number(at.closest(".segment").dataset.place);
      const index = (side) => (at.dataset[side] === undefined ? null : Number(at.dataset[side]));
      return { place, source: index("source"), target: index("target") };
    }

    #show(event) {
      const found = this.#found(event);
      if (!found || this.#isLocked || same(found, this.#chosen)) return;
      this.#chosen = found;
      if (this.#isBeside()) this.#openMatrix(found.place);
      this.#draw();
    }

    #keep(event) {
      const found = this.#found(event);
      if (!found && this.#pane.contains(event.target)) return;
      if (!found || (this.#isLocked && same(found, this.#chosen))) {
        this.release();
        return;
      }
      this.light(found, { lock: true });
    }

    #press(event) {
      if (event.key === "Escape") {
        this.release();
        return;
      }
      const word = event.target.closest(".word");
      if (!word) return;
      if (event.key === "Enter" || event.key === " ") this.#keep(event);
      else if (!this.#move(word, event.key)) return;
      event.preventDefault();
    }

    #move(word, key) {
      const { place, source, target } = this.#found({ target: word });
      const side = source === null ? "target" : "source";
      const index = source ?? target;
      const segment = this.#segments[place];
      const last = segment.words[side].length - 1;
      const forward = word.closest(".line").dir === "rtl" ? "ArrowLeft" : "ArrowRight";
      const vertical = side === "source" ? "ArrowDown" : "ArrowUp";
      if (key === "Home" || key === "End") segment.focus(side, key === "Home" ? 0 : last);
      else if (key === vertical) segment.focus(OTHER[side], strongest(segment.pair, { source, target }, OTHER[side]));
      else if (key === "ArrowLeft" || key === "ArrowRight") {
        segment.focus(side, Math.min(last, Math.max(0, index + (key === forward ? 1 : -1))));
      } else return false;
      return true;
    }
  }

  function same(one, other) {
    return Boolean(other) && ["place", "source", "target"].every((name) => one[name] === other[name]);
  }

  function strongest(pair, chosen, side) {
    const weights = lightOf(pair, chosen)[side];
    return Math.max(0, weights.indexOf(Math.max(...weights)));
  }

  if (!customElements.get("attention-alignment")) customElements.define("attention-alignment", AttentionAlignment);
})();
