// One box checks all jobs of the page.

export function begin() {
  document.addEventListener("change", ({ target }) => {
    if (!target.matches("[data-all]")) return;
    for (const box of document.querySelectorAll("tbody [name=job]")) box.checked = target.checked;
  });
}
