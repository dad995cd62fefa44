// Refresh tokens as ../vectors/README.md has them: for the model of the server,
// so that its cookies are what a real one sets.
import { createHmac, timingSafeEqual } from "node:crypto";

const PREFIX = "pawl_rt_";
const OUTER = 8;
const INNER = 16;

const mac = (key, ...parts) => {
  const h = createHmac("sha256", key);
  for (const part of parts) h.update(part);
  return h.digest();
};

/** Decodes strict, unpadded base64url; undefined if it is not canonical. */
export function decode(text) {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}

const uvarint = (n) => {
  const out = [];
  for (; n > 127; n = Math.floor(n / 128)) out.push((n % 128) | 128);
  return Buffer.from([...out, n]);
};

export class Codec {
  constructor({ keyID, outerKey, innerKey }) {
    Object.assign(this, { keyID, outerKey, innerKey });
  }

  inner(salt, body) {
    return mac(mac(salt, this.innerKey), body).subarray(0, INNER);
  }

  outer(body, inner) {
    return mac(this.outerKey, body, inner).subarray(0, OUTER);
  }

  seal(session, generation, salt) {
    const body = Buffer.concat([Buffer.from([1]), this.keyID, session, uvarint(generation)]);
    const inner = this.inner(salt, body);
    return PREFIX + Buffer.concat([body, this.outer(body, inner), inner]).toString("base64url");
  }

  /** What a token says, if its form and its outer tag are good. */
  open(text) {
    const bytes = text.startsWith(PREFIX) ? decode(text.slice(PREFIX.length)) : undefined;
    if (!bytes || bytes[0] !== 1 || bytes.length < 22 + OUTER + INNER || !bytes.subarray(1, 5).equals(this.keyID)) return undefined;
    const number = bytes.subarray(21, bytes.length - OUTER - INNER);
    let generation = 0;
    for (const [i, b] of number.entries()) generation += (b & 127) * 128 ** i;
    if (generation < 1 || generation >= 2 ** 32 || !uvarint(generation).equals(number)) return undefined;
    const body = bytes.subarray(0, 21 + number.length);
    const inner = bytes.subarray(bytes.length - INNER);
    const outer = bytes.subarray(body.length, body.length + OUTER);
    if (!timingSafeEqual(this.outer(body, inner), outer)) return undefined;
    return { session: bytes.subarray(5, 21).toString("base64url"), generation, genuine: (salt) => timingSafeEqual(this.inner(salt, body), inner) };
  }
}
