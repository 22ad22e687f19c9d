//! Imports that a program asks for and nobody gives: all at once, and what they say of the toolchain that made the program.

use stepmark_core::machine::HostImports;
use stepmark_core::module::{ExternType, Features, Module};
use stepmark_hosts::stand_in;
use stepmark_session::spec::JobSpec;
use stepmark_state::limits::Limits;

use crate::ask::estimate::{Offered, read};
use crate::failure::{Failure, Result};
use crate::foreign::ForeignKind;

/// Imports that are shown.
const MOST_SHOWN: usize = 20;

/// Which imports are a toolchain's (the module's name, the beginning of the import's), what it is, and what to do.
const TOOLCHAINS: [(&str, &str, &str, &str); 11] = [
    ("env", "seed", "AssemblyScript", "compile with its WASI shim"),
    ("env", "trace", "AssemblyScript", "compile with --use trace= (asc), or with its WASI shim"),
    ("env", "console.", "AssemblyScript", "compile with its WASI shim"),
    ("wbg", "", "wasm-bindgen", "compile for wasm32-wasip1 without wasm-bindgen"),
    ("__wbindgen_placeholder__", "", "wasm-bindgen", "compile for wasm32-wasip1 without wasm-bindgen"),
    ("env", "emscripten_", "emscripten", "compile with -sSTANDALONE_WASM"),
    ("env", "invoke_", "emscripten", "compile with -sSTANDALONE_WASM and -fwasm-exceptions"),
    ("env", "__syscall", "emscripten", "compile with -sSTANDALONE_WASM"),
    ("gojs", "", "Go for browsers", "compile with GOOS=wasip1"),
    ("go", "", "Go for browsers", "compile with GOOS=wasip1"),
    ("wasm:js-string", "", "JavaScript strings", "compile for wasm32-wasip1"),
];

/// The failure of a program whose imports are not all there, with every one that is missing; any other failure as it is.
pub fn explained(failure: Failure, job: &JobSpec) -> Failure {
    if !failure.what().contains("unknown import ") {
        return failure;
    }
    match missing(job) {
        Ok(missing) if !missing.names.is_empty() => described(failure, &missing),
        _ => failure,
    }
}

fn described(failure: Failure, Missing { names, can_be_stubs }: &Missing) -> Failure {
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
    let sockets = |(module, name): &(String, String)| module.starts_with("wasi_") && name.starts_with("sock_");
    let toolchain = TOOLCHAINS.iter().find(|toolchain| names.iter().any(|name| is_of(name, toolchain)));
    let help = match toolchain {
        Some((.., what, help)) => format!("this looks like {what}: {help}"),
        None if names.iter().any(sockets) => "there are no sockets: a run asks nobody outside".to_owned(),
        None if names.iter().any(|(module, _)| matches!(module.as_str(), "store" | "contract")) => {
            "a contract needs --store FILE".to_owned()
        }
        None => "link a module that exports them: --preload NAME=FILE".to_owned(),
    };
    let stubs = if *can_be_stubs { "; or run it as far as it gets without them: --stub-imports trap" } else { "" };
    failure.help(format!("{help}{stubs}"))
}

/// What a program imports and nobody gives.
struct Missing {
    /// Module and name, in order.
    names: Vec<(String, String)>,
    /// Whether all of them are functions.
    can_be_stubs: bool,
}

/// The imports of the program that neither the module nor a linked module gives.
fn missing(job: &JobSpec) -> Result<Missing> {
    let host = Offered::new(Limits::default())?;
    let program = Module::parse(read(&job.program, ForeignKind::Module)?, Features::default())?;
    let is_linked = |module: &str| job.preload.iter().any(|(name, _)| name == module);
    let missing = (0..).zip(program.imports()).filter(|(number, import)| {
        let is_given = host.resolve(&import.module, &import.name).is_some();
        !is_linked(&import.module) && !is_given && stand_in::find(&program, *number).is_none()
    });
    let can_be_stubs = missing.clone().all(|(_, import)| matches!(import.ty, ExternType::Func(_)));
    let names = missing.map(|(_, import)| (import.module.clone(), import.name.clone())).collect();
    Ok(Missing { names, can_be_stubs })
}
