//! What a fresh machine compiles.

use std::collections::BTreeSet;
use std::process::Command;

/// Crates with the features that they have in a build, as `NAME VERSION [FEATURES]`.
fn crates(selection: &[&str]) -> BTreeSet<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let form = ["tree", "--locked", "--offline", "--prefix", "none", "--no-dedupe", "--format", "{p} [{f}]"];
    let output = Command::new(env!("CARGO")).current_dir(root).args(form).args(selection).output().unwrap();
    assert!(output.status.success(), "{selection:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.contains('/'));
    lines.map(|line| line.replace(" (proc-macro)", "")).collect()
}

/// With other features a crate is another one to cargo: the command and the tests would each compile wasmtime.
#[test]
fn nothing_is_compiled_twice_for_the_command_and_the_tests() {
    let tests = crates(&["--workspace", "--edges", "normal,build,dev"]);
    for (selection, least) in [("host-runner", 150), ("xtask", 200)] {
        let own = crates(&["--package", selection, "--edges", "normal,build"]);
        assert!(own.len() > least, "{selection}: {} crates", own.len());
        let twice: Vec<_> = own.difference(&tests).collect();
        assert!(twice.is_empty(), "{selection} has these with other features than `cargo test --workspace`: {twice:?}");
    }
}
