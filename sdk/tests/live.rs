//! Live programs: calls, errors, gas, resets, pools.

use std::sync::Arc;

use node_sdk::{Caller, Config, Error, HostError, Linker, ModuleCache, Trap, Value, ValueType, Vm, VmBuilder};

fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
}

fn program(wat: &str) -> VmBuilder {
    Vm::builder().module(wasm(wat))
}

/// Adds to bytes of its memory, grows it, writes a global, a table and segments, and traps.
const STATEFUL: &str = r#"(module
    (memory (export "memory") 1 4) (data (i32.const 0) "\05") (data $later "xyz")
    (global $calls (mut i32) (i32.const 10))
    (table $t 4 8 funcref) (elem declare func $add)
    (func $add (export "add") (param i32 i32) (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i32.store8 (local.get 0) (i32.add (i32.load8_u (local.get 0)) (local.get 1)))
      (i32.load8_u (local.get 0)))
    (func (export "calls") (result i32) (global.get $calls))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "size") (result i32) (memory.size))
    (func (export "set")
      (drop (table.grow $t (ref.func $add) (i32.const 1)))
      (table.set $t (i32.const 0) (ref.func $add)))
    (func (export "is_set") (result i32 i32) (ref.is_null (table.get $t (i32.const 0))) (table.size $t))
    (func (export "init") (memory.init $later (i32.const 100) (i32.const 0) (i32.const 3)) (data.drop $later))
    (func (export "fail") (i32.store8 (i32.const 7) (i32.const 9)) unreachable))"#;

fn call(vm: &mut Vm, name: &str, args: &[i32]) -> Result<Vec<Value>, Error> {
    let args: Vec<Value> = args.iter().map(|arg| Value::I32(*arg)).collect();
    vm.run_func(None, name, &args)
}

fn ints(values: &[i32]) -> Result<Vec<Value>, Error> {
    Ok(values.iter().map(|value| Value::I32(*value)).collect())
}

#[test]
fn memory_stays_from_call_to_call_until_a_reset() {
    let mut vm = program(STATEFUL).build().unwrap();
    let first: Vec<_> = [0, 70_000, 5_000].map(|at| call(&mut vm, "add", &[at, 3])).into();
    assert_eq!(first[0], ints(&[8]));
    assert!(matches!(&first[1], Err(Error::Trap(report)) if report.trap == Trap::MemoryOutOfBounds));
    assert_eq!(call(&mut vm, "grow", &[]), ints(&[1]));
    assert_eq!(call(&mut vm, "add", &[70_000, 3]), ints(&[3]));
    assert_eq!(call(&mut vm, "calls", &[]), ints(&[14]), "a trap leaves what was done before it");
    assert_eq!(call(&mut vm, "set", &[]).map(|_| ()), Ok(()));
    assert_eq!(call(&mut vm, "is_set", &[]), ints(&[0, 5]));
    assert_eq!(call(&mut vm, "init", &[]), ints(&[]));
    assert!(call(&mut vm, "init", &[]).is_err(), "the segment was dropped");
    assert!(matches!(call(&mut vm, "fail", &[]), Err(Error::Trap(_))));
    assert_eq!(vm.memory().unwrap().read(7, 1).unwrap(), [9]);
    for _ in 0..2 {
        vm.reset();
        let zeros = vec![0; 65_535];
        assert_eq!(vm.memory().unwrap().read(0, 1).unwrap(), [5]);
        assert_eq!(vm.memory().unwrap().read(1, 65_535).unwrap(), zeros);
        assert_eq!(call(&mut vm, "size", &[]), ints(&[1]));
        assert_eq!(call(&mut vm, "calls", &[]), ints(&[10]));
        assert_eq!(call(&mut vm, "is_set", &[]), ints(&[1, 4]));
        assert_eq!(call(&mut vm, "grow", &[]), ints(&[1]));
        assert_eq!(vm.memory().unwrap().read(65_536, 65_536).unwrap(), vec![0; 65_536]);
        assert_eq!(call(&mut vm, "init", &[]), ints(&[]));
    }
}

#[test]
fn a_reset_instance_charges_what_a_fresh_one_charges() {
    let program = program(STATEFUL);
    let mut fresh = program.build().unwrap();
    let mut used = program.build().unwrap();
    for round in 0..3 {
        call(&mut used, "add", &[1, round]).unwrap();
        let _ = call(&mut used, "fail", &[]);
    }
    used.reset();
    let mut fork = used.fork();
    let gas: Vec<u64> = [&mut fresh, &mut used, &mut fork]
        .map(|vm| {
            assert_eq!(call(vm, "add", &[0, 1]), ints(&[6]));
            vm.gas_used()
        })
        .into();
    assert_eq!(gas, [gas[0]; 3]);
}

#[test]
fn errors_say_what_is_missing_and_what_was_wanted() {
    let wat = r#"(module (func (export "f") (param i32 i64) (result f32) (f32.const 1)) (memory (export "m") 1))"#;
    let mut vm = program(wat).register_module("lib", wasm(r#"(module (func (export "g")))"#)).build().unwrap();
    let message = |result: Result<Vec<Value>, Error>| result.unwrap_err().to_string();
    let missing = vm.run_func(Some("none"), "f", &[]);
    assert!(matches!(&missing, Err(Error::ModuleNotFound { name, known }) if name == "none" && known == &["lib"]));
    assert_eq!(message(missing), "no module is called 'none': there are lib");
    assert!(matches!(vm.run_func(Some(""), "f", &[]), Err(Error::ModuleNotFound { .. })));
    let missing = message(vm.run_func(None, "m", &[]));
    assert_eq!(missing, "the active module exports no function 'm'; its exports:\n  f (i32, i64) -> (f32)");
    assert_eq!(
        message(vm.run_func(Some("lib"), "f", &[])),
        "module 'lib' exports no function 'f'; its exports:\n  g () -> ()"
    );
    let wrong = vm.run_func(None, "f", &[Value::I64(1), Value::I64(1)]);
    let (wanted, found) = (vec![ValueType::I32, ValueType::I64], vec![ValueType::I64; 2]);
    assert_eq!(wrong, Err(Error::SignatureMismatch { name: "f".into(), wanted, found }));
    assert_eq!(message(wrong), "f: the arguments are (i64, i64), wanted (i32, i64)");
    assert_eq!(vm.signature(None, "f").unwrap().to_string(), "(i32, i64) -> (f32)");
    assert_eq!(vm.run_func(Some("lib"), "g", &[]), Ok(vec![]));
}

#[test]
fn modules_that_do_not_fit_are_link_errors_that_name_wanted_and_found() {
    let wat = r#"(module (import "env" "f" (func (param i32) (result i64))))"#;
    let error = |builder: VmBuilder| builder.build().err().unwrap();
    let missing = error(program(wat));
    assert!(matches!(missing, Error::Link(_)), "{missing:?}");
    assert!(missing.to_string().contains(r#"unknown import "env"."f": wanted"#), "{missing}");
    let mut linker = Linker::new();
    linker.func("env", "f", |_: &mut Caller<'_>, n: i32| Ok::<i32, HostError>(n)).unwrap();
    let wrong = error(program(wat).linker(linker));
    assert!(matches!(wrong, Error::Link(_)) && wrong.to_string().contains("wanted"), "{wrong}");
    assert!(matches!(error(Vm::builder()), Error::Usage(_)));
    assert!(matches!(error(Vm::builder().module(*b"\0asm")), Error::Module(_)));
    let twice = Vm::builder().module(wasm("(module)")).register_module("a", []).register_module("a", []);
    assert_eq!(error(twice), Error::Usage("the module 'a' is given twice".into()));
    let feature = program("(module)").config(Config::new().feature("gc", true));
    assert!(error(feature).to_string().starts_with("no feature is called 'gc'"));
    let depth = program("(module)").config(Config::new().max_call_depth(0));
    assert!(error(depth).to_string().starts_with("the call depth is 0, wanted 1 to "));
}

#[test]
fn modules_import_from_modules_registered_before() {
    let counter = r#"(module (global $n (mut i32) (i32.const 0)) (func (export "next") (result i32)
        (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"#;
    let user = r#"(module (import "counter" "next" (func $next (result i32)))
        (func (export "two") (result i32 i32) (call $next) (call $next)))"#;
    let mut vm = program(user).register_module("counter", wasm(counter)).build().unwrap();
    assert_eq!(vm.run_func(None, "two", &[]), ints(&[1, 2]));
    assert_eq!(vm.run_func(Some("counter"), "next", &[]), ints(&[3]));
}

#[test]
fn a_trap_has_a_backtrace_with_names() {
    let wat = r#"(module (func $inner unreachable) (func $outer (export "f") (call $inner)))"#;
    let Err(Error::Trap(report)) = call(&mut program(wat).build().unwrap(), "f", &[]) else { panic!("no trap") };
    let names: Vec<_> = report.backtrace.iter().filter_map(|frame| frame.name.clone()).collect();
    assert_eq!((report.trap, names), (Trap::Unreachable, vec!["inner".to_owned(), "outer".to_owned()]));
    let text = Error::Trap(report).to_string();
    assert!(text.starts_with("unreachable\n  at inner (function 0, offset 0x"), "{text}");
}

#[test]
fn gas_is_limited_exactly_and_can_be_given_anew() {
    let wat = r#"(module (func (export "f") (param i32)
        (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#;
    let config = Config::new().gas_limit(100);
    let mut vm = program(wat).config(config).build().unwrap();
    call(&mut vm, "f", &[10]).unwrap();
    let used = vm.gas_used();
    assert_eq!((used, vm.gas()), (50, 50), "five instructions a round");
    assert_eq!(call(&mut vm, "f", &[11]), Err(Error::Gas { left: 0 }));
    vm.set_gas(55);
    assert_eq!(call(&mut vm, "f", &[11]), ints(&[]));
    assert_eq!((vm.gas_used(), vm.gas()), (155, 0));
    vm.reset();
    assert_eq!((vm.gas_used(), vm.gas()), (0, 100));
}

#[test]
fn start_functions_run_once_and_before_the_state_that_a_reset_goes_back_to() {
    let wat = r#"(module (memory (export "memory") 1) (func $start (i32.store8 (i32.const 0) (i32.const 7)))
        (func (export "_initialize") (i32.store8 (i32.const 1) (i32.const 8)))
        (func (export "f") (i32.store8 (i32.const 0) (i32.const 9))) (start $start))"#;
    let mut vm = program(wat).build().unwrap();
    let started = vm.gas_used();
    call(&mut vm, "f", &[]).unwrap();
    vm.reset();
    assert_eq!(vm.memory().unwrap().read(0, 2).unwrap(), [7, 8]);
    assert_eq!((vm.gas_used(), started), (6, 6));
    let trapping = program("(module (func $start unreachable) (start $start))").build();
    assert!(matches!(trapping.err(), Some(Error::Trap(_))));
}

#[test]
fn a_command_finds_its_arguments_environment_input_and_files() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasmfiles/rust_std.wasm");
    let command = Vm::builder().module(std::fs::read(path).unwrap()).args(["x"]).seed(5);
    let mut vm = command.build().unwrap();
    let ended = vm.run_func(None, "_start", &[]);
    assert!(matches!(ended, Ok(_) | Err(Error::Exit(0))), "{ended:?}");
    let output = vm.take_stdout();
    assert!(!output.is_empty());
    vm.reset();
    let _ = vm.run_func(None, "_start", &[]);
    assert_eq!(vm.take_stdout(), output);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasmfiles/exit_code.wasm");
    let command = Vm::builder().module(std::fs::read(path).unwrap()).args(["42"]);
    assert_eq!(command.build().unwrap().run_func(None, "_start", &[]), Err(Error::Exit(42)));
}

#[test]
fn floats_vectors_and_null_references_pass_both_ways() {
    let wat = r#"(module
        (func (export "floats") (param f32 f64) (result f64 f32) (local.get 1) (local.get 0))
        (func (export "vector") (param v128) (result v128) (local.get 0))
        (func $f (export "ref") (param externref) (result externref funcref) (local.get 0) (ref.func $f)))"#;
    let mut vm = program(wat).build().unwrap();
    let nan = f32::from_bits(0x7fa0_0001);
    let found = vm.run_func(None, "floats", &[Value::F32(nan), Value::F64(-0.0)]).unwrap();
    let bits: Vec<u64> = found
        .iter()
        .map(|value| match value {
            Value::F32(value) => value.to_bits().into(),
            Value::F64(value) => value.to_bits(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(bits, [1 << 63, 0x7fa0_0001]);
    let vector = Value::V128(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
    assert_eq!(vm.run_func(None, "vector", &[vector]), Ok(vec![vector]));
    assert_eq!(vm.run_func(None, "ref", &[Value::NullRef]), Ok(vec![Value::NullRef, Value::Ref]));
    assert!(matches!(vm.run_func(None, "ref", &[Value::Ref]), Err(Error::Usage(_))));
}

#[test]
fn a_pool_lends_each_instance_to_one_at_a_time_and_waits() {
    let pool = program(STATEFUL).pool(2).unwrap();
    let (first, second) = (pool.get(), pool.get());
    assert!(pool.try_get().is_none());
    drop(first);
    let mut third = pool.try_get().unwrap();
    assert_eq!(call(&mut third, "calls", &[]), ints(&[10]));
    drop((second, third));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..20 {
                    let mut vm = pool.get();
                    assert_eq!(call(&mut vm, "add", &[0, thread + round]), ints(&[5 + thread + round]));
                }
            });
        }
    });
    assert_eq!(pool.instances(), 2);
}

#[test]
fn a_cache_is_shared_by_threads_and_parses_once() {
    let cache = Arc::new(ModuleCache::new(4));
    let program = program(STATEFUL).cache(cache.clone());
    program.build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| program.build().map(drop).unwrap());
        }
    });
    assert_eq!((cache.misses(), cache.hits(), cache.len()), (1, 4, 1));
}

#[test]
fn a_run_counts_its_instructions_by_class_where_that_is_asked_for() {
    let wat = r#"(module (memory 1) (func (export "run") (param i32) (result i32)
        (i32.store (i32.const 0) (i32.add (local.get 0) (i32.const 2))) (i32.load (i32.const 0))))"#;
    let counted = |on: bool| {
        let program = program(wat).config(Config::new().statistics(on));
        let mut run = program.start(Some("run"), &[Value::I32(5)], 1_000).unwrap();
        assert!(matches!(run.next().unwrap(), node_sdk::Next::Finished(_)));
        (run.gas_used(), run.metrics().instructions)
    };
    let (gas, counts) = counted(true);
    let counts = counts.unwrap();
    // Three constants and an addition; a store and a load; a local; the end of the function.
    assert_eq!((counts.numeric, counts.memory, counts.variable, counts.control), (4, 2, 1, 1));
    assert_eq!(counted(false), (gas, None), "counting changes nothing");
}

#[test]
fn the_memory_of_a_registered_module_is_found_by_its_name() {
    let library = wasm(r#"(module (memory (export "m") 1) (data (i32.const 3) "\2a"))"#);
    let builder = program(r#"(module (func (export "f")))"#).register_module("library", library);
    let mut vm = builder.register_module("plain", wasm("(module)")).build().unwrap();
    assert_eq!(vm.memory_of("library").unwrap().read(3, 1).unwrap(), [42]);
    assert!(vm.memory().is_none());
    let refused = |module: &str, vm: &mut Vm| vm.memory_of(module).err().map(|error| error.to_string());
    assert_eq!(refused("plain", &mut vm).as_deref(), Some("the module 'plain' has no memory"));
    assert!(refused("nobody", &mut vm).is_some());
}
