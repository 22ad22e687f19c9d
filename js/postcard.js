// Postcard, as far as the module's results, questions and answers need it (docs/guest-abi.md): integers are of variable length, seven bits
// a byte, the lowest first; a list or text has its length before it; a choice begins with its number.

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

const TYPES = ['i32', 'i64', 'f32', 'f64', 'v128', 'reference'];
const TRAPS = [
  'unreachable', 'out of bounds memory access', 'out of bounds table access', 'undefined element', 'uninitialized element',
  'indirect call type mismatch', 'integer divide by zero', 'integer overflow', 'invalid conversion to integer',
  'call stack exhausted', 'host function error', 'null reference', 'uncaught exception', 'too many exceptions',
  'null function reference',
];

/** Reads values one after the other. Each has one encoding; another one is refused, and so is what ends too early. */
export class Reader {
  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.all = bytes;
    this.at = 0;
  }

  get left() { return this.all.length - this.at; }

  byte() {
    if (this.left === 0) throw new Error('there are too few bytes');
    return this.all[this.at++];
  }

  /** An integer of at most 64 bits. */
  long() {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      if ((byte === 0 && shift > 0n) || value >= 1n << 64n) break;
      return value;
    }
    throw new Error('an integer is too long');
  }

  int() { return Number(this.long()); }

  /** So many bytes, as they are. */
  fixed(length) {
    if (length > this.left) throw new Error('there are too few bytes');
    return this.all.slice(this.at, (this.at += length));
  }

  bytes() { return this.fixed(this.int()); }

  text() { return decoder.decode(this.bytes()); }

  option(read) { return this.flag() ? read() : null; }

  flag() {
    const byte = this.byte();
    if (byte > 1) throw new Error(`${byte} is neither 0 nor 1`);
    return byte === 1;
  }

  /** A list, whose items take a byte at least. */
  list(read) {
    const length = this.int();
    if (length > this.left) throw new Error('a list is longer than its bytes');
    return Array.from({ length }, read);
  }
}

/** What a run came to. */
export const decodeResult = (bytes) => {
  const reader = new Reader(bytes);
  const frame = () => ({
    instance: reader.int(), function: reader.int(), name: reader.option(() => reader.text()), offset: reader.int(),
  });
  const outcomes = [
    () => ({ kind: 'returned' }),
    () => ({ kind: 'exited', code: reader.int() }),
    () => {
      const number = reader.int();
      const [detail, backtrace] = [reader.option(() => reader.text()), reader.list(frame)];
      return { kind: 'trapped', trap: TRAPS[number] ?? `trap ${number}`, detail, backtrace };
    },
    () => ({ kind: 'gas-limit' }),
  ];
  const outcome = outcomes[reader.int()]();
  const values = reader.list(() => ({ type: TYPES[reader.int()], bits: reader.long() }));
  return { outcome, values, gasUsed: reader.long(), lastSnapshot: reader.long() };
};

/** What a run asks of the outside. */
export const decodeCall = (bytes) => {
  const reader = new Reader(bytes);
  const calls = [
    () => ({
      kind: 'call', module: reader.text(), name: reader.text(), args: reader.list(() => reader.long()), remaining: reader.long(),
    }),
    () => ({ kind: 'get', key: reader.bytes() }),
    () => ({ kind: 'next', from: reader.bytes(), limit: reader.option(() => reader.bytes()) }),
  ];
  return calls[reader.int()]();
};

class Writer {
  parts = [];

  long(value) {
    for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
      if (rest < 0x80n) {
        this.parts.push(Number(rest));
        return this;
      }
      this.parts.push(Number(rest & 0x7fn) | 0x80);
    }
  }

  bytes(value) {
    this.long(value.length);
    for (const byte of value) this.parts.push(byte);
    return this;
  }

  text(value) { return this.bytes(encoder.encode(value)); }

  list(values, write) {
    this.long(values.length);
    values.forEach((value) => write(value));
    return this;
  }

  option(value, write) {
    this.long(value === null || value === undefined ? 0 : 1);
    if (value !== null && value !== undefined) write(value);
    return this;
  }
}

/** An answer, in the module's encoding. */
export const encodeReply = (reply) => {
  const writer = new Writer();
  const charges = (all = []) => writer.list(all, ({ descriptor, amount }) => writer.text(descriptor).long(amount));
  const kinds = {
    returned: ({ results = [], writes = [], charges: all, refund = 0n }) => {
      writer.long(0).list(results, (bits) => writer.long(bits));
      writer.list(writes, ({ address, bytes }) => writer.long(address).bytes(bytes));
      charges(all);
      writer.long(refund);
    },
    failed: ({ message, charges: all }) => {
      writer.long(1).text(message);
      charges(all);
    },
    unpaid: ({ need }) => writer.long(2).long(need),
    value: ({ found }) => writer.long(3).option(found, ({ version, value }) => writer.long(version).bytes(value)),
    entry: ({ found }) => writer.long(4).option(found, ({ key, version, value }) => writer.bytes(key).long(version).bytes(value)),
  };
  const write = kinds[reply.kind];
  if (write === undefined) throw new TypeError(`an answer is ${Object.keys(kinds).join(', ')}, not ${reply.kind}`);
  write(reply);
  return Uint8Array.from(writer.parts);
};
