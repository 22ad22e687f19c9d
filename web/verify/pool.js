// The workers of a verification: each has a module of its own, and takes one message after the other.

/**
 * What a worker knows of a chain.
 * @typedef {{
 *   files: Map<string, Blob>, job: import('../chain/snap.js').Job, jobHash: string, keepsFinal: boolean, known: Set<bigint>,
 *   receipt: { bytes: Uint8Array | null, fault: string | null }, said: object,
 * }} ChainParts
 */

/** A worker of the browser, as an end that sends and hears. */
export const webWorker = (heard) => {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  worker.addEventListener('message', ({ data }) => heard(data));
  worker.addEventListener('error', (event) => heard({ failed: event.message || 'a worker does not start' }));
  return { send: (message) => worker.postMessage(message), end: () => worker.terminate() };
};

export class Pool {
  #ends = [];
  #waiting = [];
  #heard;

  /**
   * @param {number} count
   * @param {typeof webWorker} make
   * @param {(message: object, worker: number) => void} heard is told everything but ends
   */
  constructor(count, make, heard) {
    this.#heard = heard;
    for (let worker = 0; worker < count; worker += 1) this.#ends.push(make((message) => this.#hear(worker, message)));
  }

  get size() { return this.#ends.length; }

  #hear(worker, message) {
    if (message.done) return this.#waiting[worker]?.resolve();
    if (message.failed !== undefined) return this.#waiting[worker]?.reject(new Error(message.failed));
    return this.#heard(message, worker);
  }

  /** Asks one worker; resolves when it has done what it was asked. */
  ask(worker, task, given) {
    return new Promise((resolve, reject) => {
      this.#waiting[worker] = { resolve, reject };
      this.#ends[worker].send({ task, given });
    });
  }

  /** Asks all, each for its own part. */
  async askAll(task, parts) {
    await Promise.all(parts.map((part, worker) => this.ask(worker, task, part)));
  }

  /** Ends all, whatever they are doing; who waits is told why. */
  end(why = 'it was stopped') {
    this.#ends.forEach((end) => end.end());
    this.#waiting.forEach(({ reject }) => reject(new Error(why)));
  }
}
