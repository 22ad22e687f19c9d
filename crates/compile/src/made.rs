//! Float locals that only ever hold what float operators make. If one holds a NaN, the program has the canonical one there; compiled code
//! may hold any, and makes it the canonical one where its bits can be seen.

use stepmark_core::code::{Body, Instr, Op};
use stepmark_core::numeric::{F32_NAN, F64_NAN};

use crate::rules::{Num, Rule, Rules};

/// By slot, whether every value that a local is set to is made by an operator, is a constant but a NaN of another kind, or is what
/// another such local holds. Parameters hold what callers give.
pub(crate) fn made_locals(rules: &Rules, body: &Body, locals: &[Option<Num>], params: u32) -> Vec<bool> {
    let is_float = |(slot, ty): (u32, &Option<Num>)| slot >= params && ty.is_some_and(Num::is_float);
    let mut made: Vec<bool> = (0..).zip(locals).map(is_float).collect();
    loop {
        let mut is_stable = true;
        for pair in body.instrs.windows(2) {
            let [before, set] = pair else { continue };
            let slot = set.imm as usize;
            let is_set = matches!(set.op, Op::LocalSet | Op::LocalTee) && made[slot];
            // What is on top of the stack, the instruction before has put there; the end of a construct puts anything.
            if is_set && !makes(rules, before, &made) {
                made[slot] = false;
                is_stable = false;
            }
        }
        if is_stable {
            return made;
        }
    }
}

fn makes(rules: &Rules, instr: &Instr, made: &[bool]) -> bool {
    match rules.of(instr.op) {
        Rule::Numeric { may_be_nan, .. } => may_be_nan || instr.op.mnemonic().contains(".convert_"),
        Rule::Constant(Num::F32) => !f32::from_bits(instr.imm as u32).is_nan() || instr.imm == F32_NAN.into(),
        Rule::Constant(Num::F64) => !f64::from_bits(instr.imm).is_nan() || instr.imm == F64_NAN,
        _ => instr.op == Op::LocalGet && made[instr.imm as usize],
    }
}

/// What the program has where compiled code has this: the canonical NaN for any.
pub(crate) fn canonical(ty: Num, bits: u64) -> u64 {
    match ty {
        Num::F32 if f32::from_bits(bits as u32).is_nan() => F32_NAN.into(),
        Num::F64 if f64::from_bits(bits).is_nan() => F64_NAN,
        _ => bits,
    }
}

/// Whether a local of [this kind](made_locals) can hold this.
pub(crate) fn can_be_made(ty: Num, bits: u64) -> bool {
    canonical(ty, bits) == bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepmark_core::module::{Features, Module};

    #[test]
    fn a_local_that_is_set_to_what_was_loaded_or_given_is_not_made() {
        let text = "(module (memory 1) (func (param f64) (local f64 f64 f64 f64 f64 f32 i32)
            (local.set 1 (f64.add (local.get 0) (local.get 0)))
            (local.set 2 (local.get 1))
            (local.set 3 (local.get 0))
            (local.set 4 (local.get 5))
            (local.set 5 (f64.load (i32.const 0)))
            (local.set 6 (f32.const nan))
            (local.set 7 (i32.const 1))))";
        let module = Module::parse(wat::parse_str(text).unwrap(), Features::default()).unwrap();
        let locals = [Num::F64, Num::F64, Num::F64, Num::F64, Num::F64, Num::F64, Num::F32, Num::I32].map(Some);
        let made = made_locals(&Rules::new(), &Body::decode(&module, 0), &locals, 1);
        assert_eq!(made, [false, true, true, false, false, false, true, false]);
    }
}
