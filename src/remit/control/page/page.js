"use strict";
// What the two buttons do. Binary values travel as base64url, as in the JSON forms of Web Authentication, level 3.
const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const main = document.querySelector("main");
const said = document.querySelector("#said");
const buttons = document.querySelectorAll("button");

async function post(what, body) {
  const reply = await fetch(location.pathname + "/" + what, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  });
  const answer = await reply.json();
  if (!reply.ok) throw new Error(answer.error);
  return answer;
}

function withBytes(options) {
  options.challenge = bytes(options.challenge);
  for (const one of options.allowCredentials || options.excludeCredentials) one.id = bytes(one.id);
  if (options.user) options.user.id = bytes(options.user.id);
  return options;
}

function plain(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  return { id: credential.id, rawId: text(credential.rawId), type: credential.type, response };
}

async function prove() {
  const publicKey = withBytes(await post("ask", {}));
  await post("allow", plain(await navigator.credentials.get({ publicKey })));
  return "Allowed. You can close this page.";
}

async function add() {
  const publicKey = withBytes(await post("ask", {}));
  await post("add", plain(await navigator.credentials.create({ publicKey })));
  return "Added. You can close this page.";
}

async function click(button) {
  await post("click", { number: button.dataset.number });
  return "Allowed. You can close this page.";
}

async function refuse() {
  await post("refuse", {});
  return "Refused. You can close this page.";
}

const deeds = { prove, click, add, refuse };
for (const button of buttons) {
  button.addEventListener("click", async (event) => {
    if (!event.isTrusted) return; // a script's click is nobody's
    main.dataset.end = "waiting";
    buttons.forEach((one) => { one.disabled = true; });
    said.textContent = "Waiting…";
    try {
      said.textContent = await deeds[button.dataset.deed](button);
      main.dataset.end = "done";
    } catch (error) {
      said.textContent = "Not done: " + error.message;
      main.dataset.end = "failed";
      buttons.forEach((one) => { one.disabled = false; });
    }
  });
}

// A click that was meant for what lay here before counts for nothing: the page must have been seen for a moment.
const SEEN_MS = 600;
let seen;
function look() {
  clearTimeout(seen);
  if (main.dataset.end) return;
  buttons.forEach((one) => { one.disabled = true; });
  if (document.visibilityState !== "visible") return;
  seen = setTimeout(() => buttons.forEach((one) => { one.disabled = false; }), SEEN_MS);
}
document.addEventListener("visibilitychange", look);
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); }); // "back" asks control anew
look();
