/** WebAssembly to be compiled, or compiled already. */
export type Source = WebAssembly.Module | BufferSource | Response;

/** What runs the program: the interpreter; compiled code once it has run for a while; compiled code from the beginning. */
export type Tier = 'register' | 'auto' | 'compiled';

/** What happened in a run. */
export type Event = 'finished' | 'snapshot' | 'paused' | 'output' | 'question';

/** A job that cannot go on. */
export class StepmarkError extends Error {
  /** That of the command: 2 for what was asked, 65 for bad data, 74 for the module's memory or a fault. */
  readonly exitCode: number;
}

/** The Stepmark module, compiled once for any number of jobs. */
export class Stepmark {
  /** Compiles the module, and with `compiler` what lets programs run as compiled code. */
  static load(module: Source | Promise<Source>, options?: { compiler?: Source | Promise<Source> }): Promise<Stepmark>;
  /** Starts a job: the arguments are those of the module's own command line. */
  start(args: readonly string[], options?: { tier?: Tier }): Promise<Job>;
}

/** A file as a job takes it: bytes, parts of it in order, or null if there is none. */
export type Contents = ArrayBufferView | ArrayBuffer | Iterable<ArrayBufferView | ArrayBuffer> | null;

/** Bounds of one call, from 1 on: gas, and branches and calls that cost nothing. They decide nothing about results. */
export interface Slice {
  gas?: bigint | number;
  steps?: bigint | number;
}

/** A job: give it the files that it wants, let it run, and take what it writes. */
export class Job {
  /** The path of the next file that the job needs; null when it is ready to run. */
  wanted(): string | null;
  /** Gives the wanted file. */
  give(contents: Contents): void;
  /** Gives all files that the job needs. */
  provide(read: (path: string) => Contents | Promise<Contents>): Promise<void>;
  /** Resolves when what is to be compiled before the program runs is compiled, once all files are given. `events` waits for it by itself. */
  ready(): Promise<void>;
  /** Runs for at most so much gas. */
  run(slice?: Slice): Event;
  /** Runs to the end, slice by slice; each event but pauses. */
  events(slice?: Slice): AsyncGenerator<Exclude<Event, 'paused'>, void, void>;
  /** What the program wrote to descriptor 1 or 2 since the last call. */
  output(descriptor: 1 | 2): Uint8Array;
  /** Warnings for the user. */
  messages(): string[];
  /** The files that are to be written, in this order. */
  files(): Generator<{ name: string; parts: Iterable<Uint8Array> }, void, void>;
  /** The files that the program leaves behind; `link` is the number of an earlier one of which this is another name. */
  delivered(): Generator<{ path: string; link: number; parts?: undefined } | { path: string; link?: undefined; parts: Iterable<Uint8Array> }, void, void>;
  /** What the run asks of the outside, after the event `question`. */
  question(): Question | null;
  /** Answers the question. */
  answer(reply: Reply): void;
  /** Bytes of the memory of the instance whose call asks. */
  askingMemory(address: bigint | number, length: number): Uint8Array;
  /** Makes the files of a pause ready: take them with `files`. */
  pause(): void;
  progress(): Progress;
  /** How the run ended, and with what; null before its end. */
  result(): Result | null;
  /** The exit code of the finished run. */
  readonly exitCode: number;
  /** The directory that the arguments name. */
  readonly outputDir: string;
  /** The job's hash, as hexadecimal digits. */
  readonly jobHash: string;
  /** The snapshot that the run started from; 0 for the beginning. */
  readonly startId: bigint;
  /** What compiled code has done so far. */
  readonly compiledWork: { funcs: number; gas: bigint; turns: number; left: number };
}

export interface Progress {
  /** Gas of the program so far. */
  gas: bigint;
  /** Gas of this segment, and the segment's limit. */
  segmentGas: bigint;
  limit: bigint;
  /** The highest snapshot. */
  snapshot: bigint;
  /** Answers from outside in this segment. */
  answers: bigint;
}

export interface Frame {
  instance: number;
  function: number;
  name: string | null;
  /** Byte offset in the module. */
  offset: number;
}

export interface Result {
  outcome:
    | { kind: 'returned' }
    | { kind: 'exited'; code: number }
    | { kind: 'trapped'; trap: string; detail: string | null; backtrace: Frame[] }
    | { kind: 'gas-limit' };
  /** What the entry returned, as bit patterns. */
  values: { type: 'i32' | 'i64' | 'f32' | 'f64' | 'v128' | 'reference'; bits: bigint }[];
  gasUsed: bigint;
  lastSnapshot: bigint;
}

export type Question =
  | { kind: 'call'; module: string; name: string; args: bigint[]; remaining: bigint }
  | { kind: 'get'; key: Uint8Array }
  | { kind: 'next'; from: Uint8Array; limit: Uint8Array | null };

export interface Charge {
  descriptor: string;
  amount: bigint | number;
}

export type Reply =
  | {
      kind: 'returned';
      results?: (bigint | number)[];
      writes?: { address: bigint | number; bytes: Uint8Array }[];
      charges?: Charge[];
      refund?: bigint | number;
    }
  | { kind: 'failed'; message: string; charges?: Charge[] }
  | { kind: 'unpaid'; need: bigint | number }
  | { kind: 'value'; found: { version: bigint | number; value: Uint8Array } | null }
  | { kind: 'entry'; found: { key: Uint8Array; version: bigint | number; value: Uint8Array } | null };

/** The bytes of all parts. */
export function joined(parts: Iterable<Uint8Array>): Uint8Array;
