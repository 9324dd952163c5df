// `/` searches, `j` and `k` go through rows, Enter opens one, `?` says so.

const HELP = "/ search · j k rows · Enter open · g n Now · g j Jobs";

function step(by) {
  const rows = [...document.querySelectorAll("tbody tr")].filter((row) => row.offsetParent);
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.classList.contains("here"));
  rows[at]?.classList.remove("here");
  const row = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
  row.classList.add("here");
  row.scrollIntoView({ block: "nearest" });
}

let before = "";

export function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
    const acts = {
      "/": () => document.querySelector(".search input")?.focus(),
      j: () => (before === "g" ? location.assign("/jobs") : step(1)),
      k: () => step(-1),
      n: () => before === "g" && location.assign("/"),
      Enter: () => event.target === document.body && document.querySelector("tr.here a")?.click(),
      "?": showHelp,
    };
    if (acts[event.key]) {
      if (event.key !== "Enter") event.preventDefault();
      acts[event.key]();
    }
    before = event.key;
  });
}

function showHelp() {
  const found = document.getElementById("keys");
  if (found) return found.remove();
  const help = document.createElement("p");
  help.id = "keys";
  help.className = "alert";
  help.setAttribute("role", "status");
  help.textContent = HELP;
  document.getElementById("main").prepend(help);
}
