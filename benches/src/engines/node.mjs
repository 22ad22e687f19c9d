// Drives the node for piped.rs, by the client in `js`: node.mjs STEPMARK.wasm [COMPILER.wasm], with the second on compiled code. Files are read
// in the working directory. The timing is in here, so that the pipe is not in it.
import { readFileSync } from 'node:fs';

import { answer } from './answers.mjs';
import { Stepmark, joined } from '../../../js/stepmark.js';

const [module, compiler] = process.argv.slice(2).map((path) => readFileSync(path));
const stepmark = await Stepmark.load(module, { compiler });
const tier = compiler ? 'compiled' : 'register';
/** Gas of a call: all of it for the interpreter; compiled code is taken up by the engine's best compiler when it is entered anew. */
const gas = compiler ? 20_000_000n : 1n << 63n;

let job;
let stdout = [];
await answer({
  async load({ argv }) {
    stdout = [];
    job = await stepmark.start(argv, { tier });
    await job.provide((path) => readFileSync(path));
  },
  async run() {
    await job.ready();
    const start = process.hrtime.bigint();
    for await (const event of job.events({ gas })) {
      if (event === 'finished') break;
      if (event !== 'output') throw new Error(`the node stopped with ${event}`);
      stdout.push(job.output(1));
      job.output(2);
    }
    return Number(process.hrtime.bigint() - start);
  },
  stdout: () => Buffer.concat([...stdout, job.output(1)]).toString('hex'),
  exit_code: () => job.exitCode,
  result: () => {
    const [{ parts }] = job.files();
    return new TextDecoder().decode(joined(parts));
  },
});
