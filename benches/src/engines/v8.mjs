// Programs in V8 itself, for piped.rs, with the requests and answers of node.mjs: programs that import nothing and export `run`.
import { readFileSync } from 'node:fs';

import { answer } from './answers.mjs';

let module;
let instance;
let argument;
let value;
await answer({
  async load({ argv: [path, entry, number] }) {
    if (entry !== 'run') throw new Error('programs that export run only');
    module ??= await WebAssembly.compile(readFileSync(path));
    instance = await WebAssembly.instantiate(module);
    argument = Number(number);
  },
  run: () => {
    const start = process.hrtime.bigint();
    value = instance.exports.run(argument);
    return Number(process.hrtime.bigint() - start);
  },
  stdout: () => '',
  exit_code: () => 0,
  result: () => `0\n0\n${BigInt.asUintN(64, value)}\n`,
});
