// What a page needs to be alive; without it all is there, as it was when the page was asked for.
import { follow } from "./live.js";
import { writeTimes } from "./times.js";
import { listenToKeys } from "./keys.js";

writeTimes(document);
setInterval(() => writeTimes(document), 1000);
listenToKeys();
document.addEventListener("submit", (event) => { // a double click sends a form twice, and what answers the first is not seen
  const form = event.target.closest("[data-once]");
  if (form?.dataset.sent) event.preventDefault();
  else if (form) form.dataset.sent = "yes";
});
addEventListener("pageshow", () => document.querySelectorAll("[data-sent]").forEach((form) => delete form.dataset.sent));
if (document.querySelector("[data-digest]")) addEventListener("load", follow); // what the page needs comes first
const MODULES = {
  "[data-curves]": "./charts.js",
  "[data-log]": "./log.js",
  "[data-checked]": "./jobs.js",
  "[data-compare]": "./compare.js",
  "[data-new]": "./new.js",
  "[data-upload]": "./upload.js",
};
for (const [mark, module] of Object.entries(MODULES)) {
  if (document.querySelector(mark)) import(module).then(({ begin }) => begin());
}
