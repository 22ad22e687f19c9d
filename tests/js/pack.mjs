// Values with bytes in them as one run of bytes, for the way between Node.js and a page: the length of the JSON text
// (4 bytes, little-endian), the text, in which each Uint8Array is its place, then the bytes of all of them.

/** Any JSON value, Uint8Arrays allowed anywhere in it, as one Uint8Array. */
export function pack(value) {
  const parts = [];
  let end = 0;
  const text = new TextEncoder().encode(JSON.stringify(value, (_, item) => {
    if (!(item instanceof Uint8Array)) return item;
    parts.push(item);
    end += item.length;
    return { $bytes: [end - item.length, end] };
  }) ?? 'null');
  const packed = new Uint8Array(4 + text.length + end);
  new DataView(packed.buffer).setUint32(0, text.length, true);
  packed.set(text, 4);
  let at = 4 + text.length;
  for (const part of parts) {
    packed.set(part, at);
    at += part.length;
  }
  return packed;
}

/** What `pack` was given. */
export function unpack(packed) {
  const length = new DataView(packed.buffer, packed.byteOffset).getUint32(0, true);
  const blob = packed.subarray(4 + length);
  return JSON.parse(new TextDecoder().decode(packed.subarray(4, 4 + length)), (_, item) => (
    item?.$bytes ? blob.slice(...item.$bytes) : item
  ));
}
