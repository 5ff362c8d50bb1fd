// The page: brings the form, the service and the result together.

import "./attention-alignment/attention-alignment.js";
import { Api } from "./api.js";
import { readCapabilities } from "./capabilities.js";
import { examplesIn } from "./examples.js";
import { Exports } from "./exports.js";
import { Languages } from "./languages.js";
import { PartialTranslation } from "./partial.js";
import { ProblemView } from "./problem-view.js";
import { requestBody, Result, sparseBody } from "./result.js";
import { ResultView } from "./result-view.js";

const form = document.getElementById("request");
const text = document.getElementById("text");
const stop = document.getElementById("stop");
const submit = document.getElementById("translate");
const announcement = document.getElementById("announcement");

const api = new Api();
const problems = new ProblemView((key) => {
  api.key = key;
});
const languages = new Languages(() => showExamples());
const results = new ResultView({ findHypothesis, findResult, onShown: () => exporting.show(service.capabilities) });
const exporting = new Exports(api, { current, say: announce, fail: (problem) => problems.show(problem) });
// What the service is asked to keep: a translation can be shown also where it cannot be kept.
const KEPT = { store: "best_effort" };
const EXAMPLE = { store: "best_effort", ttl: 3600 };
const COMPARISON = { store: false };

let service = null; // { capabilities, limits }
let running = null; // AbortController of the translation that is under way

form.addEventListener("submit", (event) => {
  event.preventDefault();
  translate();
});
text.addEventListener("input", showCount);
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
stop.addEventListener("click", () => running?.abort());
addEventListener("hashchange", () => openStored());
start();

async function start() {
  try {
    const [spoken, { models }, limits, capabilities] = await Promise.all([
      api.get("/v1/languages"),
      api.get("/v1/models"),
      api.get("/v1/limits"),
      readCapabilities(api),
    ]);
    service = { capabilities, limits };
    languages.show(spoken, models);
  } catch (problem) {
    problems.show(problem, start);
    return;
  }
  problems.clear();
  showCount();
  if (await openStored()) return;
  const [example] = examplesIn(languages.exampleLanguage);
  if (example && !text.value) {
    text.value = example[1];
    showCount();
    await translate(EXAMPLE);
  }
}

async function translate(lifetime = KEPT) {
  if (!service || !text.value.trim()) return;
  announce("");
  const asked = { text: text.value, source: languages.source, target: languages.target, model: languages.model, lifetime };
  const result = await ask(asked, () => translate(lifetime));
  if (!result) return;
  if (result.isDetected) languages.showDetected(result.source);
  await showResult(result);
  const address = result.id && service.capabilities.canFetch ? `#${result.id}` : location.pathname;
  // The example came by itself: going back from it leaves the page.
  if (lifetime === EXAMPLE) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  announce(`Translated: ${result.best.text}`);
}

/** The same text by another model; null where that failed. */
function findResult(model) {
  return askAgain(results.shown.result, { model });
}

/** A hypothesis with a kind of alignment that its answer does not have is fetched or asked for anew. */
async function findHypothesis(result, index, kind) {
  if (kind === result.kind) return result.hypotheses[index];
  if (result.id && service.capabilities.canFetchKind) {
    const found = await fetchAlignment(result, index, kind);
    if (found !== undefined) return found;
  }
  // The service keeps the weights of the alignment head only where they were asked for: then both kinds.
  const lifetime = result.id ? result.lifetime : COMPARISON;
  const again = await askAgain(result, { model: result.model, kind, lifetime });
  if (again?.id) {
    if (location.hash === `#${result.id}`) history.replaceState(null, "", `#${again.id}`);
    result.keptAs(again.id);
  }
  return again?.hypotheses[index] ?? null;
}

/** The hypothesis with the alignment that was stored; undefined where that was not, null where it failed. */
async function fetchAlignment(result, index, kind) {
  const query = new URLSearchParams({ hypothesis: index, kind, offset_encoding: "utf-16", text: 0 });
  for (const level of ["word", "piece"]) query.append("level", level);
  try {
    const alignment = await api.get(`/v1/translations/${result.id}/alignment?${query}`);
    return { ...result.hypotheses[index], alignment };
  } catch (problem) {
    if (problem.code === "alignment_unavailable" && service.capabilities.canAskKind) return undefined;
    problems.show(problem);
    return null;
  }
}

function askAgain({ text, source, target }, choices) {
  return ask({ text, source, target, lifetime: COMPARISON, ...choices }, null, { isQuiet: true });
}

/** A Result, or null where it failed or was stopped; the person has been told then. */
async function ask(asked, retry, { isQuiet = false } = {}) {
  running?.abort();
  const controller = (running = new AbortController());
  setBusy(true);
  problems.clear();
  try {
    return new Result(asked.text, await send(asked, controller.signal, isQuiet), asked.lifetime);
  } catch (error) {
    results.dropPartial();
    if (error.name !== "AbortError") problems.show(error, retry);
    return null;
  } finally {
    if (running === controller) {
      running = null;
      setBusy(false);
    }
  }
}

async function send(asked, signal, isQuiet) {
  const body = requestBody(asked, service.limits);
  try {
    if (!service.capabilities.canStream || isQuiet) return await api.translate(body, { signal });
    return await api.translateStreaming(body, { signal, onEvent: drawing(asked, signal) });
  } catch (problem) {
    if (problem.code !== "matrix_too_large") throw problem;
    return await api.translate(sparseBody(body), { signal });
  }
}

/** Takes events in and draws what has come, at most once for each picture of the screen. */
function drawing(asked, signal) {
  const partial = new PartialTranslation(asked.text);
  let isWaiting = false;
  return (name, data) => {
    partial.add(name, data);
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      const { translation } = partial;
      if (running?.signal === signal && translation.text) results.showPartial(asked.text, translation, asked);
    });
  };
}

function showResult(result) {
  const { capabilities } = service;
  const model = languages.models.find((one) => one.name === result.model);
  const others = languages.models.filter((one) => one !== model).map((one) => one.name);
  const canHaveOther = capabilities.canAskKind || (capabilities.canFetchKind && result.id);
  return results.show(result, others, result.kind && canHaveOther ? (model?.alignment_kinds ?? []) : []);
}

/** Show the stored result that the address names; false where it names none. */
async function openStored() {
  const id = location.hash.slice(1);
  if (!id || !service?.capabilities.canFetch) return false;
  try {
    const result = Result.ofStored(await api.get(`/v1/translations/${encodeURIComponent(id)}`), KEPT);
    text.value = result.text;
    languages.choose(result.source, result.target);
    showCount();
    await showResult(result);
  } catch (problem) {
    problems.show(problem);
  }
  return true;
}

function current() {
  const isDark = document.getElementById("theme").getAttribute("aria-pressed") === "true";
  return { ...results.shown, view: results.view, theme: isDark ? "dark" : "light" };
}

function showExamples() {
  const buttons = examplesIn(languages.exampleLanguage).map(([name, example]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = name;
    button.lang = languages.exampleLanguage;
    button.addEventListener("click", () => {
      text.value = example;
      showCount();
      translate();
    });
    return button;
  });
  document.getElementById("examples").replaceChildren(...(buttons.length ? ["Try ", ...buttons] : []));
}

function showCount() {
  const length = [...text.value].length;
  const most = service?.limits.max_text_characters ?? Infinity;
  const count = document.getElementById("count");
  count.textContent = length > most / 2 ? `${length} of ${most} characters` : "";
  count.classList.toggle("too-many", length > most);
}

function setBusy(isBusy) {
  submit.disabled = isBusy;
  stop.hidden = !isBusy;
  document.body.classList.toggle("busy", isBusy);
}

function announce(sentence) {
  announcement.textContent = sentence;
}

