// Keeps a page signed in with Pawl. No token is ever seen here: they are in
// cookies that no script can read. What is decided here is only when to ask.
//
// Correctness is the server's: it answers a renewal again as often as need be.
// Locks, storage and channels spare it work; each may be missing, or throw.

const ANSWER = 15e3; // ms; the server counts on it that nobody waits longer for an answer
const LOCK = 5e3; // ms that a tab waits for the others before it goes on without the lock
const LATE = 10e3; // ms; a timer that is later than that has slept
const MARGIN = 10e3; // ms before the end of the access life from which on requests wait for a renewal
const LEFT = "out:"; // begins what storage holds while a sign-out is owed to the server

/**
 * When to renew, in ms of this tab's monotonic clock: not before refreshAt, at
 * dueAt if there is reason to. The document counts in whole seconds from now,
 * rounded down. At 60 % of the access life refresh_in is
 * over; 70 % of what is left then ends just before 90 %. What is known of the
 * same token keeps its moment, however often the document is read.
 */
export function plan(doc, now, random, known) {
  const refreshAt = now + (doc.refresh_in && doc.refresh_in + 1) * 1e3;
  const expiresAt = now + doc.access_expires_in * 1e3;
  const drawn = known?.dueAt >= refreshAt && known.dueAt < expiresAt;
  const dueAt = drawn ? known.dueAt : refreshAt + random * 0.7 * Math.max(0, expiresAt - refreshAt);
  return { refreshAt, dueAt, expiresAt };
}

/** How long to wait after so many failures, in ms: never less than Retry-After says, in seconds. */
export const backoff = (failures, random, retryAfter) =>
  Math.max(retryAfter > 0 ? retryAfter : 0, Math.min(64, 2 ** failures)) * (1 + random / 2) * 1e3;

/** Only this ends a session for a client: no other failure, and no other 401. */
export const refused = (answer) => answer.status === 401 && answer.body.code === "login_required";

/** Whether a request can be sent twice: what is a stream, or may be one, cannot. */
export const repeatable = (input, { body = null } = {}) =>
  body === null
    ? typeof input !== "object" || input instanceof URL || input.body === null || safe(input.method)
    : typeof body === "string" ||
      ArrayBuffer.isView(body) ||
      [ArrayBuffer, Blob, FormData, URLSearchParams].some((type) => body instanceof type);

/** Whether a request of that method changes nothing (RFC 9110 §9.2.1). */
const safe = (method) => ["GET", "HEAD", "OPTIONS"].includes(method.toUpperCase());

const attempt = (work) => {
  try {
    return work();
  } catch {}
};

/** Waits for work, or for the caller to give up. Work goes on for others. */
const until = (work, signal) => {
  if (!signal) return work;
  let stop;
  const given = new Promise((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
  });
  return Promise.race([work, given]).finally(() => signal.removeEventListener("abort", stop));
};

const platform = () => ({
  fetch: (...request) => fetch(...request),
  now: () => performance.now(),
  setTimeout: (...timer) => setTimeout(...timer),
  clearTimeout: (timer) => clearTimeout(timer),
  random: Math.random,
  key: () => crypto.randomUUID(),
  storage: attempt(() => localStorage),
  locks: attempt(() => navigator.locks),
  channel: (name) => new BroadcastChannel(name),
  events: globalThis,
  location: globalThis.location,
  base: () => document.baseURI,
});

export function createPawl({ prefix = "/auth", settle = 75, ...given } = {}) {
  const env = { ...platform(), ...given };
  const name = "pawl:" + prefix;
  const listeners = new Set();
  const flights = new Set();
  const timers = {};
  let known; // the session and its moments; undefined: not known; null: signed out
  let active = false; // something was done since the last renewal
  let turns = 0; // how often the cookies are known to have changed
  let epoch = 0; // what was begun in an earlier one is not listened to
  let failures = 0;
  let retryAt = 0;
  let gone, trouble, renewing, asking, leaving, disposed;

  // Storage holds one item: the Idempotency-Key of the next renewal, or that a
  // sign-out is owed. The key is replaced when its renewal is answered, minutes
  // before it is needed, so tabs that renew at once send the same one. A tab that
  // finds another key than it knows has missed a renewal.
  const read = () => attempt(() => env.storage.getItem(name)) ?? null;
  const write = (value) => attempt(() => env.storage.setItem(name, value));
  const clear = () => attempt(() => env.storage.removeItem(name));
  const keyNow = () => read() ?? (write(env.key()), read());
  const owed = () => (read()?.startsWith(LEFT) ? read().slice(LEFT.length) : undefined);

  const channel = attempt(() => env.channel(name));
  const tell = (message) => attempt(() => channel.postMessage(message));
  const emit = (type, session = null) => {
    for (const listener of listeners) Promise.resolve().then(() => listener(type, session));
  };

  const arm = (kind, at, run, slept) => {
    env.clearTimeout(timers[kind]);
    if (disposed) return;
    timers[kind] = env.setTimeout(
      () => {
        const late = env.now() - at;
        // After a sleep the network is not there yet, and all tabs wake at once.
        if (late < 0) arm(kind, at, run, slept);
        else if (late > LATE && !slept) arm(kind, env.now() + env.random() * 3e3, run, true);
        else run();
      },
      Math.min(1e9, Math.ceil(at - env.now())),
    );
  };

  /** Gives up what is under way. */
  const halt = () => {
    epoch++;
    for (const flight of flights) flight.abort();
    for (const kind in timers) env.clearTimeout(timers[kind]);
  };

  const call = async (method, path, headers) => {
    const flight = new AbortController();
    const timer = env.setTimeout(() => flight.abort(), ANSWER);
    const leaves = path === "/logout";
    if (!leaves) flights.add(flight);
    try {
      const answer = await env.fetch(prefix + path, {
        method,
        headers,
        signal: flight.signal,
        cache: "no-store",
        keepalive: leaves,
        redirect: "error",
        // So that the request says which origin made it, whatever the page's policy.
        referrerPolicy: "same-origin",
      });
      const body = (await answer.json().catch(() => null)) ?? {};
      return { status: answer.status, after: +answer.headers.get("Retry-After"), body, doc: answer.ok && body.session ? body : undefined };
    } catch {
      return { status: 0, body: {} }; // no network, or no answer in time
    } finally {
      env.clearTimeout(timer);
      flights.delete(flight);
    }
  };

  const failed = ({ status, body }) => Object.assign(new Error("pawl: " + (body.detail ?? "no answer")), { status, code: body.code });

  const fail = (answer) => {
    trouble = failed(answer);
    retryAt = env.now() + backoff(failures++, env.random(), answer.after);
    if (known) arm("renew", Math.max(known.dueAt, retryAt), due);
    else if (owed() !== undefined) arm("renew", retryAt, ask);
  };

  /** Takes a session document, our own or one that another tab tells of. */
  const learn = ({ user, session, access_expires_in, refresh_in, csrf_token }, key, renewed, told) => {
    // An answer from before a sign-out; if it brought cookies, they go, too.
    if (session.id === gone) return told || known || leave();
    const doc = { user, session, access_expires_in, refresh_in, csrf_token };
    const before = known;
    const same = before?.doc.session.id === session.id;
    if (before && !same) {
      gone = before.doc.session.id;
      halt();
    }
    known = { doc, key, ...plan(doc, env.now(), env.random(), same && before) };
    renewed ||= same && known.expiresAt > before.expiresAt + ANSWER;
    failures = retryAt = 0;
    trouble = undefined;
    arm("renew", known.dueAt, due);
    if (same && !renewed) return;
    turns++;
    active &&= !renewed;
    emit(same ? "renewed" : "signed-in", doc);
    if (told) return;
    tell({ doc, key });
    // The server wants to see the new cookies in use, once they are surely on disk.
    if (renewed) arm("settle", env.now() + (settle + 1) * 1e3, confirm);
  };

  /** The session is over, here. */
  const over = (type, id = known?.doc.session.id) => {
    const before = known;
    halt();
    gone = id ?? gone;
    known = null;
    trouble = undefined;
    if (before || type === "signed-out") emit(type);
  };

  const overElsewhere = (type, id) => {
    if (known !== null && (!id || !known || known.doc.session.id === id)) over(type, id || undefined);
  };

  /** Sees a sign-out of another tab, also where tabs cannot talk. */
  const check = () => {
    const id = owed();
    if (id !== undefined) overElsewhere("signed-out", id);
  };

  const due = () => {
    if (known && active && env.now() >= Math.max(known.dueAt, retryAt)) renew(known.key);
  };

  const touch = () => {
    check();
    active = true;
    due();
  };

  const locked = (work) =>
    new Promise((resolve) => {
      let begun;
      const go = () => {
        env.clearTimeout(timer);
        resolve((begun ??= work()));
        return begun;
      };
      const timer = env.setTimeout(go, LOCK);
      attempt(() => env.locks.request(name, go).catch(go)) ?? go();
    });

  const renew = (seen) =>
    (renewing ??= locked(() => turn(seen)).finally(() => {
      renewing = undefined;
    }));

  /** One renewal, by whoever knows of the key that was seen. */
  const turn = async (seen) => {
    check();
    if (disposed || known === null || env.now() < Math.max(retryAt, known?.refreshAt ?? 0)) return;
    const now = epoch;
    const key = keyNow();
    if (!key || key !== seen) {
      // Another tab may have renewed.
      const answer = await call("GET", "/session");
      if (now !== epoch) return;
      if (answer.doc) learn(answer.doc, key);
      else if (!refused(answer)) return fail(answer);
      if (now !== epoch || answer.doc?.refresh_in > 0) return;
    }
    const answer = await call("POST", "/refresh", key ? { "Idempotency-Key": key } : {});
    check();
    if (now !== epoch) {
      // Signed out meanwhile: what this has brought must go, too.
      if (known === null && answer.status === 200) await leave();
    } else if (answer.doc) {
      if (key && read() === key) write(env.key());
      learn(answer.doc, read(), true);
    } else if (refused(answer)) {
      if (read() === key) clear();
      if (known) tell({ ended: known.doc.session.id });
      over("ended");
    } else fail(answer);
  };

  const ask = () =>
    (asking ??= inquire().finally(() => {
      asking = undefined;
    }));

  const inquire = async () => {
    check();
    if (disposed || env.now() < retryAt) return;
    const now = epoch;
    const seen = keyNow();
    const answer = await call("GET", "/session");
    if (now !== epoch) return;
    const left = owed();
    if (left !== undefined) {
      // A sign-out is owed, unless somebody has signed in since.
      if (!left || answer.doc?.session.id === left || refused(answer)) return leave();
      if (answer.doc) clear();
    }
    if (answer.doc) return learn(answer.doc, left === undefined ? seen : keyNow());
    if (!refused(answer)) return fail(answer);
    // Whatever was known of the access token, it is not good any more.
    if (known) known.refreshAt = known.dueAt = known.expiresAt = 0;
    else known = undefined; // whoever was signed out may have signed in again
    await renew(seen);
  };

  const confirm = async () => {
    const now = epoch;
    const { doc } = await call("GET", "/session");
    if (doc && now === epoch && known) learn(doc, known.key);
  };

  const leave = () =>
    (leaving ??= call("POST", "/logout")
      .then((answer) => {
        if (answer.status !== 204) fail(answer);
        else if (owed() !== undefined) clear();
        return answer.status === 204;
      })
      .finally(() => {
        leaving = undefined;
      }));

  const hear = ({ data: { doc, key, out, ended, hush } }) => {
    if (hush) {
      halt();
      if (known) arm("renew", known.dueAt, due);
    } else if (doc) learn(doc, key, false, true);
    else overElsewhere(ended ? "ended" : "signed-out", ended ?? out);
  };

  const watched = { pointerdown: touch, keydown: touch, wheel: touch, focus: touch, storage: check };
  for (const type in watched) attempt(() => env.events.addEventListener(type, watched[type], { capture: true, passive: true }));
  if (channel) channel.onmessage = hear;

  const pawl = {
    async fetch(input, init = {}) {
      const signal = init.signal ?? input.signal;
      const kept = (init.credentials ?? input.credentials) !== "omit";
      if (!kept || new URL(input.url ?? input, env.base()).origin !== env.location.origin) return env.fetch(input, init);
      const unsafe = !safe(init.method ?? input.method ?? "GET");
      touch();
      if (known && env.now() > Math.max(known.expiresAt - MARGIN, known.refreshAt)) await until(renew(known.key), signal);
      else if (known === undefined || owed() !== undefined) {
        const asked = ask();
        if (unsafe || known === null) await until(asked, signal);
      }

      const send = () => {
        const headers = new Headers(init.headers ?? input.headers);
        if (unsafe && known?.doc.csrf_token) headers.set("X-Pawl-CSRF", known.doc.csrf_token);
        // Whoever has signed out is nobody, although the server was not told yet.
        return env.fetch(input, { ...init, headers, ...(owed() !== undefined && { credentials: "omit" }) });
      };
      const again = repeatable(input, init);
      const before = turns;
      const user = known?.doc.user.id;
      const answer = await send();
      if (answer.status !== 401 || known === null) return answer;
      const problem = await answer.clone().json().catch(() => ({}));
      if (problem?.code && problem.code !== "login_required") return answer;
      if (turns === before) await until(known && env.now() >= known.refreshAt ? renew(known.key) : ask(), signal);
      // If all is well now, somebody renewed while this was on its way. And nobody's
      // request is repeated as somebody else's.
      return again && known && (turns !== before || (problem?.code && !trouble)) && (user ?? known.doc.user.id) === known.doc.user.id ? send() : answer;
    },

    async session() {
      await ask();
      if (known === null && (!trouble || owed() !== undefined)) return null;
      if (!known || trouble) throw trouble ?? failed({ status: 0, body: {} });
      return known.doc;
    },

    async devices() {
      const answer = await pawl.fetch(prefix + "/sessions");
      const body = await answer.json().catch(() => ({}));
      if (!answer.ok) throw failed({ status: answer.status, body });
      return body.sessions;
    },

    signIn({ returnTo, confirm } = {}) {
      const { pathname, search, hash } = env.location;
      halt();
      tell({ hush: true });
      const query = new URLSearchParams({ return_to: returnTo ?? pathname + search + hash, ...(confirm && { confirm: 1 }) });
      env.location.assign(prefix + "/signin?" + query);
    },

    async signOut() {
      const id = known?.doc.session.id ?? owed() ?? "";
      write(LEFT + id);
      tell({ out: id });
      over("signed-out", id || undefined);
      return leave();
    },

    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    dispose() {
      disposed = true;
      halt();
      known = undefined;
      listeners.clear();
      attempt(() => channel.close());
      for (const type in watched) attempt(() => env.events.removeEventListener(type, watched[type], { capture: true }));
    },
  };
  return pawl;
}
