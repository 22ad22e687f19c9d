"""State 0 of a job: all modules linked, active segments applied, files as the job gives them, nothing executed."""

from formats import MEMORY, TABLE, Bad, Reader, Space, string

WASI, WASI_0 = "wasi_snapshot_preview1", "wasi_unstable"

# WebAssembly, as far as state 0 needs it. The node has validated the module.

FUNC, TABLE_KIND, MEMORY_KIND, GLOBAL, TAG = range(5)
I32_MATH = {0x6A: int.__add__, 0x6B: int.__sub__, 0x6C: int.__mul__}
I64_MATH = {0x7C: int.__add__, 0x7D: int.__sub__, 0x7E: int.__mul__}


class Module:
    """What a module declares: imports, exports, memories, tables, globals, segments, places of function bodies."""

    def __init__(self, name, data):
        self.imports, self.exports, self.bodies = [], {}, []
        self.tables, self.memories, self.globals, self.elements, self.data = [], [], [], [], []
        reader = Reader(name, data)
        if reader.take(8) != b"\0asm\1\0\0\0":
            reader.fail("no WebAssembly module", 0)
        readers = {
            2: (self.imports, self.import_), 4: (self.tables, self.table), 5: (self.memories, self.limits),
            6: (self.globals, self.global_), 7: (None, self.export), 9: (self.elements, self.element),
            10: (self.bodies, self.body), 11: (self.data, self.segment),
        }
        while reader.at < reader.end:
            number, size = reader.fixed(1), reader.leb(32)
            section = Reader(name, data, reader.at, reader.at + size)
            reader.take(size)
            if number in readers:
                into, read = readers[number]
                found = [read(section) for _ in range(section.leb(32))]
                section.done()
                if into is not None:
                    into.extend(found)

    def import_(self, reader):
        module, name, kind = string(reader), string(reader), reader.fixed(1)
        kinds = {FUNC: lambda r: r.leb(32), TABLE_KIND: self.table_type, MEMORY_KIND: self.limits,
                 GLOBAL: self.global_type, TAG: lambda r: (r.fixed(1), r.leb(32))}
        kinds[kind](reader)
        return module, name, kind

    def export(self, reader):
        name, kind = string(reader), reader.fixed(1)
        self.exports[kind, name] = reader.leb(32)

    def limits(self, reader):
        """The least size."""
        flags = reader.fixed(1)
        least = reader.leb(64)
        if flags & 1:
            reader.leb(64)
        return least

    def value_type(self, reader):
        """Slots of a value of the type."""
        code = reader.fixed(1)
        if code in (0x63, 0x64):
            reader.leb(33, signed=True)
        return 2 if code == 0x7B else 1

    def table_type(self, reader):
        self.value_type(reader)
        return self.limits(reader)

    def table(self, reader):
        """Least size and the expression that fills it."""
        if reader.data[reader.at] != 0x40:
            return self.table_type(reader), [("value", 0)]
        reader.take(2)
        return self.table_type(reader), self.constant(reader)

    def global_type(self, reader):
        return self.value_type(reader), reader.fixed(1) == 1

    def global_(self, reader):
        return self.global_type(reader), self.constant(reader)

    def constant(self, reader):
        """A constant expression as a list of steps."""
        steps = []
        while (code := reader.fixed(1)) != 0x0B:
            if code in (0x41, 0x42):
                bits = 32 if code == 0x41 else 64
                steps.append(("value", reader.leb(bits, signed=True) % (1 << bits)))
            elif code in (0x43, 0x44):
                steps.append(("value", reader.fixed(4 if code == 0x43 else 8)))
            elif code == 0xFD and reader.leb(32) == 12:
                steps.append(("value", reader.fixed(16)))
            elif code == 0xD0:
                reader.leb(33, signed=True)
                steps.append(("value", 0))
            elif code in (0x23, 0xD2):
                steps.append(("global" if code == 0x23 else "func", reader.leb(32)))
            elif code in I32_MATH or code in I64_MATH:
                steps.append(("math", code))
            else:
                reader.fail(f"opcode {code:#x} in a constant expression", reader.at - 1)
        return steps

    def element(self, reader):
        """How a segment is used, its table, offset and items, each an expression."""
        flags = reader.leb(32)
        mode = ("active", "passive", "active", "declared")[flags & 3]
        table = reader.leb(32) if flags & 3 == 2 else 0
        offset = self.constant(reader) if mode == "active" else None
        if flags & 3:
            self.value_type(reader) if flags & 4 else reader.fixed(1)
        item = self.constant if flags & 4 else lambda r: [("func", r.leb(32))]
        return mode, table, offset, [item(reader) for _ in range(reader.leb(32))]

    def body(self, reader):
        size = reader.leb(32)
        reader.take(size)
        return range(reader.at - size, reader.at)

    def segment(self, reader):
        """Memory, offset (none if passive) and bytes of a data segment."""
        flags = reader.leb(32)
        memory = reader.leb(32) if flags == 2 else 0
        offset = None if flags == 1 else self.constant(reader)
        return memory, offset, reader.take(reader.leb(32))


class Instance:
    """What the indices of a module stand for: references, numbers of spaces, and values of globals with their types."""

    def __init__(self, module):
        self.module, self.funcs, self.tables, self.memories, self.globals = module, [], [], [], []
        self.own_globals = []

    def body(self, func):
        """The offsets of the body of a function that the module defines; nothing for others."""
        place = func - (len(self.funcs) - len(self.module.bodies))
        return self.module.bodies[place] if 0 <= place < len(self.module.bodies) else ()


class Start:
    """State 0: all modules linked, active segments applied, nothing executed."""

    def __init__(self):
        self.spaces, self.instances, self.names = {}, [], {}
        # Whether the job has something stand in for functions that nothing provides.
        self.has_stubs = False

    def link(self, name, module):
        """Makes an instance and applies its segments; later ones import from it by `name`."""
        number, instance = len(self.instances), Instance(module)
        for wanted in module.imports:
            self.import_(number, instance, *wanted)
        imported = len(instance.funcs)
        instance.funcs += [1 + (number << 32 | imported + i) for i in range(len(module.bodies))]
        for _ in module.memories:
            instance.memories.append(self.new_space(MEMORY))
        for (slots, mutable), value in module.globals:
            instance.own_globals.append((self.value(instance, value), slots, mutable))
            instance.globals.append(instance.own_globals[-1])
        for least, value in module.tables:
            instance.tables.append(self.new_space(TABLE))
            self.spaces[TABLE, instance.tables[-1]].write(0, self.value(instance, value).to_bytes(8, "little") * least)
        self.apply_segments(instance)
        self.instances.append(instance)
        self.names[name] = instance

    def import_(self, number, instance, module, name, kind):
        lists = {FUNC: "funcs", TABLE_KIND: "tables", MEMORY_KIND: "memories", GLOBAL: "globals"}
        source = self.names.get(module)
        is_linked = source is not None and (kind, name) in source.module.exports
        stands_in = self.has_stubs or (module, name) == ("env", "abort")
        if kind == FUNC and (module in (WASI, WASI_0) or not is_linked and stands_in):
            instance.funcs.append(1 + (number << 32 | len(instance.funcs)))
        elif kind != TAG:
            if not is_linked:
                raise Bad(f"{module}.{name}: not found, is a --preload missing?")
            getattr(instance, lists[kind]).append(getattr(source, lists[kind])[source.module.exports[kind, name]])

    def new_space(self, kind):
        index = sum(1 for other, _ in self.spaces if other == kind)
        self.spaces[kind, index] = Space()
        return index

    def value(self, instance, steps):
        """The value of a constant expression."""
        stack = []
        for step, operand in steps:
            if step == "value":
                stack.append(operand)
            elif step == "global":
                stack.append(instance.globals[operand][0])
            elif step == "func":
                stack.append(instance.funcs[operand])
            else:
                right, left = stack.pop(), stack.pop()
                math = I32_MATH if operand in I32_MATH else I64_MATH
                stack.append(math[operand](left, right) % (1 << (32 if math is I32_MATH else 64)))
        return stack[-1]

    def apply_segments(self, instance):
        for mode, table, offset, values in instance.module.elements:
            if mode == "active":
                data = b"".join(self.value(instance, value).to_bytes(8, "little") for value in values)
                self.spaces[TABLE, instance.tables[table]].write(8 * self.value(instance, offset), data)
        for memory, offset, data in instance.module.data:
            if offset is not None:
                self.spaces[MEMORY, instance.memories[memory]].write(self.value(instance, offset), data)


class Tree:
    """The files that a job begins with: nodes by number, as the host module's state has them, names by directory."""

    def __init__(self, inputs, preopens):
        """`inputs` are lengths by path. A directory comes before what is in it, names are in byte order."""
        lengths = {self.names_of(path): length for path, length in inputs.items()}
        self.opened = [self.names_of(path) for path in preopens]
        paths = {path[:end] for path in [*lengths, *self.opened, ()] for end in range(len(path) + 1)}
        self.numbers = {path: number for number, path in enumerate(sorted(paths))}
        self.nodes, self.names = {}, {}
        below = {path: [] for path in self.numbers}
        for path, number in self.numbers.items():
            if path:
                below[path[:-1]].append((path[-1].decode(), number))
        for path, number in self.numbers.items():
            if path in lengths:
                kind = ("file", {"length": lengths[path], "pages": None})
            else:
                kind = ("directory", {"parent": self.numbers[path[:-1]], "next": len(below[path])})
                self.names[number] = [(position, *name) for position, name in enumerate(below[path])]
            self.nodes[number] = {"kind": kind, "links": 1, "access": 0, "modification": 0, "change": 0}

    @staticmethod
    def names_of(path):
        """The names on a path; none for the root."""
        names = path.strip("/")
        return () if names in ("", ".") else tuple(name.encode() for name in names.split("/"))
