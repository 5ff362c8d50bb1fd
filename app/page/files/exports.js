// Copy and download: what the service can write is asked of it, the rest is the answer as it came.

const LABELS = {
  json: "JSON",
  txt: "Text",
  csv: "CSV",
  tsv: "TSV",
  pharaoh: "Pharaoh",
  proj: "Azure proj",
  html: "HTML",
  svg: "SVG",
  png: "PNG",
  npy: "NumPy",
  npz: "NumPy archive",
};

export class Exports {
  #root = document.getElementById("exports");

  /** `current()` gives what is shown; `say` announces; `fail` shows a Problem. */
  constructor(api, current, { say, fail }) {
    this.api = api;
    this.current = current;
    this.say = say;
    this.fail = fail;
  }

  show(capabilities) {
    const { result } = this.current();
    const isStored = Boolean(result.id) && capabilities.canFetch;
    const forms = isStored ? capabilities.forms : [];
    this.#root.replaceChildren(
      button("Copy translation", () => this.#copy(this.current().shown.text, "Translation copied.")),
      button("Copy links", () => this.#copy(pharaoh(this.current().links), "Links copied in Pharaoh’s form.")),
      ...(isStored ? [button("Copy address", () => this.#copy(location.href, "Address copied."))] : []),
      ...(forms.length ? forms.map((form) => this.#download(form)) : [this.#answer()]),
      ...(isStored && capabilities.canDelete ? [this.#forget(result.id)] : []),
    );
  }

  #answer() {
    return button("Download JSON", () => {
      const { result } = this.current();
      save(new Blob([JSON.stringify(result.answer, null, 2)], { type: "application/json" }), "translation.json");
    });
  }

  #download(form) {
    return button(`Download ${LABELS[form] ?? form}`, async () => {
      const { result, hypothesis, view, theme } = this.current();
      const query = new URLSearchParams({ format: form, level: view.level, hypothesis, threshold: view.threshold });
      if (form === "svg" || form === "png" || form === "html") query.set("theme", theme);
      try {
        save(await this.api.blob(`/v1/translations/${result.id}/alignment?${query}`), `alignment.${form}`);
      } catch (problem) {
        this.fail(problem);
      }
    });
  }

  #forget(id) {
    return button("Delete from the service", async () => {
      try {
        await this.api.delete(`/v1/translations/${id}`);
        history.replaceState(null, "", location.pathname);
        this.say("Deleted. Its address no longer works.");
      } catch (problem) {
        this.fail(problem);
      }
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

function button(name, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = name;
  made.addEventListener("click", act);
  return made;
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser has begun to read it by then
}
