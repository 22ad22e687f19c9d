//! Whole runs on files in memory.

use std::collections::BTreeMap;

use guest_interp::args;
use stepmark_session::{Budget, Event, Session};
use stepmark_state::error::JobError;

type Files = BTreeMap<String, Vec<u8>>;

/// Drives a run as a face does: reads from `inputs`, writes into the files returned.
struct Driven {
    files: Files,
    stdout: Vec<u8>,
    exit_code: i32,
    session: Session,
}

fn load(inputs: &Files, argv: &str) -> Result<Session, JobError> {
    let argv: Vec<String> = argv.split_whitespace().map(str::to_owned).collect();
    let mut session = args::session(&argv)?;
    while let Some(path) = session.want()? {
        match inputs.get(&path) {
            Some(bytes) => {
                for chunk in bytes.chunks(1000) {
                    session.give(chunk)?;
                }
                session.give_end(true)?;
            }
            None => session.give_end(false)?,
        }
    }
    Ok(session)
}

fn take_files(session: &mut Session, files: &mut Files) -> Result<(), JobError> {
    let mut chunk = Vec::new();
    while let Some(file) = session.next_file() {
        let mut bytes = Vec::new();
        while session.take_chunk(&mut chunk)? {
            bytes.extend_from_slice(&chunk);
        }
        files.insert(format!("out/{file}"), bytes);
    }
    Ok(())
}

/// Runs to the end in slices of `slice` gas.
fn drive(inputs: &Files, argv: &str, slice: u64) -> Result<Driven, JobError> {
    let mut session = load(inputs, argv)?;
    let (mut files, mut stdout) = (Files::new(), Vec::new());
    let mut gas = slice;
    loop {
        let before = session.progress().gas_total;
        let event = session.run(Budget { gas, steps: u64::MAX })?;
        // A slice below the cost of one instruction makes no progress.
        let stuck = event == Event::Paused && session.progress().gas_total == before;
        gas = if stuck { gas * 2 } else { slice };
        take_files(&mut session, &mut files)?;
        stdout.extend(session.take_output(1));
        if event == Event::Finished {
            return Ok(Driven { files, stdout, exit_code: session.exit_code(), session });
        }
    }
}

fn wasmfile(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../wasmfiles/{name}.wasm", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn program(name: &str) -> Files {
    Files::from([(format!("{name}.wasm"), wasmfile(name))])
}

fn with(mut files: Files, more: &Files) -> Files {
    files.extend(more.clone());
    files
}

/// The files of `part` that are not byte for byte in `whole`.
fn differing(part: &Files, whole: &Files) -> Vec<String> {
    part.iter().filter(|(name, bytes)| whole.get(*name) != Some(bytes)).map(|(name, _)| name.clone()).collect()
}

fn text(run: &Driven, name: &str) -> String {
    String::from_utf8(run.files[&format!("out/{name}")].clone()).unwrap()
}

#[test]
fn a_run_with_refill_ends_with_the_result_and_a_dense_chain() {
    let run = drive(&program("fib32"), "--gas-limit 1000000 --enable-gas-refill fib32.wasm fib 20", u64::MAX).unwrap();
    let result = text(&run, "result.txt");
    let lines: Vec<&str> = result.lines().collect();
    assert_eq!((lines[0], lines[2], run.exit_code), ("0", "6765", 0), "{result}");
    let last: u64 = lines[1].parse().unwrap();
    let names: Vec<String> = (1..=last).flat_map(|id| [format!("out/{id}.bin"), format!("out/{id}.snap")]).collect();
    assert!(names.iter().all(|name| run.files.contains_key(name)));
    assert_eq!(run.files.len(), names.len() + 2);
}

#[test]
fn features_belong_to_the_job() {
    let fib = program("fib32");
    let refused = |inputs: &Files, argv: &str| drive(inputs, argv, u64::MAX).map(|_| ()).unwrap_err();
    let fill = r#"(module (memory 1) (func (export "f") (memory.fill (i32.const 0) (i32.const 1) (i32.const 2))))"#;
    let fill = Files::from([("fill.wasm".to_owned(), wat::parse_str(fill).unwrap())]);
    assert_eq!(drive(&fill, "fill.wasm f", u64::MAX).unwrap().exit_code, 0);
    let error = refused(&fill, "--feature bulk-memory=off fill.wasm f");
    assert!(error.to_string().contains("bulk memory support is not enabled"), "{error}");
    let error = refused(&fib, "--feature gc=on fib32.wasm fib 5");
    assert!(error.message().starts_with("--feature: no feature is called 'gc': they are bulk-memory, "), "{error}");

    let run = |flags: &str| drive(&fib, &format!("--gas-limit 1000 {flags} fib32.wasm fib 10"), u64::MAX).unwrap();
    let off = run("--feature tail-call=off");
    assert_ne!(off.files["out/1.snap"], run("").files["out/1.snap"]);
    assert_eq!(off.files, run("--feature tail-call=off --feature multi-value=on").files);
    let inputs = with(fib.clone(), &off.files);
    let resume = "--snapshot-input out --snapshot-id 1 --enable-gas-refill";
    assert_eq!(drive(&inputs, &format!("{resume} fib32.wasm"), u64::MAX).unwrap().exit_code, 0);
    let error = refused(&inputs, &format!("{resume} --feature tail-call=on fib32.wasm"));
    assert!(error.message().contains("the snapshot belongs to another job"), "{error}");
}

#[test]
fn resumed_and_paused_runs_write_the_same_bytes_as_one_run() {
    for (name, call) in
        [("fib32", "fib 15"), ("matrix_multiplication_cpp_100", "run"), ("sha256", "1000"), ("grow_table_trap", "work")]
    {
        let program = program(name);
        let gas = drive(&program, &format!("{name}.wasm {call}"), u64::MAX).unwrap().session.progress().gas_total;
        let limit = gas / 5 + 1;
        let whole =
            drive(&program, &format!("--gas-limit {limit} --enable-gas-refill {name}.wasm {call}"), u64::MAX).unwrap();
        assert_eq!(whole.session.progress().snapshot_id, 4, "{name}");
        let sliced =
            drive(&program, &format!("--gas-limit {limit} --enable-gas-refill {name}.wasm {call}"), limit / 7).unwrap();
        assert_eq!(differing(&sliced.files, &whole.files), [""; 0], "{name} in slices");
        let inputs = with(program, &whole.files);
        for id in 1..=4 {
            let flags = format!("--snapshot-input out --snapshot-id {id} --gas-limit {limit}");
            let one = drive(&inputs, &format!("{flags} {name}.wasm {call}"), u64::MAX).unwrap();
            let mut snapshot = one.files.clone();
            snapshot.retain(|file, _| !file.contains("re"));
            assert_eq!(differing(&snapshot, &whole.files), [""; 0], "{name}: resumed from {id}");
            assert_eq!(one.exit_code, if id == 4 { 0 } else { 75 });
            let rest = drive(&inputs, &format!("{flags} --enable-gas-refill {name}.wasm"), 100_003).unwrap();
            assert_eq!(differing(&rest.files, &whole.files), [""; 0], "{name}: after resuming from {id}");
        }
    }
}

#[test]
fn a_paused_snapshot_finishes_its_segment_with_the_same_bytes() {
    let program = program("matrix_multiplication_cpp_100");
    let flags = "--gas-limit 3000000 --enable-gas-refill matrix_multiplication_cpp_100.wasm run";
    let whole = drive(&program, flags, u64::MAX).unwrap();
    for pause_after in [1_000_000, 4_000_000] {
        let mut session = load(&program, flags).unwrap();
        let mut files = Files::new();
        let mut left = pause_after;
        loop {
            let before = session.progress().gas_total;
            let event = session.run(Budget { gas: left, steps: u64::MAX }).unwrap();
            left -= session.progress().gas_total - before;
            take_files(&mut session, &mut files).unwrap();
            if event == Event::Paused {
                break;
            }
        }
        session.encode_pause().unwrap();
        take_files(&mut session, &mut files).unwrap();
        let inputs = with(program.clone(), &files);
        let resume = "--snapshot-input out --snapshot-id paused --enable-gas-refill matrix_multiplication_cpp_100.wasm";
        let rest = drive(&inputs, resume, u64::MAX).unwrap();
        assert_eq!(differing(&rest.files, &whole.files), [""; 0], "after a pause at {pause_after}");
        // The paused process itself may go on too.
        let mut rest = Files::new();
        while session.run(Budget::UNLIMITED).unwrap() != Event::Finished {
            take_files(&mut session, &mut rest).unwrap();
        }
        take_files(&mut session, &mut rest).unwrap();
        assert_eq!(differing(&rest, &whole.files), [""; 0], "of the process that paused");
    }
}

#[test]
fn a_command_writes_its_output_and_its_exit_code() {
    let run = drive(&program("sha256"), "sha256.wasm 3", u64::MAX).unwrap();
    assert_eq!((run.stdout.len(), run.exit_code), (65, 0));
    let run = drive(&program("exit_code"), "exit_code.wasm 42", u64::MAX).unwrap();
    assert_eq!((run.exit_code, text(&run, "result.txt").as_str()), (42, "42\n0\n"));
}

#[test]
fn an_instruction_dearer_than_the_limit_is_named_with_the_least_limit() {
    let error = drive(&program("fib32"), "--gas-limit 0 fib32.wasm fib 5", u64::MAX).err().unwrap();
    assert!(error.message().contains("the gas limit 0 does not pay for the next instruction"), "{error}");
    assert!(error.message().contains("at least 1"), "{error}");
}

#[test]
fn files_that_do_not_belong_together_are_refused_by_name() {
    let program = program("fib32");
    let run = drive(&program, "--gas-limit 1000 --enable-gas-refill fib32.wasm fib 12", u64::MAX).unwrap();
    let other = drive(&program, "--gas-limit 1000 --enable-gas-refill fib32.wasm fib 13", u64::MAX).unwrap();
    let inputs = with(program, &run.files);
    let resume = |inputs: &Files, flags: &str| {
        let error = drive(inputs, &format!("--snapshot-input out --snapshot-id 2 {flags}"), u64::MAX).err();
        error.map_or_else(|| "no error".to_owned(), |e| e.message().to_owned())
    };
    let change = |name: &str, bytes: Option<Vec<u8>>| {
        let mut changed = inputs.clone();
        match bytes {
            Some(bytes) => changed.insert(name.to_owned(), bytes),
            None => changed.remove(name),
        };
        resume(&changed, "fib32.wasm fib 12")
    };
    assert_eq!(resume(&inputs, "fib32.wasm fib 12"), "no error");
    assert_eq!(change("out/1.bin", None), "out/1.bin: no such file, nor a base.bin");
    assert_eq!(change("out/1.bin", Some(other.files["out/1.bin"].clone())), "out/1.bin: belongs to another job");
    let swapped = change("out/2.bin", Some(inputs["out/1.bin"].clone()));
    assert_eq!(swapped, "out/2.bin: is of snapshot 1, expected 2");
    assert_eq!(change("out/2.snap", Some(inputs["out/1.snap"].clone())), "out/2.snap: is snapshot 1, expected 2");
    let foreign = resume(&inputs, "fib32.wasm fib 13");
    assert!(foreign.contains("belongs to another job: the entry is"), "{foreign}");
    let schedule = resume(&inputs, "--gas-schedule seed-ordinal fib32.wasm fib 12");
    assert!(schedule.contains("the gas schedule is seed-ordinal, the snapshot has default"), "{schedule}");
}

#[test]
fn a_missing_entry_lists_the_exports() {
    let error = drive(&program("fib32"), "fib32.wasm", u64::MAX).err().unwrap();
    assert!(error.message().contains("fib (i32) -> (i32)"), "{error}");
    let error = drive(&program("fib32"), "fib32.wasm fib 4294967296", u64::MAX).err().unwrap();
    assert!(error.message().contains("fib (i32) -> (i32)"), "{error}");
}

#[test]
fn slices_of_any_size_charge_the_same_gas() {
    for (name, call) in
        [("matrix_multiplication_cpp_100", "run"), ("sha256", "100"), ("grow_table_trap", "work"), ("rust_std", "x")]
    {
        let program = program(name);
        let gas = |slice| {
            let run = drive(&program, &format!("{name}.wasm {call}"), slice).unwrap();
            (run.session.progress().gas_total, text(&run, "receipt.json"))
        };
        let whole = gas(u64::MAX);
        for slice in [whole.0 / 3 + 1, 100_003, 10_007, 1_009] {
            assert_eq!(gas(slice), whole, "{name} in slices of {slice}");
        }
    }
}

#[test]
fn the_fast_engine_runs_at_least_95_percent_of_every_sample_program() {
    for (name, call) in [
        ("fib32", "fib 20"),
        ("matrix_multiplication_cpp_100", "run"),
        ("sha256", "65536"),
        ("iostream_cpp", "x"),
        ("rust_std", "x"),
        ("go_hello", "x"),
        ("grow_table_trap", "work"),
    ] {
        // Where every instruction costs one: the share is one of instructions.
        let line = format!("--gas-schedule default-1 {name}.wasm {call}");
        let run = drive(&program(name), &line, u64::MAX).unwrap();
        let progress = run.session.progress();
        let share = 100.0 * (1.0 - progress.gas_stepped as f64 / progress.gas_total as f64);
        println!("{name}: {share:.2} % of {} gas by the fast engine", progress.gas_total);
        assert!(share >= 95.0, "{name}: {share:.2} %");
    }
}
