// Shows what a job would come to while its form is filled in.
import { morph } from "./morph.js";
import { writeTimes } from "./times.js";

const WAIT_MS = 400;

export function begin() {
  const form = document.querySelector("[data-new]");
  let typed = 0, timer = 0;

  async function rehearse() {
    const mine = typed;
    const answer = await fetch("/new/form", { method: "POST", body: new URLSearchParams(new FormData(form)) }).catch(() => null);
    if (!answer?.ok) return;
    const html = await answer.text();
    if (mine !== typed) return; // it is about what no longer stands there
    const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("form");
    writeTimes(fresh);
    morph(form, document.adoptNode(fresh));
  }

  form.addEventListener("input", () => {
    typed++;
    clearTimeout(timer);
    timer = setTimeout(rehearse, WAIT_MS);
  });
  // A refusal stays in sight until something is typed: what was refused may pass when it is only tried.
  const refused = form.querySelector("#answer .alert");
  if (!refused && (form.elements.architecture.value || form.elements.like)) rehearse();
}
