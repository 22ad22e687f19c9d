//! Register code that breaks one rule each: what [`verify`] says of it. A frame has ten slots, function 3 takes two slots,
//! type 5 two, and there are two globals, tables and memories.

use super::*;
use crate::op::{Op, Shape};

/// Slots of a frame.
const SLOTS: u32 = 10;
/// The last slot of a frame, and the first that is none.
const LAST: u16 = 9;
const BEYOND: u16 = 10;
/// Number of the function's first outlined instruction.
const FIRST_OUTLINE: u32 = 7;

const OK: Result<(), (usize, &str)> = Ok(());
const RANGE: &str = "an operand is out of range";
const OUTLINE: &str = "an operand of an outlined instruction is out of range";
const NO_BRANCH: &str = "a branch goes to no instruction";
const NO_TABLE: &str = "a branch table is not followed by its branches";
const SLOT: &str = "a slot is outside the frame";

const RETURN: Inst = Inst::Return;
const EDGE: Inst = Inst::Edge { extra: 0, cost: 1 };
const WIDE: Inst = Inst::Wide { low: 0, high: 0 };
const BRANCH: Inst = Inst::Br { off: 0 };

fn found(code: FuncCode) -> Result<VerifiedCode, (usize, &'static str)> {
    let one = |number: u32, params: u32| move |asked: u32| (asked == number).then_some(params);
    let (callee_params, type_params) = (one(3, 2), one(5, 2));
    let scope = Scope {
        globals: 2,
        tables: 2,
        memories: 2,
        first_outline: FIRST_OUTLINE,
        callee_params: &callee_params,
        type_params: &type_params,
    };
    verify(code, &scope)
}

fn code(insts: &[Inst]) -> FuncCode {
    let entries = vec![EntryPoint { index: 0, pc: 0, cost: 1 }];
    FuncCode { insts: insts.to_vec(), entries, frame_slots: SLOTS, outlines: Vec::new() }
}

/// What is said of this code.
fn said(insts: &[Inst]) -> Result<(), (usize, &'static str)> {
    found(code(insts)).map(drop)
}

#[test]
fn verified_code_is_what_was_given() {
    let given = FuncCode { outlines: vec![outline(Op::V128Load, Some(1))], ..code(&[Inst::Nop, RETURN]) };
    let verified = found(given.clone()).unwrap();
    assert_eq!(verified.insts(), given.insts);
    assert_eq!(verified.frame_slots(), given.frame_slots);
    assert_eq!(verified.outlines(), given.outlines);
    assert_eq!(verified.into_entries(), given.entries);
}

#[test]
fn words_stand_where_they_belong() {
    let cases: [(&[Inst], _); 10] = [
        (&[RETURN], OK),
        (&[Inst::Const64 { d: 0, low: 1 }, WIDE, RETURN], OK),
        (&[Inst::Const64 { d: 0, low: 1 }, RETURN], Err((0, "words are not where they belong"))),
        (&[RETURN, Inst::Const64 { d: 0, low: 1 }], Err((1, "the code ends inside an instruction"))),
        (&[RETURN, Inst::CallRef { base: 0, a: 0 }, WIDE], Err((1, "the code ends inside an instruction"))),
        (&[WIDE, RETURN], Err((0, "words are not where they belong"))),
        (&[RETURN, EDGE], Err((1, "words are not where they belong"))),
        (&[Inst::Nop], Err((0, "the code ends after an instruction that goes on"))),
        (&[Inst::Nop, RETURN, RETURN, Inst::Nop], Err((3, "the code ends after an instruction that goes on"))),
        (&[], Err((0, "an entry is at no instruction"))),
    ];
    for (insts, expected) in cases {
        assert_eq!(said(insts), expected, "{insts:?}");
    }
}

#[test]
fn every_entry_is_at_an_instruction() {
    let constant = [Inst::Nop, Inst::Const64 { d: 0, low: 1 }, WIDE, RETURN];
    for (pc, is_right) in [(0, true), (1, true), (2, false), (3, true), (4, false), (u32::MAX, false)] {
        let more = EntryPoint { index: 1, pc, cost: 1 };
        let mut code = code(&constant);
        code.entries.push(more);
        let expected = if is_right { OK } else { Err((0, "an entry is at no instruction")) };
        assert_eq!(found(code).map(drop), expected, "{pc}");
    }
}

#[test]
fn slots_lie_in_the_frame() {
    let at = |slot: u16| -> [[Inst; 3]; 7] {
        let alone = |inst| [inst, RETURN, RETURN];
        [
            alone(Inst::Copy { d: slot, a: 0 }),
            alone(Inst::Copy { d: 0, a: slot }),
            alone(Inst::I32Add { d: 0, a: 0, b: slot }),
            alone(Inst::ReturnOne { a: slot }),
            alone(Inst::V128Load { d: slot - 1, a: 0, off: 0 }),
            [Inst::Const64 { d: slot, low: 0 }, WIDE, RETURN],
            [Inst::BrEqz { a: slot, off: 2 }, EDGE, RETURN],
        ]
    };
    for insts in at(LAST) {
        assert_eq!(said(&insts), OK, "{insts:?}");
    }
    for insts in at(BEYOND) {
        assert_eq!(said(&insts), Err((0, SLOT)), "{insts:?}");
    }
}

#[test]
fn branches_go_to_instructions() {
    let to = |off: i32| [Inst::Nop, Inst::Br { off }, EDGE, RETURN].to_vec();
    for (off, is_right) in [(-1, true), (0, true), (1, false), (2, true), (3, false), (-2, false), (i32::MAX, false)] {
        let expected = if is_right { OK } else { Err((1, NO_BRANCH)) };
        assert_eq!(said(&to(off)), expected, "{off}");
    }
    let short = |off: i16| [Inst::BrI32LtSImm { a: 0, imm: 1, off }, EDGE, RETURN];
    assert_eq!(said(&short(2)), OK);
    assert_eq!(said(&short(1)), Err((0, NO_BRANCH)));
    assert_eq!(said(&[Inst::BrEqz { a: 0, off: 2 }, WIDE, RETURN]), Err((0, RANGE)));
}

#[test]
fn a_branch_table_is_followed_by_its_branches() {
    let table = |count: u32, tail: &[Inst]| said(&[&[Inst::BrTable { a: 0, count }], tail].concat());
    let one = [BRANCH, EDGE];
    assert_eq!(table(0, &one), OK);
    assert_eq!(table(1, &[one, one].concat()), OK);
    assert_eq!(table(1, &[&[one, one].concat()[..], &[RETURN]].concat()), OK);
    assert_eq!(table(1, &one), Err((0, NO_TABLE)));
    assert_eq!(table(2, &[one, one].concat()), Err((0, NO_TABLE)));
    assert_eq!(table(u32::MAX, &[one, one].concat()), Err((0, NO_TABLE)));
    assert_eq!(table(0, &[RETURN]), Err((0, NO_TABLE)));
    assert_eq!(table(1, &[BRANCH, EDGE, Inst::Nop, RETURN]), Err((0, NO_TABLE)));
    assert_eq!(table(1, &[Inst::Nop, RETURN, BRANCH, EDGE]), Err((0, NO_TABLE)));
}

#[test]
fn globals_and_results_are_there() {
    let cases = [
        (Inst::GlobalGet { d: 0, global: 1 }, OK),
        (Inst::GlobalGet { d: 0, global: 2 }, Err((0, RANGE))),
        (Inst::GlobalGet { d: 0, global: 3 }, Err((0, RANGE))),
        (Inst::GlobalSet { a: 0, global: 1 }, OK),
        (Inst::GlobalSet { a: 0, global: 2 }, Err((0, RANGE))),
        (Inst::ReturnMany { a: 8, count: 2 }, OK),
        (Inst::ReturnMany { a: 8, count: 1 }, OK),
        (Inst::ReturnMany { a: 8, count: 3 }, Err((0, RANGE))),
        (Inst::ReturnMany { a: 0, count: 10 }, OK),
        (Inst::ReturnMany { a: 0, count: 11 }, Err((0, RANGE))),
        (Inst::ReturnMany { a: 8, count: u32::MAX }, Err((0, RANGE))),
    ];
    for (inst, expected) in cases {
        assert_eq!(said(&[inst, RETURN]), expected, "{inst:?}");
    }
}

#[test]
fn third_slots_lie_in_the_frame_and_in_the_right_word() {
    let select = Inst::Select { d: 0, a: 0, b: 0 };
    let with = |second| said(&[select, second, RETURN]);
    assert_eq!(with(Inst::Wide { low: 0, high: LAST }), OK);
    assert_eq!(with(Inst::Wide { low: 0, high: BEYOND }), Err((0, RANGE)));
    assert_eq!(with(Inst::Edge { extra: 0, cost: 0 }), Err((0, RANGE)));
    let step = Inst::StepI32Ne { a: 0, imm: 1, off: 2 };
    let with = |second| said(&[step, second, RETURN]);
    assert_eq!(with(Inst::Edge { extra: LAST, cost: 0 }), OK);
    assert_eq!(with(Inst::Edge { extra: BEYOND, cost: 0 }), Err((0, RANGE)));
    assert_eq!(with(Inst::Wide { low: 0, high: 0 }), Err((0, RANGE)));
    // The immediate of a fused pair is no slot, and its word is the wide one.
    let by_immediate = Inst::I32AddAddImm { d: 0, a: 0, b: 0 };
    assert_eq!(said(&[by_immediate, Inst::Wide { low: 0, high: 31 }, RETURN]), OK);
    assert_eq!(said(&[by_immediate, EDGE, RETURN]), Err((0, RANGE)));
}

#[test]
fn calls_name_functions_and_types_that_are_there_and_their_arguments_lie_in_the_frame() {
    let typed = |low: u32, high: u16| Inst::Wide { low, high };
    let cases: [(&[Inst], bool); 29] = [
        (&[Inst::Call { base: 8, func: 3 }, EDGE], true),
        (&[Inst::Call { base: 9, func: 3 }, EDGE], false),
        (&[Inst::Call { base: 8, func: 4 }, EDGE], false),
        (&[Inst::Call { base: 8, func: 3 }, WIDE], false),
        (&[Inst::ReturnCall { base: 8, func: 3 }, WIDE], true),
        (&[Inst::ReturnCall { base: 9, func: 3 }, WIDE], false),
        (&[Inst::ReturnCall { base: 8, func: 4 }, WIDE], false),
        (&[Inst::ReturnCall { base: 8, func: 3 }, EDGE], false),
        (&[Inst::CallIndirect { base: 8, a: 0 }, typed(5, 1), EDGE], true),
        (&[Inst::CallIndirect { base: 9, a: 0 }, typed(5, 1), EDGE], false),
        (&[Inst::CallIndirect { base: 8, a: 0 }, typed(6, 1), EDGE], false),
        (&[Inst::CallIndirect { base: 8, a: 0 }, typed(5, 2), EDGE], false),
        (&[Inst::CallIndirect { base: 8, a: 0 }, typed(5, 1), WIDE], false),
        (&[Inst::CallIndirect { base: 8, a: 0 }, EDGE, EDGE], false),
        (&[Inst::ReturnCallIndirect { base: 8, a: 0 }, typed(5, 1), WIDE], true),
        (&[Inst::ReturnCallIndirect { base: 9, a: 0 }, typed(5, 1), WIDE], false),
        (&[Inst::ReturnCallIndirect { base: 8, a: 0 }, typed(6, 1), WIDE], false),
        (&[Inst::ReturnCallIndirect { base: 8, a: 0 }, typed(5, 2), WIDE], false),
        (&[Inst::ReturnCallIndirect { base: 8, a: 0 }, typed(5, 1), EDGE], false),
        (&[Inst::CallRef { base: 8, a: 0 }, typed(5, 0), EDGE], true),
        (&[Inst::CallRef { base: 8, a: 0 }, typed(5, 9), EDGE], true),
        (&[Inst::CallRef { base: 9, a: 0 }, typed(5, 0), EDGE], false),
        (&[Inst::CallRef { base: 8, a: 0 }, typed(6, 0), EDGE], false),
        (&[Inst::CallRef { base: 8, a: 0 }, typed(5, 0), WIDE], false),
        (&[Inst::ReturnCallRef { base: 8, a: 0 }, typed(5, 0), WIDE], true),
        (&[Inst::ReturnCallRef { base: 9, a: 0 }, typed(5, 0), WIDE], false),
        (&[Inst::ReturnCallRef { base: 8, a: 0 }, typed(6, 0), WIDE], false),
        (&[Inst::ReturnCallRef { base: 8, a: 0 }, typed(5, 0), EDGE], false),
        (&[Inst::ReturnCallRef { base: 8, a: 0 }, EDGE, WIDE], false),
    ];
    for (words, is_right) in cases {
        let expected = if is_right { OK } else { Err((0, RANGE)) };
        assert_eq!(said(&[words, &[RETURN]].concat()), expected, "{words:?}");
    }
}

#[test]
fn instructions_without_slots_in_their_words_take_wide_ones() {
    let far = Inst::I32LoadFar { d: 0, a: 0 };
    assert_eq!(said(&[far, Inst::Wide { low: u32::MAX, high: u16::MAX }, RETURN]), OK);
    assert_eq!(said(&[far, EDGE, RETURN]), Err((0, RANGE)));
}

fn outline(op: Op, memory: Option<u32>) -> Outline {
    let shape = op.shape().unwrap();
    Outline { op, shape, lane: 0, memory, offset: 0, bytes: 1, constant: 0 }
}

/// What is said of an outlined instruction with these slots, under this number.
fn outlined(what: Outline, slots: [u16; 4], number: u32) -> Result<(), (usize, &'static str)> {
    let [d, a, b, c] = slots;
    let insts = [Inst::Outline { d, a, b }, Inst::Wide { low: number, high: c }, RETURN];
    found(FuncCode { outlines: vec![what], ..code(&insts) }).map(drop)
}

#[test]
fn an_outlined_instruction_is_there_and_has_its_shape() {
    let add = outline(Op::I8x16Add, None);
    assert_eq!(outlined(add, [8, 8, 8, 0], FIRST_OUTLINE), OK);
    for number in [0, FIRST_OUTLINE - 1, FIRST_OUTLINE + 1, u32::MAX] {
        assert_eq!(outlined(add, [0; 4], number), Err((0, "an outlined instruction is not there")), "{number}");
    }
    let other = Outline { shape: Shape { operands: [1, 0, 0], result: 1 }, ..add };
    assert_eq!(outlined(other, [0; 4], FIRST_OUTLINE), Err((0, "an outlined instruction has another shape")));
    let insts = [Inst::Outline { d: 0, a: 0, b: 0 }, EDGE, RETURN];
    assert_eq!(said(&insts), Err((0, RANGE)));
}

/// By instruction: the slots that it takes from `d`, `a`, `b` and `c` on.
#[test]
fn the_slots_of_an_outlined_instruction_lie_in_the_frame() {
    let cases = [
        (outline(Op::I8x16Add, None), [2, 2, 2, 1]),
        (outline(Op::V128Bitselect, None), [2, 2, 2, 2]),
        // What computes writes two slots.
        (outline(Op::I8x16AllTrue, None), [2, 2, 1, 1]),
        (outline(Op::V128Const, None), [2, 1, 1, 1]),
        (outline(Op::V128Load, Some(1)), [2, 1, 1, 1]),
        (outline(Op::I32Load, Some(0)), [1, 1, 1, 1]),
        // What stores writes none, wherever it says.
        (outline(Op::V128Store, Some(1)), [0, 1, 2, 1]),
        (outline(Op::I64Store, Some(1)), [0, 1, 1, 1]),
    ];
    for (what, taken) in cases {
        for place in 0..4 {
            let least_outside = SLOTS as u16 + 1 - taken[place];
            for (slot, is_right) in [(least_outside - 1, true), (least_outside, false), (u16::MAX, false)] {
                let mut slots = [0; 4];
                slots[place] = slot;
                let expected = if is_right || taken[place] == 0 { OK } else { Err((0, OUTLINE)) };
                assert_eq!(outlined(what, slots, FIRST_OUTLINE), expected, "{what:?} {slots:?}");
            }
        }
    }
}

#[test]
fn an_outlined_instruction_names_a_memory_if_and_only_if_it_accesses_one() {
    let cases = [
        (Op::V128Load, Some(1), true),
        (Op::V128Load, Some(2), false),
        (Op::V128Load, Some(3), false),
        (Op::V128Load, None, false),
        (Op::I8x16Add, None, true),
        (Op::I8x16Add, Some(0), false),
    ];
    for (op, memory, is_right) in cases {
        let expected = if is_right { OK } else { Err((0, OUTLINE)) };
        assert_eq!(outlined(outline(op, memory), [0; 4], FIRST_OUTLINE), expected, "{op:?} {memory:?}");
    }
}
