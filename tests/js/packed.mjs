// Uses the installed package as a stranger would: packed.mjs WASMFILES. It is run in a folder in which `stepmark` is installed. The last line
// is JSON.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Stepmark, StepmarkError, joined } from 'stepmark';
import { load, run } from 'stepmark/node';

const wasmfiles = process.argv[2];
const file = (name) => join(wasmfiles, name);
const stepmark = await load();
let checks = 0;
const check = async (what, test) => {
  await test();
  checks += 1;
  console.log(`ok: ${what}`);
};

/** All files of a job, by name. */
const files = (folder) => Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'hex')]));

const ended = async (tier, args, folder) => {
  const out = mkdtempSync(join(tmpdir(), 'stepmark-'));
  let stdout = '';
  const all = ['--snapshot-output', out, ...args];
  const job = await run(stepmark, all, { tier, stdout: (bytes) => { stdout += new TextDecoder().decode(bytes); } });
  const kept = files(out);
  delete kept['receipt.json']; // It says when it was run.
  return { job, stdout, kept };
};

await check('every tier leaves the same bytes', async () => {
  const args = ['--gas-limit', '300000', '--enable-gas-refill', file('fib32.wasm'), 'fib', '24'];
  const [register, auto, compiled] = await Promise.all(['register', 'auto', 'compiled'].map((tier) => ended(tier, args)));
  assert.ok(Object.keys(register.kept).length > 8);
  assert.deepEqual(auto.kept, register.kept);
  assert.deepEqual(compiled.kept, register.kept);
  assert.ok(compiled.job.compiledWork.gas > 1_000_000n);
  assert.deepEqual(register.job.result().values, [{ type: 'i32', bits: 46368n }]);
  assert.equal(register.job.result().outcome.kind, 'returned');
});

await check('auto compiles a program that runs for a while, and not one that does not', async () => {
  const long = await ended('auto', [file('bench/coremark_like.wasm'), 'run', '1600']);
  assert.ok(long.job.compiledWork.funcs > 0);
  assert.equal(long.job.result().values[0].bits, 763767342268803584n);
  const short = await ended('auto', [file('fib32.wasm'), 'fib', '10']);
  assert.equal(short.job.compiledWork.funcs, 0);
});

await check('a trap has its place', async () => {
  const program = Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 5, 1, 3, 0, 0, 11]);
  const job = await stepmark.start(['p.wasm', 'f'], { tier: 'compiled' });
  await job.provide((path) => (path === 'p.wasm' ? program : null));
  for await (const event of job.events()) assert.equal(event, 'finished');
  const { outcome } = job.result();
  assert.equal(outcome.trap, 'unreachable');
  assert.deepEqual(outcome.backtrace, [{ instance: 0, function: 0, name: null, offset: 30 }]);
  assert.equal(job.exitCode, 134);
});

await check('a pause goes on elsewhere, in another tier', async () => {
  const args = ['--gas-limit', '1000000', '--enable-gas-refill', file('fib32.wasm'), 'fib', '24'];
  const out = mkdtempSync(join(tmpdir(), 'stepmark-'));
  const first = await stepmark.start(['--snapshot-output', out, ...args], { tier: 'compiled' });
  await first.provide((path) => readFileSync(path));
  await first.ready();
  assert.equal(first.run({ gas: 345_678n }), 'paused');
  first.pause();
  for (const { name, parts } of first.files()) writeFileSync(join(out, name), joined(parts));
  assert.deepEqual(readdirSync(out).sort(), ['paused.bin', 'paused.snap']);
  const resumed = ['--snapshot-output', out, '--snapshot-input', out, '--snapshot-id', 'paused', ...args];
  const second = await run(stepmark, resumed, { tier: 'register' });
  assert.deepEqual(second.result().values, [{ type: 'i32', bits: 46368n }]);
  assert.equal(second.progress().gas, (await ended('register', args)).job.progress().gas);
});

await check('after an exception of compiled code nothing is called any more', async () => {
  // (module (global $g (mut i32) ...) (func $f: counts, calls itself as deep as its argument) (func (export "run") (param i32 i32): calls $f again and again))
  const text = 'AGFzbQEAAAABDAJgAX8Bf2ACf38BfwMDAgABBQMBAAEGBgF/AUEACwcHAQNydW4AAQo2Ah4BAn4jAEEBaiQAIABFBEBBAQ8LIABBAWsQAEEDagsVAANAIAAQABogAUEBayIBDQALIwALABkEbmFtZQEEAQABZgMGAQEBAAFsBwQBAAFn';
  const program = Buffer.from(text, 'base64');
  const depth = (() => { let deep = 0; const go = () => { deep += 1; go(); }; try { go(); } catch { /* as deep as it goes */ } return deep; })();
  let failures = 0;
  for (let k = 0; k < 24; k += 1) {
    const job = await stepmark.start(['so.wasm', 'run', '900', '60'], { tier: 'compiled' });
    await job.provide(() => program);
    await job.ready();
    job.run({ gas: 20_000n });
    const deep = (left) => (left === 0 ? job.run({ gas: 100_000n }) : deep(left - 1));
    try { deep(Math.floor(depth * (0.7 + 0.0125 * k))); } catch (error) { if (error instanceof StepmarkError) failures += 1; }
    try {
      while (job.run() === 'paused');
      assert.equal(job.result().values[0].bits, 54060n, `step ${k}`);
    } catch (error) {
      assert.ok(error instanceof StepmarkError && error.exitCode === 74, `step ${k}: ${error}`);
    }
  }
  console.log(`${failures} of 24 ended in compiled code or the module`);
});

await check('questions are answered', async () => {
  const job = await stepmark.start(['--function', 'env.ask(i32)->(i64)', 'p.wat.wasm', 'f'], { tier: 'register' });
  // (module (import "env" "ask" (func (param i32) (result i64))) (func (export "f") (result i64) (call 0 (i32.const 7))))
  const program = Uint8Array.from([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 10, 2, 96, 1, 127, 1, 126, 96, 0, 1, 126, 2, 11, 1, 3, 101, 110, 118, 3, 97, 115, 107, 0, 0, 3, 2, 1, 1, 7, 5,
    1, 1, 102, 0, 1, 10, 8, 1, 6, 0, 65, 7, 16, 0, 11,
  ]);
  await job.provide(() => program);
  for await (const event of job.events()) {
    if (event !== 'question') continue;
    const { kind, module, name, args } = job.question();
    assert.deepEqual({ kind, module, name, args }, { kind: 'call', module: 'env', name: 'ask', args: [7n] });
    job.answer({ kind: 'returned', results: [1n << 63n], charges: [{ descriptor: 'asking', amount: 5 }] });
  }
  assert.deepEqual(job.result().values, [{ type: 'i64', bits: 1n << 63n }]);
});

await check('what is wrong is said, with an exit code', async () => {
  const refused = (exitCode, text) => (error) => error instanceof StepmarkError && error.exitCode === exitCode && text.test(error.message);
  await assert.rejects(stepmark.start(['--no-such-flag']), refused(2, /no-such-flag/));
  await assert.rejects(stepmark.start(['p.wasm', 'f'], { tier: 'fast' }), refused(2, /register, auto and compiled/));
  const alone = await Stepmark.load(readFileSync(new URL(import.meta.resolve('stepmark/stepmark.wasm'))));
  await assert.rejects(alone.start(['p.wasm', 'f'], { tier: 'auto' }), refused(2, /no compiler/));
  const job = await stepmark.start(['p.wasm', 'f']);
  await assert.rejects(job.provide(() => Uint8Array.of(1, 2, 3)), refused(65, /./));
  const other = await stepmark.start(['p.wasm', 'f']);
  await assert.rejects(other.provide(() => 'text'), refused(2, /not string/));
  await assert.rejects(other.provide(() => [[1, 2]]), refused(2, /not object/));
  await assert.rejects(stepmark.start('p.wasm'), refused(2, /a list of texts/));
  await assert.rejects(stepmark.start(['p.wasm\0f']), refused(2, /without NUL/));
  const bounded = await stepmark.start([file('fib32.wasm'), 'fib', '5']);
  await bounded.provide((path) => readFileSync(path));
  for (const gas of [0n, -1, 1.5, '7', null]) assert.throws(() => bounded.run({ gas }), refused(2, /gas: /));
  await assert.rejects(bounded.events({ gas: 0n }).next(), refused(2, /less than 1/));
  assert.equal(bounded.run({ gas: 1_000_000 }), 'finished', 'nothing was lost');
  const missing = await stepmark.start(['p.wasm', 'f']);
  await assert.rejects(missing.provide(() => null), refused(2, /p\.wasm/));
});

console.log(JSON.stringify({ checks }));
