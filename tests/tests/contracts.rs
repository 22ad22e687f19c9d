//! Contracts on the key-value store: what each comes to, whole and in segments, and from every snapshot.

use std::collections::BTreeMap;

use node_tests::contracts::{self, Contract, Invocation};
use node_tests::programs;
use node_tests::session::{Drive, End, Files, OUT, Run, load, run_answered, with, words};
use stepmark_hosts::external::{ExternalCall, ExternalReply, Versioned};
use stepmark_hosts::store::{ReadWriteSet, StoreExport};

/// Version of the store in these tests.
const VERSION: u64 = 7;

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn entries(listed: &BTreeMap<String, String>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    listed.iter().map(|(key, value)| (key.as_bytes().to_vec(), hex(value))).collect()
}

fn export(entries: &BTreeMap<Vec<u8>, Vec<u8>>) -> StoreExport {
    let versioned = |value: &Vec<u8>| Versioned { version: 3, value: value.clone() };
    StoreExport {
        version: VERSION,
        entries: entries.iter().map(|(key, value)| (key.clone(), versioned(value))).collect(),
    }
}

/// The contracts' files, by the names that the command lines give them.
fn files() -> Files {
    let all = contracts::all().unwrap();
    all.iter().map(|c| (c.file.clone(), std::fs::read(programs::directory().join(c.path())).unwrap())).collect()
}

/// The node's arguments to invoke a contract, which can call all others.
fn argv(contract: &Contract, case: &Invocation, flags: &str) -> Vec<String> {
    let mut argv = words(flags);
    argv.extend(["--store-version".to_owned(), VERSION.to_string(), "--call-data".to_owned(), case.args.clone()]);
    if !case.caller.is_empty() {
        argv.extend(["--caller".to_owned(), case.caller.clone()]);
    }
    for other in contracts::all().unwrap() {
        argv.extend(["--contract".to_owned(), format!("{}={}", other.name(), other.file)]);
    }
    argv.extend(["--snapshot-output".to_owned(), OUT.to_owned(), contract.file.clone(), "invoke".to_owned()]);
    argv
}

/// Runs a contract on a store.
fn invoke(argv: &[String], inputs: &Files, store: &StoreExport, drive: Drive) -> Run {
    let mut session = load(inputs, argv).unwrap_or_else(|error| panic!("{argv:?}: {error}"));
    run_answered(&mut session, drive, &mut |question| store.answer(question))
}

fn set(run: &Run) -> ReadWriteSet {
    ReadWriteSet::decode(&run.files[&format!("{OUT}/rwset.bin")]).expect("rwset.bin reads")
}

/// Checks what a case has come to.
fn check(case: &Invocation, run: &Run) {
    let name = &case.name;
    assert_eq!(run.end, End::Finished, "{name}");
    let lines: Vec<String> = String::from_utf8_lossy(&run.stderr).lines().map(str::to_owned).collect();
    assert_eq!(lines, case.debug, "{name}");
    let trap = run.receipt()["trap"]["message"].as_str().map(str::to_owned);
    assert_eq!(trap, case.trap, "{name}");
    let set = set(run);
    let mut after = entries(&case.before);
    for (key, value) in set.writes.clone() {
        match value {
            Some(value) => after.insert(key, value),
            None => after.remove(&key),
        };
    }
    let expected = if case.trap.is_some() { entries(&case.before) } else { entries(&case.after) };
    assert_eq!(after, expected, "{name}");
    if case.trap.is_none() {
        assert_eq!(set.result, hex(&case.result), "{name}");
    }
}

#[test]
fn every_case_of_every_contract_comes_to_what_is_listed() {
    let inputs = files();
    let mut cases = 0;
    for contract in contracts::all().unwrap() {
        for case in &contract.case {
            let run = invoke(&argv(&contract, case, ""), &inputs, &export(&entries(&case.before)), Drive::WHOLE);
            check(case, &run);
            cases += 1;
        }
    }
    assert!(cases >= 57, "{cases} cases");
}

/// A segment's gas for the cases: enough for the dearest instruction, which is growing a memory by a page, and of a contract
/// that calls others such a call, paid for every byte of their modules.
fn segment(contract: &Contract) -> u64 {
    if contract.imports.iter().any(|import| import == "contract.call") { 40_000 } else { 4_200 }
}

#[test]
fn a_run_from_any_snapshot_asks_and_leaves_the_same() {
    let inputs = files();
    let mut snapshots = 0;
    for contract in contracts::all().unwrap() {
        for case in &contract.case {
            let store = export(&entries(&case.before));
            let flags = format!("--enable-gas-refill --gas-limit {}", segment(&contract));
            let whole = invoke(&argv(&contract, case, &flags), &inputs, &store, Drive::sliced(400));
            check(case, &whole);
            for id in 1..=whole.id {
                let from = format!("{flags} --snapshot-input {OUT} --snapshot-id {id}");
                let again =
                    invoke(&argv(&contract, case, &from), &with(inputs.clone(), &whole.files), &store, Drive::WHOLE);
                let (name, differing) = (&case.name, node_tests::session::differing(&again.files, &whole.files));
                assert!(
                    differing.is_empty(),
                    "{name}: from {id}: {differing:?} differ: {} {}",
                    again.text("receipt.json"),
                    whole.text("receipt.json")
                );
                snapshots += 1;
            }
        }
    }
    assert!(snapshots >= 10, "{snapshots} snapshots");
}

/// The token's transfer, with what it needs.
fn transfer() -> (Contract, Invocation, StoreExport) {
    let token = contracts::all().unwrap().into_iter().find(|contract| contract.name() == "token").unwrap();
    let balance = |amount: u64| amount.to_le_bytes().to_vec();
    let before = [(b"balance/alice".to_vec(), balance(100)), (b"balance/bob".to_vec(), balance(1))];
    let case = Invocation { args: "transfer alice bob 30".to_owned(), ..Invocation::default() };
    (token, case, export(&before.into_iter().collect()))
}

#[test]
fn a_transfer_goes_on_from_a_snapshot_between_debit_and_credit() {
    let (token, case, store) = transfer();
    let inputs = files();
    let gas = invoke(&argv(&token, &case, ""), &inputs, &store, Drive::WHOLE).gas;
    let mut between = 0;
    for limit in (4_100..gas).step_by(25) {
        let flags = format!("--enable-gas-refill --gas-limit {limit}");
        let whole = invoke(&argv(&token, &case, &flags), &inputs, &store, Drive::WHOLE);
        if whole.end != End::Finished {
            continue;
        }
        let writes: Vec<u64> = set(&whole).writes.iter().map(|(_, value)| value_of(value)).collect();
        assert_eq!(writes, [70, 31], "limit {limit}");
        for id in 1..=whole.id {
            let from = format!("{flags} --snapshot-input {OUT} --snapshot-id {id}");
            let inputs = with(inputs.clone(), &whole.files);
            let mut session = load(&inputs, &argv(&token, &case, &from)).unwrap();
            // What has been written so far is in the state.
            between += u64::from(session.store().unwrap().read_write_set(true).writes.len() == 1);
            let again = run_answered(&mut session, Drive::WHOLE, &mut |question| store.answer(question));
            assert_eq!(set(&again), set(&whole), "limit {limit}, from {id}");
        }
    }
    assert!(between > 0, "no snapshot lies between the two writes");
}

fn value_of(value: &Option<Vec<u8>>) -> u64 {
    u64::from_le_bytes(value.clone().unwrap().try_into().unwrap())
}

#[test]
fn a_key_that_is_newer_than_the_run_is_a_conflict_by_name() {
    let (token, case, mut store) = transfer();
    store.entries[1].1.version = VERSION + 1;
    let run = invoke(&argv(&token, &case, ""), &files(), &store, Drive::WHOLE);
    assert_eq!(run.receipt()["trap"]["message"], "host function error");
    let detail = "store conflict: key 'balance/bob' has version 8, the run began at version 7";
    assert_eq!(run.receipt()["trap"]["detail"], detail);
    assert_eq!(set(&run).writes, []);
}

#[test]
fn a_pause_while_an_answer_is_awaited_goes_on_with_the_same_question() {
    let (token, case, store) = transfer();
    let inputs = files();
    let whole = invoke(&argv(&token, &case, ""), &inputs, &store, Drive::WHOLE);
    let mut session = load(&inputs, &argv(&token, &case, "")).unwrap();
    let mut asked = Vec::new();
    // Nobody answers: the run is left at its first question.
    run_answered(&mut session, Drive::WHOLE, &mut |question| {
        asked.push(question.clone());
        None
    });
    assert_eq!(asked, [ExternalCall::Get { key: b"balance/alice".to_vec() }]);
    let paused = node_tests::session::pause(&mut session).unwrap();
    let snap = stepmark_snapshot::snap::decode(&paused[&format!("{OUT}/paused.snap")]).unwrap();
    assert!(snap.state.awaiting);
    let resume = argv(&token, &case, &format!("--snapshot-input {OUT} --snapshot-id paused"));
    let mut again = load(&with(inputs, &paused), &resume).unwrap();
    let rest = run_answered(&mut again, Drive::WHOLE, &mut |question| {
        asked.push(question.clone());
        store.answer(question)
    });
    assert_eq!(asked[0], asked[1]);
    assert_eq!(rest.files[&format!("{OUT}/rwset.bin")], whole.files[&format!("{OUT}/rwset.bin")]);
    assert_eq!(rest.files[&format!("{OUT}/1.calls")], whole.files[&format!("{OUT}/1.calls")]);
}

#[test]
fn an_answer_that_does_not_fit_the_question_is_refused() {
    let (token, case, _) = transfer();
    let wrong = [
        (ExternalReply::Entry(None), "answer: it is of another kind than the question"),
        (ExternalReply::Value(Some(Versioned { version: 0, value: vec![] })), "answer: version 0, expected 1 or more"),
        (ExternalReply::Unpaid { need: u64::MAX }, "answer: it is of another kind than the question"),
    ];
    for (answer, message) in wrong {
        let mut session = load(&files(), &argv(&token, &case, "")).unwrap();
        let run = run_answered(&mut session, Drive::WHOLE, &mut |_| Some(answer.clone()));
        assert_eq!(run.end, End::Error(message.to_owned()));
    }
}

/// A contract that calls another by name with a gas limit, writing before and after; `callee` is its body.
fn caller_of(callee: &str, gas: u64) -> (Files, Vec<String>) {
    let imports = "(import \"store\" \"put\" (func $put (param i32 i32 i32 i32)))";
    let caller = format!(
        "(module {imports}
           (import \"contract\" \"call\" (func $call (param i32 i32 i32 i32 i64) (result i32)))
           (memory (export \"memory\") 1) (data (i32.const 0) \"inner\") (data (i32.const 8) \"ab\")
           (func (export \"invoke\") (result i32) (local i32)
             (call $put (i32.const 8) (i32.const 1) (i32.const 0) (i32.const 1))
             (local.set 0 (call $call (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 0) (i64.const {gas})))
             (call $put (i32.const 9) (i32.const 1) (i32.const 0) (i32.const 1))
             (local.get 0)))"
    );
    let inner = format!(
        "(module {imports} (memory (export \"memory\") 1) (data (i32.const 0) \"x\")
           (func (export \"invoke\") (call $put (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)) {callee}))"
    );
    let text = [("program.wasm", caller), ("inner.wasm", inner)];
    let files = text.into_iter().map(|(name, text)| (name.to_owned(), wat::parse_str(text).unwrap())).collect();
    let line = format!("--store-version {VERSION} --contract inner=inner.wasm --snapshot-output {OUT}");
    (files, words(&line))
}

#[test]
fn a_failed_inner_call_undoes_only_itself() {
    let store = export(&BTreeMap::new());
    let cases = [("", 1 << 40, 0, 3), ("(unreachable)", 1 << 40, 1, 2), ("(loop (br 0))", 50_000, 2, 2)];
    for (callee, gas, status, writes) in cases {
        let (files, mut argv) = caller_of(callee, gas);
        argv.extend(words("program.wasm invoke"));
        let run = invoke(&argv, &files, &store, Drive::WHOLE);
        assert_eq!(run.values(), status.to_string(), "{callee}: {:?}", run.receipt());
        let set = set(&run);
        assert_eq!(set.writes.len(), writes, "{callee}");
        // What the failed call has read still counts: it decided the outcome.
        assert_eq!(set.reads.len(), 3, "{callee}");
    }
}

#[test]
fn an_inner_call_is_in_the_state_and_uses_no_more_than_its_limit() {
    // What is left when a page cannot be paid for goes too, wherever a segment ends.
    for callee in ["(loop (br 0))", "(loop (drop (memory.grow (i32.const 1))) (br 0))"] {
        inner_call_of(callee);
    }
}

fn inner_call_of(callee: &str) {
    let store = export(&BTreeMap::new());
    let (files, base) = caller_of(callee, 50_000);
    let mut argv = words("--enable-gas-refill --gas-limit 7000");
    argv.extend(base);
    argv.extend(words("program.wasm invoke"));
    let whole = invoke(&argv, &files, &store, Drive::WHOLE);
    assert_eq!(whole.values(), "2");
    assert!((50_000..60_000).contains(&whole.gas), "{}", whole.gas);
    assert!(whole.id >= 7, "{} snapshots", whole.id);
    for id in 1..=whole.id {
        let mut from = words(&format!("--snapshot-input {OUT} --snapshot-id {id}"));
        from.extend(argv.clone());
        let again = invoke(&from, &with(files.clone(), &whole.files), &store, Drive::sliced(999));
        let differing = node_tests::session::differing(&again.files, &whole.files);
        assert!(differing.is_empty(), "from {id}: {differing:?} differ: {:?}", again.end);
    }
}

#[test]
fn a_contract_that_runs_out_of_gas_has_used_all_of_it() {
    let store = export(&BTreeMap::new());
    let gas = |gas: u64, schedule: &str| {
        // More than there is, whatever is left.
        let (files, mut argv) = caller_of("(drop (memory.grow (i32.const 100)))", gas);
        argv.extend(words(&format!("--gas-schedule {schedule} program.wasm invoke")));
        let run = invoke(&argv, &files, &store, Drive::WHOLE);
        assert_eq!(run.values(), "2", "{:?}", run.receipt());
        run.gas
    };
    assert_eq!(gas(60_000, "default") - gas(50_000, "default"), 10_000);
    // The first table of prices lets its caller have it.
    assert_eq!(gas(60_000, "default-1"), gas(50_000, "default-1"));
}

#[test]
fn what_cannot_be_called_says_why_and_costs_only_the_call() {
    let store = export(&BTreeMap::new());
    let nested = "(drop (call $again (i32.const 8) (i32.const 5) (i32.const 0) (i32.const 0) (i64.const -1)))";
    let module = format!(
        "(module (import \"contract\" \"call\" (func $again (param i32 i32 i32 i32 i64) (result i32)))
           (memory (export \"memory\") 1) (data (i32.const 8) \"inner\")
           (func (export \"invoke\") {nested})
           (func (export \"run\") (param i32 i32) (result i32)
             (call $again (local.get 0) (local.get 1) (i32.const 0) (i32.const 0) (i64.const -1))))"
    );
    let huge = "(module (memory (export \"memory\") 40000) (func (export \"invoke\")))";
    let files: Files = [("p.wasm", module.as_str()), ("huge.wasm", huge)]
        .into_iter()
        .map(|(name, text)| (name.to_owned(), wat::parse_str(text).unwrap()))
        .collect();
    let line = |args: &str| {
        words(&format!(
            "--store-version 7 --contract inner=p.wasm --contract i=huge.wasm --snapshot-output {OUT} p.wasm run {args}"
        ))
    };
    // "nner", which is none; "inner" calls itself until it is too deep; "i" has more memory than the job allows.
    for (args, status) in [("9 4", "3"), ("8 5", "0"), ("8 1", "5")] {
        let run = invoke(&line(args), &files, &store, Drive::WHOLE);
        assert_eq!(run.values(), status, "{args}: {:?}", run.receipt());
    }
}

#[test]
fn a_function_of_the_embedders_charges_writes_and_refunds() {
    use stepmark_hosts::external::Charge;
    let module = "(module (import \"env\" \"f\" (func $f (param i32 f64) (result i64))) (memory (export \"memory\") 1)
        (func (export \"run\") (result i64) (i64.add (call $f (i32.const 8) (f64.const 0.5)) (i64.load (i32.const 8)))))";
    let files = Files::from([("p.wasm".to_owned(), wat::parse_str(module).unwrap())]);
    let argv = words(&format!("--function env.f(i32,f64)->(i64) --snapshot-output {OUT} p.wasm run"));
    let returned = ExternalReply::Returned {
        results: vec![5],
        writes: vec![(8, vec![2, 0, 0, 0])],
        charges: vec![Charge { descriptor: "hash".into(), amount: 100 }],
        refund: 30,
    };
    let run = |answer: ExternalReply| {
        let mut session = load(&files, &argv).unwrap();
        let mut asked = Vec::new();
        let run = run_answered(&mut session, Drive::WHOLE, &mut |question| {
            asked.push(question.clone());
            Some(answer.clone())
        });
        (run, asked)
    };
    let (done, asked) = run(returned.clone());
    assert_eq!(done.values(), "7");
    let args = vec![8, 0.5f64.to_bits()];
    let remaining = u64::MAX - 2 - 1 - 10;
    assert_eq!(asked, [ExternalCall::Call { module: "env".into(), name: "f".into(), args, remaining }]);
    // Two constants, the call, its price, four bytes written, what it charges; a constant, a load, an addition.
    let gas = 2 + 1 + 10 + 1 + 100 + 3;
    assert_eq!(done.gas, gas);
    assert_eq!(done.receipt()["gas_used"], gas - 30);
    let (trapped, _) = run(ExternalReply::Failed { message: "no such account".into(), charges: vec![] });
    assert_eq!(trapped.receipt()["trap"]["detail"], "no such account");
    let outside =
        ExternalReply::Returned { results: vec![0], writes: vec![(65_533, vec![0; 4])], charges: vec![], refund: 0 };
    let (trapped, _) = run(outside);
    assert_eq!(trapped.receipt()["trap"]["detail"], "it writes 4 bytes at 0xfffd, outside the memory");
    let (refused, _) = run(ExternalReply::Returned { results: vec![], writes: vec![], charges: vec![], refund: 0 });
    assert_eq!(refused.end, End::Error("answer: the results are not of the function's types".into()));
}

#[test]
fn a_charge_that_cannot_be_paid_ends_the_segment_before_the_call() {
    let module = "(module (import \"env\" \"f\" (func $f)) (func (export \"run\") (call $f)))";
    let files = Files::from([("p.wasm".to_owned(), wat::parse_str(module).unwrap())]);
    let line = format!("--enable-gas-refill --gas-limit 50 --function env.f()->() --snapshot-output {OUT} p.wasm run");
    let mut session = load(&files, &words(&line)).unwrap();
    let mut remains = Vec::new();
    let run = run_answered(&mut session, Drive::WHOLE, &mut |question| {
        let ExternalCall::Call { remaining, .. } = question else { unreachable!() };
        remains.push(*remaining);
        // More than there ever is.
        Some(ExternalReply::Unpaid { need: 45 })
    });
    assert_eq!(remains, [39]);
    let message = "the gas limit 50 does not pay for the next instruction call of function 1 (at offset 0x2b): it needs a \
                   limit of at least 56";
    assert!(
        matches!(&run.end, End::Error(text) if text.contains("it needs a limit of at least 56")),
        "{:?} {message}",
        run.end
    );
}

#[test]
fn the_bare_node_answers_from_an_export_or_from_the_records_of_a_run() {
    if node_tests::node_js::version().unwrap().is_none() {
        return;
    }
    let (token, case, store) = transfer();
    let native = invoke(&argv(&token, &case, "--enable-gas-refill --gas-limit 5000"), &files(), &store, Drive::WHOLE);
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("node.wasm"), stepmark_runner::node::embedded_module::NODE_WASM).unwrap();
    std::fs::write(path("store.bin"), store.encode()).unwrap();
    for (name, bytes) in files() {
        std::fs::write(path(&name), bytes).unwrap();
    }
    let bare = |flags: &str, out: &str| {
        let line = format!("--enable-gas-refill --gas-limit 5000 --snapshot-output {out} {flags}");
        let job = argv(&token, &case, "");
        let at = job.iter().position(|word| word == "--snapshot-output").unwrap();
        let job = [words(&line), job[..at].to_vec(), job[at + 2..].to_vec()].concat();
        node_tests::node_js::command_face(&path("node.wasm"), dir.path(), &job, out).unwrap()
    };
    let expected: Files =
        native.files.iter().map(|(name, bytes)| (name[OUT.len() + 1..].to_owned(), bytes.clone())).collect();
    let exported = bare("--store store.bin", OUT);
    assert_eq!(node_tests::session::differing(&exported.files, &expected), Vec::<String>::new());
    std::fs::remove_file(path("store.bin")).unwrap();
    let replayed = bare(&format!("--calls {OUT}"), "again");
    assert_eq!(node_tests::session::differing(&replayed.files, &expected), Vec::<String>::new());
    let unanswered = bare("", "alone");
    assert_eq!(unanswered.exit_code, 2, "{}", String::from_utf8_lossy(&unanswered.stderr));
}
