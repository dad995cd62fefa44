// Renews the session on the way to another page, and goes on there. It never
// sees a token: the cookies are HttpOnly.

/**
 * One attempt. The key is that of the page, so that a second attempt, or the
 * button, is known as the same one. Returns what happened: "renewed", "login"
 * (the session is over), "blocked" (the browser does not keep the cookies),
 * "busy" or "failed".
 */
export async function renew({ fetch, refresh, session, key, timeout = 15000 }) {
  const ask = (path, options) =>
    fetch(path, {
      credentials: "same-origin",
      redirect: "error",
      cache: "no-store",
      // So that the request says which origin made it, whatever the page's policy.
      referrerPolicy: "same-origin",
      signal: AbortSignal.timeout(timeout),
      ...options,
    });
  try {
    const answer = await ask(refresh, { method: "POST", headers: { "Idempotency-Key": key } });
    if (answer.status === 401) return "login";
    if (answer.status === 429 || answer.status === 503) return "busy";
    if (!answer.ok) return "failed";
    // Where cookies are not kept, going on would lead straight back here.
    const check = await ask(session, { method: "GET" });
    if (check.status === 401) return "blocked";
    return check.ok ? "renewed" : "failed";
  } catch {
    return "failed"; // no network, or no answer in time
  }
}

/**
 * Reports whether this tab came through for the same target a moment ago. Then
 * something sends it back here, and going on by itself would never end.
 */
export function circling(storage, target, now, within = 10000) {
  try {
    const [before, at] = JSON.parse(storage.getItem("pawl-renewal") ?? "[]");
    storage.setItem("pawl-renewal", JSON.stringify([target, now]));
    return before === target && now - at >= 0 && now - at < within;
  } catch {
    return false; // without storage, the limit on renewals ends it
  }
}

/**
 * The key of this attempt. Pages with pawl.js share one in storage until their
 * renewal is answered, and with it this page is one of them. An item that begins
 * "out:" is no key: a sign-out is owed to the server, and that is not for us.
 */
export function sharedKey(shared, name, own) {
  const key = attempt(() => shared.getItem(name));
  if (key?.startsWith("out:")) return own;
  if (/^[!-~]{16,99}$/.test(key ?? "")) return key;
  attempt(() => shared.setItem(name, own));
  return own;
}

/** After an answer, the next renewal gets another key. */
export function spend(shared, name, key, next) {
  attempt(() => shared.getItem(name) === key && shared.setItem(name, next));
}

const attempt = (work) => {
  try {
    return work();
  } catch {
    return null; // storage is refused
  }
};

/** Runs the page: shows one state at a time, and leaves it when it can. */
export async function run({ document, location, fetch, storage, shared, random, now }) {
  const card = document.getElementById("renewal");
  const form = card.querySelector("form");
  const { target } = card.dataset;
  const show = (state) => {
    for (const part of card.querySelectorAll("[data-when]")) part.hidden = part.dataset.when !== state;
  };
  // Loaded in advance it changes nothing, until somebody comes to see it.
  if (document.prerendering) await new Promise((seen) => document.addEventListener("prerenderingchange", seen, { once: true }));
  if (circling(storage, target, now())) return;
  show("working");
  const field = form.elements.namedItem("key");
  field.value = sharedKey(shared, card.dataset.shared, field.value); // the button's, too
  const outcome = await renew({ fetch, refresh: card.dataset.refresh, session: card.dataset.session, key: field.value });
  if (outcome === "renewed") spend(shared, card.dataset.shared, field.value, random());
  if (outcome === "renewed") location.replace(target);
  else if (outcome === "login") location.replace(card.dataset.signin);
  else show(outcome);
}

if (typeof document !== "undefined") {
  // Refused where cookies are: circling() says what then.
  const storage = attempt(() => sessionStorage);
  const shared = attempt(() => localStorage);
  run({ document, location, fetch: fetch.bind(globalThis), storage, shared, random: () => crypto.randomUUID(), now: Date.now });
}
