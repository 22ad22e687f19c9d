//! Executes each segment of a run again, from its snapshot and the record of what came from outside, and compares
//! bytes. The verifier needs neither the host functions' answers nor the segments before.

use node_sdk::{Caller, Chain, HostError, Linker, Next, Value, Vm, VmBuilder};

const PROGRAM: &str = r#"(module
    (import "sensor" "read" (func $read (result i64)))
    (memory (export "memory") 1)
    (func (export "measure") (param $n i32) (result i64)
      (loop $l
        (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (call $read)))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (i64.load (i32.const 0))))"#;

/// A description whose function answers with `answer`.
fn description(answer: fn() -> Result<u64, HostError>) -> Result<VmBuilder, Box<dyn std::error::Error>> {
    let mut linker = Linker::new();
    linker.func("sensor", "read", move |_: &mut Caller<'_>, (): ()| answer())?;
    Ok(Vm::builder().module(wat::parse_str(PROGRAM)?).linker(linker))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let measure = || Ok(u64::from(std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.subsec_micros()) % 100));
    let mut run = description(measure)?.start(Some("measure"), &[Value::I32(100)], 500)?;
    let mut chain = Chain::new();
    let outcome = loop {
        match run.next()? {
            Next::Segment(segment) => chain.add(&segment),
            Next::Finished(outcome) => break outcome,
            Next::Paused => {}
        }
    };
    outcome.files.iter().for_each(|(name, bytes)| chain.insert(name, bytes.clone()));
    println!("measured {:?} in {} segments", outcome.values, chain.last() + 1);

    let verifier = description(|| Err(HostError::new("nobody may be asked")))?;
    for id in 1..=chain.last() {
        match verifier.replay(&chain, id, None)?.next()? {
            Next::Segment(segment) => {
                let equal = segment.files().all(|(name, bytes)| chain.file(&name) == Some(bytes));
                println!("segment {} -> {}: {}", id, segment.id, if equal { "equal" } else { "DIFFERS" });
                assert!(equal);
            }
            Next::Finished(again) => assert_eq!(again.files["receipt.json"], outcome.files["receipt.json"]),
            Next::Paused => {}
        }
    }
    println!("all segments lead where the chain says");
    Ok(())
}
