// A tar of a folder that was chosen in a page; its files are read when the tar is.
const BLOCK = 512, MOST = 8 ** 11;
const encoder = new TextEncoder();

export function makeTar(files) {
  const pathOf = (file) => file.webkitRelativePath.split("/").slice(1).join("/");
  const sorted = [...files].map((file) => [pathOf(file), file]).sort(([a], [b]) => (a < b ? -1 : 1));
  return new Blob([...sorted.flatMap(([path, file]) => [...nameIt(path, file.size), file, fill(file.size)]), new Uint8Array(2 * BLOCK)]);
}

function nameIt(path, size) {
  const name = encoder.encode(path);
  if (size >= MOST) throw new Error(`${path} is too large for a tar`);
  if (name.length <= 100) return [head(name, size, "0")];
  return [head(encoder.encode("././@LongLink"), name.length + 1, "L"), name, new Uint8Array(1), fill(name.length + 1), head(name.subarray(0, 100), size, "0")];
}

function head(name, size, kind) {
  const block = new Uint8Array(BLOCK);
  const write = (at, text) => block.set(encoder.encode(text), at);
  block.set(name);
  write(100, "0000644\0" + "0000000\0" + "0000000\0" + size.toString(8).padStart(11, "0") + "\0" + "00000000000\0" + " ".repeat(8) + kind);
  write(257, "ustar  \0");
  write(148, block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0") + "\0");
  return block;
}

const fill = (size) => new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
