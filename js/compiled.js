// Compiled code beside the module (docs/compiled.md): the program's functions as a companion module, which this engine compiles and which
// works in the module's own memory. What is emitted, and how frames are read, is the business of compiler.wasm.

/** What `node_run_or_enter` returns for instance 0. */
const ENTER = 16;
/** What the companion returns when it has left. */
const LEFT = -(1n << 63n);
/** Gas that compiled code may be given. */
const MOST_GAS = 1n << 62n;
/** Bytes of a workspace that say what is to be gone on with. */
const ENTERING = 64;
/** Companions that are kept for later runs of the same programs. */
const MOST_KEPT = 16;
/** What `node_entered` is told. */
const NOT = 0;
const RETURNED = 1;
const WAS_LEFT = 2;

/** The compiled code of a run. */
export class CompiledCode {
  #node;
  #compiler;
  #isAll;
  #kept;
  #instances = new Map();
  /** The companions that are being compiled; when all are there, they are taken in. */
  #making;
  #made;
  #hasBegun = false;

  constructor(node, compiler, tier, kept) {
    this.#node = node;
    this.#compiler = compiler;
    this.#isAll = tier === 'compiled';
    this.#kept = kept;
    this.work = { funcs: 0, gas: 0n, turns: 0, left: 0 };
  }

  get isCompiling() { return this.#making !== undefined; }

  /** Compiles before anything runs, if everything is to be compiled. */
  async begin() {
    if (this.#isAll && !this.#hasBegun) this.#compile();
    if (this.#isAll) await this.#making;
  }

  /** As `node_run`, in compiled code where there is some. */
  run(gas, steps) {
    try {
      return this.#runOn(gas, steps);
    } catch (cause) {
      if (this.#node.isHalfDone) throw this.#node.lose(`compiled code failed: ${cause}`, cause);
      throw cause;
    }
  }

  #runOn(gas, steps) {
    this.#makeProgress();
    const before = this.#total();
    let left = gas;
    for (;;) {
      const value = this.#node.check(this.#node.call('run_or_enter', left, steps));
      if (value < ENTER) return value;
      left = this.#enter(value - ENTER);
      if (left === undefined) {
        // The module has run up to there all the same.
        const spent = this.#total() - before;
        left = gas > spent ? gas - spent : 0n;
      }
      if (steps > 0n) steps -= 1n;
    }
  }

  #total() {
    const length = this.#node.check(this.#node.call('progress'));
    return new DataView(this.#node.get(length).buffer).getBigUint64(0, true);
  }

  #makeProgress() {
    if (this.#made) this.#takeIn(this.#made);
    if (this.isCompiling) return;
    if (this.#isAll) {
      if (!this.#hasBegun) this.#compile();
      return;
    }
    const look = this.#compiler.compiler_look(this.#total(), this.work.gas);
    if (look === 2) this.#takeBack();
    if (look > 0) this.#compile();
  }

  /** Begins to compile all instances. */
  #compile() {
    const all = [];
    for (let instance = 0; ; instance += 1) {
      const wasm = this.#emit(instance);
      if (wasm === undefined) break;
      this.#hasBegun = true;
      // What this engine does not take is interpreted.
      if (wasm.length > 0) all.push(WebAssembly.compile(wasm).then((module) => ({ instance, module }), () => null));
    }
    this.#making = Promise.all(all).then((made) => { this.#made = made.filter((one) => one !== null); });
  }

  /** The companion of an instance, of no bytes if nothing is to be compiled; undefined if there is no such instance. */
  #emit(instance) {
    const compile = (words) => {
      const length = this.#node.call('compile', instance, words);
      return length < 0 ? undefined : this.#node.get(length);
    };
    let told = compile(0);
    if (told === undefined) return undefined;
    const words = new BigUint64Array(told.buffer);
    const piece = (at) => new Uint8Array(this.#node.memory, Number(words[at]), Number(words[at + 1]));
    const [program, schedule] = [piece(4), piece(6)];
    const lengths = [told, program, schedule].map((bytes) => bytes.length);
    this.#put(told, program, schedule);
    const workspace = this.#compiler.compiler_read(instance, ...lengths);
    if (workspace < 0) return new Uint8Array();
    told = compile(workspace);
    if (told === undefined) return new Uint8Array(); // There is no room.
    this.#put(told);
    const length = this.#compiler.compiler_emit(instance, told.length, this.#isAll ? 1 : 0);
    return length > 0 ? this.#get(length) : new Uint8Array();
  }

  #takeIn(made) {
    this.#making = this.#made = undefined;
    this.#kept.push(...made.map(({ module }) => module));
    this.#kept.splice(0, this.#kept.length - MOST_KEPT);
    for (const { instance, module } of made) {
      const { enter, resume } = new WebAssembly.Instance(module, { env: { memory: this.#node.exports.memory } }).exports;
      this.#handOver(instance, this.#get(this.#compiler.compiler_hand_over(instance)));
      const places = this.#get(this.#compiler.compiler_places(instance));
      const [workspace, innermost, funcs] = new Uint32Array(places.buffer);
      this.#instances.set(instance, { enter, resume, workspace, innermost });
      this.work.funcs += funcs;
    }
    this.#compiler.compiler_taken_in(this.#total(), this.work.gas);
  }

  #handOver(instance, words) {
    this.#node.check(this.#node.call('hand_over', instance, this.#node.put(words)));
  }

  /** Takes everything back, and with it what compiled code has marked. */
  #takeBack() {
    this.#instances.clear();
    this.#handOver(0, new Uint8Array());
  }

  /** Lets compiled code of an instance go on; the gas that is left, if it did. */
  #enter(instance) {
    const code = this.#instances.get(instance);
    if (code === undefined) {
      // Somebody else has compiled it, where the run was before.
      this.#takeBack();
      return undefined;
    }
    const entering = new DataView(this.#node.memory, code.workspace, ENTERING);
    const [func, offset, values, count] = [0, 8, 24, 32].map((at) => entering.getUint32(at, true));
    const gas = entering.getBigUint64(16, true);
    if (offset === 0) {
      // Its parts lie elsewhere now.
      this.#takeBack();
      this.#compiler.compiler_moved();
      if (!this.isCompiling) this.#compile();
      return undefined;
    }
    // From here on nothing is called by way of the node until the module was told.
    this.#node.isHalfDone = true;
    const { how, at, left } = this.#turn(instance, code, { func, values, count, gas });
    const told = this.#node.exports.node_entered(how, at, left);
    this.#node.isHalfDone = false;
    this.#node.check(told);
    const spent = gas - left;
    this.work.gas += spent;
    this.work.turns += 1;
    if (how === WAS_LEFT) this.work.left += 1;
    const length = this.#compiler.compiler_judge(instance, func, spent);
    if (length > 0) this.#handOver(instance, this.#get(length));
    return left;
  }

  /** A turn of compiled code. */
  #turn(instance, code, { func, values, count, gas }) {
    const memory = new Uint8Array(this.#node.memory);
    const piece = (at, length) => memory.subarray(at, at + length);
    this.#put(piece(code.workspace, ENTERING), piece(values, 8 * count));
    const point = this.#compiler.compiler_enter(instance, ENTERING + 8 * count);
    if (point < 0) return { how: NOT, at: 0, left: gas };
    const [frame, slots] = this.#words(2);
    memory.copyWithin(slots, values, values + 8 * count);
    const lent = gas < MOST_GAS ? gas : MOST_GAS;
    const left = point === 0 ? code.enter(func, frame, lent) : code.resume(func, point, frame, lent);
    if (left !== LEFT) {
      return { how: RETURNED, at: this.#compiler.compiler_results(instance), left: gas - lent + left };
    }
    const innermost = new DataView(memory.buffer).getUint32(code.innermost, true);
    this.#compiler.compiler_left_piece(instance, innermost);
    const [at, length] = this.#words(2);
    this.#put(piece(at, length));
    const size = this.#compiler.compiler_left(instance, length);
    if (size < 0) throw new Error('these are no frames of its own');
    const bytes = this.#get(size);
    const rest = new DataView(bytes.buffer).getBigUint64(0, true);
    const frames = bytes.subarray(8);
    const place = this.#node.exports.node_buffer(frames.length) >>> 0;
    if (place === 0) throw new Error('there is no room for its frames');
    new Uint8Array(this.#node.memory, place, frames.length).set(frames);
    return { how: WAS_LEFT, at: frames.length, left: gas - lent + rest };
  }

  /** Puts bytes into the compiler's buffer, one behind the other. */
  #put(...pieces) {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    let at = this.#compiler.compiler_buffer(length) >>> 0;
    const memory = new Uint8Array(this.#compiler.memory.buffer);
    for (const piece of pieces) {
      memory.set(piece, at);
      at += piece.length;
    }
  }

  #get(length) {
    return new Uint8Array(this.#compiler.memory.buffer, this.#compiler.compiler_buffer(0) >>> 0, length).slice();
  }

  #words(count) {
    return new Uint32Array(this.#get(4 * count).buffer);
  }
}
