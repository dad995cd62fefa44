// The token in a cookie that script writes.
(() => {
	const show = async () => {
		const answer = await fetch("/api/me");
		document.getElementById("who").textContent = answer.ok ? (await answer.json()).name : "";
	};
	document.getElementById("signin").onsubmit = async (event) => {
		event.preventDefault();
		const { username, password } = event.target;
		const answer = await fetch("/login", {
			method: "POST", headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ username: username.value, password: password.value }),
		});
		if (answer.ok) document.cookie = "token=" + (await answer.json()).access_token + "; Path=/; Max-Age=604800; Secure";
		show();
	};
	document.getElementById("signout").onclick = () => { document.cookie = "token=; Path=/; Max-Age=0"; show(); };
	document.body.dataset.asked = "";
})();
