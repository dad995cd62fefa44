import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { World } from "../model/world.js";

const read = (name) => readFileSync(new URL("../" + name, import.meta.url), "utf8");
const published = "dist/pawl.js";

test("what is published is at most 3 KB compressed, and imports nothing", () => {
  const size = gzipSync(read(published), { level: 9 }).length;
  assert(size > 1000 && size <= 3000, `${size} bytes`);
  assert.doesNotMatch(read(published), /\bimport\b|\brequire\b|\beval\b|new Function/);
});

test("the package names what is there, needs nothing, and has no effect by being imported", async () => {
  const { exports, types, files, dependencies, sideEffects } = JSON.parse(read("package.json"));
  for (const name of [exports["."].types, exports["."].default, types, ...files]) assert(read(name).length > 0, name);
  assert.equal(exports["."].default, "./" + published);
  assert.equal(dependencies, undefined);
  assert.equal(sideEffects, false);
});

test("the declarations and the module name the same methods and options", async () => {
  const { createPawl } = await import("../" + published);
  const pawl = new World().tab().open(createPawl);
  const declared = read("pawl.d.ts").match(/interface Pawl \{[^]*?\n\}/)[0].match(/^  (\w+)\(/gm).map((m) => m.slice(2, -1));
  assert.deepEqual(declared.sort(), Object.keys(pawl).sort());
  const options = read("pawl.d.ts").match(/interface Options \{[^]*?\n\}/)[0].match(/^  (\w+)\?:/gm).map((m) => m.slice(2, -2));
  assert.deepEqual(options, ["prefix", "settle"]);
  for (const option of options) assert.match(read(published), new RegExp(`\\b${option}:`));
});
