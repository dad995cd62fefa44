// Pawl's tokens in variables; a page that is loaded anew signs in anew.
(() => {
	let access, refresh;
	const call = (method, path, body) => fetch(path, {
		method,
		headers: { "Content-Type": "application/json", Authorization: "Bearer " + access },
		body: body && JSON.stringify(body),
	});
	const keep = async (answer) => {
		if (answer.ok) ({ access_token: access, refresh_token: refresh } = await answer.json());
	};
	const form = (fields) => ({ method: "POST", body: new URLSearchParams({ ...fields, client_id: "app" }) });
	const show = async () => {
		const answer = await call("GET", "/api/me");
		document.getElementById("who").textContent = answer.ok ? (await answer.json()).name : "";
	};
	document.getElementById("signin").onsubmit = async (event) => {
		event.preventDefault();
		const { username, password } = event.target;
		await keep(await fetch("/auth/login", {
			method: "POST", headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ username: username.value, password: password.value, transport: "bearer", client_id: "app" }),
		}));
		show();
	};
	document.getElementById("pay").onsubmit = (event) => {
		event.preventDefault();
		call("POST", "/transfer", { to: event.target.to.value });
	};
	document.getElementById("statement").onclick = async (event) => {
		event.preventDefault();
		document.body.innerHTML = await (await call("GET", "/statement")).text();
	};
	document.getElementById("signout").onclick = async () => { await fetch("/auth/revoke", form({ token: refresh })); access = refresh = undefined; show(); };
	addEventListener("renew", async () => keep(await fetch("/auth/token", form({ grant_type: "refresh_token", refresh_token: refresh })))); // in place of refresh_in
	document.body.dataset.asked = "";
})();
