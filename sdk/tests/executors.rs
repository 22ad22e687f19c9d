//! One job on every executor, with no other change than the executor.
#![cfg(feature = "executors")]

use node_sdk::executor::{Ended, Execution, Executor, ExecutorJob, NativeExecutor, ReferenceExecutor, WasmExecutor};
use node_sdk::{Caller, CompiledMetrics, Config, HostError, Linker, ProgramTier, Trap, Value, Vm};

fn executors() -> [Box<dyn Executor>; 3] {
    [Box::new(NativeExecutor::new()), Box::new(WasmExecutor::new()), Box::new(ReferenceExecutor::new())]
}

fn wasmfile(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../wasmfiles/{name}.wasm", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What every executor makes of the job; they agree.
fn agreed(job: &ExecutorJob) -> Execution {
    let executions = executors().map(|mut executor| {
        executor.initialise(job).unwrap();
        let execution = executor.execute().unwrap();
        assert!(executor.execute().is_err(), "a job is executed once");
        executor.shut_down().unwrap();
        (executor.name(), execution)
    });
    let [(_, first), others @ ..] = executions;
    for (name, execution) in others {
        assert_eq!(execution, first, "{name}");
    }
    first
}

#[test]
fn executors_can_be_exchanged() {
    let fib = ExecutorJob::new(Vm::builder().module(wasmfile("fib32")), Some("fib"), &[Value::I32(15)]);
    let execution = agreed(&fib);
    assert_eq!((execution.ended, execution.values), (Ended::Returned, vec!["610".to_owned()]));
    let exit = ExecutorJob::new(Vm::builder().module(wasmfile("exit_code")).args(["42"]), None, &[]);
    assert_eq!(agreed(&exit).ended, Ended::Exited(42));
    let trap =
        wat::parse_str(r#"(module (func (export "f") (drop (i32.div_u (i32.const 1) (i32.const 0)))))"#).unwrap();
    let trap = ExecutorJob::new(Vm::builder().module(trap), Some("f"), &[]);
    assert_eq!(agreed(&trap).ended, Ended::Trapped(Trap::IntegerDivideByZero));
    let linked = Vm::builder().module(wasmfile("sha256")).args(["100"]).config(Config::new().max_call_depth(500));
    assert!(!agreed(&ExecutorJob::new(linked, None, &[])).stdout.is_empty());
}

#[test]
fn executors_that_write_snapshots_write_the_same_bytes() {
    let job = ExecutorJob::new(Vm::builder().module(wasmfile("fib32")), Some("fib"), &[Value::I32(15)]).gas_limit(5000);
    let segments: Vec<_> = executors()
        .into_iter()
        .filter(|executor| executor.capabilities().snapshots)
        .map(|mut executor| {
            executor.initialise(&job).unwrap();
            let segments = executor.execute().unwrap().segments;
            let metrics = executor.metrics();
            assert_eq!(metrics.segments, segments.len() as u64 + 1);
            (segments, metrics.gas_used, metrics.dirty_pages)
        })
        .collect();
    assert!(segments[0].0.len() > 2);
    assert_eq!(segments[0], segments[1]);
}

#[test]
fn an_engine_refuses_by_name_what_it_cannot_do() {
    let program = Vm::builder().module(wasmfile("fib32"));
    let metered = ExecutorJob::new(program.clone(), Some("fib"), &[Value::I32(1)]).gas_limit(100);
    let mut linker = Linker::new();
    linker.func("env", "f", |_: &mut Caller<'_>, (): ()| Ok::<(), HostError>(())).unwrap();
    let served = ExecutorJob::new(program.linker(linker), Some("fib"), &[Value::I32(1)]);
    for mut executor in executors() {
        let capabilities = executor.capabilities();
        assert_eq!(executor.initialise(&metered).is_ok(), capabilities.metering);
        assert_eq!(executor.initialise(&served).is_ok(), capabilities.host_functions);
    }
    let refused = ReferenceExecutor::new().initialise(&metered).unwrap_err();
    assert_eq!(refused.to_string(), "the executor 'reference' has no metering, which the job asks for");
}

#[test]
fn host_functions_are_served_alike_in_every_engine_that_serves_any() {
    let wat = r#"(module (import "env" "sum" (func $sum (param i32 i32) (result i64))) (memory (export "memory") 2)
        (data (i32.const 70000) "\01\02\03") (func $spin (param i32)
          (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "f") (result i64)
          (call $spin (i32.const 200)) (drop (call $sum (i32.const 70000) (i32.const 3)))
          (call $spin (i32.const 200)) (i64.add (call $sum (i32.const 0) (i32.const 131072)) (i64.load (i32.const 8)))))"#;
    let mut linker = Linker::new();
    let sum = |caller: &mut Caller<'_>, (at, length): (u32, u32)| {
        caller.charge(u64::from(length) / 1000 + 7, "summing")?;
        let bytes = caller.read(at, length)?;
        caller.refund(2);
        caller.write(8_u32, &[9])?;
        Ok::<u64, HostError>(bytes.iter().map(|byte| u64::from(*byte)).sum())
    };
    linker.func("env", "sum", sum).unwrap();
    let program = Vm::builder().module(wat::parse_str(wat).unwrap()).linker(linker);
    let job = ExecutorJob::new(program, Some("f"), &[]).gas_limit(500);
    let served: Vec<_> = executors()
        .into_iter()
        .filter(|executor| executor.capabilities().host_functions)
        .map(|mut executor| {
            executor.initialise(&job).unwrap();
            let execution = executor.execute().unwrap();
            (execution, executor.metrics().determined())
        })
        .collect();
    assert_eq!(served.len(), 2);
    // The bytes 1, 2, 3, and the 9 that the first call wrote; and that again.
    assert_eq!(served[0].0.values, ["24"]);
    assert!(served[0].0.segments.len() > 1 && served[0].0.segments.iter().all(|segment| segment.calls.is_some()));
    assert_eq!(served[0], served[1]);
}

#[test]
fn a_tier_decides_nothing_about_a_run_and_says_what_it_did() {
    let run = |tier| {
        let program = Vm::builder().module(wasmfile("fib32")).config(Config::new().tier(tier));
        let mut executor = WasmExecutor::new();
        executor.initialise(&ExecutorJob::new(program, Some("fib"), &[Value::I32(20)]).gas_limit(50_000)).unwrap();
        let execution = executor.execute().unwrap();
        (execution, executor.metrics())
    };
    let (interpreted, of_interpreter) = run(ProgramTier::Register);
    let (compiled, metrics) = run(ProgramTier::Compiled);
    assert_eq!(compiled, interpreted);
    assert_eq!(metrics.determined(), of_interpreter.determined());
    assert_eq!(of_interpreter.compiled, CompiledMetrics::default());
    assert_eq!(metrics.compiled.functions, 1);
    assert!(metrics.compiled.bytes > 0 && metrics.compiled.turns > 3);
    assert!(metrics.compiled.gas > metrics.gas_used / 10 * 9, "{metrics:?}");
}
