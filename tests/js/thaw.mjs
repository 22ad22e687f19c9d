// Goes on with a node of which only the linear memory is left: puts the image into a fresh instance, runs it in slices,
// and writes the files that it has ready.
//
//   node thaw.mjs GUEST_INTERP.wasm IMAGE DIRECTORY GAS [SLICES FROZEN]
//
// GAS is the budget of a slice. With SLICES it stops after so many and leaves the memory in the file FROZEN. The
// program's output goes to standard output and standard error.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { openNode } from './node-exports.mjs';

const [wasm, image, directory, gas, slices = 'all', frozen] = process.argv.slice(2);
const { call, check, get, text, watched, memory } = await openNode(wasm, readFileSync(image));
if (watched === 0) throw new Error('the node exports no mutable global: give the file that exposes them');

const output = [[], []];
const takeAll = () => {
  for (const fd of [1, 2]) {
    for (let length; (length = check(call('node_output', fd))) > 0;) output[fd - 1].push(get(length));
  }
  for (let length; (length = check(call('node_take_name'))) > 0;) {
    const path = `${directory}/${text(length)}`;
    writeFileSync(path, '');
    for (let size; (size = check(call('node_take'))) > 0;) appendFileSync(path, get(size));
  }
};

const progress = () => get(check(call('node_progress'))).toString();
let budget = BigInt(gas);
let left = slices === 'all' ? Infinity : Number(slices);
let event = -1;
for (; left > 0 && event !== 0; left -= 1) {
  const before = progress();
  event = check(call('node_run', budget, 50_000_000n));
  takeAll();
  // An instruction dearer than the whole budget: give more.
  budget = progress() === before ? budget * 2n : BigInt(gas);
}
writeFileSync(1, Buffer.concat(output[0]));
writeFileSync(2, Buffer.concat(output[1]));
if (frozen) {
  writeFileSync(frozen, memory());
} else {
  process.exitCode = check(call('node_exit_code'));
}
