// A chain that was given as files: which there are, and whether they hang together by their hashes. What the hashes cannot tell is
// whether the program leads from one snapshot to the next: that is what `verify` executes.

import { member, parse as parseJson } from './json.js';
import { BASE, FINAL, parse } from './names.js';
import { read } from './snap.js';

const ZEROS = '0'.repeat(64);
const LONGEST_TEXT = 16 << 20;

/** What cannot be verified here, and why. Nothing was decided about it. */
export class Refused extends Error {}

/**
 * A `.snap` that is well-formed.
 * @typedef {{ segment: import('./snap.js').Snap['segment'], hash: string, gasTotal: bigint, depth: number, binBytes: number }} Link
 */

/** The text files that the end of a run leaves; why one cannot be read. */
const readReport = async (file, name) => {
  if (file === undefined) return { bytes: null, fault: null };
  if (file.size > LONGEST_TEXT) return { bytes: null, fault: `${name}: ${file.size} bytes, a text of a run has at most ${LONGEST_TEXT}` };
  return { bytes: new Uint8Array(await file.arrayBuffer()), fault: null };
};

/** The receipt as it reads; nothing of one that is not there or is none. */
const readReceipt = ({ bytes }) => {
  try { return bytes === null ? undefined : parseJson(bytes); } catch { return undefined; }
};

export class Chain {
  /** The job that all snapshots are of. @type {import('./snap.js').Job | null} */
  job = null;
  jobHash = '';
  /** The well-formed snapshots by id. @type {Map<bigint, Link>} */
  links = new Map();
  /** What is wrong, by the id of the file. @type {Map<bigint, string[]>} */
  faults = new Map();
  /** What is wrong with the states outside the chain. @type {string[]} */
  asideFaults = [];
  /** The pause, where there is one that can be read. @type {import('./snap.js').Snap | null} */
  paused = null;

  /** @param {Map<string, Blob>} files */
  constructor(files) {
    this.files = files;
    this.snaps = this.#ids('snap');
    this.bins = this.#ids('bin');
  }

  #ids(kind) {
    const ids = [...this.files.keys()].map(parse).filter((name) => name?.kind === kind).map(({ id }) => id);
    return new Set(ids.sort((a, b) => (a < b ? -1 : 1)));
  }

  fault(id, what) { this.faults.set(id, [...(this.faults.get(id) ?? []), what]); }

  /** The ids that files have, and the first one of each gap between them, in order. */
  get ids() { return [...new Set([...this.links.keys(), ...this.faults.keys()])].sort((a, b) => (a < b ? -1 : 1)); }

  /** The highest id of any file; 0 when there is none. */
  get last() { return this.ids.at(-1) ?? 0n; }

  /** Whether anything says how the run ended. */
  get hasReports() { return this.files.has('receipt.json') || this.files.has('result.txt'); }

  /** Whether the state at the end was kept. */
  get keepsFinal() { return FINAL.some((name) => this.files.has(name)); }

  async readSnaps() {
    for (const id of this.snaps) await this.#readLink(id);
    this.#checkOrder();
    for (const stem of ['paused', 'final']) await this.#checkAside(stem);
    this.receipt = await readReport(this.files.get('receipt.json'), 'receipt.json');
    this.result = await readReport(this.files.get('result.txt'), 'result.txt');
    this.said = readReceipt(this.receipt);
  }

  async #readLink(id) {
    let snap;
    try {
      snap = await read(this.files.get(`${id}.snap`));
    } catch (error) {
      return this.fault(id, `${id}.snap: ${error.message}`);
    }
    const { segment, state, hash } = snap;
    if (segment.id !== id || segment.paused) return this.fault(id, `${id}.snap: is of snapshot ${segment.id}`);
    if (!this.#isOfJob(snap)) return this.fault(id, `${id}.snap: belongs to another job`);
    const { gasTotal, stack: { depth } } = state;
    this.links.set(id, { segment, hash, gasTotal, depth, binBytes: this.files.get(`${id}.bin`)?.size ?? 0 });
    return undefined;
  }

  /** Whether a snapshot is of the job; the first one says which that is. */
  #isOfJob({ job, jobHash }) {
    if (this.job === null) [this.job, this.jobHash] = [job, jobHash];
    return this.jobHash === jobHash;
  }

  /** Checks that nothing is missing, and that each snapshot names the one before it. */
  #checkOrder() {
    let expected = 1n;
    for (const id of [...new Set([...this.snaps, ...this.bins])].sort((a, b) => (a < b ? -1 : 1))) {
      if (id > expected) this.fault(expected, `${expected}.snap and ${expected}.bin: missing (the next are of ${id})`);
      expected = id + 1n;
      if (!this.snaps.has(id)) this.fault(id, `${id}.snap: missing`);
      if (!this.bins.has(id)) this.fault(id, `${id}.bin: missing`);
      const link = this.links.get(id);
      const wrong = link && this.#notFollowing(link, id - 1n);
      if (wrong) this.fault(id, `${id}.snap: ${wrong}`);
    }
  }

  /** Why a segment does not go on from a snapshot; nothing where that is not there. */
  #notFollowing({ segment, gasTotal }, before) {
    const link = before === 0n ? { hash: ZEROS, gasTotal: 0n } : this.links.get(before);
    if (link === undefined) return null;
    const name = before === 0n ? 'the start of the run' : `${before}.snap`;
    if (segment.previousSnap !== link.hash) return `does not follow ${name}: files of two chains are mixed`;
    if (link.gasTotal + segment.gasUsed === gasTotal) return null;
    return `${gasTotal} gas in total, expected ${link.gasTotal} and the segment's ${segment.gasUsed}`;
  }

  /** Checks that a state outside the chain belongs to it. */
  async #checkAside(stem) {
    const file = this.files.get(`${stem}.snap`);
    if (file === undefined) return;
    try {
      const snap = await read(file);
      const mayName = this.job === null && this.faults.size === 0;
      if (mayName ? !this.#isOfJob(snap) : this.jobHash !== snap.jobHash) throw new Error('belongs to another job');
      const { segment, state } = snap;
      if (stem === 'paused') this.paused = snap;
      const before = segment.paused ? segment.id : segment.id - 1n;
      const isThere = before === 0n || this.links.has(before);
      if (!isThere && segment.paused) throw new Error(`what it follows: there is no snapshot ${before} that can be read`);
      const wrong = this.#notFollowing({ segment, gasTotal: state.gasTotal }, before);
      if (wrong) throw new Error(wrong);
    } catch (error) {
      this.asideFaults.push(`${stem}.snap: ${error.message}`);
    }
  }

  /** Why nothing of the chain can be executed here; nothing if it can be. */
  get refusal() {
    const first = this.snaps.values().next().value ?? 1n;
    if (this.files.has(BASE)) return 'it was merged (base.bin): the command verifies it';
    if (first > 1n) return `it begins with snapshot ${first}: what leads to it was pruned, or is elsewhere, and cannot be compared`;
    if (this.job === null) return this.#withoutJob();
    const { functions, store, contracts } = this.job;
    if (functions.length > 0 || store !== null || contracts.length > 0) return 'its run asked the outside: the command verifies it';
    return null;
  }

  #withoutJob() {
    const faults = [...this.faults.values()].flat().concat(this.asideFaults);
    if (faults.length > 0) return `it holds no snapshot that can be read: ${faults.join('; ')}`;
    return this.hasReports ? 'it holds the result of a run, but no snapshot: there is nothing to execute from' : 'it holds no snapshot';
  }
}

/**
 * Opens the chain among these files.
 * @param {Map<string, Blob>} files
 */
export const open = async (files) => {
  const chain = new Chain(files);
  await chain.readSnaps();
  const why = chain.refusal;
  if (why !== null) throw new Refused(why);
  return chain;
};

/** The module that the receipt names, by the hash of its bytes; nothing where it names none. */
export const moduleNamed = ({ said }) => {
  const named = member(said, 'runner', 'node_blake3');
  return typeof named === 'string' && /^[0-9a-f]{64}$/.test(named) ? named : null;
};
