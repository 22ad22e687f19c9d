#!/usr/bin/env bash
# Rebuilds the contracts in Rust into the directory given (default: this one), with cargo and rustc 1.95.0, whatever
# directory it runs in to the same bytes; ../build.sh calls it, and assembles the one in the text format.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:-$here}"
out=$(cd "${1:-$here}" && pwd)
cd "$here"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=0 CARGO_INCREMENTAL=0
unset RUSTFLAGS RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER "${!CARGO_PROFILE_@}" "${!CARGO_BUILD_@}"
# The parts of this variable are between bytes 1f. The stack is at the bottom of memory, and small enough that it shares
# the first page with the data.
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' -D warnings -C link-arg=-zstack-size=32768)"--remap-path-prefix=$here=."
export CARGO_ENCODED_RUSTFLAGS
"${CARGO:-cargo}" build --quiet --locked --offline --release --target wasm32-unknown-unknown --target-dir "$tmp"
for name in counter token router; do
  install -m 644 "$tmp/wasm32-unknown-unknown/release/$name.wasm" "$tmp"
done
cp "$tmp"/*.wasm "$out"
