//! Prices instructions in code: the same schedule as that of the file, so the same jobs.

use node_sdk::{Config, Schedule, Value, Vm};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schedule = Schedule::builder("memory-is-dear")
        .otherwise(1)
        .free_markers()
        .cost("i32.load", 5)?
        .cost("i32.store", 10)?
        .memory_page(100_000)
        .table_element(3)
        .host_call(50, 1, 8)
        .build()?;
    println!("{}\n{}", schedule.name(), schedule.text());
    let file = Schedule::parse("memory-is-dear", schedule.text())?;
    assert_eq!(file.hash(), schedule.hash());

    let wasm = wat::parse_str(
        r#"(module (memory 1) (func (export "f") (param i32)
            (i32.store (local.get 0) (i32.load (local.get 0)))
            (drop (memory.grow (i32.const 2)))))"#,
    )?;
    for schedule in [Schedule::default(), schedule] {
        let name = schedule.name().to_owned();
        let mut vm = Vm::builder().module(wasm.clone()).config(Config::new().schedule(schedule)).build()?;
        vm.run_func(None, "f", &[Value::I32(0)])?;
        println!("{name}: {} gas", vm.gas_used());
    }
    Ok(())
}
