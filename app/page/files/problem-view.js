// What went wrong, as a sentence, with a way on: try again, or give the key that the service asks for.

const KEY_CODES = new Set(["unauthorized", "forbidden"]);

export class ProblemView {
  #root = document.getElementById("problem");
  #keyForm = document.getElementById("key-request");
  #key = document.getElementById("key");
  #retry = null;

  constructor(useKey) {
    this.#keyForm.addEventListener("submit", (event) => {
      event.preventDefault();
      useKey(this.#key.value);
      this.#key.value = "";
      this.#keyForm.hidden = true;
      this.#retry?.();
    });
  }

  show(problem, retry = null) {
    this.#retry = retry;
    const sentence = document.createElement("p");
    sentence.textContent = problem.message;
    this.#root.replaceChildren(sentence);
    this.#keyForm.hidden = !KEY_CODES.has(problem.code);
    if (retry && this.#keyForm.hidden) this.#root.append(this.#retryButton(retry));
    this.#root.hidden = false;
  }

  clear() {
    this.#root.hidden = true;
    this.#root.replaceChildren();
    this.#keyForm.hidden = true;
  }

  #retryButton(retry) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Try again";
    button.addEventListener("click", () => retry());
    return button;
  }
}
