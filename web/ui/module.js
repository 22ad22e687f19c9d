// The module that verifies and runs: the page's own, or another one that the reader names. What it is called is the hash of its bytes.

import { hash, hex } from '../chain/blake3.js';

const own = (name) => new URL(`../stepmark/${name}`, import.meta.url);

const fetched = async (name) => {
  const response = await fetch(own(name));
  if (!response.ok) throw new Error(`stepmark/${name} is not there: ${response.status}`);
  return response.arrayBuffer();
};

/**
 * A module with its hash.
 * @param {ArrayBuffer} bytes
 */
const named = async (bytes) => ({ module: await WebAssembly.compile(bytes), hash: hex(hash(new Uint8Array(bytes))) });

let ours;
let compiler;

/** The page's module, loaded once. */
export const ownModule = () => (ours ??= fetched('stepmark.wasm').then(named));

/** The compiler, loaded when it is wanted. */
export const ownCompiler = () => (compiler ??= fetched('compiler.wasm').then((bytes) => WebAssembly.compile(bytes)));

/** The module in a file. @param {Blob} file */
export const moduleIn = async (file) => named(await file.arrayBuffer());
