// Live's cards: dead letters, models, the A/B test and the last drill.
import { count, el, root, when } from "./dom.js";

const none = (text) => el("p", { className: "empty", text });
const table = (heads, rows) => el("table", {},
  el("thead", {}, el("tr", {}, ...heads.map(([text, className = ""]) => el("th", { text, className })))), el("tbody", {}, ...rows));

export function showLetters(place, { dead_letters: letters, problem }) {
  if (problem) return place.replaceChildren(none(problem));
  if (!letters.length) return place.replaceChildren(none("None: every record so far was a behaviour."));
  place.replaceChildren(table([["reason"], ["newest"], ["letters", "n"]], letters.map((each) => el("tr", {},
    el("td", {}, each.reason, el("br"), el("small", { text: each.detail })),
    el("td", { text: when(each.newest) }), el("td", { className: "n", text: count(each.letters) })))));
}

export function showModels(place, { models, swaps, problem }) {
  if (problem) return place.replaceChildren(none(problem));
  if (!models.served.length) return place.replaceChildren(none("No scorer has reported a model yet: it does with its first behaviour."));
  const served = models.served.map((each) => {
    const wanted = models.wanted[each.variant];
    const waits = wanted && wanted !== each.version ? `; ${wanted} is wanted` : "";
    return el("tr", {}, el("td", { text: each.variant }), el("td", { text: each.version + waits }),
      el("td", { className: "n", text: when(each.since_ms) }));
  });
  const parts = [table([["variant"], ["version"], ["since", "n"]], served)];
  if (models.failed) parts.push(el("p", { className: "bad", text: `${models.failed.version} did not load: ${models.failed.problem}` }));
  const moves = swaps.map((each) => el("tr", {},
    el("td", { text: each.variant }), el("td", {}, each.model_version, each.problem ? el("small", { text: ` ${each.problem}` }) : ""),
    el("td", { className: each.outcome === "swapped" ? "good" : "bad", text: each.outcome }), el("td", { className: "n", text: when(each.at) })));
  parts.push(moves.length
    ? table([["swaps"], ["to"], ["outcome"], ["at", "n"]], moves)
    : el("p", { className: "muted", text: "No swap while the job ran. Promote a version, and it is here a moment later." }));
  parts.push(el("p", {}, el("a", { href: `${root}/models`, text: "Registry" })));
  place.replaceChildren(...parts);
}

export function showAb(place, { test, problem }) {
  if (problem) return place.replaceChildren(none(problem));
  if (!test) return place.replaceChildren(none("No test runs: models.variants deals users over several models."));
  const highest = Math.max(...test.variants.map((each) => each.rate.high ?? each.rate.value ?? 0), 0.01);
  place.replaceChildren(el("div", { className: "rates" }, ...test.variants.map((each) => variant(each, highest))),
    el("p", { className: "muted", text: `HR@${test.top} by user, with 95 % intervals that may be read at any time.` }));
}

function variant(each, highest) {
  const figure = (value) => (typeof value === "number" ? value.toFixed(3) : "–");
  const range = each.rate.low === null ? "too few users for an interval" : `${figure(each.rate.low)} to ${figure(each.rate.high)}`;
  const verdict = each.verdict ? `, ${each.verdict}` : "";
  return el("div", { className: "rate" },
    el("strong", { text: each.name }), el("span", { text: ` ${figure(each.rate.value)} ` }),
    el("small", { text: `${range}, ${count(each.users)} users${verdict}` }), interval(each.rate, highest));
}

function interval(rate, highest) {
  const svg = (name, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const x = (value) => `${(100 * Math.max(0, value)) / (highest * 1.05)}%`;
  const drawing = svg("svg", { "aria-hidden": "true" });
  drawing.append(svg("line", { class: "track", x1: "0", x2: "100%", y1: 11, y2: 11 }));
  if (rate.low !== null) drawing.append(svg("line", { class: "reach", x1: x(rate.low), x2: x(rate.high), y1: 11, y2: 11 }));
  if (typeof rate.value === "number") drawing.append(svg("circle", { class: "mean", cx: x(rate.value), cy: 11, r: 5 }));
  return drawing;
}

export function showDrill(place, { verdict, at, folder, problem }) {
  if (problem) return place.replaceChildren(none(problem));
  if (!verdict) return place.replaceChildren(none(`No verdict in ${folder}: recloop drill --smoke makes one.`));
  const seconds = (value) => (typeof value === "number" ? `${value.toFixed(1)} s` : "never");
  const rows = verdict.faults.map((each) => el("tr", {},
    el("td", { text: each.name }), el("td", { className: "n", text: count(each.lost) }),
    el("td", { className: "n", text: count(each.doubled) }), el("td", { className: "n", text: seconds(each.caught_up_s) })));
  place.replaceChildren(
    el("p", { className: "state", "data-state": verdict.ok ? "good" : "bad", text: `${verdict.ok ? "Everything held" : "Not everything held"}, ${when(at)}` }),
    table([["fault"], ["lost", "n"], ["doubled", "n"], ["caught up", "n"]], rows));
}
