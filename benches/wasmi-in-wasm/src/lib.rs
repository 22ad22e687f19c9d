//! wasmi as WebAssembly: exported functions by which the runner loads a program and calls it. Bytes pass through one
//! buffer. What can fail returns the length of an error's text, which is then in the buffer, or 0; its value is asked
//! for after it.
#![allow(unsafe_code, reason = "that a function is exported under its own name is a promise to the linker")]

use std::cell::RefCell;

use anyhow::{Context, Result};
use peers_shim::{Instance as _, Number};

#[cfg(feature = "v1")]
peers_shim::wasmi_engine!(wasmi1);
#[cfg(all(feature = "v2", not(feature = "v1")))]
peers_shim::wasmi_engine!(wasmi2);

/// What is kept between calls.
#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    value: u64,
    program: Option<Program>,
    instance: Option<Instance>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

impl State {
    fn text(&self) -> Result<&str> {
        Ok(std::str::from_utf8(&self.buffer)?)
    }

    fn instance(&mut self) -> Result<&mut Instance> {
        self.instance.as_mut().context("there is no instance")
    }

    fn load(&mut self, fuel: bool) -> Result<u64> {
        self.program = Some(Program::new(&self.buffer, fuel)?);
        Ok(0)
    }

    fn instantiate(&mut self) -> Result<u64> {
        let args: Vec<String> = self.text()?.split_terminator('\0').map(str::to_owned).collect();
        self.instance = None;
        self.instance = Some(self.program.as_ref().context("there is no program")?.instantiate(&args)?);
        Ok(0)
    }

    fn call(&mut self, argument: Option<Number>) -> Result<u64> {
        let export = self.text()?.to_owned();
        self.instance()?.call(&export, argument)
    }
}

/// Does `action`, and keeps its value or the text of its error.
fn fallible(action: impl FnOnce(&mut State) -> Result<u64>) -> u32 {
    STATE.with_borrow_mut(|state| match action(state) {
        Ok(value) => {
            state.value = value;
            0
        }
        Err(error) => {
            state.buffer = format!("{error:#}").into_bytes();
            state.buffer.len() as u32
        }
    })
}

/// Address of the buffer, which is `length` bytes long from now on.
#[unsafe(no_mangle)]
pub extern "C" fn buffer(length: u32) -> *const u8 {
    STATE.with_borrow_mut(|state| {
        state.buffer.resize(length as usize, 0);
        state.buffer.as_ptr()
    })
}

/// The value of the last function that can fail.
#[unsafe(no_mangle)]
pub extern "C" fn value() -> u64 {
    STATE.with_borrow(|state| state.value)
}

/// Validates the program in the buffer.
#[unsafe(no_mangle)]
pub extern "C" fn load(fuel: u32) -> u32 {
    fallible(|state| state.load(fuel != 0))
}

/// Makes an instance; its arguments are in the buffer, each with a NUL behind it.
#[unsafe(no_mangle)]
pub extern "C" fn instantiate() -> u32 {
    fallible(State::instantiate)
}

/// Calls the export that the buffer names, without an argument.
#[unsafe(no_mangle)]
pub extern "C" fn call() -> u32 {
    fallible(|state| state.call(None))
}

/// Calls the export that the buffer names with an `i32`.
#[unsafe(no_mangle)]
pub extern "C" fn call_i32(argument: i32) -> u32 {
    fallible(|state| state.call(Some(Number::I32(argument))))
}

/// Calls the export that the buffer names with an `i64`.
#[unsafe(no_mangle)]
pub extern "C" fn call_i64(argument: i64) -> u32 {
    fallible(|state| state.call(Some(Number::I64(argument))))
}

/// Fold of the program's memory.
#[unsafe(no_mangle)]
pub extern "C" fn memory_fold() -> u32 {
    fallible(|state| state.instance()?.memory_fold())
}

/// Hash of the program's output.
#[unsafe(no_mangle)]
pub extern "C" fn output_hash() -> u32 {
    fallible(|state| Ok(state.instance()?.output()?.hash))
}

/// Exit code of the program.
#[unsafe(no_mangle)]
pub extern "C" fn exit_code() -> u32 {
    fallible(|state| Ok(u64::from(state.instance()?.output()?.exit_code as u32)))
}
