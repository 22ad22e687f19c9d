// The Stepmark module from JavaScript: the functions of docs/guest-abi.md as classes. It needs nothing but WebAssembly, so it runs in
// Node.js, Bun, Deno, pages and workers alike. How files are read and written is up to the caller; node.js does it with node:fs.

import { CompiledCode } from './compiled.js';
import { decodeCall, decodeResult, encodeReply } from './postcard.js';

/** What happened, by the number that the module returns. */
const EVENTS = ['finished', 'snapshot', 'paused', 'output', 'question'];
/** Bytes that are passed at once. */
const CHUNK = 1 << 18;
/** Gas and free steps of a slice: some tens of milliseconds. */
const GAS = 10_000_000n;
const STEPS = 50_000_000n;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A job that cannot go on; `exitCode` is that of the command: 2, 65 or 74. */
export class StepmarkError extends Error {
  constructor(message, exitCode) {
    super(message);
    this.name = 'StepmarkError';
    this.exitCode = exitCode;
  }
}

const compiled = async (source) => {
  const given = await source;
  if (given instanceof WebAssembly.Module) return given;
  if (typeof Response !== 'undefined' && given instanceof Response) {
    return given.headers.get('content-type') === 'application/wasm'
      ? WebAssembly.compileStreaming(given)
      : WebAssembly.compile(await given.arrayBuffer());
  }
  return WebAssembly.compile(given);
};

/** An instance whose imports fail: the exported functions call none of them. */
const instantiate = async (module) => {
  const imports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    (imports[from] ??= {})[name] = () => { throw new Error(`the module called ${from}.${name}`); };
  }
  return (await WebAssembly.instantiate(module, imports)).exports;
};

/** The Stepmark module, compiled once for any number of jobs. */
export class Stepmark {
  #module;
  #compiler;
  /** The last companions: as long as they are there, an engine finds what it has made of the same bytes, well compiled by then. */
  #companions = [];

  constructor(module, compiler) {
    this.#module = module;
    this.#compiler = compiler;
  }

  /** Compiles the module, and with `compiler` what lets programs run as compiled code. */
  static async load(module, { compiler } = {}) {
    const [own, other] = await Promise.all([compiled(module), compiler === undefined ? undefined : compiled(compiler)]);
    return new Stepmark(own, other);
  }

  /** Starts a job: the arguments are those of the module's own command line. */
  async start(args, { tier = 'register' } = {}) {
    if (!Array.isArray(args) || args.some((arg) => typeof arg !== 'string' || arg.includes('\0'))) {
      throw new StepmarkError('the arguments are a list of texts without NUL', 2);
    }
    if (!['register', 'auto', 'compiled'].includes(tier)) {
      throw new StepmarkError(`tier ${tier}: there are register, auto and compiled`, 2);
    }
    if (tier !== 'register' && this.#compiler === undefined) {
      throw new StepmarkError(`tier ${tier}: Stepmark.load was given no compiler`, 2);
    }
    const node = new Exports(await instantiate(this.#module));
    node.check(-node.call('load', node.put(encoder.encode(args.join('\0')))));
    const code = tier === 'register' ? undefined : new CompiledCode(node, await instantiate(this.#compiler), tier, this.#companions);
    return new Job(node, code);
  }
}

/** A bound of a call: a whole number from 1 on. */
const bound = (value, name) => {
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) throw new StepmarkError(`${name}: ${value} is no whole number`, 2);
  if (value < 1) throw new StepmarkError(`${name}: ${value} is less than 1`, 2);
  return BigInt(value);
};

/** The exported functions, with the exchange buffer. Each call may grow the memory, so every view of it is a new one. */
class Exports {
  constructor(exports) {
    this.exports = exports;
    this.lost = undefined;
    /** Compiled code has changed memory, and the module was not told yet: an exception may come at any time, such as where there is no stack left. */
    this.isHalfDone = false;
  }

  get memory() { return this.exports.memory.buffer; }

  /** Calls `node_NAME`. A trap is a fault of the module: nothing can be called after it. */
  call(name, ...args) {
    const called = this.exports[`node_${name}`];
    if (called === undefined) throw new StepmarkError(`the module is of an older release: it has no node_${name}`, 2);
    if (this.lost) throw this.lost;
    if (this.isHalfDone) throw this.lose('compiled code failed');
    try {
      return called(...args);
    } catch (cause) {
      const asked = name === 'out_of_memory' ? 0n : this.#outOfMemory();
      throw this.lose(asked > 0n ? `the module's memory is not enough: ${asked} bytes more` : `the module failed: ${cause}`, cause);
    }
  }

  /** Nothing can be called from now on: what there is in memory may be half done. */
  lose(why, cause) {
    this.lost = Object.assign(new StepmarkError(why, 74), { cause });
    return this.lost;
  }

  #outOfMemory() {
    try { return BigInt.asUintN(64, this.exports.node_out_of_memory?.() ?? 0n); } catch { return 0n; }
  }

  /** Puts bytes into the buffer; their number. */
  put(bytes) {
    const address = this.call('buffer', bytes.length) >>> 0;
    if (address === 0) throw new StepmarkError(`${bytes.length} bytes are too many at once`, 2);
    new Uint8Array(this.memory, address, bytes.length).set(bytes);
    return bytes.length;
  }

  /** A copy of the first bytes of the buffer. */
  get(length) {
    return new Uint8Array(this.memory, this.call('buffer', 0) >>> 0, length).slice();
  }

  text(length) { return decoder.decode(this.get(length)); }

  /** A length or an event; an error is thrown. */
  check(value) {
    if (value >= 0) return value;
    throw new StepmarkError(this.text(this.call('error')), -value);
  }

  /** What a function hands out part by part. */
  *chunks(name, ...args) {
    for (let length; (length = this.check(this.call(name, ...args))) > 0;) yield this.get(length);
  }
}

/** The bytes of all parts. */
export const joined = (chunks) => {
  const parts = [...chunks];
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

/** A turn of the event loop, so that what is being compiled, and a page, can go on. */
const tick = () => new Promise((resolve) => { setTimeout(resolve, 0); });

/** A job: give it the files that it wants, let it run, and take what it writes. */
export class Job {
  #node;
  #code;

  constructor(node, code) {
    this.#node = node;
    this.#code = code;
  }

  #number(name, ...args) { return this.#node.check(this.#node.call(name, ...args)); }

  #text(name) {
    const length = this.#number(name);
    return length === 0 ? null : this.#node.text(length);
  }

  /** The path of the next file that the job needs; null when it is ready to run. */
  wanted() { return this.#text('want'); }

  /** Gives the wanted file: bytes, any iterable of parts, or null if there is no such file. */
  give(contents) {
    const isBytes = (value) => ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
    const parts = contents === null ? [] : isBytes(contents) ? [contents] : contents;
    if (typeof parts !== 'object' || parts?.[Symbol.iterator] === undefined) {
      throw new StepmarkError(`a file is bytes, a list of bytes, or null, not ${typeof contents}`, 2);
    }
    for (const given of parts) {
      if (!isBytes(given)) throw new StepmarkError(`a part of a file is bytes, not ${typeof given}`, 2);
      const part = given instanceof ArrayBuffer ? new Uint8Array(given) : given;
      const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
      for (let at = 0; at < bytes.length; at += CHUNK) {
        this.#number('give', this.#node.put(bytes.subarray(at, at + CHUNK)));
      }
    }
    this.#number('give_end', contents === null ? 0 : 1);
  }

  /** Gives all files that the job needs: `read` gets a path, and answers as `give` takes it, or a promise of that. */
  async provide(read) {
    for (let path; (path = this.wanted()) !== null;) this.give(await read(path));
  }

  /** Resolves when what is to be compiled before the program runs is compiled. `events` waits for it by itself. */
  async ready() { await this.#code?.begin(); }

  /** Runs for at most so much gas; what happened. */
  run({ gas: mostGas = GAS, steps: mostSteps = STEPS } = {}) {
    const [gas, steps] = [bound(mostGas, 'gas'), bound(mostSteps, 'steps')];
    const event = this.#code ? this.#code.run(gas, steps) : this.#number('run', gas, steps);
    const name = EVENTS[event];
    if (name === undefined) throw new StepmarkError(`the module answered ${event}: it is of a later release`, 65);
    return name;
  }

  /**
   * Runs to the end, slice by slice, and yields each event but pauses. Compiled code is taken over between slices. A dear
   * instruction gets a larger slice.
   */
  async *events({ gas: most = GAS, steps = STEPS } = {}) {
    const gas = bound(most, 'gas');
    await this.ready();
    for (let slice = gas; ;) {
      const before = this.progress().gas;
      const event = this.run({ gas: slice, steps });
      if (event !== 'paused') {
        slice = gas;
        yield event;
        if (event === 'finished') return;
      } else {
        slice = this.progress().gas === before ? slice * 2n : gas;
        if (this.#code?.isCompiling) await tick();
      }
    }
  }

  /** What the program wrote to descriptor 1 or 2 since the last call. */
  output(descriptor) { return joined(this.#node.chunks('output', descriptor)); }

  /** Warnings for the user. */
  messages() {
    const all = [];
    for (let text; (text = this.#text('message')) !== null;) all.push(text);
    return all;
  }

  /** The files that are to be written: name and parts, in the order in which they must be written. */
  *files() {
    for (let name; (name = this.#text('take_name')) !== null;) {
      const parts = this.#node.chunks('take');
      yield { name, parts };
      for (const _ of parts); // What the caller has left.
    }
  }

  /** The files that the program leaves behind; `link` is the number of an earlier one of which this is another name. */
  *delivered() {
    for (let path; (path = this.#text('deliver_name')) !== null;) {
      const link = this.#number('deliver_link');
      if (link > 0) {
        yield { path, link: link - 1 };
        continue;
      }
      const parts = this.#node.chunks('deliver');
      yield { path, parts };
      for (const _ of parts); // What the caller has left.
    }
  }

  /** What the run asks of the outside, after the event `question`. */
  question() {
    const length = this.#number('question');
    return length === 0 ? null : decodeCall(this.#node.get(length));
  }

  /** Answers the question. */
  answer(reply) {
    const bytes = encodeReply(reply);
    let at = 0;
    do {
      const part = bytes.subarray(at, at + CHUNK);
      at += part.length;
      this.#number('answer', this.#node.put(part), at < bytes.length ? 1 : 0);
    } while (at < bytes.length);
  }

  /** Bytes of the memory of the instance whose call asks. */
  askingMemory(address, length) {
    return this.#node.get(this.#number('memory', BigInt(address), length));
  }

  /** Makes the files of a pause ready: take them with `files`. The run can go on afterwards. */
  pause() { this.#number('pause'); }

  /** Gas so far, and of this segment; the segment's limit; the highest snapshot; answers from outside. */
  progress() {
    const words = new BigUint64Array(this.#node.get(this.#number('progress')).buffer);
    const [gas, segmentGas, limit, snapshot, , answers] = words;
    return { gas, segmentGas, limit, snapshot, answers };
  }

  /** How the run ended, and with what; null before its end. */
  result() {
    const length = this.#number('result');
    return length === 0 ? null : decodeResult(this.#node.get(length));
  }

  /** The exit code of the finished run. */
  get exitCode() { return this.#node.call('exit_code'); }

  /** The directory that the arguments name. */
  get outputDir() { return this.#node.text(this.#number('output_dir')); }

  /** The job's hash, as hexadecimal digits. */
  get jobHash() {
    const bytes = this.#node.get(this.#number('job_hash'));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  /** The snapshot that the run started from; 0 for the beginning. */
  get startId() { return BigInt.asUintN(64, this.#node.call('start_id')); }

  /** What compiled code has done: functions, gas, turns, and how many turns were left early. */
  get compiledWork() { return this.#code?.work ?? { funcs: 0, gas: 0n, turns: 0, left: 0 }; }
}
