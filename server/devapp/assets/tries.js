// A hostile script, as it could have slipped into any page: it looks for the
// tokens wherever a browser keeps or shows anything, and reports what it found.

const main = document.querySelector("main");
const path = (below) => main.dataset.prefix + below;

/** A refresh token of Pawl, or any signed token (JWS compact). */
const token = /pawl_rt_[\w-]{8,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}/;

const timeout = () => AbortSignal.timeout(15000);
const options = { credentials: "same-origin", cache: "no-store", referrerPolicy: "same-origin" };

/** Everything that fetch shows of an answer. */
async function answerOf(where, more = {}) {
  const answer = await fetch(where, { ...options, signal: timeout(), ...more });
  return `${answer.status} ${await answer.text()} ${[...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n")}`;
}

/** The same by XMLHttpRequest, which shows headers its own way. */
function answerByXHR(where) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", where);
    request.timeout = 15000;
    request.onload = () => resolve(`${request.responseText} ${request.getAllResponseHeaders()}${request.getResponseHeader("Set-Cookie") ?? ""}`);
    request.onerror = request.ontimeout = () => reject(new Error("no answer"));
    request.send();
  });
}

async function databases() {
  const names = (await indexedDB.databases()).map((db) => db.name);
  return names.join(" ");
}

async function cached() {
  const found = [];
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) found.push(request.url, await (await cache.match(request)).text());
  }
  return found.join("\n");
}

/** A frame of our own origin, whose document a script may read. */
async function framed(where) {
  const frame = document.createElement("iframe");
  frame.hidden = true;
  frame.src = where;
  const loaded = new Promise((resolve) => {
    frame.addEventListener("load", resolve);
    setTimeout(resolve, 3000);
  });
  document.body.append(frame);
  await loaded;
  try {
    if (!frame.contentDocument) throw new DOMException("", "SecurityError");
    return frame.contentDocument.documentElement.outerHTML + frame.contentDocument.cookie;
  } finally {
    frame.remove();
  }
}

/** A worker between page and network would see every request. */
async function workers() {
  const there = (await navigator.serviceWorker.getRegistrations()).map((r) => r.scope).join(" ");
  await navigator.serviceWorker.register("/dev/tries.js", { scope: "/dev/" });
  return there;
}

function globals() {
  const found = [name, JSON.stringify(history.state), document.referrer, location.href];
  for (const key of Object.getOwnPropertyNames(window)) {
    try {
      if (typeof window[key] === "string") found.push(window[key]);
    } catch {
      // Some may not be read.
    }
  }
  return found.join("\n");
}

/** What is tried: a name, what it looks at, and how. */
const tries = [
  ["document.cookie", () => document.cookie],
  ["cookieStore.getAll()", async () => JSON.stringify(await cookieStore.getAll())],
  ["localStorage", () => JSON.stringify({ ...localStorage })],
  ["sessionStorage", () => JSON.stringify({ ...sessionStorage })],
  ["indexedDB", databases],
  ["caches", cached],
  ["the page and its variables", () => document.documentElement.outerHTML + globals()],
  ["fetch session", () => answerOf(path("/session"))],
  ["fetch refresh", () => answerOf(path("/refresh"), { method: "POST", headers: { "Idempotency-Key": crypto.randomUUID() } })],
  ["fetch sessions", () => answerOf(path("/sessions"))],
  ["fetch verify", () => answerOf(path("/verify"))],
  ["fetch token", () => answerOf(path("/token"), { method: "POST", body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: "" }) })],
  ["fetch state of this page", () => answerOf("/dev/state")],
  ["XMLHttpRequest session", () => answerByXHR(path("/session"))],
  ["fetch with TRACE", () => answerOf(path("/session"), { method: "TRACE" })],
  ["fetch with a Cookie header", async () => [...new Request("/", { headers: { Cookie: "a=b" } }).headers].join("\n")],
  ["performance entries", () => JSON.stringify(performance.getEntries())],
  ["a frame", () => framed(path("/session"))],
  ["a service worker", workers],
];

/** In one line: what was seen, with what is long cut off. */
function inShort(seen) {
  const text = seen.replace(/\s+/g, " ").trim();
  if (text === "" || text === "{}" || text === "[]") return "nothing";
  return text.length > 60 ? `${text.slice(0, 60)}… (${text.length} characters)` : text;
}

function report(list, name, found, text) {
  const line = document.createElement("li");
  const what = document.createElement("code");
  what.textContent = name;
  const verdict = document.createElement("b");
  verdict.textContent = found ? "TOKEN FOUND" : "no token";
  const seen = document.createElement("span");
  seen.textContent = text;
  line.append(what, verdict, seen);
  line.classList.toggle("found", found);
  list.append(line);
}

function conclude(found) {
  const verdict = document.getElementById("verdict");
  verdict.hidden = false;
  verdict.className = `outcome ${found ? "bad" : "good"}`;
  document.getElementById("verdict-title").textContent = found
    ? `${found} of ${tries.length} places gave a token away.`
    : `${tries.length} places, no token.`;
  document.getElementById("verdict-text").textContent = found
    ? "This must not be. Please report it."
    : "A script could act through this page while it is open, which nobody can prevent; it cannot carry your login away.";
}

async function lookEverywhere(button) {
  button.disabled = true;
  const list = document.getElementById("tries");
  list.replaceChildren();
  document.getElementById("verdict").hidden = true;
  let found = 0;
  for (const [name, attempt] of tries) {
    let seen = "";
    let text = "";
    try {
      seen = String((await attempt()) ?? "");
      text = inShort(seen);
    } catch (error) {
      seen = String(error);
      text = `refused by the browser: ${error.name}`;
    }
    const isToken = token.test(seen);
    if (isToken) found++;
    report(list, name, isToken, text);
  }
  conclude(found);
  button.disabled = false;
  document.dispatchEvent(new Event("renewed"));
}

const button = document.getElementById("try");
button.addEventListener("click", () => lookEverywhere(button));
