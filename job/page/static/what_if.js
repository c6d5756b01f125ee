// What if: a history by hand, and the lists that two bundles make of it.
import { byId, el, root } from "./dom.js";
import { offerItems, titleOf } from "./items.js";
import { showList } from "./list_view.js";
import { ask } from "./net.js";

const sides = ["left", "right"];
const key = "what-if";
const shown = { left: null, right: null };
const running = { left: null, right: null };
let history = [];

function showHistory() {
  byId("no-history").hidden = history.length > 0;
  byId("history").replaceChildren(...history.map((each, place) => {
    const button = el("button", { type: "button", className: "quiet", "aria-label": `Remove ${each.action} of ${each.title || each.item_id}`, text: "×" });
    button.addEventListener("click", () => change(history.filter((_, other) => other !== place)));
    return el("li", {}, el("span", {}, el("span", { className: "act", text: `${each.action} ` }), each.title || each.item_id), button);
  }));
}

function change(next) {
  history = next;
  sessionStorage.setItem(key, JSON.stringify(history));
  showHistory();
  sides.forEach(update);
}

async function update(side) {
  const facts = byId(`${side}-facts`), place = byId(`${side}-list`);
  running[side]?.abort();
  if (!history.length) {
    facts.textContent = "Its list appears here.";
    place.replaceChildren();
    shown[side] = null;
    return;
  }
  const mine = (running[side] = new AbortController());
  const slow = setTimeout(() => { facts.textContent = "Loading the model…"; }, 400);
  try {
    const acts = history.map(({ action, item_id }) => ({ action, item_id }));
    const answer = await ask(`${root}/what-if`, { bundle: byId(`${side}-bundle`).value, history: acts }, { signal: mine.signal });
    const skipped = history.length - answer.known;
    facts.textContent = `${answer.recommender}, version ${answer.version}${skipped ? `; it does not know ${skipped} of the items` : ""}`;
    showList(place, answer.entries, shown[side], null);
    shown[side] = answer.entries;
  } catch (error) {
    if (error.name === "AbortError") return;
    facts.textContent = error.message;
    place.replaceChildren();
    shown[side] = null;
  } finally {
    clearTimeout(slow);
  }
}

byId("add")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const input = byId("item");
  const item = input.value.trim();
  if (!item) return;
  const title = titleOf(item);
  input.value = "";
  input.focus();
  change([...history, { action: byId("action").value, item_id: item, title }]);
});
if (byId("add")) {
  offerItems(byId("item"), byId("items"));
  for (const side of sides) {
    byId(`${side}-bundle`).addEventListener("change", () => { shown[side] = null; update(side); });
  }
  change(JSON.parse(sessionStorage.getItem(key) ?? "[]"));
}
