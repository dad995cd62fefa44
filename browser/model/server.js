// A server as small as can be that keeps the rules of the ratchet: the cases of
// session.decide that one honest browser, or one that is robbed, can come to.
import { randomBytes } from "node:crypto";
import { Codec } from "./codec.js";

export const policy = { life: 300, turn: 75, settle: 75, race: 10, refreshIn: 180, lateRepeats: 4 };

const problem = (status, code, headers = {}) => ({
  status,
  headers: { "Content-Type": "application/problem+json", ...headers },
  body: { type: "about:blank", title: "-", status, code, detail: code },
});

export class Server {
  rows = new Map();
  log = []; // "METHOD /path STATUS" of every decision
  rotations = 0;
  late = 0;
  reasons = [];
  trouble = undefined; // answers instead of the server, if it returns something
  codec = new Codec({ keyID: randomBytes(4), outerKey: randomBytes(32), innerKey: randomBytes(32) });

  /** seconds() is the store's clock. */
  constructor(seconds, random) {
    this.seconds = seconds;
    this.random = random;
  }

  start(user = "u_ada") {
    const id = randomBytes(16);
    const row = { id: id.toString("base64url"), raw: id, salt: randomBytes(16), user, gen: 1, rotatedAt: this.seconds(), confirmedAt: null, prior: null, bits: 0, key: null, ended: "" };
    this.rows.set(row.id, row);
    return this.#issue(row);
  }

  /** The cookies, as the jar has them, and the document. */
  #issue(row) {
    const now = this.seconds();
    const life = policy.life * (1 - this.random() / 20);
    const access = { sid: row.id, gen: row.gen, iat: now, exp: now + life };
    return { cookies: { access, refresh: this.codec.seal(row.raw, row.gen, row.salt) }, body: this.#document(row, access) };
  }

  #document(row, access) {
    const now = this.seconds();
    const whole = (s) => Math.floor(Math.max(0, s));
    return {
      user: { id: row.user, username: row.user.slice(2) },
      session: { id: row.id, created_at: "2026-01-01T00:00:00Z", expires_at: "2026-03-01T00:00:00Z", idle_expires_at: "2026-01-15T00:00:00Z", transport: "cookie", binding: "none" },
      access_expires_in: whole(access.exp - now),
      refresh_in: whole(access.iat + policy.refreshIn - now),
      csrf_token: ("csrf-" + row.id).padEnd(64, "-"),
    };
  }

  #holder({ access }) {
    const row = access && this.rows.get(access.sid);
    if (!row || row.ended || this.seconds() >= access.exp) return undefined;
    if (access.gen === row.gen && !row.confirmedAt && this.seconds() - access.iat >= policy.settle) row.confirmedAt = this.seconds();
    return row;
  }

  handle(method, path, headers, jar) {
    const answer = this.trouble?.(method, path, jar) ?? this.#serve(method, path, headers, jar);
    this.log.push(`${method} ${path} ${answer.status}`);
    return answer;
  }

  #serve(method, path, headers, jar) {
    switch (`${method} ${path}`) {
      case "POST /auth/refresh":
        return this.#refresh(jar, headers.get("Idempotency-Key"));
      case "POST /auth/logout": {
        const held = jar.refresh && this.codec.open(jar.refresh);
        const row = held && this.rows.get(held.session);
        if (row && !row.ended) row.ended = "sign_out";
        return { status: 204, headers: {}, cookies: { access: undefined, refresh: undefined } };
      }
    }
    const row = this.#holder(jar);
    if (path === "/open") return { status: 200, headers: {}, body: { user: row?.user ?? null } };
    if (!row) return problem(401, "login_required");
    if (path === "/auth/session") return { status: 200, headers: {}, body: this.#document(row, jar.access) };
    if (path === "/auth/sessions") return { status: 200, headers: {}, body: { sessions: [{ id: row.id, current: true }] } };
    return { status: 200, headers: {}, body: { user: row.user, csrf: headers.get("X-Pawl-CSRF") } };
  }

  #refresh(jar, key) {
    const held = jar.refresh && this.codec.open(jar.refresh);
    const row = held && this.rows.get(held.session);
    const refuse = (reason) => {
      this.reasons.push(reason);
      return problem(401, "login_required");
    };
    const end = (reason) => {
      row.ended = reason;
      return refuse(reason);
    };
    if (!row) return refuse("unknown");
    if (row.ended) return refuse("ended");
    if (!held.genuine(row.salt)) return refuse("forged");
    if (jar.access?.sid !== row.id) return refuse("witness");
    const now = this.seconds();
    const since = (t) => (t === null ? Infinity : now - t);
    const g = held.generation;
    if (g > row.gen) return end("store_behind");
    if (g === row.gen) {
      if (since(row.rotatedAt) >= policy.turn) {
        this.rotations++;
        Object.assign(row, { gen: g + 1, prior: row.confirmedAt ?? now, confirmedAt: null, rotatedAt: now, key, bits: (row.bits << 1) & 255 });
      }
      return { status: 200, headers: {}, ...this.#issue(row) };
    }
    const forgiven = (g === row.gen - 1 && (row.confirmedAt === null || since(row.confirmedAt) < policy.race)) || (g === row.gen - 2 && since(row.prior) < policy.race);
    if (!forgiven) return end("reuse");
    const same = key || row.key ? key === row.key : since(row.rotatedAt) < policy.race;
    if (!same) {
      this.late++;
      row.bits |= 1;
      if (row.bits.toString(2).replaceAll("0", "").length >= policy.lateRepeats) return end("shadow");
    }
    return { status: 200, headers: {}, ...this.#issue(row) };
  }
}
