// The token in localStorage, as in most tutorials about single-page applications.
(() => {
	const call = (method, path, body) => fetch(path, {
		method,
		headers: { "Content-Type": "application/json", Authorization: "Bearer " + localStorage.getItem("access_token") },
		body: body && JSON.stringify(body),
	});
	const keep = (tokens) => {
		localStorage.setItem("access_token", tokens.access_token);
		if (tokens.refresh_token) localStorage.setItem("refresh_token", tokens.refresh_token);
	};
	const show = async () => {
		const answer = await call("GET", "/api/me");
		document.getElementById("who").textContent = answer.ok ? (await answer.json()).name : "";
	};
	const renew = async () => {
		const answer = await fetch("/refresh", {
			method: "POST", headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ refresh_token: localStorage.getItem("refresh_token") }),
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
	document.getElementById("signout").onclick = () => { localStorage.clear(); show(); };
	addEventListener("renew", renew); // in place of the hour for which a token is good
	if (localStorage.getItem("access_token")) show();
})();
