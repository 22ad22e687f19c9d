#!/usr/bin/env bash
# Makes chains with a host runner, checks each with check_chain.py, damages some and expects that to be noticed.
#     tests/second/run.sh HOST_RUNNER [KEPT]
# KEPT is what `cargo xtask omissions --every 4 --keep KEPT --keep-every 10` has left: proofs that lack something, and the node's verdicts.
# Needs Python 3.11 or later with venv, and a package index for the first step.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
runner=$(realpath "${1:?the path of the command stepmark}")
kept=${2:-}
files=$here/../../wasmfiles
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check blake3==1.0.11
python=$work/venv/bin/python

chains=0 snapshots=0 roots=0 refused=0

fail() { echo "second implementation: $*"; exit 1; }

# check NAME PROGRAM [ARGS OF check_chain.py]: the chain NAME must be good.
check() {
    local name=$1 program=$2 line
    shift 2
    line=$("$python" "$here/check_chain.py" "$program" "$work/$name" "$@") || { echo "$line"; fail "$name is refused"; }
    echo "$name: $line"
    read -r _ count _ _ _ of_spaces _ <<<"$line"
    chains=$((chains + 1)) snapshots=$((snapshots + count)) roots=$((roots + of_spaces))
}

# make NAME LEAST MOST CODE FLAGS...: a chain of LEAST to MOST snapshots; the program ends with the exit code CODE.
make() {
    local name=$1 least=$2 most=$3 code=$4 count found=0
    shift 4
    "$runner" --snapshot-output "$work/$name" -q --engine native "$@" >"$work/$name.out" 2>&1 || found=$?
    [ "$found" = "$code" ] || { cat "$work/$name.out"; fail "$name: exit code $found, expected $code"; }
    count=$(find "$work/$name" -name '[0-9]*.snap' | wc -l)
    [ "$count" -ge "$least" ] && [ "$count" -le "$most" ] || fail "$name: $count snapshots, expected $least to $most"
}

# refuse CHAIN HOW WORDS PROGRAM [OTHER]: the chain, damaged in this way, must be refused in these words.
refuse() {
    local chain=$1 how=$2 words=$3 program=$4 output
    rm -rf "$work/damaged"
    cp -r "$work/$chain" "$work/damaged"
    "$python" "$here/damage.py" "$how" "$work/damaged" ${5:+"$5"}
    if output=$("$python" "$here/check_chain.py" "$program" "$work/damaged"); then fail "$how is not noticed"; fi
    [[ $output == *"$words"* ]] || { echo "$output"; fail "$how: refused, but not with '$words'"; }
    echo "$how: $(grep -m1 -F "$words" <<<"$output")"
    refused=$((refused + 1))
}

"$python" "$here/vectors.py" "$here/../../docs/snapshot-format.md"

refill=(--enable-gas-refill --gas-limit)
echo '*,1' >"$work/ones"
"$python" "$here/corners.py" "$work"

matrix=$files/matrix_multiplication_cpp_100.wasm
make matrix 5 30 0 "${refill[@]}" 3000000 "$matrix" run
check matrix "$matrix"
make sha256 5 30 0 "${refill[@]}" 1000000 "$files/sha256.wasm" 65536
check sha256 "$files/sha256.wasm"
make linked 5 30 0 "${refill[@]}" 30 --gas-schedule "$work/ones" --preload "lib=$files/linked_b.wasm" \
    "$files/linked_a.wasm" run
check linked "$files/linked_a.wasm" --preload "lib=$files/linked_b.wasm"
make indirect_calls 5 30 0 "${refill[@]}" 300000 "$files/bench/indirect_calls.wasm" run 200
check indirect_calls "$files/bench/indirect_calls.wasm"
make grow_table_trap 5 30 0 "${refill[@]}" 500000 "$files/grow_table_trap.wasm" work
check grow_table_trap "$files/grow_table_trap.wasm"
make memory64 5 30 0 "${refill[@]}" 300000 "$files/bench/extensions/memory64_sort.wasm" run 2
check memory64 "$files/bench/extensions/memory64_sort.wasm"
make exceptions 5 30 0 "${refill[@]}" 800000 "$files/apps/exceptions.wasm"
check exceptions "$files/apps/exceptions.wasm"
make corners 5 60 0 "${refill[@]}" 60 --gas-schedule "$work/ones" --preload "lib=$work/corners_lib.wasm" \
    "$work/corners.wasm" run
check corners "$work/corners.wasm" --preload "lib=$work/corners_lib.wasm"

# Files: given, read, appended to, renamed, linked, cut and removed.
given=(--file "in/program.js=$files/apps/inputs/program.js" --file "in/program.lua=$files/apps/inputs/program.lua")
make index 5 30 3 "${refill[@]}" 500000 --preopen / "${given[@]}" \
    "$files/apps/index.wasm" index in/program.js in/program.lua
check index "$files/apps/index.wasm" "${given[@]}"
given=(--file "input.txt=$files/wasi/posix.dir/input.txt" --file "/sub/deep.txt=$files/wasi/posix.dir/sub/deep.txt")
make posix 5 30 0 "${refill[@]}" 60000 --preopen / "${given[@]}" "$files/wasi/posix.wasm"
check posix "$files/wasi/posix.wasm" "${given[@]}"

# A run that stops at its limit, and a pause of the next segment. The signal must not come before the run has begun.
long=$files/bench/memory_hard.wasm
make paused 1 1 75 --gas-limit 3000000 "$long" run 4000000
for seconds in 1 2 4 8; do
    timeout --foreground -s INT "$seconds" "$runner" --snapshot-input "$work/paused" --snapshot-id 1 \
        --snapshot-output "$work/paused" --gas-limit 1000000000000 -q --engine native "$long" \
        >"$work/paused.out" 2>&1 || true
    [ ! -e "$work/paused/paused.snap" ] || break
done
[ -e "$work/paused/paused.snap" ] || { cat "$work/paused.out"; fail "no pause was written"; }
check paused "$long"

# It must be able to refuse. First one byte, then what a forger would repair, then whole files.
make other_job 5 30 0 "${refill[@]}" 3000000 --seed 1 "$matrix" run
make other_limit 5 30 0 "${refill[@]}" 2500000 "$matrix" run
for how in prefix state page trailer; do refuse matrix $how 'the trailer is not' "$matrix"; done
refuse matrix prefix_repaired 'byte 24: belongs to another job' "$matrix"
refuse matrix gas_repaired 'gas does not add up' "$matrix"
refuse matrix root_repaired 'memory 0: root' "$matrix"
refuse matrix overlong_repaired 'not in its shortest form' "$matrix"
refuse matrix page_repaired 'not the hash of the .bin beside it' "$matrix"
refuse matrix page_sealed 'memory 0: root' "$matrix"
refuse matrix superfluous_sealed 'stored, but as it was' "$matrix"
refuse matrix missing '2.bin: No such file' "$matrix"
refuse matrix result 'result.txt: expected' "$matrix"
refuse matrix swapped '2.bin: byte 24: belongs to another job' "$matrix" "$work/other_job"
refuse matrix swapped '2.bin: byte 56: not the hash of the .bin before' "$matrix" "$work/other_limit"

# Witnesses: honest ones of chains from above, and those that lack something.
witness() {
    "$runner" witness "$work/$1@$2" "$3" -o "$work/$1-$2.witness" "${@:4}" >/dev/null
    "$python" "$here/check_witness.py" "$work/$1-$2.witness"
}
witness matrix 2 "$matrix"
witness memory64 2 "$files/bench/extensions/memory64_sort.wasm"
witness indirect_calls 3 "$files/bench/indirect_calls.wasm"
witness posix 4 "$files/wasi/posix.wasm" "${given[@]}"
[ -z "$kept" ] || "$python" "$here/check_witness.py" --list "$kept/list"

# Bundles: of a chain and one that says something else of its last segment, and those that lack something.
cp -r "$work/matrix" "$work/twin"
"$python" "$here/damage.py" root_repaired "$work/twin"
status=0
"$runner" bisect "$matrix" "$work/matrix" "$work/twin" --engine native --bundle "$work/twin.tar" >"$work/twin.out" || status=$?
[ "$status" = 1 ] || { cat "$work/twin.out"; fail "bisect: exit code $status, expected 1"; }
"$python" "$here/check_bundle.py" "$work/twin.tar"
[ -z "$kept" ] || "$python" "$here/check_bundle.py" --list "$kept/list"

echo "second implementation: $chains chains, $snapshots snapshots, $roots roots agree; $refused damaged chains refused"
