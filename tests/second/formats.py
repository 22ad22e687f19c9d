"""The bytes of docs/snapshot-format.md: readers that refuse what no writer writes, and the Merkle tree of a space."""

from blake3 import blake3

VERSION = 3
PAGE = 4096
LINE = 64
HEIGHT = 36
NO_HASH = bytes(32)
MEMORY, TABLE, FILE = 1, 2, 3
KINDS = {MEMORY: "memory", TABLE: "table", FILE: "file", 4: "key-value store"}


class Bad(Exception):
    """What is wrong, and where."""


def keyed(key, data):
    """BLAKE3 with a key of 32 ASCII bytes."""
    return blake3(data, key=key).digest()


def derived(context, data):
    """BLAKE3 in key derivation mode."""
    return blake3(data, derive_key_context=context).digest()


class Reader:
    """Takes bytes from the front of a part of a file; errors name the file and the offset in it."""

    def __init__(self, name, data, at=0, end=None):
        self.name, self.data, self.at = name, data, at
        self.end = len(data) if end is None else end

    def fail(self, what, at=None):
        raise Bad(f"{self.name}: byte {self.at if at is None else at}: {what}")

    def take(self, count):
        if count > self.end - self.at:
            self.fail(f"cut short, {count} bytes expected, {self.end - self.at} left")
        self.at += count
        return self.data[self.at - count : self.at]

    def fixed(self, count):
        return int.from_bytes(self.take(count), "little")

    def leb(self, bits, signed=False, shortest=False):
        """LEB128 of a number of so many bits."""
        start, value, shift, byte = self.at, 0, 0, 0x80
        while byte & 0x80:
            byte = self.fixed(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift >= bits + 7:
                self.fail(f"integer longer than {bits} bits", start)
        if shortest and shift > 7 and byte == 0:
            self.fail("integer not in its shortest form", start)
        if signed:
            return value - (1 << shift) if byte & 0x40 else value
        if value >> bits:
            self.fail(f"integer of more than {bits} bits", start)
        return value

    def done(self):
        if self.at != self.end:
            self.fail(f"{self.end - self.at} bytes after the end")


# Postcard. A type is a function from a reader to a value.


def unsigned(bits):
    return lambda reader: reader.leb(bits, shortest=True)


def u8(reader):
    return reader.fixed(1)


def boolean(reader):
    return choice(reader, 2) == 1


def choice(reader, count):
    """The number of a variant, below `count`."""
    start, number = reader.at, reader.leb(32, shortest=True)
    return number if number < count else reader.fail(f"variant {number}, expected below {count}", start)


def hash32(reader):
    return reader.take(32)


def octets(reader):
    return reader.take(reader.leb(64, shortest=True))


def string(reader):
    start = reader.at
    try:
        return octets(reader).decode("utf-8")
    except UnicodeDecodeError:
        return reader.fail("string is not UTF-8", start)


def items(item, most=2**64):
    """A list of at most `most` items."""

    def read(reader):
        start, count = reader.at, reader.leb(64, shortest=True)
        if count > most:
            reader.fail(f"list of {count} items, at most {most}", start)
        return [item(reader) for _ in range(count)]

    return read


def option(item):
    return lambda reader: item(reader) if boolean(reader) else None


def struct(**fields):
    return lambda reader: {name: item(reader) for name, item in fields.items()}


def pair(first, second):
    return lambda reader: (first(reader), second(reader))


def enum(*variants):
    """(name, value) of a variant; each is given as its name and the type of its field."""

    def read(reader):
        name, item = variants[choice(reader, len(variants))]
        return name, item(reader)

    return read


def nothing(_):
    return None


U16, U32, U64 = unsigned(16), unsigned(32), unsigned(64)
MODULE = struct(name=string, hash=hash32, size=U64)
JOB = struct(
    version=U32, program=MODULE, modules=items(MODULE), entry=option(string), args=items(string), argv0=string,
    env=items(pair(string, string)), stdin=option(struct(size=U64, hash=hash32)),
    inputs=items(struct(path=string, size=U64, hash=hash32)), preopens=items(string),
    schedule=struct(name=string, hash=hash32, bytes=octets), features=items(pair(string, boolean)),
    limits=struct(
        call_depth=U32, stack_slots=U32, memory_bytes=U64, table_elements=U64, file_bytes=U64, exception_slots=U32
    ),
    clock_rate=U64, seed=U64, functions=items(
        struct(
            module=string, name=string, params=items(lambda reader: choice(reader, 4)),
            results=items(lambda reader: choice(reader, 4)),
        )
    ),
    store=option(U64), contracts=items(MODULE), call_data=octets, caller=string,
)
SEGMENT = struct(id=U64, paused=boolean, limit=U64, gas_used=U64, previous_snap=hash32, bin=hash32)
PHASE = enum(
    ("start", U32), ("initialize", nothing), ("entry", nothing), ("finished", nothing),
    ("trapped", lambda reader: choice(reader, 15)), ("exited", U32),
)
STATE = struct(
    phase=PHASE, awaiting=boolean,
    frames=items(struct(instance=U32, func=U32, offset=U32, locals=items(U64), operands=items(U64)), 1 << 22),
    results=items(U64),
    exceptions=items(struct(instance=U32, tag=U32, values=items(U64)), 1 << 24), exception_slots=U64,
    instances=items(
        struct(
            globals=items(U64), memories=items(U64), tables=items(U64),
            dropped_data=items(U32), dropped_elements=items(U32),
        ),
        1 << 16,
    ),
    spaces=items(struct(kind=u8, index=U32, pages=U64, root=hash32), 1 << 20),
    hosts=items(struct(name=string, bytes=octets), 1 << 10), gas_total=U64,
)
OUTPUT = struct(length=U64, chain=hash32, partial=octets)
NODE = struct(
    kind=enum(
        ("directory", struct(parent=U32, next=U64)), ("file", struct(length=U64, pages=option(U64))), ("link", string)
    ),
    links=U32, access=U64, modification=U64, change=U64,
)
DESCRIPTOR = struct(
    target=enum(("stdin", nothing), ("stdout", nothing), ("stderr", nothing), ("node", U32)),
    rights=U64, inheriting=U64, flags=U16, offset=U64, preopen=option(U32),
)
WASI_STATE = struct(
    descriptors=items(pair(U32, DESCRIPTOR)), random=U64, slept=U64, next=U32,
    nodes=items(pair(U32, option(NODE)), 1 << 20),
    names=items(struct(directory=U32, position=U64, name=string, node=U32), 1 << 20), stdout=OUTPUT, stderr=OUTPUT,
)


# Spaces.


def leaf(page):
    return keyed(b"guest-interp 2026 merkle leaf v1", page)


def node(left, right):
    return keyed(b"guest-interp 2026 merkle node v1", left + right)


ZERO_PAGE = bytes(PAGE)
ZERO = [leaf(ZERO_PAGE)]  # roots of trees of zero pages, by height
for _ in range(HEIGHT):
    ZERO.append(node(ZERO[-1], ZERO[-1]))


class Space:
    """Pages and their Merkle tree. What is not stored is zero."""

    def __init__(self, pages=()):
        self.pages = dict(pages)
        self.levels = [{} for _ in range(HEIGHT + 1)]
        self.stale = set(self.pages)

    def page(self, index):
        return self.pages.get(index, ZERO_PAGE)

    def put(self, index, page):
        self.pages[index] = page
        self.stale.add(index)

    def write(self, at, data):
        """Puts bytes at an offset."""
        done = 0
        while done < len(data):
            index, within = divmod(at + done, PAGE)
            part, old = data[done : done + PAGE - within], self.page(index)
            self.put(index, old[:within] + part + old[within + len(part) :])
            done += len(part)

    def root(self):
        """The root; only what lies above changed pages is computed."""
        for index in self.stale:
            self.levels[0][index] = leaf(self.pages[index])
        stale, self.stale = self.stale, set()
        for height in range(HEIGHT):
            below, zero = self.levels[height], ZERO[height]
            stale = {index // 2 for index in stale}
            for index in stale:
                self.levels[height + 1][index] = node(below.get(2 * index, zero), below.get(2 * index + 1, zero))
        return self.levels[HEIGHT].get(0, ZERO[HEIGHT])

    def used(self):
        """Where the last byte that is not zero ends."""
        last = max((index for index, page in self.pages.items() if page != ZERO_PAGE), default=None)
        return 0 if last is None else last * PAGE + len(self.pages[last].rstrip(b"\0"))


# Files.


def read_prefix(reader, magic):
    """Paused, id and job hash."""
    if reader.take(8) != magic:
        reader.fail(f"magic, expected {magic!r}", 0)
    if (version := reader.fixed(4)) != VERSION:
        reader.fail(f"version {version}, expected {VERSION}", 8)
    if (paused := reader.fixed(4)) > 1:
        reader.fail(f"paused flag {paused}", 12)
    return {"paused": paused == 1, "id": reader.fixed(8), "job_hash": reader.take(32)}


def check_trailer(reader):
    """The hash of the file, which its last 32 bytes must be; the reader then ends before them."""
    reader.end -= 32
    digest = blake3(reader.data[: reader.end]).digest()
    if reader.end < 0 or reader.data[reader.end :] != digest:
        reader.fail("the trailer is not the hash of the bytes before it", max(reader.end, 0))
    return digest


def read_snap(name, data):
    """A decoded `.snap`: prefix, sections, hashes, and where the segment ends."""
    reader = Reader(name, data)
    snap = {"name": name, **read_prefix(reader, b"GI-SNAP\n")}
    lengths = [reader.fixed(8) for _ in range(3)]
    if 80 + sum(lengths) + 32 != len(data):
        reader.fail(f"the lengths make {80 + sum(lengths) + 32} bytes, the file has {len(data)}", 56)
    snap["hash"] = check_trailer(reader)
    sections = zip(("job", "segment", "state"), (JOB, SEGMENT, STATE), lengths, (1 << 24, 128, 1 << 28))
    for section, read, length, most in sections:
        if length > most:
            reader.fail(f"{section} of {length} bytes, at most {most}")
        part = Reader(name, data, reader.at, reader.at + length)
        snap[section] = read(part)
        part.done()
        snap[f"{section}_at"], snap[f"{section}_bytes"] = reader.at, reader.take(length)
    return snap


def read_page(reader, least):
    """Index and contents of a page, whose index is at least `least`."""
    start, index, mask = reader.at, reader.fixed(8), reader.fixed(8)
    if not least <= index < 1 << HEIGHT:
        reader.fail(f"page {index}, expected {least} or more", start)
    lines = []
    for bit in range(64):
        lines.append(reader.take(LINE) if mask >> bit & 1 else bytes(LINE))
        if mask >> bit & 1 and not any(lines[-1]):
            reader.fail(f"line {bit} of page {index} is stored but zero", reader.at - LINE)
    return index, b"".join(lines)


def read_groups(reader):
    """Groups of pages up to the end marker, as {(kind, index): {page: contents}}."""
    groups, last = {}, (0, 0)
    while kind := reader.fixed(1):
        start, number, count = reader.at - 1, (kind, reader.fixed(4)), reader.fixed(8)
        if kind not in KINDS or number <= last or count == 0:
            reader.fail(f"group of kind {kind}, index {number[1]}, {count} pages after {last}", start)
        last, pages, least = number, {}, 0
        for _ in range(count):
            index, page = read_page(reader, least)
            pages[index], least = page, index + 1
        groups[number] = pages
    return groups


def read_bin(name, data):
    """A decoded `.bin`: prefix, hashes, and groups of pages."""
    reader = Reader(name, data)
    found = {"name": name, **read_prefix(reader, b"GI-BIN\r\n"), "previous": reader.take(32)}
    found["hash"] = check_trailer(reader)
    found["groups"] = read_groups(reader)
    reader.done()
    return found


# Witnesses.


def beside(pages, height=HEIGHT, index=0):
    """The subtrees beside some pages (ascending), as (height, index), from left to right."""
    if not pages:
        yield height, index
    elif height:
        middle = (2 * index + 1) << (height - 1)
        yield from beside([page for page in pages if page < middle], height - 1, 2 * index)
        yield from beside([page for page in pages if page >= middle], height - 1, 2 * index + 1)


def root_of(pages, hashes, height=HEIGHT, index=0):
    """The root over some pages, {index: contents}, and an iterator of the hashes beside them."""
    if not pages:
        return next(hashes)
    if height == 0:
        return ZERO[0] if pages[index] == ZERO_PAGE else leaf(pages[index])
    middle = (2 * index + 1) << (height - 1)
    left = root_of({at: page for at, page in pages.items() if at < middle}, hashes, height - 1, 2 * index)
    return node(left, root_of({at: page for at, page in pages.items() if at >= middle}, hashes, height - 1, 2 * index + 1))


def read_witness(name, data):
    """A decoded witness: its `.snap`, the groups of its pages, and the hashes beside them by space."""
    reader = Reader(name, data)
    if reader.take(8) != b"GI-WITN\n":
        reader.fail("magic", 0)
    if (version := reader.fixed(4)) != VERSION:
        reader.fail(f"version {version}, expected {VERSION}", 8)
    check_trailer(reader)
    snap = read_snap(f"{name}: .snap", reader.take(reader.fixed(8)))
    if snap["paused"]:
        reader.fail("of a paused snapshot")
    start = reader.at
    prefix, previous = read_prefix(reader, b"GI-BIN\r\n"), reader.take(32)
    if prefix != {"paused": False, "id": snap["id"] + 1, "job_hash": snap["job_hash"]}:
        reader.fail("the pages are of another snapshot", start)
    if previous != snap["segment"]["bin"]:
        reader.fail("the pages do not follow the .bin of the snapshot", start + 56)
    groups = read_groups(reader)
    digest = blake3(data[start : reader.at]).digest()
    if reader.take(32) != digest:
        reader.fail("the trailer of the pages is not the hash of the bytes before it", reader.at - 32)
    hashes = {}
    for space in snap["state"]["spaces"]:
        number = space["kind"], space["index"]
        hashes[number] = [((height, index), reader.take(32)) for height, index in beside(list(groups.get(number, {})))]
    reader.done()
    return {"name": name, "snap": snap, "groups": groups, "hashes": hashes}
