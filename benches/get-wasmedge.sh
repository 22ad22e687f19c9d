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
suite=${2:-trixie}
mkdir -p "$1"
root=$(cd "$1" && pwd)
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
keys=/usr/share/keyrings/debian-archive-keyring.gpg

mkdir -p "$root/apt/lists/partial" "$root/apt/archives/partial" "$root/root"
echo "deb [signed-by=$keys] $mirror $suite main" >"$root/apt/sources.list"
# An empty list of installed packages: every library comes along, also the C library.
: >"$root/apt/status"
options=(
  -o "Dir::Etc::SourceList=$root/apt/sources.list" -o Dir::Etc::SourceParts=-
  -o "Dir::State::Lists=$root/apt/lists" -o "Dir::State::status=$root/apt/status"
  -o "Dir::Cache=$root/apt" -o "Dir::Cache::archives=$root/apt/archives"
  -o APT::Sandbox::User=root -o APT::Install-Recommends=false
)
apt-get "${options[@]}" -qq update
apt-get "${options[@]}" -qq --yes --download-only install wasmedge
for package in "$root"/apt/archives/*.deb; do
  dpkg-deb --extract "$package" "$root/root"
done
rm -rf "$root/apt"

cat >"$root/wasmedge" <<'END'
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
libraries=$(echo "$root"/usr/lib/*-linux-gnu* | tr ' ' ':')
loader=$(echo "$root"/usr/lib*/ld-linux*.so.* "$root"/usr/lib/*/ld-linux*.so.* | tr ' ' '\n' | while read -r f; do
  [ -e "$f" ] && echo "$f" && break
done)
exec "$loader" --library-path "$libraries" "$root/usr/bin/wasmedge" "$@"
END
chmod +x "$root/wasmedge"
"$root/wasmedge" --version
