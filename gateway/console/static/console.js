// Forms that a passkey must answer: data-steps names, in order, what is asked of it ("get" or "create") and where
// the options for that come from. The answer travels in the form's field "answer".
"use strict";

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const described = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

const ask = {
  async get(options) {
    const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials: described(options.allowCredentials) };
    const made = await navigator.credentials.get({ publicKey });
    const { clientDataJSON, authenticatorData, signature, userHandle } = made.response;
    return wrapped(made, {
      clientDataJSON: text(clientDataJSON),
      authenticatorData: text(authenticatorData),
      signature: text(signature),
      userHandle: userHandle ? text(userHandle) : undefined,
    });
  },
  async create(options) {
    const publicKey = {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: described(options.excludeCredentials),
    };
    const made = await navigator.credentials.create({ publicKey });
    const { clientDataJSON, attestationObject } = made.response;
    return wrapped(made, { clientDataJSON: text(clientDataJSON), attestationObject: text(attestationObject) });
  },
};

const wrapped = (made, response) =>
  JSON.stringify({ id: made.id, rawId: text(made.rawId), type: made.type, response, clientExtensionResults: {} });

const answerField = (form) => {
  const field = form.querySelector("input[name=answer]") || document.createElement("input");
  field.type = "hidden";
  field.name = "answer";
  form.append(field);
  return field;
};

const say = (message) => {
  const alert = document.getElementById("alert");
  alert.textContent = message;
  alert.hidden = !message;
};

async function answer(form) {
  const field = answerField(form);
  field.value = "";
  for (const step of form.dataset.steps.split(" ")) {
    const [kind, ...path] = step.split(":");
    const reply = await fetch(path.join(":"), {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams(new FormData(form)),
    });
    const options = await reply.json();
    if (!reply.ok) throw new Error(options.detail);
    field.value = await ask[kind](options);
  }
}

for (const form of document.querySelectorAll("form[data-steps]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const notes = document.getElementById("alert").dataset;
    const buttons = form.querySelectorAll("button");
    buttons.forEach((button) => (button.disabled = true));
    say(notes.asking);
    try {
      await answer(form);
      form.submit();
    } catch (error) {
      say(error instanceof DOMException ? notes.failed : error.message);
      buttons.forEach((button) => (button.disabled = false));
    }
  });
}
