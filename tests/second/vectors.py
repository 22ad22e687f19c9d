#!/usr/bin/env python3
"""Computes the examples of docs/snapshot-format.md and looks for them there: vectors.py DOCUMENT"""

import sys
from pathlib import Path

from damage import encode_bin
from formats import MEMORY, NO_HASH, PAGE, ZERO, Space


def main():
    """Prints how many were found; 1 if one was not."""
    document = Path(sys.argv[1]).read_text()
    page = bytes(64) + b"\7" + bytes(PAGE - 65)
    example = encode_bin(1, NO_HASH, NO_HASH, {(MEMORY, 0): {2: page}})
    ones, twos = {0: b"\1" * PAGE}, {5: b"\2" * PAGE}
    hashes = [example[-32:], ZERO[0], Space().root(), Space(ones).root(), Space(ones | twos).root()]
    missing = [digest.hex() for digest in hashes if f"`{digest.hex()}`" not in document]
    print(f"vectors: {len(hashes) - len(missing)} of {len(hashes)} in the document", *missing)
    return 1 if missing or f"{len(example)} bytes" not in document else 0


if __name__ == "__main__":
    sys.exit(main())
