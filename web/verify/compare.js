// What a job writes, beside the files of the chain: byte by byte, part by part.

import { joined } from '../stepmark/stepmark.js';
import { decode } from '../chain/snap.js';

/**
 * Where a file differs from what the job writes.
 * @typedef {{ file: string, text: string, byte?: number, states?: { claimed: string | null, executed: string } }} Difference
 */

/**
 * Compares a file with the parts that the job hands out; null if they are the same.
 * @param {string} file
 * @param {Blob | undefined} found
 * @param {Iterable<Uint8Array>} parts
 * @returns {Promise<Difference | null>}
 */
export const compare = async (file, found, parts) => {
  if (found === undefined) return { file, text: `${file}: missing` };
  let at = 0;
  for (const part of parts) {
    const there = new Uint8Array(await found.slice(at, at + part.length).arrayBuffer());
    for (let index = 0; index < part.length; index += 1) {
      if (there[index] !== part[index]) return { file, byte: at + index, text: `${file}: differs at byte ${at + index}` };
    }
    at += part.length;
  }
  return found.size > at ? { file, byte: at, text: `${file}: ${found.size} bytes, expected ${at}` } : null;
};

/** The state hash of a `.snap`; null of what is none. */
const stateHash = (bytes) => { try { return decode(bytes).stateHash; } catch { return null; } };

/**
 * Compares a `.snap`, and says of one that differs which state it claims and which one was come to.
 * @param {string} file
 * @param {Blob | undefined} found
 * @param {Iterable<Uint8Array>} parts
 * @returns {Promise<Difference | null>}
 */
export const compareSnap = async (file, found, parts) => {
  const executed = joined(parts);
  const difference = await compare(file, found, [executed]);
  if (difference === null) return null;
  const claimed = found === undefined ? null : stateHash(new Uint8Array(await found.arrayBuffer()));
  return { ...difference, states: { claimed, executed: stateHash(executed) ?? '' } };
};
