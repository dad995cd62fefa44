import assert from "node:assert/strict";
import { test } from "node:test";
import { createPawl } from "../model/subject.js";
import { generator, World } from "../model/world.js";

async function tabs(n, options, seed) {
  const world = new World(seed);
  world.signIn("u_ada");
  for (let i = 0; i < n; i++) world.tab(typeof options === "function" ? options(i) : options).open(createPawl);
  await world.wait(Promise.all(world.tabs.map((t) => t.pawl.session())));
  return world;
}

const refreshes = (world) => world.sent.filter((r) => r.path === "/auth/refresh");
const rows = (world) => [...world.server.rows.values()];

async function reading(world, seconds, readers = world.tabs) {
  for (let s = 0; s < seconds; s += 15) {
    for (const tab of readers) tab.do();
    await world.run(15);
  }
}

test("ten tabs that are all in use renew as one", async () => {
  for (const options of [{}, { locks: false }, { channel: false }, { channel: false, locks: false }]) {
    const world = await tabs(10, options);
    await reading(world, 3600);
    const sent = refreshes(world).length;
    assert(sent >= 12 && sent <= 20, `${JSON.stringify(options)}: ${sent} renewals`);
    assert.equal(world.server.rotations, sent);
    assert.deepEqual(world.early, []);
    for (const tab of world.tabs) {
      assert(!tab.types().includes("ended"));
      if (options.channel !== false) assert.equal(tab.types().filter((t) => t === "renewed").length, sent);
    }
  }
});

test("without storage, channel and locks ten tabs still never renew too early", async () => {
  const world = await tabs(10, { storage: false, channel: false, locks: false });
  await reading(world, 3600);
  assert.deepEqual(world.early, []);
  assert.deepEqual(world.server.reasons, []);
});

// The clocks of pages stand still while the lid is closed, and both tabs have
// just learnt of a token that has expired when it opens.
test("a request that was refused while another tab renewed is repeated", async () => {
  const world = await tabs(2, { channel: false });
  const [one, other] = world.tabs;
  await world.run(1);
  for (const tab of world.tabs) tab.sleep(600, { standing: true });
  await world.run(600);
  let late;
  world.latency = (_, path) => (path === "/app/late" ? 500 : 20);
  const asked = other.pawl.fetch("/app/late").then((answer) => (late = answer));
  await world.run(0.3);
  await world.wait(one.pawl.fetch("/app/x"));
  await world.wait(asked);
  assert.equal(late.status, 200);
  assert.equal(refreshes(world).length, 1);
});

test("only who is in use renews, and the others learn of it", async () => {
  const world = await tabs(3, {});
  await reading(world, 280, world.tabs.slice(0, 1));
  assert.deepEqual(refreshes(world).map((r) => world.tabs.indexOf(r.tab)), [0]);
  for (const tab of world.tabs) assert.deepEqual(tab.types(), ["signed-in", "renewed"]);
  const before = world.sent.length;
  await world.wait(world.tabs[2].pawl.fetch("/app/x"));
  assert.equal(world.sent.length, before + 1);
});

// The worst of all moments: all tabs wake at once with an expired access token,
// each with a request that waits, on a network that loses answers.
test("ten tabs across an expiry with lost answers: nobody is signed out, and exactly one renewal turns", async () => {
  const seeds = Number(process.env.PAWL_ROUNDS ?? 6);
  for (const options of [{}, { locks: false }, { channel: false }, { locks: false, channel: false }, { locks: { request: () => new Promise(() => {}) } }])
    for (let seed = 1; seed <= seeds; seed++) {
      const about = `${JSON.stringify(options)} seed ${seed}`;
      const world = await tabs(10, options, seed);
      const random = generator(seed * 977);
      world.latency = () => 20 + random() * 3000;
      for (let round = 0; round < 4; round++) {
        const hours = 600 + random() * 7200;
        for (const tab of world.tabs) tab.sleep(hours, { standing: random() < 0.5 });
        await world.run(hours);
        const turned = world.server.rotations;
        world.lose = (_, path) => (path !== "/auth/refresh" || random() > 0.5 ? undefined : random() < 0.5 ? "request" : "answer");
        const asked = world.tabs.map((tab) => tab.pawl.fetch("/app/x", { method: "POST", body: "x" }));
        await world.wait(Promise.all(asked), 300);
        world.lose = () => undefined;
        await world.run(70);
        const answers = await world.wait(Promise.all(world.tabs.map((tab) => tab.pawl.fetch("/app/x"))), 300);
        assert(answers.every((a) => a.status === 200), about);
        assert.equal(world.server.rotations, turned + 1, about);
      }
      assert.equal(world.server.late, 0, about); // one key for one renewal, in all tabs
      assert.deepEqual(world.server.reasons, [], about);
      // Without a channel, an answer may come while a tab that missed the lock asks: the server repeats.
      if (options.channel !== false) assert.deepEqual(world.early, [], about);
      assert.equal(rows(world).length, 1);
      for (const tab of world.tabs) assert(!tab.types().some((t) => t === "ended" || t === "signed-out"), about);
    }
});

test("a tab that was frozen while another renewed asks before it renews", async () => {
  for (const options of [{}, { channel: false }]) {
    const world = await tabs(2, options);
    const [frozen, other] = world.tabs;
    frozen.do();
    frozen.sleep(250);
    await reading(world, 249, [other]);
    assert.equal(refreshes(world).length, 1);
    await reading(world, 60, [frozen]);
    assert.equal(refreshes(world).length, 1);
    assert.deepEqual(world.early, []);
  }
});

test("a sign-out shows in every tab, with the network and without", async () => {
  for (const online of [true, false])
    for (const options of [{}, { channel: false }, { storage: false }]) {
      const world = await tabs(4, options);
      world.online = online;
      assert.equal(await world.wait(world.tabs[1].pawl.signOut()), online);
      await world.run(0.1);
      const what = JSON.stringify({ online, options });
      for (const tab of world.tabs) {
        assert.deepEqual(tab.types(), ["signed-in", "signed-out"], what);
      }
    }
});

test("without storage and channel a tab learns of a sign-out by its next request", async () => {
  const world = await tabs(2, { storage: false, channel: false });
  await world.wait(world.tabs[0].pawl.signOut());
  assert.equal((await world.wait(world.tabs[1].pawl.fetch("/app/x"))).status, 401);
  assert.deepEqual(world.tabs[1].types(), ["signed-in", "ended"]);
});

test("a sign-out is seen by a tab whose renewal is under way, and nothing comes back", async () => {
  for (const options of [{}, { channel: false }, { storage: false }, { storage: false, channel: false }])
    for (let ms = 0; ms <= 900; ms += 100)
      for (const deaf of [false, true]) {
        const world = await tabs(3, { ...options, deaf });
        await world.run(400);
        world.latency = () => 600;
        const [one, other, third] = world.tabs;
        const asked = one.pawl.fetch("/app/x");
        await world.run(ms / 1e3);
        world.latency = () => 100;
        await world.wait(other.pawl.signOut());
        await world.wait(asked);
        await world.run(200);
        const what = `${JSON.stringify(options)} ${ms} ms`;
        assert(rows(world).every((r) => r.ended), what);
        for (const tab of [one, other, third]) {
          assert.equal(await world.wait(tab.pawl.session()), null, what);
          assert.match(tab.types().at(-1), /signed-out|ended/, what);
        }
        assert(world.server.log.filter((l) => l.startsWith("POST /auth/logout")).length <= 2, what);
      }
});

test("late news of a session that was signed out, or replaced, is not believed", async () => {
  const world = await tabs(2, {});
  const [one, other] = world.tabs;
  const news = { doc: one.heard[0].session, key: "old" };
  await world.wait(one.pawl.signOut());
  for (const port of world.ports) port.onmessage({ data: news });
  await world.run(1);
  for (const tab of world.tabs) assert.deepEqual(tab.types(), ["signed-in", "signed-out"]);
  world.signIn("u_bob");
  await world.wait(one.pawl.session());
  await world.run(1);
  for (const port of world.ports) port.onmessage({ data: news });
  await world.run(1);
  for (const tab of [one, other]) assert.equal(tab.heard.at(-1).session.user.id, "u_bob");
  assert(!rows(world)[1].ended);
});

test("who signs in anew in one tab is known in the others", async () => {
  const world = await tabs(2, {});
  const [one, other] = world.tabs;
  world.signIn("u_bob");
  assert.equal((await world.wait(one.pawl.session())).user.id, "u_bob");
  await world.run(1);
  assert.equal(other.heard.at(-1).session.user.id, "u_bob");
  assert.deepEqual(other.types(), ["signed-in", "signed-in"]);
});

test("signIn in one tab gives up the renewals of the others, which go on later", async () => {
  const world = await tabs(2, {});
  await world.run(400);
  world.latency = () => 8000;
  world.tabs[1].do();
  await world.run(1);
  const under = refreshes(world)[0];
  world.tabs[0].pawl.signIn();
  await world.run(1);
  assert.equal(under.init.signal.aborted, true);
  world.latency = () => 50;
  await reading(world, 60, [world.tabs[1]]);
  assert.equal((await world.wait(world.tabs[1].pawl.fetch("/app/x"))).status, 200);
  assert.equal(world.server.late, 0);
});

test("after signIn in another tab, who was active is still renewed in time", async () => {
  const world = await tabs(2, {});
  world.tabs[1].do();
  await world.run(100);
  world.tabs[0].pawl.signIn();
  await world.run(180);
  assert.deepEqual(refreshes(world).map((r) => r.tab), [world.tabs[1]]);
});

test("the end of a session that one tab hears of shows in the others", async () => {
  const world = await tabs(3, {});
  rows(world)[0].ended = "admin";
  await world.wait(world.tabs[0].pawl.fetch("/app/x"));
  await world.run(1);
  for (const tab of world.tabs) assert.deepEqual(tab.types(), ["signed-in", "ended"]);
});

test("late news of a session that another has replaced is not believed", async () => {
  const world = await tabs(1, {});
  const [tab] = world.tabs;
  const news = { doc: tab.heard[0].session, key: "old" };
  world.signIn("u_bob");
  await world.wait(tab.pawl.session());
  for (const port of world.ports) port.onmessage({ data: news });
  await world.run(1);
  assert.equal(tab.heard.at(-1).session.user.id, "u_bob");
});

// Anything may happen in any order. What must hold is looked at after each step.
test("a long random walk: an honest user is never signed out, and a sign-out is for good", async () => {
  const walks = Number(process.env.PAWL_ROUNDS ?? 6) * 2;
  for (let seed = 1; seed <= walks; seed++) {
    const random = generator(seed * 31337);
    const pick = (list) => list[Math.floor(random() * list.length)];
    const options = () => ({ locks: random() < 0.3 ? false : undefined, channel: random() < 0.3 ? false : undefined });
    const world = await tabs(3, options, seed);
    world.latency = () => 10 + random() * (random() < 0.1 ? 20000 : 500);
    world.lose = (_, path) => (path.startsWith("/auth/") && random() < 0.15 ? pick(["request", "answer"]) : undefined);
    let crashed = false;
    const jars = [];
    const trail = [];
    for (let step = 0; step < 60; step++) {
      const tab = pick(world.tabs.filter((t) => !t.closed));
      const deed = pick(["do", "do", "do", "fetch", "fetch", "session", "sleep", "night", "offline", "open", "close", "busy", "crash"]);
      trail.push(deed);
      if (deed === "do") tab.do();
      if (deed === "fetch") tab.pawl.fetch("/app/x", { method: pick(["GET", "POST"]) }).catch(() => {});
      if (deed === "session") tab.pawl.session().catch(() => {});
      if (deed === "sleep") tab.sleep(random() * 600, { standing: random() < 0.5 });
      if (deed === "night") {
        for (const t of world.tabs) t.sleep(30000);
        await world.run(30000);
      }
      if (deed === "offline") world.online = !world.online;
      if (deed === "busy") world.server.trouble = world.server.trouble ? undefined : () => pick([undefined, { status: 503, headers: { "Retry-After": "2" }, body: { code: "busy" } }]);
      if (deed === "open" && world.tabs.filter((t) => !t.closed).length < 8) world.tab(options()).open(createPawl);
      const kill = (t) => {
        t.closed = true;
        for (const port of world.ports) if (port.tab === t) world.ports.delete(port);
      };
      if (deed === "close" && world.tabs.filter((t) => !t.closed).length > 1) tab.pawl.dispose(), kill(tab);
      if (deed === "crash" && !crashed) {
        // Killed, and reopened with the cookies that were on disk.
        crashed = true;
        for (const t of world.tabs) t.pawl.dispose(), kill(t);
        world.held = undefined;
        world.jar = jars.findLast((j) => world.ms - j.at > 1000 && world.ms - j.at <= 30e3)?.jar ?? world.jar;
        world.tab(options()).open(createPawl);
      }
      for (let i = 0, n = 1 + Math.floor(random() * 12); i < n; i++) {
        await world.run(random() * 10);
        jars.push({ at: world.ms, jar: { ...world.jar } });
      }
      const what = `seed ${seed} step ${step}: ${trail.slice(-6)} ${world.server.reasons}`;
      assert.deepEqual(world.server.reasons, [], what);
      for (const t of world.tabs) assert(!t.types().some((x) => x === "ended" || x === "signed-out"), what);
    }
    assert(crashed || world.server.late === 0, `seed ${seed}: ${world.server.late} late repeats`);

    const id = rows(world)[0].id;
    const last = pick(world.tabs.filter((t) => !t.closed));
    await world.wait(last.pawl.signOut(), 300);
    const from = world.tabs.map((t) => t.heard.length);
    world.online = true;
    world.lose = () => undefined;
    world.server.trouble = undefined;
    world.latency = () => 50;
    for (const t of world.tabs.filter((t) => !t.closed)) t.do(), t.pawl.fetch("/app/x").catch(() => {});
    await world.run(1000);
    const later = world.tab();
    assert.equal(await world.wait(later.open(createPawl).session()), null, `seed ${seed}`);
    await world.run(200);
    assert.equal(rows(world)[0].ended, "sign_out", `seed ${seed}`);
    for (const [i, t] of world.tabs.entries()) if (t.options.channel !== false) assert(!t.heard.slice(from[i] ?? 0).some((h) => h.id === id), `seed ${seed}: came back`);
    for (const t of world.tabs.filter((t) => !t.closed)) t.pawl.dispose();
  }
});
