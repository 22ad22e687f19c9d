#!/usr/bin/env bash
# Rebuilds the programs here into the directory given (default: this one), those in C with clang 19.1.7 and its linker;
# those in the text format are assembled by the test that compares them with their text.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:-$here}"
out=$(cd "${1:-$here}" && pwd)
clang=${CLANG:-clang-19}
linker=${WASM_LD:-wasm-ld-19}
cd "$here"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
flags=(-O2 -Wall -Wextra -Werror -std=c17 "-ffile-prefix-map=$here=.")
for name in simd_pixels simd_matmul; do
  "$clang" --target=wasm32-wasi "${flags[@]}" -msimd128 -c "$name.c" -o "$tmp/$name.o"
  "$clang" --driver-mode=gcc --target=wasm32-wasi -mexec-model=reactor -nostartfiles -Wl,--no-entry -Wl,--strip-debug \
    "$tmp/$name.o" -o "$tmp/$name.wasm"
done
"$clang" --target=wasm64-unknown-unknown "${flags[@]}" -ffreestanding -c memory64_sort.c -o "$tmp/memory64_sort.o"
"$linker" -mwasm64 --no-entry --strip-debug "$tmp/memory64_sort.o" -o "$tmp/memory64_sort.wasm"
chmod 644 "$tmp"/*.wasm
cp "$tmp"/*.wasm "$out"
