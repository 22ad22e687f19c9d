// What a chain claims, in the words of its own files: which program was called how, how far it came, how it ended and with which result.
// Nothing of it is believed before it was executed again.

import * as job from './job.js';
import { member } from './json.js';

const ENDS = new Map([
  ['finished', 'finished'], ['exited', 'exited'], ['trapped', 'trapped'], ['gas-limit', 'stopped at the gas limit'],
]);
const FINAL = ['finished', 'exited', 'trapped'];

const number = (value) => (typeof value === 'bigint' ? value : null);
const text = (value) => (typeof value === 'string' ? value : null);
const list = (value) => (Array.isArray(value) ? value : []);

/** How the run ended: as the receipt says, or without one as the files that are there show. */
const end = ({ files, said }) => {
  const outcome = member(said, 'result', 'outcome');
  if (ENDS.has(outcome)) return outcome;
  return files.has('paused.snap') ? 'paused' : 'unknown';
};

const resultWords = (said, ended) => {
  const code = `exit code ${number(member(said, 'result', 'exit_code')) ?? 'null'}`;
  if (ended === 'exited') return code;
  if (ended === 'trapped') return text(member(said, 'result', 'trap', 'message')) ?? 'a trap';
  if (ended !== 'finished') return null;
  const values = list(member(said, 'result', 'values')).map((value) => text(member(value, 'value'))).filter((value) => value !== null);
  return values.length > 0 ? values.join(' ') : code;
};

/** What was written, a stream or a file, as the receipt has it. */
const written = (name, said) => {
  const [size, hash] = [number(member(said, 'bytes')), text(member(said, 'hash'))];
  return size === null || hash === null ? null : { name, size, hash };
};

/**
 * The claim of a chain.
 * @param {import('./open.js').Chain} chain
 */
export const claim = (chain) => {
  const { said } = chain;
  const ended = end(chain);
  const last = [...chain.links].at(-1)?.[1];
  const paused = ended === 'paused' ? chain.paused?.state.gasTotal : undefined;
  return {
    snapshots: chain.last,
    gas: number(member(said, 'result', 'gas_used')) ?? paused ?? last?.gasTotal ?? 0n,
    ended,
    isFinal: FINAL.includes(ended),
    result: resultWords(said, ended),
    streams: ['stdout', 'stderr'].map((name) => written(name, member(said, 'result', name))),
    files: list(member(said, 'result', 'files')).map((file) => written(text(member(file, 'path')) ?? '', file)).filter(Boolean),
    head: last?.hash ?? '',
    job: chain.job,
  };
};

/** @typedef {ReturnType<typeof claim>} Claim */

/** How a run ended, in words. */
export const endWords = (ended) => ENDS.get(ended) ?? { paused: 'paused', unknown: 'nothing says how' }[ended];

/**
 * The claim in words, each part with its name.
 * @param {Claim} claimed
 */
export const lines = (claimed) => {
  const { snapshots, gas, ended, result, streams, files, head } = claimed;
  const shown = streams.filter((stream) => stream !== null && stream.size > 0n);
  return [
    ...job.lines(claimed.job),
    job.line('length', `${snapshots} snapshot${snapshots === 1n ? '' : 's'}, ${gas} gas`),
    job.line('ended', endWords(ended)),
    ...(result === null ? [] : [job.line('result', result)]),
    ...shown.map(({ name, size, hash }) => job.line(name, `${size} bytes, hash ${hash}`)),
    ...files.map(({ name, size, hash }) => job.line('left file', `${job.word(name)}, ${size} bytes, BLAKE3 ${hash}`)),
    ...(head === '' ? [] : [job.line('head', head)]),
  ];
};

/** The standard output that the receipt keeps as text, as bytes; null where it does not. */
export const keptOutput = ({ said }) => {
  const kept = text(member(said, 'output', 'stdout', 'text'));
  return kept === null ? null : new TextEncoder().encode(kept);
};
