//! The fast engine's register code. An [`Inst`] is eight bytes: operands and result are slots of the frame (`d` result,
//! `a` and `b` operands), relative to its first local. Instructions that take a second word are followed by
//! [`Inst::Edge`] if they branch or call, and else by [`Inst::Wide`].

use super::{append_fused, for_each_inst};

macro_rules! define_inst {
    (
        unary { $($un:ident $un_name:literal $un_fn:ident;)* }
        binary { $($bin:ident $bin_wide:ident $bin_name:literal $bin_fn:ident;)* }
        int_binary { $($ib:ident $ib_imm:ident $ib_wide:ident $ib_name:literal $ib_fn:ident;)* }
        int_compare { $($ic:ident $ic_imm:ident $ic_br:ident $ic_bri:ident $ic_not:ident $ic_noti:ident $ic_name:literal $ic_fn:ident;)* }
        float_compare { $($fc:ident $fc_br:ident $fc_not:ident $fc_name:literal $fc_fn:ident;)* }
        try_unary { $($tu:ident $tu_name:literal $tu_fn:ident;)* }
        try_int_binary { $($tb:ident $tb_imm:ident $tb_name:literal $tb_fn:ident;)* }
        load { $($ld:ident $ld_far:ident $ld_plus:ident $ld_at:ident $ld_name:literal $ld_mem:ident $ld_ext:ident $ld_val:ident;)* }
        store { $($st:ident $st_far:ident $st_imm:ident $st_plus:ident $st_at:ident $st_name:literal $st_mem:ident;)* }
        other { $($ot:ident $ot_name:literal;)* }
        fused { $($fu:ident $fu_first:ident $fu_second:ident $fu_fn1:ident $fu_fn2:ident;)* }
        fused_right { $($fr:ident $fr_first:ident $fr_second:ident $fr_fn1:ident $fr_fn2:ident;)* }
        fused_imm { $($fi:ident $fi_first:ident $fi_second:ident $fi_fn1:ident $fi_fn2:ident;)* }
        fused_by_imm { $($fb:ident $fb_first:ident $fb_second:ident $fb_fn1:ident $fb_fn2:ident;)* }
        fused_imms { $($fm:ident $fm_first:ident $fm_second:ident $fm_fn1:ident $fm_fn2:ident;)* }
        load_then { $($lt:ident $lt_load:ident $lt_second:ident $lt_mem:ident $lt_ext:ident $lt_val:ident $lt_fn:ident;)* }
        load_before { $($lb:ident $lb_load:ident $lb_second:ident $lb_mem:ident $lb_ext:ident $lb_val:ident $lb_fn:ident;)* }
        load_plus_then { $($lp:ident $lp_load:ident $lp_second:ident $lp_mem:ident $lp_ext:ident $lp_val:ident $lp_fn:ident;)* }
        then_store { $($ts:ident $ts_first:ident $ts_store:ident $ts_fn:ident $ts_mem:ident;)* }
        step { $($sp:ident $sp_imm:ident $sp_br:ident $sp_bri:ident $sp_add:ident $sp_fn1:ident $sp_fn2:ident;)* }
    ) => {
        /// An instruction of register code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the generated variants are the instructions of those names")]
        pub enum Inst {
            $($un { d: u16, a: u16 },)*
            $($bin { d: u16, a: u16, b: u16 },)*
            // The right operand is the constant `bits` and, above it, the `Wide` that follows.
            $($bin_wide { d: u16, a: u16, bits: u16 },)*
            $($ib_wide { d: u16, a: u16, bits: u16 },)*
            $($ib { d: u16, a: u16, b: u16 }, $ib_imm { d: u16, a: u16, imm: i16 },)*
            $($ic { d: u16, a: u16, b: u16 }, $ic_imm { d: u16, a: u16, imm: i16 },)*
            // Branches to `pc + off` if the comparison holds; the edge's cost follows.
            $($ic_br { a: u16, b: u16, off: i16 }, $ic_bri { a: u16, imm: i16, off: i16 },)*
            $($fc { d: u16, a: u16, b: u16 }, $fc_br { a: u16, b: u16, off: i16 }, $fc_not { a: u16, b: u16, off: i16 },)*
            $($tu { d: u16, a: u16 },)*
            $($tb { d: u16, a: u16, b: u16 }, $tb_imm { d: u16, a: u16, imm: i16 },)*
            // Address in `a`, offset `off`; the far form has its offset in the following `Wide`.
            $($ld { d: u16, a: u16, off: u16 }, $ld_far { d: u16, a: u16 },)*
            // Address `a + imm`, or `a + (b << k)` with `k` in `high`; offset in `low`.
            $($ld_plus { d: u16, a: u16, imm: i16 }, $ld_at { d: u16, a: u16, b: u16 },)*
            // Address in `a`, value in `b`.
            $($st { a: u16, b: u16, off: u16 }, $st_far { a: u16, b: u16 }, $st_imm { a: u16, imm: i16, off: u16 },)*
            // Value in `b`, address as above with `c` for the slot that is shifted.
            $($st_plus { a: u16, b: u16, imm: i16 }, $st_at { a: u16, b: u16, c: u16 },)*

            // Fused: the third slot or second immediate in `high`.
            $($fu { d: u16, a: u16, b: u16 },)*
            $($fr { d: u16, a: u16, b: u16 },)*
            $($fi { d: u16, a: u16, imm: i16 },)*
            $($fb { d: u16, a: u16, b: u16 },)*
            $($fm { d: u16, a: u16, imm: i16 },)*
            $($lt { d: u16, a: u16, off: u16 },)*
            $($lb { d: u16, a: u16, off: u16 },)*
            // Here the offset is in `low`.
            $($lp { d: u16, a: u16, imm: i16 },)*
            // Address in `a`, operands in `b` and `c`, offset in `low`.
            $($ts { a: u16, b: u16, c: u16 },)*
            // Compares with the slot or immediate in the edge's `extra`.
            $($sp { a: u16, imm: i16, off: i16 }, $sp_imm { a: u16, imm: i16, off: i16 },)*

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
                    $(Self::$un { d, .. })|* | $(Self::$bin { d, .. })|* | $(Self::$ib { d, .. })|* | $(Self::$ib_imm { d, .. })|*
                    | $(Self::$ic { d, .. })|* | $(Self::$ic_imm { d, .. })|* | $(Self::$fc { d, .. })|* | $(Self::$tu { d, .. })|*
                    | $(Self::$tb { d, .. })|* | $(Self::$tb_imm { d, .. })|* | $(Self::$ld { d, .. })|*
                    | $(Self::$bin_wide { d, .. })|* | $(Self::$ib_wide { d, .. })|* | $(Self::$ld_plus { d, .. })|*
                    | $(Self::$ld_at { d, .. })|* | $(Self::$fu { d, .. })|* | $(Self::$fr { d, .. })|* | $(Self::$fi { d, .. })|*
                    | $(Self::$fb { d, .. })|* | $(Self::$fm { d, .. })|* | $(Self::$lt { d, .. })|* | $(Self::$lb { d, .. })|* | $(Self::$lp { d, .. })|*
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
                    | $(Self::$bin_wide { .. })|* | $(Self::$ib_wide { .. })|*
                    | $(Self::$ld_plus { .. } | Self::$ld_at { .. })|* | $(Self::$st_plus { .. } | Self::$st_at { .. })|*
                    | $(Self::$fu { .. })|* | $(Self::$fr { .. })|* | $(Self::$fi { .. })|* | $(Self::$fb { .. })|*
                    | $(Self::$fm { .. })|* | $(Self::$lt { .. })|* | $(Self::$lb { .. })|* | $(Self::$lp { .. })|* | $(Self::$ts { .. })|*
                    | $(Self::$sp { .. } | Self::$sp_imm { .. })|* | Self::Copy2 { .. } | Self::Select { .. }
                    | Self::Const64 { .. } | Self::Br { .. } | Self::BrEqz { .. } | Self::BrNez { .. } | Self::Call { .. }
                    | Self::ReturnCall { .. } | Self::Tick { .. } | Self::MemoryCopy { .. } | Self::MemoryFill { .. }
                    | Self::Outline { .. } => 2,
                    Self::CallIndirect { .. } | Self::ReturnCallIndirect { .. }
                    | Self::CallRef { .. } | Self::ReturnCallRef { .. } => 3,
                    // All named: a new one must say how long it is.
                    $(Self::$un { .. })|* | $(Self::$bin { .. })|* | $(Self::$ib { .. } | Self::$ib_imm { .. })|*
                    | $(Self::$ic { .. } | Self::$ic_imm { .. })|* | $(Self::$fc { .. })|* | $(Self::$tu { .. })|*
                    | $(Self::$tb { .. } | Self::$tb_imm { .. })|* | $(Self::$ld { .. })|* | $(Self::$st { .. } | Self::$st_imm { .. })|*
                    | Self::Nop | Self::Copy { .. } | Self::Const32 { .. } | Self::Wide { .. } | Self::Edge { .. }
                    | Self::Charge { .. } | Self::BrTable { .. } | Self::Return | Self::ReturnOne { .. }
                    | Self::ReturnMany { .. } | Self::V128Load { .. } | Self::V128Store { .. } | Self::Narrow { .. }
                    | Self::RefAsNonNull { .. } | Self::GlobalGet { .. } | Self::GlobalSet { .. }
                    | Self::RefIsNull { .. } | Self::MemorySize { .. } | Self::Slow { .. } | Self::Unreachable => 1,
                }
            }

            /// Is its last word the cost of an edge.
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

            /// Is the 16-bit field of its second word a slot.
            pub(super) fn has_third_slot(self) -> bool {
                matches!(
                    self,
                    $(Self::$fu { .. })|* | $(Self::$fr { .. })|* | $(Self::$fi { .. })|* | $(Self::$lt { .. })|*
                    | $(Self::$lb { .. })|* | $(Self::$lp { .. })|* | $(Self::$sp { .. })|* | Self::Copy2 { .. } | Self::Select { .. }
                )
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
                        | Self::ReturnCallRef { .. }
                        | Self::Slow { .. }
                        | Self::Unreachable
                )
            }

            /// Where a branch goes, relative to itself.
            pub(super) fn branch_offset(self) -> Option<i32> {
                Some(match self {
                    $(Self::$ic_br { off, .. })|* | $(Self::$ic_bri { off, .. })|* | $(Self::$fc_br { off, .. })|*
                    | $(Self::$fc_not { off, .. })|* | $(Self::$sp { off, .. } | Self::$sp_imm { off, .. })|* => off.into(),
                    Self::Br { off } | Self::BrEqz { off, .. } | Self::BrNez { off, .. } => off,
                    _ => return None,
                })
            }

            /// Calls `visit` with every slot that it reads or writes by itself.
            pub fn for_each_slot(self, mut visit: impl FnMut(u16)) {
                match self {
                    $(Self::$un { d, a })|* | $(Self::$tu { d, a })|* | $(Self::$ib_imm { d, a, .. })|* | $(Self::$ic_imm { d, a, .. })|*
                    | $(Self::$tb_imm { d, a, .. })|* | $(Self::$ld { d, a, .. })|* | $(Self::$ld_far { d, a })|*
                    | $(Self::$ld_plus { d, a, .. })|* | $(Self::$bin_wide { d, a, .. })|* | $(Self::$ib_wide { d, a, .. })|*
                    | $(Self::$fi { d, a, .. })|* | $(Self::$fm { d, a, .. })|* | $(Self::$lt { d, a, .. })|* | $(Self::$lb { d, a, .. })|* | $(Self::$lp { d, a, .. })|*
                    | Self::Copy { d, a } | Self::RefIsNull { d, a } => {
                        visit(d);
                        visit(a);
                    }
                    $(Self::$bin { d, a, b })|* | $(Self::$ib { d, a, b })|* | $(Self::$ic { d, a, b })|* | $(Self::$fc { d, a, b })|*
                    | $(Self::$tb { d, a, b })|* | $(Self::$ld_at { d, a, b })|* | $(Self::$fu { d, a, b })|* | $(Self::$fr { d, a, b })|*
                    | $(Self::$fb { d, a, b })|* | $(Self::$st_at { a: d, b: a, c: b })|* | $(Self::$ts { a: d, b: a, c: b })|*
                    | Self::MemoryCopy { d, a, b }
                    | Self::MemoryFill { d, a, b } | Self::Select { d, a, b } | Self::Copy2 { d, a, e: b } => {
                        visit(d);
                        visit(a);
                        visit(b);
                    }
                    $(Self::$ic_br { a, b, .. })|* | $(Self::$fc_br { a, b, .. })|* | $(Self::$fc_not { a, b, .. })|*
                    | $(Self::$st { a, b, .. })|* | $(Self::$st_far { a, b })|* | $(Self::$st_plus { a, b, .. })|* => {
                        visit(a);
                        visit(b);
                    }
                    $(Self::$ic_bri { a, .. })|* | $(Self::$st_imm { a, .. })|* | $(Self::$sp { a, .. } | Self::$sp_imm { a, .. })|*
                    | Self::BrEqz { a, .. } | Self::BrNez { a, .. } | Self::BrTable { a, .. }
                    | Self::ReturnOne { a } | Self::ReturnMany { a, .. } | Self::GlobalSet { a, .. }
                    | Self::CallIndirect { a, .. } | Self::ReturnCallIndirect { a, .. }
                    | Self::CallRef { a, .. } | Self::ReturnCallRef { a, .. } | Self::RefAsNonNull { a } | Self::Narrow { a } => visit(a),
                    Self::V128Load { d: pair, a, .. } | Self::V128Store { a, b: pair, .. } => {
                        visit(a);
                        visit(pair);
                        visit(pair.saturating_add(1));
                    }
                    Self::Const32 { d, .. } | Self::Const64 { d, .. } | Self::GlobalGet { d, .. } | Self::MemorySize { d } => visit(d),
                    Self::Nop | Self::Wide { .. } | Self::Edge { .. } | Self::Charge { .. } | Self::Tick { .. } | Self::Br { .. }
                    // How many slots its operands take, the outlined instruction knows.
                    | Self::Outline { .. }
                    | Self::Return | Self::Call { .. } | Self::ReturnCall { .. } | Self::Slow { .. } | Self::Unreachable => {}
                }
            }

            /// Sets the offset of a branch; `false` if it does not fit.
            pub(super) fn set_offset(&mut self, offset: i32) -> bool {
                match self {
                    $(Self::$ic_br { off, .. })|* | $(Self::$ic_bri { off, .. })|* | $(Self::$fc_br { off, .. })|*
                    | $(Self::$fc_not { off, .. })|* | $(Self::$sp { off, .. } | Self::$sp_imm { off, .. })|* => match i16::try_from(offset) {
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
                            $((Self::$lp_load { a, imm, .. }, super::Op::$lp_second) => Self::$lp { d, a, imm },)*
                            _ => return None,
                        };
                        Some([fused, Self::Wide { low, high: c }])
                    }
                    _ => None,
                }
            }

            /// The same for an instruction of one word.
            fn then(self, op: super::Op, d: u16, c: u16, right: bool) -> Option<[Inst; 2]> {
                use super::Op;
                let fused = match (self, op, right) {
                    $((Self::$fu_first { a, b, .. }, Op::$fu_second, false) => Self::$fu { d, a, b },)*
                    $((Self::$fr_first { a, b, .. }, Op::$fr_second, true) => Self::$fr { d, a, b },)*
                    $((Self::$fi_first { a, imm, .. }, Op::$fi_second, false) => Self::$fi { d, a, imm },)*
                    $((Self::$lt_load { a, off, .. }, Op::$lt_second, false) => Self::$lt { d, a, off },)*
                    $((Self::$lb_load { a, off, .. }, Op::$lb_second, true) => Self::$lb { d, a, off },)*
                    _ => return None,
                };
                Some([fused, Self::Wide { low: 0, high: c }])
            }

            /// This and, with its result as the left operand, an instruction with an immediate.
            pub(super) fn then_immediate(self, second: Inst) -> Option<[Inst; 2]> {
                let (fused, imm) = match (self, second) {
                    $((Self::$fb_first { a, b, .. }, Self::$fb_second { d, imm, .. }) => (Self::$fb { d, a, b }, imm),)*
                    $((Self::$fm_first { a, imm, .. }, Self::$fm_second { d, imm: second, .. }) => (Self::$fm { d, a, imm }, second),)*
                    _ => return None,
                };
                Some([fused, Self::Wide { low: 0, high: imm as u16 }])
            }

            /// This and a store of its result at the address in `a`.
            pub(super) fn then_store(self, op: super::Op, a: u16, off: u32) -> Option<[Inst; 2]> {
                let fused = match (self, op) {
                    $((Self::$ts_first { a: b, b: c, .. }, super::Op::$ts_store) => Self::$ts { a, b, c },)*
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
                    $((Self::$sp_add { d, a, imm }, Self::$sp_br { a: x, b, .. }) if d == a && x == a => (Self::$sp { a, imm, off: 0 }, b),)*
                    $((Self::$sp_add { d, a, imm }, Self::$sp_bri { a: x, imm: y, .. }) if d == a && x == a => {
                        (Self::$sp_imm { a, imm, off: 0 }, y as u16)
                    })*
                    _ => return None,
                })
            }

            /// The form of a binary operator whose right operand is the constant `bits`.
            pub(super) fn with_constant(op: super::Op, d: u16, a: u16, bits: u64) -> Option<[Inst; 2]> {
                let low16 = bits as u16;
                let first = match op {
                    $(super::Op::$bin => Self::$bin_wide { d, a, bits: low16 },)*
                    $(super::Op::$ib => Self::$ib_wide { d, a, bits: low16 },)*
                    _ => return None,
                };
                Some([first, Self::Wide { low: (bits >> 16) as u32, high: (bits >> 48) as u16 }])
            }

            /// A load from the address that `address` computes.
            pub(super) fn load_at(op: super::Op, d: u16, address: Address, off: u32) -> Option<[Inst; 2]> {
                let (first, high) = match (op, address) {
                    $((super::Op::$ld, Address::Plus { a, imm }) => (Self::$ld_plus { d, a, imm }, 0),)*
                    $((super::Op::$ld, Address::At { a, b, shift }) => (Self::$ld_at { d, a, b }, shift),)*
                    _ => return None,
                };
                Some([first, Self::Wide { low: off, high }])
            }

            /// A store of `value` to the address that `address` computes.
            pub(super) fn store_at(op: super::Op, value: u16, address: Address, off: u32) -> Option<[Inst; 2]> {
                let (first, high) = match (op, address) {
                    $((super::Op::$st, Address::Plus { a, imm }) => (Self::$st_plus { a, b: value, imm }, 0),)*
                    $((super::Op::$st, Address::At { a, b, shift }) => (Self::$st_at { a, b: value, c: b }, shift),)*
                    _ => return None,
                };
                Some([first, Self::Wide { low: off, high }])
            }

            /// A store of an immediate with a near offset.
            pub(super) fn store_immediate(op: super::Op, a: u16, imm: i16, off: u16) -> Option<Inst> {
                Some(match op {
                    $(super::Op::$st => Self::$st_imm { a, imm, off },)*
                    _ => return None,
                })
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
