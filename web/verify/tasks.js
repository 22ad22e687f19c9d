// What a worker of a verification does, asked message by message: hashes of `.bin` files, segments, the pause.

import { Stepmark } from '../stepmark/stepmark.js';
import { read } from '../chain/bin.js';
import { Executor } from './segment.js';

/** What is wrong with the `.bin` of a snapshot; null if it is the one that its `.snap` commits to. */
const binFault = async (id, file, { bin, before }) => {
  try {
    const found = await read(file);
    if (found.hash !== bin) return `${id}.bin: is not the .bin that ${id}.snap commits to`;
    if (before !== null && found.previous !== before) return `${id}.bin: does not follow the .bin before it: files of two chains are mixed`;
    return null;
  } catch (error) {
    return `${id}.bin: ${error.message}`;
  }
};

/**
 * Takes messages for one worker.
 * @param {(message: object) => void} send
 * @returns {(message: object) => Promise<void>}
 */
export const tasks = (send) => {
  let setup;
  let executor;
  const begin = async () => {
    const stepmark = await Stepmark.load(setup.module, { compiler: setup.compiler });
    return new Executor(stepmark, setup.tier, setup.chain, setup.supply, (gas) => send({ gas }));
  };
  const each = {
    setup: async (given) => { setup = given; },
    bins: async (bins) => {
      for (const { id, ...expected } of bins) send({ bin: id, fault: await binFault(id, setup.chain.files.get(`${id}.bin`), expected) });
    },
    segments: async (share) => {
      executor ??= await begin();
      for (const { number, segment } of share) {
        const started = performance.now();
        const verdict = await executor.decide(segment);
        send({ number, verdict: { ...verdict, milliseconds: performance.now() - started } });
      }
      send({ compared: [...executor.compared] });
    },
    pause: async (pause) => {
      executor ??= await begin();
      send({ pause: await executor.checkPause(pause).catch((error) => [`the pause: ${error.message}`]) });
    },
  };
  return async ({ task, given }) => {
    try {
      await each[task](given);
      send({ done: true });
    } catch (error) {
      send({ failed: String(error?.message ?? error) });
    }
  };
};
