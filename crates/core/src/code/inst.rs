//! The fast engine's register code. An [`Inst`] is eight bytes: operands and result are slots of the frame (`d` result,
//! `a` and `b` operands), relative to its first local. Instructions that take a second word are followed by
//! [`Inst::Edge`] if they branch or call, and else by [`Inst::Wide`].

use stepmark_op_rules::op_rules;

use super::{append_fused, for_each_inst};

op_rules! {
define_inst(scalar fused) {
    /// An instruction of register code.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[allow(missing_docs, reason = "the generated variants are the instructions of those names")]
    pub enum Inst {
        $($unary { d: u16, a: u16 },)*
        $($binary { d: u16, a: u16, b: u16 },)*
        // The right operand is the constant `bits` and, above it, the `Wide` that follows.
        $($binary_wide { d: u16, a: u16, bits: u16 },)*
        $($int_binary_wide { d: u16, a: u16, bits: u16 },)*
        $($int_binary { d: u16, a: u16, b: u16 }, $int_binary_imm { d: u16, a: u16, imm: i16 },)*
        $($int_compare { d: u16, a: u16, b: u16 }, $int_compare_imm { d: u16, a: u16, imm: i16 },)*
        // Branches to `pc + off` if the comparison holds; the edge's cost follows.
        $($int_compare_br { a: u16, b: u16, off: i16 }, $int_compare_br_imm { a: u16, imm: i16, off: i16 },)*
        $($float_compare { d: u16, a: u16, b: u16 }, $float_compare_br { a: u16, b: u16, off: i16 },
            $float_compare_not { a: u16, b: u16, off: i16 },)*
        $($try_unary { d: u16, a: u16 },)*
        $($try_int_binary { d: u16, a: u16, b: u16 }, $try_int_binary_imm { d: u16, a: u16, imm: i16 },)*
        // Address in `a`, offset `off`; the far form has its offset in the following `Wide`.
        $($load { d: u16, a: u16, off: u16 }, $load_far { d: u16, a: u16 },)*
        // Address `a + imm`, or `a + (b << k)` with `k` in `high`; offset in `low`.
        $($load_plus { d: u16, a: u16, imm: i16 }, $load_at { d: u16, a: u16, b: u16 },)*
        // Address in `a`, value in `b`.
        $($store { a: u16, b: u16, off: u16 }, $store_far { a: u16, b: u16 }, $store_imm { a: u16, imm: i16, off: u16 },)*
        // Value in `b`, address as above with `c` for the slot that is shifted.
        $($store_plus { a: u16, b: u16, imm: i16 }, $store_at { a: u16, b: u16, c: u16 },)*

        // Fused: the third slot or second immediate in `high`.
        $($fused { d: u16, a: u16, b: u16 },)*
        $($fused_right { d: u16, a: u16, b: u16 },)*
        $($fused_imm { d: u16, a: u16, imm: i16 },)*
        $($fused_by_imm { d: u16, a: u16, b: u16 },)*
        $($fused_imms { d: u16, a: u16, imm: i16 },)*
        $($load_then { d: u16, a: u16, off: u16 },)*
        $($load_before { d: u16, a: u16, off: u16 },)*
        // Here the offset is in `low`.
        $($load_plus_then { d: u16, a: u16, imm: i16 },)*
        // Address in `a`, operands in `b` and `c`, offset in `low`.
        $($then_store { a: u16, b: u16, c: u16 },)*
        // Compares with the slot or immediate in the edge's `extra`.
        $($step { a: u16, imm: i16, off: i16 }, $step_imm { a: u16, imm: i16, off: i16 },)*

        /// Nothing: tells two entries apart that cost differently.
        Nop,
        /// `d = a`.
        Copy { d: u16, a: u16 },
        /// `d = a`, then `e =` the slot in `high`.
        Copy2 { d: u16, a: u16, e: u16 },
        /// `d = value`, zero-extended.
        Const32 { d: u16, value: u32 },
        /// `d =` 64 bits, the upper half in the `low` of the `Wide` that follows.
        Const64 { d: u16, low: u32 },
        /// What the instruction before has no room for: an offset or half a constant; type and table; an index; a
        /// third slot.
        Wide { low: u32, high: u16 },
        /// Gas that the taken edge of the instruction before charges (negative: gives back), or that the
        /// straight line after a call charges when it returns; `extra` is for the instruction before.
        Edge { extra: u16, cost: i32 },
        /// Charges the straight line that follows.
        Charge { cost: i32 },
        /// Counts an uncharged step, the decoded instruction `index`, and then charges like `Charge` by the edge that
        /// follows; stops before the instruction if either budget is spent.
        Tick { index: u32 },
        /// Goes to `pc + off`.
        Br { off: i32 },
        /// Goes to `pc + off` if `a` is zero.
        BrEqz { a: u16, off: i32 },
        /// Goes to `pc + off` if `a` is not zero.
        BrNez { a: u16, off: i32 },
        /// Goes to the `min(a, count)`th of the `Br`s that follow.
        BrTable { a: u16, count: u32 },
        /// `d = if c { a } else { b }`, `c` being the slot in `high`.
        Select { d: u16, a: u16, b: u16 },
        /// Returns no value.
        Return,
        /// Returns the value of `a`.
        ReturnOne { a: u16 },
        /// Returns `count` values from `a` on.
        ReturnMany { a: u16, count: u32 },
        /// Calls the function at the address, its arguments from `base` on.
        Call { base: u16, func: u32 },
        /// Calls through a table: type and table in the word that follows, then the edge.
        CallIndirect { base: u16, a: u16 },
        /// Replaces the frame by a call; the decoded index in the word that follows.
        ReturnCall { base: u16, func: u32 },
        /// Replaces the frame by a call through a table: type and table, then the decoded index, in the words that follow.
        ReturnCallIndirect { base: u16, a: u16 },
        /// Calls the function that the reference `a` points to: its type in the word that follows, then the edge.
        CallRef { base: u16, a: u16 },
        /// Replaces the frame by a call of the function that a reference points to: type, then the decoded index, in the
        /// words that follow.
        ReturnCallRef { base: u16, a: u16 },
        /// Executes the outlined instruction whose number is in `low` on `a`, `b` and the slot in `high`; each operand
        /// and the result take the slots that its shape says.
        Outline { d: u16, a: u16, b: u16 },
        /// `d =` the 128 bits of memory 0 at address `a + off`.
        V128Load { d: u16, a: u16, off: u16 },
        /// 128 bits of memory 0 at address `a + off` `= b`.
        V128Store { a: u16, b: u16, off: u16 },
        /// Traps if the address in `a` is not below 2^32, as all of the memory is.
        Narrow { a: u16 },
        /// Traps if `a` is null.
        RefAsNonNull { a: u16 },
        /// `d = global`.
        GlobalGet { d: u16, global: u32 },
        /// `global = a`.
        GlobalSet { a: u16, global: u32 },
        /// `d = a is null`.
        RefIsNull { d: u16, a: u16 },
        /// `d =` size of memory 0 in pages.
        MemorySize { d: u16 },
        /// Copies `b` bytes of memory 0 from address `a` to address `d`; the edge charges what follows.
        MemoryCopy { d: u16, a: u16, b: u16 },
        /// Sets `b` bytes of memory 0 from address `d` on to `a`; the edge charges what follows.
        MemoryFill { d: u16, a: u16, b: u16 },
        /// Any instruction too rare for a form of its own: the stepper executes the decoded instruction `index`.
        Slow { index: u32 },
        /// Traps: `unreachable`.
        Unreachable,
    }

    impl Inst {
        /// Where an instruction that writes one slot says which.
        pub(super) fn result_mut(&mut self) -> Option<&mut u16> {
            match self {
                $(Self::$unary { d, .. })|* | $(Self::$binary { d, .. })|* | $(Self::$int_binary { d, .. })|*
                | $(Self::$int_binary_imm { d, .. })|*
                | $(Self::$int_compare { d, .. })|* | $(Self::$int_compare_imm { d, .. })|* |
                $(Self::$float_compare { d, .. })|* | $(Self::$try_unary { d, .. })|*
                | $(Self::$try_int_binary { d, .. })|* | $(Self::$try_int_binary_imm { d, .. })|* |
                $(Self::$load { d, .. })|*
                | $(Self::$binary_wide { d, .. })|* | $(Self::$int_binary_wide { d, .. })|* |
                $(Self::$load_plus { d, .. })|*
                | $(Self::$load_at { d, .. })|* | $(Self::$fused { d, .. })|* |
                $(Self::$fused_right { d, .. })|* | $(Self::$fused_imm { d, .. })|*
                | $(Self::$fused_by_imm { d, .. })|* | $(Self::$fused_imms { d, .. })|* |
                $(Self::$load_then { d, .. })|* | $(Self::$load_before { d, .. })|* |
                $(Self::$load_plus_then { d, .. })|*
                | Self::Copy { d, .. } | Self::Select { d, .. } | Self::Const32 { d, .. } | Self::GlobalGet { d, .. }
                | Self::RefIsNull { d, .. } | Self::MemorySize { d } => {
                    Some(d)
                }
                _ => None,
            }
        }

        /// The slot of the result of an instruction that writes one and could write another.
        pub fn result(mut self) -> Option<u16> {
            self.result_mut().copied()
        }

        /// The branch, to an offset still unknown, that is taken when this comparison comes out as `holds`.
        pub(super) fn fused_branch(self, holds: bool) -> Option<Inst> {
            Some(match (self, holds) {
                $((Self::$int_compare { a, b, .. }, true) => Self::$int_compare_br { a, b, off: 0 },)*
                $((Self::$int_compare { a, b, .. }, false) => Self::$int_compare_not { a, b, off: 0 },)*
                $((Self::$int_compare_imm { a, imm, .. }, true) => Self::$int_compare_br_imm { a, imm, off: 0 },)*
                $((Self::$int_compare_imm { a, imm, .. }, false) => Self::$int_compare_not_imm { a, imm, off: 0 },)*
                $((Self::$float_compare { a, b, .. }, true) => Self::$float_compare_br { a, b, off: 0 },)*
                $((Self::$float_compare { a, b, .. }, false) => Self::$float_compare_not { a, b, off: 0 },)*
                (Self::I32Eqz { a, .. }, true) => Self::BrEqz { a, off: 0 },
                (Self::I32Eqz { a, .. }, false) => Self::BrNez { a, off: 0 },
                (Self::I64Eqz { a, .. }, true) => Self::BrI64EqImm { a, imm: 0, off: 0 },
                (Self::I64Eqz { a, .. }, false) => Self::BrI64NeImm { a, imm: 0, off: 0 },
                _ => return None,
            })
        }

        /// Words that it takes.
        pub(crate) fn words(self) -> usize {
            match self {
                $(Self::$int_compare_br { .. })|* | $(Self::$int_compare_br_imm { .. })|* |
                $(Self::$float_compare_br { .. })|* | $(Self::$float_compare_not { .. })|*
                | $(Self::$load_far { .. })|* | $(Self::$store_far { .. })|*
                | $(Self::$binary_wide { .. })|* | $(Self::$int_binary_wide { .. })|*
                | $(Self::$load_plus { .. } | Self::$load_at { .. })|* |
                $(Self::$store_plus { .. } | Self::$store_at { .. })|*
                | $(Self::$fused { .. })|* | $(Self::$fused_right { .. })|* | $(Self::$fused_imm { .. })|* |
                $(Self::$fused_by_imm { .. })|*
                | $(Self::$fused_imms { .. })|* | $(Self::$load_then { .. })|* |
                $(Self::$load_before { .. })|* | $(Self::$load_plus_then { .. })|* |
                $(Self::$then_store { .. })|*
                | $(Self::$step { .. } | Self::$step_imm { .. })|* | Self::Copy2 { .. } | Self::Select { .. }
                | Self::Const64 { .. } | Self::Br { .. } | Self::BrEqz { .. } | Self::BrNez { .. } | Self::Call { .. }
                | Self::ReturnCall { .. } | Self::Tick { .. } | Self::MemoryCopy { .. } | Self::MemoryFill { .. }
                | Self::Outline { .. } => 2,
                Self::CallIndirect { .. } | Self::ReturnCallIndirect { .. }
                | Self::CallRef { .. } | Self::ReturnCallRef { .. } => 3,
                // All named: a new one must say how long it is.
                $(Self::$unary { .. })|* | $(Self::$binary { .. })|* |
                $(Self::$int_binary { .. } | Self::$int_binary_imm { .. })|*
                | $(Self::$int_compare { .. } | Self::$int_compare_imm { .. })|* |
                $(Self::$float_compare { .. })|* | $(Self::$try_unary { .. })|*
                | $(Self::$try_int_binary { .. } | Self::$try_int_binary_imm { .. })|* |
                $(Self::$load { .. })|* | $(Self::$store { .. } | Self::$store_imm { .. })|*
                | Self::Nop | Self::Copy { .. } | Self::Const32 { .. } | Self::Wide { .. } | Self::Edge { .. }
                | Self::Charge { .. } | Self::BrTable { .. } | Self::Return | Self::ReturnOne { .. }
                | Self::ReturnMany { .. } | Self::V128Load { .. } | Self::V128Store { .. } | Self::Narrow { .. }
                | Self::RefAsNonNull { .. } | Self::GlobalGet { .. } | Self::GlobalSet { .. }
                | Self::RefIsNull { .. } | Self::MemorySize { .. } | Self::Slow { .. } | Self::Unreachable => 1,
            }
        }

        /// Whether its last word is the cost of an edge.
        pub(super) fn has_edge(self) -> bool {
            let goes_on = matches!(
                self,
                Self::Call { .. }
                    | Self::CallIndirect { .. }
                    | Self::CallRef { .. }
                    | Self::Tick { .. }
                    | Self::MemoryCopy { .. }
                    | Self::MemoryFill { .. }
            );
            goes_on || self.branch_offset().is_some()
        }

        /// Whether the 16-bit field of its second word is a slot.
        pub(super) fn has_third_slot(self) -> bool {
            matches!(
                self,
                $(Self::$fused { .. })|* | $(Self::$fused_right { .. })|* | $(Self::$fused_imm { .. })|* |
                $(Self::$load_then { .. })|*
                | $(Self::$load_before { .. })|* | $(Self::$load_plus_then { .. })|* |
                $(Self::$step { .. })|* | Self::Copy2 { .. } | Self::Select { .. }
            )
        }

        /// Whether it is an instruction, not a word of one.
        pub(super) fn begins(self) -> bool {
            !matches!(self, Self::Edge { .. } | Self::Wide { .. })
        }

        /// Whether control can reach the instruction that follows.
        pub fn falls_through(self) -> bool {
            !matches!(
                self,
                Self::Br { .. }
                    | Self::Return
                    | Self::ReturnOne { .. }
                    | Self::ReturnMany { .. }
                    | Self::ReturnCall { .. }
                    | Self::ReturnCallIndirect { .. }
                    | Self::ReturnCallRef { .. }
                    | Self::Slow { .. }
                    | Self::Unreachable
            )
        }

        /// Where a branch goes, relative to itself.
        pub(super) fn branch_offset(self) -> Option<i32> {
            Some(match self {
                $(Self::$int_compare_br { off, .. })|* | $(Self::$int_compare_br_imm { off, .. })|* |
                $(Self::$float_compare_br { off, .. })|*
                | $(Self::$float_compare_not { off, .. })|* |
                $(Self::$step { off, .. } | Self::$step_imm { off, .. })|* => off.into(),
                Self::Br { off } | Self::BrEqz { off, .. } | Self::BrNez { off, .. } => off,
                _ => return None,
            })
        }

        /// Calls `visit` with every slot that it reads or writes by itself.
        pub fn for_each_slot(self, mut visit: impl FnMut(u16)) {
            match self {
                $(Self::$unary { d, a })|* | $(Self::$try_unary { d, a })|* |
                $(Self::$int_binary_imm { d, a, .. })|* | $(Self::$int_compare_imm { d, a, .. })|*
                | $(Self::$try_int_binary_imm { d, a, .. })|* | $(Self::$load { d, a, .. })|* |
                $(Self::$load_far { d, a })|*
                | $(Self::$load_plus { d, a, .. })|* | $(Self::$binary_wide { d, a, .. })|* |
                $(Self::$int_binary_wide { d, a, .. })|*
                | $(Self::$fused_imm { d, a, .. })|* | $(Self::$fused_imms { d, a, .. })|* |
                $(Self::$load_then { d, a, .. })|* | $(Self::$load_before { d, a, .. })|* |
                $(Self::$load_plus_then { d, a, .. })|*
                | Self::Copy { d, a } | Self::RefIsNull { d, a } => {
                    visit(d);
                    visit(a);
                }
                $(Self::$binary { d, a, b })|* | $(Self::$int_binary { d, a, b })|* |
                $(Self::$int_compare { d, a, b })|* | $(Self::$float_compare { d, a, b })|*
                | $(Self::$try_int_binary { d, a, b })|* | $(Self::$load_at { d, a, b })|* |
                $(Self::$fused { d, a, b })|* | $(Self::$fused_right { d, a, b })|*
                | $(Self::$fused_by_imm { d, a, b })|* | $(Self::$store_at { a: d, b: a, c: b })|* |
                $(Self::$then_store { a: d, b: a, c: b })|*
                | Self::MemoryCopy { d, a, b }
                | Self::MemoryFill { d, a, b } | Self::Select { d, a, b } | Self::Copy2 { d, a, e: b } => {
                    visit(d);
                    visit(a);
                    visit(b);
                }
                $(Self::$int_compare_br { a, b, .. })|* | $(Self::$float_compare_br { a, b, .. })|* |
                $(Self::$float_compare_not { a, b, .. })|*
                | $(Self::$store { a, b, .. })|* | $(Self::$store_far { a, b })|* |
                $(Self::$store_plus { a, b, .. })|* => {
                    visit(a);
                    visit(b);
                }
                $(Self::$int_compare_br_imm { a, .. })|* | $(Self::$store_imm { a, .. })|* |
                $(Self::$step { a, .. } | Self::$step_imm { a, .. })|*
                | Self::BrEqz { a, .. } | Self::BrNez { a, .. } | Self::BrTable { a, .. }
                | Self::ReturnOne { a } | Self::ReturnMany { a, .. } | Self::GlobalSet { a, .. }
                | Self::CallIndirect { a, .. } | Self::ReturnCallIndirect { a, .. }
                | Self::CallRef { a, .. } | Self::ReturnCallRef { a, .. } | Self::RefAsNonNull { a }
                | Self::Narrow { a } => visit(a),
                Self::V128Load { d: pair, a, .. } | Self::V128Store { a, b: pair, .. } => {
                    visit(a);
                    visit(pair);
                    visit(pair.saturating_add(1));
                }
                Self::Const32 { d, .. } | Self::Const64 { d, .. } | Self::GlobalGet { d, .. }
                | Self::MemorySize { d } => visit(d),
                Self::Nop | Self::Wide { .. } | Self::Edge { .. } | Self::Charge { .. } | Self::Tick { .. } | Self::Br { .. }
                // How many slots its operands take, the outlined instruction knows.
                | Self::Outline { .. }
                | Self::Return | Self::Call { .. } | Self::ReturnCall { .. } | Self::Slow { .. } | Self::Unreachable => {}
            }
        }

        /// Sets the offset of a branch; `false` if it does not fit.
        pub(super) fn set_offset(&mut self, offset: i32) -> bool {
            match self {
                $(Self::$int_compare_br { off, .. })|* | $(Self::$int_compare_br_imm { off, .. })|* |
                $(Self::$float_compare_br { off, .. })|*
                | $(Self::$float_compare_not { off, .. })|* |
                $(Self::$step { off, .. } | Self::$step_imm { off, .. })|* => match i16::try_from(offset) {
                    Ok(offset) => {
                        *off = offset;
                        true
                    }
                    Err(_) => false,
                },
                Self::Br { off } | Self::BrEqz { off, .. } | Self::BrNez { off, .. } => {
                    *off = offset;
                    true
                }
                _ => false,
            }
        }

        /// The instruction of these words and, with its result as an operand, `op`: the left one, or the `right` one.
        /// `c` holds the other.
        pub(super) fn fuse(words: &[Inst], op: super::Op, d: u16, c: u16, right: bool) -> Option<[Inst; 2]> {
            match *words {
                [first] => first.then(op, d, c, right),
                [first, Self::Wide { low, .. }] if !right => {
                    let fused = match (first, op) {
                        $((Self::$load_plus_then_load { a, imm, .. }, super::Op::$load_plus_then_second) => {
                            Self::$load_plus_then { d, a, imm }
                        })*
                        _ => return None,
                    };
                    Some([fused, Self::Wide { low, high: c }])
                }
                _ => None,
            }
        }

        /// This instruction of one word and, with its result as an operand, `op`: as above.
        fn then(self, op: super::Op, d: u16, c: u16, right: bool) -> Option<[Inst; 2]> {
            use super::Op;
            let fused = match (self, op, right) {
                $((Self::$fused_first { a, b, .. }, Op::$fused_second, false) => Self::$fused { d, a, b },)*
                $((Self::$fused_right_first { a, b, .. }, Op::$fused_right_second, true) => Self::$fused_right { d, a, b },)*
                $((Self::$fused_imm_first { a, imm, .. }, Op::$fused_imm_second, false) => Self::$fused_imm { d, a, imm },)*
                $((Self::$load_then_load { a, off, .. }, Op::$load_then_second, false) => Self::$load_then { d, a, off },)*
                $((Self::$load_before_load { a, off, .. }, Op::$load_before_second, true) => {
                    Self::$load_before { d, a, off }
                })*
                _ => return None,
            };
            Some([fused, Self::Wide { low: 0, high: c }])
        }

        /// This and, with its result as the left operand, an instruction with an immediate.
        pub(super) fn then_immediate(self, second: Inst) -> Option<[Inst; 2]> {
            let (fused, imm) = match (self, second) {
                $((Self::$fused_by_imm_first { a, b, .. }, Self::$fused_by_imm_second { d, imm, .. }) => {
                    (Self::$fused_by_imm { d, a, b }, imm)
                })*
                $((Self::$fused_imms_first { a, imm, .. }, Self::$fused_imms_second { d, imm: second, .. }) => {
                    (Self::$fused_imms { d, a, imm }, second)
                })*
                _ => return None,
            };
            Some([fused, Self::Wide { low: 0, high: imm as u16 }])
        }

        /// This and a store of its result at the address in `a`.
        pub(super) fn then_store(self, op: super::Op, a: u16, off: u32) -> Option<[Inst; 2]> {
            let fused = match (self, op) {
                $((Self::$then_store_first { a: b, b: c, .. }, super::Op::$then_store_store) => {
                    Self::$then_store { a, b, c }
                })*
                _ => return None,
            };
            Some([fused, Self::Wide { low: off, high: 0 }])
        }

        /// This addition to a slot and a branch that compares the same slot, with the `extra` of the edge.
        pub(super) fn then_branch(self, branch: Inst) -> Option<(Inst, u16)> {
            // A test of an i32 for zero is a comparison with an immediate zero.
            let branch = match branch {
                Self::BrNez { a, .. } => Self::BrI32NeImm { a, imm: 0, off: 0 },
                Self::BrEqz { a, .. } => Self::BrI32EqImm { a, imm: 0, off: 0 },
                other => other,
            };
            Some(match (self, branch) {
                $((Self::$step_add { d, a, imm }, Self::$step_br { a: x, b, .. }) if d == a && x == a => {
                    (Self::$step { a, imm, off: 0 }, b)
                })*
                $((Self::$step_add { d, a, imm }, Self::$step_br_imm { a: x, imm: y, .. }) if d == a && x == a => {
                    (Self::$step_imm { a, imm, off: 0 }, y as u16)
                })*
                _ => return None,
            })
        }

        /// The form of a binary operator whose right operand is the constant `bits`.
        pub(super) fn with_constant(op: super::Op, d: u16, a: u16, bits: u64) -> Option<[Inst; 2]> {
            let low16 = bits as u16;
            let first = match op {
                $(super::Op::$binary => Self::$binary_wide { d, a, bits: low16 },)*
                $(super::Op::$int_binary => Self::$int_binary_wide { d, a, bits: low16 },)*
                _ => return None,
            };
            Some([first, Self::Wide { low: (bits >> 16) as u32, high: (bits >> 48) as u16 }])
        }

        /// A load from the address that `address` computes.
        pub(super) fn load_at(op: super::Op, d: u16, address: Address, off: u32) -> Option<[Inst; 2]> {
            let (first, high) = match (op, address) {
                $((super::Op::$load, Address::Plus { a, imm }) => (Self::$load_plus { d, a, imm }, 0),)*
                $((super::Op::$load, Address::At { a, b, shift }) => (Self::$load_at { d, a, b }, shift),)*
                _ => return None,
            };
            Some([first, Self::Wide { low: off, high }])
        }

        /// A store of `value` to the address that `address` computes.
        pub(super) fn store_at(op: super::Op, value: u16, address: Address, off: u32) -> Option<[Inst; 2]> {
            let (first, high) = match (op, address) {
                $((super::Op::$store, Address::Plus { a, imm }) => (Self::$store_plus { a, b: value, imm }, 0),)*
                $((super::Op::$store, Address::At { a, b, shift }) => (Self::$store_at { a, b: value, c: b }, shift),)*
                _ => return None,
            };
            Some([first, Self::Wide { low: off, high }])
        }

        /// A store of an immediate with a near offset.
        pub(super) fn store_immediate(op: super::Op, a: u16, imm: i16, off: u16) -> Option<Inst> {
            Some(match op {
                $(super::Op::$store => Self::$store_imm { a, imm, off },)*
                _ => return None,
            })
        }

        /// The form with an immediate right operand, where there is one.
        pub(super) fn with_immediate(op: super::Op, d: u16, a: u16, imm: i16) -> Option<Inst> {
            Some(match op {
                $(super::Op::$int_binary => Self::$int_binary_imm { d, a, imm },)*
                $(super::Op::$int_compare => Self::$int_compare_imm { d, a, imm },)*
                $(super::Op::$try_int_binary => Self::$try_int_binary_imm { d, a, imm },)*
                _ => return None,
            })
        }

        /// The register form of an operator with two operands.
        pub(super) fn binary(op: super::Op, d: u16, a: u16, b: u16) -> Option<Inst> {
            Some(match op {
                $(super::Op::$binary => Self::$binary { d, a, b },)*
                $(super::Op::$int_binary => Self::$int_binary { d, a, b },)*
                $(super::Op::$int_compare => Self::$int_compare { d, a, b },)*
                $(super::Op::$float_compare => Self::$float_compare { d, a, b },)*
                $(super::Op::$try_int_binary => Self::$try_int_binary { d, a, b },)*
                _ => return None,
            })
        }

        /// The register form of an operator with one operand.
        pub(super) fn unary(op: super::Op, d: u16, a: u16) -> Option<Inst> {
            Some(match op {
                $(super::Op::$unary => Self::$unary { d, a },)*
                $(super::Op::$try_unary => Self::$try_unary { d, a },)*
                _ => return None,
            })
        }

        /// A load with a near offset, and its far form.
        pub(super) fn load(op: super::Op, d: u16, a: u16, off: u16) -> Option<(Inst, Inst)> {
            Some(match op {
                $(super::Op::$load => (Self::$load { d, a, off }, Self::$load_far { d, a }),)*
                _ => return None,
            })
        }

        /// A store with a near offset, and its far form.
        pub(super) fn store(op: super::Op, a: u16, b: u16, off: u16) -> Option<(Inst, Inst)> {
            Some(match op {
                $(super::Op::$store => (Self::$store { a, b, off }, Self::$store_far { a, b }),)*
                _ => return None,
            })
        }
    }
}
}
for_each_inst!(define_inst);

/// An address that is computed from slots, modulo 2^32, before the offset is added.
#[derive(Clone, Copy, Debug)]
pub(super) enum Address {
    /// `a + imm`.
    Plus { a: u16, imm: i16 },
    /// `a + (b << shift)`.
    At { a: u16, b: u16, shift: u16 },
}

impl Address {
    /// The address that the last instruction computed, of which the words are given.
    pub(super) fn of(words: &[Inst]) -> Option<Address> {
        Some(match *words {
            [Inst::I32AddImm { a, imm, .. }] => Address::Plus { a, imm },
            [Inst::I32Add { a, b, .. }] => Address::At { a, b, shift: 0 },
            [Inst::I32ShlImmAdd { a: b, imm, .. }, Inst::Wide { high: a, .. }] => {
                Address::At { a, b, shift: imm as u16 & 31 }
            }
            _ => return None,
        })
    }
}

/// Register code is read from memory as often as the program runs instructions: its size is its speed.
const _: () = assert!(size_of::<Inst>() == 8);
