// Toasts with undo, dialogs, drafts of what was typed, copying, and a session that ended.
import { $, $$, copyText, each, send, word } from './lib.js';

let clock = 0;
/** Says what happened; with `undo` ({url, values}) it can be taken back for ten seconds. */
export const toast = ({ text, undo }) => {
  const box = $('.toasts');
  if (!box) return;
  box.textContent = ''; clearTimeout(clock);
  const el = document.createElement('div'); el.className = 'toast'; el.append(text);
  let left = 10; const count = document.createElement('span'); count.className = 'left mono';
  if (undo) {
    const back = document.createElement('button'); back.className = 'btn small'; back.type = 'button'; back.textContent = word('undo');
    back.onclick = async () => { el.remove(); await answered(await send(undo.url, undo.values)); };
    el.append(back, count);
  }
  box.append(el);
  const tick = () => {
    count.textContent = `${left} s`;
    if (!el.isConnected) return;
    if (!el.matches(':hover, :focus-within')) left--;
    if (left < 0) el.remove(); else clock = setTimeout(tick, 1000);
  };
  tick();
};

/** What an answer asks for outside of what htmx swaps: toasts, fresh rows. */
export const answered = async response => {
  if (response.status === 401) return ended();
  const asked = response.headers.get('hx-trigger');
  if (asked) for (const [name, detail] of Object.entries(JSON.parse(asked))) document.body.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
  return response;
};
document.addEventListener('toast', event => toast(event.detail));
document.addEventListener('refresh', () => {
  const rows = $('#rows');
  if (rows) window.htmx.ajax('GET', location.pathname + location.search, { target: '#rows', select: '#rows', swap: 'outerHTML' });
});

// a session that ended asks for the password in place; what was typed stays
let waiting = null;
const ended = () => { const dialog = $('#signin'); if (dialog && !dialog.open) dialog.showModal(); };
document.addEventListener('htmx:beforeSwap', event => {
  const status = event.detail.xhr.status;
  if (status === 401) { waiting = event.detail.requestConfig; event.detail.shouldSwap = false; ended(); }
  if (status === 422 || status === 403 || status === 404 || status === 409) { event.detail.shouldSwap = true; event.detail.isError = false; }
});
document.addEventListener('submit', async event => {
  const form = event.target;
  if (form.id !== 'signin-form') return;
  event.preventDefault();
  const answer = await send('/console/again', Object.fromEntries(new FormData(form)));
  if (answer.status === 202) { form.flow.value = await answer.text(); form.code.parentElement.hidden = false; form.code.focus(); return; }
  if (!answer.ok) { $('.err span', form).textContent = await answer.text(); $('.err', form).hidden = false; return; }
  document.body.dataset.seal = await answer.text();
  $$('input[name=seal]').forEach(input => (input.value = document.body.dataset.seal));
  form.reset(); $('#signin').close();
  if (waiting) { const { verb, path, elt } = waiting; waiting = null; if (elt?.isConnected) window.htmx.ajax(verb, path, { source: elt }); }
});
document.addEventListener('htmx:configRequest', event => { event.detail.headers['x-seal'] = document.body.dataset.seal || ''; });
// a moment is typed in the reader's own time zone, and sent in Unix seconds
document.addEventListener('htmx:configRequest', event => {
  for (const input of $$('input[type=datetime-local]', event.detail.elt)) if (input.value) event.detail.parameters[input.name] = Math.floor(new Date(input.value) / 1000);
});
document.addEventListener('htmx:sendError', () => { const note = $('#away'); if (note) note.hidden = false; });
document.addEventListener('htmx:afterRequest', event => { const note = $('#away'); if (note && event.detail.xhr.status) note.hidden = true; });

// dialogs, and links that are asked about first
document.addEventListener('click', async event => {
  const at = what => event.target.closest(what);
  const opener = at('[data-dialog]'), shut = at('[data-shut]'), copy = at('[data-copy]'), secret = at('[data-secret]');
  if (opener) $(`#${opener.dataset.dialog}`)?.showModal();
  if (shut) shut.closest('dialog').close();
  if (copy) { const source = copy.dataset.copy ? $(copy.dataset.copy) : null; if (await copyText(source?.dataset.whole || source?.innerText || copy.dataset.text || '')) said(copy); }
  if (secret) {
    const ticked = secret.closest('.batch')?.querySelector('input[name=ids]');
    const answer = await answered(await send(secret.dataset.secret, ticked ? { ids: ticked.value } : {}));
    if (answer?.ok) { const text = await answer.text(); await copyText((secret.dataset.before || '') + text + (secret.dataset.after || '')); said(secret); }
  }
});
document.addEventListener('click', event => { if (event.target instanceof HTMLDialogElement) event.target.close(); });
document.addEventListener('click', event => { if (event.target.closest?.('[data-print]')) window.print(); });
// a form whose answer goes into a dialog opens it when it is sent
document.addEventListener('submit', event => { if (event.target.dataset.opens) $(`#${event.target.dataset.opens}`)?.showModal(); });

// a list fills a field: what stands there stays
document.addEventListener('click', event => {
  const fill = event.target.closest('[data-fill]');
  if (!fill) return;
  const field = $(fill.dataset.fill), mark = field instanceof HTMLTextAreaElement ? '\n' : ', ';
  const words = text => text.split(/[\n,]+/).map(word => word.trim()).filter(Boolean);
  field.value = [...new Set([...words(field.value), ...words(fill.dataset.text)])].join(mark);
  field.dispatchEvent(new Event('input', { bubbles: true })); field.focus();
});
// a column of a comparison is chosen whole
document.addEventListener('click', event => {
  const take = event.target.closest('[data-take]');
  if (!take) return;
  const which = take.dataset.take;
  for (const radio of $$('input[type=radio]', take.closest('form'))) if (which ? radio.dataset.source === which : !radio.value) radio.checked = true;
});
// a search narrows the boxes of a list, or the fields of a form with their heads
document.addEventListener('input', event => {
  const { narrow, narrowOf } = event.target.dataset || {};
  if (!narrow) return;
  const list = $(narrow), word = event.target.value.trim().toLowerCase();
  for (const one of $$(narrowOf || 'label', list)) one.hidden = !`${one.textContent} ${$('[name]', one)?.name || ''}`.toLowerCase().includes(word);
  for (const head of $$('h3', list)) head.hidden = !!word;
});
// a long form folds what is not set into one line each, until somebody asks for it
each(root => {
  for (const form of $$('form[data-folds]', root)) for (const field of $$('.field', form)) {
    const input = $('input, textarea', field), label = $('label', field);
    if (!input || !label || $('.unfold', field) || input.value || input.required || input.type === 'checkbox' || $('.err', field) || field.closest('fieldset, .two')) continue;
    field.classList.add('folded');
    const open = () => { field.classList.remove('folded'); input.focus(); };
    const button = document.createElement('button'); button.type = 'button'; button.className = 'unfold'; button.textContent = label.firstChild.textContent.trim();
    button.addEventListener('click', open); field.prepend(button);
  }
});
// what was changed in a form of one setting can be kept; before there is nothing to keep
document.addEventListener('input', event => event.target.closest?.('.setrow form')?.classList.add('typed'));
const said = button => {
  const label = $('span', button);
  if (!label) { toast({ text: word('copied') }); return; }
  const was = label.textContent; label.textContent = word('copied'); setTimeout(() => (label.textContent = was), 1600);
};

// a dialog over a drawer: an id that stands twice is changed in the dialog, with the label and the hint that name it
each(root => {
  if (!root.closest?.('dialog')) return;
  for (const el of $$('[id]', root)) {
    const was = el.id;
    if ($$(`[id="${was}"]`).length < 2) continue;
    el.id = `d-${was}`;
    for (const name of ['for', 'aria-describedby']) $$(`[${name}="${was}"]`, root).forEach(one => one.setAttribute(name, el.id));
  }
});

// a form that was refused comes back: the next key goes to the first field that is wrong
each(root => $('[aria-invalid=true]', root)?.focus());

// drafts: what was typed into a form with data-draft comes back after a reload
each(root => {
  for (const form of $$('form[data-draft]', root)) {
    const key = `draft ${form.dataset.draft}`;
    const typed = $$('input:not([type=hidden],[type=password],[type=checkbox],[type=radio]), textarea', form);
    try {
      const kept = JSON.parse(sessionStorage.getItem(key) || '{}');
      for (const input of typed) if (kept[input.name] !== undefined && !input.value) input.value = kept[input.name];
    } catch { /* no storage: no drafts */ }
    form.addEventListener('input', () => { try { sessionStorage.setItem(key, JSON.stringify(Object.fromEntries(typed.map(i => [i.name, i.value])))); } catch { /* as above */ } });
    form.addEventListener('htmx:afterRequest', event => { if (event.detail.successful) try { sessionStorage.removeItem(key); } catch { /* as above */ } });
  }
});
document.addEventListener('htmx:afterRequest', event => {
  const form = event.detail.elt;
  if (form.matches?.('dialog form') && event.detail.successful && event.detail.xhr.getResponseHeader('x-done')) form.closest('dialog').close();
});
