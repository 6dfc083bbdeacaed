// Rows: editing in the cell, selection with the batch bar, the drawer beside them, walking by keys, tabs.
import { $, $$, each } from './lib.js';

document.addEventListener('focusin', event => {
  const cell = event.target.closest('input.cell');
  if (cell) { cell.dataset.was = cell.value; cell.select(); }
});
document.addEventListener('keydown', event => {
  const cell = event.target.closest?.('input.cell');
  if (!cell) return;
  if (event.key === 'Enter') cell.blur();
  if (event.key === 'Escape') { cell.value = cell.dataset.was; cell.blur(); event.stopPropagation(); }
});
document.addEventListener('htmx:afterRequest', event => {
  const cell = event.detail.elt;
  if (!cell.matches?.('input.cell')) return;
  if (event.detail.successful) { cell.classList.add('saved'); setTimeout(() => cell.classList.remove('saved'), 1400); } else cell.value = cell.dataset.was ?? cell.defaultValue;
});

const boxes = () => $$('td.sel input');
const count = () => {
  const bar = $('.batch'), ticked = boxes().filter(box => box.checked);
  boxes().forEach(box => box.closest('tr').setAttribute('aria-selected', box.checked));
  if (bar) { bar.hidden = !ticked.length; $('[data-n]', bar).textContent = ticked.length; $$('input[name=ids]', bar).forEach(input => (input.value = ticked.map(box => box.value).join(','))); }
  const all = $('th.sel input');
  if (all) { all.checked = ticked.length > 0 && ticked.length === boxes().length; all.indeterminate = ticked.length > 0 && !all.checked; }
};
document.addEventListener('change', event => {
  if (event.target.matches('th.sel input')) boxes().forEach(box => (box.checked = event.target.checked));
  if (event.target.matches('.sel input')) count();
});
document.addEventListener('click', event => {
  if (event.target.closest('[data-clear]')) { boxes().forEach(box => (box.checked = false)); count(); }
});

// the drawer: a row opens it, Esc closes it and gives the focus back
const drawer = () => $('.drawer:not([hidden])');
export const close = () => {
  const open = drawer();
  if (!open) return false;
  const at = $('tr.at');
  open.hidden = true; at?.classList.remove('at'); at?.focus();
  const back = open.dataset.back;
  if (back) history.pushState(null, '', back);
  return true;
};
const open = row => {
  $$('tr.at').forEach(other => other.classList.remove('at'));
  row.classList.add('at');
  window.htmx.ajax('GET', row.dataset.open, { target: '#drawer', swap: 'innerHTML' }).then(() => { history.pushState(null, '', row.dataset.open); $('#drawer .drawer h2')?.focus(); });
};
document.addEventListener('click', event => {
  const row = event.target.closest('tr[data-open]');
  if (row && !event.target.closest('input, button, a, label, select, summary')) open(row);
  if (event.target.closest('[data-close]')) close();
  const step = event.target.closest('[data-step]');
  if (step) walk(+step.dataset.step, true);
});
addEventListener('popstate', () => location.reload());

const rows = () => $$('tr[data-open]');
export const walk = (step, opening) => {
  const all = rows(), at = document.activeElement.closest?.('tr[data-open]') || $('tr.at');
  const next = all[Math.max(0, Math.min(all.length - 1, at ? all.indexOf(at) + step : 0))];
  if (!next) return;
  next.focus(); next.scrollIntoView({ block: 'nearest' });
  if (opening) open(next);
};
export const openFocused = () => { const row = document.activeElement.closest?.('tr[data-open]'); if (row && document.activeElement === row) { open(row); return true; } return false; };

each(root => {
  for (const row of $$('tr[data-open]', root)) row.tabIndex = 0;
  for (const list of $$('[role=tablist]', root)) {
    const tabs = $$('[role=tab]', list);
    const pick = tab => tabs.forEach(other => {
      const on = other === tab; other.setAttribute('aria-selected', on); other.tabIndex = on ? 0 : -1;
      const panel = document.getElementById(other.getAttribute('aria-controls')); if (panel) panel.hidden = !on;
    });
    tabs.forEach((tab, i) => {
      tab.onclick = () => pick(tab);
      tab.onkeydown = event => { const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]; if (step) { const next = tabs[(i + step + tabs.length) % tabs.length]; next.focus(); pick(next); } };
    });
    const wanted = new URLSearchParams(location.search).get('tab');
    pick(tabs.find(tab => wanted && tab.id === `t-${wanted}`) || tabs.find(tab => tab.getAttribute('aria-selected') === 'true') || tabs[0]);
  }
  count();
});

// which columns a table shows: chosen in a menu, kept in this browser; a rule of a sheet hides them, also in rows that come later
const sheet = new CSSStyleSheet();
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
const menu = $('[data-columns-of]');
if (menu) {
  const table = menu.dataset.columnsOf, key = `columns ${table}`;
  let off = [];
  try { off = JSON.parse(localStorage.getItem(key) || '[]'); } catch { /* no storage: all are shown */ }
  const heads = () => $$(`table[data-columns="${table}"] thead th`);
  const draw = () => sheet.replaceSync(off.map(i => `table[data-columns="${table}"] tr:not(.grp) > :nth-child(${i + 1}) { display: none !important }`).join(''));
  heads().forEach((head, i) => {
    const text = head.textContent.trim();
    if (!text || i < 2 || head.matches('.sel, .acts')) return;
    const label = document.createElement('label'), box = document.createElement('input');
    label.className = 'check'; box.type = 'checkbox'; box.checked = !off.includes(i);
    box.onchange = event => {
      event.stopPropagation(); off = box.checked ? off.filter(one => one !== i) : [...off, i]; draw();
      try { localStorage.setItem(key, JSON.stringify(off)); } catch { /* as above */ }
    };
    label.append(box, text); menu.append(label);
  });
  draw();
}
