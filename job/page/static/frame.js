// What all pages share: the switch of the theme.
import { byId } from "./dom.js";

const button = byId("theme");
const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
const show = () => {
  button.setAttribute("aria-pressed", String(isDark()));
  dispatchEvent(new Event("themechange"));
};
button.addEventListener("click", () => {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem("theme", next);
  show();
});
system.addEventListener("change", show);
button.setAttribute("aria-pressed", String(isDark()));
