#!/usr/bin/env python3
"""Checks witnesses as docs/snapshot-format.md describes them (section 11), with none of the project's code.

    check_witness.py FILE...
    check_witness.py --list LIST

Every byte is decoded strictly, every hash is computed again, and the witness must be closed: of each space of the state all
pages are here, are zero beyond its end, or are of a memory and below a subtree of which the hash is here. Nothing is
executed: that no other page is touched is not checked. LIST has a line for each of many files: its name, `says` or
`refused`, and what the node said of it, between tabs; the verdicts must agree. Needs Python 3.11 and blake3.
"""

import argparse
import sys
from pathlib import Path

from check_chain import shown, sizes
from formats import MEMORY, PAGE, WASI_STATE, ZERO, ZERO_PAGE, Bad, Reader, derived, read_witness, root_of
from verdicts import agree

# Pages of 4 KiB in one of WebAssembly's.
WASM_PAGE = 65536 // PAGE
# What only the program shows, and what check_chain.py looks for in a `.snap`, is not looked for here.
ELSEWHERE = (" grows to ", "witness: job:", "witness: segment:", "witness: state:")


def check_job(witness):
    """Refuses a job that is not the one that is named, and what asks for answers from outside."""
    snap = witness["snap"]
    job = snap["job"]
    if derived("guest-interp 2026 job v1", snap["job_bytes"]) != snap["job_hash"]:
        raise Bad(f"{witness['name']}: the job does not have the hash in the prefix")
    if (snap["segment"]["id"], snap["segment"]["paused"]) != (snap["id"], snap["paused"]):
        raise Bad(f"{witness['name']}: the segment is {snap['segment']['id']}, the prefix names {snap['id']}")
    if job["store"] is not None or job["functions"] or job["contracts"]:
        raise Bad(f"{witness['name']}: the job takes answers from outside")
    if witness["snap"]["state"]["awaiting"]:
        raise Bad(f"{witness['name']}: the state waits for an answer from outside")


def sizes_of(witness):
    """Bytes and pages of every space, as its state says apart from the list of spaces."""
    state = witness["snap"]["state"]
    hosts = {host["name"]: host["bytes"] for host in state["hosts"]}
    reader = Reader(f"{witness['name']}: WASI state", hosts.get("wasi_snapshot_preview1", b""))
    return sizes(state, WASI_STATE(reader))


def check_space(witness, space, size, room):
    """Checks that one space is closed; `room` is what all memories can grow by in pages."""
    number, count = (space["kind"], space["index"]), space["pages"]
    at = f"{witness['name']}: {shown(number)}"
    if size is None or size[1] != count:
        raise Bad(f"{at}: {count} pages, its size is {size}")
    pages, beside = witness["groups"].get(number, {}), witness["hashes"][number]
    most = count + room // WASM_PAGE * WASM_PAGE if number[0] == MEMORY else count
    for index, page in pages.items():
        if index >= most:
            raise Bad(f"{at}: page {index}, it has {count} and at most {most}")
        if index >= count and page != ZERO_PAGE:
            raise Bad(f"{at}: page {index} is beyond the end and not zero")
        if index < count and any(page[max(0, size[0] - index * PAGE) :]):
            raise Bad(f"{at}: page {index} has contents beyond the end of the space")
    hashes = iter([digest for _, digest in beside])
    if root_of(pages, hashes) != space["root"]:
        raise Bad(f"{at}: the pages and the hashes beside them do not have its root")
    for (height, index), digest in beside:
        first = index << height
        if first >= count and digest != ZERO[height]:
            raise Bad(f"{at}: not zero from page {first} on, beyond its end")
        if first < count and number[0] != MEMORY:
            raise Bad(f"{at}: page {first} is not there")


def check(name, data):
    """Checks a witness; how many pages and hashes it has."""
    witness = read_witness(name, data)
    check_job(witness)
    state, job, size = witness["snap"]["state"], witness["snap"]["job"], sizes_of(witness)
    numbers = {(space["kind"], space["index"]) for space in state["spaces"]}
    if numbers != set(size):
        raise Bad(f"{name}: the state has the spaces {sorted(numbers)}, its sizes are of {sorted(size)}")
    for number in witness["groups"].keys() - numbers:
        raise Bad(f"{name}: {shown(number)} is not in the state")
    memory = sum(space["pages"] for space in state["spaces"] if space["kind"] == MEMORY)
    room = max(0, job["limits"]["memory_bytes"] // PAGE - memory)
    for space in state["spaces"]:
        check_space(witness, space, size.get((space["kind"], space["index"])), room)
    return sum(map(len, witness["groups"].values())), sum(map(len, witness["hashes"].values()))


def checked(name, data):
    """As `check`: a witness whose hashes run out is refused like any other."""
    try:
        return check(name, data)
    except StopIteration as few:
        raise Bad(f"{name}: too few hashes") from few


def sees(why):
    """Whether a reason of the node's to refuse is one that is checked here too."""
    return why.startswith("witness: ") and not any(part in why for part in ELSEWHERE)


def main():
    """Reads the command line; 0 if all is as it should be."""
    parser = argparse.ArgumentParser(description="Checks witnesses by docs/snapshot-format.md.")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--list", type=Path, help="files with the verdicts of the node")
    args = parser.parse_args()
    try:
        for path in args.files:
            pages, hashes = checked(path.name, path.read_bytes())
            print(f"check_witness: {path.name}: {pages} pages, {hashes} hashes, closed")
        if args.list:
            refused, believed = agree(args.list, "witness", checked, sees, "closed")
            print(f"check_witness: {refused} witnesses refused, {believed} closed, as the node says")
    except Bad as bad:
        print(bad)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
