//! The sample programs as whole files: that they are the ones `expected.toml` speaks of, and each case as a job of the
//! node, with the files that it needs in a directory of its own.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use stepmark_core::module::{Features, Module};
use tempfile::TempDir;

use crate::programs::{self, Case, Program};
use crate::runner::Ended;

/// SHA-256 of a file, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// That `bytes` are the file that `program` describes, a valid module with the imports listed.
///
/// # Errors
/// What is not so.
pub fn check_file(program: &Program, bytes: &[u8]) -> Result<()> {
    let found = sha256(bytes);
    ensure!(found == program.sha256, "{}: SHA-256 {found}, expected {}", program.file, program.sha256);
    let module = Module::parse(bytes.to_vec(), Features::default()).with_context(|| program.file.clone())?;
    let imports = module.imports().iter().map(|import| format!("{}.{}", import.module, import.name));
    let imports: Vec<String> = imports.collect::<BTreeSet<_>>().into_iter().collect();
    ensure!(imports == program.imports, "{}: imports {imports:?}, expected {:?}", program.file, program.imports);
    Ok(())
}

/// A case as a job of the node.
pub struct Prepared {
    /// Where its files are.
    pub dir: TempDir,
    /// The node's flags in front of the program.
    pub flags: Vec<String>,
    /// The program's file name and what follows it: arguments of a command, or the first call of the others.
    pub words: Vec<String>,
}

impl Prepared {
    /// The directory with program, linked modules and standard input for a case.
    ///
    /// # Errors
    /// If a file cannot be copied.
    pub fn new(program: &Program, case: &Case) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let copy = |file: &str| -> Result<()> {
            let to = dir.path().join(file);
            std::fs::create_dir_all(to.parent().unwrap_or(dir.path()))?;
            Ok(std::fs::write(to, programs::bytes(file)?)?)
        };
        copy(&program.file)?;
        let mut flags = Vec::new();
        for (name, file) in &program.link {
            copy(file)?;
            flags.extend(["--preload".to_owned(), format!("{name}={file}")]);
        }
        for (name, value) in &case.env {
            flags.extend(["--env".to_owned(), format!("{name}={value}")]);
        }
        if !case.stdin.is_empty() {
            std::fs::write(dir.path().join("stdin"), &case.stdin)?;
            flags.extend(["--stdin".to_owned(), "stdin".to_owned()]);
        }
        let mut words = vec![program.file.clone()];
        match case.calls.first() {
            Some(call) => words.extend(std::iter::once(&call.export).chain(&call.args).cloned()),
            None => words.extend(case.args.iter().cloned()),
        }
        Ok(Self { dir, flags, words })
    }

    /// The node's arguments.
    pub fn argv(&self) -> Vec<String> {
        self.flags.iter().chain(&self.words).cloned().collect()
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// That a run came out as the case says: of a case with several calls, as its first call.
///
/// # Errors
/// What is not so.
pub fn check_case(case: &Case, ended: &Ended) -> Result<()> {
    let call = case.calls.first();
    let (wanted_trap, wanted_code) = match call {
        Some(call) => (&call.trap, Some(0)),
        None => (&case.trap, case.exit_code),
    };
    let trap = ended.trap()?;
    ensure!(&trap == wanted_trap, "trap {trap:?}, expected {wanted_trap:?}");
    let code = if trap.is_some() { Some(134) } else { wanted_code };
    ensure!(Some(ended.exit_code) == code, "exit code {}, expected {code:?}", ended.exit_code);
    for (name, bytes, wanted) in [("stdout", &ended.stdout, &case.stdout), ("stderr", &ended.stderr, &case.stderr)] {
        let wanted = wanted.as_deref().unwrap_or_default();
        ensure!(bytes == wanted.as_bytes(), "{name} {:?}, expected {wanted:?}", String::from_utf8_lossy(bytes));
    }
    let text = String::from_utf8(ended.files.get("result.txt").context("no result.txt")?.clone())?;
    let values: Vec<&str> =
        call.and_then(|call| call.results.as_ref()).into_iter().flatten().map(String::as_str).collect();
    let status = code.unwrap_or_default();
    let wanted =
        if values.is_empty() { format!("{status}\n0\n") } else { format!("{status}\n0\n{}\n", values.join(" ")) };
    ensure!(text == wanted, "result.txt {text:?}, expected {wanted:?}");
    Ok(())
}
