// Tables: one query at a time, its result as a table, a chart where there is one to draw, and files of it.
import { chart } from "./charts.js";
import { complete } from "./completion.js";
import { byId, count, el, root } from "./dom.js";
import { ask } from "./net.js";

const data = JSON.parse(byId("data").textContent);
const sql = byId("sql");
const MOST_BARS = 24;
let drawn = null, running = null, asked = "";

function shownValue(value) {
  if (value === null) return el("td", { className: "muted", text: "null" });
  if (typeof value === "number") return el("td", { className: "n", text: String(value) });
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return el("td", { text, title: text.length > 36 ? text : null });
}

function showRows({ columns, rows }) {
  const table = byId("result");
  const numeric = columns.map((_, i) => rows.some((row) => typeof row[i] === "number") && rows.every((row) => row[i] === null || typeof row[i] === "number"));
  table.tHead.replaceChildren(el("tr", {}, ...columns.map((name, i) => el("th", { text: name, className: numeric[i] ? "n" : "" }))));
  table.tBodies[0].replaceChildren(...rows.map((row) => el("tr", {}, ...row.map(shownValue))));
  byId("result-scroll").hidden = !rows.length;
  drawChart(columns, rows, numeric);
}

/** Lines over a first column of times or numbers, bars over one of names; else no chart. */
function drawChart(columns, rows, numeric) {
  drawn?.remove();
  drawn = null;
  const values = columns.map((_, i) => i).filter((i) => i > 0 && numeric[i]).slice(0, 2);
  const place = byId("chart");
  const times = rows.map((row) => (typeof row[0] === "string" && /^\d{4}-\d\d-\d\d[T ]/.test(row[0]) ? Date.parse(row[0]) / 1000 : NaN));
  const overTime = rows.length > 1 && times.every(Number.isFinite);
  const overNumbers = rows.length > 1 && numeric[0];
  const bars = !overTime && !overNumbers && rows.length > 0 && rows.length <= MOST_BARS;
  place.hidden = !values.length || !(overTime || overNumbers || bars);
  if (place.hidden) return;
  const series = values.slice(0, bars ? 1 : 2).map((i, n) => ({ label: columns[i], colour: n ? "--soft" : "--accent", bars }));
  const x = overTime ? times : rows.map((row, i) => (overNumbers ? row[0] : i));
  const order = bars ? x.map((_, i) => i) : x.map((_, i) => i).sort((one, other) => x[one] - x[other]);
  drawn = chart(place, series, { time: overTime, labels: bars ? rows.map((row) => String(row[0])) : undefined });
  drawn.set([order.map((i) => x[i]), ...series.map((_, n) => order.map((i) => rows[i][values[n]]))]);
}

async function run() {
  const statement = sql.value.trim();
  if (!statement) return;
  running?.abort();
  const mine = (running = new AbortController());
  const facts = byId("facts");
  facts.classList.remove("bad");
  facts.textContent = "Running…";
  try {
    const answer = await ask(`${root}/sql`, { statement }, { signal: mine.signal });
    asked = statement;
    const more = answer.more ? "the first " : "";
    facts.textContent = `${more}${count(answer.rows.length)} ${answer.rows.length === 1 ? "row" : "rows"} in ${answer.seconds.toFixed(2)} s. ${answer.warnings.join(" ")}`;
    showRows(answer);
    for (const form of ["csv", "json"]) byId(form).disabled = false;
  } catch (error) {
    if (error.name === "AbortError") return;
    facts.classList.add("bad");
    facts.textContent = error.message;
  }
}

async function download(form) {
  const facts = byId("facts");
  try {
    const { text } = await ask(`${root}/sql/file`, { statement: asked, form });
    const url = URL.createObjectURL(new Blob([text], { type: form === "csv" ? "text/csv" : "application/json" }));
    el("a", { href: url, download: `result.${form}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  } catch (error) {
    facts.classList.add("bad");
    facts.textContent = error.message;
  }
}

byId("query").addEventListener("submit", (event) => { event.preventDefault(); run(); });
sql.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); run(); }
});
for (const form of ["csv", "json"]) byId(form).addEventListener("click", () => download(form));
for (const example of data.examples) byId("examples").append(el("option", { value: example.sql, text: example.name }));
byId("examples").addEventListener("change", (event) => {
  if (!event.target.value) return;
  sql.value = event.target.value;
  event.target.value = "";
  run();
});
complete(sql, byId("words"), data.words);
sql.value = data.examples[0].sql;
