// The tokens in a storage of the browser, which the first line names.
(() => {
	const call = (method, path, body) => fetch(path, {
		method,
		headers: { "Content-Type": "application/json", Authorization: "Bearer " + storage.getItem("access_token") },
		body: body && JSON.stringify(body),
	});
	const keep = (tokens) => {
		storage.setItem("access_token", tokens.access_token);
		if (tokens.refresh_token) storage.setItem("refresh_token", tokens.refresh_token);
	};
	const show = async () => {
		const answer = await call("GET", "/api/me");
		document.getElementById("who").textContent = answer.ok ? (await answer.json()).name : "";
		// A link sends no header, so the token goes into its address.
		document.getElementById("statement").href = "/statement?token=" + storage.getItem("access_token");
	};
	const renew = async () => {
		const answer = await fetch("/refresh", {
			method: "POST", headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ refresh_token: storage.getItem("refresh_token") }),
		});
		if (answer.ok) keep(await answer.json());
	};
	document.getElementById("signin").onsubmit = async (event) => {
		event.preventDefault();
		const { username, password } = event.target;
		const answer = await fetch("/login", {
			method: "POST", headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ username: username.value, password: password.value }),
		});
		if (answer.ok) keep(await answer.json());
		show();
	};
	document.getElementById("pay").onsubmit = (event) => {
		event.preventDefault();
		call("POST", "/transfer", { to: event.target.to.value });
	};
	document.getElementById("signout").onclick = () => { storage.clear(); show(); };
	addEventListener("renew", renew); // in place of the hour for which a token is good
	// Whoever waits for the page knows from this that it greets whom it will.
	(storage.getItem("access_token") ? show() : Promise.resolve()).then(() => { document.body.dataset.asked = ""; });
})();
