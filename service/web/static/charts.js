// Draws a job's curves, asks anew when they have grown, and when somebody zooms in.
import { loadPlot } from "./plot.js";

const HEIGHT = 190, AGAIN_MS = 2000;
const STROKES = { loss: "--train", accuracy: "--train", val_loss: "--validation", val_accuracy: "--validation", lr: "--train", images_per_second: "--train" };
const plots = new Map();

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const strokeOf = (metric) => (metric.startsWith("batch_") ? `color-mix(in srgb, ${color("--train")} 35%, transparent)` : color(STROKES[metric] ?? "--train"));

async function ask(job, metrics, width, range) {
  const query = new URLSearchParams([["job", job], ...metrics.map((metric) => ["metric", metric]), ["points", Math.max(50, Math.round(width))]]);
  if (range) for (const [name, step] of Object.entries(range)) query.set(name, step);
  const answer = await fetch(`/api/v1/curves?${query}`);
  if (!answer.ok) throw new Error(`curves: ${answer.status}`);
  return answer.json();
}

// Minutes of training at a step, and back; beyond what is known it goes on as it ended.
function interpolate(value, clock, from, to) {
  let after = clock.findIndex((pair) => pair[from] >= value);
  if (after < 0) after = clock.length - 1;
  const left = clock[Math.max(0, after - 1)], right = clock[Math.max(1, after)];
  return left[to] + ((value - left[from]) / (right[from] - left[from])) * (right[to] - left[to]);
}

function readClock(curves) {
  const clock = [[0, 0]];
  for (const [step, seconds] of curves[0].clock) {
    const [lastStep, lastMinutes] = clock.at(-1);
    if (step > lastStep && seconds / 60 > lastMinutes) clock.push([step, seconds / 60]);
  }
  return clock;
}

function join(curves, place) {
  // Each curve gives three series: its mean, and the least and largest value of what one pixel stands for.
  const tables = curves.map((curve) => [
    curve.points.map((point) => place(point[0])),
    curve.points.map((point) => point[3]),
    curve.points.map((point) => point[1]),
    curve.points.map((point) => point[2]),
  ]);
  return uPlot.join(tables);
}

class Plot {
  constructor(box, job) {
    this.box = box;
    this.job = job;
    this.axes = box.closest("[data-curves]").dataset;
    this.clock = [];
    this.range = null;
    this.drawing = null;
    this.askedAt = this.asked = 0;
  }

  refresh() {
    const wait = this.askedAt + AGAIN_MS - Date.now();
    clearTimeout(this.timer);
    if (wait > 0) return void (this.timer = setTimeout(() => this.refresh(), wait));
    this.askedAt = Date.now();
    this.load().catch(() => {}); // the stream says when the service is away
  }

  async load() {
    const mine = ++this.asked, metrics = this.box.dataset.metrics.split(" ").sort((a) => (a.startsWith("batch_") ? -1 : 1));
    const found = await ask(this.job, metrics, this.box.clientWidth, this.range);
    if (mine !== this.asked) return;
    if (!this.range) this.whole = found;
    const curves = this.range ? found.map((curve) => this.refine(curve)) : found;
    if (!this.range && this.axes.x === "time") this.clock = readClock(curves);
    const shape = [this.clock.length > 1, ...curves.map((curve) => curve.metric)].join();
    if (this.drawing && this.shape === shape) this.drawing.setData(join(curves, this.place));
    else this.make(curves);
    this.shape = shape;
    this.say(curves);
  }

  // A curve that is exact within the zoom, and goes on to both sides as it was.
  refine(curve) {
    const outside = this.whole.find(({ metric }) => metric === curve.metric)?.points ?? [], { start, end } = this.range;
    return { ...curve, points: [...outside.filter(([step]) => step < start), ...curve.points, ...outside.filter(([step]) => step > end)] };
  }

  say(curves) {
    this.box.dataset.points = curves.reduce((sum, curve) => sum + curve.total, 0);
    const note = curves.some((curve) => curve.decimated) ? "least and largest value of each pixel's points" : "every point";
    this.box.title = `${note}; drag to zoom in, double-click to zoom out`;
  }

  place = (step) => (this.clock.length > 1 ? interpolate(step, this.clock, 0, 1) : step);
  stepAt = (place) => (this.clock.length > 1 ? interpolate(place, this.clock, 1, 0) : place);
  stepOf = (pixel) => Math.max(0, Math.round(this.stepAt(this.drawing.posToVal(pixel, "x"))));
  ends = () => this.range && [this.place(this.range.start), this.place(this.range.end)];

  make(curves) {
    this.drawing?.destroy();
    const series = [{}], bands = [];
    for (const { metric } of curves) {
      const stroke = strokeOf(metric), at = series.length;
      series.push(
        { stroke, width: 1.5, points: { size: 4 } },
        { stroke, width: 0.5, points: { show: false } },
        { stroke, width: 0.5, points: { show: false } },
      );
      bands.push({ series: [at + 2, at + 1], fill: `color-mix(in srgb, ${stroke} 22%, transparent)` });
    }
    const timed = this.clock.length > 1, per = timed || this.axes.x === "step" ? null : curves.find((curve) => curve.steps_per_epoch)?.steps_per_epoch;
    this.box.dataset.over = timed ? "minutes of training" : per ? "epoch" : "step";
    const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    this.drawing = new uPlot({
      width: this.box.clientWidth, height: HEIGHT, legend: { show: false }, scales: { x: { time: false, range: (_, min, max) => this.ends() ?? [min, max === min ? min + 1 : max] }, y: this.axes.y === "log" ? { distr: 3 } : {} }, series, bands,
      cursor: { drag: { x: true, y: false, setScale: false } },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((place) => (timed ? +place.toPrecision(4) : +(place / (per ?? 1)).toFixed(2))), label: this.box.dataset.over, size: 24, labelSize: 14, labelGap: -4, labelFont: "11px system-ui" },
        { ...axis, size: 52, values: (_, ticks) => ticks.map((value) => (value === null ? "" : Math.abs(value) >= 1000 ? value.toLocaleString("en") : +value.toPrecision(4))) },
      ],
      hooks: {
        setSelect: [(plot) => plot.select.width > 4 && this.zoom({ start: this.stepOf(plot.select.left), end: this.stepOf(plot.select.left + plot.select.width) })],
        draw: [(plot) => this.mark(plot)],
      },
    }, join(curves, this.place), this.box);
    this.drawing.over.addEventListener("dblclick", () => this.zoom(null));
  }

  mark(plot) {
    const { left, top, width, height } = plot.bbox;
    for (const [step, label] of JSON.parse(this.box.closest("[data-curves]").dataset.marks)) {
      const x = plot.valToPos(this.place(step), "x", true);
      if (x < left || x > left + width) continue;
      plot.ctx.fillStyle = color("--warn");
      plot.ctx.fillRect(x, top, devicePixelRatio, height);
      plot.ctx.font = `${10 * devicePixelRatio}px system-ui`;
      plot.ctx.fillText(label, x + 4 * devicePixelRatio, top + 10 * devicePixelRatio);
    }
  }

  zoom(range) {
    this.range = range;
    this.askedAt = 0;
    this.drawing.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.drawing.setData(this.drawing.data);
    this.refresh();
  }
}

function draw() {
  for (const box of document.querySelectorAll("[data-curves] .plot")) {
    if (!plots.has(box.id) || plots.get(box.id).box !== box) plots.set(box.id, new Plot(box, box.closest("[data-curves]").dataset.job));
    plots.get(box.id).refresh();
  }
}

export async function begin() {
  await loadPlot();
  draw();
  document.getElementById("part-curves").addEventListener("part", draw);
  addEventListener("resize", () => { for (const plot of plots.values()) plot.drawing?.setSize({ width: plot.box.clientWidth, height: HEIGHT }); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { for (const plot of plots.values()) { plot.shape = ""; plot.askedAt = 0; plot.refresh(); } });
}
