// Cookies that script cannot read: forms do the rest.
document.getElementById("signout").onclick = async () => { await fetch("/logout", { method: "POST" }); location.reload(); };
document.body.dataset.asked = "";
