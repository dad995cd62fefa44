// One browser with tabs, its network and a server, in a time that only a test
// moves on.
import { Server, policy } from "./server.js";

export const ORIGIN = "https://app.example";

/** A seeded generator of numbers in [0, 1) (mulberry32). */
export function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class World {
  ms = 0;
  queue = [];
  serial = 0;
  jar = { access: undefined, refresh: undefined };
  disk = new Map();
  ports = new Set();
  tabs = [];
  held = undefined; // the Web Lock's last holder
  early = []; // renewals before refresh_in of the jar's newest token
  sent = []; // every request, as it left
  online = true;
  latency = () => 50;
  lose = () => undefined; // "request" or "answer"

  constructor(seed = 1) {
    this.random = generator(seed);
    this.server = new Server(() => this.ms / 1e3, this.random);
  }

  at(delay, run) {
    const event = { due: this.ms + Math.max(0, delay), serial: this.serial++, run };
    this.queue.push(event);
    return event;
  }

  cancel(event) {
    if (event) event.run = undefined;
  }

  /** Lets everything happen that happens within so many seconds. */
  async run(seconds) {
    const end = this.ms + seconds * 1e3;
    await this.calm();
    for (;;) {
      this.queue = this.queue.filter((e) => e.run);
      const next = this.queue.reduce((a, b) => (!a || b.due < a.due || (b.due === a.due && b.serial < a.serial) ? b : a), undefined);
      if (!next || next.due > end) break;
      this.ms = Math.max(this.ms, next.due);
      const { run } = next;
      next.run = undefined;
      run();
      await this.calm();
    }
    this.ms = end;
  }

  async calm() {
    for (let i = 0; i < 3; i++) await new Promise(setImmediate);
  }

  /** Waits for a promise in the world's time. */
  async wait(promise, seconds = 120) {
    let result;
    promise.then(
      (value) => (result = { value }),
      (error) => (result = { error }),
    );
    for (let i = 0; i < seconds * 20 && !result; i++) await this.run(0.05);
    if (!result) throw new Error("the promise is not settled in time");
    if (result.error) throw result.error;
    return result.value;
  }

  signIn(user) {
    const { cookies } = this.server.start(user);
    this.jar = cookies;
  }

  tab(options) {
    const tab = new Tab(this, options);
    this.tabs.push(tab);
    return tab;
  }

  send(tab, input, init = {}) {
    const request = new Request(new URL(input.url ?? input, ORIGIN), { ...(input instanceof Request && { method: input.method, headers: input.headers }), ...init, signal: undefined, body: undefined, keepalive: false });
    const url = new URL(request.url);
    const signal = init.signal ?? input.signal;
    const credentials = init.credentials ?? input.credentials ?? "same-origin";
    const foreign = url.origin !== ORIGIN;
    const jar = credentials === "omit" || foreign ? {} : { ...this.jar };
    this.sent.push({ tab, method: request.method, url: request.url, path: url.pathname, headers: request.headers, init, at: this.ms });
    if (url.pathname === "/auth/refresh" && jar.access && this.ms / 1e3 - jar.access.iat < policy.refreshIn) this.early.push(this.ms);
    return new Promise((resolve, reject) => {
      let gone = false;
      const abort = () => {
        gone = true;
        reject(signal.reason);
      };
      if (signal?.aborted) return abort();
      signal?.addEventListener("abort", abort);
      if (!this.online) return void this.at(5, () => reject(new TypeError("offline")));
      const lost = this.lose(request.method, url.pathname);
      if (lost === "request") return;
      const took = this.latency(request.method, url.pathname);
      this.at(took / 2, () => {
        const answer = foreign ? { status: 200, headers: {}, body: {} } : this.server.handle(request.method, url.pathname, request.headers, jar);
        if (lost === "answer") return;
        this.at(took / 2, () => {
          if (gone && !tab.options.deaf) return;
          if (answer.cookies) this.jar = { ...answer.cookies };
          const body = answer.status === 204 ? null : (answer.text ?? JSON.stringify(answer.body));
          resolve(new Response(body, { status: answer.status, headers: answer.headers }));
        });
      });
    });
  }
}

/** A tab, and what the client finds in it. */
export class Tab {
  asleepUntil = 0;
  skipped = 0; // ms that the clock stood still
  visited = [];
  heard = []; // what onChange told
  posted = [];

  constructor(world, options = {}) {
    this.world = world;
    this.options = options;
    this.offset = Math.floor(world.random() * 1e9);
    this.events = new EventTarget();
    this.random = generator(Math.floor(world.random() * 2 ** 32));
  }

  awake(run) {
    if (this.closed) return;
    if (this.world.ms < this.asleepUntil) this.world.at(this.asleepUntil - this.world.ms, () => this.awake(run));
    else run();
  }

  /** Timers and messages come late, all at once; the clock jumps, or stands still. */
  sleep(seconds, { standing = false } = {}) {
    this.asleepUntil = this.world.ms + seconds * 1e3;
    if (standing) this.world.at(seconds * 1e3, () => (this.skipped += seconds * 1e3));
  }

  do(type = "pointerdown") {
    this.events.dispatchEvent(new Event(type));
  }

  open(createPawl, more = {}) {
    this.pawl = createPawl({ ...this.environment(), ...more });
    this.pawl.onChange((type, session) => this.heard.push({ type, id: session?.session.id, session }));
    return this.pawl;
  }

  types() {
    return this.heard.map((h) => h.type);
  }

  environment() {
    const { world, options } = this;
    const env = {
      now: () => world.ms + this.offset - this.skipped,
      setTimeout: (run, ms) => world.at(ms, () => this.awake(run)),
      clearTimeout: (timer) => world.cancel(timer),
      random: this.random,
      key: () => `key-${Math.floor(this.random() * 1e12)}`,
      fetch: (input, init) => world.send(this, input, init),
      storage: this.storage(),
      locks: options.locks === false ? undefined : (options.locks ?? this.locks()),
      channel: options.channel === false ? undefined : (options.channel ?? ((name) => this.port(name))),
      events: this.events,
      location: { origin: ORIGIN, pathname: "/notes", search: "?page=2", hash: "#3", assign: (url) => this.visited.push(url) },
      base: () => ORIGIN + "/notes",
    };
    return env;
  }

  storage() {
    const { world, options } = this;
    if (options.storage === false) return undefined;
    const guard = () => {
      if (options.storage === "throws") throw new DOMException("blocked", "SecurityError");
      if (options.storage === "full") throw new DOMException("full", "QuotaExceededError");
    };
    const changed = (key) => {
      for (const tab of world.tabs) if (tab !== this) world.at(2, () => tab.awake(() => tab.events.dispatchEvent(Object.assign(new Event("storage"), { key }))));
    };
    return {
      getItem: (key) => {
        if (options.storage === "throws") guard();
        return world.disk.get(key) ?? null;
      },
      setItem: (key, value) => {
        guard();
        world.disk.set(key, String(value));
        changed(key);
      },
      removeItem: (key) => {
        if (options.storage === "throws") guard();
        world.disk.delete(key);
        changed(key);
      },
    };
  }

  locks() {
    const { world } = this;
    return {
      request: (name, run) => {
        const before = world.held ?? Promise.resolve();
        const mine = before.then(() => run());
        world.held = mine.catch(() => {});
        return mine;
      },
    };
  }

  port(name) {
    const { world } = this;
    const port = {
      name,
      tab: this,
      onmessage: null,
      postMessage: (data) => {
        this.posted.push(data);
        for (const other of world.ports)
          if (other !== port && other.name === name) {
            const copy = structuredClone(data);
            world.at(1 + world.random() * 3, () => other.tab.awake(() => world.ports.has(other) && other.onmessage?.({ data: copy })));
          }
      },
      close: () => world.ports.delete(port),
    };
    world.ports.add(port);
    return port;
  }
}
