// Charts with uPlot, in the theme's colours; they follow the theme and the width.
import { el } from "./dom.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const STEPS_S = [1, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, ...[1, 2, 7, 30, 90, 365].map((days) => days * 86400)];

/** What to write at marks of time: days, minutes or seconds, by how far the marks are apart. */
function moment(marks) {
  const apart = marks.length > 1 ? marks[1] - marks[0] : 1;
  const parts = apart >= 43200 ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit", second: apart < 60 ? "2-digit" : undefined };
  const written = new Intl.DateTimeFormat("en-GB", parts);
  return (s) => written.format(s * 1000);
}

/** A chart in an element. `series` are {label, colour: "--name", fill, bars}; the first data array is x. */
export function chart(place, series, { time = true, height = place.clientHeight, labels } = {}) {
  const nothing = el("span", { className: "nothing", text: "nothing yet" });
  let plot, data = null;
  const draw = () => {
    plot?.destroy();
    const axis = () => ({
      stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false },
      font: "12px system-ui, sans-serif", gap: 6,
    });
    const x = { ...axis(), grid: { show: false }, size: 28 };
    if (labels) {
      x.splits = (_, __, low, high) => labels.map((_label, i) => i).filter((i) => i >= low && i <= high);
      x.values = (_, places) => places.map((i) => short(labels[i]));
    } else if (time) {
      x.incrs = STEPS_S;
      x.values = (_, places) => places.map(moment(places));
      x.space = 70;
    }
    plot = new window.uPlot({
      width: place.clientWidth, height, legend: { show: false }, cursor: { show: false }, padding: [8, time ? 30 : 8, 0, 0],
      scales: { x: { time: false, ...(labels ? { range: [-0.6, labels.length - 0.4] } : {}) }, y: { range: (_, low) => [Math.min(0, low ?? 0), top(data.slice(1))] } },
      axes: [x, { ...axis(), size: 52, values: (_, marks) => marks.map(compact) }],
      series: [{}, ...series.map((each) => ({
        label: each.label, stroke: colour(each.colour), width: 2, points: { show: each.points ?? false, size: 5, fill: colour(each.colour) },
        fill: each.fill ? colour("--wash") : undefined, spanGaps: each.gaps ?? false,
        ...(each.bars ? { paths: window.uPlot.paths.bars({ size: [0.7, 48] }), fill: colour(each.colour) } : {}),
      }))],
    }, data, place);
  };
  if (series.length > 1) {
    const legend = el("span", { className: "legend", "aria-hidden": "true" });
    legend.append(...series.map((each, i) => el("span", { className: i ? "second" : "", text: each.label })));
    place.append(legend);
  }
  place.append(nothing);
  new ResizeObserver(() => plot?.setSize({ width: place.clientWidth, height })).observe(place);
  const redraw = () => { if (data) draw(); };
  addEventListener("themechange", redraw);
  return {
    set(next) {
      const empty = !next[0].length || next.slice(1).every((values) => values.every((v) => v === null));
      nothing.hidden = !empty;
      place.classList.toggle("void", empty);
      data = next;
      if (plot) plot.setData(next);
      else draw();
    },
    remove() {
      removeEventListener("themechange", redraw);
      plot?.destroy();
      place.replaceChildren();
    },
  };
}

/** The top of the y axis. A lone spike that would flatten all else runs out of the chart. */
function top(columns) {
  const values = columns.flat().filter((value) => value > 0).sort((one, other) => one - other);
  if (!values.length) return 1;
  const highest = values.at(-1), usual = values[Math.floor((values.length - 1) * 0.95)];
  return (highest > 8 * usual ? 3 * usual : highest) * 1.12;
}
const short = (text) => (text.length > 12 ? `${text.slice(0, 11)}…` : text);
const compacted = new Intl.NumberFormat("en-GB", { notation: "compact", maximumFractionDigits: 2 });
const compact = (value) => compacted.format(value);
