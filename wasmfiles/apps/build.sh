#!/usr/bin/env bash
# Rebuilds the programs of this directory from pinned sources, into the directory given (default: this one).
#
#   build.sh [DIRECTORY]
#
# The sources come from crates and a tool from npm, by the ordinary clients, with the versions and checksums of
# sources/Cargo.lock and sources/package-lock.json; nothing of them is kept. CLANG and RUSTC name other compilers than the
# default ones. With the versions below the bytes are those that are checked in; with others a warning says that they may
# not be.
set -euo pipefail

clang_version="clang version 19.1.7"
rust_version="rustc 1.95.0"

if [ $# -gt 1 ]; then
  echo "usage: $0 [DIRECTORY]" >&2
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:-$here}"
out=$(cd "${1:-$here}" && pwd)
clang=${CLANG:-clang-19}
rustc=${RUSTC:-rustc}

export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=0
unset RUSTFLAGS CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH CCC_OVERRIDE_OPTIONS

missing=0
need() { # COMMAND HOW
  if ! command -v "$1" >/dev/null; then
    printf 'build.sh: missing: %s\n    %s\n' "$1" "$2" >&2
    missing=1
  fi
}
same() { # WANTED GOT
  case $2 in
    *"$1"*) ;;
    *) printf 'build.sh: warning: wanted %s, have %s: the bytes may differ\n' "$1" "$2" >&2 ;;
  esac
}
need "$clang" "Debian 12: apt-get install --no-install-recommends clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 libc++-19-dev-wasm32 libc++abi-19-dev-wasm32"
need "$rustc" "install rustup, then: rustup target add wasm32-wasip1"
need cargo "install rustup"
need npm "install Node.js"
[ "$missing" = 0 ] || exit 1
same "$clang_version" "$("$clang" --version | head -n 1)"
same "$rust_version" "$("$rustc" --version)"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/out"

echo "sources" >&2
cargo vendor --quiet --locked --manifest-path "$here/sources/Cargo.toml" "$tmp/vendor" >/dev/null
cp "$here/sources/package.json" "$here/sources/package-lock.json" "$tmp"
(cd "$tmp" && npm ci --silent --ignore-scripts --no-audit --no-fund >&2)
wasm_opt() { # FLAG...
  node "$tmp/node_modules/binaryen/bin/wasm-opt" "$@"
}

opt_flags=(--mvp-features --enable-bulk-memory --enable-bulk-memory-opt --enable-sign-ext --enable-mutable-globals
  --enable-nontrapping-float-to-int -Oz --strip-debug --strip-producers --strip-target-features)

# Relative names: __FILE__ is in some of the files.
cp -r "$here/src" "$tmp/src"
cd "$tmp"
compile() { # OBJECT SOURCE FLAG...
  local object=$1 source=$2
  shift 2
  mkdir -p "$(dirname "$object")"
  "$clang" --target=wasm32-wasi -Oz "$@" -c "$source" -o "$object"
}
theirs() { # DIRECTORY SOURCE... -- FLAG...
  local directory=$1 sources=()
  shift
  while [ "$1" != -- ]; do
    sources+=("$1")
    shift
  done
  shift
  local source
  for source in "${sources[@]}"; do
    compile "$directory/$(basename "${source%.*}").o" "$source" -w "$@"
  done
}
ours() { # OBJECT SOURCE FLAG...
  compile "$@" -Wall -Wextra -Werror
}
link() { # NAME FLAG...
  local name=$1
  shift
  "$clang" --target=wasm32-wasi "$@" -o "out/$name.wasm"
}

echo "SQLite" >&2
sqlite=vendor/libsqlite3-sys/sqlite3
theirs o/sqlite $sqlite/sqlite3.c -- -DSQLITE_THREADSAFE=0 -DSQLITE_DQS=0 -DSQLITE_OMIT_LOAD_EXTENSION \
  -DSQLITE_OMIT_DEPRECATED -DSQLITE_OMIT_SHARED_CACHE -DSQLITE_ENABLE_MATH_FUNCTIONS
ours o/sqlite/main.o src/sqlite.c -std=c17 -I$sqlite
link sqlite o/sqlite/*.o -Wl,--strip-all

echo "QuickJS" >&2
quickjs=vendor/rquickjs-sys/quickjs
# What the source needs to be told about this system, it is told for the other WebAssembly one.
theirs o/quickjs $quickjs/{quickjs,libregexp,libunicode,dtoa}.c -- -D_GNU_SOURCE -DEMSCRIPTEN=1 -DFE_DOWNWARD=0 -DFE_UPWARD=0
ours o/quickjs/main.o src/quickjs.c -std=c17 -isystem $quickjs
link quickjs o/quickjs/*.o -Wl,--strip-all,-z,stack-size=1048576

echo "Lua" >&2
lua=vendor/lua-src/lua-5.4.9
lua_flags=(-D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS -Isrc/lua)
theirs o/lua $lua/*.c -- "${lua_flags[@]}" -include src/lua/unwind.h
ours o/lua/main.o src/lua/lua.c -std=c17 "${lua_flags[@]}" -I$lua
link lua o/lua/*.o -lwasi-emulated-signal -lwasi-emulated-process-clocks -Wl,-z,stack-size=1048576
# Asyncify comes first: it tells functions apart that optimising would put into one another.
wasm_opt out/lua.wasm --asyncify "${opt_flags[@]}" -o out/lua.wasm

echo "Zstandard" >&2
zstd=vendor/zstd-sys/zstd/lib
theirs o/zstd $zstd/{common,compress,decompress}/*.c --
ours o/zstd/main.o src/zstd.c -std=c17 -I$zstd
link zstd o/zstd/*.o -Wl,--strip-all

echo "C++" >&2
# Clang 19 writes exceptions in the form that came before the standard's; Binaryen makes that of it.
ours o/exceptions/unwind.o src/exceptions/unwind.cpp -std=c++20 -fwasm-exceptions
ours o/exceptions/main.o src/exceptions/exceptions.cpp -std=c++20 -fwasm-exceptions
link exceptions --driver-mode=g++ o/exceptions/*.o
wasm_opt out/exceptions.wasm "${opt_flags[@]}" --enable-exception-handling --enable-reference-types --enable-multivalue \
  --translate-to-exnref -o out/exceptions.wasm

echo "Rust" >&2
for name in index big_files; do
  "$rustc" --edition 2024 --target wasm32-wasip1 -C opt-level=s -C panic=abort -C lto=fat -C codegen-units=1 -C strip=symbols \
    --remap-path-prefix "$tmp=." -D warnings "src/$name.rs" -o "out/$name.wasm"
done

# Nothing half built: the files appear once all of them are there.
chmod 644 out/*.wasm
cp out/*.wasm "$out/"
