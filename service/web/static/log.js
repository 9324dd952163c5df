// Keeps the end of the log in sight while it grows, and finds words in it as one types.

export function begin() {
  const part = document.getElementById("part-log"), field = document.querySelector("[data-log] input");
  const log = () => part.querySelector(".log");
  let atEnd = true;
  const keep = () => { if (atEnd) log().scrollTop = log().scrollHeight; };
  part.addEventListener("scroll", () => { const box = log(); atEnd = box.scrollTop + box.clientHeight > box.scrollHeight - 20; }, true);
  part.addEventListener("part", () => { keep(); mark(); });
  field.addEventListener("input", mark);
  keep();

  function mark() {
    CSS.highlights?.delete("found");
    const words = field.value.toLowerCase();
    if (!words || !CSS.highlights) return;
    const found = new Highlight();
    const walker = document.createTreeWalker(log(), NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const text = node.data.toLowerCase();
      for (let at = text.indexOf(words); at >= 0; at = text.indexOf(words, at + words.length)) {
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, at + words.length);
        found.add(range);
      }
    }
    CSS.highlights.set("found", found);
  }
}
