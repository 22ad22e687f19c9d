// The files of a job, found by size and hash among those that were given.

import { hashOf, hex } from './blake3.js';
import { schedule, wanted } from './job.js';
import { Refused } from './open.js';

/** A file of a size and a hash; those of one size are read in their order. */
const find = async ({ size, hash }, candidates) => {
  for (const file of candidates) {
    if (BigInt(file.size) === size && hex(await hashOf(file)) === hash) return file;
  }
  return undefined;
};

/**
 * The files that a job needs, by what the module calls them.
 * @param {import('./snap.js').Job} job
 * @param {Blob[]} candidates
 * @returns {Promise<Map<string, Blob>>}
 */
export const supply = async (job, candidates) => {
  const found = new Map([schedule(job)]);
  for (const file of wanted(job)) {
    const here = await find(file, candidates);
    if (here === undefined) throw new Refused(`${file.what} ${file.name} is not here: ${file.size} bytes, BLAKE3 ${file.hash}`);
    found.set(file.path, here);
  }
  return found;
};
