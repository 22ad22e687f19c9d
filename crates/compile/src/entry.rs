//! How compiled code is entered from outside: with the arguments in the frame, where the results are put too.

use wasm_encoder::{BlockType, Function, ValType};

use crate::function::at;
use crate::layout::slot_offset;
use crate::program::{ENTERED, Program, RESUMED};
use crate::rules::Num;

/// `(frame: i32, gas: i64) -> gas: i64` for a function: it is called with what lies in its frame, and its results are put
/// there if it returns. What it charges for its locals is given to it: a call from outside does not pay that.
pub(crate) fn from_frame(program: &Program<'_>, func: u32) -> Function {
    let compiled = &program.funcs[&func];
    let results = compiled.results.iter().map(|ty| ty.encoded());
    let mut function = Function::new_with_locals_types(results);
    let mut sink = function.instructions();
    for (slot, ty) in (0..compiled.params).zip(compiled.locals.iter().flatten()) {
        let place = at(slot_offset(slot));
        sink.local_get(0);
        match ty {
            Num::I32 => sink.i32_load(place),
            Num::I64 => sink.i64_load(place),
            Num::F32 => sink.f32_load(place),
            Num::F64 => sink.f64_load(place),
        };
    }
    sink.local_get(0).local_get(1).i64_const(program.zeroed_cost(func)).i64_add();
    sink.call(program.companion_func(func)).local_set(1);
    for number in (0..compiled.results.len() as u32).rev() {
        sink.local_set(2 + number);
    }
    sink.local_get(1).i64_const(0).i64_ge_s().if_(BlockType::Empty);
    for (slot, ty) in (0..).zip(&compiled.results) {
        let place = at(slot_offset(slot));
        sink.local_get(0).local_get(2 + slot);
        match ty {
            Num::I32 => sink.i64_extend_i32_u(),
            Num::F32 => sink.i32_reinterpret_f32().i64_extend_i32_u(),
            Num::F64 => sink.i64_reinterpret_f64(),
            Num::I64 => &mut sink,
        }
        .i64_store(place);
    }
    sink.end().local_get(1).end();
    function
}

/// `enter(func: i32, frame: i32, gas: i64) -> gas: i64`.
pub(crate) fn enter() -> Function {
    let mut function = Function::new_with_locals_types(std::iter::empty::<ValType>());
    function.instructions().local_get(1).local_get(2).local_get(0).call_indirect(ENTERED, 0).end();
    function
}

/// `resume(func: i32, point: i32, frame: i32, gas: i64) -> gas: i64`.
pub(crate) fn resume() -> Function {
    let mut function = Function::new_with_locals_types(std::iter::empty::<ValType>());
    let mut sink = function.instructions();
    sink.local_get(1).local_get(2).local_get(3).local_get(0).call_indirect(RESUMED, 1).end();
    function
}
