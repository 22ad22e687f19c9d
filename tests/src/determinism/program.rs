//! The program that drives the operators: a function for each, which takes it through all its values, writes the results
//! into memory and returns a hash over them, and one that returns the hashes of all.

use std::fmt::Write;

use super::operators::{Access, Operator};
use super::values::Type;

/// Address of the results of an operator.
pub(super) const RESULTS: usize = 1 << 20;
/// Address of which combinations are to be left out, a byte each.
const LEFT_OUT: usize = 1 << 16;
/// Address that stores write to.
const SCRATCH: usize = 16;
/// Third operands beside vectors that are taken: every so many.
const THIRD: usize = 11;

/// Address of the values of a type.
fn table(ty: Type) -> usize {
    4096 * (1 + ty as usize)
}

/// Bytes between two values of an operand: a third vector takes only some, which still are of every kind.
fn stride(operator: &Operator, operand: usize) -> usize {
    let ty = operator.operands[operand];
    if operand == 2 && operator.operands[0] == Type::V128 { THIRD * ty.bytes() } else { ty.bytes() }
}

/// The values that an operand takes.
pub(super) fn values(operator: &Operator, operand: usize) -> Vec<u128> {
    let ty = operator.operands[operand];
    ty.values().into_iter().step_by(stride(operator, operand) / ty.bytes()).collect()
}

/// All combinations of operands, in the order in which the program takes them; of a load: the vectors that it finds.
pub(super) fn combinations(operator: &Operator) -> Vec<Vec<u128>> {
    let mut all = vec![Vec::new()];
    let lists = (0..operator.operands.len()).map(|operand| values(operator, operand));
    let found = (operator.access == Access::Load).then(|| Type::V128.values());
    for list in found.into_iter().chain(lists) {
        all = all.iter().flat_map(|first| list.iter().map(move |v| [first.as_slice(), &[*v]].concat())).collect();
    }
    all
}

/// Bytes of a result.
pub(super) fn result_bytes(operator: &Operator) -> usize {
    if operator.result == Type::V128 { 16 } else { 8 }
}

/// A value as 8 or 16 bytes in memory: the store of it, and what makes it an i64.
fn store(ty: Type) -> (&'static str, &'static str) {
    match ty {
        Type::I32 => ("i64.store", "i64.extend_i32_u"),
        Type::I64 => ("i64.store", ""),
        Type::F32 => ("i64.store", "i32.reinterpret_f32 i64.extend_i32_u"),
        Type::F64 => ("i64.store", "i64.reinterpret_f64"),
        Type::V128 => ("v128.store", ""),
    }
}

/// Instructions that leave the result of the operator at the addresses in `$p0`, `$p1`, `$p2`.
fn body(operator: &Operator) -> String {
    let first = usize::from(operator.access == Access::Load);
    let mut text = match operator.access {
        Access::None => String::new(),
        Access::Load => "local.get $p0 ".to_owned(),
        Access::Store => format!("i32.const {SCRATCH} "),
    };
    for (operand, ty) in operator.operands.iter().enumerate() {
        write!(text, "local.get $p{} {ty}.load ", operand + first).expect("memory suffices");
    }
    text.push_str(&operator.text);
    if operator.access == Access::Store {
        write!(text, " i32.const {SCRATCH} v128.load").expect("memory suffices");
    }
    text
}

fn function(number: usize, operator: &Operator) -> String {
    let mut loops: Vec<(Type, usize)> =
        operator.operands.iter().enumerate().map(|(i, ty)| (*ty, stride(operator, i))).collect();
    if operator.access == Access::Load {
        loops.insert(0, (Type::V128, 16));
    }
    let (name, bytes) = (&operator.text, result_bytes(operator));
    let (store, extend) = store(operator.result);
    let body = body(operator);
    let mut text = format!(
        "(func $f{number} (export \"{name}\") (result i64) (local $p0 i32) (local $p1 i32) (local $p2 i32) (local $o i32) \
         (local $l i32)\n(local.set $o (i32.const {RESULTS})) (local.set $l (i32.const {LEFT_OUT}))\n"
    );
    for (i, (ty, _)) in loops.iter().enumerate() {
        writeln!(text, "(local.set $p{i} (i32.const {})) (loop $l{i}", table(*ty)).expect("memory suffices");
    }
    if operator.may_trap() {
        writeln!(
            text,
            "local.get $o (if (result i64) (i32.load8_u (local.get $l)) (then i64.const 0) (else {body} {extend})) {store}\n\
             (local.set $l (i32.add (local.get $l) (i32.const 1)))"
        )
        .expect("memory suffices");
    } else {
        writeln!(text, "local.get $o {body} {extend} {store}").expect("memory suffices");
    }
    writeln!(text, "(local.set $o (i32.add (local.get $o) (i32.const {bytes})))").expect("memory suffices");
    for (i, (ty, stride)) in loops.iter().enumerate().rev() {
        let end = table(*ty) + ty.values().len() * ty.bytes();
        writeln!(
            text,
            "(br_if $l{i} (i32.lt_u (local.tee $p{i} (i32.add (local.get $p{i}) (i32.const {stride}))) (i32.const {end}))))"
        )
        .expect("memory suffices");
    }
    text.push_str("(call $hash (local.get $o)))\n");
    text
}

fn data(address: usize, bytes: impl IntoIterator<Item = u8>) -> String {
    let text: String = bytes.into_iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!("(data (i32.const {address}) \"{text}\")\n")
}

/// Text of the program. `traps` says for each operator that may trap, in order, at which combinations it does.
pub(super) fn program(operators: &[Operator], traps: &[Vec<bool>]) -> String {
    let results = "i64 ".repeat(operators.len());
    let mut text = format!(
        "(module (memory (export \"memory\") 80)\n\
         (func $hash (param $end i32) (result i64) (local $p i32) (local $h i64)\n\
           (local.set $p (i32.const {RESULTS})) (local.set $h (i64.const 0x6a09e667f3bcc908))\n\
           (loop $next\n\
             (local.set $h (i64.rotl (i64.mul (i64.xor (local.get $h) (i64.load (local.get $p)))\n\
               (i64.const 0x9e3779b97f4a7c15)) (i64.const 29)))\n\
             (br_if $next (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 8))) (local.get $end))))\n\
           (local.get $h))\n"
    );
    for ty in Type::ALL {
        let values = ty.values();
        text.push_str(&data(table(ty), values.iter().flat_map(|v| v.to_le_bytes()[..ty.bytes()].to_vec())));
    }
    let mut calls = String::new();
    let mut left_out = traps.iter();
    for (number, operator) in operators.iter().enumerate() {
        text.push_str(&function(number, operator));
        if operator.may_trap() {
            let bytes: Vec<u8> = left_out.next().into_iter().flatten().map(|traps| u8::from(*traps)).collect();
            let hex: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
            writeln!(text, "(data $traps{number} \"{hex}\")").expect("memory suffices");
            let length = bytes.len();
            writeln!(
                text,
                "(func (export \"prepare {}\") (memory.init $traps{number} (i32.const {LEFT_OUT}) (i32.const 0) (i32.const \
                 {length})))",
                operator.text
            )
            .expect("memory suffices");
            writeln!(calls, "(memory.init $traps{number} (i32.const {LEFT_OUT}) (i32.const 0) (i32.const {length}))")
                .expect("memory suffices");
        }
        writeln!(calls, "call $f{number}").expect("memory suffices");
    }
    write!(text, "(func (export \"run\") (result {results})\n{calls}))").expect("memory suffices");
    text
}

/// Text of a module with a function for each operator that may trap, of its operands.
pub(super) fn single(operators: &[Operator]) -> String {
    let mut text = String::from("(module\n");
    for operator in operators.iter().filter(|operator| operator.may_trap()) {
        let params: Vec<String> = operator.operands.iter().map(Type::to_string).collect();
        let gets: Vec<String> = (0..params.len()).map(|i| format!("local.get {i}")).collect();
        writeln!(
            text,
            "(func (export \"{}\") (param {}) (result {}) {} {})",
            operator.text,
            params.join(" "),
            operator.result,
            gets.join(" "),
            operator.text
        )
        .expect("memory suffices");
    }
    text.push(')');
    text
}
