#!/usr/bin/env bash
# Unpacks programs of Debian with the libraries that they need into a directory of its own, and leaves a command there for
# each that runs it with them. Nothing of the system changes.
#
#   unpack-debian.sh DIRECTORY SUITE PROGRAM...
#
# SUITE is Debian's, with the mirror that this machine uses: everything comes along, also the C library, so that a newer
# suite's programs run on an older system. Or it is `configured`: the system's own sources, and only what is not installed.
# A PROGRAM is the name of its package too. The files are in DIRECTORY/SUITE, its version in DIRECTORY/PROGRAM.version.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: $0 DIRECTORY SUITE PROGRAM..." >&2
    exit 2
fi
mkdir -p "$1"
directory=$(cd "$1" && pwd)
suite=$2
shift 2
root=$directory/$suite
apt=$directory/apt-$suite
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$root"

options=(
    -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt" -o "Dir::Cache::archives=$apt/archives"
    -o Debug::NoLocking=true -o APT::Sandbox::User=root -o APT::Install-Recommends=false
)
if [ "$suite" != configured ]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=$keys] $mirror $suite main" >"$apt/sources.list"
    # An empty list of installed packages.
    : >"$apt/status"
    options+=(
        -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::status=$apt/status"
    )
fi
apt-get "${options[@]}" -qq update
apt-get "${options[@]}" -qq --yes --download-only install "$@"
for package in "$apt"/archives/*.deb; do
    if [ ! -e "$package" ]; then continue; fi
    dpkg-deb --extract "$package" "$root"
    # Some of the programs do not know their own version.
    case " $* " in
        *" $(dpkg-deb --field "$package" Package) "*)
            dpkg-deb --field "$package" Version | sed 's/[-+~].*//' >"$directory/$(dpkg-deb --field "$package" Package).version"
            ;;
    esac
done
rm -rf "$apt"

# Run behind the loader that came along; a program that is linked statically needs none.
newer_suite() {
    cat <<END
#!/bin/sh
root=\$(dirname "\$(readlink -f "\$0")")/$suite
libraries=\$(echo "\$root"/usr/lib/*-linux-gnu* | tr ' ' ':')
loader=\$(ls "\$root"/usr/lib*/ld-linux*.so.* "\$root"/usr/lib/*/ld-linux*.so.* 2>/dev/null | head -n 1)
if [ "\$loader" ] && "\$loader" --verify "\$root/usr/bin/$1" >/dev/null 2>&1; then
    exec "\$loader" --library-path "\$libraries" "\$root/usr/bin/$1" "\$@"
fi
exec "\$root/usr/bin/$1" "\$@"
END
}

# The system's own loader does. The program itself, not a script in front of it that names absolute paths.
configured_suite() {
    local path=usr/bin/$1
    if [ -x "$root/usr/lib/$1/$1" ]; then path=usr/lib/$1/$1; fi
    cat <<END
#!/bin/sh
root=\$(dirname "\$(readlink -f "\$0")")/$suite
libraries=\$(echo "\$root"/usr/lib/*-linux-gnu* "\$root"/usr/lib/*-linux-gnu*/*/ | tr ' ' ':')
export LD_LIBRARY_PATH="\$libraries" FONTCONFIG_PATH="\$root/etc/fonts"
exec "\$root/$path" "\$@"
END
}

for program in "$@"; do
    rm -f "$directory/$program"
    if [ "$suite" != configured ]; then
        newer_suite "$program" >"$directory/$program"
    elif command -v "$program" >/dev/null; then
        ln -s "$(command -v "$program")" "$directory/$program"
        continue
    else
        configured_suite "$program" >"$directory/$program"
    fi
    chmod +x "$directory/$program"
done
