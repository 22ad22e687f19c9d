// A receipt beside the one that executing gives: `result` and `run` are the module's, the job is what the snapshots say, and the output
// that it keeps must be what was hashed. What the runner says of itself proves nothing and is not compared.

import { Hasher, hex } from '../chain/blake3.js';
import { asRead, member, parse, shown } from '../chain/json.js';

const KNOWN = ['result', 'run', 'node', 'runner', 'job', 'output'];
/** Members of the job that the first receipts did not have. */
const LATER = ['preopens', 'functions'];
const STREAMS = ['stdout', 'stderr'];
const BLOCK = 4096;
const KEY = new TextEncoder().encode('guest-interp output hash chain 1');

/** The members in which two objects differ, in words. */
const differing = (part, expected, found) => {
  const names = new Set([...expected.keys(), ...found.keys()]);
  const all = [...names].map((name) => [name, shown(found.get(name)), shown(expected.get(name))]);
  return all.filter(([, a, b]) => a !== b)
    .map(([name, a, b]) => `receipt.json: ${JSON.stringify(name)} of ${part} is ${a}, expected ${b}`);
};

/** The running hash of a stream (docs/wasi.md). */
const outputHash = (bytes) => {
  let chain = new Uint8Array(32);
  let at = 0;
  for (; at + BLOCK <= bytes.length; at += BLOCK) chain = Hasher.keyed(KEY).update(chain).update(bytes.subarray(at, at + BLOCK)).digest();
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(bytes.length), true);
  return hex(Hasher.keyed(KEY).update(chain).update(bytes.subarray(at)).update(length).digest());
};

/** The bytes that a kept stream stands for; null where it has another form than text, or else hexadecimal. */
const keptBytes = (value) => {
  if (!(value instanceof Map) || value.size !== 1) return null;
  const [text, digits] = [value.get('text'), value.get('hex')];
  if (typeof text === 'string') return new TextEncoder().encode(text);
  if (typeof digits !== 'string' || !/^([0-9a-f]{2})*$/.test(digits)) return null;
  const bytes = Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return null; // It would have been kept as text.
  } catch { return bytes; }
};

const streamFault = (name, value, result) => {
  if (!STREAMS.includes(name)) return `receipt.json: ${JSON.stringify(name)} is no part of output`;
  const bytes = keptBytes(value);
  if (bytes === null) return `receipt.json: ${JSON.stringify(name)} of output has another form than text or hexadecimal`;
  const isSame = member(result, name, 'bytes') === BigInt(bytes.length) && member(result, name, 'hash') === outputHash(bytes);
  return isSame ? null : `receipt.json: ${JSON.stringify(name)} of output is not what the program wrote`;
};

const outputFaults = (output, result) => {
  if (!(output instanceof Map)) return ['receipt.json: "output" is no object'];
  return [...output].map(([name, value]) => streamFault(name, value, result)).filter((fault) => fault !== null);
};

/** What differs of the job that a receipt says. */
const jobFaults = (said, known) => {
  if (!(said instanceof Map)) return differing('job', known, new Map());
  const missing = LATER.filter((name) => !said.has(name) && known.has(name)).map((name) => /** @type {const} */ ([name, known.get(name)]));
  return differing('job', known, new Map([...said, ...missing]));
};

/**
 * What differs between a receipt and the one that executing gave.
 * @param {Uint8Array | null} bytes
 * @param {Uint8Array} expectedBytes
 * @param {object} job what the snapshots say of the job
 * @returns {string[]}
 */
export const differences = (bytes, expectedBytes, job) => {
  if (bytes === null) return ['receipt.json: missing'];
  const expected = parse(expectedBytes);
  let found;
  try { found = parse(bytes); } catch (error) { return [`receipt.json: ${error.message}`]; }
  if (!(found instanceof Map)) return ['receipt.json: is no object'];
  const foreign = [...found.keys()].filter((name) => !KNOWN.includes(name));
  const parts = ['result', 'run'].flatMap((part) => {
    const of = found.get(part);
    return of instanceof Map ? differing(part, expected.get(part), of) : [`receipt.json: has no ${part} object`];
  });
  return [
    ...foreign.map((name) => `receipt.json: ${JSON.stringify(name)} is no part of a receipt`),
    ...parts,
    ...(found.has('job') ? jobFaults(found.get('job'), asRead(job)) : []),
    ...(found.has('output') ? outputFaults(found.get('output'), expected.get('result')) : []),
  ];
};
