#!/usr/bin/env bash
# Unpacks Debian's WasmEdge with all the libraries that it needs into a directory of its own, and leaves a command there
# that runs it with them: for `cargo xtask peers --wasmedge DIRECTORY/wasmedge`. Nothing of the system changes.
#
#   get-wasmedge.sh DIRECTORY [SUITE]
#
# SUITE is Debian's (default: trixie, which has WasmEdge 0.14.1). The mirror is the one that this machine uses.
set -euo pipefail

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
  echo "usage: $0 DIRECTORY [SUITE]" >&2
  exit 2
fi
"$(dirname "$0")/../tests/runtimes/unpack-debian.sh" "$1" "${2:-trixie}" wasmedge
"$1/wasmedge" --version
