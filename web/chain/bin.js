// A `.bin` (docs/snapshot-format.md, section 2): the pages that a segment changed. It is read part by part, never held whole.

import { Hasher, hex } from './blake3.js';
import { PREFIX, prefix } from './snap.js';

const PART = 1 << 20;
const HASH = 32;
const GROUP = 12;
const PAGE = 16;
const LINE = 64;
const PAGES = 1n << 36n;

/** Bytes of a file in order, each of which is hashed but for the trailer. */
class Bytes {
  #file;
  #from = 0;
  #part = new Uint8Array();
  #at = 0;
  hasher = new Hasher();

  /** @param {Blob} file */
  constructor(file) { this.#file = file; }

  /** Bytes that are not taken yet, the trailer not counted. */
  get left() { return this.#file.size - HASH - this.#from + this.#part.length - this.#at; }

  /** Whether so many bytes are at hand. */
  has(length) { return this.#part.length - this.#at >= length; }

  /** Gets more bytes, so that so many are at hand. */
  async fill(length) {
    if (length > this.left) throw new Error('is cut short');
    const rest = this.#part.subarray(this.#at);
    const end = Math.min(this.#from + PART, this.#file.size - HASH);
    const more = new Uint8Array(await this.#file.slice(this.#from, end).arrayBuffer());
    this.hasher.update(more);
    this.#part = new Uint8Array(rest.length + more.length);
    this.#part.set(rest);
    this.#part.set(more, rest.length);
    this.#from = end;
    this.#at = 0;
  }

  /** The next bytes, which are at hand. */
  take(length) { return this.#part.subarray(this.#at, (this.#at += length)); }

  async trailer() { return hex(new Uint8Array(await this.#file.slice(this.#file.size - HASH).arrayBuffer())); }
}

const word = (bytes, at, kind) => new DataView(bytes.buffer, bytes.byteOffset)[kind](at, true);

/** The lines that a mask names. */
const lines = (mask) => {
  let count = 0;
  for (let rest = mask; rest > 0n; rest &= rest - 1n) count += 1;
  return count;
};

/** Passes over the pages of a group. */
const passPages = async (bytes, count) => {
  for (let at = 0n, before = -1n; at < count; at += 1n) {
    if (!bytes.has(PAGE)) await bytes.fill(PAGE);
    const head = bytes.take(PAGE);
    const index = word(head, 0, 'getBigUint64');
    if (index <= before || index >= PAGES) throw new Error('its pages are out of order');
    before = index;
    const length = LINE * lines(word(head, 8, 'getBigUint64'));
    if (!bytes.has(length)) await bytes.fill(length);
    const contents = bytes.take(length);
    for (let line = 0; line < length; line += LINE) {
      if (contents.subarray(line, line + LINE).every((byte) => byte === 0)) throw new Error('has a line of zeros');
    }
  }
};

/** The spaces of which there are pages, and how many. */
const groups = async (bytes) => {
  const found = [];
  for (let before = -1; ;) {
    if (!bytes.has(1)) await bytes.fill(1);
    const kind = bytes.take(1)[0];
    if (kind === 0) return found;
    if (!bytes.has(GROUP)) await bytes.fill(GROUP);
    const head = bytes.take(GROUP);
    const [index, pages] = [word(head, 0, 'getUint32'), word(head, 4, 'getBigUint64')];
    const order = kind * 2 ** 32 + index;
    if (kind > 4 || order <= before) throw new Error('its spaces are out of order');
    if (pages === 0n || pages > PAGES) throw new Error('has a space without pages');
    before = order;
    await passPages(bytes, pages);
    found.push({ kind, index, pages });
  }
};

/**
 * Reads a `.bin` to its end: what it follows, its hash and its pages.
 * @param {Blob} file
 */
export const read = async (file) => {
  if (file.size < PREFIX + 2 * HASH + 1) throw new Error('is too short');
  const bytes = new Bytes(file);
  await bytes.fill(PREFIX + HASH);
  const head = prefix(bytes.take(PREFIX), 'bin');
  const previous = hex(bytes.take(HASH));
  const found = await groups(bytes);
  if (bytes.left > 0) throw new Error('goes on after its end');
  const own = await bytes.trailer();
  if (hex(bytes.hasher.digest()) !== own) throw new Error('its hash is wrong: it is damaged');
  return { ...head, previous, hash: own, groups: found };
};
