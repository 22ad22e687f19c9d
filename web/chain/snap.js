// A `.snap` (docs/snapshot-format.md, sections 1 and 4 to 6): what it says, checked for its form and its hashes. What it says of the
// run is a claim all the same, which only executing shows to be right.

import { Reader } from '../stepmark/postcard.js';
import { Hasher, hash, hex } from './blake3.js';

const MAGIC = { snap: 'GI-SNAP\n', bin: 'GI-BIN\r\n', base: 'GI-BASE\n' };
const VERSION = 3;
export const PREFIX = 56;
const LENGTHS = 24;
const HASH = 32;
const MOST = { job: 2 ** 24, segment: 128, state: 2 ** 28 };
/** Bytes of the longest `.snap`. */
const LONGEST = PREFIX + LENGTHS + HASH + MOST.job + MOST.segment + MOST.state;
/** Frames that are kept of a call stack; of a deeper one those at either end. */
const FRAMES = 64;
const TYPES = ['i32', 'i64', 'f32', 'f64'];

/** @param {Uint8Array} bytes */
const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/**
 * The prefix of a file of a chain.
 * @param {Uint8Array} bytes
 * @param {keyof MAGIC} kind
 */
export const prefix = (bytes, kind) => {
  if (bytes.length < PREFIX) throw new Error('is too short');
  const magic = String.fromCharCode(...bytes.subarray(0, 8));
  if (magic !== MAGIC[kind]) throw new Error(`is no .${kind}`);
  const words = view(bytes);
  const [version, paused] = [8, 12].map((at) => words.getUint32(at, true));
  if (version !== VERSION) throw new Error(`has the format version ${version}, expected ${VERSION}`);
  if (paused > 1) throw new Error('is neither paused nor not');
  return { id: words.getBigUint64(16, true), paused: paused === 1, jobHash: hex(bytes.subarray(24, PREFIX)) };
};

const module = (reader) => ({ name: reader.text(), hash: hex(reader.fixed(HASH)), size: reader.long() });

/**
 * The job.
 * @param {Reader} reader
 */
const job = (reader) => {
  const texts = () => reader.list(() => reader.text());
  const types = () => reader.list(() => TYPES[reader.int()]);
  const modules = () => reader.list(() => module(reader));
  return {
    version: reader.int(),
    program: module(reader),
    modules: modules(),
    entry: reader.option(() => reader.text()),
    args: texts(),
    argv0: reader.text(),
    env: reader.list(() => [reader.text(), reader.text()]),
    stdin: reader.option(() => ({ size: reader.long(), hash: hex(reader.fixed(HASH)) })),
    inputs: reader.list(() => ({ name: reader.text(), size: reader.long(), hash: hex(reader.fixed(HASH)) })),
    preopens: texts(),
    schedule: { name: reader.text(), hash: hex(reader.fixed(HASH)), bytes: reader.bytes() },
    features: reader.list(() => ({ name: reader.text(), on: reader.flag() })),
    limits: {
      callDepth: reader.long(), stackSlots: reader.long(), memory: reader.long(), tableElements: reader.long(),
      files: reader.long(), exceptions: reader.long(),
    },
    clockRate: reader.long(),
    seed: reader.long(),
    functions: reader.list(() => ({ module: reader.text(), name: reader.text(), params: types(), results: types() })),
    store: reader.option(() => reader.long()),
    contracts: modules(),
    callData: reader.bytes(),
    caller: reader.text(),
  };
};

/** @typedef {ReturnType<typeof job>} Job */

const segment = (reader) => ({
  id: reader.long(), paused: reader.flag(), limit: reader.long(), gasUsed: reader.long(), previousSnap: hex(reader.fixed(HASH)),
  bin: hex(reader.fixed(HASH)),
});

/** Passes over a list of integers; how many there were. */
const skipped = (reader) => {
  const length = reader.int();
  if (length > reader.left) throw new Error('a list is longer than its bytes');
  for (let at = 0; at < length; at += 1) while (reader.byte() >= 0x80);
  return length;
};

/** The frames, the innermost first; of a deep stack those at either end. */
const frames = (reader) => {
  const depth = reader.int();
  if (depth > reader.left) throw new Error('a list is longer than its bytes');
  const kept = [];
  for (let at = 0; at < depth; at += 1) {
    const frame = {
      instance: reader.int(), func: reader.int(), offset: reader.int(), locals: skipped(reader), operands: skipped(reader),
      depth: depth - 1 - at,
    };
    if (at < FRAMES / 2 || at >= depth - FRAMES / 2) kept.unshift(frame);
  }
  return { depth, kept };
};

/** Passes over the phase; whether the run has not ended there. */
const phase = (reader) => {
  const variant = reader.int();
  if (variant > 5) throw new Error('is in no phase that there is');
  if (variant === 0 || variant >= 4) reader.int();
  return ['start function', '_initialize', 'entry', 'finished', 'trapped', 'exited'][variant];
};

/** Bytes written to standard output and error, by the state of the WASI host. */
const written = (bytes) => {
  const reader = new Reader(bytes);
  const descriptor = () => {
    reader.int();
    if (reader.int() === 3) reader.int();
    for (let field = 0; field < 4; field += 1) reader.long();
    reader.option(() => reader.int());
  };
  const node = () => {
    const kind = reader.int();
    if (kind === 0) [reader.int(), reader.long()];
    if (kind === 1) [reader.long(), reader.option(() => reader.long())];
    if (kind === 2) reader.text();
    for (let field = 0; field < 4; field += 1) reader.long();
  };
  reader.list(descriptor);
  for (let field = 0; field < 3; field += 1) reader.long();
  reader.list(() => [reader.int(), reader.option(node)]);
  reader.list(() => [reader.int(), reader.long(), reader.text(), reader.int()]);
  const stream = () => {
    const length = reader.long();
    reader.fixed(HASH);
    reader.bytes();
    return length;
  };
  return { stdout: stream(), stderr: stream() };
};

/**
 * The state, as far as it is shown.
 * @param {Reader} reader
 */
const state = (reader) => {
  const at = phase(reader);
  reader.flag();
  const stack = frames(reader);
  skipped(reader);
  reader.list(() => [reader.int(), reader.int(), skipped(reader)]);
  reader.long();
  const instances = reader.list(() => [1, 2, 3, 4, 5].map(() => skipped(reader))).length;
  const spaces = reader.list(() => ({ kind: reader.byte(), index: reader.int(), pages: reader.long(), root: hex(reader.fixed(HASH)) }));
  const hosts = reader.list(() => ({ name: reader.text(), bytes: reader.bytes() }));
  const wasi = hosts.find(({ name }) => name === 'wasi_snapshot_preview1');
  return { phase: at, stack, instances, spaces, wasi: wasi?.bytes, gasTotal: reader.long() };
};

/** A section, which is one value and nothing after it. */
const whole = (bytes, read, what) => {
  const reader = new Reader(bytes);
  const value = read(reader);
  if (reader.left > 0) throw new Error(`its ${what} goes on after its end`);
  return value;
};

/** The sections of a `.snap`, whose length and hash are right. */
const sections = (bytes) => {
  if (bytes.length < PREFIX + LENGTHS + HASH) throw new Error('is too short');
  const end = bytes.length - HASH;
  const own = hash(bytes.subarray(0, end));
  if (hex(own) !== hex(bytes.subarray(end))) throw new Error('its hash is wrong: it is damaged');
  const words = view(bytes);
  let at = PREFIX + LENGTHS;
  const parts = ['job', 'segment', 'state'].map((what, index) => {
    const length = Number(words.getBigUint64(PREFIX + 8 * index, true));
    if (length > MOST[what]) throw new Error(`its ${what} is too long`);
    return bytes.subarray(at, (at += length));
  });
  if (at !== end) throw new Error('its length is not that of its parts');
  return { parts, hash: hex(own) };
};

/**
 * Reads a `.snap`.
 * @param {Uint8Array} bytes
 */
export const decode = (bytes) => {
  const { id, paused, jobHash } = prefix(bytes, 'snap');
  const { parts: [jobBytes, segmentBytes, stateBytes], hash: own } = sections(bytes);
  if (hex(Hasher.derived('guest-interp 2026 job v1').update(jobBytes).digest()) !== jobHash) {
    throw new Error('its job hash is not that of its job');
  }
  const found = whole(segmentBytes, segment, 'segment');
  if (found.id !== id || found.paused !== paused) throw new Error('its prefix and its segment do not agree');
  const stateHash = hex(Hasher.derived('guest-interp 2026 state v1').update(stateBytes).digest());
  return { jobHash, job: whole(jobBytes, job, 'job'), segment: found, state: whole(stateBytes, state, 'state'), stateHash, hash: own };
};

/** @typedef {ReturnType<typeof decode>} Snap */

/**
 * Reads a `.snap` that is a file.
 * @param {Blob} file
 */
export const read = async (file) => {
  if (file.size > LONGEST) throw new Error(`${file.size} bytes, a .snap has at most ${LONGEST}`);
  return decode(new Uint8Array(await file.arrayBuffer()));
};

/**
 * Bytes that the program had written by then; nothing of a program without WASI.
 * @param {Snap} snap
 */
export const writtenBy = ({ state: { wasi } }) => {
  try { return wasi === undefined ? null : written(wasi); } catch { return null; }
};
