//! Everything about a program but its entry, and how a session of the node comes to have it: as options that name
//! files, and as the files of those names.

use std::sync::Arc;

use stepmark_core::gas::Schedule;
use stepmark_core::module::{ExternKind, Module, Modules};
use stepmark_session::spec::JobSpec;
use stepmark_session::{Session, SessionMode};

use crate::cache::ModuleCache;
use crate::chain::{Chain, DIRECTORY};
use crate::config::Config;
use crate::error::Error;
use crate::linker::Linker;
use crate::serve::Server;
use crate::store::StoreSource;
use crate::value::{Value, ValueType};

/// Bytes handed to the session at a time.
const CHUNK: usize = 1 << 20;

/// A file by the name that the job has for it.
pub(crate) type NamedFile = (String, Arc<[u8]>);

/// A program, without an entry.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) name: String,
    pub(crate) program: Option<Arc<[u8]>>,
    pub(crate) modules: Vec<NamedFile>,
    pub(crate) contracts: Vec<NamedFile>,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) stdin: Option<Arc<[u8]>>,
    pub(crate) inputs: Vec<NamedFile>,
    pub(crate) preopens: Vec<String>,
    pub(crate) clock_rate: Option<u64>,
    pub(crate) seed: Option<u64>,
    pub(crate) call_data: Option<Vec<u8>>,
    pub(crate) caller: Option<String>,
    pub(crate) linker: Arc<Linker>,
    pub(crate) store: Option<(u64, Arc<dyn StoreSource>)>,
    pub(crate) cache: Arc<ModuleCache>,
}

/// What a run calls, and with what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EntryCall {
    /// The export, or the arguments of a command.
    pub(crate) words: Vec<String>,
}

impl Setup {
    /// # Errors
    /// A usage error for what no job can be.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.config.check()?;
        if self.program.is_none() {
            return Err(Error::usage("no module is given to be the active one"));
        }
        if self.name.is_empty() || self.name.contains('/') {
            return Err(Error::usage(format!(
                "'{}' cannot be a program's name: it is empty or has a slash",
                self.name
            )));
        }
        for (what, files) in [("module", &self.modules), ("contract", &self.contracts), ("file", &self.inputs)] {
            let mut names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            let twice = names.iter().zip(names.iter().skip(1)).find(|(a, b)| a == b);
            if let Some((name, _)) = twice {
                return Err(Error::usage(format!("the {what} '{name}' is given twice")));
            }
            if names.first() == Some(&"") {
                return Err(Error::usage(format!("a {what} has an empty name")));
            }
        }
        Ok(())
    }

    /// The options of a session, which name every file.
    pub(crate) fn options(&self, entry: &EntryCall) -> JobSpec {
        let named = |kind: &str, files: &[NamedFile]| {
            let path = |(name, _): &NamedFile| (name.clone(), format!("/{kind}/{name}"));
            files.iter().map(path).collect()
        };
        let limits = self.config.limits();
        JobSpec {
            gas_schedule: Some(self.schedule_path()),
            preload: named("module", &self.modules),
            functions: self.linker.functions(),
            store_version: self.store.as_ref().map(|(version, _)| *version),
            contracts: named("contract", &self.contracts),
            call_data: self.call_data.clone(),
            caller: self.caller.clone(),
            env: self.env.clone(),
            stdin: self.stdin.as_ref().map(|_| "/stdin".to_owned()),
            files: named("file", &self.inputs),
            preopens: self.preopens.clone(),
            features: self.config.feature_list().to_vec(),
            max_memory: Some(limits.memory_bytes),
            max_call_depth: Some(limits.call_depth),
            max_files: Some(limits.file_bytes),
            max_exceptions: Some(limits.exception_slots),
            clock_rate: self.clock_rate,
            seed: self.seed,
            program: self.name.clone(),
            positionals: entry.words.clone(),
            ..JobSpec::default()
        }
    }

    /// Name of the schedule, where every build has it, or of its file.
    fn schedule_path(&self) -> String {
        let schedule = self.config.gas_schedule();
        let name = schedule.name();
        let known = Schedule::builtin(name).is_some_and(|known| known == *schedule);
        if known { name.to_owned() } else { format!("/schedule/{name}") }
    }

    /// The file of this name.
    pub(crate) fn file<'a>(&'a self, path: &str, chain: Option<&'a Chain>) -> Option<&'a [u8]> {
        if path == self.name {
            return self.program.as_deref();
        }
        let (kind, name) = path.strip_prefix('/').map(|path| path.split_once('/').unwrap_or((path, "")))?;
        let named = |files: &'a [NamedFile]| files.iter().find(|(known, _)| known == name).map(|(_, bytes)| &**bytes);
        match kind {
            "module" => named(&self.modules),
            "contract" => named(&self.contracts),
            "file" => named(&self.inputs),
            "stdin" => self.stdin.as_deref(),
            "schedule" => Some(self.config.gas_schedule().text().as_bytes()),
            _ if format!("/{kind}") == DIRECTORY => chain.and_then(|chain| chain.file(name)),
            _ => None,
        }
    }

    /// A session that has been given all its files.
    ///
    /// # Errors
    /// What is given makes no run.
    pub(crate) fn session(&self, options: JobSpec, chain: Option<&Chain>, mode: SessionMode) -> Result<Session, Error> {
        let mut session = Session::with(options, mode, Some(self.cache.clone()));
        while let Some(path) = session.want()? {
            let found = self.file(&path, chain);
            for chunk in found.into_iter().flat_map(|bytes| bytes.chunks(CHUNK)) {
                session.give(chunk)?;
            }
            session.give_end(found.is_some())?;
        }
        Ok(session)
    }

    /// The active module, parsed.
    ///
    /// # Errors
    /// It is malformed or invalid.
    pub(crate) fn active(&self) -> Result<Arc<Module>, Error> {
        let bytes = self.program.as_deref().unwrap_or_default().to_vec();
        let parsed = self.cache.module(bytes, self.config.features()?);
        Ok(parsed.map_err(|e| e.context(&self.name))?)
    }

    /// The entry that calls the export `name` with `args`, or, without one, runs the program as a command.
    ///
    /// # Errors
    /// There is no such function, or the arguments are not its own.
    pub(crate) fn entry(&self, name: Option<&str>, args: &[Value]) -> Result<EntryCall, Error> {
        let module = self.active()?;
        let is_command = module
            .export("_start")
            .is_some_and(|export| export.kind == ExternKind::Func && module.func_type(export.index).params.is_empty());
        match name.filter(|name| *name != "_start") {
            None if !is_command => Err(not_found(None, name.unwrap_or("_start"), &module)),
            None if !args.is_empty() => Err(Error::usage("a command takes its arguments from VmBuilder::args")),
            None => Ok(EntryCall { words: self.args.clone() }),
            Some(name) if is_command => {
                Err(Error::usage(format!("the program is a command: a run begins with _start, not with '{name}'")))
            }
            Some(name) => {
                let export = module.export(name).filter(|export| export.kind == ExternKind::Func);
                let export = export.ok_or_else(|| not_found(None, name, &module))?;
                let wanted = module.func_type(export.index).params.iter().map(|ty| ValueType::of(*ty)).collect();
                check_arguments(name, wanted, args)?;
                let words = std::iter::once(Ok(name.to_owned())).chain(args.iter().map(word));
                Ok(EntryCall { words: words.collect::<Result<_, _>>()? })
            }
        }
    }

    /// Who answers for the embedder.
    pub(crate) fn server(&self) -> Server {
        Server::Embedder { linker: self.linker.clone(), store: self.store.as_ref().map(|(_, store)| store.clone()) }
    }
}

fn word(value: &Value) -> Result<String, Error> {
    let unnameable = || Error::usage(format!("{value:?} has no text, so it cannot be an argument of a job"));
    value.argument().ok_or_else(unnameable)
}

pub(crate) fn not_found(module: Option<&str>, name: &str, exporter: &Module) -> Error {
    let (module, name) = (module.map(str::to_owned), name.to_owned());
    Error::FunctionNotFound { module, name, known: exporter.export_signatures() }
}

/// # Errors
/// The arguments are not of the wanted types.
pub(crate) fn check_arguments(name: &str, wanted: Vec<ValueType>, args: &[Value]) -> Result<(), Error> {
    let found: Vec<ValueType> = args.iter().map(Value::ty).collect();
    if found == wanted {
        return Ok(());
    }
    Err(Error::SignatureMismatch { name: name.to_owned(), wanted, found })
}
