// A job in the words of whoever claims something about it, and as the arguments that start it again.

import { hex } from './blake3.js';

const STUBS = 'unknown-imports';
/** Limits of a job that names none. */
const USUAL = { memory: 2147418112n, call_depth: 65536n, files: 1073741824n, exceptions: 1048576n };
const PLAIN = /^[A-Za-z0-9._/\-+=:@%]+$/;

/** A text of the prover's as one word: what is not plain is in quotes, so that it cannot be taken for what stands beside it. */
export const word = (text) => (PLAIN.test(text) ? text : quoted(text));

/** A text in quotes, with everything escaped that is not seen as itself. */
export const quoted = (text) => {
  const seen = JSON.stringify(text).slice(1, -1);
  return `"${seen.replace(/[\p{C}\p{Z}]/gu, (letter) => (letter === ' ' ? letter : `\\u{${letter.codePointAt(0).toString(16)}}`))}"`;
};

const functionText = ({ module, name, params, results }) => `${module}.${name}(${params.join(',')})->(${results.join(',')})`;

/**
 * What the job says of itself, as a receipt and `verify --json` have it.
 * @param {import('./snap.js').Job} job
 */
export const claimed = (job) => {
  const file = ({ name, size, hash }) => ({ name, size, hash });
  const features = job.features.filter(({ name }) => name !== STUBS);
  const stubs = job.features.find(({ name }) => name === STUBS);
  return {
    program: file(job.program),
    modules: job.modules.map(file),
    contracts: job.contracts.map(file),
    entry: job.entry,
    args: job.args,
    env: job.env.map(([name, value]) => `${name}=${value}`),
    stdin: job.stdin && { name: 'stdin', ...job.stdin },
    inputs: job.inputs.map(file),
    preopens: job.preopens,
    functions: job.functions.map(functionText),
    call_data: hex(job.callData),
    caller: job.caller,
    store: job.store,
    seed: job.seed,
    clock_rate: job.clockRate,
    schedule: { name: job.schedule.name, size: BigInt(job.schedule.bytes.length), hash: job.schedule.hash },
    features_off: features.filter(({ on }) => !on).map(({ name }) => name),
    stub_imports: stubs ? (stubs.on ? 'zero' : 'trap') : null,
    limits: { memory: job.limits.memory, call_depth: job.limits.callDepth, files: job.limits.files, exceptions: job.limits.exceptions },
  };
};

/** The entry and its arguments, with a space between two. */
export const call = (job) => [...(job.entry === null ? [] : [job.entry]), ...job.args].map(word).join(' ');

const fileText = ({ name, size, hash }) => `${word(name)}, ${size} bytes, BLAKE3 ${hash}`;

/** A part of a claim: its name and its words. @param {string} name @param {string} words @returns {[string, string]} */
export const line = (name, words) => [name, words];

/** A part that is left out where it is as it is by default. */
const unless = (isUsual, name, words) => (isUsual ? [] : [line(name, words())]);

/**
 * The job in words, each part with its name; what is as it is by default is left out.
 * @param {import('./snap.js').Job} job
 */
export const lines = (job) => {
  const said = claimed(job);
  const limits = Object.entries(said.limits);
  return [
    line('program', fileText(said.program)),
    ...said.modules.map((file) => line('module', fileText(file))),
    ...said.contracts.map((file) => line('contract', fileText(file))),
    line('call', call(job) || '(no arguments)'),
    ...said.env.map((variable) => line('env', word(variable))),
    ...unless(!said.stdin, 'stdin', () => `${said.stdin.size} bytes, BLAKE3 ${said.stdin.hash}`),
    ...said.inputs.map((file) => line('input', fileText(file))),
    ...said.preopens.map((directory) => line('open', word(directory))),
    ...said.functions.map((text) => line('function', word(text))),
    ...unless(said.call_data === '', 'call data', () => `0x${said.call_data}`),
    ...unless(said.caller === '', 'caller', () => word(said.caller)),
    ...unless(said.store === null, 'store', () => `version ${said.store}`),
    ...unless(said.seed === 0n, 'seed', () => String(said.seed)),
    ...unless(said.clock_rate === 1n, 'clock', () => `${said.clock_rate} ns a unit of gas`),
    ...unless(said.features_off.length === 0, 'off', () => said.features_off.join(', ')),
    ...unless(said.stub_imports === null, 'stubs', () => said.stub_imports),
    ...unless(limits.every(([name, value]) => value === USUAL[name]), 'limits', () => (
      limits.map(([name, value]) => `${name.replace('_', ' ')} ${value}`).join(', '))),
    line('schedule', `${word(said.schedule.name)}, BLAKE3 ${said.schedule.hash}`),
  ];
};

/** The files of a job that have to be found: what each is, its name for the module, and what it must be. */
export const wanted = (job) => [
  { what: 'the program', path: `job_program/${job.program.name}`, ...job.program },
  ...job.modules.map((module, at) => ({ what: 'the module', path: `job_module/${at}`, ...module })),
  ...job.inputs.map((input, at) => ({ what: 'the input', path: `job_input/${at}`, ...input })),
  ...(job.stdin ? [{ what: 'the standard input', path: 'job_stdin', name: 'stdin', ...job.stdin }] : []),
];

/** What the module calls the directory of the chain. */
export const CHAIN = 'chain';

const SCHEDULE = 'job_schedule';

/**
 * The schedule as a file, and its name for the module.
 * @param {import('./snap.js').Job} job
 * @returns {[string, Blob]}
 */
export const schedule = (job) => [`${SCHEDULE}/${job.schedule.name}`, new Blob([job.schedule.bytes])];

const flag = (name, value) => [`--${name}`, String(value)];

/** Arguments of a job that snapshots know already. */
const always = (job) => [
  ...flag('gas-schedule', `${SCHEDULE}/${job.schedule.name}`),
  ...(job.stdin ? flag('stdin', 'job_stdin') : []),
  ...job.modules.flatMap(({ name }, at) => flag('preload', `${name}=job_module/${at}`)),
  ...job.inputs.flatMap(({ name }, at) => flag('file', `${name}=job_input/${at}`)),
];

/** Arguments of a job that only its start needs. */
const atStart = (job) => [
  ...flag('max-memory', job.limits.memory),
  ...flag('max-call-depth', job.limits.callDepth),
  ...flag('max-files', job.limits.files),
  ...flag('max-exceptions', job.limits.exceptions),
  ...flag('clock-rate', job.clockRate),
  ...flag('seed', job.seed),
  ...job.env.flatMap(([name, value]) => flag('env', `${name}=${value}`)),
  ...job.preopens.flatMap((directory) => flag('preopen', directory)),
  ...job.features.flatMap(({ name, on }) => (
    name === STUBS ? flag('stub-imports', on ? 'zero' : 'trap') : flag('feature', `${name}=${on ? 'on' : 'off'}`))),
];

/**
 * The arguments that start the job from a snapshot, 0 for the start.
 * @param {import('./snap.js').Job} job
 * @param {{ from: bigint, limit: bigint, refill: boolean, keepFinal: boolean }} how
 */
export const args = (job, { from, limit, refill, keepFinal }) => [
  ...(from > 0n ? [...flag('snapshot-input', CHAIN), ...flag('snapshot-id', from)] : atStart(job)),
  ...flag('gas-limit', limit),
  ...always(job),
  ...(refill ? ['--enable-gas-refill'] : []),
  ...(keepFinal ? ['--keep-final'] : []),
  `job_program/${job.program.name}`,
  ...(from > 0n ? [] : [...(job.entry === null ? [] : [job.entry]), ...job.args]),
];
