#!/usr/bin/env bash
# Rebuilds every sample program into the directory given (default: this one), the
# benchmark programs into bench below it, those of the WASI suite into wasi, the
# contracts into contracts.
#
#   build.sh [--available] [DIRECTORY]
#
# With --available it builds what it can with exactly the compilers named below,
# and says of each other file why it was skipped; the programs of toolchains too,
# which toolchains/build.sh alone builds otherwise: they need more compilers.
#
# CLANG, WAT2WASM, RUSTC, CARGO and GO name other compilers than the default ones.
# The committed files come from the versions below; with these the bytes are
# identical, with others a warning says that they may not be.
set -euo pipefail

clang_version="clang version 19.1.7"
wabt_version="1.0.32"
rust_version="rustc 1.95.0"
go_version="go1.24.4"

available=0
if [ "${1:-}" = --available ]; then
  available=1
  shift
fi
if [ $# -gt 1 ]; then
  echo "usage: $0 [--available] [DIRECTORY]" >&2
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:-$here}"
out=$(cd "${1:-$here}" && pwd)

clang=${CLANG:-clang-19}
wat2wasm=${WAT2WASM:-wat2wasm}
rustc=${RUSTC:-rustc}
cargo=${CARGO:-cargo}
go=${GO:-go}

export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=0
export GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 GO111MODULE=off GOTOOLCHAIN=local GOWASM= GOFLAGS= GOENV=off
unset RUSTFLAGS GOEXPERIMENT CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH CCC_OVERRIDE_OPTIONS

cd "$here"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export GOCACHE="$tmp/go-cache"
mkdir -p "$tmp/out/bench"

# Name everything that is missing, not only the first of it. A source belongs to
# the language of its ending, but Rust below bench has a target of its own, and
# contracts in Rust are packages, which need cargo too.
missing=0
declare -A lacking=()
lack() { # LANGUAGES REASON
  local language
  for language in $1; do
    lacking[$language]=${lacking[$language]:-$2}
  done
}
need() { # LANGUAGES WHAT HOW
  printf 'build.sh: missing: %s\n    %s\n' "$2" "$3" >&2
  missing=1
  lack "$1" "missing: $2"
}
same() { # LANGUAGES WANTED GOT
  case $3 in
    *"$2"*) ;;
    *)
      printf 'build.sh: warning: wanted %s, have %s: the bytes may differ\n' "$2" "$3" >&2
      [ "$available" = 0 ] || lack "$1" "wanted $2, have $3"
      ;;
  esac
}
has() { # LANGUAGE
  [ -z "${lacking[$1]:-}" ]
}

debian='apt-get install --no-install-recommends'
if ! command -v "$wat2wasm" >/dev/null; then
  need wat "wat2wasm ($wabt_version)" "Debian 12: $debian wabt"
else
  same wat "$wabt_version" "$("$wat2wasm" --version)"
fi

clang_packages='clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 libc++-19-dev-wasm32 libc++abi-19-dev-wasm32'
if ! command -v "$clang" >/dev/null; then
  need "c cpp" "$clang ($clang_version) with a WASI sysroot" "Debian 12: $debian $clang_packages"
else
  same "c cpp" "$clang_version" "$("$clang" --version | head -n 1)"
  if ! printf '#include <stdio.h>\nint main(void) { return puts(""); }\n' |
    "$clang" --target=wasm32-wasi -x c - -o "$tmp/probe.wasm" 2>"$tmp/probe"; then
    need "c cpp" "a C library for wasm32-wasi, or its linker ($(head -n 1 "$tmp/probe"))" \
      "Debian 12: $debian lld-19 wasi-libc libclang-rt-19-dev-wasm32"
  elif ! printf '#include <iostream>\nint main() { std::cout << 1; }\n' |
    "$clang" --driver-mode=g++ --target=wasm32-wasi -fno-exceptions -x c++ - -o "$tmp/probe.wasm" 2>"$tmp/probe"; then
    need cpp "a C++ library for wasm32-wasi ($(head -n 1 "$tmp/probe"))" \
      "Debian 12: $debian libc++-19-dev-wasm32 libc++abi-19-dev-wasm32"
  fi
fi

if ! command -v "$rustc" >/dev/null; then
  need "rs bench_rs contract_rs" "$rustc ($rust_version) with the targets wasm32-wasip1 and wasm32-unknown-unknown" \
    "install rustup, then: rustup target add wasm32-wasip1 wasm32-unknown-unknown"
else
  same "rs bench_rs contract_rs" "$rust_version" "$("$rustc" --version)"
  rust_libraries="$("$rustc" --print sysroot)/lib/rustlib"
  if [ ! -d "$rust_libraries/wasm32-wasip1" ]; then
    need rs "the Rust target wasm32-wasip1" "rustup target add wasm32-wasip1"
  fi
  if [ ! -d "$rust_libraries/wasm32-unknown-unknown" ]; then
    need "bench_rs contract_rs" "the Rust target wasm32-unknown-unknown" "rustup target add wasm32-unknown-unknown"
  fi
fi

if ! command -v "$cargo" >/dev/null; then
  need contract_rs "$cargo" "install rustup"
fi

if ! command -v "$go" >/dev/null; then
  need go "$go ($go_version)" "Debian 13: $debian golang-1.24-go; Debian 12: get-go.sh PREFIX, then GO=PREFIX/go build.sh"
else
  same go "$go_version" "$("$go" version)"
fi
[ "$missing" = 0 ] || [ "$available" = 1 ] || exit 1

# C and C++ are compiled and linked in two steps: given -O when it links, clang
# runs a wasm-opt it finds in PATH, and clang 19 does not link at all when told
# --no-wasm-opt. Debug information, which names paths, is stripped; the names of
# functions stay: stack traces show them.
clang_compile() { # SOURCE COMPILER_FLAG...
  local source=$1
  shift
  "$clang" --target=wasm32-wasi -O2 -Wall -Wextra -Werror "-ffile-prefix-map=$here=." "$@" \
    -c "$source" -o "$tmp/${source%.*}.o"
}
clang_link() { # SOURCE LINKER_FLAG...
  local source=$1
  shift
  local driver=gcc
  [ "${source##*.}" = c ] || driver=g++
  "$clang" "--driver-mode=$driver" --target=wasm32-wasi "$@" -Wl,--strip-debug \
    "$tmp/${source%.*}.o" -o "$tmp/out/${source%.*}.wasm"
}
clang_build() { # SOURCE command|reactor COMPILER_FLAG...
  local source=$1 model=$2
  shift 2
  clang_compile "$source" "$@"
  clang_link "$source" "-mexec-model=$model"
}
# Neither start code nor imports: memory and run are all that these export.
clang_bench() { # SOURCE COMPILER_FLAG...
  clang_compile "$@" -fno-math-errno
  clang_link "$1" -mexec-model=reactor -nostartfiles -Wl,--no-entry
}
rust_build() { # SOURCE RUSTC_FLAG...
  local source=$1
  shift
  "$rustc" --edition 2024 -O -C panic=abort -C lto=fat -C codegen-units=1 -C strip=debuginfo \
    --remap-path-prefix "$here=." -D warnings "$@" "$source" -o "$tmp/out/${source%.*}.wasm"
}
mkdir "$tmp/bench" "$tmp/wasi" "$tmp/out/wasi" "$tmp/out/contracts" "$tmp/out/toolchains"

if has wat; then
  echo "text format" >&2
  for name in fib32 grow_table_trap linked_a linked_b contracts/plain_storage; do
    "$wat2wasm" --debug-names "$name.wat" -o "$tmp/out/$name.wasm"
  done
fi
if has c; then
  echo "C" >&2
  clang_build sha256.c command -std=c17
  clang_build exit_code.c command -std=c17
  for source in wasi/*.c; do
    clang_build "$source" command -std=c17 -D_GNU_SOURCE
  done
  for source in bench/*.c; do
    # memory.copy and memory.fill are what this one is about.
    [ "$source" = bench/memory_copies.c ] && bulk=-mbulk-memory || bulk=-mno-bulk-memory
    clang_bench "$source" -std=c17 "$bulk"
  done
  CLANG="$clang" bench/extensions/build.sh "$tmp/out/bench/extensions"
fi
if has cpp; then
  echo "C++" >&2
  clang_build matrix_multiplication_cpp_100.cpp reactor -std=c++20 -fno-exceptions
  clang_build iostream_cpp.cpp command -std=c++20 -fno-exceptions
  for source in bench/*.cpp; do
    clang_bench "$source" -std=c++20 -fno-exceptions -fno-rtti
  done
fi
if has rs; then
  echo "Rust" >&2
  for source in rust_std.rs wasi/*.rs; do
    rust_build "$source" --target wasm32-wasip1
  done
fi
if has bench_rs; then
  echo "Rust, bench" >&2
  for source in bench/*.rs; do
    [ "$source" = bench/common.rs ] || rust_build "$source" --target wasm32-unknown-unknown --crate-type cdylib
  done
fi
if has contract_rs; then
  echo "Rust, contracts" >&2
  CARGO="$cargo" RUSTC="$rustc" contracts/build.sh "$tmp/out/contracts"
fi
if has go; then
  echo "Go" >&2
  "$go" build -trimpath -ldflags='-s -w -buildid=' -p 1 -o "$tmp/out/go_hello.wasm" go_hello.go
fi

[ "$available" = 0 ] || toolchains/build.sh --available "$tmp/out/toolchains"

# Nothing half built: the files appear once all of them are there.
for source in *.wat *.c *.cpp *.rs *.go wasi/*.c wasi/*.rs bench/*.c bench/*.cpp bench/*.rs contracts/*.wat \
  contracts/{counter,token,router}/src/lib.rs; do
  [ "$source" != bench/common.rs ] || continue
  file="${source%.*}.wasm"
  language=${source##*.}
  case $source in
    bench/*.rs) language=bench_rs ;;
    contracts/*.rs)
      file="${source%/src/lib.rs}.wasm"
      language=contract_rs
      ;;
  esac
  if ! has "$language"; then
    printf 'build.sh: skipped: %s: %s\n' "$file" "${lacking[$language]}" >&2
    continue
  fi
  if [ ! -s "$tmp/out/$file" ]; then
    echo "build.sh: $source did not become a .wasm" >&2
    exit 1
  fi
  if [ "$(wc -c <"$tmp/out/$file")" -gt $((5 * 1024 * 1024 / 2)) ]; then
    echo "build.sh: $file is over 2.5 MiB" >&2
    exit 1
  fi
done
for source in bench/extensions/*.c; do
  has c || printf 'build.sh: skipped: %s: %s\n' "${source%.*}.wasm" "${lacking[c]}" >&2
done
for source in bench/extensions/*.wat; do
  printf 'build.sh: skipped: %s: a test assembles it\n' "${source%.*}.wasm" >&2
done
find "$tmp/out" -name '*.wasm' -exec chmod 644 {} +
cp -r "$tmp/out/." "$out/"
