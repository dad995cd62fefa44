// The client sees no token, so it has nothing to parse. What the vectors can
// show is that the model's cookies are real ones, and that no token, of any
// form, would get through the client if it ever came by.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Codec, decode } from "../model/codec.js";
import { createPawl } from "../model/subject.js";
import { World } from "../model/world.js";

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../vectors/${name}.json`, import.meta.url)));
const hex = (text) => Buffer.from(text ?? "", "hex");

test("the model decodes base64url as the vectors say", () => {
  const list = vectors("base64url");
  assert(list.length > 20);
  for (const { text, hex: want } of list) assert.equal(decode(text)?.toString("hex"), want, JSON.stringify(text));
});

test("the model opens, judges and makes refresh tokens as the vectors say", () => {
  const { key_id, outer_key, inner_key, tokens } = vectors("refresh");
  const codec = new Codec({ keyID: hex(key_id), outerKey: hex(outer_key), innerKey: hex(inner_key) });
  assert(tokens.length > 10);
  let made = 0;
  for (const v of tokens) {
    const t = codec.open(v.token);
    assert.equal(t !== undefined, v.opens, v.name);
    if (!t) continue;
    assert.equal(t.session, v.session, v.name);
    assert.equal(t.generation, v.generation, v.name);
    assert.equal(t.genuine(hex(v.salt)), v.genuine ?? false, v.name);
    if (!v.genuine) continue;
    assert.equal(codec.seal(decode(t.session), t.generation, hex(v.salt)), v.token, v.name);
    made++;
  }
  assert(made > 2);
});

test("no token of the vectors gets into storage, channel, events or requests, although a server sends it everywhere", async () => {
  const tokens = [...vectors("refresh").tokens.map((t) => t.token), ...vectors("access").tokens.map((t) => t.token)].filter((t) => t.length > 12);
  assert(tokens.length > 40);
  for (const token of tokens) {
    const world = new World();
    world.signIn("u_ada");
    const handle = world.server.handle.bind(world.server);
    world.server.handle = (...request) => {
      const answer = handle(...request);
      if (answer.body) answer.body = { access_token: token, refresh_token: token, ...answer.body };
      return { ...answer, headers: { ...answer.headers, "X-Token": token.replace(/[^!-~]/g, "") } };
    };
    const one = world.tab();
    const other = world.tab();
    for (const tab of [one, other]) await world.wait(tab.open(createPawl).session());
    one.do();
    await world.run(300);
    await world.wait(one.pawl.fetch("/app/x", { method: "POST" }));
    const seen = [[...world.disk], one.posted, other.posted, one.heard, other.heard, world.sent.map((r) => [r.url, [...r.headers], r.init.body])];
    assert(one.types().includes("renewed") && other.types().includes("renewed"));
    assert(!JSON.stringify(seen).includes(JSON.stringify(token).slice(1, -1)), token);
    for (const tab of [one, other]) tab.pawl.dispose();
  }
});
