// Small tools that all modules share.
export const $ = (what, root = document) => root.querySelector(what);
export const $$ = (what, root = document) => [...root.querySelectorAll(what)];
export const word = name => document.body.dataset[name] || name;

const seal = () => document.body.dataset.seal || '';

/** POST of a form to the console; gives the answer. The seal proves that one of our own pages sent it. */
export const send = (url, values = {}, headers = {}) => {
  const body = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) body.append(name, value);
  return fetch(url, { method: 'POST', body, headers: { 'x-seal': seal(), 'hx-request': 'true', ...headers }, credentials: 'same-origin' });
};

/** Runs `work` for an element and whatever htmx puts in later. */
export const each = work => {
  work(document);
  document.addEventListener('htmx:load', event => work(event.detail.elt));
};

export const copyText = async text => {
  try { await navigator.clipboard.writeText(text); return true; } catch { /* not a secure origin: the old way */ }
  const area = document.createElement('textarea');
  area.value = text; area.className = 'vh'; document.body.append(area); area.select();
  const done = document.execCommand('copy'); area.remove(); return done;
};
