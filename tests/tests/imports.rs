//! The node takes nothing from its surroundings but arguments and files: its imports are those, and an environment full of
//! variables changes no byte.

use std::path::Path;
use std::process::Command;

use node_tests::node_js::{self, read_files};
use node_tests::same_everywhere::{JOBS, Job};
use stepmark_core::module::{ExternType, Features, Module};
use stepmark_runner::node::embedded_module::NODE_WASM;

/// Calls of preview 1 by what they are for. `environ_*` is there because the standard library asks for it when it starts.
const ALLOWED: [(&str, &[&str]); 4] = [
    ("arguments", &["args_get", "args_sizes_get"]),
    ("environment", &["environ_get", "environ_sizes_get"]),
    ("exit", &["proc_exit"]),
    ("files", &["fd_", "path_"]),
];

/// Names of the node's imports, all of them functions of preview 1.
fn imports() -> Vec<String> {
    let module = Module::parse(NODE_WASM.to_vec(), Features::default()).unwrap();
    let name = |import: &stepmark_core::module::Import| {
        assert_eq!(import.module, "wasi_snapshot_preview1", "{}", import.name);
        assert!(matches!(import.ty, ExternType::Func(_)), "{} is no function", import.name);
        import.name.clone()
    };
    module.imports().iter().map(name).collect()
}

#[test]
fn the_node_imports_calls_for_arguments_files_and_exit_alone() {
    let imports = imports();
    assert!(!imports.is_empty());
    for name in &imports {
        let allowed = |prefix: &&str| if prefix.ends_with('_') { name.starts_with(*prefix) } else { name == *prefix };
        assert!(ALLOWED.iter().any(|(_, names)| names.iter().any(&allowed)), "{name} is not allowed");
        for forbidden in ["clock", "random", "sock", "poll", "sched", "raise", "set_times", "symlink", "link"] {
            let unlink = name == "path_unlink_file";
            assert!(!name.contains(forbidden) || unlink, "{name} is forbidden");
        }
    }
}

/// Variables that change what some program does, or would if anyone read them, and thousands more.
fn hostile() -> Vec<(String, String)> {
    let known = [
        ("RUST_BACKTRACE", "full"),
        ("RUST_LIB_BACKTRACE", "1"),
        ("RUST_LOG", "trace"),
        ("RUST_MIN_STACK", "1"),
        ("TZ", "Pacific/Kiritimati"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("LANG", "ar_EG"),
        ("HOME", "/nowhere"),
        ("PATH", ""),
        ("PWD", "/elsewhere"),
        ("TMPDIR", "/nowhere"),
        ("USER", "mallory"),
        ("COLUMNS", "1"),
        ("NO_COLOR", ""),
        ("MALLOC_ARENA_MAX", "1"),
        ("GUEST_GAS_LIMIT", "1"),
        ("GUEST_INTERP_SEED", "garbage \u{1f980}"),
        ("SNAPSHOT_OUTPUT", "other"),
        ("GREETING", "not this one"),
        ("SOURCE_DATE_EPOCH", "0"),
    ];
    let known = known.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let many = (0..3_000).map(|i| (format!("VARIABLE_{i}"), "x".repeat(i % 90)));
    known.into_iter().chain(many).collect()
}

/// Runs a job under the WASI of Node.js with an environment; its files and what it printed.
fn run(job: &Job, wasm: &Path, env: &[(String, String)]) -> impl PartialEq + std::fmt::Debug {
    const SCRIPT: &str = "
        const { readFileSync } = require('node:fs');
        const { WASI } = require('node:wasi');
        const [wasm, directory, variables, ...args] = process.argv.slice(2);
        const env = Object.fromEntries(JSON.parse(readFileSync(variables)));
        const preopens = { '.': directory };
        const wasi = new WASI({ version: 'preview1', args: ['guest-interp', ...args], env, preopens, returnOnExit: true });
        const node = new WebAssembly.Module(readFileSync(wasm));
        process.exitCode = wasi.start(new WebAssembly.Instance(node, wasi.getImportObject()));";
    let (dir, apart) = (job.directory().unwrap(), tempfile::tempdir().unwrap());
    let (variables, script) = (apart.path().join("env.json"), apart.path().join("run.cjs"));
    std::fs::write(&variables, serde_json::to_vec(env).unwrap()).unwrap();
    std::fs::write(&script, SCRIPT).unwrap();
    let mut command = Command::new("node");
    command.arg("--no-warnings").arg(script).arg(wasm).arg(dir.path()).arg(variables).args(job.argv());
    let output = command.output().unwrap();
    let files = read_files(&dir.path().join("out"));
    let files = files.unwrap_or_else(|e| panic!("{e:#}: {}", String::from_utf8_lossy(&output.stderr)));
    assert!(files.len() > 2, "{}: {}", job.name, String::from_utf8_lossy(&output.stderr));
    (files, output.stdout, output.stderr, output.status.code())
}

#[test]
fn an_environment_full_of_variables_changes_no_byte() {
    if node_js::version().unwrap().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let wasm = dir.path().join("guest-interp.wasm");
    std::fs::write(&wasm, NODE_WASM).unwrap();
    let hostile = hostile();
    for name in ["iostream", "Rust", "Rust panics", "memory and tables", "Rust with files of its own"] {
        let job = JOBS.iter().find(|job| job.name == name).unwrap();
        let (plain, full) = (run(job, &wasm, &[]), run(job, &wasm, &hostile));
        assert!(plain == full, "{name} differs");
    }
}
