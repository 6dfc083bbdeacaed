// Bundles the console's sources into ../built: names carry the hash of what is in them, manifest.json lists them.
import * as esbuild from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, extname } from 'node:path';

const out = new URL('../built/', import.meta.url).pathname;
const entries = ['console.js', 'charts.js', 'editor.js', 'playground.js', 'console.css', 'editor.css', 'charts.css'];
const built = await esbuild.build({
  entryPoints: entries.map(name => new URL(`src/${name}`, import.meta.url).pathname),
  bundle: true, minify: true, write: false, outdir: out, format: 'iife', target: ['es2022', 'chrome123', 'firefox121', 'safari17.5'],
  legalComments: 'none', logLevel: 'warning',
});
const files = built.outputFiles.map(file => [basename(file.path), file.contents]);
files.push(['icons.svg', readFileSync(new URL('src/icons.svg', import.meta.url))]);
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const manifest = {};
for (const [name, contents] of files) {
  const hash = createHash('sha256').update(contents).digest('hex').slice(0, 12);
  const file = `${basename(name, extname(name))}-${hash}${extname(name)}`;
  writeFileSync(out + file, contents);
  manifest[name] = file;
}
writeFileSync(out + 'manifest.json', JSON.stringify(manifest, null, 1) + '\n');
