#!/usr/bin/env bash
# Unpacks the Go 1.24 of Debian 13 below PREFIX without installing anything:
# with an apt state of its own, from the mirror this Debian is configured with.
#
#   get-go.sh PREFIX        then: GO=PREFIX/go build.sh
set -euo pipefail

if [ $# -ne 1 ]; then
  echo "usage: $0 PREFIX" >&2
  exit 2
fi
for tool in apt-get dpkg; do
  if ! command -v "$tool" >/dev/null; then
    echo "get-go.sh: missing: $tool: this needs Debian; elsewhere install Go 1.24.4 and set GO" >&2
    exit 1
  fi
done
mkdir -p "$1"
prefix=$(cd "$1" && pwd)

mirror=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
  sed -n 's/^Debian|Debian|//p' | sort -u | head -n 1)
if [ -z "$mirror" ]; then
  echo "get-go.sh: no Debian mirror among the configured sources (run apt-get update first)" >&2
  exit 1
fi

apt="$prefix/apt"
mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
: >"$apt/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$apt/sources.list"
options=(
  -o "Dir::State=$apt/state" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache"
  -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
  -o APT::Sandbox::User=root
)
apt-get "${options[@]}" update >&2
apt-get "${options[@]}" install --download-only --no-install-recommends -y golang-1.24-go golang-1.24-src >&2
for deb in "$apt"/cache/archives/*.deb; do dpkg -x "$deb" "$prefix/root"; done

cat >"$prefix/go" <<EOF
#!/bin/sh
GOROOT="$prefix/root/usr/lib/go-1.24" exec "$prefix/root/usr/lib/go-1.24/bin/go" "\$@"
EOF
chmod 755 "$prefix/go"
"$prefix/go" version
