// The node's exported functions (docs/guest-abi.md) in Node.js, with every import a trap and every mutable global that
// the file exports looked at after each call.
import { readFileSync } from 'node:fs';

/** A node in a fresh instance; `image`, when given, becomes its linear memory: everything that it knows. */
export async function openNode(wasmPath, image) {
  const module = await WebAssembly.compile(readFileSync(wasmPath));
  const imports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    (imports[from] ??= {})[name] = () => { throw new Error(`the node called ${from}.${name}`); };
  }
  const { exports } = await WebAssembly.instantiate(module, imports);
  const globals = Object.entries(exports).filter(([, value]) => value instanceof WebAssembly.Global);
  const base = globals.map(([, global]) => global.value);
  if (image) {
    const missing = image.length - exports.memory.buffer.byteLength;
    if (missing > 0) exports.memory.grow(missing / 65536);
    new Uint8Array(exports.memory.buffer).fill(0).set(image);
  }

  const call = (name, ...args) => {
    const value = exports[name](...args);
    globals.forEach(([global, { value: now }], i) => {
      if (now !== base[i]) throw new Error(`${name} left ${global} at ${now}, not at ${base[i]}`);
    });
    return value;
  };
  const get = (length) => {
    const address = call('node_buffer', 0);
    return new Uint8Array(exports.memory.buffer, address, length).slice();
  };
  const text = (length) => new TextDecoder().decode(get(length));
  const check = (value) => {
    if (value < 0) throw new Error(`exit code ${-value}: ${text(call('node_error'))}`);
    return value;
  };
  return { call, check, get, text, watched: globals.length, memory: () => new Uint8Array(exports.memory.buffer) };
}
