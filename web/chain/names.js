// The names of the files of a chain, and what they stand for (docs/snapshot-format.md). Other spellings of a number are not ours.

/** Where an archive, and a folder, has the files of the job. */
export const FILES = 'files/';
export const PAUSE = ['paused.snap', 'paused.bin', 'paused.calls', 'paused.json'];
export const FINAL = ['final.snap', 'final.bin', 'final.calls'];
export const RESULTS = ['receipt.json', 'result.txt', 'rwset.bin', 'rwset.json'];
export const BASE = 'base.bin';

const GROUPS = new Map([
  ...PAUSE.map((name) => /** @type {const} */ ([name, 'pause'])),
  ...FINAL.map((name) => /** @type {const} */ ([name, 'final'])),
  ...RESULTS.map((name) => /** @type {const} */ ([name, 'result'])),
  [BASE, 'base'],
]);

/**
 * What a name in a chain's directory stands for; null if it is none of ours.
 * @param {string} name
 * @returns {{ kind: 'snap' | 'bin' | 'calls', id: bigint } | { kind: 'pause' | 'final' | 'result' | 'base', id?: undefined } | null}
 */
export const parse = (name) => {
  const group = GROUPS.get(name);
  if (group !== undefined) return { kind: group };
  const [, digits, kind] = /^([1-9][0-9]{0,19})\.(snap|bin|calls)$/.exec(name) ?? [];
  if (digits === undefined) return null;
  const id = BigInt(digits);
  return id < 1n << 64n ? { kind, id } : null;
};

/**
 * The names of those files of a folder that are of its chain, and of those that are of the job.
 * @param {Map<string, Blob>} files
 */
export const ofChain = (files) => new Map([...files].filter(([name]) => parse(name) !== null));
