//! The benchmark programs of `wasmfiles/bench/` and its folder `extensions`: each exports `run` (n: i32) -> i64, where n is how much work to do.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use crate::programs::{self, Call, Case, Program};

/// `bench.toml`.
#[derive(Deserialize)]
struct Bench {
    program: Vec<Benchmark>,
}

/// A benchmark program at two sizes.
#[derive(Debug, Deserialize)]
pub struct Benchmark {
    /// Folder in the directory of the sample programs.
    #[serde(skip)]
    folder: String,
    /// File name there.
    pub file: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Some millions of instructions.
    pub quick: Size,
    /// Long enough to be timed.
    pub full: Size,
}

/// How much work, and what comes of it.
#[derive(Debug, Deserialize)]
pub struct Size {
    /// Argument of `run`.
    pub n: i32,
    /// Its result, an unsigned decimal number.
    pub result: String,
}

impl Benchmark {
    /// The name, as people say it.
    pub fn name(&self) -> &str {
        self.file.trim_end_matches(".wasm")
    }

    /// Path of the file in the directory of the sample programs.
    pub fn path(&self) -> String {
        format!("{}/{}", self.folder, self.file)
    }

    /// A sample program with a case for each size.
    pub fn program(&self) -> Program {
        let case = |name: &str, size: &Size| Case {
            name: name.to_owned(),
            calls: vec![Call {
                export: "run".to_owned(),
                args: vec![size.n.to_string()],
                results: Some(vec![size.result.clone()]),
                trap: None,
            }],
            ..Case::default()
        };
        Program {
            file: self.path(),
            kind: "module".to_owned(),
            sha256: self.sha256.clone(),
            imports: Vec::new(),
            link: BTreeMap::new(),
            case: vec![case("quick", &self.quick), case("full", &self.full)],
        }
    }
}

/// The benchmark programs that every engine runs, in the order of `bench.toml`.
///
/// # Errors
/// If that cannot be read.
pub fn all() -> Result<Vec<Benchmark>> {
    of("bench")
}

/// Those for the parts of WebAssembly 3.0 that these do not use.
///
/// # Errors
/// If their `bench.toml` cannot be read.
pub fn extensions() -> Result<Vec<Benchmark>> {
    of("bench/extensions")
}

fn of(folder: &str) -> Result<Vec<Benchmark>> {
    let list = std::fs::read_to_string(programs::directory().join(folder).join("bench.toml"))?;
    let mut bench: Bench = toml::from_str(&list)?;
    for program in &mut bench.program {
        program.folder = folder.to_owned();
    }
    Ok(bench.program)
}
