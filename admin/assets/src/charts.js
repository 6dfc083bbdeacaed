// Charts over time: lines for levels, thin stacked areas for sums; a crosshair for all, dragging zooms into the address.
import uPlot from 'uplot';
import { $, $$, each } from './lib.js';

const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const paint = name => { const probe = document.createElement('i'); probe.style.color = `var(${name})`; document.body.append(probe); const colour = getComputedStyle(probe).color; probe.remove(); return colour; };
const round = (value, unit) => {
  if (value == null) return '—';
  if (unit === '$') return `$${value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(2) : +value.toPrecision(3)}`;
  if (unit === 'ms') return value >= 1000 ? `${+(value / 1000).toFixed(2)} s` : `${Math.round(value)} ms`;
  if (unit === '%') return `${+value.toFixed(2)} %`;
  for (const [size, letter] of [[1e9, 'B'], [1e6, 'M'], [1e3, 'k']]) if (Math.abs(value) >= size) return `${+(value / size).toFixed(1)} ${letter}`;
  return `${+value.toPrecision(4)}`;
};

const sync = uPlot.sync('all');
const draw = figure => {
  const data = JSON.parse($('script[type="application/json"]', figure).textContent), box = $('.plot', figure), unit = data.unit || '';
  if (!data.times.length || !box.clientWidth) return;
  const hidden = new Set($$('.legend [aria-pressed=false]', figure).map(button => +button.dataset.i));
  const stacked = data.kind === 'stack', sums = data.times.map(() => 0), plotted = [];
  data.series.forEach((series, i) => plotted.push(series.values.map((v, at) => hidden.has(i) ? null : stacked && v != null ? (sums[at] += v) : v)));
  const ink = paint('--ink-3'), line = paint('--line');
  const options = {
    width: box.clientWidth, height: Math.max(160, box.clientHeight), padding: [10, 20, 0, 0], legend: { show: false }, cursor: { sync: { key: sync.key }, drag: { x: true, y: false }, y: false, points: { size: 6 } },
    scales: { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(high || 1, data.limit || 0) * 1.06] } },
    axes: [{ stroke: ink, grid: { show: false }, ticks: { show: false }, font: `11px ${css('--sans')}`, size: 24, values: (_, ticks) => ticks.map(at => new Date(at * 1000)).map(date => data.days ? date.toLocaleDateString(document.documentElement.lang, { month: 'short', day: 'numeric' }) : date.toLocaleTimeString(document.documentElement.lang, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })), space: 64 },
      { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: `11px ${css('--sans')}`, size: 56, values: (_, ticks) => ticks.map(value => round(value, unit)), space: 36 }],
    series: [{}, ...data.series.map((series, i) => {
      const colour = paint(series.bad ? '--dot-bad' : `--s${Math.min(i + 1, 6)}`);
      return { label: series.name, stroke: colour, width: 1.5, points: { show: data.times.length === 1 }, fill: stacked ? colour.replace(')', ' / .16)').replace('rgb(', 'rgb(').replace(/,/g, ' ') : undefined, dash: series.dashed ? [3, 3] : undefined };
    })],
    bands: stacked ? data.series.slice(1).map((_, i) => ({ series: [i + 2, i + 1] })) : [],
    hooks: {
      setCursor: [plot => tip(figure, plot, data, hidden, unit)],
      setSelect: [plot => { if (plot.select.width > 8) zoom(plot.posToVal(plot.select.left, 'x'), plot.posToVal(plot.select.left + plot.select.width, 'x')); }],
    },
  };
  figure.plot?.destroy();
  figure.plot = new uPlot(options, [data.times, ...plotted], box);
};
const tip = (figure, plot, data, hidden, unit) => {
  let box = $('.tip', figure);
  if (!box) { box = document.createElement('div'); box.className = 'tip'; $('.plot', figure).append(box); }
  const at = plot.cursor.idx;
  box.hidden = at == null || !figure.matches(':hover');
  if (box.hidden) return;
  box.textContent = '';
  const head = document.createElement('b'); head.textContent = new Date(data.times[at] * 1000).toLocaleString(document.documentElement.lang, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' }); box.append(head);
  data.series.forEach((series, i) => {
    if (hidden.has(i)) return;
    const row = document.createElement('span'), mark = document.createElement('i'), value = document.createElement('em');
    mark.className = `sw s${Math.min(i + 1, 6)}${series.bad ? ' bad' : ''}`; value.textContent = round(series.values[at], unit); row.append(mark, series.name, value); box.append(row);
  });
  const left = plot.cursor.left + plot.over.offsetLeft;
  box.style.left = `${left > plot.width * .6 ? left - box.offsetWidth - 10 : left + 10}px`;
};
const zoom = (from, to) => { const address = new URL(location); address.searchParams.delete('range'); address.searchParams.set('from', Math.round(from)); address.searchParams.set('to', Math.round(to)); location.href = address; };

each(root => { for (const figure of $$('figure.chart', root)) draw(figure); });
document.addEventListener('click', event => {
  const button = event.target.closest('.legend button');
  if (!button) return;
  button.setAttribute('aria-pressed', button.getAttribute('aria-pressed') === 'false'); draw(button.closest('figure'));
});
let again; addEventListener('resize', () => { clearTimeout(again); again = setTimeout(() => $$('figure.chart').forEach(draw), 120); });
