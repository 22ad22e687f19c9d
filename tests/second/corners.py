#!/usr/bin/env python3
"""Writes two modules, corners.wasm and the corners_lib.wasm that it imports from, with what state 0 can be made of and
compilers rarely use: each form of element and data segment, tables with a value of their own, 64-bit memories and tables,
constant expressions that compute, and references to functions of the other module and of the host.

    corners.py DIR
"""

import sys
from pathlib import Path

FUNCREF, EXTERNREF, ANY_FUNC, TYPE_1 = b"\x70", b"\x6f", b"\x64\x70", b"\x63\x01"
I32, F32, F64, V128 = b"\x7f", b"\x7d", b"\x7c", b"\x7b"
I32_ADD, I32_SUB, I32_MUL, I64_ADD, I64_SUB, I64_MUL = (bytes([code]) for code in (0x6A, 0x6B, 0x6C, 0x7C, 0x7D, 0x7E))


def leb(number, signed=False):
    """LEB128."""
    out = b""
    while True:
        low, number = number & 0x7F, number >> 7
        if number == (-(low >> 6) if signed else 0):
            return out + bytes([low])
        out += bytes([low | 0x80])


def vector(items):
    return leb(len(items)) + b"".join(items)


def sized(content):
    return leb(len(content)) + content


def text(name):
    return sized(name.encode())


def section(number, items):
    return bytes([number]) + sized(vector(items))


def i32(number):
    return b"\x41" + leb(number, signed=True)


def i64(number):
    return b"\x42" + leb(number, signed=True)


def v128(number):
    return b"\xfd\x0c" + number.to_bytes(16, "little")


def get(index):
    return b"\x23" + leb(index)


def func(index):
    return b"\xd2" + leb(index)


def null(heap):
    return b"\xd0" + heap


def constant(*steps):
    return b"".join(steps) + b"\x0b"


def limits(least, most, wide=False):
    return bytes([5 if wide else 1]) + leb(least) + leb(most)


def global_(type_, value, mutable=False):
    return type_ + bytes([mutable]) + value


def body(locals_, *code):
    return sized(locals_ + b"".join(code) + b"\x0b")


def indices(*functions):
    return vector([leb(index) for index in functions])


TYPES = section(1, [b"\x60\x00\x01\x7f", b"\x60\x01\x7f\x01\x7f", b"\x60\x00\x00"])
YIELD = text("wasi_snapshot_preview1") + text("sched_yield") + b"\x00\x00"
NO_LOCALS, ONE_I32 = b"\x00", b"\x01\x01\x7f"


def library():
    """Function 0 is the host's, 1 doubles, 2 starts."""
    return b"".join([
        b"\0asm\1\0\0\0", TYPES, section(2, [YIELD]), section(3, [b"\x01", b"\x02"]),
        section(4, [b"\x40\x00" + FUNCREF + limits(600, 700) + constant(func(1))]),
        section(5, [limits(1, 3), limits(2, 4, wide=True)]),
        section(6, [
            global_(I32, constant(i32(4090))), global_(V128, constant(v128(1 << 127 | 5))),
            global_(F64, b"\x44" + bytes(6) + b"\xf8\x7f\x0b"), global_(FUNCREF, constant(func(0))),
            global_(I32, constant(i32(-7)), mutable=True),
        ]),
        section(7, [
            text("yield") + b"\x00\x00", text("double") + b"\x00\x01", text("table") + b"\x01\x00",
            text("memory") + b"\x02\x00", text("wide") + b"\x02\x01", text("base") + b"\x03\x00", text("host") + b"\x03\x03",
        ]),
        b"\x08\x01\x02",
        section(9, [b"\x00" + constant(i32(590)) + indices(0, 1)]),
        section(10, [
            body(NO_LOCALS, b"\x20\x00\x20\x00", I32_ADD),
            body(NO_LOCALS, get(4), i32(1), I32_ADD, b"\x24\x04"),
        ]),
        section(11, [
            b"\x00" + constant(i32(4090)) + text("0123456789abcdef"),
            b"\x02\x01" + constant(i64(65530)) + text("a wide one"),
        ]),
    ])


def program():
    """Functions 0 to 2 are imported, the last from the host; 3 gives its argument, 4 starts, 5 is `run`."""
    lib = text("lib")
    return b"".join([
        b"\0asm\1\0\0\0", TYPES,
        section(2, [
            lib + text("yield") + b"\x00\x00", lib + text("double") + b"\x00\x01", YIELD,
            lib + text("table") + b"\x01" + FUNCREF + limits(600, 700), lib + text("memory") + b"\x02" + limits(1, 3),
            lib + text("wide") + b"\x02" + limits(2, 4, wide=True),
            lib + text("base") + b"\x03" + I32 + b"\x00", lib + text("host") + b"\x03" + FUNCREF + b"\x00",
        ]),
        section(3, [b"\x01", b"\x02", b"\x00"]),
        section(4, [
            b"\x40\x00" + FUNCREF + limits(3, 3) + constant(get(1)), EXTERNREF + limits(2, 10, wide=True),
            b"\x40\x00" + TYPE_1 + limits(4, 1000) + constant(func(3)), b"\x40\x00" + ANY_FUNC + limits(5, 5) + constant(func(2)),
        ]),
        section(5, [limits(1, 2)]),
        section(6, [
            global_(I32, constant(get(0), i32(2), I32_MUL, i32(16), I32_ADD)), global_(V128, constant(v128(3))),
            global_(b"\x7e", constant(i64(-3), i64(1 << 62), I64_MUL, i64(1), I64_SUB)),
            global_(FUNCREF, constant(func(2)), mutable=True), global_(F32, b"\x43\x00\x00\xc0\x7f\x0b"),
        ]),
        section(7, [text("run") + b"\x00\x05"]),
        b"\x08\x01\x04",
        section(9, [
            b"\x00" + constant(i32(10)) + indices(3, 1, 2, 0),
            b"\x01\x00" + indices(1),
            b"\x02\x01" + constant(i32(1)) + b"\x00" + indices(3),
            b"\x03\x00" + indices(3),
            b"\x04" + constant(get(2), i32(7685), I32_SUB) + vector([constant(func(3)), constant(null(FUNCREF)), constant(get(1))]),
            b"\x05" + EXTERNREF + vector([constant(null(EXTERNREF))]),
            b"\x06\x03" + constant(i32(2)) + TYPE_1 + vector([constant(func(1)), constant(null(b"\x01"))]),
            b"\x07" + FUNCREF + vector([constant(func(2))]),
        ]),
        b"\x0c\x01\x04",
        section(10, [body(NO_LOCALS, b"\x20\x00"), body(NO_LOCALS, func(1), b"\x24\x05"), run()]),
        section(11, [
            b"\x00" + constant(get(0), i32(6), I32_ADD) + text("XYZ"), b"\x01" + text("passive"),
            b"\x02\x02" + constant(i32(65530)) + text("finale"),
            b"\x02\x01" + constant(i64(131), i64(1000), I64_MUL, i64(66), I64_ADD) + text("last"),
        ]),
    ])


def run():
    """Writes to all memories and two tables, grows both, drops segments."""
    counter, store = b"\x20\x00", b"\x36\x42"
    write = [
        counter, i32(1000), I32_MUL, counter, store + b"\x00\x00",
        counter, b"\xad", i64(3000), I64_MUL, counter, store + b"\x01\x00",
        counter, i32(20), I32_ADD, func(2), b"\x26\x00",
    ]
    again = [counter, i32(1), I32_ADD, b"\x22\x00", i32(40), b"\x49\x0d\x00\x0b"]
    grow = [
        i32(100), i32(0), i32(7), b"\xfc\x08\x01\x02", b"\xfc\x09\x01", b"\xfc\x0d\x01",
        func(1), i32(600), b"\xfc\x0f\x03\x1a", i32(1), b"\x40\x02\x1a", i32(0), b"\x21\x00",
    ]
    loop = b"\x03\x40"
    return body(ONE_I32, loop, *write, *again, *grow, loop, *write, *again, counter)


def main():
    """Writes both modules."""
    directory = Path(sys.argv[1])
    (directory / "corners_lib.wasm").write_bytes(library())
    (directory / "corners.wasm").write_bytes(program())


if __name__ == "__main__":
    main()
