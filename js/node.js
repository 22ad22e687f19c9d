// Jobs with the files of a file system: Node.js, Bun, Deno.

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, readSync, renameSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { Stepmark, StepmarkError } from './stepmark.js';

/** Bytes that are read at once. */
const CHUNK = 1 << 18;

/** The module and the compiler of this package. */
export const load = async () => {
  const [module, compiler] = ['stepmark.wasm', 'compiler.wasm'].map((name) => readFileSync(new URL(name, import.meta.url)));
  return Stepmark.load(module, { compiler });
};

/** The parts of a file; null if there is none. */
export const read = (path) => {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return null;
  if (found.isDirectory()) throw new StepmarkError(`${path}: is a directory`, 2);
  return (function* parts() {
    const file = openSync(path);
    try {
      const buffer = new Uint8Array(CHUNK);
      for (let length; (length = readSync(file, buffer)) > 0;) yield buffer.subarray(0, length);
    } finally {
      closeSync(file);
    }
  })();
};

/** Writes the files that a job has ready: each whole or not at all, in their order. */
export const write = (job, directory) => {
  const names = [];
  for (const { name, parts } of job.files()) {
    mkdirSync(directory, { recursive: true });
    const path = join(directory, name);
    const file = openSync(`${path}.tmp`, 'w');
    try {
      for (const part of parts) {
        for (let at = 0; at < part.length;) at += writeSync(file, part, at);
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(`${path}.tmp`, path);
    names.push(name);
  }
  return names;
};

/**
 * Runs a job to its end with the files of this system. `stdout` and `stderr` get what the program writes, `snapshot` is called for each
 * snapshot with its number, `answer` for each question. Returns the job.
 */
export const run = async (stepmark, args, { tier, stdout, stderr, snapshot, answer, warn, slice } = {}) => {
  const job = await stepmark.start(args, { tier });
  await job.provide(read);
  for await (const event of job.events({ gas: slice })) {
    const [out, err] = [job.output(1), job.output(2)];
    if (out.length > 0) stdout?.(out);
    if (err.length > 0) stderr?.(err);
    job.messages().forEach((message) => warn?.(message));
    write(job, job.outputDir);
    if (event === 'snapshot') snapshot?.(job.progress().snapshot);
    if (event === 'question') {
      if (answer === undefined) throw new Error(`the run asks for ${JSON.stringify(job.question().kind)}, and nobody answers`);
      job.answer(await answer(job.question(), job));
    }
  }
  return job;
};
