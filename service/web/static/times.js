// Writes moments in the reader's own time zone, and how far away they are.

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"]];

export function span(seconds) {
  for (const [size, unit] of UNITS) if (seconds >= 2 * size) return `${Math.round(seconds / size)} ${unit}`;
  return `${Math.max(0, Math.round(seconds))} s`;
}

export const age = (moment) => span((Date.now() - moment) / 1000);

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

function write(moment, form) {
  const seconds = (moment - Date.now()) / 1000;
  if (form === "age") return `${span(-seconds)} ago`;
  if (form === "until") return seconds > 1 ? `in about ${span(seconds)}` : "soon";
  const near = Math.abs(seconds) < 43200 || moment.toDateString() === new Date().toDateString();
  return (near ? clock : day).format(moment);
}

export function writeTimes(root) {
  for (const element of root.querySelectorAll("time[data-form]")) {
    const moment = new Date(element.dateTime);
    const text = write(moment, element.dataset.form);
    if (element.textContent !== text) element.textContent = text;
    if (!element.title) element.title = whole.format(moment);
  }
}
