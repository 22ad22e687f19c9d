#!/usr/bin/env bash
# Gets the runtimes of `cargo xtask portability` that are not part of this project into a directory, from npm, PyPI and
# Debian as this machine has them configured, and leaves a command for each there. Nothing of the system changes.
#
#   get.sh [--quick] DIRECTORY
#
# --quick: only what is there in seconds: Bun, Deno, the browser's WASI shim, wasmtime for Python, WAMR.
# All needs Node.js with npm, Python with venv, Debian, and for iwasm a C compiler.
set -euo pipefail

quick=
if [ "${1:-}" = --quick ]; then
    quick=yes
    shift
fi
if [ $# -ne 1 ]; then
    echo "usage: $0 [--quick] DIRECTORY" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
directory=$(cd "$1" && pwd)

packages=(bun@1.4.5 deno@2.9.6 @bjorn3/browser_wasi_shim@0.4.2)
if [ -z "$quick" ]; then packages+=(playwright-core@1.65.1); fi
# Bun's and Deno's programs are packages of their own, one for each system: no script of a package has to run.
npm install --prefix "$directory" --ignore-scripts --no-audit --no-fund --loglevel error "${packages[@]}"
# The first of several files that runs here becomes the command.
link() {
    local name=$1 file
    shift
    for file in "$@"; do
        if chmod +x "$file" 2>/dev/null && "$file" --version >/dev/null 2>&1; then
            ln -sf "${file#"$directory"/}" "$directory/$name"
            return
        fi
    done
    echo "$0: the npm package $name brings no program that runs here" >&2
    exit 1
}
link bun "$directory"/node_modules/@oven/bun-*/bin/bun
link deno "$directory"/node_modules/@deno/*/deno

python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install --quiet --disable-pip-version-check wasmtime==50.0.1
# A link would not find its packages.
cat >"$directory/python" <<'END'
#!/bin/sh
exec "$(dirname "$(readlink -f "$0")")/venv/bin/python" "$@"
END
chmod +x "$directory/python"

if [ -z "$quick" ]; then
    "$here/unpack-debian.sh" "$directory" forky wazero wasmedge
    "$here/unpack-debian.sh" "$directory" configured chromium
fi
"$here/build-iwasm.sh" "$directory" || echo "$0: iwasm cannot be built here" >&2
ls "$directory"
