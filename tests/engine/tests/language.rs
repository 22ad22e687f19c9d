//! What the language of a job is: every feature can be turned off, and is then refused by its name; garbage collection is
//! refused always. Vectors, several memories and 64-bit memories through the command line, result and snapshots.

use engine_tests::session::{Drive, Job, OUT, Run, program};
use stepmark_core::module::{Features, Module};
use stepmark_snapshot::snap;
use stepmark_state::canonical::RunState;
use stepmark_state::error::ErrorKind;
use stepmark_state::pages::{SPACE_MEMORY, SPACE_TABLE};

/// A feature, a module that needs it, and how the refusal names it.
const NEEDING: [(&str, &str, &str); 14] = [
    (
        "bulk-memory",
        "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 1))))",
        "bulk memory",
    ),
    ("exceptions", "(module (tag))", "exceptions"),
    (
        "extended-const",
        "(module (global i32 (i32.add (i32.const 1) (i32.const 2))))",
        "constant expression required: non-constant operator: i32.add",
    ),
    ("function-references", "(module (type $t (func)) (func (param (ref $t))))", "function references"),
    ("memory64", "(module (memory i64 1))", "memory64"),
    ("multi-memory", "(module (memory 1) (memory 1))", "multiple memories"),
    ("multi-value", "(module (func (result i32 i32) (i32.const 1) (i32.const 2)))", "multi-value"),
    ("mutable-global", "(module (global (export \"g\") (mut i32) (i32.const 1)))", "mutable global"),
    ("reference-types", "(module (func (param externref)))", "reference types"),
    (
        "relaxed-simd",
        "(module (func (param v128) (result v128) (f32x4.relaxed_min (local.get 0) (local.get 0))))",
        "relaxed SIMD",
    ),
    (
        "saturating-float-to-int",
        "(module (func (param f32) (result i32) (i32.trunc_sat_f32_s (local.get 0))))",
        "saturating float to int",
    ),
    ("sign-extension", "(module (func (param i32) (result i32) (i32.extend8_s (local.get 0))))", "sign extension"),
    ("simd", "(module (func (param v128)))", "SIMD"),
    ("tail-call", "(module (func return_call 0))", "tail calls"),
];

fn parse(text: &str, features: Features) -> Result<Module, stepmark_state::error::JobError> {
    Module::parse(wat::parse_str(text).unwrap_or_else(|e| panic!("{e}\n{text}")), features)
}

#[test]
fn a_feature_that_is_off_is_refused_by_its_name_and_only_that_one() {
    let names: Vec<String> = Features::default().list().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, NEEDING.map(|(name, _, _)| name));
    let mut wrong = Vec::new();
    for (feature, text, named) in NEEDING {
        assert!(parse(text, Features::default()).is_ok(), "{feature}");
        let mut without = Features::default();
        without.set(feature, false).unwrap();
        match parse(text, without) {
            Err(error) if error.kind() == ErrorKind::Program && error.message().contains(named) => {}
            Err(error) => wrong.push(format!("{feature}: {error}")),
            Ok(_) => wrong.push(format!("{feature}: accepted")),
        }
        // What the others need is there all the same, unless it builds on this one.
        for (other, text, _) in NEEDING.iter().filter(|(other, _, _)| *other != feature) {
            let builds_on =
                matches!((feature, *other), ("simd", "relaxed-simd") | ("reference-types", "function-references"));
            assert_eq!(parse(text, without).is_err(), builds_on, "{other} without {feature}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_global_that_copies_another_of_its_module_needs_function_references_vectors_too() {
    for (ty, value) in [("i32", "(i32.const 1)"), ("v128", "(v128.const i64x2 1 2)")] {
        let text = format!("(module (global $a {ty} {value}) (global {ty} (global.get $a)))");
        assert!(parse(&text, Features::default()).is_ok(), "{ty}");
        let mut without = Features::default();
        without.set("function-references", false).unwrap();
        let error = parse(&text, without).unwrap_err();
        assert!(error.message().contains("global.get of locally defined global"), "{ty}: {error}");
    }
}

#[test]
fn the_switch_of_a_feature_is_part_of_the_job() {
    let text = "(module (func (export \"run\") (result i32) (i32.const 1)))";
    let hash = |flags: &str| {
        let run = Job::new(program(text), flags, "program.wasm run").start("", Drive::WHOLE).unwrap();
        run.receipt()["job_hash"].as_str().unwrap().to_owned()
    };
    let mut hashes: Vec<String> = NEEDING.iter().map(|(name, _, _)| hash(&format!("--feature {name}=off"))).collect();
    hashes.push(hash(""));
    assert_eq!(hash("--feature simd=on"), hash(""));
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 15);
    let error = Job::new(program(text), "--feature gc=on", "program.wasm run").start("", Drive::WHOLE).unwrap_err();
    assert!(error.message().contains("no feature is called 'gc': they are bulk-memory, exceptions,"), "{error}");
}

#[test]
fn garbage_collection_is_refused_at_load_by_its_name() {
    let modules = [
        "(module (type $s (struct (field i32))) (func (drop (struct.new $s (i32.const 1)))))",
        "(module (type (array i8)))",
        "(module (type $f (sub (func))))",
        "(module (type $f (sub (func))) (type (sub final $f (func))))",
        "(module (rec (type (func)) (type (struct))))",
        "(module (func (param i31ref)))",
        "(module (func (param anyref)))",
        "(module (global anyref (ref.null any)))",
        "(module (table 1 eqref))",
        "(module (func (local structref)))",
        "(module (func (drop (ref.i31 (i32.const 1)))))",
        "(module (global i31ref (ref.i31 (i32.const 1))))",
        "(module (func (drop (ref.null any))))",
        "(module (func (drop (ref.null none))))",
        "(module (func (param funcref) (drop (ref.test (ref func) (local.get 0)))))",
        "(module (func (param externref) (drop (any.convert_extern (local.get 0)))))",
        "(module (func (param funcref) (block (result funcref) (br_on_cast 0 funcref (ref func) (local.get 0))) (drop)))",
        "(module (elem i31ref (ref.i31 (i32.const 1))))",
        "(module (import \"a\" \"b\" (global anyref)))",
        "(module (tag (param anyref)))",
        "(module (func (block (result anyref) (unreachable)) (drop)))",
        "(module (func (select (result anyref) (unreachable) (unreachable) (i32.const 1)) (drop)))",
    ];
    let mut wrong = Vec::new();
    for text in modules {
        match parse(text, Features::default()) {
            Err(error) if error.kind() == ErrorKind::Program && named(error.message()) => {}
            Err(error) => wrong.push(format!("{text}: {error}")),
            Ok(_) => wrong.push(format!("{text}: accepted")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Does a refusal name garbage collection.
fn named(message: &str) -> bool {
    message.contains("gc") || message.contains("garbage collection")
}

fn job(text: &str, flags: &str, args: &str) -> Job {
    Job::new(program(text), flags, &format!("program.wasm run {args}"))
}

fn state(run: &Run, id: u64) -> RunState {
    snap::decode(&run.files[&format!("{OUT}/{id}.snap")]).unwrap().state
}

#[test]
fn vectors_pass_the_command_line_and_are_two_slots_of_the_state() {
    let text = "(module (global $g (mut v128) (v128.const i64x2 1 2)) (memory 1)
      (func $use (param v128 i32 v128) (result v128)
        (v128.store (i32.const 5) (local.get 0))
        (i64x2.add (local.get 2) (i64x2.splat (i64.extend_i32_u (local.get 1)))))
      (func (export \"run\") (param v128 i32 v128) (result v128 i32 v128) (local $l v128)
        (local.set $l (local.get 2))
        (global.set $g (local.get 0))
        (local.get 0)
        (call $use (local.get 0) (local.get 1) (local.get 2))
        (i64x2.sub)
        (i32.const 6)
        (v128.xor (global.get $g) (local.get $l))))";
    let all = u128::MAX.to_string();
    let pair = |low: u64, high: u64| (u128::from(high) << 64) | u128::from(low);
    let one = 1_u128 << 64;
    for (args, values) in [
        // The lanes: 0 - (0 + 7), 1 - (1 + 7).
        (
            "0x10000000000000000 7 0x10000000000000000",
            format!("{} 6 0", pair(7_u64.wrapping_neg(), 7_u64.wrapping_neg())),
        ),
        ("-1 0 0", format!("{all} 6 {all}")),
        ("340282366920938463463374607431768211455 0 -1", "0 6 0".to_owned()),
        ("18446744073709551616 0 1", format!("{} 6 {}", pair(u64::MAX, 1), one | 1)),
    ] {
        let job = job(text, "", args);
        let whole = job.start("", Drive::WHOLE).unwrap();
        assert_eq!(whole.values(), values, "{args}");
        let (cut, figures) = job.all_ways(4, 30, &[1]).unwrap();
        assert!(cut.id >= 3 && figures.restored > 10, "{figures:?}");
    }
    let (cut, _) = job(text, "", "0x20000000000000001 0 0x40000000000000003").all_ways(4, 30, &[1]).unwrap();
    let first = state(&cut, 1);
    assert_eq!(first.frames[0].locals, [1, 2, 0, 3, 4, 3, 4]);
    assert_eq!(first.instances[0].globals, [1, 2]);
    for (args, error) in [
        ("340282366920938463463374607431768211456 0 0", "is out of range of i128"),
        ("1.5 0 0", "is not an integer"),
        ("1 2", "2 arguments given, expected 3"),
    ] {
        let refused = job(text, "", args).start("", Drive::WHOLE).unwrap_err();
        assert!(refused.message().contains(error), "{refused}");
    }
}

#[test]
fn several_memories_are_several_spaces() {
    let text = "(module (memory $a 1 3) (memory $b 2 5) (memory $c 0 1)
      (data $d \"abcdefgh\") (data (memory $b) (i32.const 70000) \"xyz\")
      (func (export \"run\") (result i32 i32 i32 i32 i32 i64)
        (i32.store $a (i32.const 8) (i32.const 11))
        (i32.store $b (i32.const 8) (i32.const 22))
        (memory.init $b $d (i32.const 100) (i32.const 0) (i32.const 8))
        (memory.copy $a $b (i32.const 200) (i32.const 100) (i32.const 8))
        (drop (memory.grow $c (i32.const 1)))
        (memory.fill $c (i32.const 4096) (i32.const 7) (i32.const 5000))
        (i32.load $a (i32.const 8)) (i32.load $b (i32.const 8))
        (memory.size $a) (memory.size $b) (memory.size $c)
        (i64.load $a (i32.const 200))))";
    let job = job(text, "", "");
    let whole = job.start("", Drive::WHOLE).unwrap();
    assert_eq!(whole.values(), format!("11 22 1 2 1 {}", u64::from_le_bytes(*b"abcdefgh")));
    let (cut, figures) = job.all_ways(4_200, 30, &[1, 9]).unwrap();
    assert!(cut.id >= 1 && figures.restored > 10, "{figures:?}");
    let last = state(&cut, cut.id);
    let spaces: Vec<_> = last.spaces.iter().map(|s| (s.kind, s.index, s.pages)).collect();
    assert_eq!(spaces, [(SPACE_MEMORY, 0, 16), (SPACE_MEMORY, 1, 32), (SPACE_MEMORY, 2, 16)]);
    assert_eq!(last.instances[0].memories, [1, 2, 1]);
    let roots: std::collections::BTreeSet<_> = last.spaces.iter().map(|s| s.root).collect();
    assert_eq!(roots.len(), 3, "each has a root of its own");
    // Each has the job's limit in common with the others.
    let full = self::job(text, "--max-memory 196608", "").start("", Drive::WHOLE).unwrap();
    assert!(full.receipt()["trap"]["message"] == "out of bounds memory access", "{:?}", full.end);
}

#[test]
fn addresses_of_64_bits_are_compared_whole() {
    let text = "(module (memory i64 1 0x1000000000000)
      (func (export \"run\") (param i64) (result i32) (i32.load8_u (local.get 0)))
      (func (export \"offset\") (param i64) (result i32) (i32.load offset=0x100000000 (local.get 0)))
      (func (export \"far\") (param i64) (result i32) (i32.load offset=0xfffffffffffffff0 (local.get 0)))
      (func (export \"store\") (param i64) (v128.store (local.get 0) (v128.const i64x2 1 1)))
      (func (export \"fill\") (param i64) (memory.fill (local.get 0) (i32.const 1) (i64.const 0x100000000)))
      (func (export \"none\") (param i64) (memory.fill (local.get 0) (i32.const 1) (i64.const 0))))";
    let ends = |entry: &str, address: &str| {
        // Under the first schedule, so that a limit of 2 pays for each instruction.
        let job = Job::new(program(text), "--gas-schedule default-1", &format!("program.wasm {entry} {address}"));
        let (run, _) = job.all_ways(2, 10, &[1]).unwrap();
        match run.receipt()["trap"]["message"].as_str() {
            Some(message) => message.to_owned(),
            None => run.result().get(2).cloned().unwrap_or_default(),
        }
    };
    let out = "out of bounds memory access";
    for (entry, address, expected) in [
        ("run", "65535", "0"),
        ("run", "65536", out),
        ("run", "0x100000000", out),
        ("run", "0x10000ffff", out),
        ("run", "-1", out),
        ("offset", "0", out),
        ("offset", "-0x100000000", out),
        ("offset", "0xffffffff00000000", out),
        ("far", "16", out),
        ("far", "20", out),
        ("store", "65520", ""),
        ("store", "65521", out),
        ("store", "0x100000000", out),
        ("fill", "0", out),
        ("fill", "-0x100000000", out),
        ("none", "65536", ""),
        ("none", "65537", out),
        ("none", "0x100000000", out),
    ] {
        assert_eq!(ends(entry, address), expected, "{entry} {address}");
    }
}

#[test]
fn a_memory_beyond_4_gib_is_used_like_a_small_one() {
    let text = "(module (memory i64 65536 65537)
      (func $far (param i64) (result i64)
        (i64.store (local.get 0) (i64.const 7))
        (v128.store offset=8 (local.get 0) (i64x2.splat (i64.load (local.get 0))))
        (i64.add (i64.load offset=16 (local.get 0))
          (i64x2.extract_lane 1 (v128.load (i64.sub (local.get 0) (i64.const 8))))))
      (func (export \"run\") (result i64 i64 i64 i64)
        (memory.grow (i64.const 1))
        (call $far (i64.const 16)) (call $far (i64.const 0xfffffff8)) (call $far (i64.const 0x100000000)))
      (func (export \"beyond\") (result i64)
        (drop (memory.grow (i64.const 1)))
        (call $far (i64.const 16)) drop (call $far (i64.const 0x100010000))))";
    let run = |entry: &str| {
        let job = Job::new(program(text), "--max-memory 4295032832", &format!("program.wasm {entry}"));
        job.start("", Drive::WHOLE).unwrap()
    };
    assert_eq!(run("run").values(), "65536 14 14 14");
    assert!(run("beyond").receipt()["trap"]["message"] == "out of bounds memory access");
}

#[test]
fn memories_and_tables_of_64_bits_grow_by_64_bits_within_the_limits_of_the_job() {
    let text =
        "(module (memory $m i64 1 0x1000000000000) (table $t i64 1 0xffffffff00000000 funcref) (memory $n 1 60000)
      (func (export \"run\") (result i64 i64 i64 i64 i64 i64 i64 i32 i64)
        (memory.grow $m (i64.const 2)) (memory.grow $m (i64.const 0x100000000)) (memory.grow $m (i64.const -1))
        (memory.size $m)
        (table.grow $t (ref.null func) (i64.const 3)) (table.grow $t (ref.null func) (i64.const 0x100000001))
        (table.size $t)
        (memory.grow $n (i32.const 2))
        (memory.grow $m (i64.const 1))))";
    // Six pages: one and two, then one and two, of which the last does not fit beside another one.
    for (flags, values) in [
        ("", "1 18446744073709551615 18446744073709551615 3 1 18446744073709551615 4 1 3"),
        (
            "--max-memory 393216",
            "1 18446744073709551615 18446744073709551615 3 1 18446744073709551615 4 1 18446744073709551615",
        ),
        ("--max-memory 327680", "1 18446744073709551615 18446744073709551615 3 1 18446744073709551615 4 4294967295 3"),
    ] {
        let job = job(text, flags, "");
        let whole = job.start("", Drive::WHOLE).unwrap();
        assert_eq!(whole.values(), values, "{flags}");
        let (cut, _) = job.all_ways(8_200, 30, &[1, 5_000]).unwrap();
        let spaces: Vec<_> = state(&cut, cut.id).spaces.iter().map(|s| (s.kind, s.index)).collect();
        assert_eq!(spaces, [(SPACE_MEMORY, 0), (SPACE_MEMORY, 1), (SPACE_TABLE, 0)]);
    }
}
