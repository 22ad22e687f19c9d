// The names of the files of a chain, and what they stand for (docs/snapshot-format.md). Other spellings of a number are not ours.

/** Where an archive, and a folder, has the files of the job. */
export const FILES = 'files/';
export const PAUSE = ['paused.snap', 'paused.bin', 'paused.calls', 'paused.json'];
export const FINAL = ['final.snap', 'final.bin', 'final.calls'];
export const RESULTS = ['receipt.json', 'result.txt', 'rwset.bin', 'rwset.json'];
export const BASE = 'base.bin';

/** @typedef {'snap' | 'bin' | 'calls'} Numbered */
/** @typedef {'pause' | 'final' | 'result' | 'base'} Group */

/** @type {Map<string, Group>} */
const GROUPS = new Map([
  ...PAUSE.map((name) => /** @type {const} */ ([name, 'pause'])),
  ...FINAL.map((name) => /** @type {const} */ ([name, 'final'])),
  ...RESULTS.map((name) => /** @type {const} */ ([name, 'result'])),
  /** @type {const} */ ([BASE, 'base']),
]);

/**
 * What a name in a chain's directory stands for; null if it is none of ours.
 * @param {string} name
 * @returns {{ kind: Numbered, id: bigint } | { kind: Group, id?: undefined } | null}
 */
export const parse = (name) => {
  const group = GROUPS.get(name);
  if (group !== undefined) return { kind: group };
  const [, digits, kind] = /^([1-9][0-9]{0,19})\.(snap|bin|calls)$/.exec(name) ?? [];
  if (digits === undefined) return null;
  const id = BigInt(digits);
  return id < 1n << 64n ? { kind: /** @type {Numbered} */ (kind), id } : null;
};

/**
 * The files of a folder that are of its chain.
 * @param {Map<string, Blob>} files
 */
export const ofChain = (files) => new Map([...files].filter(([name]) => parse(name) !== null));
