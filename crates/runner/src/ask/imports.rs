//! Imports that a program asks for and nobody gives: all at once, and what they say of the toolchain that made the program.

use std::path::Path;

use stepmark_core::machine::HostImports;
use stepmark_core::module::{ExternType, Module};
use stepmark_hosts::stand_in;
use stepmark_hosts::store::{ContractCall, KvView};
use stepmark_session::spec::JobSpec;
use stepmark_state::limits::Limits;
use wasmparser::{Chunk, Parser, Payload};

use crate::ask::estimate::{Offered, features, read};
use crate::failure::{DATA, Failure, Result};
use crate::foreign::{Foreign, ForeignKind};

/// Imports that are shown.
const MOST_SHOWN: usize = 20;
/// Bytes of a module that are read at a time.
const CHUNK: usize = 64 << 10;

/// Which imports are a toolchain's (the module's name, the beginning of the import's), what it is, and what to do.
/// The module `*` is any, and one that ends with it any that begins so.
const TOOLCHAINS: [(&str, &str, &str, &str); 16] = [
    ("env", "seed", "AssemblyScript", "compile with its WASI shim"),
    ("env", "trace", "AssemblyScript", "compile with --use trace= (asc), or with its WASI shim"),
    ("env", "console.", "AssemblyScript", "compile with its WASI shim"),
    ("wbg", "", "wasm-bindgen", "compile for wasm32-wasip1 without wasm-bindgen"),
    ("__wbindgen_placeholder__", "", "wasm-bindgen", "compile for wasm32-wasip1 without wasm-bindgen"),
    ("env", "emscripten_", "emscripten", "compile with -sSTANDALONE_WASM"),
    ("env", "invoke_", "emscripten", "compile with -sSTANDALONE_WASM and -fwasm-exceptions"),
    ("env", "__syscall", "emscripten", "compile with -sSTANDALONE_WASM"),
    ("*", "__wbg_", "wasm-bindgen", "compile for wasm32-wasip1 without wasm-bindgen"),
    ("*", "__wbindgen_", "wasm-bindgen", "compile for wasm32-wasip1 without wasm-bindgen"),
    ("wasi", "thread-spawn", "a program with threads", "compile without threads: a run has one"),
    ("wasi:*", "", "a part of a component", "compile for wasm32-wasip1, not wasip2"),
    ("env", "__cxa_", "C++ without its exceptions", "compile with -fwasm-exceptions, or -fno-exceptions"),
    ("gojs", "", "Go for browsers", "compile with GOOS=wasip1"),
    ("go", "", "Go for browsers", "compile with GOOS=wasip1"),
    ("wasm:js-string", "", "JavaScript strings", "compile for wasm32-wasip1"),
];

/// The failure to load a job whose modules are sound but ask for imports that nobody gives, with every one that is missing; any
/// other failure as it is. What the module says of it is for people: which imports are missing is looked up in the files.
pub fn explained(failure: Failure, job: &JobSpec) -> Failure {
    if failure.code() != DATA {
        return failure;
    }
    match missing(job) {
        Ok(missing) if !missing.names.is_empty() => described(failure, &missing),
        _ => with_next_step(failure),
    }
}

/// What a validator says of a feature that is not there, and what to do.
const FEATURES: [(&str, &str); 4] = [
    ("threads must be enabled", "compile without threads (no -pthread, no atomics): a run has one"),
    ("shared-everything-threads", "compile without threads (no -pthread, no atomics): a run has one"),
    (
        "legacy_exceptions",
        "translate it with wasm-opt --translate-to-exnref, or compile with -mllvm -wasm-use-legacy-eh=false",
    ),
    ("gc support is not enabled", "compile for linear memory: types of the garbage collector are not supported"),
];

fn with_next_step(failure: Failure) -> Failure {
    let said = failure.to_string();
    match FEATURES.iter().find(|(words, _)| said.contains(words)) {
        Some((_, help)) if !said.contains("help: ") => failure.help(*help),
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
        let is_module = toolchain.0.strip_suffix('*').map_or(module == toolchain.0, |first| module.starts_with(first));
        is_module && name.starts_with(toolchain.1)
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

/// What nobody gives.
struct Missing {
    /// Module and name, in order.
    names: Vec<(String, String)>,
    /// Whether all of them are functions.
    can_be_stubs: bool,
}

/// The imports that neither the module, nor a module linked before, nor the outside gives.
fn missing(job: &JobSpec) -> Result<Missing> {
    let host = Offered::new(Limits::default())?;
    let features = features(job)?;
    // On resume the snapshot says whether there is a store.
    let store = KvView::new(job.store_version.or(job.resume.as_ref().map(|_| 0)), 0, ContractCall::default());
    let is_declared = |module: &str, name: &str| {
        job.functions.iter().any(|function| function.module == module && function.name == name)
    };
    let mut linked: Vec<&str> = Vec::new();
    let mut missing = Missing { names: Vec::new(), can_be_stubs: true };
    let programs = job.preload.iter().map(|(name, path)| (name.as_str(), path)).chain([("", &job.program)]);
    for (name, path) in programs {
        let module = Module::parse(read(path, ForeignKind::Module)?, features)?;
        for (number, import) in (0..).zip(module.imports()) {
            let (from, what) = (import.module.as_str(), import.name.as_str());
            let is_offered = host.resolve(from, what).is_some() || store.resolve(from, what).is_some();
            let is_built_in = stand_in::find(&module, number).is_some();
            if linked.contains(&from) || is_offered || is_built_in || is_declared(from, what) {
                continue;
            }
            missing.names.push((from.to_owned(), what.to_owned()));
            missing.can_be_stubs &= matches!(import.ty, ExternType::Func(_));
        }
        linked.push(name);
    }
    Ok(missing)
}

/// Whether the program, or a module linked to it, imports one of `calls`. What cannot be read is said where it is loaded.
pub fn any(job: &JobSpec, calls: &[&str]) -> bool {
    let mut modules = job.preload.iter().map(|(_, path)| path).chain([&job.program]);
    modules.any(|path| of(Path::new(path)).is_ok_and(|names| names.iter().any(|name| calls.contains(&name.as_str()))))
}

/// Names of what a module imports. Of its file it reads no more than the sections up to its imports.
///
/// # Errors
/// Exit code 74 when it cannot be read, 65 when it is no module so far.
pub fn of(path: &Path) -> Result<Vec<String>> {
    let mut file = Foreign::named(path, ForeignKind::Module)?;
    let no_module = |error: wasmparser::BinaryReaderError| Failure::data(format!("{}: {error}", path.display()));
    let (mut parser, mut bytes, mut chunk) = (Parser::new(0), Vec::new(), vec![0; CHUNK]);
    loop {
        let consumed = match parser.parse(&bytes, false).map_err(no_module)? {
            Chunk::NeedMoreData(_) => {
                let length = file.read_chunk(&mut chunk)?;
                if length == 0 {
                    return Ok(Vec::new());
                }
                bytes.extend_from_slice(&chunk[..length]);
                continue;
            }
            Chunk::Parsed { payload: Payload::ImportSection(imports), .. } => {
                let names = imports.into_imports().map(|import| import.map(|import| import.name.to_owned()));
                return names.collect::<std::result::Result<_, _>>().map_err(no_module);
            }
            // Imports stand before functions.
            Chunk::Parsed { payload: Payload::FunctionSection(_) | Payload::End(_), .. } => return Ok(Vec::new()),
            Chunk::Parsed { consumed, .. } => consumed,
        };
        bytes.drain(..consumed);
    }
}
