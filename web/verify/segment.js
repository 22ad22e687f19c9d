// Executing segments again: a job of the module is taken through a contiguous range of them, and from one to the next only as long as
// its own state is the one that the chain has.

import * as jobs from '../chain/job.js';
import { compare, compareSnap } from './compare.js';
import { differences } from './receipt.js';

/** Moments with the gas of a pause that are compared with it: there are more than one where instructions cost nothing. */
const MOMENTS = 64;
const SLICE = 20_000_000n;

/**
 * @typedef {'same' | 'differs' | 'not compared'} Word
 * @typedef {{ job: import('../stepmark/stepmark.js').Job, id: bigint, limit: bigint, refill: boolean }} Ready
 * @typedef {{ word: Word, differences: import('./compare.js').Difference[], gas: bigint }} Verdict
 */

const least = (a, b) => (a < b ? a : b);
const plain = (text) => ({ file: '', text });

export class Executor {
  #stepmark;
  #tier;
  #chain;
  #supply;
  #heard;
  /** The job that goes on, and what it is ready for. @type {Ready | null} */
  #at = null;
  /** Names of the files that were compared. @type {Set<string>} */
  compared = new Set();

  /**
   * @param {import('../stepmark/stepmark.js').Stepmark} stepmark
   * @param {import('../stepmark/stepmark.js').Tier} tier
   * @param {import('./pool.js').ChainParts} chain
   * @param {Map<string, Blob>} supply the files of the job, by what the module calls them
   * @param {(gas: bigint) => void} heard is told the gas that was executed
   */
  constructor(stepmark, tier, chain, supply, heard) {
    this.#stepmark = stepmark;
    this.#tier = tier;
    this.#chain = chain;
    this.#supply = supply;
    this.#heard = heard;
  }

  /**
   * Decides a segment.
   * @param {import('./plan.js').Segment} segment
   * @returns {Promise<Verdict>}
   */
  async decide(segment) {
    const notCompared = (why) => ({ word: /** @type {Word} */ ('not compared'), differences: [plain(why)], gas: 0n });
    if (segment.to !== null && !this.#chain.known.has(segment.to)) return notCompared(`${segment.to}.snap is missing or damaged`);
    if (segment.to !== null && segment.to > segment.from + 1n) {
      return notCompared(`the snapshots from ${segment.from + 1n} up to ${segment.to} are missing`);
    }
    try {
      const at = await this.#ready(segment);
      const before = at.job.progress().gas;
      const found = await this.#execute(segment, at);
      return { word: found.length > 0 ? 'differs' : 'same', differences: found, gas: at.job.progress().gas - before };
    } catch (error) {
      this.#at = null;
      return notCompared(error.message);
    }
  }

  /** A job that stands before a segment. A run that stopped at its limit says so only after the segment before. @returns {Promise<Ready>} */
  async #ready(segment) {
    const id = segment.atLimit ? segment.from - 1n : segment.from;
    const refill = !segment.atLimit;
    const kept = this.#at;
    this.#at = null;
    if (kept !== null && kept.id === id && kept.limit === segment.limit && kept.refill === refill) return kept;
    return { job: await this.restore(id, segment.limit, refill), id, limit: segment.limit, refill };
  }

  /** A job in the state of a snapshot. */
  async restore(id, limit, refill) {
    const { job, jobHash, keepsFinal } = this.#chain;
    const args = jobs.args(job, { from: id, limit, refill, keepFinal: keepsFinal });
    const restored = await this.#stepmark.start(args, { tier: this.#tier });
    await restored.provide((path) => this.#contents(path));
    if (restored.jobHash !== jobHash) throw new Error('the files that were given do not make the job of the snapshots');
    return restored;
  }

  /** A file that the module wants, part by part as it is read. */
  async #contents(path) {
    const file = this.#supply.get(path) ?? this.#chain.files.get(path.replace(`${jobs.CHAIN}/`, ''));
    return file === undefined ? null : file.arrayBuffer();
  }

  /** Runs to a snapshot or the end. @param {import('../stepmark/stepmark.js').Job} job */
  async #next(job) {
    for (let before = job.progress().gas; ;) {
      const event = await job.events({ gas: SLICE }).next();
      job.output(1);
      job.output(2);
      const { gas } = job.progress();
      this.#heard(gas - before);
      before = gas;
      if (event.value === 'question') throw new Error('the run asks the outside');
      if (event.value !== 'output') return event.value;
    }
  }

  async #execute(segment, at) {
    if (segment.atLimit) {
      await this.#next(at.job);
      for (const { parts } of at.job.files()) for (const _ of parts); // The segment before is decided by itself.
    }
    const event = await this.#next(at.job);
    if (event === 'snapshot' && segment.to !== null) return this.#compareSnapshot(segment.to, at);
    if (event === 'finished' && segment.to === null) return this.#compareEnd(at.job);
    if (event === 'finished') return [plain(`the program ends in this segment: snapshot ${segment.to} is one too many`)];
    const id = at.job.progress().snapshot;
    if (this.#chain.files.has('result.txt')) return [plain(`the run goes on to a snapshot ${id}, which is missing`)];
    throw new Error(`nothing says how the run ended: it goes on to a snapshot ${id} here`);
  }

  async #compareSnapshot(id, at) {
    const found = [];
    let isSnapRight = true;
    for (const { name, parts } of at.job.files()) {
      this.compared.add(name);
      const isSnap = name.endsWith('.snap');
      const difference = await (isSnap ? compareSnap : compare)(name, this.#chain.files.get(name), parts);
      if (difference === null) continue;
      found.push(difference);
      isSnapRight &&= !isSnap;
    }
    if (isSnapRight) this.#at = { ...at, id };
    return found;
  }

  /** Compares what the end of the run leaves. */
  async #compareEnd(job) {
    const { files, receipt, said } = this.#chain;
    const found = [];
    for (const { name, parts } of job.files()) {
      this.compared.add(name);
      if (name === 'receipt.json') {
        const expected = new Uint8Array(await new Blob([...parts]).arrayBuffer());
        if (receipt.fault !== null) throw new Error(receipt.fault);
        found.push(...differences(receipt.bytes, expected, said).map((text) => ({ file: name, text })));
      } else {
        const difference = await compare(name, files.get(name), parts);
        if (difference !== null) found.push(difference);
      }
    }
    if (!files.has('result.txt')) throw new Error('result.txt is missing: how the run ended cannot be compared');
    return found;
  }

  /**
   * Executes the segment that was paused again, up to the gas of the pause, and compares its files; what is wrong.
   * @param {{ id: bigint, limit: bigint, gas: bigint }} pause
   * @returns {Promise<string[]>}
   */
  async checkPause({ id, limit, gas: target }) {
    const job = await this.restore(id, limit, true);
    let wrong = [`paused.snap: the run has no moment with ${target} gas in total`];
    for (let moments = 0; moments < MOMENTS;) {
      const total = job.progress().gas;
      if (total === target) {
        moments += 1;
        wrong = await this.#comparePause(job);
      }
      if (wrong.length === 0 || total > target) break;
      const slice = total === target ? { gas: 1n, steps: 1n } : { gas: least(target - total, SLICE) };
      await job.ready();
      const event = job.run(slice);
      if (event === 'finished' || event === 'snapshot') break;
      job.output(1);
      job.output(2);
      const used = job.progress().gas - total;
      if (used === 0n) moments += 1;
      this.#heard(used);
    }
    return wrong;
  }

  async #comparePause(job) {
    job.pause();
    const found = [];
    for (const { name, parts } of job.files()) {
      const difference = await compare(name, this.#chain.files.get(name), parts);
      if (difference !== null) found.push(difference.text);
    }
    if (this.#chain.files.has('paused.calls')) found.push('paused.calls: superfluous: this run does not write it');
    return found;
  }
}
