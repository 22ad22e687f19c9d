//! Contracts: contexts over a store, conflicts, calls of others, and many threads.

use std::sync::Arc;

use node_sdk::{
    Caller, Config, Contexts, End, Error, HostError, Invocation, Linker, MemoryStore, Schedule, StoreSource, Trap,
    Value, Vm,
};

const GAS: u64 = 10_000_000;

fn contexts(store: &Arc<MemoryStore>) -> Contexts {
    let mut contexts = Contexts::new(Config::new(), store.clone());
    for name in ["counter", "token", "router", "plain_storage"] {
        let path = format!("{}/../wasmfiles/contracts/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
        contexts.add_contract(name, std::fs::read(path).unwrap()).unwrap();
    }
    contexts
}

/// Invokes a contract and commits what it wrote.
fn invoke(contexts: &Contexts, store: &MemoryStore, contract: &str, args: &str, caller: &str) -> Invocation {
    let id = contexts.new_context(contract, args.as_bytes(), caller, GAS).unwrap();
    contexts.invoke(id).unwrap();
    store.commit(&contexts.read_write_set(id).unwrap()).unwrap();
    let result = contexts.result(id).unwrap();
    contexts.release(id).unwrap();
    result
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().unwrap())
}

#[test]
fn a_counter_counts_over_invocations() {
    let store = Arc::new(MemoryStore::new());
    let contexts = contexts(&store);
    let results =
        ["", "add 41", "reset", ""].map(|args| number(&invoke(&contexts, &store, "counter", args, "x").result));
    assert_eq!(results, [1, 42, 0, 1]);
    assert_eq!(store.get(b"counter").unwrap().unwrap().version, store.version());
    assert_eq!(contexts.contexts(), []);
}

#[test]
fn ids_count_from_1_and_are_never_used_again() {
    let store = Arc::new(MemoryStore::new());
    let contexts = contexts(&store);
    let new = || contexts.new_context("counter", b"", "x", GAS).unwrap();
    let (first, second) = (new(), new());
    assert_eq!((first.number(), second.number()), (1, 2));
    contexts.release(second).unwrap();
    assert_eq!(new().number(), 3);
    assert_eq!(contexts.release(second), Err(Error::Usage("there is no context 2".into())));
    assert_eq!(contexts.result(first), Err(Error::Usage("context 1 was not invoked".into())));
    contexts.invoke(first).unwrap();
    assert_eq!(contexts.invoke(first), Err(Error::Usage("context 1 was invoked before".into())));
    let unknown = contexts.new_context("nobody", b"", "x", GAS).unwrap_err();
    assert!(matches!(unknown, Error::ModuleNotFound { .. }), "{unknown}");
}

#[test]
fn a_failed_invocation_wants_to_write_nothing() {
    let store = Arc::new(MemoryStore::new());
    let contexts = contexts(&store);
    let bad = invoke(&contexts, &store, "counter", "nonsense", "x");
    assert!(matches!(&bad.end, End::Trapped(report) if report.trap == Trap::Unreachable), "{:?}", bad.end);
    assert!(String::from_utf8_lossy(&bad.stderr).contains("counter: bad arguments"), "{bad:?}");
    let id = contexts.new_context("counter", b"add 5", "x", 100).unwrap();
    contexts.invoke(id).unwrap();
    let poor = contexts.result(id).unwrap();
    assert_eq!((poor.end, poor.gas_used <= 100), (End::GasLimit, true));
    assert_eq!(contexts.read_write_set(id).unwrap().writes, []);
    assert_eq!((store.version(), store.entries()), (0, vec![]));
}

#[test]
fn a_read_of_what_is_newer_than_the_context_is_a_conflict_by_name() {
    let store = Arc::new(MemoryStore::new());
    let contexts = contexts(&store);
    let late = contexts.new_context("counter", b"", "x", GAS).unwrap();
    invoke(&contexts, &store, "counter", "add 7", "y");
    contexts.invoke(late).unwrap();
    let End::Trapped(report) = contexts.result(late).unwrap().end else { panic!("no conflict") };
    let detail = "store conflict: key 'counter' has version 1, the run began at version 0";
    assert_eq!((report.trap, report.detail.as_deref()), (Trap::HostError, Some(detail)));
}

#[test]
fn a_contract_calls_another_and_a_failed_call_undoes_only_itself() {
    let store = Arc::new(MemoryStore::new());
    let contexts = contexts(&store);
    let good = invoke(&contexts, &store, "router", "counter 1000000 add 5", "alice");
    assert_eq!((good.end, number(&good.result)), (End::Returned, 5));
    let value = |key: &[u8]| store.get(key).unwrap().map(|found| found.value);
    assert_eq!((value(b"router/before"), value(b"router/after")), (Some(b"alice".to_vec()), Some(b"0".to_vec())));
    for (args, status) in [("counter 1000000 nonsense", b"1"), ("counter 50 add 5", b"2"), ("nobody 1000 x", b"3")] {
        let failed = invoke(&contexts, &store, "router", args, "bob");
        assert_eq!((failed.end, failed.result), (End::Returned, vec![]), "{args}");
        assert_eq!(
            (value(b"router/after"), value(b"counter")),
            (Some(status.to_vec()), Some(5_u64.to_le_bytes().to_vec()))
        );
    }
}

#[test]
fn gas_is_that_of_the_schedule() {
    let store = Arc::new(MemoryStore::new());
    let gas = |factor: u32| {
        let schedule = Schedule::builder("mine").otherwise(factor).host_call(10 * factor, 0, 1).build().unwrap();
        let mut contexts = Contexts::new(Config::new().schedule(schedule), store.clone());
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasmfiles/contracts/counter.wasm");
        contexts.add_contract("counter", std::fs::read(path).unwrap()).unwrap();
        let id = contexts.new_context("counter", b"", "x", GAS).unwrap();
        contexts.invoke(id).unwrap();
        contexts.result(id).unwrap().gas_used
    };
    assert_eq!(gas(3), 3 * gas(1));
}

#[test]
fn threads_that_retry_conflicts_lose_no_increment() {
    let store = Arc::new(MemoryStore::new());
    let contexts = contexts(&store);
    let (threads, rounds) = (8, 25);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..rounds {
                    while !increment(&contexts, &store) {}
                }
            });
        }
    });
    assert_eq!(number(&store.get(b"counter").unwrap().unwrap().value), threads * rounds);
    assert_eq!(store.version(), threads * rounds);
    assert_eq!(contexts.contexts(), []);
}

/// One attempt to count; whether it was committed.
fn increment(contexts: &Contexts, store: &MemoryStore) -> bool {
    let id = contexts.new_context("counter", b"", "x", GAS).unwrap();
    contexts.invoke(id).unwrap();
    let done = contexts.result(id).unwrap().end == End::Returned;
    let committed = done && store.commit(&contexts.read_write_set(id).unwrap()).is_ok();
    contexts.release(id).unwrap();
    committed
}

#[test]
fn two_thousand_contexts_are_live_at_once() {
    let store = Arc::new(MemoryStore::new());
    let contexts = contexts(&store);
    let ids: Vec<_> = (0..2000).map(|_| contexts.new_context("counter", b"add 2", "x", GAS).unwrap()).collect();
    assert_eq!(contexts.contexts(), ids);
    ids.iter().rev().for_each(|id| contexts.invoke(*id).unwrap());
    let committed = ids.iter().filter(|id| store.commit(&contexts.read_write_set(**id).unwrap()).is_ok());
    assert_eq!(committed.count(), 1, "all of them have read the same version");
}

#[test]
fn a_live_program_keeps_what_it_writes_to_the_store_but_for_calls_that_fail() {
    let wat = r#"(module (import "store" "put" (func $put (param i32 i32 i32 i32)))
        (memory (export "memory") 1) (data (i32.const 0) "ka")
        (func (export "write") (param $fails i32)
          (i32.store8 (i32.const 1) (i32.add (i32.load8_u (i32.const 1)) (i32.const 1)))
          (call $put (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 1))
          (if (local.get $fails) (then unreachable))))"#;
    let store = Arc::new(MemoryStore::new());
    let mut vm = Vm::builder().module(wat::parse_str(wat).unwrap()).store(0, store.clone()).build().unwrap();
    let write = |vm: &mut Vm, fails| vm.run_func(None, "write", &[Value::I32(fails)]).is_ok();
    let written = |vm: &Vm| vm.read_write_set().writes;
    let only = |value: &[u8]| vec![(b"k".to_vec(), Some(value.to_vec()))];
    assert!(write(&mut vm, 0));
    assert_eq!(written(&vm), only(b"b"));
    assert!(!write(&mut vm, 1));
    assert_eq!(written(&vm), only(b"b"), "the failed call's write is undone");
    assert_eq!(vm.memory().unwrap().read(1, 1).unwrap(), b"c", "its memory is not");
    assert!(write(&mut vm, 0));
    assert_eq!(written(&vm), only(b"d"));
    assert_eq!(store.commit(&vm.read_write_set()), Ok(1));
    assert!(store.commit(&vm.read_write_set()).is_err(), "it has read the key before the commit");
    vm.reset();
    assert_eq!(written(&vm), []);
    assert!(write(&mut vm, 0));
    assert_eq!(vm.read_write_set().reads, [(b"k".to_vec(), 1)]);
    assert_eq!(store.commit(&vm.read_write_set()), Ok(2));
}

#[test]
fn a_live_contract_is_called_with_other_arguments_and_calls_others() {
    let store = Arc::new(MemoryStore::new());
    let wasm = |name: &str| {
        std::fs::read(format!("{}/../wasmfiles/contracts/{name}.wasm", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let router = Vm::builder().module(wasm("router")).contract("counter", wasm("counter")).store(0, store);
    let mut vm = router.call_data(b"counter 1000000 add 5", "alice").build().unwrap();
    for (args, value) in [("counter 1000000 add 5", 5_u64), ("counter 100 add 5", 5), ("counter 1000000 add 3", 8)] {
        vm.set_call_data(args.as_bytes(), "alice");
        assert_eq!(vm.run_func(None, "invoke", &[]), Ok(vec![]));
        let writes = vm.read_write_set().writes;
        let counter = writes.iter().find(|(key, _)| key == b"counter");
        assert_eq!(counter.and_then(|(_, value)| value.clone()), Some(value.to_le_bytes().to_vec()), "{args}");
    }
    vm.set_gas(3000);
    assert!(matches!(vm.run_func(None, "invoke", &[]), Err(Error::Gas { .. })));
    vm.set_gas(u64::MAX);
    assert_eq!(vm.run_func(None, "invoke", &[]), Ok(vec![]), "after a call that ended inside another contract");
}

#[test]
fn contracts_call_the_functions_of_the_embedder() {
    let wat = r#"(module (import "env" "seven" (func $seven (result i32))) (import "contract" "set_result" (func $result (param i32 i32)))
        (memory (export "memory") 1)
        (func (export "invoke") (i32.store8 (i32.const 0) (call $seven)) (call $result (i32.const 0) (i32.const 1))))"#;
    let mut linker = Linker::new();
    linker.func("env", "seven", |_: &mut Caller<'_>, (): ()| Ok::<i32, HostError>(7)).unwrap();
    let store = Arc::new(MemoryStore::new());
    let mut contexts = Contexts::new(Config::new(), store.clone());
    contexts.set_linker(linker);
    contexts.add_contract("asks", wat::parse_str(wat).unwrap()).unwrap();
    assert_eq!(invoke(&contexts, &store, "asks", "", "x").result, [7]);
}
