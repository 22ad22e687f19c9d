//! Calls functions of a live program, and runs one to its end with a gas limit for each segment.

use node_sdk::{Next, Value, Vm};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasmfiles/fib32.wasm");
    let program = Vm::builder().module(std::fs::read(path)?);

    let mut vm = program.build()?;
    for n in [10, 20] {
        println!("fib({n}) = {}", vm.run_func(None, "fib", &[Value::I32(n)])?[0]);
    }
    println!("gas used: {}", vm.gas_used());

    let mut run = program.start(Some("fib"), &[Value::I32(20)], 100_000)?;
    loop {
        match run.next()? {
            Next::Segment(segment) => println!("snapshot {}: {} bytes", segment.id, segment.snap.len()),
            Next::Finished(outcome) => {
                println!("{:?}, {} gas", outcome.values, outcome.gas_used);
                println!("{}", outcome.audit.to_json());
                break;
            }
            Next::Paused => {}
        }
    }
    println!("{}", run.metrics().to_json());
    Ok(())
}
