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
const results = new ResultView(askAgain);
const exporting = new Exports(api, current, { say: announce, fail: (problem) => problems.show(problem) });
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
document.getElementById("result").addEventListener("shown", () => exporting.show(service.capabilities));
addEventListener("hashchange", () => openStored());
start();

async function start() {
  try {
    const [{ languages: codes }, { models }, limits, capabilities] = await Promise.all([
      api.get("/v1/languages"),
      api.get("/v1/models"),
      api.get("/v1/limits"),
      readCapabilities(api),
    ]);
    service = { capabilities, limits };
    languages.show(codes, models);
  } catch (problem) {
    problems.show(problem, start);
    return;
  }
  problems.clear();
  showCount();
  if (await openStored()) return;
  const [example] = examplesIn(languages.source);
  if (example && !text.value) {
    text.value = example[1];
    showCount();
    await translate();
  }
}

async function translate() {
  if (!service || !text.value.trim()) return;
  const asked = { text: text.value, source: languages.source, target: languages.target, model: languages.model };
  const result = await ask(asked, translate);
  if (!result) return;
  showResult(result);
  history.pushState(null, "", result.id && service.capabilities.canFetch ? `#${result.id}` : location.pathname);
  announce(`Translated: ${result.best.text}`);
}

/** The same text by another model or with another kind of alignment. */
function askAgain({ model, kind }) {
  const { result } = results.shown;
  const again = { text: result.text, source: result.source, target: result.target, model, kind };
  return ask(again, null, { isQuiet: true });
}

/** A Result, or null where it failed or was stopped; the person has been told then. */
async function ask(asked, retry, { isQuiet = false } = {}) {
  running?.abort();
  const controller = (running = new AbortController());
  setBusy(true);
  problems.clear();
  try {
    return new Result(asked.text, await send(asked, controller.signal, isQuiet));
  } catch (error) {
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
    const partial = new PartialTranslation(asked.text);
    const onEvent = (name, data) => {
      if (partial.add(name, data)) results.showPartial(asked.text, partial.translation, asked);
    };
    return await api.translateStreaming(body, { signal, onEvent });
  } catch (problem) {
    if (problem.code !== "matrix_too_large") throw problem;
    return await api.translate(sparseBody(body), { signal });
  }
}

function showResult(result) {
  const model = languages.models.find((one) => one.name === result.model);
  const kinds = service.capabilities.canChooseKind ? (model?.alignment_kinds ?? []) : [];
  results.show(result, languages.models, kinds);
}

/** Show the stored result that the address names; false where it names none. */
async function openStored() {
  const id = location.hash.slice(1);
  if (!id || !service?.capabilities.canFetch) return false;
  try {
    const stored = await api.get(`/v1/translations/${encodeURIComponent(id)}`);
    const result = new Result(stored.source_texts[0], stored);
    text.value = result.text;
    languages.choose(result.source, result.target);
    showCount();
    showResult(result);
  } catch (problem) {
    problems.show(problem);
  }
  return true;
}

function current() {
  const { result, hypothesis } = results.shown;
  return {
    result,
    hypothesis,
    shown: result.hypotheses[hypothesis],
    view: results.view,
    links: results.drawing.links,
    theme: document.getElementById("theme").getAttribute("aria-pressed") === "true" ? "dark" : "light",
  };
}

function showExamples() {
  const buttons = examplesIn(languages.source).map(([name, example]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = name;
    button.lang = languages.source;
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

