// Makes one tree equal to another and leaves alone what is equal: nothing jumps, focus and open details stay.

const keyOf = (node) => node.nodeType === Node.ELEMENT_NODE && node.id;

export function morph(from, to) {
  writeAttributes(from, to);
  if (from.hasAttribute("data-own")) return; // its inside is made by a script
  const byKey = new Map([...from.children].filter(keyOf).map((child) => [child.id, child]));
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const kept = keyOf(wanted) ? byKey.get(wanted.id) : isAlike(at, wanted) ? at : null;
    if (!kept) {
      from.insertBefore(wanted, at);
      continue;
    }
    if (kept === at) at = at.nextSibling;
    else from.insertBefore(kept, at);
    if (kept.nodeType === Node.ELEMENT_NODE) morph(kept, wanted);
    else if (kept.data !== wanted.data) kept.data = wanted.data;
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function isAlike(node, wanted) {
  return node && node.nodeType === wanted.nodeType && node.nodeName === wanted.nodeName && !keyOf(node);
}

function writeAttributes(from, to) {
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !(name === "open" && from.nodeName === "DETAILS")) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
}
