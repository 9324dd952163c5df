// Loads uPlot, which is no module.

export function loadPlot() {
  if (window.uPlot) return Promise.resolve();
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    Object.assign(script, { src: new URL("./vendor/uPlot.iife.min.js", import.meta.url), onload: done, onerror: failed });
    document.head.append(script);
  });
}
