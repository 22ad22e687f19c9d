//! `export-module`: the Stepmark module as a file, for other runtimes and for people who check its hash.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::print;
use crate::cli::reply::Reply;
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::named_output::{OutputKind, check_output_if_named, write_output};
use stepmark_runner::node::embedded_module;

/// Arguments of `export-module`.
#[derive(Debug, clap::Args)]
pub(super) struct ExportModuleArgs {
    /// Where to write the module
    #[arg(required_unless_present = "output")]
    file: Option<PathBuf>,
    /// Where to write it, as another way to name it
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    output: Option<PathBuf>,
    /// Write the compiler too, with which JavaScript hosts run programs as compiled code
    #[arg(long, value_name = "FILE")]
    compiler: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: &ExportModuleArgs) -> Result<Reply> {
    let missing = || Failure::usage("no file is named");
    let file = args.file.as_ref().or(args.output.as_ref()).ok_or_else(missing)?;
    if args.compiler.as_ref() == Some(file) {
        return Err(Failure::usage(format!("--compiler {}: the module is written there", file.display())));
    }
    check_output_if_named(args.compiler.as_deref(), OutputKind::Compiler)?;
    write_output(file, OutputKind::Module, embedded_module::NODE_WASM)?;
    let (hash, file) = (embedded_module::node_hash(), file.display().to_string());
    let mut reply = json!({ "file": file, "bytes": embedded_module::NODE_WASM.len(), "blake3": hash });
    let mut lines = vec![format!("{hash}  {file}")];
    if let Some(file) = &args.compiler {
        write_output(file, OutputKind::Compiler, embedded_module::COMPILER_WASM)?;
        let (hash, file) = (embedded_module::compiler_hash(), file.display().to_string());
        lines.push(format!("{hash}  {file}"));
        reply["compiler"] = json!({ "file": file, "bytes": embedded_module::COMPILER_WASM.len(), "blake3": hash });
    }
    if args.json {
        return Ok(Reply::object(0, reply));
    }
    lines.iter().try_for_each(|line| print(line))?;
    Ok(0.into())
}
