// SHA-256 of what comes in blocks: crypto.subtle takes only a whole, and is not there without TLS.
const K = new Uint32Array(64), START = new Uint32Array(8);
for (let n = 2, i = 0; i < 64; n++) {
  let prime = true;
  for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false;
  if (!prime) continue;
  if (i < 8) START[i] = (Math.sqrt(n) % 1) * 2 ** 32;
  K[i++] = (Math.cbrt(n) % 1) * 2 ** 32;
}

export class Sha256 {
  state = Uint32Array.from(START);
  rest = new Uint8Array(64);
  words = new Uint32Array(64);
  bytes = 0;

  add(block) {
    for (let at = 0; at < block.length;) {
      const filled = this.bytes % 64, size = Math.min(64 - filled, block.length - at);
      if (size === 64) this.mix(block, at);
      else {
        this.rest.set(block.subarray(at, at + size), filled);
        if (filled + size === 64) this.mix(this.rest, 0);
      }
      this.bytes += size;
      at += size;
    }
  }

  mix(block, at) {
    const w = this.words, view = new DataView(block.buffer, block.byteOffset + at, 64);
    for (let i = 0; i < 16; i++) w[i] = view.getUint32(4 * i);
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15], y = w[i - 2];
      w[i] = w[i - 16] + w[i - 7] + ((x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3) + ((y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10);
    }
    let [a, b, c, d, e, f, g, h] = this.state;
    for (let i = 0; i < 64; i++) {
      const one = h + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) + (e & f ^ ~e & g) + K[i] + w[i] | 0;
      const two = ((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) + (a & b ^ a & c ^ b & c) | 0;
      h = g; g = f; f = e; e = d + one | 0; d = c; c = b; b = a; a = one + two | 0;
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => { this.state[i] += word; });
  }

  hex() {
    const bits = this.bytes * 8, end = new Uint8Array((this.bytes % 64 < 56 ? 64 : 128) - this.bytes % 64);
    end[0] = 128;
    const view = new DataView(end.buffer);
    view.setUint32(end.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(end.length - 4, bits % 2 ** 32);
    this.add(end);
    return [...this.state].map((word) => word.toString(16).padStart(8, "0")).join("");
  }
}
