// The playground: one or two chats in any format, whose messages can be changed; the request that goes out and each hop.
import { $, $$, copyText, send } from './lib.js';
import { dialects, toolsOf } from './dialects.js';

const page = $('#pg'), talk = $('#talk'), request = $('#request');
const roles = JSON.parse(page.dataset.roles), words = JSON.parse(page.dataset.words);
/** What was said: {role, texts: one a column, image, facts: of each answer}. */
let turns = [], picture = '', running = null, edited = false;

const two = () => $('#two').getAttribute('aria-pressed') === 'true';
const value = id => $(`#${id}`)?.value.trim() || '';
const number = id => (value(id) ? +value(id).replace(',', '.') : undefined);
const models = () => (two() ? [value('model'), value('model2')] : [value('model')]);
const dialect = () => dialects[value('format')];
const textOf = (turn, column) => turn.texts[column] ?? turn.texts[0];
const chat = (model, column, more = []) => ({
  model, stream: $('#stream').checked, system: value('system'), temperature: number('temperature'), top_p: number('top_p'), most: number('most'), presence: number('presence'),
  frequency: number('frequency'), seed: number('seed'), effort: value('effort'), tools: toolsOf(value('tools')),
  turns: [...turns.filter(turn => textOf(turn, column)), ...more].map(turn => ({ role: turn.role, text: textOf(turn, column), image: turn.image })),
});
const typed = () => ({ role: 'user', texts: [$('#text').value || '…'], image: picture });
const preview = () => { if (!edited) request.value = JSON.stringify(dialect().body(chat(value('model'), 0, $('#text').value || !turns.length ? [typed()] : [])), null, 2); };

const el = (tag, cls, text) => { const made = document.createElement(tag); if (cls) made.className = cls; if (text) made.textContent = text; return made; };
const act = (word, work) => { const button = el('button', 'btn small bare', words[word]); button.type = 'button'; button.onclick = () => work(button); return button; };
const box = (turn, column) => {
  const mine = turn.role === 'user', at = el('article', mine ? 'ask' : 'ans'), head = el('header'), text = el('p', 'said', textOf(turn, column)), foot = el('footer');
  const role = el('button', 'role', turn.role === 'assistant' && turn.models ? turn.models[column] : roles[turn.role]); role.type = 'button'; role.title = words.role;
  role.onclick = () => { const names = Object.keys(roles); turn.role = names[(names.indexOf(turn.role) + 1) % names.length]; draw(); };
  const verbs = el('span', 'verbs');
  verbs.append(
    act('copy', () => copyText(textOf(turn, column))),
    act('edit', () => edit(at, turn, column)),
    act('retry', () => again(turn)),
    act('delete', () => { turns = turns.filter(other => other !== turn); draw(); }),
  );
  head.append(role, verbs); at.append(head, text);
  if (turn.image) { const image = el('img', 'pic'); image.src = turn.image; image.alt = ''; at.append(image); }
  if (!mine) at.append(foot);
  const view = { at, text, foot, thought: null, tool: null };
  const told = turn.facts?.[column];
  if (told) finish(view, told);
  return view;
};
const edit = (at, turn, column) => {
  const area = el('textarea', 'in'), save = el('button', 'btn small first', words.save), leave = el('button', 'btn small', words.cancel), row = el('div', 'acts-row');
  area.value = textOf(turn, column); area.rows = Math.min(12, area.value.split('\n').length + 1); area.setAttribute('aria-label', words.edit);
  save.type = leave.type = 'button'; save.onclick = () => { turn.texts[column] = area.value; if (turn.role === 'user') turn.texts = [area.value]; draw(); }; leave.onclick = draw;
  row.append(save, leave); $('.said', at).replaceWith(area, row); area.focus();
};
const again = turn => {
  if (running) return;
  const at = turns.indexOf(turn);
  turns = turns.slice(0, turn.role === 'assistant' ? at : at + 1);
  draw(); ask();
};
const draw = () => {
  $$(':scope > :not(#blank)', talk).forEach(one => one.remove());
  const blank = $('#blank'); if (blank) blank.hidden = turns.length > 0;
  for (const turn of turns) {
    if (turn.role === 'assistant' && turn.texts.length > 1) { const sides = el('div', 'sides'); turn.texts.forEach((_, column) => sides.append(box(turn, column).at)); talk.append(sides); } else talk.append(box(turn, 0).at);
  }
  preview();
};

const more = (view, name, text) => {
  if (name === 'thought' && !view.thought) { const d = el('details', 'think'); d.open = true; d.append(el('summary', '', words.thinking), el('p')); view.text.before(d); view.thought = $('p', d); }
  if (name === 'tool' && !view.tool) { view.tool = el('div', 'tool'); view.text.after(view.tool); }
  view[name === 'text' ? 'text' : name].textContent += text;
};
const finish = (view, told) => {
  if (told.thought && !view.thought) more(view, 'thought', told.thought);
  if (told.tool && !view.tool) more(view, 'tool', told.tool);
  if (told.failed && !$('.note', view.at)) { const note = el('div', 'note bad'); note.append(el('span', '', told.failed)); view.text.after(note); }
  view.foot.textContent = '';
  const parts = [`${told.seconds.toFixed(2)} s`, told.first ? `${page.dataset.first} ${Math.round(told.first)} ms` : '', told.usage ? `${told.usage.in ?? '—'} → ${told.usage.out ?? '—'} ${page.dataset.tokens}` : '', told.cost !== undefined ? `$${told.cost.toFixed(6)}` : '', told.channel || '', told.release ? `@${told.release}` : ''];
  view.foot.append(...parts.filter(Boolean).map(part => el('span', 'mono', part)));
  if (told.id) { const link = el('a', 'link end', told.id.slice(-8)); link.href = `/console/logs/${told.id}`; view.foot.append(link); }
};
const facts = told => {
  const list = $('#facts'), rows = [[page.dataset.first, told.first ? `${Math.round(told.first)} ms` : '—'], [words.total, `${told.seconds.toFixed(2)} s`], [words.cost, told.cost !== undefined ? `$${told.cost.toFixed(6)}` : ''], [words.channel, told.channel], [words.formats, (told.formats || []).join(' → ')], [words.losses, told.losses], [words.release, told.release], ['x-request-id', told.id]];
  list.textContent = '';
  for (const [name, text] of [...rows, ...Object.entries(told.usage?.all || {})]) if (text !== undefined && text !== '' && text !== null) list.append(el('dt', '', name), el('dd', 'mono', typeof text === 'object' ? JSON.stringify(text) : String(text)));
};
/** What the log knows a moment later: cost, channel, formats. */
const noted = async id => {
  for (let tries = 0; id && tries < 5; tries++) {
    await new Promise(done => setTimeout(done, 250 * (tries + 1)));
    const answer = await fetch(`/console/playground/facts/${id}`, { headers: { 'hx-request': 'true' } });
    const told = answer.ok ? await answer.json() : {};
    if ('cost' in told) return told;
  }
  return {};
};
/** What the documents make of the request on its way up. */
const hops = async (sent, formats) => {
  if (page.dataset.hops === undefined || formats.length < 1) return;
  const answer = await send('/console/documents/live', { source: formats[0], target: formats.at(-1), side: 'request', message: JSON.stringify(sent) });
  const told = answer.ok ? await answer.json() : {}, steps = told.steps || [], show = step => (step ? JSON.stringify(step.value, null, 2) : told.refused || '—');
  $('#hop-hub').textContent = show(steps.find(step => step.name.startsWith('hub')) || steps[1]);
  $('#hop-up').textContent = show(steps.at(-1));
};

const one = async (index, model, view, turn, stop) => {
  const speak = dialect(), began = performance.now(), sent = edited ? JSON.parse(request.value) : speak.body(chat(model, index));
  const told = (turn.facts[index] = { seconds: 0, first: 0, thought: '', tool: '', failed: '', usage: null });
  const take = event => {
    const said = speak.read(event), error = event.error || said.error;
    if (error) told.failed = error.message || JSON.stringify(error);
    if (said.usage) told.usage = { in: said.usage.in ?? told.usage?.in, out: said.usage.out ?? told.usage?.out, all: { ...told.usage?.all, ...said.usage.all } };
    if (said.text) { turn.texts[index] += said.text; more(view, 'text', said.text); }
    for (const name of ['thought', 'tool']) if (said[name]) { told[name] += said[name]; more(view, name, said[name]); }
  };
  let whole = '';
  try {
    const streams = edited ? sent.stream ?? $('#stream').checked : $('#stream').checked;
    const form = new URLSearchParams({ body: JSON.stringify(sent), path: speak.path(model, streams), group: value('group'), release: value(index ? 'release2' : 'release') });
    const answer = await fetch('/console/playground', { method: 'POST', body: form, headers: { 'x-seal': document.body.dataset.seal, 'hx-request': 'true' }, signal: stop });
    told.id = answer.headers.get('x-request-id') || '';
    const reader = answer.body.getReader(), decode = new TextDecoder(), events = (answer.headers.get('content-type') || '').includes('event-stream'); let rest = '';
    for (;;) {
      const { value: bytes, done } = await reader.read();
      if (done) break;
      told.first ||= performance.now() - began;
      const text = decode.decode(bytes, { stream: true }); whole += text;
      if (index === 0) $('#answer').textContent = whole;
      if (!events) continue;
      const lines = (rest + text).split('\n'); rest = lines.pop();
      for (const line of lines) if (line.startsWith('data:') && !line.includes('[DONE]')) take(JSON.parse(line.slice(5)));
      talk.scrollTop = talk.scrollHeight;
    }
    if (!events) { const data = JSON.parse(whole); take(data); if (index === 0) $('#answer').textContent = JSON.stringify(data, null, 2); }
  } catch (error) { told.failed = error.name === 'AbortError' ? page.dataset.stop : String(error.message || error); }
  told.seconds = (performance.now() - began) / 1000;
  finish(view, told);
  if (index === 0) facts(told);
  return async () => { Object.assign(told, await noted(told.id)); finish(view, told); if (index === 0) { facts(told); await hops(sent, told.formats || []); } };
};
const ask = async () => {
  const chosen = models(), stop = (running = new AbortController());
  if (!edited) request.value = JSON.stringify(dialect().body(chat(chosen[0], 0)), null, 2);
  const turn = { role: 'assistant', texts: chosen.map(() => ''), models: chosen, facts: [] }, views = [];
  const sides = el('div', chosen.length > 1 ? 'sides' : ''); talk.append(sides);
  chosen.forEach((_, column) => { const view = box(turn, column); views.push(view); sides.append(view.at); });
  $('#send').hidden = true; $('#stop').hidden = false;
  const after = await Promise.all(chosen.map((model, i) => one(i, model, views[i], turn, stop.signal)));
  turns.push(turn); running = null; $('#send').hidden = false; $('#stop').hidden = true; talk.scrollTop = talk.scrollHeight; $('#text').focus();
  for (const rest of after) rest();
};
const go = () => {
  const text = $('#text').value.trim();
  if ((!text && !edited) || running) return;
  if (text) turns.push({ role: 'user', texts: [text], image: picture });
  $('#text').value = ''; picture = ''; $('#attached').textContent = '';
  const blank = $('#blank'); if (blank) blank.hidden = true;
  if (text) talk.append(box(turns.at(-1), 0).at);
  ask();
};
$('#compose').addEventListener('submit', event => { event.preventDefault(); go(); });
$('#text').addEventListener('keydown', event => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); go(); } });
$('#stop').addEventListener('click', () => running?.abort());
$('#fresh').addEventListener('click', () => { if (!running) { turns = []; draw(); } });
const split = on => { $('#two').setAttribute('aria-pressed', on); $$('.second').forEach(part => (part.hidden = !on)); };
$('#two').addEventListener('click', () => split(!two()));
$('#raw-edit').addEventListener('click', event => { edited = !edited; event.currentTarget.setAttribute('aria-pressed', edited); request.readOnly = !edited; preview(); });
$('#file').addEventListener('change', event => { const file = event.target.files[0]; if (!file) return; const reader = new FileReader(); reader.onload = () => { picture = reader.result; $('#attached').textContent = file.name; preview(); }; reader.readAsDataURL(file); });
$$('[data-kept], #text').forEach(field => field.addEventListener('input', preview));

// sets of settings, by name, in this browser
const sets = () => { try { return JSON.parse(localStorage.getItem('playground sets') || '{}'); } catch { return {}; } };
const keep = all => { try { localStorage.setItem('playground sets', JSON.stringify(all)); } catch { /* no storage: nothing is kept */ } list(); };
const list = () => { const at = $('#pg-sets'); at.textContent = ''; for (const name of Object.keys(sets())) { const option = el('option'); option.value = name; at.append(option); } };
$('#set-keep').addEventListener('click', () => { const name = value('set'); if (name) keep({ ...sets(), [name]: { two: two(), ...Object.fromEntries($$('[data-kept]').map(field => [field.id, field.type === 'checkbox' ? field.checked : field.value])) } }); });
$('#set-drop').addEventListener('click', () => { const all = sets(); delete all[value('set')]; $('#set').value = ''; keep(all); });
$('#set').addEventListener('input', () => {
  const chosen = sets()[value('set')];
  if (!chosen) return;
  for (const field of $$('[data-kept]')) if (field.id in chosen) { if (field.type === 'checkbox') field.checked = chosen[field.id]; else field.value = chosen[field.id]; }
  split(chosen.two); preview();
});
list();

const python = (value, pad = '') => {
  if (Array.isArray(value)) return value.length ? `[${value.map(one => python(one, pad)).join(', ')}]` : '[]';
  if (value && typeof value === 'object') return `{${Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${python(one, pad)}`).join(', ')}}`;
  return value === true ? 'True' : value === false ? 'False' : value === null ? 'None' : JSON.stringify(value);
};
const as = {
  curl: (url, json) => `curl '${url}' -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d '${json.replaceAll("'", "'\\''")}'`,
  python: (url, json) => `import httpx\n\nanswer = httpx.post("${url}", headers={"Authorization": "Bearer KEY"}, json=${python(JSON.parse(json))}, timeout=300)\nprint(answer.text)`,
  javascript: (url, json) => `const answer = await fetch("${url}", {\n  method: "POST",\n  headers: { authorization: \`Bearer \${KEY}\`, "content-type": "application/json" },\n  body: JSON.stringify(${json}),\n});\nconsole.log(await answer.text());`,
};
$$('[data-as]').forEach(button => button.addEventListener('click', async () => {
  const url = page.dataset.origin + dialect().path(value('model'), $('#stream').checked);
  await copyText(as[button.dataset.as](url, request.value)); const was = button.textContent; button.textContent = document.body.dataset.copied; setTimeout(() => (button.textContent = was), 1600);
}));
preview();
