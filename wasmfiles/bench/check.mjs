// Runs every program of bench.toml at both of its sizes with Node's own
// WebAssembly.
//
//   node --no-warnings check.mjs        needs Node 20.11 and Python 3.11 (to read TOML)
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

const here = import.meta.dirname;
const toJson = "import json,sys,tomllib; print(json.dumps(tomllib.load(open(sys.argv[1],'rb'))))";
const bench = JSON.parse(execFileSync("python3", ["-c", toJson, path.join(here, "bench.toml")]));

let runs = 0, differences = 0;
function same(where, wanted, got) {
  if (wanted === got) return;
  differences += 1;
  console.log(`${where}: wanted ${wanted}, got ${got}`);
}

for (const program of bench.program) {
  const bytes = fs.readFileSync(path.join(here, program.file));
  same(`${program.file}: sha256`, program.sha256, createHash("sha256").update(bytes).digest("hex"));
  const module = new WebAssembly.Module(bytes);
  for (const size of ["quick", "full"]) {
    const { n, result } = program[size];
    const { run } = new WebAssembly.Instance(module, {}).exports;
    same(`${program.file}: run ${n}`, result, BigInt.asUintN(64, run(n)).toString());
    runs += 1;
  }
}
console.log(`${runs} runs, ${differences} differences`);
process.exit(differences ? 1 : 0);
