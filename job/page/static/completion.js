// Completion of the word before the cursor: tables, their columns, and SQL's words.
import { el } from "./dom.js";

const MOST = 8;

/** Offer words below a textarea. Tab or a click takes one, the arrows choose, Escape closes. */
export function complete(area, list, words) {
  let chosen = 0;
  const begun = () => /[\w.]*$/.exec(area.value.slice(0, area.selectionStart))[0];
  const close = () => {
    list.hidden = true;
    list.replaceChildren();
    area.removeAttribute("aria-activedescendant");
  };
  const mark = () => {
    [...list.children].forEach((each, i) => each.setAttribute("aria-selected", String(i === chosen)));
    if (list.children[chosen]) area.setAttribute("aria-activedescendant", list.children[chosen].id);
  };
  const take = (word) => {
    const end = area.selectionStart, start = end - begun().length;
    area.setRangeText(word, start, end, "end");
    close();
    area.focus();
  };
  const offer = () => {
    const start = begun().toLowerCase();
    const fits = (word) => word.toLowerCase().startsWith(start) && word.length > start.length;
    // The shortest first: of user_behavior and user_behavior_all that is the one to type less for.
    const found = start ? words.filter(fits).sort((one, other) => one.length - other.length).slice(0, MOST) : [];
    chosen = 0;
    list.replaceChildren(...found.map((word, i) => {
      const option = el("li", { role: "option", id: `word-${i}`, text: word });
      option.addEventListener("mousedown", (event) => { event.preventDefault(); take(word); });
      return option;
    }));
    list.hidden = !found.length;
    if (found.length) mark();
    else close();
  };
  area.addEventListener("input", offer);
  area.addEventListener("blur", close);
  area.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      chosen = (chosen + step + list.children.length) % list.children.length;
      mark();
    } else if (event.key === "Tab" && !event.shiftKey) take(list.children[chosen].textContent);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });
}
