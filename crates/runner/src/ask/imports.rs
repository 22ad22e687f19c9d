//! Imports that a program asks for and nobody gives: all at once, and what they say of the toolchain that made the program.

use stepmark_core::machine::HostImports;
use stepmark_core::module::{Features, Module};
use stepmark_session::spec::JobSpec;
use stepmark_state::limits::Limits;

use crate::ask::estimate::{Offered, read};
use crate::failure::{Failure, Result};
use crate::foreign::ForeignKind;

/// Imports that are shown.
const MOST_SHOWN: usize = 20;

/// Which imports are a toolchain's (the module's name, the beginning of the import's), what it is, and what to do.
const TOOLCHAINS: [(&str, &str, &str, &str); 11] = [
    ("env", "abort", "AssemblyScript", "compile with --use abort= (asc), or with its WASI shim"),
    ("env", "seed", "AssemblyScript", "compile with its WASI shim"),
    ("wbg", "", "wasm-bindgen", "compile for wasm32-wasip1 without wasm-bindgen"),
    ("__wbindgen_placeholder__", "", "wasm-bindgen", "compile for wasm32-wasip1 without wasm-bindgen"),
    ("env", "emscripten_", "emscripten", "compile with -sSTANDALONE_WASM"),
    ("env", "invoke_", "emscripten", "compile with -sSTANDALONE_WASM and -fwasm-exceptions"),
    ("env", "__syscall", "emscripten", "compile with -sSTANDALONE_WASM"),
    ("gojs", "", "Go for browsers", "compile with GOOS=wasip1"),
    ("go", "", "Go for browsers", "compile with GOOS=wasip1"),
    ("wasi_unstable", "", "an old WASI (preview 0)", "compile with a newer WASI SDK, for wasm32-wasip1"),
    ("wasm:js-string", "", "JavaScript strings", "compile for wasm32-wasip1"),
];

/// The failure of a program whose imports are not all there, with every one that is missing; any other failure as it is.
pub fn explained(failure: Failure, job: &JobSpec) -> Failure {
    if !failure.what().contains("unknown import ") {
        return failure;
    }
    match missing(job) {
        Ok(names) if !names.is_empty() => described(failure, &names),
        _ => failure,
    }
}

fn described(failure: Failure, names: &[(String, String)]) -> Failure {
    let failure = match names.len() {
        0 | 1 => failure,
        count => {
            let shown = names.iter().take(MOST_SHOWN).map(|(module, name)| format!("{module}.{name}"));
            let shown = shown.collect::<Vec<_>>().join(", ");
            let more = if count > MOST_SHOWN { format!(" and {} more", count - MOST_SHOWN) } else { String::new() };
            failure.caused_by(format!("{count} imports are missing: {shown}{more}"))
        }
    };
    let is_of = |(module, name): &(String, String), toolchain: &(&str, &str, &str, &str)| {
        module == toolchain.0 && name.starts_with(toolchain.1)
    };
    let sockets = |(module, name): &(String, String)| module == "wasi_snapshot_preview1" && name.starts_with("sock_");
    let toolchain = TOOLCHAINS.iter().find(|toolchain| names.iter().any(|name| is_of(name, toolchain)));
    match toolchain {
        Some((.., what, help)) => failure.help(format!("this looks like {what}: {help}")),
        None if names.iter().any(sockets) => failure.help("there are no sockets: a run asks nobody outside"),
        None if names.iter().any(|(module, _)| matches!(module.as_str(), "store" | "contract")) => {
            failure.help("a contract needs --store FILE")
        }
        None => failure.help("link a module that exports them: --preload NAME=FILE"),
    }
}

/// The imports of the program that neither the module nor a linked module gives, in order.
fn missing(job: &JobSpec) -> Result<Vec<(String, String)>> {
    let host = Offered::new(Limits::default())?;
    let program = Module::parse(read(&job.program, ForeignKind::Module)?, Features::default())?;
    let is_linked = |module: &str| job.preload.iter().any(|(name, _)| name == module);
    let imports = program.imports().iter();
    let missing =
        imports.filter(|import| !is_linked(&import.module) && host.resolve(&import.module, &import.name).is_none());
    Ok(missing.map(|import| (import.module.clone(), import.name.clone())).collect())
}
