// Keeps the parts of a page up to date by one stream, and says so when it is lost.
import { morph } from "./morph.js";
import { age, writeTimes } from "./times.js";

const HIDDEN_MS = 5000; // after which a page that nobody sees gives its connection back: a browser has few
const RETRY_MS = [500, 1000, 2000, 4000, 8000], ANSWER_MS = 8000;
const SILENT_MS = 40_000; // the service says each 15 seconds that it is there: else the connection is dead, or the browser slept
const ENDS = {
  401: "Your session has ended. Load the page again to sign in",
  403: "You may not look at this page any more",
  404: "What this page is about is not there any more",
};
let source = null, askedAt = 0, heardAt = Date.now(), failures = 0, timer = 0, ended = false;

const here = () => location.pathname + location.search;
const parts = () => [...document.querySelectorAll("[data-digest]")];
const nameOf = (part) => part.id.slice("part-".length);

function connect() {
  delete document.documentElement.dataset.live;
  clearTimeout(timer);
  source?.close();
  ended = false;
  const have = parts().map((part) => `${nameOf(part)}:${part.dataset.digest}`).join(",");
  askedAt = Date.now();
  source = new EventSource(`/live?${new URLSearchParams({ page: here(), have })}`);
  source.addEventListener("hello", (event) => {
    const mine = document.body.dataset.static.split("/").pop();
    if (JSON.parse(event.data).static !== mine) location.reload(); // the service was upgraded
    failures = 0;
    heardAt = Date.now();
    document.getElementById("lost").hidden = true;
    document.documentElement.dataset.live = "yes";
  });
  source.addEventListener("still", () => { heardAt = Date.now(); });
  source.addEventListener("part", (event) => { heardAt = Date.now(); swap(JSON.parse(event.data)); });
  source.onerror = lose;
}

function swap({ name, digest, html }) {
  const part = document.getElementById(`part-${name}`);
  if (!part) return;
  const fresh = part.cloneNode(false);
  fresh.innerHTML = html;
  fresh.dataset.digest = digest;
  writeTimes(fresh);
  morph(part, fresh);
  part.dispatchEvent(new CustomEvent("part", { bubbles: true }));
}

async function lose() {
  const lost = source, refused = lost.readyState === EventSource.CLOSED; // else nobody answered, or the stream broke off
  lost.close();
  delete document.documentElement.dataset.live;
  if (failures++) sayLost();
  const words = refused && ENDS[await askWhy(lost.url)];
  if (source !== lost) return; // somebody looked at the page again, and it is connected anew
  ended = Boolean(words);
  if (ended) say(words);
  else timer = setTimeout(connect, RETRY_MS[Math.min(failures - 1, RETRY_MS.length - 1)]);
}

// With which status the stream is refused, which the browser tells nobody.
async function askWhy(url) {
  const done = new AbortController(), limit = setTimeout(() => done.abort(), ANSWER_MS);
  const answer = await fetch(url, { signal: done.signal }).catch(() => null);
  clearTimeout(limit);
  done.abort();
  return answer?.status;
}

const sayLost = () => say(`Connection lost. What you see is ${age(heardAt)} old`);

function say(text) {
  const lost = document.getElementById("lost");
  lost.textContent = text;
  lost.hidden = false;
}

function tick() {
  if (failures > 1 && !ended && source.readyState !== EventSource.OPEN) sayLost();
  if (source.readyState !== EventSource.CLOSED && Date.now() - Math.max(askedAt, heardAt) > SILENT_MS) {
    failures = 2; // it stays said until somebody answers
    sayLost();
    connect();
  }
}

export function follow() {
  connect();
  setInterval(tick, 1000);
  let hide = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hide);
    if (document.hidden) hide = setTimeout(() => { clearTimeout(timer); source.close(); }, HIDDEN_MS);
    else if (source.readyState === EventSource.CLOSED) connect();
  });
}
