// What a WebAssembly module says of its functions: the names of its name section, and its exports. Only what is well-formed is shown.

const decoder = new TextDecoder('utf-8', { fatal: true });
const CUSTOM = 0;
const EXPORTS = 7;
const FUNCTION_NAMES = 1;
const FUNCTION = 0;

class Section {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  get left() { return this.bytes.length - this.at; }

  byte() {
    if (this.left === 0) throw new Error('the module is cut short');
    return this.bytes[this.at++];
  }

  int() {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new Error('an integer of the module is too long');
  }

  piece() {
    const length = this.int();
    if (length > this.left) throw new Error('the module is cut short');
    return this.bytes.subarray(this.at, (this.at += length));
  }

  text() { return decoder.decode(this.piece()); }
}

/** The functions that the name section names. */
const functionNames = (section) => {
  const names = new Map();
  while (section.left > 0) {
    const kind = section.byte();
    const part = new Section(section.piece());
    if (kind !== FUNCTION_NAMES) continue;
    for (let count = part.int(); count > 0; count -= 1) names.set(part.int(), part.text());
  }
  return names;
};

const exportedFunctions = (section) => {
  const all = [];
  for (let count = section.int(); count > 0; count -= 1) {
    const name = section.text();
    const kind = section.byte();
    const index = section.int();
    if (kind === FUNCTION) all.push({ name, index });
  }
  return all;
};

/** Runs a reader whose section may be anything; `none` where it is nothing that can be read. */
const readable = (read, section, none) => { try { return read(section); } catch { return none; } };

/**
 * The names and exports of a module's functions. Of bytes that are none, it has none.
 * @param {Uint8Array} bytes
 */
export const describe = (bytes) => {
  const found = { names: new Map(), exports: [] };
  const module = new Section(bytes.subarray(8));
  try {
    while (module.left > 0) {
      const kind = module.byte();
      const section = new Section(module.piece());
      if (kind === EXPORTS) found.exports = readable(exportedFunctions, section, []);
      if (kind === CUSTOM && section.text() === 'name') found.names = readable(functionNames, section, new Map());
    }
  } catch { /* What was read until here is right. */ }
  return found;
};
