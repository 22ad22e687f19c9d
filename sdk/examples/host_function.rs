//! Offers a function that reads the caller's memory, charges for its work, and refuses bad arguments.

use node_sdk::{Caller, Error, HostError, Linker, Value, Vm};

const PROGRAM: &str = r#"(module
    (import "text" "count" (func $count (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "one two three")
    (func (export "words") (param i32) (result i32) (call $count (i32.const 0) (local.get 0))))"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut linker = Linker::new();
    linker.func("text", "count", |caller: &mut Caller<'_>, (text, length): (u32, u32)| {
        // Before the work: who cannot pay gets none of it.
        caller.charge(u64::from(length) * 2, "counting words")?;
        let text = String::from_utf8(caller.read(text, length)?).map_err(|_| HostError::new("not UTF-8"))?;
        u32::try_from(text.split_whitespace().count()).map_err(|_| HostError::new("too many words"))
    })?;
    let mut vm = Vm::builder().module(wat::parse_str(PROGRAM)?).linker(linker).build()?;
    println!("{:?}", vm.run_func(None, "words", &[Value::I32(13)])?);
    println!("{}", vm.metrics().to_json());
    match vm.run_func(None, "words", &[Value::I32(-1)]) {
        Err(Error::Trap(report)) => println!("{}", Error::Trap(report)),
        other => return Err(format!("expected a trap: {other:?}").into()),
    }
    Ok(())
}
