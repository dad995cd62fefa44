// All that this page knows about the session it has from pawl.js, and no token
// ever comes by here. What users wrote becomes text, never markup.
import { createPawl } from "/auth/pawl.js";

const auth = createPawl();
const $ = (id) => document.getElementById(id);
const say = (text) => ($("status").textContent = text);

const list = (id, texts) =>
  $(id).replaceChildren(
    ...texts.map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      return item;
    }),
  );

// By auth.fetch: it renews in time, proves that this page asks, and repeats
// what came too late.
async function notes(init) {
  const answer = await auth.fetch("/api/notes", init);
  if (answer.ok) list("notes", await answer.json());
  else if (answer.status !== 401) say(await answer.text());
  return answer.ok;
}

async function devices() {
  const all = await auth.devices();
  list("devices", all.map((d) => d.device + (d.current ? ", here" : "")));
}

/** Shows whose page this is. Without a session, nothing of anybody's is left. */
function show(session) {
  $("somebody").hidden = !session;
  $("nobody").hidden = Boolean(session);
  if (session) return Promise.all([notes(), devices()]).catch(() => say("No answer. Try again later."));
  for (const id of ["notes", "devices"]) list(id, []);
  $("add").reset();
}

// In whatever tab it happened.
auth.onChange((change, session) => {
  if (change === "renewed") return say(`Signed in as ${session.user.username}, renewed at ${new Date().toLocaleTimeString()}.`);
  if (change === "signed-in") say(`Signed in as ${session.user.username}.`);
  if (change === "signed-out") say("You have signed out.");
  if (change === "ended") say("Your session has ended.");
  show(session);
});

$("sign-in").onclick = () => auth.signIn(); // and back here

$("sign-out").onclick = async () => {
  if (!(await auth.signOut())) say("You have signed out here. The server will know when you are online again.");
};

$("add").onsubmit = async (event) => {
  event.preventDefault();
  const text = $("add").elements.text;
  const headers = { "Content-Type": "application/json" };
  const kept = await notes({ method: "POST", headers, body: JSON.stringify({ text: text.value }) }).catch(() => say("No answer. Try again."));
  if (kept === true) text.value = "";
};

try {
  if (!(await auth.session())) {
    say("Nobody is signed in.");
    show(null);
  }
} catch {
  say("No answer. Load this page again later.");
}
