// The spec editor: CodeMirror over the compiler's own diagnostics, and the live view of every hop as one types.
import { autocompletion, completionKeymap, closeBrackets } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { HighlightStyle, bracketMatching, foldGutter, foldKeymap, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { forceLinting, lintGutter, lintKeymap, setDiagnostics } from '@codemirror/lint';
import { highlightSelectionMatches, searchKeymap } from '@codemirror/search';
import { EditorState } from '@codemirror/state';
import { Decoration, EditorView, MatchDecorator, ViewPlugin, drawSelection, highlightActiveLine, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { $, $$, send } from './lib.js';

const page = $('#ed'), host = $('#v-text'), title = page.dataset.title;
const data = name => JSON.parse($(`#${name}`)?.textContent || '{}');
const given = data('doc-text'), samples = data('samples');

const jinja = new MatchDecorator({ regexp: /\{\{[^}]*\}\}|\{%[^%]*%\}/g, decoration: () => Decoration.mark({ class: 'j' }) });
const expressions = ViewPlugin.fromClass(class {
  constructor(view) { this.decorations = jinja.createDeco(view); }
  update(update) { this.decorations = jinja.updateDeco(update, this.decorations); }
}, { decorations: plugin => plugin.decorations });
const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], class: 'k' }, { tag: tags.string, class: 's' }, { tag: [tags.number, tags.bool, tags.null], class: 'd' }, { tag: tags.comment, class: 'c' },
]);
const theme = EditorView.theme({
  '&': { height: '100%', fontSize: '13px', background: 'var(--panel)', color: 'var(--ink)' }, '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '21px' },
  '.cm-gutters': { background: 'var(--panel)', color: 'var(--ink-3)', border: '0' }, '.cm-activeLine': { background: 'var(--hover)' }, '.cm-activeLineGutter': { background: 'none', color: 'var(--ink)' },
  '.cm-cursor': { borderLeftColor: 'var(--ink)' }, '&.cm-focused': { outline: 'none' }, '.cm-tooltip': { background: 'var(--raised)', border: '0', boxShadow: 'var(--pop)', borderRadius: 'var(--r2)', color: 'var(--ink)' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { background: 'var(--accent-2)', color: 'var(--ink)' }, '.cm-selectionBackground, &.cm-focused .cm-selectionBackground': { background: 'var(--accent-2) !important' },
  '.cm-panels': { background: 'var(--sunken)', color: 'var(--ink)' }, '.cm-diagnostic-error': { borderLeftColor: 'var(--dot-bad)' }, '.cm-diagnostic-warning': { borderLeftColor: 'var(--dot-warn)' }, '.cm-searchMatch': { background: 'var(--warn-2)' },
});

// completion: keys that stand in the document or its neighbours, names of filters after a bar
const filters = ['default', 'length', 'lower', 'upper', 'matches', 'first', 'last', 'map', 'select', 'reject', 'join', 'split', 'replace', 'trim', 'tojson', 'fromjson', 'int', 'float', 'string', 'items', 'keys', 'values', 'merge', 'without', 'only', 'rename'];
const keys = ['apiVersion', 'kind', 'metadata', 'name', 'labels', 'extends', 'spec', 'tests', 'baseUrl', 'auth', 'scheme', 'formats', 'models', 'requestPatches', 'when', 'drop', 'rename', 'set', 'errors', 'discover', 'channels', 'groups', 'priority', 'weight', 'provider', 'credential', 'secretRef', 'rules', 'aliases', 'input', 'output', '$if', '$each', '$switch', '$use', '$let', '$merge'];
const complete = context => {
  const bar = context.matchBefore(/\|\s*\w*/);
  if (bar) return { from: bar.from + bar.text.search(/\w|$/), options: filters.map(label => ({ label, type: 'function' })) };
  const word = context.matchBefore(/[$\w]+/);
  if (!word && !context.explicit) return null;
  const own = [...new Set([...context.state.doc.toString().matchAll(/^\s*-?\s*([$\w]+):/gm)].map(match => match[1]))];
  return { from: word ? word.from : context.pos, options: [...new Set([...own, ...keys])].map(label => ({ label, type: 'property', apply: `${label}: ` })) };
};

let editor = null, timer = 0, asked = 0, last = null, before = {}, hop = 0, typed = false;
if (host && title) {
  editor = new EditorView({
    parent: host,
    state: EditorState.create({
      doc: given.text,
      extensions: [
        EditorView.cspNonce.of(document.body.dataset.nonce), lineNumbers(), foldGutter(), lintGutter(), history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), highlightActiveLine(), highlightSelectionMatches(),
        autocompletion({ override: [complete] }), yaml(), syntaxHighlighting(colours), expressions, theme, EditorView.contentAttributes.of({ 'aria-label': title, tabindex: '0' }),
        EditorState.readOnly.of(host.dataset.locked !== undefined), EditorView.editable.of(host.dataset.locked === undefined),
        keymap.of([{ key: 'Mod-s', run: () => { look(0); return true; }, preventDefault: true }, { key: 'Mod-Enter', run: () => { $('#publish').click(); return true; } }, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...completionKeymap, ...lintKeymap, indentWithTab]),
        EditorView.updateListener.of(update => { if (update.docChanged) { typed = true; $('#kept').textContent = '…'; look(220); } }),
      ],
    }),
  });
}

const look = wait => { clearTimeout(timer); timer = setTimeout(ask, wait); };
const ask = async () => {
  const mine = ++asked, began = performance.now();
  const form = { title: typed ? title : '', typed: typed ? '1' : '', text: typed ? editor.state.doc.toString() : '', source: $('#lv-source').value, target: $('#lv-target').value, side: $('#lv-what').value, message: $('#lv-message').value };
  const answer = await send('/console/documents/live', form);
  if (mine !== asked) return;
  if (!answer.ok) { $('#kept').textContent = JSON.parse(answer.headers.get('hx-trigger') || '{}').toast?.text || `${answer.status}`; return; }
  const told = await answer.json();
  if (typed) $('#kept').textContent = page.dataset.keep;
  $('#set').textContent = told.changes.join(', ');
  $('#lv-time').textContent = `${Math.round(performance.now() - began)} ms`;
  faults(told); show(told);
};

// the compiler's faults at their places; a quick fix where it knows the nearest right name
const faults = told => {
  const errors = told.faults.filter(fault => fault.severity === 'error');
  const state = $('#compiles'); state.className = `st ${errors.length ? 'bad' : 'ok'}`; state.textContent = errors.length ? `${errors.length} ${page.dataset.faults}` : page.dataset.compiles;
  $('#publish').disabled = errors.length > 0 || !told.changes.length;
  const list = $('#problems');
  if (!list) return;
  list.textContent = '';
  $('#n-problems').textContent = told.faults.length || '';
  if (!told.faults.length) { const row = document.createElement('li'); row.className = 'dim'; row.textContent = page.dataset.clean; list.append(row); }
  const own = told.faults.filter(fault => fault.document === title || (fault.file || '').endsWith(title));
  for (const fault of told.faults.slice(0, 50)) {
    const row = document.createElement('li'), text = document.createElement('span'), place = document.createElement('code');
    row.innerHTML = `<svg class="${fault.severity === 'error' ? 'bad' : 'warn'}" width="14" height="14" aria-hidden="true"><use href="${$('.brand use').getAttribute('href').replace('gate', fault.severity === 'error' ? 'bad' : 'warn')}"/></svg>`;
    text.textContent = fault.message; place.textContent = `${fault.file}:${fault.line}:${fault.column}`; row.append(text);
    if (fault.nearest && own.includes(fault)) {
      const fix = document.createElement('button'); fix.className = 'btn small'; fix.type = 'button'; fix.textContent = `${page.dataset.nearest} ${fault.nearest}`;
      fix.onclick = () => repair(fault); row.append(fix);
    }
    row.append(place);
    row.onclick = () => { if (own.includes(fault) && editor) { const line = editor.state.doc.line(Math.min(fault.line, editor.state.doc.lines)); editor.dispatch({ selection: { anchor: Math.min(line.from + fault.column - 1, line.to) }, scrollIntoView: true }); editor.focus(); } };
    list.append(row);
  }
  if (!editor) return;
  const marks = own.map(fault => {
    const line = editor.state.doc.line(Math.max(1, Math.min(fault.line || 1, editor.state.doc.lines))), from = Math.min(line.from + (fault.column || 1) - 1, line.to);
    return { from, to: Math.max(from, Math.min(line.to, from + (fault.found ? fault.found.length : line.length))), severity: fault.severity === 'error' ? 'error' : 'warning', message: fault.message, actions: fault.nearest ? [{ name: `${page.dataset.nearest} ${fault.nearest}`, apply: () => repair(fault) }] : [] };
  });
  editor.dispatch(setDiagnostics(editor.state, marks));
};
const repair = fault => {
  const line = editor.state.doc.line(fault.line), start = line.text.indexOf(fault.found || '', Math.max(0, fault.column - 1));
  const wrong = fault.found && start >= 0 ? fault.found : (line.text.slice(fault.column - 1).match(/[\w.$-]+/) || [''])[0];
  const from = line.from + (fault.found && start >= 0 ? start : fault.column - 1);
  editor.dispatch({ changes: { from, to: from + wrong.length, insert: fault.nearest } }); editor.focus();
};

// hops: each step of the message; lines that changed since the text that was open at first are marked
const show = told => {
  const note = $('#lv-note'), words = told.refused || (told.ok === false ? page.dataset.stale : '');
  note.hidden = !words; $('div', note).textContent = words;
  if (told.steps) {
    if (!last) before = Object.fromEntries(told.steps.map(step => [step.name, pretty(step.value)]));
    last = told;
  }
  if (!last) return;
  const rail = $('#lv-rail'); rail.textContent = '';
  last.steps.forEach((step, i) => {
    const tab = document.createElement('button'), name = document.createElement('b'), what = document.createElement('small'), lines = compare(step);
    const count = lines.filter(line => line.kind).length;
    tab.type = 'button'; tab.setAttribute('role', 'tab'); tab.setAttribute('aria-selected', i === hop); name.textContent = step.name;
    what.textContent = count ? `± ${count}` : `${lines.length}`; if (count) what.className = 'lost';
    tab.append(name, what); tab.onclick = () => { hop = i; show(last); }; rail.append(tab);
  });
  hop = Math.min(hop, last.steps.length - 1);
  $('#lv-name').textContent = last.steps[hop].name;
  const body = $('#lv-body'), message = $('#lv-message');
  message.hidden = hop > 0; body.hidden = hop === 0; body.textContent = '';
  let n = 0;
  for (const line of compare(last.steps[hop])) {
    const row = document.createElement('div'), number = document.createElement('i'), sign = document.createElement('i'), text = document.createElement('span');
    if (line.kind !== 'del') n++;
    row.className = line.kind || ''; number.textContent = line.kind === 'del' ? '' : n; sign.textContent = { add: '+', del: '−' }[line.kind] || ''; text.textContent = line.text; row.append(number, sign, text); body.append(row);
  }
  const lost = $('#lv-lost'); lost.textContent = '';
  $('#lv-lost-n').textContent = last.lost.length || '';
  for (const one of last.lost) { const row = document.createElement('li'), text = document.createElement('span'), place = document.createElement('code'); text.textContent = one.why; place.textContent = one.path; row.append(text, place); lost.append(row); }
  if (!last.lost.length) { const row = document.createElement('li'); row.className = 'dim'; row.textContent = page.dataset.none; lost.append(row); }
};
const pretty = value => JSON.stringify(value, null, 2) ?? '';
const compare = step => {
  const now = pretty(step.value).split('\n'), old = (before[step.name] ?? pretty(step.value)).split('\n');
  let head = 0; while (head < now.length && head < old.length && now[head] === old[head]) head++;
  let tail = 0; while (tail < now.length - head && tail < old.length - head && now[now.length - 1 - tail] === old[old.length - 1 - tail]) tail++;
  return [...now.slice(0, head).map(text => ({ text })), ...old.slice(head, old.length - tail).map(text => ({ text, kind: 'del' })), ...now.slice(head, now.length - tail).map(text => ({ text, kind: 'add' })), ...now.slice(now.length - tail).map(text => ({ text }))];
};

const sample = () => { $('#lv-message').value = JSON.stringify(samples[$('#lv-source').value] || samples['openai.chat'], null, 2); };
sample();
$('#lv-source').addEventListener('change', () => { sample(); last = null; ask(); });
$('#lv-own')?.addEventListener('change', async event => {
  const id = event.target.value;
  if (!id) { sample(); last = null; ask(); return; }
  const answer = await fetch(`/console/captures/${encodeURIComponent(id)}/request`);
  if (!answer.ok) return;
  const own = await answer.json();
  $('#lv-source').value = own.format; $('#lv-what').value = 'request'; $('#lv-message').value = pretty(own.body); last = null; ask();
});
$$('#lv-target, #lv-what').forEach(one => one.addEventListener('change', () => { last = null; ask(); }));
$('#lv-message').addEventListener('input', () => { last = null; look(300); });
$('#tree-find').addEventListener('input', event => {
  const word = event.target.value.toLowerCase();
  for (const group of $$('.tree details')) { let any = false; for (const link of $$('a', group)) { const fits = link.textContent.toLowerCase().includes(word); link.hidden = !fits; any ||= fits; } group.hidden = !any; if (word) group.open = any; }
});
$('.tree [aria-current]')?.scrollIntoView({ block: 'center' });
ask();
