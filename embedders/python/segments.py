"""Runs a job in the node, segment by segment: segments.py NODE.wasm --gas-limit N --enable-gas-refill PROGRAM ..."""
import sys
from pathlib import Path

from wasmtime import Engine, Linker, Module, Store

node_path, *args = sys.argv[1:]
store = Store(Engine())
module = Module.from_file(store.engine, node_path)
linker = Linker(store.engine)
linker.define_unknown_imports_as_traps(module)  # The exported functions call none of them.
node = linker.instantiate(store, module).exports(store)


def call(name, *values, sign=1):
    value = sign * node["node_" + name](store, *values)
    if value < 0:
        print("error:", get(call("error")).decode(), file=sys.stderr)
        sys.exit(-value)
    return value


def put(data):  # Bytes go in and out through one buffer, which any call may move.
    node["memory"].write(store, data, node["node_buffer"](store, len(data)) & 0xFFFFFFFF)
    return len(data)


def get(length):
    start = node["node_buffer"](store, 0) & 0xFFFFFFFF
    return bytes(node["memory"].read(store, start, start + length))


def chunks(name, *values):
    while length := call(name, *values):
        yield get(length)


call("load", put("\0".join(args).encode()), sign=-1)  # The one function whose error is not negated.
for path in chunks("want"):
    contents = Path(path.decode()).read_bytes()
    for at in range(0, len(contents), 1 << 20):
        call("give", put(contents[at : at + (1 << 20)]))
    call("give_end", 1)
directory = Path(get(call("output_dir")).decode())
directory.mkdir(parents=True, exist_ok=True)
event = None
while event in (None, 1, 2, 3):
    event = call("run", 1 << 62, 50_000_000)  # 0 the end, 1 a snapshot, 2 and 3: go on
    for fd, stream in (1, sys.stdout), (2, sys.stderr):
        stream.buffer.write(b"".join(chunks("output", fd)))
    files = {name.decode(): b"".join(chunks("take")) for name in chunks("take_name")}
    for name, contents in files.items():
        (directory / name).write_bytes(contents)
    if event == 1:
        gas, snapshot = (int.from_bytes(get(call("progress"))[at : at + 8], "little") for at in (0, 24))
        sizes = ", ".join(f"{name} {len(contents)} bytes" for name, contents in files.items())
        print(f"segment {snapshot}: {gas} gas so far, {sizes}", file=sys.stderr)
print("result:", *files["result.txt"].decode().split(), "exit code:", call("exit_code"), file=sys.stderr)
sys.exit(call("exit_code"))
