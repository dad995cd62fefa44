// The access token in a variable, the refresh token in a cookie that script
// cannot read.
(() => {
	let token = JSON.parse(document.getElementById("session")?.textContent ?? "{}").access_token;
	const call = (method, path, body) => fetch(path, {
		method,
		headers: { "Content-Type": "application/json", Authorization: "Bearer " + token },
		body: body && JSON.stringify(body),
	});
	const show = async () => {
		const answer = await call("GET", "/api/me");
		document.getElementById("who").textContent = answer.ok ? (await answer.json()).name : "";
	};
	const renew = async () => {
		const answer = await fetch("/refresh", { method: "POST" });
		if (answer.ok) token = (await answer.json()).access_token;
	};
	document.getElementById("signin").onsubmit = async (event) => {
		event.preventDefault();
		const { username, password } = event.target;
		const answer = await fetch("/login", {
			method: "POST", headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ username: username.value, password: password.value }),
		});
		if (answer.ok) token = (await answer.json()).access_token;
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
	document.getElementById("signout").onclick = async () => { await fetch("/logout", { method: "POST" }); token = undefined; show(); };
	addEventListener("renew", renew); // in place of the hour for which a token is good
	(token ? show() : Promise.resolve()).then(() => { document.body.dataset.asked = ""; });
})();
