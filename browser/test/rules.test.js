import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff, plan, refused, repeatable } from "../model/subject.js";
import { generator } from "../model/world.js";

const random = generator(7);

test("a renewal is due between 60 % and 90 % of the access life, and never before refresh_in", () => {
  for (let i = 0; i < 20000; i++) {
    const ttl = 120 + Math.floor(random() * 780);
    const issued = Math.floor(ttl * (1 - random() / 20));
    const in_ = Math.max(90, Math.floor(ttl * 0.6));
    const now = random() * 1e9;
    const p = plan({ refresh_in: in_, access_expires_in: issued }, now, random());
    assert(p.refreshAt >= now + in_ * 1e3 && p.dueAt >= p.refreshAt);
    if (in_ > 90) assert(p.dueAt <= now + 0.9 * issued * 1e3 + 1e3, `${ttl} ${issued} ${(p.dueAt - now) / issued}`);
    if (in_ + 1 < issued) assert(p.dueAt <= p.expiresAt);
  }
});

test("a document that is read again keeps the moment of the same token, and a new token gets another", () => {
  for (let i = 0; i < 20000; i++) {
    const first = plan({ refresh_in: 180, access_expires_in: 290 }, 0, random());
    const age = Math.floor(random() * 290);
    const again = plan({ refresh_in: Math.max(0, 180 - age), access_expires_in: 290 - age }, age * 1e3, random(), first);
    if (first.dueAt >= again.refreshAt) assert.equal(again.dueAt, first.dueAt);
    assert(again.dueAt >= again.refreshAt && again.dueAt <= Math.max(again.expiresAt, again.refreshAt));
    const fresh = plan({ refresh_in: 180, access_expires_in: 290 }, 200e3, random(), first);
    assert(fresh.dueAt >= 380e3);
  }
});

test("waiting grows, is spread, is bounded, and is never less than Retry-After", () => {
  for (let n = 0; n < 2000; n++) {
    const wait = backoff(n, random(), NaN);
    assert(wait >= Math.min(64, 2 ** n) * 1e3 && wait < 97e3);
    for (const after of [1, 30, 3600]) assert(backoff(n, random(), after) >= after * 1e3);
  }
  assert.notEqual(backoff(3, 0.1), backoff(3, 0.9));
  for (const nonsense of [-5, NaN, undefined]) assert.equal(backoff(0, 0, nonsense), 1e3);
});

test("only a definite login_required ends a session", () => {
  for (let status = 0; status < 600; status++)
    for (const code of [undefined, "login_required", "login_failed", "recent_login_required", "too_many_renewals"])
      assert.equal(refused({ status, body: { code } }), status === 401 && code === "login_required");
});

test("a request is repeatable only if its body can be sent again", () => {
  const url = "https://app.example/x";
  const stream = () => new ReadableStream();
  for (const [what, input, init, want] of [
    ["no body", url, undefined, true],
    ["URL", new URL(url), {}, true],
    ["null", url, { method: "POST", body: null }, true],
    ["string", url, { method: "POST", body: "a=1" }, true],
    ["empty string", url, { method: "POST", body: "" }, true],
    ["form", url, { method: "POST", body: new FormData() }, true],
    ["parameters", url, { method: "POST", body: new URLSearchParams("a=1") }, true],
    ["blob", url, { method: "POST", body: new Blob(["a"]) }, true],
    ["buffer", url, { method: "POST", body: new ArrayBuffer(2) }, true],
    ["view", url, { method: "POST", body: new Uint8Array(2) }, true],
    ["stream", url, { method: "POST", body: stream() }, false],
    ["generator", url, { method: "POST", body: (async function* () {})() }, false],
    ["Request", new Request(url), undefined, true],
    ["Request that posts nothing", new Request(url, { method: "POST" }), undefined, true],
    ["Request with a body", new Request(url, { method: "POST", body: "a" }), undefined, false],
    ["Request with a body of its own, replaced", new Request(url, { method: "POST", body: "a" }), { body: "b" }, true],
    ["Request where no body can be seen (Firefox)", { url, method: "POST", body: undefined }, undefined, false],
    ["reading Request where no body can be seen", { url, method: "GET", body: undefined }, undefined, true],
  ])
    assert.equal(repeatable(input, init), want, what);
});
