// Verifying the chain that is shown: which module, how many workers, and the button that tampers with a file.

import { Refused } from '../chain/open.js';
import { Verification } from '../verify/verify.js';
import { byId, make, show, throttled } from './dom.js';
import { moduleIn, ownCompiler, ownModule } from './module.js';
import { showBegin, showNothing, showProgress, showUndecided, showVerdict } from './verdict.js';

const MOST_WORKERS = 64;

/** Whether the module is the one that the receipt names, in words. */
const moduleWords = (hash, named, isOwn) => {
  const which = `${isOwn ? 'The module of this page' : 'The module that you chose'} is ${hash}.`;
  if (named === null) return `${which} The receipt names none.`;
  if (named === hash) return `${which} The receipt names the same.`;
  return `${which} The receipt names ${named}: choose that one to execute with the very module of the run.`;
};

export class VerifyView {
  #opened;
  #running;
  #other = null;

  constructor() {
    byId('workers').value = String(Math.max(1, Math.min(navigator.hardwareConcurrency || 2, MOST_WORKERS)));
    byId('verify-start').addEventListener('click', () => this.verify());
    byId('verify-stop').addEventListener('click', () => this.#running?.stop());
    byId('module-file').addEventListener('change', () => this.#choose());
  }

  /** Shows a chain that was opened, and nothing of a verification yet. */
  async show(opened) {
    this.#running?.stop();
    this.#opened = opened;
    showNothing();
    show(byId('verify'), true);
    await this.#sayModule();
  }

  async #module() { return this.#other ?? ownModule(); }

  async #sayModule() {
    const { hash } = await this.#module();
    byId('module-said').textContent = moduleWords(hash, this.#opened.named, this.#other === null);
  }

  async #choose() {
    const [file] = byId('module-file').files;
    try {
      this.#other = file === undefined ? null : await moduleIn(file);
      await this.#sayModule();
    } catch (error) {
      this.#other = null;
      byId('module-said').textContent = `${file.name} is no module: ${error.message}`;
    }
  }

  /** Verifies the chain, and shows what comes of it. */
  async verify() {
    this.#running?.stop();
    const opened = this.#opened;
    const isCompiled = byId('compiled').checked;
    const started = performance.now();
    try {
      const [{ module, hash }, compiler] = await Promise.all([this.#module(), isCompiled ? ownCompiler() : undefined]);
      const workers = Math.max(1, Math.min(Number(byId('workers').value) || 1, MOST_WORKERS));
      const draw = throttled(() => { if (this.#running === verification) showProgress(verification); });
      const tier = /** @type {import('../stepmark/stepmark.js').Tier} */ (isCompiled ? 'auto' : 'register');
      const how = { module, compiler, tier, supply: await opened.supply(), workers, heard: draw };
      const verification = new Verification(opened.chain, how);
      this.#begin(verification);
      const found = await verification.run();
      showProgress(verification);
      showVerdict(verification, found, hash, isCompiled, (performance.now() - started) / 1000);
    } catch (error) {
      showUndecided(error instanceof Refused ? `It cannot be executed: ${error.message}.` : `${error.message}.`);
    } finally {
      byId('verify-stop').disabled = true;
    }
  }

  #begin(verification) {
    this.#running = verification;
    byId('verify-stop').disabled = false;
    showBegin();
    showProgress(verification);
  }
}

/** The files that can be tampered with, and the change of one bit. */
export class TamperView {
  #files = new Map();
  #changed;

  /** @param {(files: Map<string, Blob>) => void} changed is told the files as they are now */
  constructor(changed) {
    this.#changed = changed;
    byId('tamper-flip').addEventListener('click', () => this.#flip());
    byId('tamper-undo').addEventListener('click', () => this.#undo());
  }

  /** Shows the files of a chain as they came. */
  show(files) {
    this.#files = files;
    const names = [...files.keys()];
    byId('tamper-file').replaceChildren(...names.map((name) => make('option', {}, name)));
    const snaps = names.filter((name) => name.endsWith('.snap'));
    byId('tamper-file').value = snaps[Math.floor(snaps.length / 2)] ?? names[0] ?? '';
    byId('tamper-said').textContent = '';
    byId('tamper-undo').disabled = true;
  }

  async #flip() {
    const name = byId('tamper-file').value;
    const file = this.#files.get(name);
    if (file === undefined || file.size === 0) return;
    const at = Math.floor(file.size / 2);
    const [byte] = new Uint8Array(await file.slice(at, at + 1).arrayBuffer());
    const flipped = new Blob([file.slice(0, at), Uint8Array.of(byte ^ 1), file.slice(at + 1)]);
    byId('tamper-undo').disabled = false;
    byId('tamper-said').textContent = `Byte ${at} of ${name} is ${byte ^ 1} now, and was ${byte}.`;
    this.#changed(new Map([...this.#files, [name, flipped]]));
  }

  #undo() {
    byId('tamper-undo').disabled = true;
    byId('tamper-said').textContent = 'All files are as they came.';
    this.#changed(this.#files);
  }
}
