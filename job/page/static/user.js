// A user: history, list, and what the last behaviour moved. Buttons send behaviours; the list comes back by the stream.
import { byId, el, root, when } from "./dom.js";
import { showList } from "./list_view.js";
import { offerItems, titleOf } from "./items.js";
import { ask, follow, showServed, trouble } from "./net.js";

const SLOW_MS = 5000;
const HISTORY = 15;
const CALM_MS = 700;
const data = JSON.parse(byId("data").textContent);
const terminal = new Set(data.actions.filter((each) => each.kind === "terminal").map((each) => each.name));
const reversal = data.actions.find((each) => each.kind === "reversal")?.name;
// One button an act: a click, a purchase, a dislike; of a deployment's own actions the first of each kind.
const first = (kind, liked) => data.actions.find((each) => each.name === liked)?.name ?? data.actions.find((each) => each.kind === kind)?.name;
const offered = [first("positive", "click"), first("terminal", "buy"), first("negative", "dislike")].filter(Boolean);

let list = data.list;
let history = data.behaviors;
let sent = null;
let seen = { list: data.list, before: data.before };
let next = null, shownAt = 0;

const same = (one, other) => one.log_partition === other.log_partition && one.log_offset === other.log_offset;
const covers = (made, behavior) => made.log_partition === behavior.log_partition && made.log_offset >= behavior.log_offset;

function acts(entry) {
  return el("span", { className: "acts" }, ...offered.map((action) => {
    const name = entry.title || entry.item_id;
    const button = el("button", { type: "button", "data-act": action, "data-item": entry.item_id, "aria-label": `${action}: ${name}`, text: action });
    button.addEventListener("click", () => send(action, entry.item_id, name));
    return button;
  }));
}

/** Show the newest list: at once, or a moment after the one before, so that rows can be read while many come. */
function showSoon({ now = false } = {}) {
  clearTimeout(next);
  const wait = now ? 0 : shownAt + CALM_MS - performance.now();
  if (wait > 0) next = setTimeout(showCurrent, wait);
  else showCurrent();
}

function showCurrent() {
  shownAt = performance.now();
  const before = list === seen.list ? seen.before : seen.list;
  seen = { list, before };
  const entries = list?.entries ?? [];
  showList(byId("list"), entries, before?.entries, acts);
  byId("no-list").hidden = entries.length > 0;
  byId("list-facts").textContent = list ? listFacts() : "";
  const left = before && list ? before.entries.filter((old) => !entries.some((entry) => entry.item_id === old.item_id)) : [];
  byId("gone").hidden = !left.length;
  byId("gone").textContent = left.length ? `Gone: ${left.map((entry) => entry.title || entry.item_id).join(", ")}` : "";
  showBefore(before?.entries ?? [], entries);
}

/** The list before, each item with its place now: what was, beside what is. */
function showBefore(before, entries) {
  const now = new Map(entries.map((entry, position) => [entry.item_id, position + 1]));
  byId("before").hidden = !before.length;
  byId("before-list").replaceChildren(...before.map((entry, position) => el("li", {},
    el("span", { className: "act", text: position + 1 }), el("span", { text: entry.title || entry.item_id }),
    el("span", { className: "when", text: now.has(entry.item_id) ? `now ${now.get(entry.item_id)}` : "gone" }))));
}

function listFacts() {
  if (!list.version) return list.source === "none" ? "" : `what is ${list.source}, for a user without a list`;
  const model = list.model_version ? `model ${list.model_version}` : list.fallback_reason ? `without scores: ${list.fallback_reason}` : list.source;
  const variant = list.variant && data.variants > 1 ? `, variant ${list.variant}` : "";
  return `version ${list.version} after ${list.action} ${list.title || list.item_id}, ${model}${variant}`;
}

function showHistory() {
  history.sort((one, other) => other.at - one.at || other.log_offset - one.log_offset);
  history = history.slice(0, HISTORY);
  byId("no-history").hidden = history.length > 0;
  byId("history").replaceChildren(...history.map((each) => {
    const waits = each.waits ? el("small", { className: "waits", text: " waits for the job" }) : "";
    const end = el("span", { className: "when", text: when(each.at) });
    if (terminal.has(each.action) && reversal) {
      const name = each.title || each.item_id;
      const button = el("button", { type: "button", className: "quiet", "aria-label": `${reversal}: ${name}`, text: reversal });
      button.addEventListener("click", () => send(reversal, each.item_id, name));
      end.append(" ", button);
    }
    return el("li", {}, el("span", { className: "act", text: each.action }), el("span", {}, each.title || each.item_id, waits), end);
  }));
}

function say(state, sentence) {
  byId("effect").dataset.state = state;
  byId("effect").textContent = sentence;
}

async function send(action, item, name) {
  const clicked = performance.now();
  say("waiting", `Sending ${action} of ${name}…`);
  try {
    const place = await ask(`${root}/behaviors`, { user_id: data.user, action, item_id: item });
    sent = { ...place, clicked, action, name };
    if (!history.some((each) => same(each, place))) history.push({ ...place, action, item_id: item, title: name === item ? "" : name, at: place.at, waits: true });
    showHistory();
    if (list && covers(list, sent)) {
      showSoon({ now: true });
      arrived();
    } else setTimeout(isSlow, SLOW_MS, sent);
  } catch (error) {
    say("bad", error.message);
  }
}

function isSlow(waited) {
  if (sent === waited) say("silent", `${waited.action} of ${waited.name} is stored; no list has followed yet. It will, when the job is back.`);
}

function arrived() {
  const ms = Math.round(performance.now() - sent.clicked);
  const was = new Map((seen.before?.entries ?? []).map((entry, position) => [entry.item_id, position]));
  const fresh = list.entries.filter((entry) => !was.has(entry.item_id)).length;
  const moved = list.entries.filter((entry, position) => was.has(entry.item_id) && was.get(entry.item_id) !== position).length;
  const effect = fresh || moved ? `${fresh} new, ${moved} moved` : "the same items in the same places";
  say("good", `${sent.action} of ${sent.name}: the new list was here ${ms} ms after. ${effect[0].toUpperCase()}${effect.slice(1)}.`);
  sent = null;
}

function onList(news) {
  if (list?.version && news.version && news.epoch === list.epoch && news.version <= list.version) return;
  list = news;
  for (const each of history) if (covers(news, each)) each.waits = false;
  const cause = { log_partition: news.log_partition, log_offset: news.log_offset };
  if (news.cause && !history.some((each) => same(each, cause))) {
    history.push({ ...cause, action: news.action, item_id: news.item_id, title: news.title, at: news.at });
  }
  showHistory();
  const mine = sent && covers(news, sent);
  showSoon({ now: mine });
  if (mine) arrived();
}

async function reload() {
  const now = await ask(`${root}/user?id=${encodeURIComponent(data.user)}`);
  if (now.list && now.list.version !== list?.version) {
    list = now.list;
    showCurrent();
    if (sent && covers(list, sent)) arrived();
  }
  history = now.behaviors;
  showHistory();
}

byId("act").addEventListener("submit", (event) => {
  event.preventDefault();
  const item = byId("item").value.trim();
  if (item) send(byId("action").value, item, titleOf(item) || item);
});
offerItems(byId("item"), byId("items"));
showHistory();
showCurrent();
follow(`${root}/events?user=${encodeURIComponent(data.user)}`, {
  list: onList,
  served: showServed,
  job: (job) => trouble("job", job.state === "running" ? null : `${job.sentence} Behaviours that are sent are stored, and applied when it is back.`),
}, () => reload().catch(() => {}));
