// Goes on with a frozen node in Node.js, or in a page of headless Chromium.
//
//   node migrate.mjs PLACE NODE.wasm FROZEN OUT UNTIL [AGAIN]
//
// PLACE is a directory with thaw.mjs and go-on.mjs; with RUNTIMES set (chromium.mjs says what is there) they run in a page. Files
// go to the directory OUT, the program's output to standard output and error. UNTIL is gas since the beginning, after which
// the node is frozen into the file AGAIN, or `end`.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [place, node, frozen, out, until, again] = process.argv.slice(2);
const module = join(place, 'go-on.mjs');
const bytes = (path) => new Uint8Array(readFileSync(path));
const argument = { node: bytes(node), frozen: bytes(frozen), until: until === 'end' ? null : until };
const runtimes = process.env.RUNTIMES;
const done = runtimes
  ? await (await import('./chromium.mjs')).inPage(runtimes, module, 'goOn', argument)
  : await (await import(pathToFileURL(module))).goOn(argument);
for (const [name, contents] of Object.entries(done.files)) writeFileSync(join(out, name), contents);
writeFileSync(1, done.stdout);
writeFileSync(2, done.stderr);
if (done.frozen && again) writeFileSync(again, done.frozen);
process.exitCode = done.exitCode ?? (again ? 0 : 1);
