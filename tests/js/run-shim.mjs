// The node's command face under the browser's WASI shim, as a command: in Node.js itself, or in a page of Chromium.
//
//   node run-shim.mjs here|page RUNTIMES GUEST_INTERP.wasm DIRECTORY [ARGUMENT...]
//
// RUNTIMES is what tests/runtimes/get.sh filled. The node sees a copy of DIRECTORY as `.`; what it changed is written
// back. The exit code is the node's own.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inPage } from './chromium.mjs';
import { runNode } from './shim-host.mjs';

const SHIM = 'node_modules/@bjorn3/browser_wasi_shim/dist/index.js';
const [where, runtimes, wasm, directory, ...args] = process.argv.slice(2);

const before = {};
for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath ?? entry.path, entry.name);
  before[path.slice(join(directory, '/').length)] = new Uint8Array(readFileSync(path));
}
const job = { wasm: new Uint8Array(readFileSync(wasm)), args, files: before };
const host = join(dirname(fileURLToPath(import.meta.url)), 'shim-host.mjs');
const { code, stdout, stderr, files } = where === 'page'
  ? await inPage(runtimes, host, 'runNode', { ...job, shim: `/runtimes/${SHIM}` })
  : await runNode({ ...job, shim: pathToFileURL(join(resolve(runtimes), SHIM)).href });

for (const path of Object.keys(before)) if (!(path in files)) rmSync(join(directory, path));
for (const [path, bytes] of Object.entries(files)) {
  if (before[path] && Buffer.compare(before[path], bytes) === 0) continue;
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), bytes);
}
writeFileSync(1, stdout);
writeFileSync(2, stderr);
process.exitCode = code;
