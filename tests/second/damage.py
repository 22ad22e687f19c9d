#!/usr/bin/env python3
"""Damages a chain in one way, for check_chain.py to notice: damage.py HOW DIR [OTHER]

HOW is a method of `Damage`. Those called `repaired` give the changed file the hash that it should have; those called
`sealed` also put the hash of the last `.bin` into the last `.snap`, so that only the contents are left to be noticed.
"""

import struct
import sys
from pathlib import Path

from blake3 import blake3

from formats import VERSION, LINE, NO_HASH, PAGE, read_bin, read_snap


def with_hash(data):
    """A file's bytes with the trailer that they should have."""
    return data + blake3(data).digest()


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def encode_bin(number, job_hash, previous, groups):
    """A `.bin` of these pages."""
    out = b"GI-BIN\r\n" + struct.pack("<IIQ", VERSION, 0, number) + job_hash + previous
    for (kind, index), pages in sorted(groups.items()):
        out += struct.pack("<BIQ", kind, index, len(pages))
        for page, contents in sorted(pages.items()):
            lines = [contents[at : at + LINE] for at in range(0, PAGE, LINE)]
            out += struct.pack("<QQ", page, sum(1 << bit for bit, line in enumerate(lines) if any(line)))
            out += b"".join(line for line in lines if any(line))
    return with_hash(out + b"\0")


class Damage:
    """The ways to damage the chain of a directory."""

    def __init__(self, directory):
        self.directory = directory
        self.last = max(int(path.stem) for path in directory.glob("[0-9]*.snap"))

    def path(self, suffix, number=None):
        return self.directory / f"{number or self.last}.{suffix}"

    def change(self, path, change):
        path.write_bytes(change(path.read_bytes()))

    def snap(self):
        return read_snap("", self.path("snap").read_bytes())

    def patch_snap(self, at, new, drop=None):
        """Replaces bytes of the last `.snap` and repairs its hash."""
        drop = len(new) if drop is None else drop
        self.change(self.path("snap"), lambda data: with_hash(data[:at] + new + data[at + drop : -32]))

    def patch_bin(self, change, seal):
        """Changes the groups of the last `.bin` and repairs its hash; with `seal` that in the `.snap` too."""
        old = read_bin("", self.path("bin").read_bytes())
        change(old["groups"])
        new = encode_bin(old["id"], old["job_hash"], old["previous"], old["groups"])
        self.path("bin").write_bytes(new)
        if seal:
            snap = self.snap()
            self.patch_snap(snap["segment_at"] + len(snap["segment_bytes"]) - 32, new[-32:])

    # One byte.

    def prefix(self):
        self.change(self.path("snap", 2), lambda data: flipped(data, 30))

    def state(self):
        self.change(self.path("snap", 2), lambda data: flipped(data, len(data) - 40))

    def page(self):
        self.change(self.path("bin", 2), lambda data: flipped(data, len(data) - 40))

    def trailer(self):
        self.change(self.path("bin", 2), lambda data: flipped(data, len(data) - 1))

    # One byte, and the file's hash repaired.

    def prefix_repaired(self):
        self.patch_snap(24, bytes([self.snap()["job_hash"][0] ^ 1]))

    def gas_repaired(self):
        self.patch_snap(-33, bytes([self.path("snap").read_bytes()[-33] ^ 1]))

    def root_repaired(self):
        snap = self.snap()
        root = snap["state"]["spaces"][0]["root"]
        self.patch_snap(snap["state_at"] + snap["state_bytes"].index(root), flipped(root, 5))

    def overlong_repaired(self):
        """The segment's id in two bytes where one would do."""
        snap = self.snap()
        lengths = struct.pack("<Q", len(snap["segment_bytes"]) + 1)
        self.patch_snap(snap["segment_at"], bytes([snap["id"] | 0x80, 0]), drop=1)
        self.patch_snap(64, lengths)

    def page_repaired(self, seal=False):
        def change(groups):
            pages = next(iter(groups.values()))
            index = next(iter(pages))
            pages[index] = flipped(pages[index], 100)

        self.patch_bin(change, seal)

    def page_sealed(self):
        self.page_repaired(seal=True)

    def superfluous_sealed(self):
        """A page once more that did not change since."""

        def change(groups):
            for number in range(self.last - 1, 0, -1):
                for key, pages in read_bin("", self.path("bin", number).read_bytes())["groups"].items():
                    for index in pages.keys() - groups.get(key, {}).keys():
                        groups.setdefault(key, {})[index] = pages[index]
                        return

        self.patch_bin(change, seal=True)

    # Whole files.

    def missing(self):
        self.path("bin", 2).unlink()

    def result(self):
        self.change(self.directory / "result.txt", lambda data: data.replace(b"\n%d\n" % self.last, b"\n99\n"))

    def swapped(self, other):
        """The same file of another chain."""
        self.path("bin", 2).write_bytes((other / "2.bin").read_bytes())


def main():
    """Does one of them."""
    how, directory, *other = sys.argv[1:]
    getattr(Damage(Path(directory)), how)(*map(Path, other))


if __name__ == "__main__":
    main()
