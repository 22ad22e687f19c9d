// The node's command face under the WASI of Node.js: what any WASI runtime's own command line does.
//
//   node --no-warnings run-node.mjs GUEST_INTERP.wasm DIRECTORY [ARGUMENT...]
//
// DIRECTORY is the one that the node sees, as `.`. The exit code is the node's own.
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';

const [wasm, directory, ...args] = process.argv.slice(2);
const wasi = new WASI({
  version: 'preview1',
  args: ['guest-interp', ...args],
  env: {},
  preopens: { '.': directory },
  returnOnExit: true,
});
const module = await WebAssembly.compile(readFileSync(wasm));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
process.exitCode = wasi.start(instance);
