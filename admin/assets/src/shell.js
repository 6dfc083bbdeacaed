// The frame: command palette, theme and density, keys of the whole console.
import { $, $$, each, send } from './lib.js';
import { close, openFocused, walk } from './rows.js';

// palette: rows come from the server, ranked there
const palette = $('dialog.palette');
if (palette) {
  const input = $('input', palette), list = $('ul', palette);
  let at = 0, asked = 0;
  const links = () => $$('a', list);
  const mark = () => links().forEach((link, i) => { link.classList.toggle('on', i === at); link.id = `pal-${i}`; input.setAttribute('aria-activedescendant', `pal-${at}`); });
  const ask = async () => {
    const mine = ++asked;
    const answer = await fetch(`/console/palette?q=${encodeURIComponent(input.value)}`, { headers: { 'hx-request': 'true' } });
    if (mine === asked && answer.ok) { list.innerHTML = await answer.text(); at = 0; mark(); }
  };
  const open = () => { if (palette.open) return; palette.showModal(); input.value = ''; ask(); };
  input.addEventListener('input', ask);
  input.addEventListener('keydown', event => {
    const all = links(), step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && all.length) { event.preventDefault(); at = (at + step + all.length) % all.length; mark(); all[at].scrollIntoView({ block: 'nearest' }); }
    if (event.key === 'Enter') { event.preventDefault(); all[at]?.click(); }
  });
  document.addEventListener('click', event => { if (event.target.closest('[data-palette]')) open(); });
  addEventListener('keydown', event => { if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') { event.preventDefault(); open(); } });
}

document.addEventListener('click', event => {
  const view = event.target.closest('[data-view]');
  if (!view) return;
  const [name, value] = view.dataset.view.split('=');
  send('/console/view', { [name]: value }).then(() => location.reload());
});

// single letters work outside of fields alone
const places = { d: '', c: 'channels', l: 'logs', e: 'documents', r: 'releases', p: 'playground', k: 'keys', u: 'users', m: 'models', s: 'settings' };
let going = 0;
addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const typing = event.target.closest?.('input:not([type=checkbox]), textarea, select, [contenteditable], .cm-editor');
  if (event.key === 'Escape' && !$('dialog[open]') && !typing) close();
  if (typing || $('dialog[open]')) return;
  if (going && places[event.key] !== undefined) { location.href = `/console/${places[event.key]}`; return; }
  going = 0;
  const keys = {
    '/': () => $('.search input')?.focus(), '?': () => $('#keymap')?.showModal(), j: () => walk(1), k: () => walk(-1), J: () => walk(1, true), K: () => walk(-1, true),
    g: () => { going = setTimeout(() => (going = 0), 1200); }, x: () => press('.sel input'), t: () => press('[data-key=t]'), o: () => press('[data-key=o]'),
    e: () => document.activeElement.closest?.('tr')?.querySelector('input.cell')?.focus(), u: () => $('.toast button')?.click(), Enter: openFocused,
    '[': () => tab(-1), ']': () => tab(1),
  };
  const act = keys[event.key];
  if (act && act() !== false && event.key !== 'Enter') event.preventDefault();
});
const press = what => document.activeElement.closest?.('tr')?.querySelector(what)?.click();
const tab = step => {
  const tabs = $$('.drawer [role=tab]'), at = tabs.findIndex(one => one.getAttribute('aria-selected') === 'true');
  if (tabs.length) tabs[(at + step + tabs.length) % tabs.length].click();
};

// the bell counts what was not opened yet, in this browser
const bell = $('.bell'), news = $('#m-bell');
if (bell && news) {
  const ids = $$('[data-n]', news).map(one => one.dataset.n), count = $('.n', bell);
  const seen = () => { try { return JSON.parse(localStorage.getItem('news seen') || '[]'); } catch { return ids; } };
  const fresh = ids.filter(id => !seen().includes(id)).length;
  count.textContent = fresh; count.hidden = !fresh;
  news.addEventListener('toggle', event => { if (event.newState === 'open') { count.hidden = true; try { localStorage.setItem('news seen', JSON.stringify(ids)); } catch { /* no storage: it counts again */ } } });
}

// a filter is a form that sends itself; empty fields do not stand in the address
document.addEventListener('htmx:configRequest', event => {
  if (event.detail.verb !== 'get') return;
  for (const [name, value] of Object.entries(event.detail.parameters)) if (value === '') delete event.detail.parameters[name];
});
each(root => { for (const el of $$('[data-width]', root)) el.style.width = `${el.dataset.width}%`; });
document.body.dataset.ready = '';

// moments in the reader's own time zone
each(root => {
  for (const time of $$('time[data-t]', root)) {
    const at = new Date(time.getAttribute('datetime'));
    time.textContent = time.dataset.t === 'day' ? at.toLocaleDateString(document.documentElement.lang, { year: 'numeric', month: 'short', day: 'numeric' }) : at.toLocaleTimeString(document.documentElement.lang, { hourCycle: 'h23' });
    time.title = at.toLocaleString(document.documentElement.lang);
  }
});

// links that open a client with a key filled in; the key goes into the link at the click
document.addEventListener('click', async event => {
  const button = event.target.closest('[data-chat]');
  if (!button) return;
  const answer = await send(button.dataset.chatKey);
  if (!answer.ok) return;
  const key = await answer.text(), address = location.origin, pack = btoa(JSON.stringify({ id: 'gatewright', baseUrl: address, apiKey: key }));
  location.href = button.dataset.chat.replaceAll('{key}', encodeURIComponent(key)).replaceAll('{address}', encodeURIComponent(address)).replaceAll('{cherryConfig}', encodeURIComponent(pack));
});
