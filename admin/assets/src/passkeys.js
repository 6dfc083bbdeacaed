// Passkeys: a form with data-passkey asks the browser for one before it is sent; and the proof before a dangerous act.
import { $, $$, send } from './lib.js';

const raw = text => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), char => char.charCodeAt(0));
const packed = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

/** The options of a ceremony as the browser takes them: what is base64url becomes bytes. */
const taken = ({ publicKey: { ...options } }) => {
  options.challenge = raw(options.challenge);
  if (options.user) options.user = { ...options.user, id: raw(options.user.id) };
  for (const name of ['excludeCredentials', 'allowCredentials']) if (options[name]) options[name] = options[name].map(one => ({ ...one, id: raw(one.id) }));
  return { publicKey: options };
};

/** A ceremony whose options begin at `url`: gives what has to be sent back; throws what is told to the person. */
const ceremony = async (url, values) => {
  const answer = await proved(url, values);
  if (!answer.ok) throw new Error(await answer.text());
  const { options, flow_token } = await answer.json(), asked = taken(options);
  const made = await (asked.publicKey.user ? navigator.credentials.create(asked) : navigator.credentials.get(asked));
  const response = { transports: made.response.getTransports?.() };
  for (const name of ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle']) if (made.response[name]) response[name] = packed(made.response[name]);
  const credential = { id: made.id, rawId: packed(made.rawId), type: made.type, authenticatorAttachment: made.authenticatorAttachment, response };
  return { flow_token, credential: JSON.stringify(credential) };
};
const tell = (root, error) => { const line = $('.err', root); $('span', line).textContent = error.message; line.hidden = false; };

document.addEventListener('submit', async event => {
  const form = event.target;
  if (!form.dataset?.passkey) return;
  event.preventDefault();
  $('.err', form).hidden = true;
  try {
    const values = await ceremony(form.dataset.passkey, Object.fromEntries(new FormData(form)));
    for (const [name, value] of Object.entries(values)) {
      const input = form.elements[name] || form.appendChild(Object.assign(document.createElement('input'), { type: 'hidden', name }));
      input.value = value;
    }
    if (form.hasAttribute('hx-post')) form.dispatchEvent(new Event('passkey')); else form.submit();
  } catch (error) { tell(form, error); }
});

/** Asks for a second factor; gives the proof, or nothing where the person does not want to. */
const stepUp = asked => new Promise(done => {
  const dialog = $('#stepup'), form = $('form', dialog), [scope, ...methods] = asked.split(' ');
  for (const part of $$('[data-method]', form)) part.hidden = !methods.includes(part.dataset.method);
  form.reset(); $('.err', form).hidden = true;
  let proof = '';
  const take = async work => {
    try {
      const answer = await work();
      const text = await answer.text();
      if (!answer.ok) throw new Error(text);
      proof = text; dialog.close();
    } catch (error) { tell(form, error); }
  };
  form.onsubmit = event => { event.preventDefault(); take(() => send('/console/proof', { scope, code: form.code.value })); };
  $('button[data-method=passkey]', form).onclick = () => take(async () => send('/console/proof/finish', await ceremony('/console/proof/begin', { scope })));
  dialog.onclose = () => done(proof);
  dialog.showModal();
});

/** POST as `send` does; where a proof is asked for, it is got, and the same is sent again. */
const proved = async (url, values) => {
  const answer = await send(url, values), asked = answer.headers.get('x-proof');
  const proof = asked && await stepUp(asked);
  return proof ? send(url, values, { 'x-security-proof': proof }) : answer;
};

// the same for what htmx sends
document.addEventListener('htmx:beforeSwap', async event => {
  const { xhr, requestConfig: { verb, path, elt } } = event.detail, asked = xhr.getResponseHeader('x-proof');
  if (!asked) return;
  event.detail.shouldSwap = false;
  const proof = await stepUp(asked);
  if (!proof || !elt?.isConnected) return;
  const confirmed = elt.getAttribute('hx-confirm');
  elt.removeAttribute('hx-confirm');  // that was asked before
  await window.htmx.ajax(verb, path, { source: elt, headers: { 'x-security-proof': proof } });
  if (confirmed) elt.setAttribute('hx-confirm', confirmed);
});
