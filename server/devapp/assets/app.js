// The session: what the server says of it, and what two renewals do to it. No
// token is ever seen here; the cookies that hold them are HttpOnly.

const byId = (id) => document.getElementById(id);
const main = document.querySelector("main");
const path = (below) => main.dataset.prefix + below;
const teeth = 12; // of the picture
const numbered = 5; // generations that keep their number on it

let generation = Number(main.dataset.generation);
let ends = null; // of what is counted down, by the clock of performance.now()
let over = false; // the session has ended
let recorded = []; // events, oldest first

/** Asks our own site. Returns status, body and when the server answered. */
async function ask(where, options = {}) {
  const answer = await fetch(where, {
    credentials: "same-origin",
    cache: "no-store",
    // So that the request says which origin made it, whatever the page's policy.
    referrerPolicy: "same-origin",
    signal: AbortSignal.timeout(15000),
    ...options,
  });
  const text = await answer.text();
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    // Not every answer has a body.
  }
  return { status: answer.status, body, date: Date.parse(answer.headers.get("Date") ?? "") };
}

function tell(kind, title, text, signIn = false) {
  byId("outcome").className = `outcome live ${kind}`.trim();
  byId("outcome-title").textContent = title;
  byId("outcome-text").textContent = text;
  byId("outcome-link").hidden = !signIn;
}

/** "4:09", "13 d 23 h": of seconds, never less than nothing. */
function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s >= 86400) return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
}

/** Takes in a session document. Only durations count: clocks are not compared. */
function note({ body, date }) {
  const now = performance.now() / 1000;
  ends = {
    access: now + body.access_expires_in,
    refresh: now + body.refresh_in,
    idle: now + (Date.parse(body.session.idle_expires_at) - date) / 1000,
  };
  tick();
}

function tick() {
  if (over || !ends) return;
  const now = performance.now() / 1000;
  byId("access").textContent = ends.access > now ? duration(ends.access - now) : "expired; reload";
  byId("refresh").textContent = ends.refresh > now ? duration(ends.refresh - now) : "now";
  byId("idle").textContent = duration(ends.idle - now);
}

/** Turns the picture to a generation. */
function draw(to) {
  if (to !== generation) {
    main.classList.remove("turning");
    void main.offsetWidth; // so that the pawl is lifted anew
    main.classList.add("turning");
  }
  generation = to;
  byId("generation").textContent = byId("count").textContent = String(to);
  byId("ratchet-name").textContent = `A ratchet wheel, held by a pawl at generation ${to}`;
  byId("wheel").style.transform = `rotate(${(to * 360) / teeth}deg)`;
  for (const text of document.querySelectorAll("#wheel text")) {
    // The newest generation that is on this tooth.
    const on = to - ((((to - Number(text.dataset.slot)) % teeth) + teeth) % teeth);
    text.textContent = on > 0 && to - on < numbered ? String(on) : "";
    text.classList.toggle("newest", on === to);
  }
}

function showEvents(events) {
  recorded = events;
  byId("events").replaceChildren(
    ...events.toReversed().map((e) => {
      const line = document.createElement("li");
      const name = document.createElement("code");
      name.textContent = e.type;
      const parts = [];
      if (e.reason) parts.push(`reason ${e.reason}`);
      if (e.generation) parts.push(`${e.type === "session_started" ? "" : "by the token of "}generation ${e.generation}`);
      line.append(name, parts.length > 0 ? ` · ${parts.join(", ")}` : "");
      line.classList.toggle("alarm", e.type === "session_ended");
      return line;
    }),
  );
}

/** Asks for generation and events, and shows them. */
async function look() {
  const state = await ask("/dev/state");
  if (state.status !== 200) return state.status;
  draw(state.body.generation);
  showEvents(state.body.events);
  byId("replay").disabled = state.body.previous === 0;
  byId("replay").title = state.body.previous === 0 ? "There is no previous token yet. Renew first." : "";
  return 200;
}

async function refreshAll() {
  const doc = await ask(path("/session"));
  if (doc.status === 200) note(doc);
  return look();
}

function end(title, text) {
  over = true;
  main.classList.add("ended");
  byId("unit").textContent = "ended";
  byId("ratchet-name").textContent = "A ratchet wheel that was stopped: the session has ended";
  for (const id of ["access", "refresh", "idle"]) byId(id).textContent = "ended";
  for (const id of ["renew", "replay"]) byId(id).disabled = true;
  tell("bad", title, text, true);
}

async function renew() {
  const before = generation;
  const doc = await ask(path("/refresh"), { method: "POST", headers: { "Idempotency-Key": crypto.randomUUID() } });
  if (doc.status === 401) {
    end("This session is over.", "The server asks to sign in again. It tells nobody why: the reason is in its log.");
    return;
  }
  if (doc.status !== 200) {
    tell("bad", "The server could not renew now.", `It answered ${doc.status} ${doc.body.code ?? ""}. Nothing is lost: try again in a moment.`);
    return;
  }
  note(doc);
  await look(); // which also is the first use of what the renewal brought
  if (generation > before) {
    tell("good", `Turned to generation ${generation}.`, `Both tokens are new. The tokens of generation ${before} are of no more use to you, and an alarm to whoever kept them.`);
    return;
  }
  tell(
    "",
    `Renewed, and not turned: still generation ${generation}.`,
    "The access token is fresh, the refresh token the same. A session turns at most once in its turn interval (75 s unless configured), " +
      "so that many tabs, a retry or a crash right after a renewal never sign you out. The session document asks browsers to renew " +
      `in ${duration(doc.body.refresh_in)}, well after that. To see every renewal turn, start the server with: pawl serve --dev --strict`,
  );
}

async function replay() {
  const { status, body } = await ask("/dev/replay", { method: "POST" });
  if (status === 409) {
    tell("", "There is no previous token yet.", "Renew until the wheel has turned: then the token before is one that a thief could have.");
    return;
  }
  if (status !== 200) {
    tell("bad", "The thief could not be played.", `The server answered ${status} ${body.code ?? ""}. If the access token has expired, renew or reload first.`);
    return;
  }
  const ended = body.events.find((e) => e.type === "session_ended");
  if (ended) {
    const mine = await ask(path("/session"));
    showEvents([...recorded, ...body.events]);
    const out = `Your own newest token is refused too now (${mine.status}), on every server, within a second. You sign in again; the thief cannot.`;
    if (ended.reason === "shadow") {
      end("Theft noticed. The session has ended.", `Too many of the last generations had their previous token come again, each from another attempt: somebody renews beside you. ${out} Recorded as ${ended.type}, reason ${ended.reason}.`);
      return;
    }
    end("Theft noticed. The session has ended.", `The refresh token of generation ${body.presented} came, although generation ${body.newest} is in use: two people hold this login, and nobody can tell which is you. ${out} Recorded as ${ended.type}, reason ${ended.reason}.`);
    return;
  }
  await look();
  if (body.status !== 200) {
    tell("", "Refused.", `The answer was ${body.status} ${body.code ?? ""}. Nothing changed for you.`);
    return;
  }
  const counted = body.events.some((e) => e.reason === "late");
  tell(
    "",
    `Answered with generation ${body.newest} once more${counted ? ", and counted" : ""}.`,
    `To the server this looks like you, whose answer was lost: until it has seen generation ${body.newest} in use by a token that has settled (75 s old unless configured), the token before may come again. ` +
      "That is what keeps honest users signed in; once it is seen, the same replay raises the alarm, and so does every fourth of eight. To see it at once: pawl serve --dev --strict",
  );
}

/** Runs what a button does, once at a time. */
function onPress(id, action) {
  const button = byId(id);
  button.addEventListener("click", async () => {
    if (button.disabled) return;
    const buttons = ["renew", "replay"].map(byId);
    const were = buttons.map((b) => b.disabled);
    for (const b of buttons) b.disabled = true;
    try {
      await action();
    } catch {
      tell("bad", "No answer came.", "Is the server still running? Nothing is lost: try again.");
    }
    if (over) return;
    for (const [i, b] of buttons.entries()) b.disabled = were[i];
    look().catch(() => {}); // whether there is a previous token now
  });
}

onPress("renew", renew);
onPress("replay", replay);
document.addEventListener("renewed", async () => {
  const before = generation;
  await refreshAll().catch(() => {});
  if (generation > before) tell("good", `Turned to generation ${generation}.`, "The look through the script’s eyes included a renewal: it turned the wheel, and did not see what came.");
});
setInterval(tick, 1000);
refreshAll().catch(() => tell("bad", "No answer came.", "Is the server still running?"));
