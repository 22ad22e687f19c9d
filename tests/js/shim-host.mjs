// The node's command face under the browser's WASI (npm `@bjorn3/browser_wasi_shim`), with files that are in memory:
// in a page and in Node.js alike. It touches nothing outside its argument.

const directory = (shim, files) => {
  const contents = new Map();
  for (const [path, bytes] of Object.entries(files)) {
    const parts = path.split('/');
    const name = parts.pop();
    let at = contents;
    for (const part of parts) {
      if (!at.has(part)) at.set(part, new shim.Directory(new Map()));
      at = at.get(part).contents;
    }
    at.set(name, new shim.File(bytes));
  }
  return contents;
};

const collect = (contents, prefix, files) => {
  for (const [name, entry] of contents) {
    if (entry.contents) collect(entry.contents, `${prefix}${name}/`, files);
    else files[prefix + name] = entry.data;
  }
  return files;
};

const joined = (chunks) => {
  const all = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
};

/**
 * Runs the node's file `wasm` with `args` (without a program name) on `files`, an object of paths and bytes that it sees
 * below `.`; `shim` is the URL of the shim's `dist/index.js`. Returns exit code, output, and all files as they are then.
 */
export async function runNode({ wasm, args, files, shim: url }) {
  const shim = await import(url);
  const output = [[], []];
  const stream = (chunks) => new shim.ConsoleStdout((bytes) => chunks.push(bytes.slice()));
  const root = new shim.PreopenDirectory('.', directory(shim, files));
  const fds = [new shim.OpenFile(new shim.File([])), stream(output[0]), stream(output[1]), root];
  // Without `debug: false` the shim prints every call.
  const wasi = new shim.WASI(['guest-interp', ...args], [], fds, { debug: false });
  const module = await WebAssembly.compile(wasm);
  const instance = await WebAssembly.instantiate(module, { wasi_snapshot_preview1: wasi.wasiImport });
  const code = wasi.start(instance);
  return { code, stdout: joined(output[0]), stderr: joined(output[1]), files: collect(root.dir.contents, '', {}) };
}
