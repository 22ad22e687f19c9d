//! The contracts of `wasmfiles/contracts/`, and what `contracts.toml` says of each invocation.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use crate::programs::{self, Program};

/// `contracts.toml`.
#[derive(Deserialize)]
struct Contracts {
    contract: Vec<Contract>,
}

/// A contract and its cases.
#[derive(Debug, Deserialize)]
pub struct Contract {
    /// File name there.
    pub file: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Every `module.name` that it imports, sorted, each once.
    pub imports: Vec<String>,
    /// The cases.
    pub case: Vec<Invocation>,
}

/// An outermost invocation of a fresh instance, and what it comes to.
#[derive(Debug, Default, Deserialize)]
pub struct Invocation {
    /// Name of the case.
    pub name: String,
    /// Arguments.
    #[serde(default)]
    pub args: String,
    /// Name of its caller.
    #[serde(default)]
    pub caller: String,
    /// What the store holds; values in hexadecimal.
    #[serde(default)]
    pub before: BTreeMap<String, String>,
    /// What it holds afterwards; values in hexadecimal. After a trap it is as before.
    #[serde(default)]
    pub after: BTreeMap<String, String>,
    /// Its result, hexadecimal; none after a trap.
    #[serde(default)]
    pub result: String,
    /// The lines that it writes.
    #[serde(default)]
    pub debug: Vec<String>,
    /// Text of its trap.
    pub trap: Option<String>,
}

impl Contract {
    /// The name, by which others call it.
    pub fn name(&self) -> &str {
        self.file.trim_end_matches(".wasm")
    }

    /// Path of the file in the directory of the sample programs.
    pub fn path(&self) -> String {
        format!("contracts/{}", self.file)
    }

    /// A sample program without cases.
    pub fn program(&self) -> Program {
        Program {
            file: self.path(),
            kind: "contract".to_owned(),
            sha256: self.sha256.clone(),
            imports: self.imports.clone(),
            link: BTreeMap::new(),
            case: Vec::new(),
        }
    }
}

/// The contracts, in the order of `contracts.toml`.
///
/// # Errors
/// If that cannot be read.
pub fn all() -> Result<Vec<Contract>> {
    let list = std::fs::read_to_string(programs::directory().join("contracts/contracts.toml"))?;
    let contracts: Contracts = toml::from_str(&list)?;
    Ok(contracts.contract)
}
