//! A module that drives one with `setup` and `run` from inside, for engines that call one export of one job: it imports
//! the other under the name `program`, and exports `setup`, which prepares only, and `run`, which prepares, runs and
//! returns what it came to.

use anyhow::Result;
use peers_shim::{FOLD_FACTOR, Number};
use wasmparser::ValType;

use crate::program::SetupRun;

/// Turns the value of `output` into an `i64` with its bits.
fn to_bits(ty: ValType) -> &'static str {
    match ty {
        ValType::I32 => "i64.extend_i32_u",
        ValType::F32 => "(i64.extend_i32_u (i32.reinterpret_f32))",
        ValType::F64 => "i64.reinterpret_f64",
        _ => "",
    }
}

/// The module for a program whose `output`, if it has one, returns a value of this type.
pub fn wrapper(argument: Option<Number>, run_results: &[ValType], output: Option<ValType>) -> Result<SetupRun> {
    let (param, value) = match argument {
        None => ("", String::new()),
        Some(Number::I32(n)) => ("(param i32)", format!("(i32.const {n})")),
        Some(Number::I64(n)) => ("(param i64)", format!("(i64.const {n})")),
    };
    let results: String = run_results.iter().map(|ty| format!(" {ty}")).collect();
    let drops = "drop ".repeat(run_results.len());
    let (outcome, without) = match output {
        Some(ty) => (
            format!(
                r#"(import "program" "output" (func $output (param i32) (result {ty})))
                (func $outcome (param i32) (result i64) local.get 0 call $output {})"#,
                to_bits(ty)
            ),
            "i64.const 0",
        ),
        // The fold costs the same before and after the run, so that it falls out of the difference.
        None => (format!(r#"(import "program" "memory" (memory 0)) {}"#, fold()), "i32.const 0 call $outcome"),
    };
    let text = format!(
        r#"(module
            (import "program" "setup" (func $setup {param} (result i32)))
            (import "program" "run" (func $run (param i32) (result{results})))
            {outcome}
            (func (export "setup") (result i64) (drop (call $setup {value})) {without})
            (func (export "run") (result i64) (local $data i32)
                (local.set $data (call $setup {value}))
                local.get $data call $run {drops}
                (call $outcome (local.get $data))))"#
    );
    Ok(SetupRun { argument, output: output.is_some(), wrapper: wat::parse_str(text)? })
}

/// [`peers_shim::fold`] as a function of WebAssembly.
fn fold() -> String {
    format!(
        "(func $outcome (param i32) (result i64) (local $at i32) (local $end i32) (local $fold i64)
            (local.set $end (i32.shl (memory.size) (i32.const 16)))
            (block $done
                (loop $next
                    (br_if $done (i32.eq (local.get $at) (local.get $end)))
                    (i64.xor (local.get $fold) (i64.load (local.get $at)))
                    (i64.mul (i64.const {FOLD_FACTOR}))
                    (local.set $fold (i64.rotl (i64.const 29)))
                    (local.set $at (i32.add (local.get $at) (i32.const 8)))
                    (br $next)))
            (local.get $fold))"
    )
}
