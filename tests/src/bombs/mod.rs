//! Modules that are made to be dear: each is one construct of the language as often as there is room. What they cost to load
//! and to run once is in proportion to their bytes, natively and as wasm, and the outcome is the same.

mod encode;
mod measure;

use encode::{Encoder, func_type, leb, list, name};

pub use measure::{Cost, Nothing, Place, Row, measure, nothing, row};

/// A kind of module, made from a number.
#[derive(Clone, Copy)]
pub struct Bomb {
    /// What it is full of.
    pub name: &'static str,
    /// The module with so many of them.
    pub make: fn(usize) -> Vec<u8>,
    /// How many make 300 KB or so.
    pub size: usize,
}

const I32: u8 = 0x7f;
/// No locals.
const NONE: [u8; 1] = [0];

/// All of them.
pub const BOMBS: &[Bomb] = &[
    Bomb { name: "targets of a branch table", make: |n| plain(branch_table(n)), size: 300_000 },
    Bomb { name: "targets of a branch table that carry 1,000 values", make: |n| wide(&branch_table(n)), size: 40_000 },
    Bomb {
        name: "targets of a branch table, few, that carry 1,000 values",
        make: |n| wide(&branch_table(n)),
        size: 300,
    },
    Bomb { name: "targets of branch tables of 100", make: |n| plain(branch_tables(n)), size: 3_000 },
    Bomb {
        name: "conditional branches that carry 1,000 values",
        make: |n| wide(&[0x41, 0, 0x0d, 0].repeat(n)),
        size: 40_000,
    },
    Bomb {
        name: "conditional branches that carry 1,000 values, few",
        make: |n| wide(&[0x41, 0, 0x0d, 0].repeat(n)),
        size: 300,
    },
    Bomb { name: "calls of 1,000 parameters in unreachable code", make: wide_calls, size: 100_000 },
    Bomb { name: "calls of 16 results", make: |n| sixteen_results(n, &[]), size: 15_000 },
    Bomb { name: "calls of 16 results in unreachable code", make: |n| sixteen_results(n, &[0x00]), size: 100_000 },
    Bomb { name: "functions of 1,000 parameters", make: |n| many(n, &[I32; 1000], &NONE, &[]), size: 40_000 },
    Bomb { name: "imports of a type of 1,000 parameters", make: wide_imports, size: 40_000 },
    Bomb { name: "blocks, nested", make: |n| plain([[0x02, 0x40].repeat(n), vec![0x0b; n]].concat()), size: 100_000 },
    Bomb { name: "loops, nested", make: |n| plain([[0x03, 0x40].repeat(n), vec![0x0b; n]].concat()), size: 100_000 },
    Bomb {
        name: "ifs, nested",
        make: |n| plain([[0x41, 1, 0x04, 0x40].repeat(n), vec![0x0b; n]].concat()),
        size: 60_000,
    },
    Bomb {
        name: "try_tables, nested",
        make: |n| plain([[0x1f, 0x40, 0].repeat(n), vec![0x0b; n]].concat()),
        size: 75_000,
    },
    Bomb {
        name: "try_tables of a clause, nested",
        make: |n| plain([[0x1f, 0x40, 1, 2, 0].repeat(n), vec![0x0b; n]].concat()),
        size: 50_000,
    },
    Bomb {
        name: "landings above 30,000 operands",
        make: |n| deep(&[0x02, 0x40, 0x41, 0, 0x0d, 0, 0x0b], n),
        size: 34_000,
    },
    Bomb { name: "data.drop above 30,000 operands", make: drops, size: 80_000 },
    Bomb { name: "functions of 49,999 locals", make: |n| declaring(n, &locals_at_once(), 2), size: 30_000 },
    Bomb { name: "functions of 20,000 locals one by one", make: |n| declaring(n, &locals_one_by_one(), 1), size: 8 },
    Bomb { name: "functions", make: |n| many(n, &[], &NONE, &[]), size: 40_000 },
    Bomb { name: "types", make: |n| plain_with(1, list((0..n).map(distinct_type)), vec![]), size: 40_000 },
    Bomb { name: "recursion groups", make: |n| plain_with(1, list((0..n).map(group)), vec![]), size: 40_000 },
    Bomb { name: "tags", make: |n| plain_with(13, list(vec![vec![0, 0]; n]), vec![]), size: 150_000 },
    Bomb { name: "data segments", make: |n| plain_with(11, list(vec![vec![1, 0]; n]), vec![]), size: 100_000 / 2 },
    Bomb { name: "element segments", make: |n| plain_with(9, list(vec![vec![1, 0, 0]; n]), vec![]), size: 100_000 / 2 },
    Bomb {
        name: "elements",
        make: |n| plain_with(9, list([[vec![1, 0], list(vec![vec![0]; n])].concat()]), vec![]),
        size: 300_000,
    },
    Bomb { name: "globals", make: |n| plain_with(6, list(vec![vec![I32, 0, 0x41, 0, 0x0b]; n]), vec![]), size: 60_000 },
    Bomb { name: "exports", make: exports, size: 40_000 },
    Bomb { name: "names of functions", make: names, size: 30_000 },
    Bomb { name: "clauses of try_tables", make: clauses, size: 40 },
    Bomb { name: "instructions that do nothing", make: |n| plain(vec![0x01; n]), size: 300_000 },
    Bomb {
        name: "instructions of one byte",
        make: |n| plain([vec![0x41, 0], vec![0x45; n], vec![0x1a]].concat()),
        size: 300_000,
    },
    Bomb { name: "indirect calls", make: |n| indirect(n), size: 75_000 },
    Bomb { name: "one function of the greatest size", make: |n| plain(vec![0x01; n]), size: 3_827_000 },
    Bomb { name: "one function of 20 MB", make: |n| plain(vec![0x01; n * 66]), size: 300_000 },
    Bomb { name: "functions of 20,000 locals, every other a vector", make: |n| declaring(n, &vectors(), 1), size: 8 },
    Bomb { name: "operands that are vectors", make: vector_operands, size: 60_000 },
    Bomb {
        name: "steps of a global's constant",
        make: |n| plain_with(6, list([[vec![I32, 0], constant(n), vec![0x0b]].concat()]), vec![]),
        size: 100_000,
    },
    Bomb { name: "steps of an offset's constant", make: long_offset, size: 100_000 },
    Bomb {
        name: "blocks of 1,000 results in unreachable code",
        make: |n| wide(&[vec![0x00], [0x02, 0, 0x00, 0x0b].repeat(n)].concat()),
        size: 75_000,
    },
    Bomb {
        name: "blocks of 1,000 results, few",
        make: |n| wide(&[vec![0x00], [0x02, 0, 0x00, 0x0b].repeat(n)].concat()),
        size: 400,
    },
    Bomb { name: "imports", make: imports, size: 50_000 },
    Bomb { name: "custom sections", make: |n| (0..n).fold(Encoder::default(), custom).finish_plain(), size: 75_000 },
    Bomb {
        name: "element expressions",
        make: |n| plain_with(9, list([[vec![5, 0x70], list(vec![vec![0xd2, 0, 0x0b]; n])].concat()]), vec![]),
        size: 100_000,
    },
    Bomb {
        name: "selects",
        make: |n| plain([vec![0x41, 0], [0x41, 0, 0x41, 0, 0x1b].repeat(n), vec![0x1a]].concat()),
        size: 60_000,
    },
    Bomb {
        name: "selects of references",
        make: |n| plain([vec![0xd0, 0x70], [0xd0, 0x70, 0x41, 0, 0x1c, 1, 0x70].repeat(n), vec![0x1a]].concat()),
        size: 40_000,
    },
    Bomb { name: "memories", make: |n| plain_with(5, list(vec![vec![0, 0]; n]), vec![]), size: 50 },
    Bomb { name: "memories, too many", make: |n| plain_with(5, list(vec![vec![0, 0]; n]), vec![]), size: 150_000 },
    Bomb { name: "tables", make: |n| plain_with(4, list(vec![vec![0x70, 0, 0]; n]), vec![]), size: 50 },
    Bomb { name: "tables, too many", make: |n| plain_with(4, list(vec![vec![0x70, 0, 0]; n]), vec![]), size: 100_000 },
    Bomb { name: "a long start function", make: |n| plain_with(8, leb(0), vec![0x01; n]), size: 300_000 },
    Bomb { name: "names of locals", make: local_names, size: 50_000 },
    Bomb { name: "active data segments", make: active_data, size: 45_000 },
    Bomb { name: "a count of types, and nothing else", make: |n| counted(1, n), size: 500_000 },
    Bomb { name: "a count of functions, and nothing else", make: |n| counted(3, n), size: 500_000 },
    Bomb { name: "a count of globals, and nothing else", make: |n| counted(6, n), size: 500_000 },
    Bomb { name: "a count of exports, and nothing else", make: |n| counted(7, n), size: 50_000 },
    Bomb { name: "a count of element segments, and nothing else", make: |n| counted(9, n), size: 50_000 },
    Bomb { name: "a count of data segments, and nothing else", make: |n| counted(11, n), size: 50_000 },
];

/// A function without parameters and results of this code, which is run.
fn plain(code: Vec<u8>) -> Vec<u8> {
    Encoder::default().section(1, list([func_type(&[], &[])])).func(0, NONE.to_vec(), code).finish(0)
}

/// The same with a section of its own.
fn plain_with(id: u8, bytes: Vec<u8>, code: Vec<u8>) -> Vec<u8> {
    let encoder = Encoder::default().section(id, bytes);
    let encoder = if id == 1 { encoder } else { encoder.section(1, list([func_type(&[], &[])])) };
    encoder.func(0, NONE.to_vec(), code).finish(0)
}

fn branch_table(n: usize) -> Vec<u8> {
    [vec![0x41, 0, 0x0e], leb(n), vec![0; n + 1]].concat()
}

/// A function of 1,000 results of this code behind as many constants.
fn wide(code: &[u8]) -> Vec<u8> {
    let run = [vec![0x10, 0], vec![0x1a; 1000]].concat();
    Encoder::default()
        .section(1, list([func_type(&[], &[I32; 1000]), func_type(&[], &[])]))
        .func(0, NONE.to_vec(), [&[0x41, 0].repeat(1000), code].concat())
        .func(1, NONE.to_vec(), run)
        .finish(1)
}

/// So many branch tables of 100 targets, each in a block.
fn branch_tables(n: usize) -> Vec<u8> {
    [vec![0x02, 0x40], branch_table(100), vec![0x0b]].concat().repeat(n)
}

/// So many calls of a function of 16 results behind this code, which are dropped where that can be reached.
fn sixteen_results(n: usize, before: &[u8]) -> Vec<u8> {
    let drops = if before.is_empty() { vec![0x1a; 16 * n] } else { Vec::new() };
    Encoder::default()
        .section(1, list([func_type(&[], &[I32; 16]), func_type(&[], &[])]))
        .func(0, NONE.to_vec(), [0x41, 0].repeat(16))
        .func(1, NONE.to_vec(), [before.to_vec(), [0x10, 0].repeat(n), drops].concat())
        .finish(1)
}

fn wide_calls(n: usize) -> Vec<u8> {
    Encoder::default()
        .section(1, list([func_type(&[I32; 1000], &[I32; 1000]), func_type(&[], &[])]))
        .func(0, NONE.to_vec(), vec![0x00])
        .func(1, NONE.to_vec(), [vec![0x00], [0x10, 0].repeat(n)].concat())
        .finish(1)
}

fn wide_imports(n: usize) -> Vec<u8> {
    let import = [name(b"m"), name(b"f"), vec![0, 0]].concat();
    Encoder::default()
        .section(1, list([func_type(&[I32; 1000], &[I32; 1000]), func_type(&[], &[])]))
        .section(2, list(vec![import; n]))
        .func(1, NONE.to_vec(), vec![])
        .finish(n)
}

/// So many functions with these parameters, locals and this code; one that calls each follows.
fn many(n: usize, params: &[u8], locals: &[u8], code: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::default().section(1, list([func_type(params, &[]), func_type(&[], &[])]));
    for _ in 0..n {
        encoder = encoder.func(0, locals.to_vec(), code.to_vec());
    }
    let arguments = [0x41, 0].repeat(params.len());
    let calls = (0..n.min(if params.is_empty() { n } else { 1 }))
        .flat_map(|func| [arguments.clone(), vec![0x10], leb(func)].concat());
    encoder.func(1, NONE.to_vec(), calls.collect()).finish(n)
}

/// So many functions with these locals, of which one is called: what a call sets to zero is paid by its gas.
fn declaring(n: usize, locals: &[u8], called: usize) -> Vec<u8> {
    let mut encoder = Encoder::default().section(1, list([func_type(&[], &[])]));
    for _ in 0..n {
        encoder = encoder.func(0, locals.to_vec(), vec![]);
    }
    encoder.func(0, NONE.to_vec(), [0x10, 0].repeat(called)).finish(n)
}

fn locals_at_once() -> Vec<u8> {
    list([[leb(49_999), vec![I32]].concat()])
}

fn locals_one_by_one() -> Vec<u8> {
    list((0..20_000_u32).map(|local| vec![1, I32 - (local % 2) as u8]))
}

/// 30,000 operands, then so many times this code.
fn deep(code: &[u8], n: usize) -> Vec<u8> {
    plain([[0x41, 0].repeat(30_000), code.repeat(n), vec![0x1a; 30_000]].concat())
}

fn drops(n: usize) -> Vec<u8> {
    let code = [[0x41, 0].repeat(30_000), [0xfc, 0x09, 0].repeat(n), vec![0x1a; 30_000]].concat();
    Encoder::default()
        .section(1, list([func_type(&[], &[])]))
        .section(12, leb(1))
        .section(11, list([vec![1, 0]]))
        .func(0, NONE.to_vec(), code)
        .finish(0)
}

/// Types of which no two are equal but the first ones.
fn distinct_type(number: usize) -> Vec<u8> {
    let params: Vec<u8> = (0..18).filter(|bit| number >> bit > 0).map(|bit| I32 - (number >> bit & 3) as u8).collect();
    func_type(&params, &[])
}

/// A group of one type that names itself.
fn group(number: usize) -> Vec<u8> {
    match number {
        0 => func_type(&[], &[]),
        _ => {
            let own = [vec![0x63], leb(number)].concat();
            [vec![0x4e, 1, 0x60, 1], own, vec![0]].concat()
        }
    }
}

fn exports(n: usize) -> Vec<u8> {
    let others = (1..n).map(|number| [name(format!("{number:x}").as_bytes()), vec![0, 0]].concat());
    plain_with(7, list([[name(b"run"), vec![0, 0]].concat()].into_iter().chain(others)), vec![])
}

/// Locals of which every other is a vector.
fn vectors() -> Vec<u8> {
    list((0..20_000).map(|local| vec![1, if local % 2 == 0 { 0x7b } else { I32 }]))
}

/// So many vectors on the stack at once.
fn vector_operands(n: usize) -> Vec<u8> {
    plain([[0x41, 0, 0xfd, 0x0f].repeat(n), vec![0x1a; n]].concat())
}

/// A constant expression of so many additions, without its end.
fn constant(n: usize) -> Vec<u8> {
    [vec![0x41, 0], [0x41, 0, 0x6a].repeat(n)].concat()
}

fn long_offset(n: usize) -> Vec<u8> {
    let segment = [vec![0], constant(n), vec![0x0b, 0]].concat();
    Encoder::default().section(5, list([vec![0, 1]])).section(11, list([segment])).finish_plain()
}

/// So many imports of functions that nobody has.
fn imports(n: usize) -> Vec<u8> {
    let import = [name(b"m"), name(b"f"), vec![0, 0]].concat();
    Encoder::default()
        .section(1, list([func_type(&[], &[])]))
        .section(2, list(vec![import; n]))
        .func(0, NONE.to_vec(), vec![])
        .finish(n)
}

fn custom(encoder: Encoder, _: usize) -> Encoder {
    encoder.section(0, name(b"x"))
}

/// Names of so many locals, of one function.
fn local_names(n: usize) -> Vec<u8> {
    let locals = list((0..n).map(|local| [leb(local), name(b"name")].concat()));
    let functions = list([[leb(0), locals].concat()]);
    Encoder::default().section(0, [name(b"name"), vec![2], name(&functions)].concat()).finish_plain()
}

fn active_data(n: usize) -> Vec<u8> {
    let segment = vec![0, 0x41, 0, 0x0b, 1, 7];
    Encoder::default().section(5, list([vec![0, 1]])).section(11, list(vec![segment; n])).finish_plain()
}

/// A section that says how many there are, and has none.
fn counted(id: u8, n: usize) -> Vec<u8> {
    [b"\0asm\x01\0\0\0".to_vec(), vec![id], name(&leb(n))].concat()
}

/// Names of so many functions, which a trap in 64 frames looks for.
fn names(n: usize) -> Vec<u8> {
    let mut encoder = Encoder::default().section(1, list([func_type(&[], &[])]));
    for func in 0..70 {
        encoder = encoder.func(0, NONE.to_vec(), if func == 69 { vec![0x00] } else { vec![0x10, func + 1] });
    }
    for _ in 70..n {
        encoder = encoder.func(0, NONE.to_vec(), vec![]);
    }
    let named = list((0..n).map(|func| [leb(func), name(b"name")].concat()));
    encoder.section(0, [name(b"name"), vec![1], name(&named)].concat()).finish(0)
}

/// So many blocks with a `try_table` of 4,000 clauses in each.
fn clauses(n: usize) -> Vec<u8> {
    let table = [vec![0x1f, 0x40], list(vec![vec![2, 0]; 4000]), vec![0x0b]].concat();
    plain([vec![0x02, 0x40], table, vec![0x0b]].concat().repeat(n))
}

fn indirect(n: usize) -> Vec<u8> {
    Encoder::default()
        .section(1, list([func_type(&[], &[])]))
        .section(4, list([vec![0x70, 0, 1]]))
        .func(0, NONE.to_vec(), [vec![0x0f], [0x41, 0, 0x11, 0, 0].repeat(n)].concat())
        .finish(0)
}
