// Runs every case of contracts.toml with Node's own WebAssembly and the interface of README.md, without gas.
//
//   node --no-warnings check.mjs        needs Node 20.11 and Python 3.11 (to read TOML)
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

const here = import.meta.dirname;
const toJson = "import json,sys,tomllib; print(json.dumps(tomllib.load(open(sys.argv[1],'rb'))))";
const expected = JSON.parse(execFileSync("python3", ["-c", toJson, path.join(here, "contracts.toml")]));
const text = JSON.stringify;

// Keys, names and other bytes are strings with a character for each byte: these compare as the bytes do.
const fromHex = (hex) => Buffer.from(hex, "hex").toString("latin1");
const toHex = (bytes) => Buffer.from(bytes, "latin1").toString("hex");
const bytesOf = (file) => fs.readFileSync(path.join(here, file));
const modules = new Map(
  expected.contract.map(({ file }) => [file.replace(".wasm", ""), new WebAssembly.Module(bytesOf(file))]),
);

// Invokes a contract; its result. `world` has the store and the lines of debug output.
function invoke(name, args, caller, world) {
  let memory, result = "", inner = "";
  const iterators = new Map();
  const range = (at, length) => {
    const bytes = new Uint8Array(memory.buffer);
    if ((at >>> 0) + (length >>> 0) > bytes.length) throw new WebAssembly.RuntimeError("memory access out of bounds");
    return bytes.subarray(at >>> 0, (at >>> 0) + (length >>> 0));
  };
  const read = (at, length) => Buffer.from(range(at, length)).toString("latin1");
  const write = (value, at, cap, offset = 0) => {
    range(at, cap).set(Buffer.from(value, "latin1").subarray(offset >>> 0, (offset >>> 0) + (cap >>> 0)));
    return value.length;
  };
  const put = (kptr, klen, vptr, vlen) => void world.store.set(read(kptr, klen), read(vptr, vlen));
  const remove = (kptr, klen) => void world.store.delete(read(kptr, klen));

  const env = {
    qlcchain_storage_read(kptr, klen, vptr, vlen, offset) {
      const value = world.store.get(read(kptr, klen));
      return value === undefined ? -1 : write(value, vptr, vlen, offset);
    },
    qlcchain_storage_write: put,
    qlcchain_storage_delete: remove,
    qlcchain_debug: (ptr, len) => void world.debug.push(read(ptr, len)),
  };
  const store = {
    get(kptr, klen, vptr, vlen) {
      const value = world.store.get(read(kptr, klen));
      return BigInt(value === undefined ? -1 : write(value, vptr, vlen));
    },
    put,
    delete: remove,
    iterate(sptr, slen, lptr, llen) {
      const start = read(sptr, slen), limit = llen === -1 ? undefined : read(lptr, llen);
      const keys = [...world.store.keys()].filter((key) => key >= start && (limit === undefined || key < limit));
      iterators.set(iterators.size, keys.sort((a, b) => (a < b ? -1 : 1)));
      return iterators.size - 1;
    },
    next(handle, kptr, kcap, vptr, vcap) {
      const keys = iterators.get(handle);
      if (keys.length === 0) return -1n;
      const key = keys[0], value = world.store.get(key);
      if (key.length <= kcap && value.length <= vcap) {
        write(key, kptr, kcap);
        write(value, vptr, vcap);
        keys.shift();
      }
      return (BigInt(key.length) << 32n) | BigInt(value.length);
    },
    close: (handle) => void iterators.set(handle, undefined),
  };
  const contract = {
    args: (ptr, cap, offset) => write(args, ptr, cap, offset),
    caller: (ptr, cap, offset) => write(caller, ptr, cap, offset),
    set_result: (ptr, len) => void (result = read(ptr, len)),
    call(nptr, nlen, aptr, alen) {
      const callee = read(nptr, nlen);
      inner = "";
      if (!modules.has(callee)) return 3;
      const before = new Map(world.store);
      try {
        inner = invoke(callee, read(aptr, alen), name, world);
        return 0;
      } catch (error) {
        if (!(error instanceof WebAssembly.RuntimeError)) throw error;
        world.store = before;
        return 1;
      }
    },
    result: (ptr, cap, offset) => write(inner, ptr, cap, offset),
  };
  const instance = new WebAssembly.Instance(modules.get(name), { env, store, contract });
  memory = instance.exports.memory;
  instance.exports.invoke();
  if ([...iterators.values()].some((keys) => keys)) throw new Error(`${name}: a handle was left open`);
  return result;
}

function run(name, c) {
  const before = Object.entries(c.before ?? {}).map(([key, value]) => [key, fromHex(value)]);
  const world = { store: new Map(before), debug: [] };
  const got = {};
  try {
    got.result = toHex(invoke(name, c.args ?? "", c.caller ?? "", world));
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    got.trap = error.message;
  }
  got.debug = world.debug;
  got.after = Object.fromEntries([...world.store].sort().map(([key, value]) => [key, toHex(value)]));
  return got;
}

let cases = 0, differences = 0;
function same(where, wanted, got) {
  if (text(wanted) === text(got)) return;
  differences += 1;
  console.log(`${where}: wanted ${text(wanted)}, got ${text(got)}`);
}

for (const contract of expected.contract) {
  const name = contract.file.replace(".wasm", ""), module = modules.get(name);
  same(`${name}: sha256`, contract.sha256, createHash("sha256").update(bytesOf(contract.file)).digest("hex"));
  const imports = WebAssembly.Module.imports(module).map((i) => `${i.module}.${i.name}`);
  same(`${name}: imports`, contract.imports, [...new Set(imports)].sort());
  for (const c of contract.case) {
    const got = run(name, c);
    same(`${name}: ${c.name}: trap`, c.trap, got.trap);
    same(`${name}: ${c.name}: result`, c.trap ? undefined : (c.result ?? ""), got.result);
    same(`${name}: ${c.name}: debug`, c.debug ?? [], got.debug);
    const after = Object.entries((c.trap ? c.before : c.after) ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
    same(`${name}: ${c.name}: after`, Object.fromEntries(after), got.after);
    cases += 1;
  }
}
console.log(`${cases} cases, ${differences} differences`);
process.exit(differences ? 1 : 0);
