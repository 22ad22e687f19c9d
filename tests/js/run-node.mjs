// The node's command face under the WASI of Node.js, Bun or Deno: what any WASI runtime's own command line does.
//
//   node --no-warnings run-node.mjs GUEST_INTERP.wasm DIRECTORY [ARGUMENT...]     bun run-node.mjs ...
//   deno run --allow-all run-node.mjs ...
//
// DIRECTORY is the one that the node sees, as `.`. The exit code is the node's own.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { WASI } from 'node:wasi';

// Deno has no flag against the warning that WASI is experimental; standard error is the program's.
process.removeAllListeners('warning');

const [wasm, directory, ...args] = process.argv.slice(2);
const wasi = new WASI({
  version: 'preview1',
  args: ['guest-interp', ...args],
  env: {},
  preopens: { '.': directory },
  returnOnExit: true,
});
const module = await WebAssembly.compile(readFileSync(wasm));
// Bun has another name for it.
const imports = wasi.getImportObject?.() ?? wasi.getImports(module);
// Through functions of our own: called directly from wasm, those of Node.js leave V8 with a stack that it cannot walk, and
// the process crashes when memory has grown by 64 MiB (https://github.com/nodejs/node/issues/46777).
for (const functions of Object.values(imports)) {
  for (const [name, call] of Object.entries(functions)) functions[name] = (...args) => call(...args);
}
const instance = await WebAssembly.instantiate(module, imports);
process.exitCode = wasi.start(instance);
