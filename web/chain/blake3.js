// BLAKE3, as the files of a chain use it: plain, keyed, and for deriving from a context. The whole tree is hashed as it comes, a chunk
// at a time, with one chaining value kept for each complete subtree.

const IV = Int32Array.of(
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
);
const BLOCK = 64;
const CHUNK = 1024;
const CHUNK_START = 1;
const CHUNK_END = 2;
const PARENT = 4;
const ROOT = 8;
const KEYED = 16;
const DERIVE_CONTEXT = 32;
const DERIVE_MATERIAL = 64;

/** Where each of the seven rounds finds its message words. */
const SCHEDULE = (() => {
  const permutation = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
  const rounds = [...permutation.keys()];
  for (let at = 0; rounds.length < 7 * 16; at += 1) rounds.push(permutation[rounds[at]]);
  return Uint8Array.from(rounds);
})();

/** The block that is compressed next. */
const words = new Int32Array(16);

/**
 * Compresses the block in `words` into a chaining value. The state is in variables, which is ten times as fast as in an array.
 * @param {Int32Array} chaining
 * @param {number} counter
 * @param {number} length
 * @param {number} flags
 */
const compress = (chaining, counter, length, flags) => {
  let s0 = chaining[0], s1 = chaining[1], s2 = chaining[2], s3 = chaining[3];
  let s4 = chaining[4], s5 = chaining[5], s6 = chaining[6], s7 = chaining[7];
  let s8 = IV[0], s9 = IV[1], s10 = IV[2], s11 = IV[3];
  let s12 = counter | 0, s13 = Math.floor(counter / 2 ** 32), s14 = length, s15 = flags;
  for (let at = 0; at < SCHEDULE.length; at += 16) {
    s0 = (s0 + s4 + words[SCHEDULE[at + 0]]) | 0; s12 ^= s0; s12 = (s12 >>> 16) | (s12 << 16); s8 = (s8 + s12) | 0; s4 ^= s8; s4 = (s4 >>> 12) | (s4 << 20);
    s0 = (s0 + s4 + words[SCHEDULE[at + 1]]) | 0; s12 ^= s0; s12 = (s12 >>> 8) | (s12 << 24); s8 = (s8 + s12) | 0; s4 ^= s8; s4 = (s4 >>> 7) | (s4 << 25);
    s1 = (s1 + s5 + words[SCHEDULE[at + 2]]) | 0; s13 ^= s1; s13 = (s13 >>> 16) | (s13 << 16); s9 = (s9 + s13) | 0; s5 ^= s9; s5 = (s5 >>> 12) | (s5 << 20);
    s1 = (s1 + s5 + words[SCHEDULE[at + 3]]) | 0; s13 ^= s1; s13 = (s13 >>> 8) | (s13 << 24); s9 = (s9 + s13) | 0; s5 ^= s9; s5 = (s5 >>> 7) | (s5 << 25);
    s2 = (s2 + s6 + words[SCHEDULE[at + 4]]) | 0; s14 ^= s2; s14 = (s14 >>> 16) | (s14 << 16); s10 = (s10 + s14) | 0; s6 ^= s10; s6 = (s6 >>> 12) | (s6 << 20);
    s2 = (s2 + s6 + words[SCHEDULE[at + 5]]) | 0; s14 ^= s2; s14 = (s14 >>> 8) | (s14 << 24); s10 = (s10 + s14) | 0; s6 ^= s10; s6 = (s6 >>> 7) | (s6 << 25);
    s3 = (s3 + s7 + words[SCHEDULE[at + 6]]) | 0; s15 ^= s3; s15 = (s15 >>> 16) | (s15 << 16); s11 = (s11 + s15) | 0; s7 ^= s11; s7 = (s7 >>> 12) | (s7 << 20);
    s3 = (s3 + s7 + words[SCHEDULE[at + 7]]) | 0; s15 ^= s3; s15 = (s15 >>> 8) | (s15 << 24); s11 = (s11 + s15) | 0; s7 ^= s11; s7 = (s7 >>> 7) | (s7 << 25);
    s0 = (s0 + s5 + words[SCHEDULE[at + 8]]) | 0; s15 ^= s0; s15 = (s15 >>> 16) | (s15 << 16); s10 = (s10 + s15) | 0; s5 ^= s10; s5 = (s5 >>> 12) | (s5 << 20);
    s0 = (s0 + s5 + words[SCHEDULE[at + 9]]) | 0; s15 ^= s0; s15 = (s15 >>> 8) | (s15 << 24); s10 = (s10 + s15) | 0; s5 ^= s10; s5 = (s5 >>> 7) | (s5 << 25);
    s1 = (s1 + s6 + words[SCHEDULE[at + 10]]) | 0; s12 ^= s1; s12 = (s12 >>> 16) | (s12 << 16); s11 = (s11 + s12) | 0; s6 ^= s11; s6 = (s6 >>> 12) | (s6 << 20);
    s1 = (s1 + s6 + words[SCHEDULE[at + 11]]) | 0; s12 ^= s1; s12 = (s12 >>> 8) | (s12 << 24); s11 = (s11 + s12) | 0; s6 ^= s11; s6 = (s6 >>> 7) | (s6 << 25);
    s2 = (s2 + s7 + words[SCHEDULE[at + 12]]) | 0; s13 ^= s2; s13 = (s13 >>> 16) | (s13 << 16); s8 = (s8 + s13) | 0; s7 ^= s8; s7 = (s7 >>> 12) | (s7 << 20);
    s2 = (s2 + s7 + words[SCHEDULE[at + 13]]) | 0; s13 ^= s2; s13 = (s13 >>> 8) | (s13 << 24); s8 = (s8 + s13) | 0; s7 ^= s8; s7 = (s7 >>> 7) | (s7 << 25);
    s3 = (s3 + s4 + words[SCHEDULE[at + 14]]) | 0; s14 ^= s3; s14 = (s14 >>> 16) | (s14 << 16); s9 = (s9 + s14) | 0; s4 ^= s9; s4 = (s4 >>> 12) | (s4 << 20);
    s3 = (s3 + s4 + words[SCHEDULE[at + 15]]) | 0; s14 ^= s3; s14 = (s14 >>> 8) | (s14 << 24); s9 = (s9 + s14) | 0; s4 ^= s9; s4 = (s4 >>> 7) | (s4 << 25);
  }
  return Int32Array.of(s0 ^ s8, s1 ^ s9, s2 ^ s10, s3 ^ s11, s4 ^ s12, s5 ^ s13, s6 ^ s14, s7 ^ s15);
};

/** Puts 64 bytes into `words`. */
const takeBlock = (bytes, at) => {
  for (let word = 0; word < 16; word += 1, at += 4) {
    words[word] = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
  }
};

const bytesOf = (value) => {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  value.forEach((word, at) => view.setInt32(4 * at, word, true));
  return bytes;
};

const wordsOf = (bytes) => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 32);
  return Int32Array.from({ length: 8 }, (_, at) => view.getInt32(4 * at, true));
};

/** A hash that is fed part by part. */
export class Hasher {
  #key;
  #flags;
  /** Chaining values of complete subtrees, the largest first. */
  #subtrees = [];
  #chunks = 0;
  #chaining;
  #block = new Uint8Array(BLOCK);
  #inBlock = 0;
  #inChunk = 0;

  /**
   * @param {Int32Array} [key]
   * @param {number} [flags]
   */
  constructor(key = IV, flags = 0) {
    this.#key = key;
    this.#flags = flags;
    this.#chaining = key;
  }

  /** @param {Uint8Array} key 32 bytes */
  static keyed(key) { return new Hasher(wordsOf(key), KEYED); }

  /** @param {string} context what the hash is of */
  static derived(context) {
    const key = new Hasher(IV, DERIVE_CONTEXT).update(new TextEncoder().encode(context)).digest();
    return new Hasher(wordsOf(key), DERIVE_MATERIAL);
  }

  /** @param {Uint8Array} bytes */
  update(bytes) {
    for (let at = 0; at < bytes.length;) {
      // What is full is compressed only when more follows: the last block is another one.
      if (this.#inBlock === BLOCK) this.#endBlock();
      const length = Math.min(BLOCK - this.#inBlock, bytes.length - at);
      this.#block.set(bytes.subarray(at, at + length), this.#inBlock);
      this.#inBlock += length;
      at += length;
    }
    return this;
  }

  #endBlock() {
    takeBlock(this.#block, 0);
    const start = this.#inChunk === 0 ? CHUNK_START : 0;
    this.#inChunk += BLOCK;
    const end = this.#inChunk === CHUNK ? CHUNK_END : 0;
    this.#chaining = compress(this.#chaining, this.#chunks, BLOCK, this.#flags | start | end);
    this.#inBlock = 0;
    if (end) this.#endChunk();
  }

  /** Joins the subtrees of equal size that are complete now. */
  #endChunk() {
    this.#chunks += 1;
    let value = this.#chaining;
    for (let total = this.#chunks; total % 2 === 0; total /= 2) value = this.#parent(this.#subtrees.pop(), value, 0);
    this.#subtrees.push(value);
    this.#chaining = this.#key;
    this.#inChunk = 0;
  }

  #parent(left, right, root) {
    words.set(left);
    words.set(right, 8);
    return compress(this.#key, 0, BLOCK, this.#flags | PARENT | root);
  }

  /** The hash of all that came. */
  digest() {
    const subtrees = [...this.#subtrees];
    this.#block.fill(0, this.#inBlock);
    takeBlock(this.#block, 0);
    const flags = this.#flags | CHUNK_END | (this.#inChunk === 0 ? CHUNK_START : 0);
    const isRoot = subtrees.length === 0;
    let value = compress(this.#chaining, this.#chunks, this.#inBlock, isRoot ? flags | ROOT : flags);
    while (subtrees.length > 0) value = this.#parent(subtrees.pop(), value, subtrees.length === 0 ? ROOT : 0);
    return bytesOf(value);
  }
}

/** @param {Uint8Array} bytes */
export const hash = (bytes) => new Hasher().update(bytes).digest();

/** @param {Uint8Array} bytes */
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Bytes of a file that are hashed at once. */
const PART = 1 << 20;

/**
 * The hash of a file.
 * @param {Blob} file
 */
export const hashOf = async (file) => {
  const hasher = new Hasher();
  for (let at = 0; at < file.size; at += PART) hasher.update(new Uint8Array(await file.slice(at, at + PART).arrayBuffer()));
  return hasher.digest();
};
