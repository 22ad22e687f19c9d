//! Where the gas of a run goes.

use std::fs;

use stepmark_core::module::{Features, Module};

use crate::util::{Dir, FIB, TRAP, json, text};

fn folded_sum(folded: &str) -> u64 {
    folded.lines().map(|line| line.rsplit_once(' ').expect("a count").1.parse::<u64>().expect("a number")).sum()
}

#[test]
fn the_stacks_of_a_profile_add_up_to_the_gas_of_the_run() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.add("trap.wasm", TRAP);
    for name in ["rust_std.wasm", "exit_code.wasm", "sha256.wasm", "go_hello.wasm"] {
        dir.sample(name);
    }
    let jobs = [
        "fib.wasm fib 15",
        "trap.wasm run",
        "--gas-limit 1000 fib.wasm fib 15",
        "rust_std.wasm one",
        "exit_code.wasm",
        "sha256.wasm 100",
        "go_hello.wasm",
    ];
    for job in jobs {
        let object = json(dir.run(&format!("profile --json --folded stacks.txt {job}")).code(0).stdout());
        assert!(!["snapshot", "stepmark"].iter().any(|name| dir.path(name).exists()), "a profile writes nothing else");
        let ran = dir.run(&format!("-q --engine native --snapshot-output snapshot {job}"));
        let receipt = json(&dir.read("snapshot/receipt.json"));
        fs::remove_dir_all(dir.path("snapshot")).expect("removed");
        let gas = receipt["result"]["gas_used"].as_u64().expect("a number");
        assert_eq!(folded_sum(&dir.text("stacks.txt")), gas, "{job}");
        assert_eq!((&object["gas"], &object["result"]["exit_code"]), (&gas.into(), &ran.exit_code().into()), "{job}");
        assert_eq!(object["result"], receipt["result"], "{job}");
        let functions = object["functions"].as_array().expect("a list");
        let own: u64 = functions.iter().map(|function| function["gas"].as_u64().expect("a number")).sum();
        assert_eq!(own, gas, "{job}");
    }
}

#[test]
fn two_profiles_of_one_job_are_the_same_bytes() {
    let dir = Dir::new();
    dir.sample("rust_std.wasm");
    let once = |number: u32| {
        let files = format!("--folded {number}.txt --svg {number}.svg");
        let table = dir.run(&format!("profile {files} rust_std.wasm one two")).code(0).stdout().to_vec();
        let object = dir.run("profile --json rust_std.wasm one two").code(0).stdout().to_vec();
        (table, object, dir.text(&format!("{number}.txt")), dir.text(&format!("{number}.svg")))
    };
    let first = once(1);
    assert!(first == once(2), "they differ");
    let (table, _, folded, svg) = first;
    for part in [" gas, exited with code 0", " instructions: numeric ", "with callees", "no source lines", "core::"] {
        assert!(text(&table).contains(part), "expected {part:?} in {}", text(&table));
    }
    assert!(folded.contains("_start;") && folded.contains("wasi_snapshot_preview1.fd_write "), "{folded}");
    assert!(svg.starts_with("<?xml") && svg.trim_end().ends_with("</svg>") && svg.contains("rust_std.wasm: gas"));
    assert!(!folded.contains("_ZN") && folded.contains(";rust_std::main"), "names are those of the source: {folded}");
}

#[test]
fn a_table_shows_the_dearest_first_and_as_many_as_asked_for() {
    let text_of = r#"(module (func $main (export "run") (call $dear) (call $cheap))
        (func $dear (drop (i32.const 1)) (drop (i32.const 1))) (func $cheap (drop (i32.const 1))))"#;
    let dir = Dir::with("a.wasm", text_of);
    let table = text(dir.run("profile a.wasm run").code(0).stdout());
    let expected = "8 gas, finished\n11 instructions: numeric 3, parametric 3, control 3, call 2\n\
                    gas          with callees  calls  function\n\
                    \x20 4  50.0 %             4      1  dear\n\
                    \x20 2  25.0 %             8      1  main\n\
                    \x20 2  25.0 %             2      1  cheap\n\
                    no source lines: the program has no debug information (DWARF) that can be read\n";
    assert_eq!(table, expected);
    let table = text(dir.run("profile --top 1 a.wasm run").code(0).stdout());
    assert!(table.contains("dear") && !table.contains("cheap") && table.contains("and 2 more"), "{table}");
    assert!(dir.run("profile -q a.wasm run").code(0).stdout().is_empty());
    dir.add("empty.wasm", r#"(module (func (export "run")))"#);
    dir.run("profile --svg empty.svg empty.wasm run").code(65).says("no flame graph");
    assert!(!dir.path("empty.svg").exists());
}

/// The module of this text with debug information (DWARF 4) that gives each of its functions a line of `a.c`: 10, 20...
fn with_lines(text: &str) -> Vec<u8> {
    let bytes = wat::parse_str(text).expect("valid text");
    let module = Module::parse(bytes.clone(), Features::default()).expect("a module");
    let bodies: Vec<_> = (0..module.func_count()).filter_map(|func| module.body(func)).collect();
    // Addresses count from the contents of the code section: how many bodies, and how long the first one is.
    let start = bodies[0].start - 2;
    let address = |at: usize| u32::try_from(at - start).expect("small").to_le_bytes();
    let end = address(bodies[bodies.len() - 1].end);
    let abbreviations = b"\x01\x11\x00\x10\x17\x11\x01\x12\x06\x03\x08\x00\x00\x00".to_vec();
    // A unit with its line table at 0, from address 0 to the end.
    let unit = [&[4, 0, 0, 0, 0, 0, 4, 1][..], &[0; 4], &[0; 4], &end, b"a.c\0"].concat();
    let header = b"\x01\x01\x01\xfb\x0e\x0d\x00\x01\x01\x01\x01\x00\x00\x00\x01\x00\x00\x01\x00a.c\0\x00\x00\x00\x00";
    let mut program = Vec::new();
    for (number, body) in bodies.iter().enumerate() {
        // The address; nine or ten lines on; a row.
        program.extend([0, 5, 2]);
        program.extend(address(body.start));
        program.extend([3, if number == 0 { 9 } else { 10 }, 1]);
    }
    program.extend([0, 5, 2]);
    program.extend(end);
    program.extend([0, 1, 1]);
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).expect("small").to_le_bytes();
    let lines = [&[4, 0][..], &size(header), header, &program].concat();
    let sections = [
        (".debug_abbrev", abbreviations),
        (".debug_info", [&size(&unit)[..], &unit].concat()),
        (".debug_line", [&size(&lines)[..], &lines].concat()),
    ];
    let mut module = bytes;
    for (name, contents) in sections {
        let name_size = u8::try_from(name.len()).expect("short");
        let section = [&[name_size][..], name.as_bytes(), &contents].concat();
        module.extend([0, u8::try_from(section.len()).ok().filter(|size| *size < 128).expect("short")]);
        module.extend(section);
    }
    module
}

#[test]
fn debug_information_gives_the_gas_of_source_lines() {
    let dir = Dir::new();
    let text_of = r#"(module (func $main (export "run") (call $dear) (call $cheap))
        (func $dear (drop (i32.const 1)) (drop (i32.const 1))) (func $cheap (drop (i32.const 1))))"#;
    fs::write(dir.path("lines.wasm"), with_lines(text_of)).expect("written");
    let object = json(dir.run("profile --json lines.wasm run").code(0).stdout());
    let line = |line: &str, gas: u64| serde_json::json!({ "line": line, "gas": gas });
    assert_eq!(object["lines"], serde_json::json!([line("a.c:20", 4), line("a.c:10", 2), line("a.c:30", 2)]));
    let table = text(dir.run("profile lines.wasm run").code(0).stdout());
    assert!(table.contains("source line\n  4  50.0 %  a.c:20\n"), "{table}");
}
