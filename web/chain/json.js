// JSON as its writers mean it: an object that names a member twice is refused, and an integer keeps all its digits (as a BigInt).

const BLANK = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const WORD = /true|false|null/y;
const DEEPEST = 128;

class Parser {
  #text;
  #at = 0;

  constructor(text) { this.#text = text; }

  #match(pattern) {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found !== null) this.#at = pattern.lastIndex;
    return found;
  }

  #takes(letter) {
    this.#match(BLANK);
    if (this.#text[this.#at] !== letter) return false;
    this.#at += 1;
    return true;
  }

  #expect(letter) {
    if (!this.#takes(letter)) throw new Error(`expected ${letter} at character ${this.#at}`);
  }

  /** Items up to a closing letter, with commas between. */
  #each(closing, item) {
    if (this.#takes(closing)) return;
    do item(); while (this.#takes(','));
    this.#expect(closing);
  }

  #string() {
    this.#match(BLANK);
    const found = this.#match(STRING);
    if (found === null) throw new Error(`expected a text at character ${this.#at}`);
    const text = JSON.parse(found[0]);
    if (!text.isWellFormed()) throw new Error('a text is no Unicode');
    return text;
  }

  value(depth = 0) {
    if (depth > DEEPEST) throw new Error('is nested too deeply');
    if (this.#takes('{')) return this.#object(depth);
    if (this.#takes('[')) {
      const items = [];
      this.#each(']', () => items.push(this.value(depth + 1)));
      return items;
    }
    if (this.#text[this.#at] === '"') return this.#string();
    const word = this.#match(WORD);
    if (word !== null) return JSON.parse(word[0]);
    const number = this.#match(NUMBER);
    if (number === null) throw new Error(`expected a value at character ${this.#at}`);
    const isInteger = number[1] === undefined && number[2] === undefined && number[0] !== '-0';
    return isInteger ? BigInt(number[0]) : Number(number[0]);
  }

  #object(depth) {
    const members = new Map();
    this.#each('}', () => {
      const name = this.#string();
      if (members.has(name)) throw new Error(`the member ${JSON.stringify(name)} is named twice`);
      this.#expect(':');
      members.set(name, this.value(depth + 1));
    });
    return members;
  }

  end() {
    this.#match(BLANK);
    if (this.#at < this.#text.length) throw new Error(`goes on after its end, at character ${this.#at}`);
  }
}

/**
 * Reads one value. An object is a Map, an integer a BigInt.
 * @param {Uint8Array} bytes
 */
export const parse = (bytes) => {
  const parser = new Parser(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  const value = parser.value();
  parser.end();
  return value;
};

/**
 * A value as text, the members of an object by their names: equal values have equal texts.
 * @returns {string}
 */
export const shown = (value) => {
  if (value === undefined) return 'nothing';
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(shown).join(',')}]`;
  if (value instanceof Map) {
    const members = [...value].sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${shown(member)}`).join(',')}}`;
  }
  return JSON.stringify(value);
};

/** A plain object as the Map that reading it would give. */
export const asRead = (value) => {
  if (Array.isArray(value)) return value.map(asRead);
  if (value === null || typeof value !== 'object') return value;
  return new Map(Object.entries(value).map(([name, member]) => [name, asRead(member)]));
};

/** A member at a path of names; undefined where there is none. */
export const member = (value, ...path) => path.reduce((found, name) => (found instanceof Map ? found.get(name) : undefined), value);
