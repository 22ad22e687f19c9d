// Drives the node (docs/guest-abi.md) for piped.rs: each line of standard input is a request, each line of standard output
// its answer. Files are read in the working directory. The timing is in here, so that the pipe is not in it.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const module = await WebAssembly.compile(readFileSync(process.argv[2]));
const imports = {};
for (const { module: from, name } of WebAssembly.Module.imports(module)) {
  (imports[from] ??= {})[name] = () => { throw new Error(`the node called ${from}.${name}`); };
}
const { exports: node } = await WebAssembly.instantiate(module, imports);

const put = (bytes) => {
  const address = node.node_buffer(bytes.length);
  if (address === 0) throw new Error('too many bytes at once');
  new Uint8Array(node.memory.buffer, address, bytes.length).set(bytes);
  return bytes.length;
};
const get = (length) => Buffer.from(new Uint8Array(node.memory.buffer, node.node_buffer(0), length));
const check = (value) => {
  if (value < 0) throw new Error(get(node.node_error()).toString());
  return value;
};
const all = (take) => {
  const parts = [];
  for (let length; (length = check(take())) > 0;) parts.push(get(length));
  return Buffer.concat(parts);
};

let stdout = [];
const requests = {
  load({ argv }) {
    stdout = [];
    check(-node.node_load(put(Buffer.from(argv.join('\0')))));
    for (let length; (length = check(node.node_want())) > 0;) {
      const contents = readFileSync(get(length).toString());
      for (let at = 0; at < contents.length; at += 1 << 18) {
        check(node.node_give(put(contents.subarray(at, at + (1 << 18)))));
      }
      check(node.node_give_end(1));
    }
  },
  run() {
    const most = 0xffff_ffff_ffff_ffffn;
    const start = process.hrtime.bigint();
    for (;;) {
      const event = check(node.node_run(most, most));
      if (event === 0) return Number(process.hrtime.bigint() - start);
      if (event !== 3) throw new Error(`the node stopped with event ${event}`);
      stdout.push(all(() => node.node_output(1)));
      all(() => node.node_output(2));
    }
  },
  stdout: () => Buffer.concat([...stdout, all(() => node.node_output(1))]).toString('hex'),
  exit_code: () => node.node_exit_code(),
  result: () => all(() => node.node_take()).toString(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = { value: requests[request.call](request) ?? null };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
