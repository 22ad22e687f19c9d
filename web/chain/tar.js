// Archives of chains (docs/snapshot-format.md, section 12). Reading holds nothing of them: an entry is a piece of the file. Writing gives
// the bytes that `stepmark export` would.

const BLOCK = 512;
const LONGEST_NAME = 4096;
const MOST_FILES = 1 << 20;
const NAME = 100;
const decoder = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();

/** A text that ends at the first NUL. */
const text = (bytes) => {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
};

/** A number in octal digits, or where it is too large for them in binary. */
const number = (bytes) => {
  if (bytes[0] & 0x80) return bytes.subarray(1).reduce((value, byte) => value * 256 + byte, 0);
  const digits = text(bytes).trim();
  if (!/^[0-7]+$/.test(digits)) throw new Error('a number in it is none');
  return Number.parseInt(digits, 8);
};

const sum = (header) => header.reduce((all, byte, at) => all + (at >= 148 && at < 156 ? 0x20 : byte), 0);

const header = (bytes) => {
  if (number(bytes.subarray(148, 156)) !== sum(bytes)) throw new Error('is no archive, or is damaged');
  const isUstar = text(bytes.subarray(257, 263)) === 'ustar';
  const before = isUstar ? text(bytes.subarray(345, 500)) : '';
  const name = text(bytes.subarray(0, NAME));
  return { name: before === '' ? name : `${before}/${name}`, size: number(bytes.subarray(124, 136)), type: String.fromCharCode(bytes[156] || 0x30) };
};

/** Whether a name leads nowhere else. */
const isPlain = (name) => !name.includes('\\') && name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');

/**
 * The files in an archive, by name.
 * @param {Blob} archive
 * @returns {Promise<Map<string, Blob>>}
 */
export const read = async (archive) => {
  const files = new Map();
  const bytes = async (at, length) => new Uint8Array(await archive.slice(at, at + length).arrayBuffer());
  for (let at = 0, long = null; at + BLOCK <= archive.size;) {
    const block = await bytes(at, BLOCK);
    if (block.every((byte) => byte === 0)) break;
    const { name: short, size, type } = header(block);
    const start = at + BLOCK;
    if (start + size > archive.size) throw new Error('is cut short');
    at = start + Math.ceil(size / BLOCK) * BLOCK;
    if (type === 'L' && long === null && size <= LONGEST_NAME) {
      long = text(await bytes(start, size));
      continue;
    }
    const name = long ?? short;
    long = null;
    if (type !== '0' || !isPlain(name) || files.has(name)) throw new Error(`the entry ${JSON.stringify(name)} is no regular file of a plain name, once`);
    files.set(name, archive.slice(start, start + size));
    if (files.size > MOST_FILES) throw new Error(`has more than ${MOST_FILES} files`);
  }
  return files;
};

const octal = (value, length) => encoder.encode(`${value.toString(8).padStart(length - 1, '0')}\0`);

/** A header of GNU's form, with no times, users or groups. */
const written = (name, size, type) => {
  const bytes = new Uint8Array(BLOCK);
  bytes.set(name.subarray(0, NAME));
  bytes.set(octal(type === 'L' ? 0 : 0o644, 8), 100);
  bytes.set(octal(size, 12), 124);
  bytes[156] = type.charCodeAt(0);
  bytes.set(encoder.encode('ustar  \0'), 257);
  bytes.set(octal(sum(bytes), 7), 148);
  bytes[155] = 0x20;
  return bytes;
};

const padding = (size) => new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);

/** A file with its header; a name that is too long for it has an entry of its own. */
const entry = (name, file) => {
  const bytes = encoder.encode(name);
  const long = bytes.length > NAME
    ? [written(encoder.encode('././@LongLink'), bytes.length + 1, 'L'), bytes, new Uint8Array(1), padding(bytes.length + 1)] : [];
  return [...long, written(bytes, file.size, '0'), file, padding(file.size)];
};

/**
 * An archive of these files, in their order.
 * @param {Map<string, Blob>} files
 */
export const write = (files) => {
  const parts = [...files].flatMap(([name, file]) => entry(name, file));
  return new Blob([...parts, new Uint8Array(2 * BLOCK)], { type: 'application/x-tar' });
};
