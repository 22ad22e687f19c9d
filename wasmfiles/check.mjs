// Runs every case of expected.toml with Node's own WebAssembly and WASI.
//
//   node --no-warnings check.mjs        needs Node 20.11 and Python 3.11 (to read TOML)
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { WASI } from "node:wasi";

const here = import.meta.dirname;
const toJson = "import json,sys,tomllib; print(json.dumps(tomllib.load(open(sys.argv[1],'rb'))))";
const expected = JSON.parse(execFileSync("python3", ["-c", toJson, path.join(here, "expected.toml")]));
const tmp = fs.mkdtempSync(path.join(os.tmpdir(), "wasmfiles-"));
const text = JSON.stringify;

// V8's wording -> that of the specification's tests, as far as V8 tells them apart.
const traps = [
  [/unreachable/, ["unreachable"]],
  [/divide by zero|remainder by zero/, ["integer divide by zero"]],
  [/divide result unrepresentable/, ["integer overflow"]],
  [/float unrepresentable/, ["invalid conversion to integer"]],
  [/memory access out of bounds/, ["out of bounds memory access"]],
  [/table index is out of bounds|table access out of bounds|table or/i, ["undefined element", "out of bounds table access"]],
  [/null function or function signature mismatch/, ["indirect call type mismatch", "uninitialized element"]],
  [/call stack size exceeded/, ["call stack exhausted"]],
];
const trapNames = (error) =>
  traps.find(([pattern]) => pattern.test(error.message))?.[1] ?? [`unknown: ${error.message}`];
const isTrap = (error) => error instanceof WebAssembly.RuntimeError || error instanceof RangeError;

const load = (file) => new WebAssembly.Module(fs.readFileSync(path.join(here, file)));
const importNames = (module) => WebAssembly.Module.imports(module).map((i) => `${i.module}.${i.name}`);

function start(program, c) {
  const open = (name, flags) => fs.openSync(path.join(tmp, name), flags);
  fs.writeFileSync(path.join(tmp, "stdin"), c.stdin ?? "");
  const fds = [open("stdin", "r"), open("stdout", "w"), open("stderr", "w")];
  const wasi = new WASI({
    version: "preview1", args: [program.file, ...(c.args ?? [])], env: c.env ?? {},
    stdin: fds[0], stdout: fds[1], stderr: fds[2], returnOnExit: true,
  });
  const imports = wasi.getImportObject();
  for (const [name, file] of Object.entries(program.link ?? {}))
    imports[name] = new WebAssembly.Instance(load(file), {}).exports;
  const instance = new WebAssembly.Instance(load(program.file), imports);
  const finish = () => {
    fds.forEach((fd) => fs.closeSync(fd));
    return ["stdout", "stderr"].map((name) => fs.readFileSync(path.join(tmp, name), "utf8"));
  };
  return { wasi, instance, finish };
}

// What the case does, in the form expected.toml gives it.
function run(program, c) {
  const { wasi, instance, finish } = start(program, c);
  const got = {};
  if (program.kind === "command") {
    try {
      got.exit_code = wasi.start(instance);
    } catch (error) {
      if (!isTrap(error)) throw error;
      got.trap = trapNames(error);
    }
    [got.stdout, got.stderr] = finish();
    return got;
  }
  if (program.kind === "reactor") wasi.initialize(instance);
  got.calls = c.calls.map((call) => {
    const one = { export: call.export, args: call.args };
    try {
      const result = instance.exports[call.export](...call.args.map(Number));
      const unsigned = (v) => (typeof v === "bigint" ? BigInt.asUintN(64, v) : v >>> 0).toString();
      one.results = result === undefined ? [] : [unsigned(result)];
    } catch (error) {
      if (!isTrap(error)) throw error;
      one.trap = trapNames(error);
    }
    return one;
  });
  finish();
  return got;
}

let cases = 0, failures = 0;
function same(where, wanted, got) {
  if (text(wanted) === text(got)) return;
  failures += 1;
  console.log(`${where}: wanted ${text(wanted)}, got ${text(got)}`);
}
function sameOutcome(where, wanted, got) {
  const trap = (got.trap ?? []).includes(wanted.trap) ? wanted.trap : got.trap?.join(" or ");
  same(`${where}: trap`, wanted.trap, trap);
  for (const key of ["results", "exit_code", "stdout", "stderr"]) same(`${where}: ${key}`, wanted[key], got[key]);
}

for (const program of expected.program) {
  const bytes = fs.readFileSync(path.join(here, program.file));
  same(`${program.file}: sha256`, program.sha256, createHash("sha256").update(bytes).digest("hex"));
  same(`${program.file}: imports`, program.imports, [...new Set(importNames(load(program.file)))].sort());
  for (const c of program.case ?? []) {
    const where = `${program.file}: ${c.name}`;
    const got = run(program, c);
    if (c.calls) c.calls.forEach((call, i) => sameOutcome(`${where}: call ${i}`, call, got.calls[i]));
    else sameOutcome(where, c, got);
    cases += 1;
  }
}
fs.rmSync(tmp, { recursive: true });
console.log(`${cases} cases, ${failures} differences`);
process.exit(failures ? 1 : 0);
