// What spares a click, and nothing that a page needs.

/** Adds a button that shows what is typed into a password field. */
export function addReveal(box, document) {
  const input = box.querySelector("input");
  const button = document.createElement("button");
  button.type = "button";
  const set = (shown) => {
    input.type = shown ? "text" : "password";
    button.textContent = shown ? box.dataset.hide : box.dataset.show;
    button.setAttribute("aria-label", shown ? box.dataset.hideLabel : box.dataset.showLabel);
    button.setAttribute("aria-controls", input.id);
  };
  set(false);
  button.addEventListener("click", () => {
    set(input.type === "password");
    input.focus();
  });
  box.append(button);
  // A browser offers to keep what was typed into a field of type password only.
  input.form.addEventListener("submit", () => set(false));
}

/**
 * Lets a form be sent once, until the page is shown again. If the answer leads
 * nowhere, the page stays: then it may be sent again after a while.
 */
export function guard(form, window, within = 10000) {
  const buttons = form.querySelectorAll("button[type=submit]");
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) {
      event.preventDefault();
      return;
    }
    sent = true;
    for (const button of buttons) button.setAttribute("aria-disabled", "true");
    window.setTimeout(ready, within);
  });
  const ready = () => {
    sent = false;
    for (const button of buttons) button.removeAttribute("aria-disabled");
  };
  window.addEventListener("pageshow", ready);
}

if (typeof document !== "undefined") {
  for (const box of document.querySelectorAll("[data-secret]")) addReveal(box, document);
  for (const form of document.querySelectorAll("form[data-guarded]")) guard(form, window);
}
