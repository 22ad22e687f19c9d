//! Host functions: types, memory, gas, traps, in live programs and in runs, which record them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use node_sdk::{Caller, Chain, End, Error, HostError, Linker, Next, SnapshotId, Trap, Value, ValueType, Vm, VmBuilder};

fn program(wat: &str, linker: Linker) -> VmBuilder {
    Vm::builder().module(wat::parse_str(wat).unwrap()).linker(linker)
}

/// One function `env.f` of the closure's type.
macro_rules! linker {
    ($body:expr) => {{
        let mut linker = Linker::new();
        linker.func("env", "f", $body).unwrap();
        linker
    }};
}

#[test]
fn tuples_of_numbers_pass_in_order_both_ways() {
    let wat = r#"(module (import "env" "f" (func $f (param i32 i64 f32 f64) (result f64 f32 i64 i32)))
        (func (export "run") (result f64 f32 i64 i32)
            (call $f (i32.const -1) (i64.const -2) (f32.const 1.5) (f64.const 2.5))))"#;
    let linker = linker!(|_: &mut Caller<'_>, (a, b, c, d): (u32, i64, f32, f64)| {
        assert_eq!((a, b), (u32::MAX, -2));
        Ok::<_, HostError>((d, c, b, a))
    });
    let values = program(wat, linker).build().unwrap().run_func(None, "run", &[]).unwrap();
    assert_eq!(values, [Value::F64(2.5), Value::F32(1.5), Value::I64(-2), Value::I32(-1)]);
}

#[test]
fn an_untyped_function_is_checked_for_what_it_returns() {
    let wat = r#"(module (import "env" "f" (func $f (param i32) (result i32)))
        (func (export "run") (param i32) (result i32) (call $f (local.get 0))))"#;
    let mut linker = Linker::new();
    let i32s = [ValueType::I32];
    linker
        .func_new("env", "f", &i32s, &i32s, |_, args| match args {
            [Value::I32(0)] => Ok(vec![Value::I64(0)]),
            other => Ok(other.to_vec()),
        })
        .unwrap();
    let error = linker.func_new("env", "v", &[ValueType::V128], &[], |_, _| Ok(vec![])).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "env.v: host functions take and return numbers only");
    let mut vm = program(wat, linker).build().unwrap();
    assert_eq!(vm.run_func(None, "run", &[Value::I32(5)]), Ok(vec![Value::I32(5)]));
    let Err(Error::Trap(report)) = vm.run_func(None, "run", &[Value::I32(0)]) else { panic!("no trap") };
    let detail = "its results are not of the types that it was declared with";
    assert_eq!((report.trap, report.detail.as_deref()), (Trap::HostError, Some(detail)));
}

#[test]
fn a_function_reads_its_own_writes_and_nothing_outside_the_memory() {
    let wat = r#"(module (import "env" "f" (func $f)) (memory (export "memory") 1) (data (i32.const 0) "abcd")
        (func (export "run") (call $f)))"#;
    let linker = linker!(|caller: &mut Caller<'_>, (): ()| {
        assert_eq!(caller.memory_size(), 65_536);
        caller.write(1_u32, b"XY")?;
        assert_eq!(caller.read(0_u32, 4_u32)?, b"aXYd");
        caller.write(2_u32, b"Z")?;
        assert_eq!(caller.read(1_u32, 2_u32)?, b"XZ");
        assert!(caller.read(65_536_u32, 0_u32).is_ok() && caller.write(65_536_u32, b"").is_ok());
        let beyond = caller.write(65_535_u32, b"12").unwrap_err();
        assert_eq!(beyond.to_string(), "it writes 2 bytes at 0xffff, outside the memory");
        assert!(caller.read(u64::MAX, 2_u32).is_err() && caller.read(0_u32, u64::MAX).is_err());
        Ok::<_, HostError>(())
    });
    let mut vm = program(wat, linker).build().unwrap();
    assert_eq!(vm.run_func(None, "run", &[]), Ok(vec![]));
    assert_eq!(vm.memory().unwrap().read(0, 4).unwrap(), b"aXZd");
}

#[test]
fn an_error_of_a_function_is_a_trap_that_tells_it_and_writes_nothing() {
    let wat = r#"(module (import "env" "f" (func $f)) (memory 1) (func $caller (export "run") (call $f)))"#;
    let linker = linker!(|caller: &mut Caller<'_>, (): ()| {
        caller.charge(5, "trying")?;
        caller.write(0_u32, b"x")?;
        Err::<(), _>(HostError::new("the weather is bad"))
    });
    let mut vm = program(wat, linker).build().unwrap();
    let error = vm.run_func(None, "run", &[]).unwrap_err();
    assert!(error.to_string().starts_with("host function error: the weather is bad\n  at caller "), "{error}");
    assert_eq!(vm.memory().unwrap().read(0, 1).unwrap(), b"\0");
    assert_eq!(vm.gas_used(), 1 + 10 + 5, "the call, the host call, what the function charged");
}

const CHARGING: &str = r#"(module (import "env" "f" (func $f (param i64) (result i64)))
    (func (export "run") (param i64) (result i64) (call $f (local.get 0))))"#;

#[test]
fn a_function_sees_and_charges_the_meter() {
    let linker = linker!(|caller: &mut Caller<'_>, amount: u64| {
        let (consumed, remaining) = (caller.consumed(), caller.remaining());
        caller.charge(amount, "work")?;
        assert_eq!((caller.consumed(), caller.remaining()), (consumed + amount, remaining - amount));
        assert_eq!(caller.limit(), 1000);
        caller.charge(1, "more")?;
        Ok::<_, HostError>(remaining)
    });
    let mut vm = program(CHARGING, linker).build().unwrap();
    vm.set_gas(1000);
    let left = 1000 - 1 - 1 - 10;
    assert_eq!(vm.run_func(None, "run", &[Value::I64(100)]), Ok(vec![Value::I64(left)]));
    assert_eq!(vm.gas_used(), 113);
    assert_eq!(
        vm.metrics().charges.iter().map(|(name, gas)| (name.as_str(), *gas)).collect::<Vec<_>>(),
        [("more", 1), ("work", 100)]
    );
    assert_eq!(vm.metrics().host_calls["env.f"], 1);
    vm.set_gas(1000);
    assert_eq!(vm.run_func(None, "run", &[Value::I64(left)]), Err(Error::Gas { left: 999 }), "one is missing");
    vm.set_gas(1000);
    assert_eq!(vm.run_func(None, "run", &[Value::I64(left - 1)]), Ok(vec![Value::I64(left)]));
    assert_eq!(vm.gas(), 0);
}

#[test]
fn a_refund_gives_back_at_most_what_was_used() {
    let linker = linker!(|caller: &mut Caller<'_>, amount: u64| {
        caller.charge(50, "deposit")?;
        caller.refund(amount);
        Ok::<_, HostError>(0_u64)
    });
    let mut vm = program(CHARGING, linker).build().unwrap();
    vm.set_gas(1000);
    vm.run_func(None, "run", &[Value::I64(20)]).unwrap();
    assert_eq!((vm.gas_used(), vm.gas()), (42, 958));
    vm.run_func(None, "run", &[Value::I64(i64::MAX)]).unwrap();
    assert_eq!(vm.gas(), 1000, "no more than there was");
    assert_eq!(vm.metrics().refunds, 20 + i64::MAX as u64);
}

/// Calls `env.f` with 0, 1, ... and keeps the sum of its answers in memory.
const SUM: &str = r#"(module (import "env" "f" (func $f (param i32) (result i32))) (memory (export "memory") 2)
    (func (export "run") (param $n i32) (result i32) (local $i i32)
      (loop $l
        (i32.store (i32.const 70000) (i32.add (i32.load (i32.const 70000)) (call $f (local.get $i))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
      (i32.load (i32.const 70000))))"#;

/// Answers with numbers that no program could know, and counts how often it is asked.
fn secret(calls: &Arc<AtomicU32>) -> Linker {
    let calls = calls.clone();
    linker!(move |caller: &mut Caller<'_>, index: u32| {
        caller.charge(u64::from(index) * 3, "secret")?;
        caller.write(256 + index * 4, &index.to_le_bytes())?;
        Ok::<_, HostError>(calls.fetch_add(1, Ordering::Relaxed) * 1000 + index)
    })
}

fn run_to_end(mut run: node_sdk::Run, chain: &mut Chain) -> node_sdk::Outcome {
    loop {
        match run.next().unwrap() {
            Next::Segment(segment) => chain.add(&segment),
            Next::Finished(outcome) => {
                let kept = outcome.files.iter().filter(|(name, _)| name.ends_with(".calls"));
                kept.for_each(|(name, bytes)| chain.insert(name, bytes.clone()));
                return outcome;
            }
            Next::Paused => {}
        }
    }
}

#[test]
fn every_segment_can_be_executed_again_from_its_record_with_the_same_bytes() {
    let calls = Arc::new(AtomicU32::new(0));
    let description = program(SUM, secret(&calls));
    let mut chain = Chain::new();
    let outcome = run_to_end(description.start(Some("run"), &[Value::I32(40)], 300).unwrap(), &mut chain);
    assert_eq!((outcome.end, outcome.values), (End::Returned, vec![Value::I32(780_780)]));
    assert!(chain.last() >= 8, "{}", chain.last());
    let asked = calls.load(Ordering::Relaxed);
    for id in 1..=chain.last() {
        let mut run = description.replay(&chain, id, None).unwrap();
        match run.next().unwrap() {
            Next::Segment(segment) => {
                assert_eq!(segment.id, id + 1);
                for (name, bytes) in segment.files() {
                    assert!(chain.file(&name) == Some(bytes), "{name} differs");
                }
            }
            Next::Finished(again) => assert_eq!((id, again.values), (chain.last(), vec![Value::I32(780_780)])),
            Next::Paused => panic!("no budget was given"),
        }
    }
    assert_eq!(calls.load(Ordering::Relaxed), asked, "nobody was asked again");
    let mut broken = chain.clone();
    broken.insert("2.calls", chain.file("3.calls").unwrap().to_vec());
    let error = description.replay(&broken, 1, None).err().unwrap();
    assert_eq!(error, Error::Snapshot("2.calls: is of another segment".into()));
}

#[test]
fn a_run_goes_on_from_any_snapshot_and_from_any_pause() {
    let constant = || linker!(|_: &mut Caller<'_>, index: u32| Ok::<_, HostError>(index));
    let description = program(SUM, constant());
    let start = |gas| description.start(Some("run"), &[Value::I32(30)], gas).unwrap();
    let mut whole = Chain::new();
    let expected = run_to_end(start(200), &mut whole);
    for id in 1..=whole.last() {
        let mut rest = whole.clone();
        let outcome = run_to_end(description.resume(&whole, SnapshotId::Number(id), None).unwrap(), &mut rest);
        let differing = rest.files().filter(|(name, bytes)| whole.file(name) != Some(*bytes)).map(|(name, _)| name);
        assert_eq!(differing.collect::<Vec<_>>(), [""; 0], "after snapshot {id}");
        assert!(outcome.files == expected.files, "after snapshot {id}");
    }
    for budget in [7, 150, 333] {
        let (mut run, mut chain, mut left) = (start(200), Chain::new(), budget);
        loop {
            let before = run.gas_used();
            match run.advance(left).unwrap() {
                Next::Segment(segment) => chain.add(&segment),
                Next::Paused => break,
                Next::Finished(_) => panic!("too short a run"),
            }
            left -= run.gas_used() - before;
        }
        let pause = run.pause().unwrap();
        assert!(pause.paused && pause.gas <= 200);
        chain.add(&pause);
        let outcome = run_to_end(description.resume(&chain, SnapshotId::Paused, None).unwrap(), &mut chain);
        assert!(outcome.files == expected.files, "after {budget} gas");
        let differing = whole.files().filter(|(name, bytes)| chain.file(name) != Some(*bytes)).map(|(name, _)| name);
        assert_eq!(differing.collect::<Vec<_>>(), [""; 0], "after {budget} gas");
        assert!(run_to_end(run, &mut Chain::new()).files == expected.files, "the run that was paused goes on too");
    }
}

#[test]
fn a_call_that_cannot_be_paid_is_made_again_in_the_next_segment() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let linker = linker!(move |caller: &mut Caller<'_>, index: u32| {
        counted.fetch_add(1, Ordering::Relaxed);
        caller.charge(60, "work")?;
        Ok::<_, HostError>(index)
    });
    let description = program(SUM, linker);
    let mut chain = Chain::new();
    let outcome = run_to_end(description.start(Some("run"), &[Value::I32(3)], 100).unwrap(), &mut chain);
    assert_eq!((outcome.values, chain.last()), (vec![Value::I32(3)], 2));
    assert_eq!(calls.load(Ordering::Relaxed), 5, "three calls, two of which were refused once");
    let poor = description.start(Some("run"), &[Value::I32(3)], 60).unwrap().next().unwrap();
    let Next::Segment(_) = poor else { panic!("{poor:?}") };
    let mut poor = description.start(Some("run"), &[Value::I32(3)], 60).unwrap();
    poor.next().unwrap();
    let error = poor.next().unwrap_err();
    assert!(error.to_string().contains("it needs a limit of at least 71"), "{error}");
}

#[test]
fn runs_of_equal_jobs_have_equal_metrics() {
    let metrics = || {
        let calls = Arc::new(AtomicU32::new(0));
        let mut run = program(SUM, secret(&calls)).start(Some("run"), &[Value::I32(20)], 500).unwrap();
        while !matches!(run.next().unwrap(), Next::Finished(_)) {}
        run.metrics().determined()
    };
    let once = metrics();
    assert_eq!(once, metrics());
    assert_eq!((once.host_calls["env.f"], once.charges["secret"]), (20, 190 * 3));
    assert!(once.segments >= 2 && once.dirty_pages >= once.segments - 1, "{once:?}");
}
