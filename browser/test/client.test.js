import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { createPawl } from "../model/subject.js";
import { ORIGIN, World } from "../model/world.js";

/** A world with a signed-in user and one tab that knows it. */
async function started(options, seed) {
  const world = new World(seed);
  world.signIn("u_ada");
  const tab = world.tab(options);
  const pawl = tab.open(createPawl);
  const session = await world.wait(pawl.session());
  return { world, tab, pawl, session };
}

const count = (world, line) => world.server.log.filter((l) => l.startsWith(line)).length;
const refreshes = (world) => count(world, "POST /auth/refresh");

/** Use, now and then, of a page that somebody reads. */
async function reading(world, tab, seconds) {
  for (let s = 0; s < seconds; s += 20) {
    tab.do();
    await world.run(20);
  }
}

test("session tells who is signed in, and null if nobody is", async () => {
  const { session, tab } = await started();
  assert.equal(session.user.username, "ada");
  assert.deepEqual(tab.types(), ["signed-in"]);
  const world = new World();
  const other = world.tab();
  assert.equal(await world.wait(other.open(createPawl).session()), null);
  assert.deepEqual(other.types(), []);
});

test("nothing is asked before it is used", async () => {
  const world = new World();
  world.signIn();
  const tab = world.tab();
  tab.open(createPawl);
  await world.run(1000);
  assert.deepEqual(world.sent, []);
});

test("who is active is renewed between 60 % and 90 % of the access life, once", async () => {
  const moments = new Set();
  for (let seed = 1; seed <= 30; seed++) {
    const { world, tab } = await started({}, seed);
    await reading(world, tab, 280);
    const sent = world.sent.filter((r) => r.path === "/auth/refresh");
    assert.equal(sent.length, 1);
    assert(sent[0].at >= 180e3 && sent[0].at <= 272e3, `${sent[0].at}`);
    moments.add(Math.round(sent[0].at / 5e3));
    assert.deepEqual(tab.types(), ["signed-in", "renewed"]);
    assert.deepEqual(world.early, []);
  }
  assert(moments.size > 8, "the moment is not random");
});

test("who does nothing is not renewed; the next deed renews", async () => {
  const { world, tab } = await started();
  await world.run(2000);
  assert.equal(refreshes(world), 0);
  tab.do("keydown");
  await world.run(1);
  assert.equal(refreshes(world), 1);
  await world.run(2000);
  assert.equal(refreshes(world), 1);
});

test("an hour of use is renewed again and again, never too early, and with a new key each time", async () => {
  const { world, tab } = await started();
  await reading(world, tab, 3600);
  const keys = world.sent.filter((r) => r.path === "/auth/refresh").map((r) => r.headers.get("Idempotency-Key"));
  assert(keys.length >= 12 && keys.length <= 20, `${keys.length}`);
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(world.server.rotations, keys.length);
  assert.deepEqual(world.early, []);
  assert.equal(world.server.late, 0);
});

test("the session document is asked for once after each renewal, a second after settle", async () => {
  const { world, tab } = await started();
  await reading(world, tab, 280);
  const renewed = world.sent.find((r) => r.path === "/auth/refresh").at;
  await world.run(150);
  const asked = world.sent.filter((r) => r.path === "/auth/session" && r.at > renewed);
  assert.equal(asked.length, 1);
  assert(asked[0].at >= renewed + 76e3 && asked[0].at < renewed + 77e3);
  const [row] = world.server.rows.values();
  assert(row.confirmedAt !== null);
});

test("requests that wait share one renewal, and go out after it", async () => {
  const { world, pawl, tab } = await started();
  await world.run(400);
  const answers = await world.wait(Promise.all(Array.from({ length: 8 }, (_, i) => pawl.fetch("/app/" + i))));
  assert(answers.every((a) => a.status === 200));
  assert.equal(refreshes(world), 1);
  assert.equal(count(world, "GET /app"), 8);
  assert.deepEqual(tab.types(), ["signed-in", "renewed"]);
});

test("a 401 that was not foreseen is renewed after, and the request repeated once", async () => {
  const { world, tab, pawl } = await started();
  tab.sleep(600, { standing: true }); // the clock did not notice
  await world.run(600);
  const answer = await world.wait(pawl.fetch("/app/x", { method: "POST", body: "a=1" }));
  assert.equal(answer.status, 200);
  assert.equal(count(world, "POST /app/x"), 2);
  assert.equal(refreshes(world), 1);
});

test("an application that says 401 whatever comes is asked twice at most, and costs no renewal of a good session", async () => {
  const { world, pawl } = await started();
  world.server.trouble = (_, path) => (path === "/app/x" ? { status: 401, headers: {}, text: "no" } : undefined);
  assert.equal((await world.wait(pawl.fetch("/app/x"))).status, 401);
  assert.equal(count(world, "GET /app/x"), 1);
  assert.equal(refreshes(world), 0);
  await world.run(400);
  assert.equal((await world.wait(pawl.fetch("/app/x"))).status, 401);
  assert.equal(refreshes(world), 1);
  assert(count(world, "GET /app/x") <= 3);
});

test("a 401 for another reason than the session is the page's, untouched", async () => {
  const { world, pawl, tab } = await started();
  world.server.trouble = (_, path) => (path === "/app/x" ? { status: 401, headers: {}, body: { code: "recent_login_required" } } : undefined);
  const before = world.sent.length;
  const answer = await world.wait(pawl.fetch("/app/x"));
  assert.equal((await answer.json()).code, "recent_login_required");
  assert.equal(world.sent.length, before + 1);
  assert.deepEqual(tab.types(), ["signed-in"]);
});

test("what cannot be sent twice is not: the session is renewed, and the 401 is the answer", async () => {
  const { world, tab, pawl } = await started();
  tab.sleep(600, { standing: true });
  await world.run(600);
  const body = new ReadableStream({ start: (c) => c.close() });
  assert.equal((await world.wait(pawl.fetch("/app/x", { method: "POST", body, duplex: "half" }))).status, 401);
  assert.equal(count(world, "POST /app/x"), 1);
  assert.equal((await world.wait(pawl.fetch("/app/x", { method: "POST", body: "again" }))).status, 200);
  assert.equal(refreshes(world), 1);
});

test("the CSRF token goes with unsafe requests to our own origin, and nowhere else", async () => {
  const { world, pawl, session } = await started();
  const header = () => world.sent.at(-1).headers.get("X-Pawl-CSRF");
  for (const method of ["POST", "put", "PATCH", "DELETE"]) {
    await world.wait(pawl.fetch("/app/x", { method, headers: { "X-Mine": "1" } }));
    assert.equal(header(), session.csrf_token, method);
    assert.equal(world.sent.at(-1).headers.get("X-Mine"), "1");
  }
  await world.wait(pawl.fetch(new Request(ORIGIN + "/app/x", { method: "POST", headers: { "X-Mine": "2" } })));
  assert.equal(header(), session.csrf_token);
  assert.equal(world.sent.at(-1).headers.get("X-Mine"), "2");
  await world.wait(pawl.fetch(new URL(ORIGIN + "/app/x"), { method: "POST" }));
  assert.equal(header(), session.csrf_token);
  for (const [input, init] of [
    ["/app/x", {}],
    ["/app/x", { method: "HEAD" }],
    ["https://stranger.example/x", { method: "POST" }],
    ["//stranger.example/x", { method: "POST" }],
    ["http://app.example/x", { method: "POST" }],
    ["https://app.example:8443/x", { method: "POST" }],
    [new Request("https://stranger.example/x", { method: "POST" }), {}],
    ["/app/x", { method: "POST", credentials: "omit" }],
  ]) {
    await world.wait(pawl.fetch(input, init));
    assert.equal(header(), null, String(input.url ?? input));
  }
});

test("a stranger's 401 is nothing to us, and neither is the expired session to a stranger", async () => {
  const { world, pawl } = await started();
  await world.run(600);
  const before = world.sent.length;
  await world.wait(pawl.fetch("https://stranger.example/x", { method: "POST" }));
  assert.equal(world.sent.length, before + 1);
});

test("an unsafe request as the first waits for the CSRF token", async () => {
  const world = new World();
  world.signIn();
  const tab = world.tab();
  const answer = await world.wait(tab.open(createPawl).fetch("/app/x", { method: "POST" }));
  assert.match((await answer.json()).csrf, /^csrf-/);
  assert.deepEqual(tab.types(), ["signed-in"]);
});

test("a request as the first, with an expired access token, is renewed and repeated", async () => {
  const world = new World();
  world.signIn();
  await world.run(1000);
  const tab = world.tab();
  assert.equal((await world.wait(tab.open(createPawl).fetch("/app/x"))).status, 200);
  assert.equal(refreshes(world), 1);
});

test("the caller's signal is honoured while a request waits, and the renewal goes on for others", async () => {
  const { world, pawl } = await started();
  await world.run(400);
  world.latency = () => 5000;
  const stop = new AbortController();
  const given = pawl.fetch("/app/x", { signal: stop.signal });
  const other = pawl.fetch("/app/y");
  given.catch(() => {});
  await world.run(1);
  stop.abort(new Error("enough"));
  await assert.rejects(world.wait(given), /enough/);
  world.latency = () => 50;
  assert.equal((await world.wait(other)).status, 200);
  assert.equal(count(world, "GET /app/x"), 0);
  await assert.rejects(world.wait(pawl.fetch(new Request(ORIGIN + "/app/x", { signal: AbortSignal.abort() }))), { name: "AbortError" });
});

test("a renewal without an answer is given up after 15 s, and the next try carries the same key", async () => {
  for (const lost of ["request", "answer"]) {
    const { world, pawl, tab } = await started();
    await world.run(400);
    let lose = true;
    world.lose = (_, path) => (lose && path === "/auth/refresh" ? lost : undefined);
    const began = world.ms;
    const answer = await world.wait(pawl.fetch("/app/x"));
    assert.equal(answer.status, 401); // as it was, since there was no renewal
    assert(world.ms - began >= 15e3 && world.ms - began < 17e3);
    lose = false;
    await world.run(5);
    assert.equal(refreshes(world), lost === "answer" ? 2 : 1);
    const keys = world.sent.filter((r) => r.path === "/auth/refresh").map((r) => r.headers.get("Idempotency-Key"));
    assert.equal(keys.length, 2);
    assert(keys[0] && keys[0] === keys[1]);
    assert.equal(world.server.late, 0);
    assert.equal(world.server.rotations, 1);
    assert(!tab.types().includes("ended"));
  }
});

test("429, 5xx, junk and no network back off and never sign out", async () => {
  const junk = { status: 200, headers: {}, text: "<html>log in to the hotel's network" };
  for (const [what, trouble] of Object.entries({
    busy: { status: 503, headers: { "Retry-After": "1" }, body: { code: "busy" } },
    internal: { status: 500, headers: {}, text: "oops" },
    gateway: { status: 502, headers: {}, text: "<html>" },
    often: { status: 429, headers: { "Retry-After": "7" }, body: { code: "too_many_renewals" } },
    hotel: junk,
    unauthorized: { status: 401, headers: {}, text: "<html>proxy" },
    otherCode: { status: 401, headers: {}, body: { code: "login_failed" } },
    nothing: { status: 401, headers: {}, text: "null" },
    cross: { status: 403, headers: {}, body: { code: "cross_site" } },
    gone: { status: 404, headers: {}, body: { code: "not_found" } },
    offline: "offline",
  })) {
    const { world, pawl, tab } = await started();
    await world.run(290);
    if (trouble === "offline") world.online = false;
    else world.server.trouble = (_, path) => (path.startsWith("/auth/") ? trouble : undefined);
    tab.do();
    await reading(world, tab, 600);
    const tries = world.sent.filter((r) => r.path === "/auth/refresh").length;
    assert(tries >= 6 && tries <= 20, `${what}: ${tries} tries`);
    await assert.rejects(world.wait(pawl.session()), Error, what);
    assert.deepEqual(tab.types(), ["signed-in"], what);
    world.online = true;
    world.server.trouble = undefined;
    await world.run(100);
    assert.deepEqual(tab.types(), ["signed-in", "renewed"], what);
    assert.equal((await world.wait(pawl.session())).user.id, "u_ada");
  }
});

test("Retry-After is waited for, by timers and by requests", async () => {
  const { world, pawl } = await started();
  await world.run(400);
  world.server.trouble = (_, path) => (path === "/auth/refresh" ? { status: 429, headers: { "Retry-After": "120" }, body: { code: "too_many_renewals" } } : undefined);
  await world.wait(pawl.fetch("/app/x"));
  for (let i = 0; i < 11; i++) {
    await world.wait(pawl.fetch("/app/x"));
    await world.run(10);
  }
  assert.equal(refreshes(world), 1);
  await world.run(80);
  assert.equal(refreshes(world), 2);
});

test("a definite login_required ends the session, and nothing is asked any more", async () => {
  const { world, tab, pawl } = await started();
  [...world.server.rows.values()][0].ended = "admin";
  assert.equal((await world.wait(pawl.fetch("/app/x"))).status, 401);
  assert.deepEqual(tab.types(), ["signed-in", "ended"]);
  const before = world.sent.length;
  await reading(world, tab, 1000);
  assert.equal((await world.wait(pawl.fetch("/app/x"))).status, 401);
  assert.equal(world.sent.length, before + 1);
  assert.equal(await world.wait(pawl.session()), null);
  assert.deepEqual(tab.types(), ["signed-in", "ended"]);
});

test("who signs in again is found by session, and told of", async () => {
  const { world, tab, pawl } = await started();
  [...world.server.rows.values()][0].ended = "admin";
  await world.wait(pawl.fetch("/app/x"));
  world.signIn("u_bob");
  assert.equal((await world.wait(pawl.session())).user.id, "u_bob");
  assert.deepEqual(tab.types(), ["signed-in", "ended", "signed-in"]);
});

test("nobody's request is repeated as somebody else's", async () => {
  const { world, tab, pawl } = await started();
  const [ada] = world.server.rows.values();
  ada.ended = "replaced";
  world.latency = () => 3000;
  const asked = pawl.fetch("/app/x", { method: "POST", body: "in Ada's name" });
  await world.run(0.1);
  world.signIn("u_bob");
  const answer = await world.wait(asked);
  assert.equal(answer.status, 401);
  assert.equal(count(world, "POST /app/x"), 1);
  assert.equal(tab.heard.at(-1).session.user.id, "u_bob");
});

test("signIn gives up what is under way and leads to the page, and back", async () => {
  const { world, tab, pawl } = await started();
  await world.run(400);
  world.latency = () => 8000;
  tab.do();
  await world.run(1);
  assert.equal(world.sent.at(-1).path, "/auth/refresh");
  pawl.signIn();
  pawl.signIn({ returnTo: "/a?b=c&d", confirm: true });
  assert.deepEqual(tab.visited, ["/auth/signin?return_to=%2Fnotes%3Fpage%3D2%233", "/auth/signin?return_to=%2Fa%3Fb%3Dc%26d&confirm=1"]);
  assert.equal(world.sent.at(-1).init.signal.aborted, true);
});

test("signOut ends the session, gives up a renewal under way, and its late answer brings nothing back", async () => {
  for (const deaf of [false, true]) {
    const { world, tab, pawl } = await started({ deaf });
    await world.run(400);
    world.latency = () => 6000;
    tab.do();
    await world.run(4); // decided, its answer is under way
    assert.equal(refreshes(world), 1);
    world.latency = () => 50;
    const out = pawl.signOut();
    assert.deepEqual(await world.wait(out), true);
    await world.run(60);
    assert.deepEqual(tab.types(), ["signed-in", "signed-out"]);
    // A browser may keep cookies of an answer that was given up; they are worth nothing.
    if (!deaf) assert.deepEqual(world.jar, { access: undefined, refresh: undefined });
    assert([...world.server.rows.values()].every((r) => r.ended));
    assert.equal(count(world, "POST /auth/logout"), 1);
    assert.equal(world.disk.size, 0);
    assert.equal(await world.wait(pawl.session()), null);
  }
});

test("an answer that ignores the abort is met by one more sign-out", async () => {
  const { world, tab, pawl } = await started();
  await world.run(400);
  // The answer's head is here before the abort, so its cookies are, too.
  const env = tab.environment();
  let deliver;
  const late = world.tab();
  const other = late.open(createPawl, {
    ...env,
    fetch: async (input, init) => {
      const answer = await world.send(late, input, { ...init, signal: undefined });
      if (input === "/auth/refresh") await new Promise((resolve) => (deliver = resolve));
      return answer;
    },
  });
  const asked = other.fetch("/app/x");
  await world.run(2);
  assert.equal(refreshes(world), 1);
  await world.wait(pawl.signOut());
  await world.run(1);
  world.jar = { access: { sid: "late" }, refresh: "late" };
  deliver();
  assert.equal((await world.wait(asked)).status, 401);
  await world.run(60);
  assert.equal(count(world, "POST /auth/logout"), 2);
  assert.equal(late.types().at(-1), "signed-out");
  assert.deepEqual(world.jar, { access: undefined, refresh: undefined });
});

test("a sign-out without network holds at once, here, and is done when the network is back", async () => {
  const { world, tab, pawl } = await started();
  world.online = false;
  assert.equal(await world.wait(pawl.signOut()), false);
  assert.deepEqual(tab.types(), ["signed-in", "signed-out"]);
  assert.equal(await world.wait(pawl.session()), null);
  // A new page of the same browser knows, too.
  const later = world.tab();
  assert.equal(await world.wait(later.open(createPawl).session()), null);
  world.online = true;
  const answer = await world.wait(later.pawl.fetch("/open"));
  assert.equal((await answer.json()).user, null);
  await world.run(100);
  assert([...world.server.rows.values()].every((r) => r.ended === "sign_out"));
  assert.equal(world.disk.size, 0);
  const before = world.sent.length;
  await world.run(600);
  assert.equal(world.sent.length, before);
});

test("while a sign-out is owed, requests go out as nobody's", async () => {
  const { world, pawl } = await started();
  world.server.trouble = (_, path) => (path === "/auth/logout" ? { status: 503, headers: { "Retry-After": "600" }, body: {} } : undefined);
  assert.equal(await world.wait(pawl.signOut()), false);
  const answer = await world.wait(pawl.fetch("/open"));
  assert.equal((await answer.json()).user, null);
  assert.equal(await world.wait(pawl.session()), null);
});

test("a sign-out that is owed does not end the session of who has signed in since", async () => {
  const { world, tab, pawl } = await started();
  world.online = false;
  await world.wait(pawl.signOut());
  tab.closed = true;
  world.online = true;
  world.signIn("u_bob"); // by the page, which needs no script
  const later = world.tab();
  assert.equal((await world.wait(later.open(createPawl).session())).user.id, "u_bob");
  await world.run(300);
  assert.equal(count(world, "POST /auth/logout"), 0);
  assert.equal((await world.wait(later.pawl.session())).user.id, "u_bob");
});

test("after a sleep nothing happens at once, and the session goes on", async () => {
  const { world, tab, pawl } = await started();
  tab.do();
  await world.run(100);
  tab.sleep(86400);
  await world.run(86400);
  assert.equal(refreshes(world), 0);
  await world.run(5);
  assert.equal(refreshes(world), 1);
  const [sent] = world.sent.filter((r) => r.path === "/auth/refresh");
  assert(sent.at > 86500e3, "at once");
  assert.equal((await world.wait(pawl.fetch("/app/x"))).status, 200);
  assert.deepEqual(tab.types(), ["signed-in", "renewed"]);
});

test("timers that are always late are not put off for ever", async () => {
  const world = new World();
  world.signIn();
  const tab = world.tab();
  const env = tab.environment();
  tab.open(createPawl, { setTimeout: (run, ms) => env.setTimeout(run, Math.ceil((ms + 1) / 60e3) * 60e3) }); // as in a hidden tab
  await world.wait(tab.pawl.session());
  tab.do();
  await world.run(420);
  assert.equal(refreshes(world), 1);
});

test("timers that are early are not believed", async () => {
  const world = new World();
  world.signIn();
  const tab = world.tab();
  const env = tab.environment();
  tab.open(createPawl, { setTimeout: (run, ms) => env.setTimeout(run, ms * 0.9) });
  await world.wait(tab.pawl.session());
  await reading(world, tab, 280);
  assert.equal(refreshes(world), 1);
  assert.deepEqual(world.early, []);
});

test("a timer that was early is set anew", async () => {
  const world = new World();
  world.signIn();
  const tab = world.tab();
  const env = tab.environment();
  tab.open(createPawl, { setTimeout: (run, ms) => env.setTimeout(run, ms * 0.9) });
  await world.wait(tab.pawl.session());
  tab.do();
  await world.run(275);
  assert.equal(refreshes(world), 1);
});

test("while it waits to try again, nothing is asked, and session says why", async () => {
  const { world, pawl } = await started();
  world.server.trouble = () => ({ status: 503, headers: { "Retry-After": "60" }, body: { code: "busy" } });
  await assert.rejects(world.wait(pawl.session()), { code: "busy" });
  const before = world.sent.length;
  await assert.rejects(world.wait(pawl.session()), { code: "busy" });
  assert.equal(world.sent.length, before);
});

test("it works where storage, channel and locks are missing, throw, or never answer", async () => {
  const never = { request: () => new Promise(() => {}) };
  const throwing = { request: () => { throw new Error("no") } };
  const rejecting = { request: () => Promise.reject(new Error("no")) };
  const deafChannel = () => ({ postMessage: () => { throw new Error("closed") }, close: () => { throw new Error("closed") } });
  const noChannel = () => { throw new Error("no") };
  for (const storage of [true, false, "throws", "full"])
    for (const locks of [undefined, false, never, throwing, rejecting])
      for (const channel of [undefined, false, deafChannel, noChannel]) {
        const { world, tab, pawl } = await started({ storage: storage === true ? undefined : storage, locks, channel });
        await reading(world, tab, 900);
        assert.equal((await world.wait(pawl.fetch("/app/x", { method: "POST" }))).status, 200);
        const keys = world.sent.filter((r) => r.path === "/auth/refresh").map((r) => r.headers.get("Idempotency-Key"));
        assert(keys.length >= 3 && keys.every((k) => (k !== null) === (storage === true)));
        assert.equal(world.server.rotations, keys.length);
        assert.deepEqual(world.early, []);
        assert.equal(await world.wait(pawl.signOut()), true);
        assert(!tab.types().includes("ended"));
        pawl.dispose();
      }
});

test("devices lists the sessions, and throws the problem's code", async () => {
  const { world, pawl, session } = await started();
  assert.deepEqual(await world.wait(pawl.devices()), [{ id: session.session.id, current: true }]);
  world.server.trouble = () => ({ status: 503, headers: {}, body: { code: "unavailable", detail: "The service cannot answer now." } });
  await assert.rejects(world.wait(pawl.devices()), { status: 503, code: "unavailable", message: "pawl: The service cannot answer now." });
});

test("onChange ends when it is told to", async () => {
  const { world, tab, pawl } = await started();
  const heard = [];
  const stop = pawl.onChange((type) => heard.push(type));
  await reading(world, tab, 280);
  assert.deepEqual(heard, ["renewed"]);
  stop();
  await reading(world, tab, 280);
  assert.deepEqual(heard, ["renewed"]);
});

test("a listener that throws stops no other, and is not hushed up", () => {
  const script = `
    import { World } from "./model/world.js";
    import { createPawl } from "./model/subject.js";
    const world = new World();
    world.signIn();
    const pawl = world.tab().open(createPawl);
    process.on("unhandledRejection", (error) => console.log(error.message));
    pawl.onChange(() => { throw new Error("the page's") });
    pawl.onChange((type) => console.log("after it:", type));
    await world.wait(pawl.session());`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { cwd: new URL("..", import.meta.url), encoding: "utf8" });
  assert.deepEqual(stdout.trim().split("\n").sort(), ["after it: signed-in", "the page's"]);
});

test("dispose leaves nothing behind", async () => {
  const { world, tab, pawl } = await started();
  tab.do();
  pawl.dispose();
  const before = world.sent.length;
  tab.do();
  await world.run(3000);
  assert.equal(world.sent.length, before);
  assert.equal(world.ports.size, 0);
  assert.deepEqual(world.queue.filter((e) => e.run), []);
  await assert.rejects(world.wait(pawl.session()), Error);
});

test("nothing of the platform is replaced", async () => {
  const before = { ...Object.getOwnPropertyDescriptors(globalThis) };
  const { pawl } = await started();
  pawl.dispose();
  assert.deepEqual(Object.getOwnPropertyDescriptors(globalThis), before);
});

test("another prefix is used throughout, with storage and channel of its own", async () => {
  const world = new World();
  const tab = world.tab();
  const pawl = tab.open(createPawl, { prefix: "/konto" });
  const asked = pawl.session();
  asked.catch(() => {});
  await world.run(0.01);
  assert.deepEqual([...world.disk.keys()], ["pawl:/konto"]);
  assert.deepEqual([...world.ports].map((p) => p.name), ["pawl:/konto"]);
  pawl.signIn();
  assert.deepEqual(world.sent.map((r) => r.path), ["/konto/session"]);
  assert.match(tab.visited[0], /^\/konto\/signin\?/);
});
