// A recommendation list as people read it, with what moved since the list before.
import { el } from "./dom.js";

const WHYS = { model: "scored by the model", trending: "trending now", popular: "popular", history: "from the history", explore: "to find out whether you like it" };
const still = matchMedia("(prefers-reduced-motion: reduce)");
const MOVE_MS = 450;

/** Why an item is in the list, in words; a reason that names an item of the history comes with its title. */
export const why = (entry) => (entry.reason?.startsWith("because:") ? `because of ${entry.because || entry.reason.slice(8)}` : WHYS[entry.reason] ?? entry.reason ?? "");

/** Show a list in an <ol>; rows that stay move to their places. `acts(entry)` gives a row's buttons. */
export function showList(place, entries, before, acts) {
  const old = new Map([...place.children].map((row) => [row.dataset.item, row.getBoundingClientRect().top]));
  const was = before && new Map(before.map((entry, position) => [entry.item_id, position]));
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset : null;
  place.replaceChildren(...entries.map((entry, position) => row(entry, position, was, acts)));
  if (focused) place.querySelector(`[data-act="${CSS.escape(focused.act)}"][data-item="${CSS.escape(focused.item)}"]`)?.focus();
  if (!was || still.matches) return;
  for (const each of place.children) {
    const top = old.get(each.dataset.item);
    const distance = top === undefined ? 0 : top - each.getBoundingClientRect().top;
    if (top === undefined) each.animate([{ opacity: 0.2 }, { opacity: 1 }], { duration: MOVE_MS, easing: "ease-out" });
    else if (distance) each.animate([{ transform: `translateY(${distance}px)` }, { transform: "none" }], { duration: MOVE_MS, easing: "ease-in-out" });
  }
}

function row(entry, position, was, acts) {
  const isNew = Boolean(was) && !was.has(entry.item_id);
  const name = el("span", { className: "name", text: entry.title || entry.item_id });
  const moved = was ? movement(was.get(entry.item_id), position) : "";
  if (moved) name.append(el("span", { className: isNew ? "moved new" : "moved", text: moved }));
  const about = [why(entry), entry.group, entry.title && `id\u00a0${entry.item_id}`].filter(Boolean).join(" · ");
  const made = el("li", { className: isNew && was.size ? "fresh" : "", "data-item": entry.item_id },
    el("span", { className: "place", text: position + 1 }),
    el("span", {}, name, el("span", { className: "why", text: about })),
    el("span", { className: "score", text: typeof entry.score === "number" ? entry.score.toFixed(3) : "" }));
  if (acts) made.append(acts(entry));
  return made;
}

function movement(was, position) {
  if (was === undefined) return "new";
  if (was === position) return "";
  return was > position ? `up ${was - position}` : `down ${position - was}`;
}
