#!/usr/bin/env bash
# Builds the programs of this directory into the directory given (default: this one), each by its own toolchain.
#
#   build.sh [--available] [DIRECTORY]
#
# With --available it builds what it can with exactly the compilers named below, and says of each other file why it was
# skipped. CLANG, RUSTC, GO, ZIG, WASM_OPT, ASC and EMCC name other commands than the default ones; they may have arguments.
# ../build.sh calls this script too.
set -euo pipefail

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
read -ra clang <<<"${CLANG:-clang-19}"
read -ra rustc <<<"${RUSTC:-rustc}"
read -ra go <<<"${GO:-go}"
read -ra zig <<<"${ZIG:-python3 -m ziglang}"
read -ra wasm_opt <<<"${WASM_OPT:-wasm-opt}"
read -ra asc <<<"${ASC:-asc}"
read -ra emcc <<<"${EMCC:-emcc}"

export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=0
export CGO_ENABLED=0 GO111MODULE=off GOTOOLCHAIN=local GOWASM= GOFLAGS= GOENV=off
unset RUSTFLAGS GOEXPERIMENT CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH CCC_OVERRIDE_OPTIONS

# Relative names: assertions and panics print the file that they are in.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cp "$here"/words.* "$tmp"
rm -f "$tmp"/*.wasm
mkdir "$tmp/out"
export GOCACHE="$tmp/go-cache" ZIG_LOCAL_CACHE_DIR="$tmp/zig-cache" ZIG_GLOBAL_CACHE_DIR="$tmp/zig-cache"
cd "$tmp"

build_rust() {
  "${rustc[@]}" --edition 2024 --target wasm32-wasip1 -O -C panic=abort -C lto=fat -C codegen-units=1 -C strip=debuginfo \
    -D warnings words.rs -o out/words_rust.wasm
}
build_c() {
  "${clang[@]}" --target=wasm32-wasi -O2 -g -ffile-prefix-map="$tmp"=. -Wall -Wextra -Werror -c words.c -o c.o
  "${clang[@]}" --target=wasm32-wasi c.o -o out/words_c.wasm
}
build_cpp() {
  "${clang[@]}" --target=wasm32-wasi -O2 -std=c++20 -fno-exceptions -Wall -Wextra -Werror -c words.cpp -o cpp.o
  "${clang[@]}" --driver-mode=g++ --target=wasm32-wasi cpp.o -Wl,--strip-debug -o out/words_cpp.wasm
}
build_go() {
  GOOS=wasip1 GOARCH=wasm "${go[@]}" build -trimpath -ldflags='-s -w -buildid=' -p 1 -o out/words_go.wasm words.go
}
build_zig() {
  "${zig[@]}" build-exe words.zig -target wasm32-wasi -O ReleaseSafe -femit-bin=out/words_zig.wasm
  # Debug information would make a megabyte of it; the names stay.
  "${wasm_opt[@]}" -g --strip-dwarf --all-features out/words_zig.wasm -o out/words_zig.wasm
}
build_as() {
  "${asc[@]}" words.ts -O --debug --runtime stub --exportStart _start -o out/words_as.wasm
}
build_emscripten() {
  "${emcc[@]}" -O2 --profiling-funcs -s STANDALONE_WASM words.c -o out/words_emscripten.wasm
}

# NAME WANTED INSTALL VERSION_COMMAND...: builds words_NAME.wasm if the command's version is the wanted one.
program() {
  local name=$1 wanted=$2 install=$3 found
  shift 3
  found=$("$@" 2>/dev/null | head -n 1) || found=
  case $found in
    *"$wanted"*) ;;
    '')
      if [ "$available" = 1 ]; then
        echo "build.sh: skipped: toolchains/words_$name.wasm: missing: $wanted" >&2
        return
      fi
      printf 'build.sh: missing: %s\n    %s\n' "$wanted" "$install" >&2
      exit 1
      ;;
    *)
      if [ "$available" = 1 ]; then
        echo "build.sh: skipped: toolchains/words_$name.wasm: wanted $wanted, have $found" >&2
        return
      fi
      printf 'build.sh: warning: wanted %s, have %s: the bytes may differ\n' "$wanted" "$found" >&2
      ;;
  esac
  echo "$name" >&2
  "build_$name"
}
debian='Debian 12: apt-get install --no-install-recommends'
clang_packages='clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32 libc++-19-dev-wasm32 libc++abi-19-dev-wasm32'
program rust 'rustc 1.95.0' 'install rustup, then: rustup target add wasm32-wasip1' "${rustc[@]}" --version
program c 'clang version 19.1.7' "$debian $clang_packages" "${clang[@]}" --version
program cpp 'clang version 19.1.7' "$debian $clang_packages" "${clang[@]}" --version
program go 'go1.24.4' 'Debian 13: golang-1.24-go; Debian 12: ../get-go.sh PREFIX, then GO=PREFIX/go' "${go[@]}" version
zig_and_wasm_opt() {
  local versions
  versions="$("${zig[@]}" version) and $("${wasm_opt[@]}" --version)" && echo "$versions"
}
program zig '0.17.1 and wasm-opt version 108' "pip install ziglang==0.17.1; $debian binaryen" zig_and_wasm_opt
program as 'Version 0.28.20' 'npm install assemblyscript@0.28.20, then ASC=node_modules/.bin/asc' "${asc[@]}" --version
program emscripten '3.1.6' "$debian emscripten" "${emcc[@]}" --version

# Nothing half built: the files appear once all of them are there.
find out -name '*.wasm' -exec chmod 644 {} +
cp -r out/. "$out/"
