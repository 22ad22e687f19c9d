#!/usr/bin/env python3
"""Checks a chain of snapshots as docs/snapshot-format.md describes them, with none of the project's code.

    check_chain.py PROGRAM.wasm DIR [--preload NAME=FILE]... [--file GUEST=HOST]... [--json]

Every `.snap` and `.bin` of DIR is decoded strictly, every hash is computed again, and so is the Merkle root of every
space of every snapshot, from state 0 (the program's own segments, the files of the job) and the pages of the `.bin`
files. Nothing is executed: that a state follows from the one before it is not checked. Needs Python 3.11 and blake3.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from blake3 import blake3

from formats import FILE, KINDS, MEMORY, NO_HASH, PAGE, TABLE, WASI_STATE
from formats import Bad, Reader, Space, derived, read_bin, read_snap
from state0 import WASI, Module, Start, Tree


def ascending(values):
    return all(a < b for a, b in zip(values, values[1:]))


def shown(number):
    return f"{KINDS[number[0]]} {number[1]}"


def sizes(state, wasi):
    """Of every space that a state has: bytes that can be other than zero, and pages."""
    found = {}
    for kind, field, unit in ((MEMORY, "memories", 65536), (TABLE, "tables", 8)):
        counts = [count for instance in state["instances"] for count in instance[field]]
        for index, count in enumerate(counts):
            found[kind, index] = count * unit, -(-count * unit // PAGE)
    for number, node in wasi["nodes"]:
        if node and node["kind"][0] == "file" and node["kind"][1]["pages"] is not None:
            found[FILE, number] = node["kind"][1]["length"], node["kind"][1]["pages"]
    return found


class Chain:
    """Checks snapshots in their order, each with its predecessor, and keeps what fails."""

    def __init__(self, program, preloads, files):
        self.program, self.preloads, self.files = Path(program), preloads, files
        self.failures, self.snapshots, self.pages, self.roots = [], 0, 0, 0
        self.job, self.job_hash, self.state_hashes = None, None, {}
        self.start, self.spaces, self.inputs = Start(), {}, {}
        self.before = {"snap": NO_HASH, "bin": NO_HASH, "gas": 0, "sizes": {}}

    def check(self, good, what):
        if not good:
            self.failures.append(what)

    def attempt(self, action, *args):
        """What an action gives; none and a failure if it cannot."""
        try:
            return action(*args)
        except Bad as bad:
            self.failures.append(str(bad))
        except OSError as error:
            self.failures.append(f"{error.filename}: {error.strerror}")
        return None

    # The job, and state 0.

    def begin(self, snap):
        """Takes the job of the chain from one of its snapshots, checks it, and makes state 0."""
        self.job_hash, self.job = snap["job_hash"], snap["job"]
        self.check_job(f"{snap['name']}: byte {snap['job_at']}: job", self.job)
        self.start.has_stubs = "unknown-imports" in dict(self.job["features"])
        for wanted, (name, path) in zip(self.job["modules"], self.preloads):
            self.attempt(self.link, name, path, wanted)
        self.attempt(self.link, None, self.program, self.job["program"])
        self.spaces = self.start.spaces
        self.tree = Tree({wanted["path"]: wanted["size"] for wanted in self.job["inputs"]}, self.job["preopens"])
        for wanted in self.job["inputs"]:
            number = self.tree.numbers[Tree.names_of(wanted["path"])]
            self.inputs[number] = self.attempt(self.given, self.files.get(wanted["path"], wanted["path"]), wanted)

    def check_job(self, at, job):
        self.check(job["version"] == 2, f"{at}: version {job['version']}")
        self.check(job["argv0"] == job["program"]["name"], f"{at}: argv0 is {job['argv0']!r}")
        self.check(ascending([wanted["path"].encode() for wanted in job["inputs"]]), f"{at}: inputs are not in order")
        self.check(ascending([name.encode() for name, _ in job["features"]]), f"{at}: features are not in order")
        self.check(len(dict(job["env"])) == len(job["env"]), f"{at}: a variable is given twice")
        texts = [*job["args"], job["argv0"], *job["preopens"], *(text for both in job["env"] for text in both)]
        self.check(not any("\0" in text for text in texts), f"{at}: NUL in a string")
        self.check(blake3(job["schedule"]["bytes"]).digest() == job["schedule"]["hash"], f"{at}: hash of the schedule")
        self.check(job["program"]["name"] == self.program.name, f"{at}: program is {job['program']['name']!r}")
        linked = [wanted["name"] for wanted in job["modules"]]
        self.check(linked == [name for name, _ in self.preloads], f"{at}: links {linked}, --preload differs")
        self.check({wanted["path"] for wanted in job["inputs"]} == set(self.files), f"{at}: --file differs")

    def given(self, path, wanted):
        """The bytes of a file, which must be those that the job names."""
        data = Path(path).read_bytes()
        if (len(data), blake3(data).digest()) != (wanted["size"], wanted["hash"]):
            raise Bad(f"{path}: not the file that the job names")
        return data

    def link(self, name, path, wanted):
        self.start.link(name, Module(str(path), self.given(path, wanted)))

    # One snapshot.

    def step(self, snap, pages, number, paused=False):
        """Checks both files of a snapshot (none for one that cannot be read), named by `number` and `paused`."""
        for file in filter(None, (snap, pages)):
            name = file["name"]
            self.check(file["paused"] == paused, f"{name}: byte 12: paused is {file['paused']}")
            self.check(file["id"] == number, f"{name}: byte 16: id is {file['id']}")
            self.check(file["job_hash"] == self.job_hash, f"{name}: byte 24: belongs to another job")
        if pages:
            follows = self.before["bin"] in (None, pages["previous"])
            self.check(follows, f"{pages['name']}: byte 56: not the hash of the .bin before")
        size = self.check_snap(snap, pages) if snap else None
        for key, group in pages["groups"].items() if pages else ():
            self.apply(pages["name"], key, group, size)
        if size:
            self.check_spaces(snap, size)
        self.snapshots += 1
        gas = snap and snap["state"]["gas_total"]
        self.before = {"snap": snap and snap["hash"], "bin": pages and pages["hash"], "gas": gas, "sizes": size or {}}

    def check_snap(self, snap, pages):
        """Checks a `.snap` but for its spaces; their sizes."""
        segment, at = snap["segment"], f"{snap['name']}: byte {snap['segment_at']}: segment"
        hashes_at = snap["segment_at"] + len(snap["segment_bytes"]) - 64
        digest = derived("guest-interp 2026 job v1", snap["job_bytes"])
        self.check(digest == snap["job_hash"], f"{snap['name']}: byte 24: the job has the hash {digest.hex()}")
        same = (segment["id"], segment["paused"]) == (snap["id"], snap["paused"])
        self.check(same, f"{at}: id or pause is not that of the prefix")
        self.check(segment["gas_used"] <= segment["limit"], f"{at}: more gas than its limit")
        follows = self.before["snap"] in (None, segment["previous_snap"])
        self.check(follows, f"{snap['name']}: byte {hashes_at}: not the hash of the .snap before")
        belongs = not pages or segment["bin"] == pages["hash"]
        self.check(belongs, f"{snap['name']}: byte {hashes_at + 32}: not the hash of the .bin beside it")
        gas = self.before["gas"]
        self.check(gas is None or gas + segment["gas_used"] == snap["state"]["gas_total"], f"{at}: gas does not add up")
        self.state_hashes[snap["name"]] = derived("guest-interp 2026 state v1", snap["state_bytes"])
        return self.attempt(self.check_state, f"{snap['name']}: byte {snap['state_at']}: state", snap["state"])

    def check_state(self, at, state):
        """Checks a state as far as that is possible without types; the sizes of its spaces."""
        linked = self.start.instances
        self.check(state["phase"][0] in ("start", "initialize", "entry"), f"{at}: phase {state['phase'][0]}")
        self.check(not state["awaiting"] and not state["results"], f"{at}: awaits an answer, or has results")
        if len(state["instances"]) != len(linked) or [host["name"] for host in state["hosts"]] != [WASI]:
            raise Bad(f"{at}: {len(state['instances'])} instances, expected {len(linked)}, or other host modules")
        for number, (found, instance) in enumerate(zip(state["instances"], linked)):
            self.check_instance(f"{at}: instance {number}", found, instance)
        for number, frame in enumerate(state["frames"]):
            body = linked[frame["instance"]].body(frame["func"]) if frame["instance"] < len(linked) else ()
            fits = frame["offset"] in body
            self.check(fits, f"{at}: frame {number}: offset {frame['offset']:#x} is not in its function")
        slots = sum(1 + len(exception["values"]) for exception in state["exceptions"])
        self.check(slots <= state["exception_slots"], f"{at}: {slots} slots of exceptions")
        reader = Reader(f"{at}: host module", state["hosts"][0]["bytes"])
        wasi = WASI_STATE(reader)
        reader.done()
        self.check_wasi(reader.name, wasi)
        self.check_tree(reader.name, wasi)
        size = sizes(state, wasi)
        found = [(space["kind"], space["index"], space["pages"]) for space in state["spaces"]]
        self.check(found == [(*key, pages) for key, (_, pages) in sorted(size.items())], f"{at}: list of spaces")
        return size

    def check_instance(self, at, found, instance):
        module, slots = instance.module, iter(found["globals"])
        for index, (value, width, mutable) in enumerate(instance.own_globals):
            bits = sum(next(slots, 0) << 64 * slot for slot in range(width))
            self.check(mutable or bits == value, f"{at}: immutable global {index} is {bits:#x}, not {value:#x}")
        count = sum(width for _, width, _ in instance.own_globals)
        self.check(len(found["globals"]) == count, f"{at}: {len(found['globals'])} slots of globals, not {count}")
        for field, least in (("memories", module.memories), ("tables", [size for size, _ in module.tables])):
            fits = len(found[field]) == len(least) and all(a >= b for a, b in zip(found[field], least))
            self.check(fits, f"{at}: {field} of sizes {found[field]}, at the start {least}")
        data = [offset is not None for _, offset, _ in module.data]
        elements = [mode != "passive" for mode, *_ in module.elements]
        for field, flags in (("dropped_data", data), ("dropped_elements", elements)):
            at_start = {index for index, flag in enumerate(flags) if flag}
            fits = ascending(found[field]) and at_start <= set(found[field]) <= set(range(len(flags)))
            self.check(fits, f"{at}: {field} {found[field]}, of {len(flags)} at the start {sorted(at_start)}")

    # The state of the host module.

    def check_wasi(self, at, wasi):
        self.check(ascending([-1, *(fd for fd, _ in wasi["descriptors"]), 4096]), f"{at}: descriptors are not in order")
        for fd, descriptor in wasi["descriptors"]:
            if (place := descriptor["preopen"]) is not None:
                opened = self.tree.opened[place] if place < len(self.tree.opened) else None
                same = descriptor["target"] == ("node", self.tree.numbers.get(opened))
                self.check(same, f"{at}: descriptor {fd} is not preopened directory {place}")
        self.check(ascending([number for number, _ in wasi["nodes"]]), f"{at}: nodes are not in order")
        self.check(ascending([(n["directory"], n["position"]) for n in wasi["names"]]), f"{at}: names are not in order")
        for name in ("stdout", "stderr"):
            output = wasi[name]
            fits = output["length"] % 4096 == len(output["partial"])
            fits = fits and (output["length"] >= 4096 or output["chain"] == NO_HASH)
            self.check(fits, f"{at}: length and hash of {name}")

    def check_tree(self, at, wasi):
        """Checks that the nodes saved are those that changed, and that all nodes have as many names as they count."""
        nodes, names, saved = dict(self.tree.nodes), dict(self.tree.names), {}
        for entry in wasi["names"]:
            saved.setdefault(entry["directory"], []).append((entry["position"], entry["name"], entry["node"]))
        for number, node in wasi["nodes"]:
            was = nodes.pop(number, None), names.pop(number, [])
            own = saved.pop(number, [])
            self.check((node, own) != was, f"{at}: node {number} is as the job gave it")
            if node:
                nodes[number], (kind, fields) = node, node["kind"]
                self.check(kind == "directory" or not own, f"{at}: node {number} has names, but is no directory")
                if kind == "directory":
                    names[number] = own
                    fits = all(position < fields["next"] for position, *_ in own)
                    self.check(fits, f"{at}: node {number}: positions from {fields['next']} on")
                elif kind == "file":
                    fits = fields["pages"] is None or fields["pages"] * PAGE >= fields["length"]
                    self.check(fits, f"{at}: node {number}: {fields['length']} bytes in {fields['pages']} pages")
        self.check(not saved, f"{at}: names of {sorted(saved)}, which are not saved")
        self.check(max(nodes, default=0) < wasi["next"], f"{at}: next number {wasi['next']} is taken")
        counts = Counter({0: 1})
        for directory, entries in names.items():
            self.check(len({name for _, name, _ in entries}) == len(entries), f"{at}: node {directory}: a name twice")
            for _, name, child in entries:
                counts[child] += 1
                kind, fields = nodes[child]["kind"] if child in nodes else (None, None)
                fits = kind is not None and (kind != "directory" or fields["parent"] == directory)
                self.check(fits, f"{at}: node {directory}: name {name!r} of node {child}")
        wrong = [number for number, node in nodes.items() if node["links"] != counts[number]]
        self.check(not wrong, f"{at}: nodes {wrong} do not have as many names as they count")

    # Contents.

    def space(self, key):
        """A space; that of a file begins as the job gave the file."""
        if key not in self.spaces and key[0] == FILE:
            self.spaces[key] = Space()
            self.spaces[key].write(0, self.inputs.get(key[1]) or b"")
        return self.spaces.get(key)

    def apply(self, name, key, group, size):
        """Puts the pages of a group into their space."""
        space = self.space(key)
        if space is None or size is not None and key not in size:
            self.check(False, f"{name}: {shown(key)}: there is no such space")
            return
        for index, page in group.items():
            at = f"{name}: {shown(key)}: page {index}"
            self.check(size is None or index < size[key][1], f"{at}: beyond the end of the space")
            self.check(space.page(index) != page, f"{at}: stored, but as it was")
            space.put(index, page)
        self.pages += len(group)

    def check_spaces(self, snap, size):
        """Compares the root of every space, looks beyond the ends, and forgets files that are gone."""
        for entry in snap["state"]["spaces"]:
            key = entry["kind"], entry["index"]
            if key not in size or (space := self.space(key)) is None:
                continue
            root, used, at = space.root(), space.used(), f"{snap['name']}: {shown(key)}"
            self.check(root == entry["root"], f"{at}: root {entry['root'].hex()}, the pages have {root.hex()}")
            end, page = size[key][0], (used - 1) // PAGE
            self.check(used <= end, f"{at}: page {page}: not zero beyond the end of the space at {end}")
            grown = size[key][1] >= self.before["sizes"].get(key, (0, 0))[1]
            self.check(grown, f"{at}: {size[key][1]} pages, less than before")
            self.roots += 1
        for key in [key for key in self.spaces if key not in size]:
            self.check(key[0] == FILE, f"{snap['name']}: {shown(key)}: is gone")
            del self.spaces[key]

    def pause(self, snap, pages, number):
        """Checks the pause after snapshot `number`, and leaves the chain as it was."""
        kept, before = {key: dict(space.pages) for key, space in self.spaces.items()}, self.before
        self.step(snap, pages, number, paused=True)
        self.spaces, self.before = {key: Space(pages) for key, pages in kept.items()}, before

    # The results.

    def check_results(self, directory, last):
        """Compares receipt.json and result.txt with the chain."""
        receipt = json.loads((directory / "receipt.json").read_text())
        result, schedule = receipt["result"], self.job["schedule"]
        expected = {
            "job_hash": self.job_hash.hex(),
            "program_hash": self.job["program"]["hash"].hex(),
            "schedule": {"name": schedule["name"], "hash": schedule["hash"].hex()},
        }
        if result["outcome"] == "gas-limit" and f"{last}.snap" in self.state_hashes:
            expected |= {"state_hash": self.state_hashes[f"{last}.snap"].hex(), "gas_used": self.before["gas"]}
        for field, value in expected.items():
            self.check(result[field] == value, f"receipt.json: {field} is {result[field]}, the chain has {value}")
        number, gas = receipt["run"]["last_snapshot"], result["gas_used"]
        self.check(number == last, f"receipt.json: last_snapshot is {number}, the chain has {last}")
        self.check(gas >= (self.before["gas"] or 0), f"receipt.json: gas_used is {gas}, less than at the last snapshot")
        status = {"finished": 0, "exited": result["exit_code"]}.get(result["outcome"], 134)
        values = " ".join(value["value"] for value in result["values"])
        text = f"{status}\n{last}\n" + (f"{values}\n" if values else "")
        self.check((directory / "result.txt").read_text() == text, f"result.txt: expected {text!r}")


def check_directory(chain, directory):
    """Checks all files of a chain."""
    stems = {path.stem for path in directory.iterdir() if path.suffix in (".snap", ".bin")}
    numbers = sorted(int(stem) for stem in stems if stem.isdecimal())
    named = [str(number) for number in range(1, len(numbers) + 1)]
    chain.check(stems - {"paused"} == set(named), f"{directory}: has {sorted(stems)}, expected all from 1")

    def load(stem, read, attempt=chain.attempt):
        path = directory / f"{stem}.{'snap' if read is read_snap else 'bin'}"
        return attempt(lambda: read(path.name, path.read_bytes()))

    snaps = {stem: load(stem, read_snap) for stem in sorted(stems)}
    first = next((snaps[stem] for stem in [*named, "paused"] if snaps.get(stem)), None)
    if first is None:
        chain.check(False, f"{directory}: no snapshot that can be read")
        return
    chain.begin(first)
    paused, paused_pages = snaps.get("paused"), load("paused", read_bin) if "paused" in stems else None
    after = next((file["id"] for file in (paused, paused_pages) if file), None)
    chain.check(after is None or after <= len(named), f"paused.snap: byte 16: snapshot {after} is not there")
    for number, stem in enumerate(["", *named]):
        if stem:
            chain.step(snaps.get(stem), load(stem, read_bin), number)
        if number == after:
            chain.pause(paused, paused_pages, number)
    if (directory / "receipt.json").exists():
        chain.attempt(chain.check_results, directory, len(named))


def main():
    """Reads the command line; 0 if all agrees."""
    parser = argparse.ArgumentParser(description="Checks a chain of snapshots by docs/snapshot-format.md.")
    parser.add_argument("program")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--preload", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--file", action="append", default=[], metavar="GUEST=HOST")
    parser.add_argument("--json", action="store_true", help="print one JSON object: figures, state hashes, failures")
    args = parser.parse_args()
    pairs = [[tuple(text.partition("=")[::2]) for text in given] for given in (args.preload, args.file)]
    chain = Chain(args.program, pairs[0], dict(pairs[1]))
    chain.attempt(check_directory, chain, args.directory)
    figures = {"snapshots": chain.snapshots, "pages": chain.pages, "roots": chain.roots}
    if args.json:
        states = {name: digest.hex() for name, digest in chain.state_hashes.items()}
        job_hash = chain.job_hash.hex() if chain.job_hash else None
        print(json.dumps({**figures, "job_hash": job_hash, "state_hashes": states, "failures": chain.failures}))
    else:
        for failure in chain.failures:
            print(failure)
        counted = ", ".join(f"{count} {what}" for what, count in figures.items())
        verdict = f"{len(chain.failures)} checks failed" if chain.failures else "all agree"
        print(f"check_chain: {counted}, {verdict}")
    return 1 if chain.failures else 0


if __name__ == "__main__":
    sys.exit(main())
