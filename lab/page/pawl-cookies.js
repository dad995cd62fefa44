// Pawl's own client; it never sees a token.
import { createPawl } from "/auth/pawl.js";

const auth = createPawl({ prefix: "/auth" });
document.getElementById("pay").onsubmit = (event) => {
	event.preventDefault();
	auth.fetch("/transfer", {
		method: "POST", headers: { "Content-Type": "application/json" },
		body: JSON.stringify({ to: event.target.to.value }),
	});
};
document.getElementById("signout").onclick = () => auth.signOut();
addEventListener("renew", () => fetch("/auth/refresh", { method: "POST" })); // in place of refresh_in
document.body.dataset.asked = "";
