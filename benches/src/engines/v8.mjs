// Programs in V8 itself, for piped.rs, with the requests and answers of node.mjs: programs that import nothing and export `run`.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

let module;
let instance;
let argument;
let value;
const requests = {
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
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await requests[request.call](request)) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
