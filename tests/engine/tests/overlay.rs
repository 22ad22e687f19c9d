//! Snapshots of a program that writes files: their size follows what changed, their files do not outgrow the job's limit, and
//! an input that is not the one of the job is named.

use engine_tests::session::{Drive, Files, Job, OUT, load, program, words};

/// Writes `count` blocks of 64 KiB to `/data`, then one byte into each of the first few again and again, exporting both as
/// parts of `_start`: the blocks first.
fn writer(blocks: u32, touches: u32) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_pwrite" (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
            (memory (export "memory") 2)
            (data (i32.const 0) "data")
            (data (i32.const 16) "\00\00\01\00\00\00\01\00")
            (data (i32.const 24) "\00\00\01\00\01\00\00\00")
            (func $check (param i32) (if (local.get 0) (then unreachable)))
            (func (export "_start") (local $i i32) (local $fd i32)
                (memory.fill (i32.const 65536) (i32.const 7) (i32.const 65536))
                (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1)
                    (i64.const -1) (i64.const 0) (i32.const 0) (i32.const 32)))
                (local.set $fd (i32.load (i32.const 32)))
                (loop $blocks
                    (i32.store (i32.const 65536) (local.get $i))
                    (call $check (call $write (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 36)))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $blocks (i32.lt_u (local.get $i) (i32.const {blocks}))))
                (local.set $i (i32.const 0))
                (loop $touches
                    (i32.store8 (i32.const 65536) (local.get $i))
                    (call $check (call $pwrite (local.get $fd) (i32.const 24) (i32.const 1)
                        (i64.mul (i64.extend_i32_u (local.get $i)) (i64.const 100001)) (i32.const 36)))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $touches (i32.lt_u (local.get $i) (i32.const {touches}))))))"#
    )
}

fn job(blocks: u32, touches: u32, flags: &str) -> Job {
    Job::new(program(&writer(blocks, touches)), &format!("--preopen / {flags}"), "program.wasm")
}

/// Sizes of the `.bin` files of a run, in order.
fn bins(files: &Files) -> Vec<usize> {
    (1..).map_while(|id| files.get(&format!("{OUT}/{id}.bin")).map(Vec::len)).collect()
}

#[test]
fn the_size_of_a_snapshot_follows_what_changed_since_the_last_one() {
    let (blocks, touches) = (160, 40);
    let bytes = u64::from(blocks) << 16;
    let write_gas = job(blocks, 1, "").start("", Drive::WHOLE).unwrap().gas;
    let all_gas = job(blocks, touches, "").start("", Drive::WHOLE).unwrap().gas;
    // The whole file is written before the first snapshot; the others see a few bytes each.
    let limit = write_gas.max(all_gas - write_gas + 1);
    assert!(limit < all_gas, "{write_gas} gas to write, {all_gas} in all");
    let run =
        job(blocks, touches, "").start(&format!("--gas-limit {limit} --enable-gas-refill"), Drive::WHOLE).unwrap();
    let first = bins(&run.files)[0] as u64;
    assert!(first > bytes && first < bytes + bytes / 50, "{first} bytes for a file of {bytes}");

    // From there on in small segments.
    let flags = format!("--snapshot-id 1 --gas-limit {} --enable-gas-refill", (all_gas - limit) / 5 + 100);
    let rest = job(blocks, touches, "").resume(&run.files, &flags, Drive::WHOLE).unwrap();
    let sizes: Vec<usize> =
        rest.files.iter().filter(|(name, _)| name.ends_with(".bin")).map(|(_, bytes)| bytes.len()).collect();
    println!("first .bin {first} bytes, then {sizes:?}");
    assert!(sizes.len() >= 3 && sizes.iter().all(|size| *size < 16 * 4200), "{sizes:?}");
}

#[test]
fn a_program_that_writes_files_leaves_the_same_chain_however_it_is_driven() {
    let job = job(6, 30, "--max-files 1000000");
    let gas = job.start("", Drive::WHOLE).unwrap().gas;
    let (whole, figures) = job.all_ways(gas / 7, u64::MAX, &[gas / 40]).unwrap();
    assert!(whole.id >= 6, "{} snapshots, {figures:?}", whole.id);
}

#[test]
fn the_limit_of_files_is_the_jobs() {
    let run = job(4, 1, "--max-files 262144").start("", Drive::WHOLE).unwrap();
    assert_eq!((run.exit_code, run.receipt()["files"][0]["bytes"].as_u64()), (0, Some(262_144)));
    let run = job(4, 1, "--max-files 262143").start("", Drive::WHOLE).unwrap();
    assert_eq!(
        (run.exit_code, run.receipt()["files"].as_array().unwrap().len()),
        (134, 0),
        "nothing is left by a trap"
    );
}

#[test]
fn a_changed_input_is_named_on_resume() {
    let mut job = job(4, 9, "--file in/a=a.txt --file in/b=b.txt");
    job.inputs.extend([("a.txt".to_owned(), b"a".to_vec()), ("b.txt".to_owned(), b"b".to_vec())]);
    let half = job.start("", Drive::WHOLE).unwrap().gas / 2;
    let run = job.start(&format!("--gas-limit {half}"), Drive { snapshots: 1, ..Drive::WHOLE }).unwrap();
    assert!(run.files.contains_key(&format!("{OUT}/1.snap")), "{:?}", run.end);
    let resume = |job: &Job| {
        let mut inputs = job.inputs.clone();
        inputs.extend(run.files.clone());
        load(&inputs, &job.argv(&format!("--snapshot-input {OUT} --snapshot-id 1"))).map(drop)
    };
    resume(&job).unwrap();
    job.inputs.insert("b.txt".to_owned(), b"c".to_vec());
    let message = resume(&job).unwrap_err().message().to_owned();
    assert!(message.contains("the input file is \"in/b\" changed, missing or new"), "{message}");
    job.flags = words("--preopen / --file in/a=a.txt");
    let message = resume(&job).unwrap_err().message().to_owned();
    assert!(message.contains("\"in/b\""), "{message}");
}

#[test]
fn clock_rate_and_preopens_are_of_the_job() {
    let hash = |flags: &str| {
        let job = job(1, 1, flags);
        load(&job.inputs, &job.argv("")).unwrap().job_hash()
    };
    let hashes = [hash(""), hash("--clock-rate 2"), hash("--max-files 5"), hash("--preopen tmp")];
    assert!((0..4).all(|i| (0..i).all(|j| hashes[i] != hashes[j])));
    assert_eq!(hashes[0], hash("--clock-rate 1"));
}
