// A run of a program in a worker: segments of so much gas, up to a limit, and the files that it leaves.

import { Stepmark, joined } from '../stepmark/stepmark.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const SLICE = 20_000_000n;
const least = (a, b) => (a < b ? a : b);

/** @typedef {{ module: WebAssembly.Module, compiler?: WebAssembly.Module, tier: import('../stepmark/stepmark.js').Tier }} How */

/** The receipt of the module, with what runs it: who goes on from here has to know. */
const withRunner = (bytes, moduleHash) => {
  const runner = JSON.stringify({ name: 'stepmark page', node_blake3: moduleHash, refill: true });
  return encoder.encode(decoder.decode(bytes).replace(/\n\}\n$/, `,\n  "runner": ${runner}\n}\n`));
};

/** Hands the files out that are to be written. */
const sendFiles = (job, moduleHash, send) => {
  for (const { name, parts } of job.files()) {
    const bytes = joined(parts);
    send({ name, file: new Blob(/** @type {BlobPart[]} */ ([name === 'receipt.json' ? withRunner(bytes, moduleHash) : bytes])) });
  }
};

/** Runs until the limit or the end. A dear instruction gets a larger slice. */
const drive = async (job, limit, moduleHash, send) => {
  await job.ready();
  for (let slice = SLICE; ;) {
    const before = job.progress().gas;
    if (before >= limit) {
      job.pause();
      sendFiles(job, moduleHash, send);
      send({ name: 'paused.json', file: new Blob(['{"refill":true}\n']) }); // How it was to go on, for the command `resume`.
      return 'stopped';
    }
    const event = job.run({ gas: least(slice, limit - before) });
    for (const descriptor of [1, 2]) {
      const output = job.output(descriptor);
      if (output.length > 0) send({ output });
    }
    for (const message of job.messages()) send({ message });
    const { gas, snapshot } = job.progress();
    send({ gas, snapshot });
    if (event === 'question') throw new Error('the program asks the outside: nobody answers here');
    if (event === 'finished' || event === 'snapshot') sendFiles(job, moduleHash, send);
    if (event === 'finished') return 'ended';
    slice = event === 'paused' && gas === before ? slice * 2n : SLICE;
    if (event === 'paused' && gas === before && slice > limit) throw new Error('the limit does not pay for the next instruction');
  }
};

/**
 * Runs a program, and says what comes of it.
 * @param {How & { moduleHash: string, name: string, program: Blob, words: string[], segment: bigint, limit: bigint }} given
 * @param {(message: object) => void} send
 */
export const run = async ({ module, compiler, tier, moduleHash, name, program, words, segment, limit }, send) => {
  try {
    const stepmark = await Stepmark.load(module, { compiler });
    const path = `program/${name}`;
    const job = await stepmark.start(['--gas-limit', String(segment), '--enable-gas-refill', path, ...words], { tier });
    await job.provide(async (wanted) => (wanted === path ? program.arrayBuffer() : null));
    const how = await drive(job, limit, moduleHash, send);
    send({ done: how, result: how === 'ended' ? job.result() : null, exitCode: job.exitCode });
  } catch (error) {
    send({ failed: String(error?.message ?? error) });
  }
};
