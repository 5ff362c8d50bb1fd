// Copy and download: what the service can write is asked of it, the rest is the answer as it came.

const NAMES = {
  "application/json": "JSON",
  "image/svg+xml": "SVG",
  "image/png": "PNG",
  "text/html": "HTML",
  "text/plain": "Text",
  "text/csv": "CSV",
  "text/tab-separated-values": "TSV",
  "text/vnd.pharaoh": "Pharaoh",
  "text/vnd.azure-proj": "Azure proj",
  "application/x-npy": "npy",
  "application/x-npz": "npz",
};
/** A form that holds one matrix. */
const SINGLE = "application/x-npy";

export class Exports {
  #root = document.getElementById("exports");

  /** `current()` gives what is shown; `say` announces; `fail` shows a Problem. */
  constructor(api, { current, say, fail }) {
    Object.assign(this, { api, current, say, fail });
  }

  show(capabilities) {
    const { result, hypothesis } = this.current();
    const isStored = Boolean(result.id) && capabilities.canFetch;
    const segments = new Set(hypothesis.alignment?.segments.map((one) => one.segment)).size;
    const forms = isStored && segments ? capabilities.forms.filter((form) => form !== SINGLE || segments === 1) : [];
    const copies = [
      button("Copy translation", () => this.#copy(this.current().hypothesis.text, "Translation copied.")),
      segments > 0 && button("Copy links", () => this.#copy(pharaoh(this.current().links), "Links copied, in Pharaoh’s form.")),
      isStored && button("Copy address", () => this.#copy(location.href, "Address copied.")),
    ];
    const downloads = forms.length ? forms.map((form) => this.#form(form)) : [button("JSON", () => this.#saveAnswer())];
    const rest = [isStored && capabilities.canDelete && this.#forget(result, capabilities)];
    const groups = [copies, ["Download", ...downloads], rest].map((parts) => group(parts.filter(Boolean)));
    this.#root.replaceChildren(...groups.filter((one) => one.childNodes.length));
  }

  #saveAnswer() {
    const { result } = this.current();
    save(new Blob([JSON.stringify(result.answer, null, 2)], { type: "application/json" }), "translation.json");
  }

  #form(mediaType) {
    return button(NAMES[mediaType] ?? mediaType, async () => {
      const { result, index, kind, view, theme } = this.current();
      const query = new URLSearchParams({ text: 0, hypothesis: index, kind, level: view.level, threshold: view.threshold, theme });
      try {
        const response = await this.api.download(`/v1/translations/${result.id}/alignment?${query}`, mediaType);
        save(await response.blob(), fileName(response) ?? "alignment");
      } catch (problem) {
        this.fail(problem);
      }
    });
  }

  #forget(result, capabilities) {
    return button("Delete from the service", async () => {
      try {
        await this.api.delete(`/v1/translations/${result.id}`);
      } catch (problem) {
        this.fail(problem);
        return;
      }
      history.replaceState(null, "", location.pathname);
      result.forget();
      this.show(capabilities);
      this.say("Deleted. Its address no longer works.");
    });
  }

  async #copy(text, said) {
    try {
      await navigator.clipboard.writeText(text);
      this.say(said);
    } catch {
      // Only a page from https or from this machine may write to the clipboard.
      this.say("The browser did not allow copying.");
    }
  }
}

function pharaoh(segments) {
  return segments.map((links) => links.map(([source, target]) => `${source}-${target}`).join(" ")).join("\n");
}

function fileName(response) {
  return /filename="([^"]+)"/u.exec(response.headers.get("Content-Disposition") ?? "")?.[1];
}

function button(name, act) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: name });
  made.addEventListener("click", act);
  return made;
}

function group(parts) {
  const made = Object.assign(document.createElement("div"), { className: "group" });
  made.append(...parts);
  return made;
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser has begun to read it by then
}
