// What there is to verify, and who does which part.

import { member } from '../chain/json.js';

const MOST = 2n ** 64n - 1n;

/**
 * A segment: what is executed between two snapshots, or from the last one to the end (`to` is null). `atLimit`: the run stopped with the
 * snapshot before, and there is only the result to compare.
 * @typedef {{ from: bigint, to: bigint | null, limit: bigint, gas: bigint, atLimit: boolean }} Segment
 */

/** Where the run ended, by its own account. */
const end = (chain) => {
  const atLimit = chain.last > 0n && member(chain.said, 'result', 'outcome') === 'gas-limit';
  const claimed = member(chain.said, 'run', 'gas_limit');
  const last = chain.links.get(chain.last)?.segment.limit ?? MOST;
  const isLimit = !atLimit && typeof claimed === 'bigint' && claimed >= 0n && claimed <= MOST;
  return { atLimit, limit: isLimit ? claimed : last };
};

/**
 * The segments to be verified, in order. A gap between files is one segment, which leads to what is after it.
 * @param {import('../chain/open.js').Chain} chain
 * @returns {Segment[]}
 */
export const segments = (chain) => {
  const all = [];
  let before = 0n;
  for (const id of chain.ids.filter((id) => id > 0n)) {
    const { limit, gasUsed } = chain.links.get(id)?.segment ?? { limit: MOST, gasUsed: 0n };
    all.push({ from: before, to: id, limit, gas: gasUsed, atLimit: false });
    before = id;
  }
  if (chain.hasReports) all.push({ from: before, to: null, gas: 0n, ...end(chain) });
  return all;
};

/** What leads to the state before a segment: executing costs gas, restoring a pass over the files before. */
const restoring = (chain) => {
  let sum = 0n;
  const upTo = new Map(chain.ids.map((id) => [id, (sum += BigInt(chain.links.get(id)?.binBytes ?? 0))]));
  return (id) => upTo.get(id) ?? 0n;
};

/** The shares, each a contiguous range that costs at most so much. */
const split = (all, restore, most) => {
  const shares = [];
  let sum = 0n;
  for (const segment of all) {
    const cost = segment.gas > 0n ? segment.gas : 1n;
    sum += cost;
    if (shares.length > 0 && sum <= most) {
      shares.at(-1).push(segment);
    } else {
      sum = restore(segment.from) + cost;
      shares.push([segment]);
    }
  }
  return shares;
};

/**
 * Shares the segments out among at most so many workers, so that all take about the same time.
 * @param {Segment[]} all
 * @param {import('../chain/open.js').Chain} chain
 * @param {number} workers
 * @returns {Segment[][]}
 */
export const shares = (all, chain, workers) => {
  const restore = restoring(chain);
  let [low, high] = [1n, MOST];
  while (low < high) {
    const middle = (low + high) / 2n;
    if (split(all, restore, middle).length <= workers) high = middle;
    else low = middle + 1n;
  }
  return split(all, restore, high);
};
