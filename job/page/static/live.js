// Live: what the server's stream says, as it comes.
import { chart } from "./charts.js";
import { byId, clock, count, el, root, span, userLink } from "./dom.js";
import { follow, showServed } from "./net.js";
import { showAb, showDrill, showLetters, showModels } from "./live_cards.js";

const FEED = 10;
const WINDOW_S = 300;
const LEAST_S = 60;
const RATE_S = 5;

const charts = {
  throughput: chart(byId("throughput-chart"), [{ label: "behaviours", colour: "--accent", fill: true }, { label: "lists", colour: "--soft" }]),
  freshness: chart(byId("freshness-chart"), [{ label: "median", colour: "--accent", gaps: true }, { label: "p95", colour: "--soft", gaps: true }]),
  checkpoint: chart(byId("checkpoint-chart"), [{ label: "duration", colour: "--accent", points: true }]),
};
let points = [];
let lastCheckpoint = null;

function addPoints(news) {
  const last = points.length ? points.at(-1)[0] : 0;
  points = points.concat(news.filter((point) => point[0] > last)).slice(-WINDOW_S);
  // What was before the first event says nothing, and would squeeze the rest.
  const begun = points.findIndex((point) => point[1] || point[2]);
  points = points.slice(begun < 0 ? -LEAST_S : Math.min(begun, Math.max(0, points.length - LEAST_S)));
  const columns = [0, 1, 2, 3, 4].map((i) => points.map((point) => point[i]));
  charts.throughput.set([columns[0], columns[1], columns[2]]);
  charts.freshness.set([columns[0], columns[3], columns[4]]);
  const newest = points.slice(-RATE_S);
  const rate = (i) => (newest.length ? newest.reduce((sum, point) => sum + point[i], 0) / newest.length : null);
  const shown = (value) => (value === null ? "–" : value > 0 && value < 10 ? value.toFixed(1) : count(Math.round(value)));
  byId("behaviors-rate").textContent = shown(rate(1));
  byId("lists-rate").textContent = shown(rate(2));
  const fresh = points.findLast((point) => point[3] !== null);
  byId("freshness").textContent = fresh ? span(fresh[3]) : "–";
}

function prepend(table, empty, rows) {
  const body = byId(table).tBodies[0];
  body.prepend(...rows);
  while (body.rows.length > FEED) body.lastElementChild.remove();
  byId(empty).hidden = body.rows.length > 0;
}

const behaviorRow = (each) => el("tr", {},
  el("td", {}, userLink(each.user_id)), el("td", { text: each.action }),
  el("td", { text: each.title || each.item_id, title: each.item_id }), el("td", { className: "n", text: clock(each.at) }));

const listRow = (each) => el("tr", {},
  el("td", {}, userLink(each.user_id)), el("td", { text: each.first || "empty" }),
  el("td", { text: each.made_by, title: each.made_by }), el("td", { className: "n", text: span(each.freshness_ms) }));

function showJob(job) {
  const place = byId("job");
  place.dataset.state = job.state;
  if (place.textContent !== job.sentence) place.textContent = job.sentence;
  byId("lag").textContent = count(job.lag);
  byId("restarts").textContent = count(job.restarts);
  byId("restarts").title = job.last_failure ?? "";
  lastCheckpoint = job.checkpoints.at(-1)?.at ?? null;
  charts.checkpoint.set([job.checkpoints.map((each) => each.at / 1000), job.checkpoints.map((each) => each.duration_ms)]);
  showAge();
}

function showAge() {
  byId("checkpoint").textContent = lastCheckpoint ? `${span(Date.now() - lastCheckpoint)}` : "–";
}
setInterval(showAge, 1000);

follow(`${root}/events`, {
  tick: (news) => {
    addPoints(news.points);
    prepend("behaviors", "no-behaviors", news.behaviors.map(behaviorRow));
    prepend("lists", "no-lists", news.lists.map(listRow));
  },
  job: showJob,
  served: showServed,
  facts: (facts) => {
    showLetters(byId("letters"), facts);
    showModels(byId("models"), facts);
  },
  ab: (ab) => showAb(byId("ab"), ab),
  drill: (drill) => showDrill(byId("drill"), drill),
}, () => {
  points = [];
  for (const table of ["behaviors", "lists"]) byId(table).tBodies[0].replaceChildren();
});
