//! The fast engine's register code. An [`Inst`] is eight bytes: operands and result are slots of the frame (`d` result,
//! `a` and `b` operands), relative to its first local. Instructions that take a second word are followed by
//! [`Inst::Edge`], or for far memory accesses and 64-bit constants by [`Inst::Wide`].

use super::for_each_op;

macro_rules! define_inst {
    (
        unary { $($un:ident $un_name:literal $un_fn:ident;)* }
        binary { $($bin:ident $bin_name:literal $bin_fn:ident;)* }
        int_binary { $($ib:ident $ib_imm:ident $ib_name:literal $ib_fn:ident;)* }
        int_compare { $($ic:ident $ic_imm:ident $ic_br:ident $ic_bri:ident $ic_not:ident $ic_noti:ident $ic_name:literal $ic_fn:ident;)* }
        float_compare { $($fc:ident $fc_br:ident $fc_not:ident $fc_name:literal $fc_fn:ident;)* }
        try_unary { $($tu:ident $tu_name:literal $tu_fn:ident;)* }
        try_int_binary { $($tb:ident $tb_imm:ident $tb_name:literal $tb_fn:ident;)* }
        load { $($ld:ident $ld_far:ident $ld_name:literal $ld_mem:ident $ld_ext:ident $ld_val:ident;)* }
        store { $($st:ident $st_far:ident $st_name:literal $st_mem:ident;)* }
        other { $($ot:ident $ot_name:literal;)* }
    ) => {
        /// An instruction of register code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the generated variants are the instructions of those names")]
        pub enum Inst {
            $($un { d: u16, a: u16 },)*
            $($bin { d: u16, a: u16, b: u16 },)*
            $($ib { d: u16, a: u16, b: u16 }, $ib_imm { d: u16, a: u16, imm: i16 },)*
            $($ic { d: u16, a: u16, b: u16 }, $ic_imm { d: u16, a: u16, imm: i16 },)*
            // Branches to `pc + off` if the comparison holds; the edge's cost follows.
            $($ic_br { a: u16, b: u16, off: i16 }, $ic_bri { a: u16, imm: i16, off: i16 },)*
            $($fc { d: u16, a: u16, b: u16 }, $fc_br { a: u16, b: u16, off: i16 }, $fc_not { a: u16, b: u16, off: i16 },)*
            $($tu { d: u16, a: u16 },)*
            $($tb { d: u16, a: u16, b: u16 }, $tb_imm { d: u16, a: u16, imm: i16 },)*
            // Address in `a`, offset `off`; the far form has its offset in the following `Wide`.
            $($ld { d: u16, a: u16, off: u16 }, $ld_far { d: u16, a: u16 },)*
            // Address in `a`, value in `b`.
            $($st { a: u16, b: u16, off: u16 }, $st_far { a: u16, b: u16 },)*

            /// Nothing: tells two entries apart that cost differently.
            Nop,
            /// `d = a`.
            Copy { d: u16, a: u16 },
            /// `d = value`, zero-extended.
            Const32 { d: u16, value: u32 },
            /// `d =` 64 bits, the upper half in the `low` of the `Wide` that follows.
            Const64 { d: u16, low: u32 },
            /// What the instruction before has no room for: an offset or half a constant; type and table; an index.
            Wide { low: u32, high: u16 },
            /// Gas that the taken edge of the instruction before charges (negative: gives back), or that the
            /// straight line after a call charges when it returns.
            Edge { cost: i32 },
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
            /// `d = if c { a } else { d }` where `d` holds the first value already.
            Select { d: u16, a: u16, c: u16 },
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
            /// `d = global`.
            GlobalGet { d: u16, global: u32 },
            /// `global = a`.
            GlobalSet { a: u16, global: u32 },
            /// `d = a is null`.
            RefIsNull { d: u16, a: u16 },
            /// `d =` size of memory 0 in pages.
            MemorySize { d: u16 },
            /// Any instruction too rare for a form of its own: the stepper executes the decoded instruction `index`.
            Slow { index: u32 },
            /// Traps: `unreachable`.
            Unreachable,
        }

        impl Inst {
            /// Where an instruction that writes one slot says which.
            pub(super) fn result_mut(&mut self) -> Option<&mut u16> {
                match self {
                    $(Self::$un { d, .. })|* | $(Self::$bin { d, .. })|* | $(Self::$ib { d, .. })|* | $(Self::$ib_imm { d, .. })|*
                    | $(Self::$ic { d, .. })|* | $(Self::$ic_imm { d, .. })|* | $(Self::$fc { d, .. })|* | $(Self::$tu { d, .. })|*
                    | $(Self::$tb { d, .. })|* | $(Self::$tb_imm { d, .. })|* | $(Self::$ld { d, .. })|*
                    | Self::Copy { d, .. } | Self::Const32 { d, .. } | Self::GlobalGet { d, .. }
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
                    $((Self::$ic { a, b, .. }, true) => Self::$ic_br { a, b, off: 0 },)*
                    $((Self::$ic { a, b, .. }, false) => Self::$ic_not { a, b, off: 0 },)*
                    $((Self::$ic_imm { a, imm, .. }, true) => Self::$ic_bri { a, imm, off: 0 },)*
                    $((Self::$ic_imm { a, imm, .. }, false) => Self::$ic_noti { a, imm, off: 0 },)*
                    $((Self::$fc { a, b, .. }, true) => Self::$fc_br { a, b, off: 0 },)*
                    $((Self::$fc { a, b, .. }, false) => Self::$fc_not { a, b, off: 0 },)*
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
                    $(Self::$ic_br { .. })|* | $(Self::$ic_bri { .. })|* | $(Self::$fc_br { .. })|* | $(Self::$fc_not { .. })|*
                    | $(Self::$ld_far { .. })|* | $(Self::$st_far { .. })|*
                    | Self::Const64 { .. } | Self::Br { .. } | Self::BrEqz { .. } | Self::BrNez { .. } | Self::Call { .. }
                    | Self::ReturnCall { .. } | Self::Tick { .. } => 2,
                    Self::CallIndirect { .. } | Self::ReturnCallIndirect { .. } => 3,
                    _ => 1,
                }
            }

            /// Is its last word the cost of an edge.
            pub(super) fn has_edge(self) -> bool {
                let calls = matches!(self, Self::Call { .. } | Self::CallIndirect { .. } | Self::Tick { .. });
                calls || self.branch_offset().is_some()
            }

            /// Is it an instruction, not a word of one.
            pub(super) fn begins(self) -> bool {
                !matches!(self, Self::Edge { .. } | Self::Wide { .. })
            }

            /// Can control reach the instruction that follows.
            pub fn falls_through(self) -> bool {
                !matches!(
                    self,
                    Self::Br { .. }
                        | Self::Return
                        | Self::ReturnOne { .. }
                        | Self::ReturnMany { .. }
                        | Self::ReturnCall { .. }
                        | Self::ReturnCallIndirect { .. }
                        | Self::Slow { .. }
                        | Self::Unreachable
                )
            }

            /// Where a branch goes, relative to itself.
            pub(super) fn branch_offset(self) -> Option<i32> {
                Some(match self {
                    $(Self::$ic_br { off, .. })|* | $(Self::$ic_bri { off, .. })|* | $(Self::$fc_br { off, .. })|*
                    | $(Self::$fc_not { off, .. })|* => off.into(),
                    Self::Br { off } | Self::BrEqz { off, .. } | Self::BrNez { off, .. } => off,
                    _ => return None,
                })
            }

            /// Calls `visit` with every slot that it reads or writes by itself.
            pub fn for_each_slot(self, mut visit: impl FnMut(u16)) {
                match self {
                    $(Self::$un { d, a })|* | $(Self::$tu { d, a })|* | $(Self::$ib_imm { d, a, .. })|* | $(Self::$ic_imm { d, a, .. })|*
                    | $(Self::$tb_imm { d, a, .. })|* | $(Self::$ld { d, a, .. })|* | $(Self::$ld_far { d, a })|*
                    | Self::Copy { d, a } | Self::RefIsNull { d, a } => {
                        visit(d);
                        visit(a);
                    }
                    $(Self::$bin { d, a, b })|* | $(Self::$ib { d, a, b })|* | $(Self::$ic { d, a, b })|* | $(Self::$fc { d, a, b })|*
                    | $(Self::$tb { d, a, b })|* | Self::Select { d, a, c: b } => {
                        visit(d);
                        visit(a);
                        visit(b);
                    }
                    $(Self::$ic_br { a, b, .. })|* | $(Self::$fc_br { a, b, .. })|* | $(Self::$fc_not { a, b, .. })|*
                    | $(Self::$st { a, b, .. })|* | $(Self::$st_far { a, b })|* => {
                        visit(a);
                        visit(b);
                    }
                    $(Self::$ic_bri { a, .. })|* | Self::BrEqz { a, .. } | Self::BrNez { a, .. } | Self::BrTable { a, .. }
                    | Self::ReturnOne { a } | Self::ReturnMany { a, .. } | Self::GlobalSet { a, .. }
                    | Self::CallIndirect { a, .. } | Self::ReturnCallIndirect { a, .. } => visit(a),
                    Self::Const32 { d, .. } | Self::Const64 { d, .. } | Self::GlobalGet { d, .. } | Self::MemorySize { d } => visit(d),
                    Self::Nop | Self::Wide { .. } | Self::Edge { .. } | Self::Charge { .. } | Self::Tick { .. } | Self::Br { .. }
                    | Self::Return | Self::Call { .. } | Self::ReturnCall { .. } | Self::Slow { .. } | Self::Unreachable => {}
                }
            }

            /// Sets the offset of a branch; `false` if it does not fit.
            pub(super) fn set_offset(&mut self, offset: i32) -> bool {
                match self {
                    $(Self::$ic_br { off, .. })|* | $(Self::$ic_bri { off, .. })|* | $(Self::$fc_br { off, .. })|*
                    | $(Self::$fc_not { off, .. })|* => match i16::try_from(offset) {
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

            /// The form with an immediate right operand, where there is one.
            pub(super) fn with_immediate(op: super::Op, d: u16, a: u16, imm: i16) -> Option<Inst> {
                Some(match op {
                    $(super::Op::$ib => Self::$ib_imm { d, a, imm },)*
                    $(super::Op::$ic => Self::$ic_imm { d, a, imm },)*
                    $(super::Op::$tb => Self::$tb_imm { d, a, imm },)*
                    _ => return None,
                })
            }

            /// The register form of an operator with two operands.
            pub(super) fn binary(op: super::Op, d: u16, a: u16, b: u16) -> Option<Inst> {
                Some(match op {
                    $(super::Op::$bin => Self::$bin { d, a, b },)*
                    $(super::Op::$ib => Self::$ib { d, a, b },)*
                    $(super::Op::$ic => Self::$ic { d, a, b },)*
                    $(super::Op::$fc => Self::$fc { d, a, b },)*
                    $(super::Op::$tb => Self::$tb { d, a, b },)*
                    _ => return None,
                })
            }

            /// The register form of an operator with one operand.
            pub(super) fn unary(op: super::Op, d: u16, a: u16) -> Option<Inst> {
                Some(match op {
                    $(super::Op::$un => Self::$un { d, a },)*
                    $(super::Op::$tu => Self::$tu { d, a },)*
                    _ => return None,
                })
            }

            /// A load with a near offset, and its far form.
            pub(super) fn load(op: super::Op, d: u16, a: u16, off: u16) -> Option<(Inst, Inst)> {
                Some(match op {
                    $(super::Op::$ld => (Self::$ld { d, a, off }, Self::$ld_far { d, a }),)*
                    _ => return None,
                })
            }

            /// A store with a near offset, and its far form.
            pub(super) fn store(op: super::Op, a: u16, b: u16, off: u16) -> Option<(Inst, Inst)> {
                Some(match op {
                    $(super::Op::$st => (Self::$st { a, b, off }, Self::$st_far { a, b }),)*
                    _ => return None,
                })
            }
        }
    };
}
for_each_op!(define_inst);

/// Register code is read from memory as often as the program runs instructions: its size is its speed.
const _: () = assert!(size_of::<Inst>() == 8);
