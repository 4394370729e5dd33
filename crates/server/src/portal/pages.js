// Passkeys: hands the browser what our page holds, and sends back what it answers. Nothing else is done here.
"use strict";

const bytes = (text) => {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
};

const text = (buffer) => {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
};

const named = (list) => (list || []).map((each) => ({ ...each, id: bytes(each.id) }));

const asked = (options) => ({
  publicKey: {
    ...options,
    challenge: bytes(options.challenge),
    allowCredentials: named(options.allowCredentials),
  },
});

const made = (options) => ({
  publicKey: {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: named(options.excludeCredentials),
  },
});

const answer = (credential) => {
  const { response } = credential;
  const out = { clientDataJSON: text(response.clientDataJSON) };
  if (response.attestationObject) out.attestationObject = text(response.attestationObject);
  if (response.authenticatorData) out.authenticatorData = text(response.authenticatorData);
  if (response.signature) out.signature = text(response.signature);
  if (response.userHandle) out.userHandle = text(response.userHandle);
  if (response.getTransports) out.transports = response.getTransports();
  return { id: credential.id, rawId: text(credential.rawId), type: credential.type, response: out };
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (form.elements.answer.value) return;
    event.preventDefault();
    const told = form.querySelector("[role=status]");
    try {
      const options = JSON.parse(form.dataset.passkey);
      const credential = form.dataset.make
        ? await navigator.credentials.create(made(options.publicKey || options))
        : await navigator.credentials.get(asked(options.publicKey || options));
      form.elements.answer.value = JSON.stringify(answer(credential));
      form.submit();
    } catch (error) {
      told.textContent = "The passkey was not used: " + error.name + ".";
    }
  });
}
