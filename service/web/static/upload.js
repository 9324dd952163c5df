// Uploads a dataset in pieces, and goes on where an earlier try ended.
import { Sha256 } from "./sha256.js";
import { makeTar } from "./tar.js";

const PIECE = 4 * 1024 * 1024, RETRY_MS = [500, 1000, 2000, 4000, 8000, 16000];
const TYPES = { ".npz": "npz", ".tar": "folder" };
const megabytes = (bytes) => (bytes / 1e6).toLocaleString("en", { maximumFractionDigits: bytes < 1e7 ? 1 : 0 });

class Refused extends Error {
  constructor(problem, status) {
    super(problem.detail);
    this.status = status;
  }
}

async function once(method, path, body) {
  const answer = await fetch(`/api/v1/${path}`, { method, body });
  const said = answer.status === 204 ? null : await answer.json().catch(() => ({ detail: `The service answered ${answer.status}` }));
  if (!answer.ok) throw new Refused(said, answer.status);
  return said;
}

// Again where the connection was lost: all of these may come twice.
async function ask(...request) {
  for (let tries = 0; ; tries++) {
    try {
      return await once(...request);
    } catch (error) {
      const lost = !(error instanceof Refused) || error.status >= 500 || error.status === 429;
      if (!lost || tries === RETRY_MS.length) throw error;
      await new Promise((done) => setTimeout(done, RETRY_MS[tries]));
    }
  }
}

async function measure(blob, report) {
  const digest = new Sha256();
  for (let at = 0; at < blob.size; at += PIECE) {
    digest.add(new Uint8Array(await blob.slice(at, at + PIECE).arrayBuffer()));
    report("Reading", Math.min(at + PIECE, blob.size), blob.size);
  }
  return digest.hex();
}

async function upload(name, description, kind, blob, report) {
  const digest = await measure(blob, report);
  const { upload: number, received_bytes: received } = await ask("POST", "uploads", JSON.stringify({ name, kind, description, total_bytes: blob.size, digest }));
  for (let at = received; at < blob.size; at += PIECE) {
    report("Sending", at, blob.size);
    await ask("PUT", `uploads/${number}/pieces?offset=${at}`, blob.slice(at, at + PIECE));
  }
  report("Checking", blob.size, blob.size);
  try {
    await ask("POST", `uploads/${number}/finish`);
  } catch (error) {
    if (error.status !== 404) throw error; // it is finished, and the answer was lost
    await ask("GET", `datasets/${encodeURIComponent(name)}`);
  }
}

function choose(form, folder) {
  if (folder.files.length) return ["folder", makeTar(folder.files)];
  const [file] = form.elements.file.files, ending = Object.keys(TYPES).find((one) => file?.name.toLowerCase().endsWith(one));
  if (!ending) throw new Error("Choose an .npz file, an uncompressed .tar, or a folder");
  return [TYPES[ending], file];
}

export function begin() {
  const form = document.querySelector("[data-upload]");
  const folder = form.querySelector("[data-folder]"), bar = form.querySelector("progress"), said = form.querySelector("output"), button = form.querySelector("button");
  folder.closest("label").hidden = false;
  const report = (act, done, all) => { bar.value = done / all; said.textContent = `${act} ${megabytes(done)} of ${megabytes(all)} MB`; };
  folder.addEventListener("change", () => { form.elements.file.required = !folder.files.length; });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = !(bar.hidden = false);
    said.className = "";
    const name = form.elements.name.value.trim();
    try {
      await upload(name, form.elements.description.value.trim(), ...choose(form, folder), report);
      location.assign(`/datasets/${encodeURIComponent(name)}`);
    } catch (error) {
      said.className = "bad";
      said.textContent = error instanceof TypeError ? "The connection is lost. Add it again: it goes on where it ended" : error.message;
      button.disabled = !(bar.hidden = true);
    }
  });
}
