#!/usr/bin/env python3
"""Checks dispute bundles as docs/snapshot-format.md describes them (section 12), with none of the project's code.

    check_bundle.py FILE...
    check_bundle.py --list LIST

The archive must hold what a dispute needs and nothing else; snapshots are decoded strictly, every hash is computed again, what
both sides share must be a chain, and the two claims must be of its job, follow it, and differ under one gas limit. What
`dispute.json` says must be what the claims say. Nothing is executed, so which of the two claims is right is not decided:
the one that the bundle calls right must be one whose hash it names. LIST is as for check_witness.py.
"""

import argparse
import io
import json
import re
import sys
import tarfile
from pathlib import Path

from blake3 import blake3
from formats import NO_HASH, Bad, derived, read_bin, read_snap
from verdicts import agree

FIELDS = {
    "chains": {"kind": str, "id": int, "limit": int, "snap_hash": str, "right": str},
    "executors": {
        "kind": str, "id": int, "agreed": dict, "parted": dict, "agreed_hash": str, "left_hash": str, "right_hash": str,
        "right": str,
    },
}
SIDES = {"chains": ("a", "b"), "executors": ("left", "right")}
# Refusals of the node that need no execution.
STRUCTURE = (
    "is no part of", "is no regular file", "no bundle", "dispute.json:", "different jobs", "two gas limits",
    "the same up to",
)


def entries(name, data):
    """Names and contents of an archive."""
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8", errors="strict") as archive:
            for entry in archive:
                parts = entry.name.split("/")
                odd = any(part in ("", ".", "..") for part in parts) or not entry.name.isprintable() or "\\" in entry.name
                if not entry.isreg() or entry.name in found or odd:
                    raise Bad(f"{name}: {entry.name!r} is no regular file of a plain name, once")
                found[entry.name] = archive.extractfile(entry).read()
    except (tarfile.TarError, UnicodeError, OSError) as error:
        raise Bad(f"{name}: no archive: {error}") from error
    return found


def members(pairs):
    """An object none of whose members is there twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Bad("dispute.json: a member is there twice")
    return found


def read_dispute(name, files):
    """What the bundle says of itself."""
    if "dispute.json" not in files:
        raise Bad(f"{name}: no dispute.json")
    try:
        dispute = json.loads(files["dispute.json"].decode("utf-8"), object_pairs_hook=members)
    except ValueError as error:
        raise Bad(f"{name}: dispute.json: {error}") from error
    fields = FIELDS.get(dispute.get("kind")) if isinstance(dispute, dict) else None
    if fields is None or dispute.keys() != fields.keys():
        raise Bad(f"{name}: dispute.json: is of no kind, or has other members")
    for field, kind in fields.items():
        if type(dispute[field]) is not kind or (kind is int and not 0 <= dispute[field] < 2**64):
            raise Bad(f"{name}: dispute.json: {field} is {dispute[field]!r}")
    return dispute


def check_names(name, files, dispute):
    """Refuses what the dispute does not need."""
    claims = dispute["kind"] == "chains"
    last = dispute["id"] - claims
    for entry in files:
        shared = re.fullmatch(r"([1-9][0-9]*)\.(snap|bin|calls)", entry)
        of_side = re.fullmatch(r"[ab]/([1-9][0-9]*)\.(snap|bin|calls)", entry)
        known = (
            entry in ("dispute.json", "base.bin")
            or entry.startswith("files/")
            or (shared is not None and int(shared[1]) <= last)
            or (claims and of_side is not None and int(of_side[1]) == dispute["id"])
        )
        if not known:
            raise Bad(f"{name}: {entry!r} is no part of a dispute")


def read(name, files, entry, number):
    """A snapshot of the chain, with its place in it."""
    if entry not in files:
        raise Bad(f"{name}: {entry} is missing")
    snap = read_snap(f"{name}: {entry}", files[entry])
    place = (snap["id"], snap["paused"], snap["segment"]["id"], snap["segment"]["paused"])
    if place != (number, False, number, False):
        raise Bad(f"{name}: {entry}: is of another snapshot")
    if derived("guest-interp 2026 job v1", snap["job_bytes"]) != snap["job_hash"]:
        raise Bad(f"{name}: {entry}: the job does not have the hash in the prefix")
    return snap


def follows(before, snap):
    """Whether a snapshot names the one before it and its gas adds up."""
    hash_before, gas_before = (before["hash"], before["state"]["gas_total"]) if before else (NO_HASH, 0)
    segment = snap["segment"]
    adds_up = gas_before + segment["gas_used"] == snap["state"]["gas_total"]
    return segment["previous_snap"] == hash_before and adds_up and segment["gas_used"] <= segment["limit"]


def borne_out(name, files, folder, snap):
    """Whether the `.bin` beside a snapshot is the one that it commits to."""
    entry = f"{folder}{snap['id']}.bin"
    if entry not in files:
        return False
    try:
        return read_bin(f"{name}: {entry}", files[entry])["hash"] == snap["segment"]["bin"]
    except Bad:
        return False


def check(name, data):
    """Checks a bundle; what it says, in words."""
    files = entries(name, data)
    dispute = read_dispute(name, files)
    check_names(name, files, dispute)
    sides = SIDES[dispute["kind"]]
    if dispute["right"] not in (*sides, "neither"):
        raise Bad(f"{name}: dispute.json: right is {dispute['right']!r}")
    number = dispute["id"]
    if dispute["kind"] == "executors":
        last = read(name, files, f"{number}.snap", number)
        if dispute["left_hash"] == dispute["right_hash"]:
            raise Bad(f"{name}: dispute.json: the sides do not part")
        return f"after snapshot {last['id']} the sides part"
    before = read(name, files, f"{number - 1}.snap", number - 1) if number > 1 else None
    claims = [read(name, files, f"{side}/{number}.snap", number) for side in sides]
    first, second = claims
    if first["job_bytes"] != second["job_bytes"] or (before and before["job_bytes"] != first["job_bytes"]):
        raise Bad(f"{name}: the claims are of different jobs")
    if first["hash"] == second["hash"]:
        raise Bad(f"{name}: the two claims are the same")
    limits = {claim["segment"]["limit"] for claim in claims}
    if limits != {dispute["limit"]}:
        raise Bad(f"{name}: the claims have the limits {limits}, dispute.json says {dispute['limit']}")
    program = first["job"]["program"]["hash"]
    if not any(blake3(contents).digest() == program for entry, contents in files.items() if entry.startswith("files/")):
        raise Bad(f"{name}: the program of the job is not among the files")
    named = {side: claim["hash"].hex() == dispute["snap_hash"] for side, claim in zip(sides, claims)}
    right = [side for side, is_named in named.items() if is_named]
    if right != ([dispute["right"]] if dispute["right"] != "neither" else []):
        raise Bad(f"{name}: dispute.json: calls {dispute['right']} right, and names the hash of {right}")
    for side, claim in zip(sides, claims):
        if side == dispute["right"] and not follows(before, claim):
            raise Bad(f"{name}: {side} is called right and does not follow what both share")
    hold = [side for side, claim in zip(sides, claims) if borne_out(name, files, f"{side}/", claim)]
    return f"the claims of snapshot {number} part, {dispute['right']} is called right; .bin files of {hold or 'no side'} are theirs"


def sees(why):
    """Whether a reason of the node's to refuse is one that is checked here too."""
    return any(part in why for part in STRUCTURE)


def main():
    """Reads the command line; 0 if all is as it should be."""
    parser = argparse.ArgumentParser(description="Checks dispute bundles by docs/snapshot-format.md.")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--list", type=Path, help="files with the verdicts of the node")
    args = parser.parse_args()
    try:
        for path in args.files:
            print(f"check_bundle: {path.name}: {check(path.name, path.read_bytes())}")
        if args.list:
            refused, believed = agree(args.list, "bundle", check, sees, "in order")
            print(f"check_bundle: {refused} bundles refused, {believed} in order; where hashes decide, as the node says")
    except Bad as bad:
        print(bad)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
