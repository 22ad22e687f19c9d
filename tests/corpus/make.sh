#!/usr/bin/env bash
# Makes ten small chains with a command stepmark: tests/corpus/make.sh COMMAND FOLDER. Each release adds a folder with the chains
# that it wrote; later ones must verify them (host-runner/tests/runner/corpus.rs). A folder that is there is never made anew.
set -euo pipefail
stepmark=$(realpath "${1:?the path of the command stepmark}")
folder=${2:?a folder to be made}
wasm=$(realpath "$(dirname "$0")/../../wasmfiles")
mkdir "$folder"
cd "$folder"

# A chain: its name, its files, then what is run. The line of `verify` is kept beside it.
chain() {
    local name=$1 files=$2 verify=$3
    shift 3
    mkdir "$name"
    for file in $files; do cp "$wasm/$file" "$name/"; done
    echo "verify $verify" >"$name/verify.txt"
    (cd "$name" && "$stepmark" -q --snapshot-output out "$@" >/dev/null || test $? -eq "${code:-0}")
}

chain recursion fib32.wasm "fib32.wasm out" --gas-limit 60000 --enable-gas-refill fib32.wasm fib 20
chain first-prices fib32.wasm "fib32.wasm out" --gas-schedule default-1 --gas-limit 60000 --enable-gas-refill fib32.wasm fib 20
chain hashing sha256.wasm "sha256.wasm out" --gas-limit 400000 --enable-gas-refill sha256.wasm 4096
chain floats bench/mandelbrot.wasm "mandelbrot.wasm out" --gas-limit 5000 --enable-gas-refill mandelbrot.wasm run 8
chain linked "linked_a.wasm linked_b.wasm" "linked_a.wasm out --preload lib=linked_b.wasm" \
    --gas-schedule seed-ordinal --gas-limit 250 --enable-gas-refill --preload lib=linked_b.wasm linked_a.wasm run
chain stopped fib32.wasm "fib32.wasm out" --gas-limit 600000 --enable-gas-refill fib32.wasm fib 24
code=42 chain exit-code exit_code.wasm "exit_code.wasm out" --gas-limit 400 --enable-gas-refill exit_code.wasm 42
code=134 chain trap grow_table_trap.wasm "grow_table_trap.wasm out" \
    --gas-schedule default-1 --gas-limit 4 --enable-gas-refill --keep-final grow_table_trap.wasm trap 7
chain merged fib32.wasm "fib32.wasm out" --gas-limit 60000 --enable-gas-refill fib32.wasm fib 20
(cd merged && "$stepmark" merge out --to 2 >/dev/null)
printf 'a line\nanother\n' >input.txt
chain files wasi/preopens.wasm "preopens.wasm out --file /input.txt=../input.txt" \
    --gas-limit 400 --enable-gas-refill --file /input.txt=../input.txt preopens.wasm
