// Tests of the scripts of the pages, with what a browser gives them replaced.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const load = (name) => {
  const source = readFileSync(new URL(`../assets/${name}`, import.meta.url), "utf8");
  return import("data:text/javascript," + encodeURIComponent(source));
};
const { renew, circling, sharedKey, spend, run } = await load("renew.js");
const { addReveal, guard } = await load("form.js");

const answer = (status) => ({ status, ok: status >= 200 && status < 300 });

// A fetch that answers with these, one after the other, and notes what it was asked.
const scripted = (...answers) => {
  const asked = [];
  const fetch = async (path, options) => {
    asked.push({ path, ...options });
    const next = answers.shift();
    if (next instanceof Error) throw next;
    return answer(next);
  };
  return { fetch, asked };
};

const attempt = (fetch, more = {}) => renew({ fetch, refresh: "/auth/refresh", session: "/auth/session", key: "K1", ...more });

for (const [name, answers, want, calls] of [
  ["goes on when the session works", [200, 200], "renewed", 2],
  ["says that cookies are blocked when it does not", [200, 401], "blocked", 2],
  ["does not go on when the session cannot be checked", [200, 503], "failed", 2],
  ["does not go on when the check has no answer", [200, new TypeError("network")], "failed", 2],
  ["leads to sign in when the login is over", [401], "login", 1],
  ["waits when there are too many", [429], "busy", 1],
  ["waits when the service is busy", [503], "busy", 1],
  ["fails when the service is broken", [500], "failed", 1],
  ["fails when the request is refused", [403], "failed", 1],
  ["fails without a network", [new TypeError("network")], "failed", 1],
]) {
  test(`renew ${name}`, async () => {
    const { fetch, asked } = scripted(...answers);
    assert.equal(await attempt(fetch), want);
    assert.equal(asked.length, calls);
  });
}

test("renew asks as the server wants to be asked", async () => {
  const { fetch, asked } = scripted(200, 200);
  await attempt(fetch);
  const [refresh, session] = asked;
  assert.equal(refresh.path, "/auth/refresh");
  assert.equal(refresh.method, "POST");
  assert.deepEqual(refresh.headers, { "Idempotency-Key": "K1" });
  assert.equal(refresh.body, undefined);
  assert.equal(session.path, "/auth/session");
  assert.equal(session.method, "GET");
  for (const one of asked) {
    assert.equal(one.credentials, "same-origin");
    assert.equal(one.redirect, "error");
    assert.equal(one.cache, "no-store");
  }
});

test("renew gives up when no answer comes", async () => {
  const fetch = (_, { signal }) =>
    new Promise((_, reject) => {
      const alive = setTimeout(() => reject(new Error("was not given up")), 10000);
      signal.addEventListener("abort", () => {
        clearTimeout(alive);
        reject(signal.reason);
      });
    });
  assert.equal(await attempt(fetch, { timeout: 5 }), "failed");
});

class Storage {
  items = new Map();
  getItem(name) { return this.items.get(name) ?? null; }
  setItem(name, value) { this.items.set(name, value); }
}

test("circling is a second time for the same target within a moment", () => {
  const storage = new Storage();
  assert.equal(circling(storage, "/app", 100000), false);
  assert.equal(circling(storage, "/other", 101000), false);
  assert.equal(circling(storage, "/other", 102000), true);
  assert.equal(circling(storage, "/other", 113000), false);
  assert.equal(circling(storage, "/other", 50000), false, "the clock was put back");
  assert.equal(circling(null, "/app", 1), false, "no storage");
  storage.setItem("pawl-renewal", "{broken");
  assert.equal(circling(storage, "/app", 1), false, "somebody else's value");
});

const page = (fetch, storage = new Storage(), now = 100000, shared = new Storage()) => {
  const parts = ["idle", "working", "failed", "busy", "blocked"].map((when) => ({ dataset: { when }, hidden: when !== "idle" }));
  const fields = { return_to: { value: "/elsewhere" }, key: { value: "K1" } };
  const form = { elements: { namedItem: (name) => fields[name] } };
  const card = {
    dataset: { refresh: "/auth/refresh", session: "/auth/session", shared: "pawl:/auth", signin: "/auth/signin?return_to=%2Fapp", target: "/app?x=1" },
    querySelector: () => form,
    querySelectorAll: () => parts,
  };
  const went = [];
  return {
    went, fields,
    shown: () => parts.filter((p) => !p.hidden).map((p) => p.dataset.when),
    given: {
      document: { getElementById: (id) => (id === "renewal" ? card : null) },
      location: { replace: (to) => went.push(to) },
      fetch, storage, shared, random: () => "the key of the next one", now: () => now,
    },
  };
};

test("the page goes to its target and leaves no trace in the history", async () => {
  const p = page(scripted(200, 200).fetch);
  await run(p.given);
  assert.deepEqual(p.went, ["/app?x=1"]);
});

test("the page goes to sign in when the login is over", async () => {
  const p = page(scripted(401).fetch);
  await run(p.given);
  assert.deepEqual(p.went, ["/auth/signin?return_to=%2Fapp"]);
});

for (const [answers, state] of [[[503], "busy"], [[new TypeError("network")], "failed"], [[200, 401], "blocked"]]) {
  test(`the page stays and shows ${state}`, async () => {
    const p = page(scripted(...answers).fetch);
    await run(p.given);
    assert.deepEqual(p.went, []);
    assert.deepEqual(p.shown(), [state]);
  });
}

test("the page that is sent back here stops by itself", async () => {
  const storage = new Storage();
  await run(page(scripted(200, 200).fetch, storage).given);
  const second = scripted(200, 200);
  const p = page(second.fetch, storage, 101000);
  await run(p.given);
  assert.deepEqual(p.went, []);
  assert.equal(second.asked.length, 0);
  assert.deepEqual(p.shown(), ["idle"]);
});

test("a page that is loaded in advance does nothing until it is seen", async () => {
  const { fetch, asked } = scripted(200, 200);
  const p = page(fetch);
  let seen;
  Object.assign(p.given.document, { prerendering: true, addEventListener: (type, run) => type === "prerenderingchange" && (seen = run) });
  const done = run(p.given);
  await new Promise((later) => setTimeout(later, 5));
  assert.equal(asked.length, 0);
  seen();
  await done;
  assert.equal(asked.length, 2);
});

const theirs = "a-key-that-pawl.js-has-made";

test("the page renews with the key of the pages with pawl.js, and leaves them another", async () => {
  const shared = new Storage();
  shared.setItem("pawl:/auth", theirs);
  const { fetch, asked } = scripted(200, 200);
  await run(page(fetch, undefined, undefined, shared).given);
  assert.deepEqual(asked[0].headers, { "Idempotency-Key": theirs });
  assert.equal(shared.getItem("pawl:/auth"), "the key of the next one");
});

test("without an answer the key stays, for the button and for the other pages", async () => {
  for (const before of [theirs, null]) {
    const shared = new Storage();
    if (before) shared.setItem("pawl:/auth", before);
    const p = page(scripted(503).fetch, undefined, undefined, shared);
    await run(p.given);
    assert.equal(p.fields.key.value, before ?? "K1");
    assert.equal(shared.getItem("pawl:/auth"), before ?? "K1");
  }
});

test("what is no key, or refused storage, costs nothing", () => {
  const shared = new Storage();
  const refused = { getItem() { throw new Error("refused"); }, setItem() { throw new Error("refused"); } };
  for (const none of [null, undefined, refused]) {
    assert.equal(sharedKey(none, "n", "own"), "own");
    spend(none, "n", "own", "next");
  }
  for (const planted of ["", "short", "x".repeat(300), "sixteen signs, \n and one is none", "sixteen signs, and \u00e9"]) {
    shared.setItem("n", planted);
    assert.equal(sharedKey(shared, "n", "own"), "own");
  }
  shared.setItem("n", "out:a session that was signed out");
  assert.equal(sharedKey(shared, "n", "own"), "own");
  spend(shared, "n", "own", "next");
  assert.equal(shared.getItem("n"), "out:a session that was signed out");
});

class Thing extends EventTarget {
  attributes = new Map();
  setAttribute(name, value) { this.attributes.set(name, value); }
  removeAttribute(name) { this.attributes.delete(name); }
  focus() { this.focused = true; }
}

test("a password is shown on demand and hidden before it is sent", () => {
  const form = new Thing();
  const input = Object.assign(new Thing(), { id: "password", type: "password", form });
  const added = [];
  const box = { dataset: { show: "Show", hide: "Hide", showLabel: "Show password", hideLabel: "Hide password" }, querySelector: () => input, append: (x) => added.push(x) };
  addReveal(box, { createElement: () => new Thing() });
  const [button] = added;
  assert.equal(button.type, "button");
  assert.equal(button.textContent, "Show");
  button.dispatchEvent(new Event("click"));
  assert.equal(input.type, "text");
  assert.equal(button.textContent, "Hide");
  assert.equal(button.attributes.get("aria-label"), "Hide password");
  assert.ok(input.focused);
  form.dispatchEvent(new Event("submit"));
  assert.equal(input.type, "password");
});

test("a form is sent once, until the page is shown again", () => {
  const button = new Thing();
  const form = Object.assign(new Thing(), { querySelectorAll: () => [button] });
  const timers = [];
  const window = Object.assign(new Thing(), { setTimeout: (f, after) => timers.push({ f, after }) });
  guard(form, window);
  const submit = () => {
    const event = new Event("submit", { cancelable: true });
    form.dispatchEvent(event);
    return !event.defaultPrevented;
  };
  assert.ok(submit());
  assert.equal(button.attributes.get("aria-disabled"), "true");
  assert.ok(!submit());
  window.dispatchEvent(new Event("pageshow"));
  assert.ok(!button.attributes.has("aria-disabled"));
  assert.ok(submit());
  // An answer that leads nowhere: a file to keep, or what a policy forbids.
  assert.equal(timers.length, 2);
  assert.ok(timers[1].after >= 5000);
  timers[1].f();
  assert.ok(!button.attributes.has("aria-disabled"));
  assert.ok(submit());
});
