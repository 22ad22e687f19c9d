import type { Contents, Job, Question, Reply, Stepmark, Tier } from './stepmark.js';

/** The module and the compiler of this package. */
export function load(): Promise<Stepmark>;

/** The parts of a file; null if there is none. */
export function read(path: string): Contents;

/** Writes the files that a job has ready into a directory, each whole or not at all; their names. */
export function write(job: Job, directory: string): string[];

export interface RunOptions {
  tier?: Tier;
  /** Get what the program writes. */
  stdout?: (bytes: Uint8Array) => void;
  stderr?: (bytes: Uint8Array) => void;
  /** Called for each snapshot, once its files are written. */
  snapshot?: (id: bigint) => void;
  /** Answers questions; without it, a run that asks fails. */
  answer?: (question: Question, job: Job) => Reply | Promise<Reply>;
  warn?: (message: string) => void;
  /** Gas of a slice. */
  slice?: bigint | number;
}

/** Runs a job to its end with the files of this system. */
export function run(stepmark: Stepmark, args: readonly string[], options?: RunOptions): Promise<Job>;
