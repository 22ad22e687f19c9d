"""The node's command face in wasmtime's Python package: what any WASI runtime's own command line does.

    python wasi_host.py GUEST_INTERP.wasm DIRECTORY [ARGUMENT...]
    python wasi_host.py --version

DIRECTORY is the one that the node sees, as `.`. The exit code is the node's own. The compiled node is kept beside its
file.
"""

import os
import sys
from importlib.metadata import version

import wasmtime


def compiled(engine, path):
    kept = f"{path}.python-{version('wasmtime')}.cwasm"
    if not os.path.exists(kept):
        module = wasmtime.Module.from_file(engine, path)
        with open(f"{kept}.{os.getpid()}", "wb") as file:
            file.write(module.serialize())
        os.rename(file.name, kept)
    return wasmtime.Module.deserialize_file(engine, kept)


def main():
    if sys.argv[1:] == ["--version"]:
        print(version("wasmtime"))
        return 0
    path, directory, *arguments = sys.argv[1:]
    engine = wasmtime.Engine()
    wasi = wasmtime.WasiConfig()
    wasi.argv = ["guest-interp", *arguments]
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    wasi.preopen_dir(directory, ".")
    store = wasmtime.Store(engine)
    store.set_wasi(wasi)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    instance = linker.instantiate(store, compiled(engine, path))
    try:
        instance.exports(store)["_start"](store)
    except wasmtime.ExitTrap as end:
        return end.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
