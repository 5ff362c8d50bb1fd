// A classic script in the head, so that a chosen theme is there before the first thing is drawn.
"use strict";
{
  const NAME = "softalign-theme";

  function stored() {
    try {
      return localStorage.getItem(NAME);
    } catch {
      return null; // the browser keeps nothing for this page
    }
  }

  function store(theme) {
    try {
      localStorage.setItem(NAME, theme);
    } catch {
      // then the choice holds for this visit
    }
  }

  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const chosen = stored();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const tell = () => button.setAttribute("aria-pressed", String(isDark()));
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      store(root.dataset.theme);
      tell();
    });
    system.addEventListener("change", tell);
    tell();
  });
}
