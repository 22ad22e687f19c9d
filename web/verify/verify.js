// Verification of a chain: the hashes first, then every segment is executed again, and what comes out is compared with the files byte by
// byte. It comes to the verdict of the command `stepmark verify`.

import { claim as claimOf } from '../chain/claim.js';
import * as jobs from '../chain/job.js';
import { PAUSE, parse } from '../chain/names.js';
import { Pool, webWorker } from './pool.js';
import { segments, shares } from './plan.js';

/** What a verdict proves, in two sentences; the second is filled in. */
const PROVED = {
  valid: 'The program, executed again, gave every byte of the claim.',
  incomplete: 'The program, executed again, gave every byte so far, but has not ended.',
  invalid: 'Nothing is proved: something differs, or could not be compared.',
};

/** What a worker has to know of a chain. */
const parts = (chain) => ({
  files: chain.files, job: chain.job, jobHash: chain.jobHash, keepsFinal: chain.keepsFinal, known: new Set(chain.links.keys()),
  receipt: chain.receipt, said: jobs.claimed(chain.job),
});

/** The `.bin` files whose hashes are checked, with what they must be, a list for each worker. */
const bins = (chain, workers) => {
  const lists = Array.from({ length: workers }, () => []);
  [...chain.links].filter(([id]) => chain.bins.has(id)).forEach(([id, link], at) => {
    const before = chain.links.get(id - 1n)?.segment.bin ?? null;
    lists[at % workers].push({ id, bin: link.segment.bin, before });
  });
  return lists;
};

/** Files of ours that executing did not write, where it was to write all that there are: a later command would read them. */
const superfluous = (chain, compared) => {
  const isOursToJudge = ({ kind }) => kind === 'calls' || kind === 'final' || (kind === 'result' && chain.hasReports);
  const extra = [...chain.files.keys()].filter((name) => isOursToJudge(parse(name)) && !compared.has(name));
  return extra.sort().map((name) => `${name}: superfluous: this run does not write it`);
};

/** One verification. */
export class Verification {
  /** What came of each segment, as far as it is known. @type {(import('./segment.js').Verdict & { milliseconds: number, worker: number } | undefined)[]} */
  verdicts = [];
  gas = 0n;
  #chain;
  #pool;
  #hear;
  #binFaults = new Map();
  #compared = new Set();
  #pauseFaults = [];

  /**
   * @param {import('../chain/open.js').Chain} chain
   * @param {{
   *   module: WebAssembly.Module, compiler?: WebAssembly.Module, tier: import('../stepmark/stepmark.js').Tier, supply: Map<string, Blob>, workers: number,
   *   make?: typeof webWorker, heard?: () => void,
   * }} how `heard` is called when there is something new
   */
  constructor(chain, { workers, make = webWorker, heard = () => {}, ...setup }) {
    this.#chain = chain;
    this.segments = segments(chain);
    this.claim = claimOf(chain);
    this.#hear = heard;
    const count = Math.max(1, Math.min(workers, this.segments.length));
    this.#pool = new Pool(count, make, (message, worker) => this.#take(message, worker));
    this.#setup = { ...setup, chain: parts(chain) };
  }

  #setup;

  get workers() { return this.#pool.size; }

  stop() { this.#pool.end(); }

  #take(message, worker) {
    if (message.gas !== undefined) this.gas += message.gas;
    if (message.fault) this.#binFaults.set(message.bin, message.fault);
    if (message.verdict) this.verdicts[message.number] = { ...message.verdict, worker };
    message.compared?.forEach((name) => this.#compared.add(name));
    if (message.pause) this.#pauseFaults = message.pause;
    this.#hear();
  }

  /** Verifies; what it comes to. */
  async run() {
    const pool = this.#pool;
    try {
      await pool.askAll('setup', Array(pool.size).fill(this.#setup));
      await pool.askAll('bins', bins(this.#chain, pool.size));
      const numbered = new Map(this.segments.map((segment, number) => [segment, { number, segment }]));
      const all = shares(this.segments, this.#chain, pool.size);
      await pool.askAll('segments', all.map((share) => share.map((segment) => numbered.get(segment))));
      await this.#checkPause();
      return this.#conclude();
    } finally {
      pool.end();
    }
  }

  /** Checks the pause, unless something is wrong with it already. */
  async #checkPause() {
    const { files, paused, asideFaults } = this.#chain;
    if (!PAUSE.some((name) => files.has(name)) || asideFaults.some((fault) => fault.startsWith('paused.'))) return;
    if (paused === null) {
      this.#pauseFaults = ['paused.snap: missing or damaged beside other files of a pause'];
      return;
    }
    const { segment: { id, limit }, state: { gasTotal: gas } } = paused;
    await this.#pool.ask(0, 'pause', { id, limit, gas });
  }

  #conclude() {
    const isExecuted = this.verdicts.every((verdict) => verdict.word !== 'not compared');
    const faults = [
      ...this.#ordered(), ...this.#chain.asideFaults, ...(isExecuted ? superfluous(this.#chain, this.#compared) : []),
      ...this.#pauseFaults,
    ];
    const wrong = this.verdicts.findIndex((verdict) => verdict.word !== 'same');
    const isRight = faults.length === 0 && wrong < 0;
    const word = isRight ? (this.claim.isFinal ? 'valid' : 'incomplete') : 'invalid';
    const same = this.verdicts.filter((verdict) => verdict.word === 'same').length;
    return { word, proved: PROVED[word], faults, firstWrong: wrong < 0 ? null : this.segments[wrong], same };
  }

  /** The faults of the files of snapshots, by their ids. */
  #ordered() {
    const { faults } = this.#chain;
    const ids = [...new Set([...faults.keys(), ...this.#binFaults.keys()])].sort((a, b) => (a < b ? -1 : 1));
    return ids.flatMap((id) => [...(faults.get(id) ?? []), ...(this.#binFaults.has(id) ? [this.#binFaults.get(id)] : [])]);
  }
}
