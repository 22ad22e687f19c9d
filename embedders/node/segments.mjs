// Runs a job in the node, segment by segment: node segments.mjs NODE.wasm --gas-limit N --enable-gas-refill PROGRAM ...
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const [nodePath, ...args] = process.argv.slice(2);
const module = await WebAssembly.compile(readFileSync(nodePath));
const imports = {}; // The exported functions call none of them.
for (const { module: from, name } of WebAssembly.Module.imports(module)) {
  (imports[from] ??= {})[name] = () => { throw new Error(`the node called ${from}.${name}`); };
}
const { exports: node } = await WebAssembly.instantiate(module, imports);

// Bytes go in and out through one buffer. Each call may grow the memory, so every view of it is a new one.
const put = (bytes) => {
  const address = node.node_buffer(bytes.length) >>> 0;
  new Uint8Array(node.memory.buffer).set(bytes, address);
  return bytes.length;
};
const get = (length) => new Uint8Array(node.memory.buffer, node.node_buffer(0) >>> 0, length).slice();
const text = (length) => new TextDecoder().decode(get(length));
const check = (value) => {
  if (value >= 0) return value;
  console.error(`error: ${text(node.node_error())}`);
  process.exit(-value);
};
const all = (next) => {
  const chunks = [];
  for (let length; (length = check(next())) > 0;) chunks.push(get(length));
  return Buffer.concat(chunks);
};

check(-node.node_load(put(new TextEncoder().encode(args.join('\0'))))); // The one error that is not negated.
for (let length; (length = check(node.node_want())) > 0;) {
  const contents = readFileSync(text(length));
  for (let at = 0; at < contents.length; at += 1 << 20) check(node.node_give(put(contents.subarray(at, at + (1 << 20)))));
  check(node.node_give_end(1));
}
const directory = text(check(node.node_output_dir()));
mkdirSync(directory, { recursive: true });

for (let event = -1; event !== 0;) {
  event = check(node.node_run(1n << 62n, 50_000_000n)); // 0 the end, 1 a snapshot; after 2 and 3 it just goes on
  if (event > 3) throw new Error('the run asks for an answer, and nobody gives one here');
  process.stdout.write(all(() => node.node_output(1)));
  process.stderr.write(all(() => node.node_output(2)));
  const sizes = [];
  for (let length; (length = check(node.node_take_name())) > 0;) {
    const name = text(length);
    const contents = all(node.node_take);
    writeFileSync(`${directory}/${name}`, contents);
    sizes.push(`${name} ${contents.length} bytes`);
    if (name === 'result.txt') console.error(`result: ${contents.toString().trim().replaceAll('\n', ' ')}`);
  }
  const [gas, , , id] = new BigUint64Array(get(check(node.node_progress())).buffer);
  if (event === 1) console.error(`segment ${id}: ${gas} gas so far, ${sizes.join(', ')}`);
}
process.exitCode = node.node_exit_code();
console.error(`exit code: ${process.exitCode}`);
