//! The example leaves the files that the native library writes.

use std::process::Command;

use node_tests::embedders;

#[test]
fn the_example_in_rust_leaves_the_native_files() {
    let start = || Command::new(env!("CARGO_BIN_EXE_segments"));
    println!("{}", embedders::check("rust/src/main.rs", &start).unwrap().join("\n"));
}
