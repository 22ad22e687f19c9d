// Chains, honest and forged, for `cargo xtask page`: each a folder, with what the command `stepmark verify` says of it.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Ways to run a program that end differently, and what they leave. */
const RUNS = {
  values: { program: 'matrix_multiplication_cpp_100.wasm', flags: ['--gas-limit', '3000000', '--enable-gas-refill'], args: ['run'] },
  limit: { program: 'matrix_multiplication_cpp_100.wasm', flags: ['--gas-limit', '3000000'], args: ['run'] },
  arguments: { program: 'fib32.wasm', flags: ['--gas-limit', '20000', '--enable-gas-refill', '--seed', '7'], args: ['fib', '20'] },
  trap: {
    program: 'fib32.wasm', flags: ['--gas-limit', '40', '--enable-gas-refill', '--keep-final', '--max-call-depth', '12'], args: ['fib', '20'],
  },
  exit: { program: 'exit_code.wasm', flags: ['--gas-limit', '500', '--enable-gas-refill', '--env', 'A=<b>&"'], args: ['3', '<img src=x onerror=alert(1)>'] },
  output: { program: 'iostream_cpp.wasm', flags: ['--gas-limit', '5000', '--enable-gas-refill', '--stdin', 'stdin'], args: [] },
  end: { program: 'fib32.wasm', flags: ['--gas-limit', '1000000', '--keep-final'], args: ['fib', '15'] },
  linked: {
    program: 'linked_a.wasm', modules: { lib: 'linked_b.wasm' },
    flags: ['--gas-limit', '4200', '--enable-gas-refill', '--preload', 'lib=linked_b.wasm'], args: ['run'],
  },
};

/** A change of some bytes of a file. */
const flip = (name, at = 0.5) => (dir) => {
  const bytes = readFileSync(join(dir, name));
  bytes[Math.floor(bytes.length * at)] ^= 1;
  writeFileSync(join(dir, name), bytes);
};
const cut = (name) => (dir) => {
  const bytes = readFileSync(join(dir, name));
  writeFileSync(join(dir, name), bytes.subarray(0, bytes.length - 7));
};
const longer = (name) => (dir) => writeFileSync(join(dir, name), Buffer.concat([readFileSync(join(dir, name)), Buffer.of(0)]));
const without = (...names) => (dir) => names.forEach((name) => rmSync(join(dir, name)));
const extra = (name, text = 'x') => (dir) => writeFileSync(join(dir, name), text);
const text = (name, from, to) => (dir) => {
  const before = readFileSync(join(dir, name), 'utf8');
  const after = before.replace(from, to);
  if (after === before) throw new Error(`${name} has no ${from}`);
  writeFileSync(join(dir, name), after);
};
const swapped = (a, b) => (dir) => {
  renameSync(join(dir, a), join(dir, 'kept'));
  renameSync(join(dir, b), join(dir, a));
  renameSync(join(dir, 'kept'), join(dir, b));
};
/** A file of another chain. */
const foreign = (name, of) => (dir, chains) => cpSync(join(chains, of, name), join(dir, name));
/** A `.snap` whose state is another one, and whose hash is right again. */
const invented = (name, hash) => (dir) => {
  const bytes = readFileSync(join(dir, name));
  bytes[bytes.length - 33] ^= 1; // The lowest bits of the gas, which is last in the state.
  bytes.set(hash(bytes.subarray(0, bytes.length - 32)), bytes.length - 32);
  writeFileSync(join(dir, name), bytes);
};

/** Forgeries: of which run, and what is done to its files. */
const forgeries = (hash) => ({
  'first snap flipped': ['values', flip('1.snap')],
  'snap flipped in its job': ['values', flip('3.snap', 0.1)],
  'last snap flipped': ['values', flip('7.snap', 0.99)],
  'snap of an invented state': ['values', invented('4.snap', hash)],
  'last snap of an invented state': ['values', invented('7.snap', hash)],
  'bin flipped': ['values', flip('2.bin')],
  'bin flipped in its prefix': ['values', flip('5.bin', 0.001)],
  'last bin flipped': ['values', flip('7.bin', 0.9)],
  'bin cut': ['values', cut('5.bin')],
  'snap cut': ['values', cut('6.snap')],
  'bin too long': ['values', longer('3.bin')],
  'snap too long': ['values', longer('3.snap')],
  'empty snap': ['values', extra('2.snap', '')],
  'bins swapped': ['values', swapped('2.bin', '3.bin')],
  'snaps swapped': ['values', swapped('2.snap', '3.snap')],
  'snap missing': ['values', without('4.snap')],
  'bin missing': ['values', without('4.bin')],
  'both missing': ['values', without('4.snap', '4.bin')],
  'last missing': ['values', without('7.snap', '7.bin')],
  'first missing': ['values', without('1.snap', '1.bin')],
  'snap of another job': ['values', foreign('2.snap', 'arguments')],
  'one too many': ['values', (dir) => ['snap', 'bin'].forEach((kind) => cpSync(join(dir, `7.${kind}`), join(dir, `8.${kind}`)))],
  'result forged in the receipt': ['values', text('receipt.json', '"32835000"', '"32835001"')],
  'gas forged in the receipt': ['values', text('receipt.json', '22612156', '22612155')],
  'entry forged in the receipt': ['values', text('receipt.json', '"entry": "run"', '"entry": "ran"')],
  'outcome forged': ['values', text('receipt.json', '"finished"', '"trapped"')],
  'limit forged': ['values', text('receipt.json', '"gas_limit": 3000000', '"gas_limit": 1000000')],
  'a member twice': ['values', text('receipt.json', '"exit_code": 0', '"exit_code": 1, "exit_code": 0')],
  'a foreign member': ['values', text('receipt.json', '"node": {', '"more": 1, "node": {')],
  'another runner': ['values', text('receipt.json', /"wall_time_ms": \d+/, '"wall_time_ms": 1')],
  'receipt cut': ['values', cut('receipt.json')],
  'receipt missing': ['values', without('receipt.json')],
  'result forged': ['values', text('result.txt', '32835000', '32835001')],
  'result missing': ['values', without('result.txt')],
  'nothing of its end': ['values', without('result.txt', 'receipt.json')],
  'superfluous answers': ['values', extra('3.calls')],
  'superfluous set': ['values', extra('rwset.bin')],
  'superfluous end': ['values', extra('final.bin')],
  'a damaged pause': ['values', extra('paused.snap')],
  'a note of a pause': ['values', extra('paused.json', '{}')],
  'a file that is not ours': ['values', extra('notes.txt')],
  'stop at the limit forged': ['limit', text('receipt.json', '"gas-limit"', '"finished"')],
  'snap before the limit flipped': ['limit', flip('1.snap', 0.95)],
  'argument forged': ['arguments', text('receipt.json', '"20"', '"21"')],
  'state at the end flipped': ['trap', flip('final.snap')],
  'pages at the end flipped': ['trap', flip('final.bin')],
  'trap forged': ['trap', text('receipt.json', /"message": "/, '"message": "not ')],
  'exit code forged': ['exit', text('receipt.json', /"exit_code": \d+/, '"exit_code": 77')],
  'kept output forged': ['output', text('receipt.json', /"text": "/, '"text": "!')],
  'hash of the output forged': ['output', text('receipt.json', /("stdout": \{\s*"bytes": \d+,\s*"hash": ")./, '$1x')],
  'pause flipped': ['paused', flip('paused.bin', 0.9)],
  'pause without its pages': ['paused', without('paused.bin')],
});

/** Runs a program, paused in its second segment, by the client. */
const paused = async ({ Stepmark, joined }, module, file, out) => {
  const stepmark = await Stepmark.load(module);
  const job = await stepmark.start(['--gas-limit', '3000000', '--enable-gas-refill', file, 'run']);
  await job.provide((path) => readFileSync(path));
  mkdirSync(out);
  const write = () => { for (const { name, parts } of job.files()) writeFileSync(join(out, name), joined(parts)); };
  while (job.run({ gas: 3_000_000n }) !== 'snapshot');
  write();
  job.run({ gas: 1_234_567n });
  job.pause();
  write();
};

/** Makes the chains below a folder. `run` runs the command, `client` is the JavaScript client, `hash` BLAKE3. */
export const makeChains = async ({ run, wasmfiles, module, client, hash, every }) => {
  const dir = mkdtempSync(join(tmpdir(), 'stepmark-page-'));
  const work = mkdtempSync(join(tmpdir(), 'stepmark-work-'));
  cpSync(wasmfiles, work, { recursive: true, filter: (path) => !path.endsWith('/apps') });
  writeFileSync(join(work, 'stdin'), 'one two three\n');
  for (const [name, { program, flags, args }] of Object.entries(RUNS)) {
    const { stderr } = run(['run', ...flags, '--snapshot-output', join(dir, name), program, ...args], work);
    if (!existsSync(join(dir, name, 'receipt.json'))) throw new Error(`${name}: ${stderr}`);
  }
  await paused(client, module, join(work, RUNS.values.program), join(dir, 'paused'));
  const filesOf = ({ program, modules = {}, flags }) => ({
    program: join(work, program),
    beside: [...Object.values(modules), ...(flags.includes('--stdin') ? ['stdin'] : [])].map((name) => join(work, name)),
    flags: Object.entries(modules).map(([name, file]) => ['--preload', `${name}=${join(work, file)}`]).flat()
      .concat(flags.includes('--stdin') ? ['--stdin', join(work, 'stdin')] : []),
  });
  const of = (name) => filesOf(RUNS[name] ?? RUNS.values);
  const chains = [...Object.keys(RUNS), 'paused'].map((name) => ({ name, dir: join(dir, name), ...of(name) }));
  for (const [name, [origin, change]] of Object.entries(forgeries(hash))) {
    const copy = join(dir, name);
    cpSync(join(dir, origin), copy, { recursive: true });
    change(copy, dir);
    chains.push({ name, dir: copy, ...of(origin) });
  }
  const honest = chains.length - Object.keys(forgeries(hash)).length;
  const wanted = chains.filter((_, at) => at < honest || (at - honest) % every === 0);
  return { dir, work, chains: wanted.map((chain) => ({ ...chain, expected: expectedOf(run, chain) })) };
};

/** What `stepmark verify --json` says: the word, and the first wrong segment. */
const expectedOf = (run, { dir, program, flags }) => {
  const { stdout } = run(['verify', '--json', '-j', '2', ...flags, program, dir]);
  const said = JSON.parse(stdout);
  if (said.verdict === undefined) return { word: 'error', firstWrong: null };
  const wrong = said.segments.find(({ verdict }) => verdict !== 'same');
  return { word: said.verdict, firstWrong: wrong ? `${wrong.from} -> ${wrong.to ?? 'the end'}` : null };
};

/** The files of a chain. */
export const filesIn = (dir) => readdirSync(dir).map((name) => join(dir, name));
