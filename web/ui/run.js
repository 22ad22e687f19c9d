// Running a program of the reader's own, and saving the chain that it leaves.

import { parse } from '../chain/names.js';
import { describe } from '../chain/program.js';
import { write } from '../chain/tar.js';
import { byId, grouped, make, save, show } from './dom.js';
import { ownModule } from './module.js';

const SHOWN_OUTPUT = 100_000;
const MOST = 2n ** 64n - 1n;

/** The order of an archive: every `.bin`, every `.snap`, by their numbers; then the others. */
const ordered = (files) => {
  const place = (name) => {
    const { kind, id } = parse(name) ?? {};
    const group = ['bin', 'snap'].indexOf(kind);
    return [group < 0 ? 2 : group, id ?? 0n, name];
  };
  const compare = (a, b) => { for (const at of [0, 1, 2]) if (a[at] !== b[at]) return a[at] < b[at] ? -1 : 1; return 0; };
  return new Map([...files].sort(([a], [b]) => compare(place(a), place(b))));
};

/** A file name that any archive may have. */
const plainName = (name) => (/^[\w.-]{1,90}$/.test(name) && !name.startsWith('.') ? name : 'program.wasm');

const whole = (input) => {
  const value = BigInt(input.value);
  if (value < 1n || value > MOST) throw new Error(`${input.value} is no number from 1 to ${MOST}`);
  return value;
};

const hexadecimal = (bits) => `0x${bits.toString(16)}`;

/** A value as its type has it. */
const valueText = ({ type, bits }) => {
  if (type === 'i32') return String(BigInt.asIntN(32, bits));
  if (type === 'i64') return String(BigInt.asIntN(64, bits));
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt.asUintN(64, bits));
  if (type === 'f32') return String(view.getFloat32(4));
  return type === 'f64' ? String(view.getFloat64(0)) : hexadecimal(bits);
};

/** How a run ended, in words. */
const ended = ({ done, result, exitCode }) => {
  if (done === 'stopped') return 'It was stopped at the limit, with its state in a pause: it can go on with stepmark resume.';
  const { outcome, values } = result;
  if (outcome.kind === 'trapped') return `It trapped: ${outcome.detail ?? outcome.trap}.`;
  const returned = values.length > 0 ? `It returned ${values.map(valueText).join(' ')}.` : `It ended with exit code ${exitCode}.`;
  return returned;
};

export class RunView {
  #worker;
  #files = new Map();
  #name = '';
  #decoder;
  #opened;

  /** @param {(files: Map<string, Blob>, from: string) => void} opened takes a chain to be verified */
  constructor(opened) {
    this.#opened = opened;
    byId('show-run').addEventListener('click', () => this.#toggle());
    byId('run-program').addEventListener('change', () => this.#describe());
    byId('run-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#start().catch((error) => this.#end(`It does not run: ${error.message}`));
    });
    byId('run-stop').addEventListener('click', () => this.#end('It was ended; the snapshots so far are there.'));
    byId('run-save').addEventListener('click', () => save(write(ordered(this.#files)), `${this.#name.replace(/\.wasm$/, '')}.tar`));
    byId('run-verify').addEventListener('click', () => this.#opened(ordered(this.#files), `the run of ${this.#name}`));
  }

  #toggle() {
    const isShown = byId('run').hidden;
    show(byId('run'), isShown);
    byId('show-run').setAttribute('aria-expanded', String(isShown));
    if (isShown) byId('run-program').focus();
  }

  /** Offers the exports of the program that was picked. */
  async #describe() {
    const [file] = byId('run-program').files;
    if (file === undefined) return;
    const { exports } = describe(new Uint8Array(await file.arrayBuffer()));
    byId('run-exports').replaceChildren(...exports.map(({ name }) => make('option', { value: name })));
    const isCommand = exports.some(({ name }) => name === '_start');
    byId('run-entry').value = isCommand ? '' : (exports.find(({ name }) => name !== '_initialize')?.name ?? '');
  }

  async #start() {
    const [program] = byId('run-program').files;
    const entry = byId('run-entry').value;
    const args = byId('run-args').value.split('\n').filter((line) => line !== '');
    const [segment, limit] = [whole(byId('run-segment')), whole(byId('run-limit'))];
    const { module, hash } = await ownModule();
    this.#worker?.terminate();
    this.#name = plainName(program.name);
    this.#files = new Map([[`files/${this.#name}`, program]]);
    this.#decoder = new TextDecoder();
    byId('run-output').textContent = '';
    show(byId('run-output'), true);
    this.#enable(true);
    this.#worker = new Worker(new URL('../run/worker.js', import.meta.url), { type: 'module' });
    this.#worker.addEventListener('message', ({ data }) => this.#take(data));
    const words = entry === '' ? args : [entry, ...args];
    this.#worker.postMessage({ module, tier: 'register', moduleHash: hash, name: this.#name, program, words, segment, limit });
  }

  #enable(isRunning) {
    byId('run-stop').disabled = !isRunning;
    for (const id of ['run-save', 'run-verify']) byId(id).disabled = isRunning || this.#files.size < 2;
  }

  #take({ name, file, output, message, gas, snapshot, done, result, exitCode, failed }) {
    if (file) this.#files.set(name, file);
    if (output) this.#print(output);
    if (message) byId('run-said').textContent = message;
    if (gas !== undefined) byId('run-said').textContent = `${grouped(gas)} gas, ${snapshot} snapshots`;
    if (done) this.#end(`${byId('run-said').textContent}. ${ended({ done, result, exitCode })}`);
    if (failed) this.#end(`It does not run: ${failed}`);
  }

  /** Shows what the program wrote, the last part of it. */
  #print(output) {
    const place = byId('run-output');
    place.textContent = (place.textContent + this.#decoder.decode(output, { stream: true })).slice(-SHOWN_OUTPUT);
  }

  #end(words) {
    this.#worker?.terminate();
    byId('run-said').textContent = words;
    this.#enable(false);
  }
}
