//! The module's own self test: as any runtime of strangers would run it, a WASI command, here in wasmtime; and the same code
//! linked natively.

use std::path::Path;

use guest_interp::selftest;
use wasmtime::{Linker, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::failure::{Failure, IO, Result};
use crate::node::embedded_module;
use crate::node::sandbox::NodeModule;

/// Most bytes of what the test says.
const MOST: usize = 1 << 20;
/// How the line of a check begins that has failed, and that of the verdict.
const FAILED: &str = "FAILED ";
const VERDICT: &str = "selftest: ";

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfTest {
    /// Whether all checks have passed.
    pub passed: bool,
    /// The verdict, in the test's words.
    pub verdict: String,
    /// The checks that have failed, and why.
    pub failed: Vec<String>,
}

impl SelfTest {
    /// As the lines say.
    fn of<'a>(lines: impl Iterator<Item = &'a str> + Clone) -> Self {
        let verdict = lines.clone().find_map(|line| line.strip_prefix(VERDICT)).unwrap_or("it ended without a verdict");
        let failed: Vec<String> =
            lines.filter_map(|line| line.strip_prefix(FAILED)).map(|line| line.trim().to_owned()).collect();
        let passed = failed.is_empty() && verdict.starts_with("good enough");
        Self { passed, verdict: verdict.to_owned(), failed }
    }
}

/// Tests the module that this command carries, in wasmtime; its files are made in `dir`, and removed.
///
/// # Errors
/// Exit code 74 when it cannot be compiled or started.
pub fn in_wasmtime(dir: &Path) -> Result<SelfTest> {
    let failed = |error: wasmtime::Error| Failure::wasmtime(IO, "the module's self test cannot be started", &error);
    let module = NodeModule::compile(embedded_module::NODE_WASM)?;
    let module = module.module();
    let stdout = MemoryOutputPipe::new(MOST);
    let mut context = WasiCtxBuilder::new();
    context.arg("stepmark.wasm").arg("--selftest").stdout(stdout.clone());
    context.preopened_dir(dir, ".", FsPerms::ReadWrite).map_err(failed)?;
    let mut store = Store::new(module.engine(), context.build_p1());
    let mut linker = Linker::new(module.engine());
    p1::add_to_linker_sync(&mut linker, |wasi: &mut WasiP1Ctx| wasi).map_err(failed)?;
    let instance = linker.instantiate(&mut store, module).map_err(failed)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").map_err(failed)?;
    // It may end by an exit code: its lines say the same.
    drop(start.call(&mut store, ()));
    Ok(SelfTest::of(String::from_utf8_lossy(&stdout.contents()).lines()))
}

/// Tests the code linked natively.
pub fn natively(dir: &Path) -> SelfTest {
    let mut lines = Vec::new();
    selftest::run(&dir.display().to_string(), &mut |line| lines.push(line.to_owned()));
    SelfTest::of(lines.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_passes_in_both_ways_and_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let tests = [in_wasmtime(dir.path()).expect("it starts"), natively(dir.path())];
        for test in tests {
            assert!(test.passed && test.failed.is_empty(), "{test:?}");
            assert!(test.verdict.contains("as a command and through its functions"), "{test:?}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).expect("reads").count(), 0);
    }

    #[test]
    fn what_fails_is_named() {
        let lines = ["ok      one", "FAILED  another: it is wrong", "selftest: NOT good enough: 1 of 2 checks failed"];
        let test = SelfTest::of(lines.into_iter());
        assert_eq!((test.passed, test.failed), (false, vec!["another: it is wrong".to_owned()]));
        assert!(!SelfTest::of([].into_iter()).passed);
    }
}
