// Items by their title, offered while somebody types.
import { el, root } from "./dom.js";
import { ask } from "./net.js";

const WAIT_MS = 150;

const offered = new Map();

/** The title of an item that was offered, or nothing. */
export const titleOf = (item) => offered.get(item) ?? "";

/** Offer matching items in a <datalist>; what is chosen is the item's id. */
export function offerItems(input, datalist) {
  let timer, running;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    const text = input.value.trim();
    if (!text) return;
    timer = setTimeout(async () => {
      running?.abort();
      running = new AbortController();
      try {
        const found = await ask(`${root}/items?text=${encodeURIComponent(text)}`, undefined, { signal: running.signal });
        for (const each of found.items) offered.set(each.item_id, each.title);
        datalist.replaceChildren(...found.items.map((each) => el("option", { value: each.item_id, label: each.title, text: each.title })));
      } catch { /* nothing is offered then */ }
    }, WAIT_MS);
  });
}
