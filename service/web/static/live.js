// Keeps the parts of a page up to date by one stream, and says so when it is lost.
import { morph } from "./morph.js";
import { age, writeTimes } from "./times.js";

const HIDDEN_MS = 5000; // after which a page that nobody sees gives its connection back: a browser has few
const RETRY_MS = [500, 1000, 2000, 4000, 8000];
let source = null, heardAt = Date.now(), failures = 0, timer = 0;

const here = () => location.pathname + location.search;
const parts = () => [...document.querySelectorAll("[data-digest]")];
const nameOf = (part) => part.id.slice("part-".length);

function connect() {
  clearTimeout(timer);
  source?.close();
  const have = parts().map((part) => `${nameOf(part)}:${part.dataset.digest}`).join(",");
  source = new EventSource(`/live?${new URLSearchParams({ page: here(), have })}`);
  source.addEventListener("hello", (event) => {
    const mine = document.body.dataset.static.split("/").pop();
    if (JSON.parse(event.data).static !== mine) location.reload(); // the service was upgraded
    failures = 0;
    heardAt = Date.now();
    document.getElementById("lost").hidden = true;
    document.documentElement.dataset.live = "yes";
  });
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
  source.close();
  delete document.documentElement.dataset.live;
  timer = setTimeout(connect, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
  if (failures > 1) say(`Connection lost. What you see is ${age(heardAt)} old`);
  const answer = await fetch(here(), { method: "GET", headers: { Range: "bytes=0-0" } }).catch(() => null);
  if (answer?.status === 401) {
    clearTimeout(timer);
    say("Your session has ended. Load the page again to sign in");
  }
}

function say(text) {
  const lost = document.getElementById("lost");
  lost.textContent = text;
  lost.hidden = false;
}

export function follow() {
  connect();
  setInterval(() => { if (!document.getElementById("lost").hidden && failures > 1) say(`Connection lost. What you see is ${age(heardAt)} old`); }, 1000);
  let hide = 0;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hide);
    if (document.hidden) hide = setTimeout(() => { clearTimeout(timer); source.close(); }, HIDDEN_MS);
    else if (source.readyState === EventSource.CLOSED) connect();
  });
}
