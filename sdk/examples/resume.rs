//! Goes on from a snapshot, and from a pause: every way leads to the same result.

use node_sdk::{Chain, Next, Outcome, Run, SnapshotId, Value, Vm};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasmfiles/fib32.wasm");
    let program = Vm::builder().module(std::fs::read(path)?);

    let mut chain = Chain::new();
    let whole = to_end(program.start(Some("fib"), &[Value::I32(18)], 20_000)?, &mut chain)?;
    println!("{} snapshots, {:?}", chain.last(), whole.values);

    let middle = SnapshotId::Number(chain.last() / 2);
    let resumed = to_end(program.resume(&chain, middle, None)?, &mut Chain::new())?;
    assert_eq!(resumed.files, whole.files);
    println!("resumed from {middle:?}: the same receipt");

    let mut paused = Chain::new();
    let mut run = program.start(Some("fib"), &[Value::I32(18)], 20_000)?;
    let Next::Paused = run.advance(12_345)? else { return Err("the run is too short".into()) };
    paused.add(&run.pause()?);
    drop(run);
    let resumed = to_end(program.resume(&paused, SnapshotId::Paused, None)?, &mut paused)?;
    assert_eq!(resumed.files, whole.files);
    assert!(chain.files().all(|(name, bytes)| paused.file(name) == Some(bytes)));
    println!("paused and resumed: the same receipt, and the same snapshots");
    Ok(())
}

fn to_end(mut run: Run, chain: &mut Chain) -> Result<Outcome, node_sdk::Error> {
    loop {
        match run.next()? {
            Next::Segment(segment) => chain.add(&segment),
            Next::Finished(outcome) => return Ok(outcome),
            Next::Paused => {}
        }
    }
}
