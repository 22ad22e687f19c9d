//! The exported functions (docs/guest-abi.md).
#![expect(unsafe_code, reason = "an exported function needs an unmangled name, which the language counts as unsafe")]

use std::cell::RefCell;

use crate::compiler::Compiler;

thread_local! {
    static COMPILER: RefCell<Compiler> = const { RefCell::new(Compiler::new()) };
}

fn with<T>(work: impl FnOnce(&mut Compiler) -> T) -> T {
    COMPILER.with_borrow_mut(work)
}

/// Exports functions that the [`Compiler`] has, by their names with `compiler_` in front.
macro_rules! exports {
    ($($name:ident = $method:ident($($arg:ident: $ty:ty),*) $(-> $result:ty)?;)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name($($arg: $ty),*) $(-> $result)? {
                with(|compiler| compiler.$method($($arg),*))
            }
        )*
    };
}

exports! {
    compiler_buffer = hold(length: u32) -> *const u8;
    compiler_read = read(instance: u32, told: u32, program: u32, schedule: u32) -> i32;
    compiler_emit = emit(instance: u32, told: u32, is_all: bool) -> i32;
    compiler_hand_over = hand_over(instance: u32) -> i32;
    compiler_places = places(instance: u32) -> i32;
    compiler_enter = enter(instance: u32, length: u32) -> i32;
    compiler_results = results(instance: u32) -> i32;
    compiler_left_piece = left_piece(instance: u32, innermost: u32) -> i32;
    compiler_left = left(instance: u32, length: u32) -> i32;
    compiler_judge = judge(instance: u32, func: u32, spent: u64) -> i32;
    compiler_look = look(total: u64, compiled: u64) -> i32;
    compiler_taken_in = taken_in(total: u64, compiled: u64);
    compiler_moved = moved();
}
