// Curves of several jobs: drag to zoom, which asks the server for what lies there; pictures as PNG.
import { loadPlot } from "./plot.js";

const DIMMED = 0.12, NEAR = 24; // how pale other curves become, and how near to one the pointer must be
const root = document.documentElement;
const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
const hidden = new Set(); // labels of curves that somebody has put away
let place, chart, whole, shown, windowed = null, asked = 0;

export async function begin() {
  place = document.querySelector("[data-compare]");
  for (const form of document.querySelectorAll("[data-at-once]")) form.addEventListener("change", () => form.requestSubmit());
  const found = ask(null);
  await Promise.all([loadPlot(), found]).then(([, all]) => show((whole = all))).catch(complain);
  document.addEventListener("part", () => ask(null).then((all) => { whole = all; zoom(windowed); }).catch(complain));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown && draw());
  new ResizeObserver(() => chart?.setSize(size())).observe(place);
  for (const link of document.querySelectorAll("[data-svg]")) offerPng(link);
}

function within(address, part) {
  const url = new URL(address, location);
  if (part) for (const [at, name] of ["start", "end"].entries()) url.searchParams.set(name, part[at]);
  return url;
}

async function ask(part) {
  const answer = await fetch(within(place.dataset.compare, part));
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

function complain(error) {
  if (!place.querySelector(".keys")) makeKeys();
  place.querySelector(".notes").textContent = `The curves cannot be shown: ${error.message ?? "a script is missing"}`;
}

function zoom(part) {
  look(part).catch(complain);
}

async function look(part) {
  const mine = ++asked;
  windowed = part;
  for (const link of document.querySelectorAll("#curves [data-svg]")) link.href = within(link.getAttribute("href").replace(/[?&](start|end)=[^&]*/g, ""), part);
  document.getElementById("unzoom").hidden = !part;
  if (!part) return show(whole);
  chart.setScale("x", { min: part[0], max: part[1] });
  const found = await ask(part);
  if (mine !== asked) return;
  show({ ...found, curves: whole.curves.map((curve) => refine(curve, found.curves.find(({ key, label }) => key === curve.key && label === curve.label), part)) });
  place.dataset.refined = "yes";
}

// A curve that is exact within a part, and goes on to both sides as it was: at its ends, the server has none that was measured.
function refine(curve, fine, part) {
  if (!fine) return curve;
  const join = (outer, inner) => {
    if (!outer.length || !inner.length) return outer;
    const pick = (rows, keep) => rows.map((row) => row.filter((_, at) => keep(rows[0][at])));
    const left = pick(outer, (x) => x <= part[0]), middle = pick(inner, (x) => x > part[0] && x < part[1]), right = pick(outer, (x) => x >= part[1]);
    return outer.map((_, at) => [...left[at], ...middle[at], ...right[at]]);
  };
  return { ...curve, points: join(curve.points, fine.points), behind: join(curve.behind, fine.behind), band: join(curve.band, fine.band) };
}

function show(found) {
  shown = found;
  draw();
}

const size = () => ({ width: place.clientWidth, height: Math.min(420, Math.max(260, place.clientWidth * 0.45)) });

function draw() {
  const lines = [], series = [{}], bands = [];
  const add = (row, curve, options) => { lines.push(row); series.push({ of: shown.curves.indexOf(curve), stroke: curve.colour, show: !hidden.has(curve.label), points: { show: false }, ...options }); };
  for (const curve of shown.curves) {
    if (curve.band.length) {
      add([curve.band[0], curve.band[2]], curve, { stroke: "transparent" });
      add([curve.band[0], curve.band[1]], curve, { stroke: "transparent" });
      bands.push({ series: [series.length - 2, series.length - 1], fill: `${curve.colour}33` });
    }
    if (curve.behind.length && curve.behind[0].length) add(curve.behind, curve, { stroke: `${curve.colour}55`, width: 1 });
  }
  for (const curve of shown.curves) {
    const few = curve.points[0].length < 40;
    add(curve.points, curve, { width: 1.6, main: true, dash: curve.dash ? curve.dash.split(" ").map(Number) : undefined, points: { show: few, size: 5, fill: curve.colour } });
  }
  const axis = (label, more) => ({ label, stroke: css("--quiet"), font: "12px system-ui", labelFont: "12px system-ui", labelSize: 18, grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 }, ...more });
  const old = chart;
  const keys = place.querySelector(".keys") || makeKeys();
  chart = new window.uPlot({
    ...size(), series, bands, legend: { show: false },
    focus: { alpha: DIMMED },
    cursor: { focus: { prox: NEAR }, drag: { x: true, y: false, setScale: false }, points: { show: false }, bind: { dblclick: () => () => { zoom(null); return null; } } },
    scales: { x: { time: false, range: (u, min, max) => windowed || [min, max === min ? min + 1 : max] }, y: shown.logarithmic ? { distr: 3 } : { range: (u, min, max) => grow(min, max) } },
    axes: [axis(shown.x, { values: (u, ticks) => ticks.map(write) }), axis(shown.y, { size: 64, values: (u, ticks) => ticks.map((tick) => (tick === null ? "" : write(tick))) })],
    hooks: {
      setSelect: [(u) => { if (u.select.width > 4) zoom([u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")].map((value) => Math.max(0, value))); }],
      setSeries: [(u, at, { focus }) => { if (focus !== undefined) mark(at ? shown.curves[u.series[at].of] : null); }],
      draw: [() => { place.dataset.drawn = Number(place.dataset.drawn || 0) + 1; }],
    },
  }, align(lines), (u, init) => { place.insertBefore(u.root, keys); init(); });
  old?.destroy();
  place.querySelector("noscript")?.remove();
  writeKeys(keys);
}

// Axes begin at zero where the values come near it, as in the pictures.
function grow(min, max) {
  if (min === null) return [0, 1];
  if (min === max) return [min - (Math.abs(min) || 1) / 2, max + (Math.abs(max) || 1) / 2];
  const gap = (max - min) * 0.04;
  return [min >= 0 && min <= max - min ? 0 : min - gap, max + gap];
}

// One row of places for all lines. A place that a line has not stays undefined, which interrupts nothing;
// one that a line has twice, for the least and the largest value there, comes twice.
function align(lines) {
  const times = new Map();
  for (const [xs] of lines) {
    for (let i = 0, n = 0; i < xs.length; i++) {
      n = xs[i] === xs[i - 1] ? n + 1 : 1;
      if (n > (times.get(xs[i]) || 0)) times.set(xs[i], n);
    }
  }
  const all = [], first = new Map();
  for (const x of [...times.keys()].sort((a, b) => a - b)) {
    first.set(x, all.length);
    for (let n = times.get(x); n; n--) all.push(x);
  }
  return [all, ...lines.map(([xs, ys]) => {
    const row = new Array(all.length);
    for (let i = 0, n = 0; i < xs.length; i++) {
      n = xs[i] === xs[i - 1] ? n + 1 : 0;
      row[first.get(xs[i]) + n] = ys[i];
    }
    return row;
  })];
}

const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
function write(value) {
  if (value === null || value === undefined) return "–";
  return value && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e7) ? value.toExponential(3).replace(/\.?0+e/, "e") : digits.format(value);
}

function makeKeys() {
  const unzoom = document.createElement("button");
  Object.assign(unzoom, { id: "unzoom", type: "button", textContent: "Show all", hidden: true });
  unzoom.addEventListener("click", () => zoom(null));
  const notes = document.createElement("p"), keys = document.createElement("ol");
  notes.className = "quiet notes";
  keys.className = "keys";
  place.append(keys, notes, unzoom);
  return keys;
}

function writeKeys(keys) {
  place.querySelector(".notes").textContent = [shown.title, ...shown.notes, "Drag to zoom, double-click for all."].filter(Boolean).join(" · ");
  keys.replaceChildren(...shown.curves.map((curve) => {
    const entry = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.dataset.key = curve.key;
    button.setAttribute("aria-pressed", !hidden.has(curve.label));
    button.innerHTML = '<svg width="26" height="8" aria-hidden="true"><path d="M0 4h26" fill="none" stroke-width="2.4"/></svg><span></span><b></b>';
    const path = button.querySelector("path");
    path.setAttribute("stroke", curve.colour);
    if (curve.dash) path.setAttribute("stroke-dasharray", curve.dash);
    button.querySelector("span").textContent = curve.label;
    button.querySelector("b").textContent = write(curve.last);
    button.addEventListener("click", () => toggle(curve, button));
    for (const [event, on] of [["mouseenter", true], ["focus", true], ["mouseleave", false], ["blur", false]]) {
      button.addEventListener(event, () => chart.setSeries(on ? find(curve) : null, { focus: true }));
    }
    entry.append(button);
    return entry;
  }));
}

const find = (curve) => chart.series.findIndex((one) => one.main && shown.curves[one.of] === curve);

function toggle(curve, button) {
  const on = hidden.delete(curve.label);
  if (!on) hidden.add(curve.label);
  button.setAttribute("aria-pressed", on);
  chart.series.forEach((one, at) => { if (shown.curves[one.of] === curve) chart.setSeries(at, { show: on }); });
}

// The curve under the pointer: its entry of the legend, and its row of the table.
function mark(curve) {
  for (const one of document.querySelectorAll(".keys .here, .compared tr.here")) one.classList.remove("here");
  if (!curve) return;
  place.querySelector(`[data-key="${CSS.escape(curve.key)}"]`)?.classList.add("here");
  if (curve.label.startsWith("Job ")) document.getElementById(`job-${curve.key}`)?.classList.add("here");
}

// Downloads the picture that the link leads to, as it is printed: twice as many pixels.
function offerPng(link) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", textContent: "PNG" });
  button.addEventListener("click", async () => {
    const picture = new Image();
    picture.src = link.href;
    await picture.decode();
    const canvas = document.createElement("canvas");
    canvas.width = 2 * picture.naturalWidth;
    canvas.height = 2 * picture.naturalHeight;
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    const target = document.createElement("a");
    target.href = URL.createObjectURL(blob);
    target.download = link.download.replace(/svg$/, "png");
    target.click();
    setTimeout(() => URL.revokeObjectURL(target.href), 10000);
  });
  link.after(" ", button);
}
