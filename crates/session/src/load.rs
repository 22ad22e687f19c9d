//! From a job to a run: which files are wanted, what they must be, and how a snapshot is restored. On resume the job comes
//! from the snapshot; a flag that is given must agree with it, one that is omitted is taken from it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::calls::{Imports, plain_export};
use super::names::ByName;
use super::paged_state::PagedState;
use super::run::{Phases, val_kind};
use super::{Running, Session};
use crate::spec::{DEFAULT_GAS_LIMIT, JobSpec, SnapshotName};
use crate::values::{ValKind, parse_values};
use stepmark_core::alloc;
use stepmark_core::gas::Schedule;
use stepmark_core::machine::check::{check_state, check_tables};
use stepmark_core::machine::{Extern, InstanceLinker, Machine};
use stepmark_core::module::{Features, Module, Modules, SlotKind};
use stepmark_hosts::external;
use stepmark_hosts::external::ExternalReplies;
use stepmark_hosts::store::{ContractCall, KvView};
use stepmark_hosts::wasi::{InputFile, Wasi, WasiConfig};
use stepmark_snapshot::bin::{BinFooter, BinReader};
use stepmark_snapshot::job::{Input, Job, ModuleRef, ScheduleRef, Stdin, last_wins};
use stepmark_snapshot::snap;
use stepmark_snapshot::snap::{MAX_SNAP, RawSnapshot};
use stepmark_snapshot::spaces::{Restore, Spaces};
use stepmark_state::canonical::{FrameState, RunState};
use stepmark_state::error::JobError;
use stepmark_state::paged::{Paged, mark_all};

/// Bytes that a module, input file or schedule may have: what a 32-bit node can hold beside the program's memory.
const MAX_FILE: u64 = 1 << 30;

/// What a wanted file is for.
#[derive(Clone, Debug)]
enum Purpose {
    Snap,
    Schedule,
    Program,
    Preload(String),
    Stdin,
    Input(String),
    Contract(String),
    /// The answers of the segment that was paused.
    Calls,
    /// A `.bin` of the chain, by id; the paused one comes after the one of its predecessor.
    Bin {
        id: u64,
        paused: bool,
    },
    /// What stands for the first `.bin` files of a chain.
    Base,
}

#[derive(Clone, Debug)]
struct Want {
    path: String,
    purpose: Purpose,
}

/// An input file's content.
struct InputContent {
    hash: [u8; 32],
    bytes: Arc<[u8]>,
}

fn content_hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// What has been given so far.
#[derive(Default)]
pub(super) struct Loading {
    wants: VecDeque<Want>,
    bytes: Vec<u8>,
    bin: Option<BinReader>,
    pub(super) snapshot: Option<RawSnapshot>,
    schedule: Option<String>,
    program: Option<Vec<u8>>,
    preloads: Vec<(String, Vec<u8>)>,
    stdin: Option<Arc<[u8]>>,
    inputs: Vec<(String, InputContent)>,
    /// PagedState of input files: one that many names lead to is held once.
    contents: BTreeMap<[u8; 32], Arc<[u8]>>,
    contracts: Vec<(String, Vec<u8>)>,
    /// The `.bin` files still to be wanted.
    chain: Option<BinChain>,
    linked: bool,
    ready: bool,
    /// A run that has ended may be restored, to be looked at.
    pub(super) look_only: bool,
    /// Nothing is called but what the modules themselves ask for.
    pub(super) without_entry: bool,
    /// Who parses modules; none for plain parsing.
    pub(super) modules: Option<Arc<dyn Modules>>,
}

/// Which `.bin` files are still to be wanted.
struct BinChain {
    next: u64,
    last: u64,
    paused: bool,
}

impl Loading {
    pub(super) fn new(spec: &JobSpec) -> Loading {
        let mut loading = Loading::default();
        let mut want = |path: &str, purpose| loading.wants.push_back(Want { path: path.to_owned(), purpose });
        if let Some(resume) = &spec.resume {
            want(&format!("{}/{}.snap", resume.dir, resume.id), Purpose::Snap);
        }
        if let Some(schedule) = spec.gas_schedule.as_deref().filter(|name| Schedule::builtin(name).is_none()) {
            want(schedule, Purpose::Schedule);
        }
        want(&spec.program, Purpose::Program);
        for (name, path) in &spec.preload {
            want(path, Purpose::Preload(name.clone()));
        }
        if let Some(path) = &spec.stdin {
            want(path, Purpose::Stdin);
        }
        for (name, path) in &spec.files {
            want(path, Purpose::Input(name.clone()));
        }
        for (name, path) in &spec.contracts {
            want(path, Purpose::Contract(name.clone()));
        }
        loading
    }

    /// Have all files been given.
    pub(super) fn is_complete(&self) -> bool {
        self.linked && self.ready && self.wants.is_empty()
    }

    fn parse(&self, bytes: Vec<u8>, features: Features) -> Result<Arc<Module>, JobError> {
        match &self.modules {
            Some(modules) => modules.module(bytes, features),
            None => Module::parse(bytes, features).map(Arc::new),
        }
    }

    /// All pages have been given, from somewhere else than `.bin` files.
    pub(super) fn pages_are_there(&mut self) {
        self.wants.clear();
        self.chain = None;
    }

    fn given(&mut self, purpose: Purpose, bytes: Vec<u8>) -> Result<(), JobError> {
        match purpose {
            Purpose::Snap => self.snapshot = Some(snap::decode(&bytes)?),
            Purpose::Schedule => {
                let text = String::from_utf8(bytes).map_err(|e| JobError::usage(format!("not UTF-8 text: {e}")))?;
                self.schedule = Some(text);
            }
            Purpose::Program => self.program = Some(bytes),
            Purpose::Preload(name) => self.preloads.push((name, bytes)),
            Purpose::Stdin => self.stdin = Some(bytes.into()),
            Purpose::Input(path) => {
                let content = self.content(bytes);
                self.inputs.push((path, content));
            }
            Purpose::Contract(name) => self.contracts.push((name, bytes)),
            Purpose::Bin { .. } | Purpose::Base | Purpose::Calls => unreachable!("BUG: pages are not collected"),
        }
        Ok(())
    }

    fn content(&mut self, bytes: Vec<u8>) -> InputContent {
        let hash = content_hash(&bytes);
        InputContent { hash, bytes: self.contents.entry(hash).or_insert_with(|| bytes.into()).clone() }
    }
}

impl Session {
    /// Path, as the user typed it, of the next file to give; `None` when the run can begin.
    ///
    /// # Errors
    /// The files given so far do not make a run: a bad program, missing imports, arguments that do not fit, a snapshot of
    /// another job.
    pub fn want(&mut self) -> Result<Option<String>, JobError> {
        if self.loading.wants.is_empty() && !self.loading.linked {
            self.link()?;
        }
        if self.loading.wants.is_empty() {
            self.want_bin();
        }
        if let Some(want) = self.loading.wants.front() {
            return Ok(Some(want.path.clone()));
        }
        if !self.loading.ready {
            self.check_chain()?;
        }
        Ok(None)
    }

    /// Bytes of the longest file that can be wanted now. A `.bin` is not held, and says itself when it is too long.
    pub fn most_wanted(&self) -> u64 {
        match self.loading.wants.front().map(|want| &want.purpose) {
            Some(Purpose::Bin { .. } | Purpose::Base) | None => u64::MAX,
            Some(Purpose::Snap) => MAX_SNAP,
            Some(_) => MAX_FILE,
        }
    }

    /// The next bytes of the wanted file.
    ///
    /// # Errors
    /// The file is too long, or is a `.bin` that does not fit the chain.
    pub fn give(&mut self, chunk: &[u8]) -> Result<(), JobError> {
        let Some(want) = self.loading.wants.front().cloned() else { return Err(JobError::usage("no file is wanted")) };
        if let Purpose::Bin { .. } | Purpose::Base = want.purpose {
            return self.give_pages(chunk).map_err(|e| e.context(&want.path));
        }
        let most = self.most_wanted();
        let bytes = &mut self.loading.bytes;
        if bytes.len() as u64 + chunk.len() as u64 > most {
            return Err(JobError::usage(format!("{}: longer than {most} bytes", want.path)));
        }
        let reserved = alloc::reserve(bytes, chunk.len());
        reserved.map_err(|_| JobError::resource(format!("{}: the node cannot hold this file", want.path)))?;
        bytes.extend_from_slice(chunk);
        Ok(())
    }

    fn give_pages(&mut self, chunk: &[u8]) -> Result<(), JobError> {
        let running = self.running.as_deref_mut().expect("BUG: pages are wanted after linking");
        let reader = self.loading.bin.get_or_insert_with(BinReader::new);
        let contracts = !running.job.contracts.is_empty();
        let Running { machine, wasi, store, spaces, .. } = running;
        let mut contents = PagedState { store: &mut machine.store, files: wasi, log: store };
        reader.push(chunk, &mut Restore { contents: &mut contents, spaces, contracts })
    }

    /// The wanted file is complete, or (`found` false) is not there.
    ///
    /// # Errors
    /// It is not there, or is not what it should be.
    pub fn give_end(&mut self, found: bool) -> Result<(), JobError> {
        let Some(want) = self.loading.wants.pop_front() else { return Err(JobError::usage("no file is wanted")) };
        if !found {
            return self.absent(&want);
        }
        let bytes = std::mem::take(&mut self.loading.bytes);
        let result = match want.purpose {
            Purpose::Bin { id, paused } => self.end_pages(id, paused),
            Purpose::Base => self.end_base(),
            Purpose::Calls => self.end_calls(&bytes),
            purpose => self.loading.given(purpose, bytes),
        };
        result.map_err(|e| e.context(&want.path))
    }

    /// A wanted file is not there: a chain whose first `.bin` is missing may have a base instead.
    fn absent(&mut self, want: &Want) -> Result<(), JobError> {
        let missing = format!("{}: no such file", want.path);
        match want.purpose {
            Purpose::Bin { id: 1, paused: false } => {
                let path = format!("{}base.bin", want.path.strip_suffix("1.bin").unwrap_or_default());
                self.loading.wants.push_back(Want { path, purpose: Purpose::Base });
                Ok(())
            }
            Purpose::Base => {
                let dir = want.path.strip_suffix("base.bin").unwrap_or_default();
                Err(JobError::snapshot(format!("{dir}1.bin: no such file, nor a base.bin")))
            }
            Purpose::Snap | Purpose::Bin { .. } | Purpose::Calls => Err(JobError::snapshot(missing)),
            _ => Err(JobError::usage(missing)),
        }
    }

    fn end_pages(&mut self, id: u64, paused: bool) -> Result<(), JobError> {
        let BinFooter { header, hash } = self.end_bin()?;
        let running = self.running.as_deref_mut().expect("BUG: pages are wanted after linking");
        if (header.id, header.paused, header.base) != (id, paused, false) {
            let kind = |paused| if paused { "paused after " } else { "" };
            let (found, wanted) = (if header.base { "up to " } else { kind(header.paused) }, kind(paused));
            return Err(JobError::snapshot(format!("is of snapshot {found}{}, expected {wanted}{id}", header.id)));
        }
        if header.previous != running.previous_bin {
            return Err(JobError::snapshot("does not follow the .bin before it: files of two chains are mixed"));
        }
        if !paused {
            running.previous_bin = hash;
        }
        self.check_last(hash)
    }

    /// The answers of the paused segment are complete.
    fn end_calls(&mut self, bytes: &[u8]) -> Result<(), JobError> {
        let running = self.running.as_deref_mut().expect("BUG: answers are wanted after linking");
        let (prefix, answers) = external::decode_calls(bytes)?;
        if (prefix.paused, prefix.id, prefix.job_hash) != (true, running.id, running.job_hash) {
            return Err(JobError::snapshot("is not of this pause"));
        }
        running.replies.resume_segment(answers)
    }

    /// The base is complete: the chain goes on after it.
    fn end_base(&mut self) -> Result<(), JobError> {
        let header = self.end_bin()?.header;
        let running = self.running.as_deref_mut().expect("BUG: pages are wanted after linking");
        let chain = self.loading.chain.as_mut().expect("BUG: a base is wanted for a chain");
        if !header.base || header.id > chain.last {
            let (id, last) = (header.id, chain.last);
            return Err(JobError::snapshot(format!(
                "is of snapshot {id}, expected a base for snapshot {last} or earlier"
            )));
        }
        running.previous_bin = header.previous;
        chain.next = header.id.saturating_add(1);
        self.check_last(header.previous)
    }

    /// A `.bin` of this job that was read to its end.
    fn end_bin(&mut self) -> Result<BinFooter, JobError> {
        let footer = self.loading.bin.take().unwrap_or_default().finish()?;
        if footer.header.job_hash != self.job_hash() {
            return Err(JobError::snapshot("belongs to another job"));
        }
        Ok(footer)
    }

    /// If no `.bin` follows, the one with this hash must be the one that the `.snap` commits to.
    fn check_last(&self, hash: [u8; 32]) -> Result<(), JobError> {
        let committed = self.running().map_or([0; 32], |running| running.resumed_bin);
        let last = self.loading.chain.as_ref().is_none_or(|chain| chain.next > chain.last && !chain.paused);
        if last && hash != committed {
            return Err(JobError::snapshot("is not the .bin that the .snap commits to"));
        }
        Ok(())
    }

    // Linking.

    fn link(&mut self) -> Result<(), JobError> {
        self.loading.linked = true;
        let loading = std::mem::take(&mut self.loading);
        let mut builder = Builder { spec: &self.spec, loading };
        let running = builder.build()?;
        let Loading { look_only, without_entry, .. } = builder.loading;
        self.loading = Loading {
            linked: true,
            look_only,
            without_entry,
            ready: builder.loading.snapshot.is_none(),
            ..Loading::default()
        };
        if let Some(snapshot) = &builder.loading.snapshot {
            self.loading.chain = Some(BinChain { next: 1, last: snapshot.segment.id, paused: snapshot.segment.paused });
        }
        self.loading.snapshot = builder.loading.snapshot;
        self.messages.extend(running.job.limits.warning());
        self.running = Some(Box::new(running));
        Ok(())
    }

    /// Wants the next `.bin` of the chain, one at a time: a snapshot may claim any number of predecessors.
    fn want_bin(&mut self) {
        let (Some(chain), Some(resume)) = (&mut self.loading.chain, &self.spec.resume) else { return };
        let (name, purpose) = if chain.next <= chain.last {
            (chain.next.to_string(), Purpose::Bin { id: chain.next, paused: false })
        } else if chain.paused {
            chain.paused = false;
            let running = self.running.as_deref_mut().expect("BUG: pages are wanted after linking");
            running.chain_spaces = Some(running.spaces.clone());
            if running.asks_outside() && !self.loading.look_only {
                let path = format!("{}/{}.calls", resume.dir, resume.id);
                self.loading.wants.push_back(Want { path, purpose: Purpose::Calls });
            }
            (resume.id.to_string(), Purpose::Bin { id: chain.last, paused: true })
        } else {
            self.loading.chain = None;
            return;
        };
        chain.next = chain.next.saturating_add(1);
        self.loading.wants.push_back(Want { path: format!("{}/{name}.bin", resume.dir), purpose });
    }

    /// All pages of the chain have been given: do they make the state that the snapshot commits to.
    fn check_chain(&mut self) -> Result<(), JobError> {
        self.loading.ready = true;
        let Some(snapshot) = self.loading.snapshot.take() else { return Ok(()) };
        let running = self.running.as_deref_mut().expect("BUG: a snapshot is checked after linking");
        let Running { machine, wasi, store, spaces, .. } = running;
        let found = spaces.states(&PagedState { store: &mut machine.store, files: wasi, log: store });
        let expected = &snapshot.state.spaces;
        if found.len() != expected.len() {
            return Err(JobError::snapshot(format!("{} spaces, the .snap commits to {}", found.len(), expected.len())));
        }
        if let Some((space, _)) = expected.iter().zip(&found).find(|(a, b)| a != b) {
            let (kind, index) = (stepmark_state::pages::space_name(space.kind).unwrap_or("space"), space.index);
            return Err(JobError::snapshot(format!(
                "the contents of {kind} {index} do not have the root that the .snap commits to"
            )));
        }
        check_tables(&mut running.machine)?;
        running.wasi.check_files()?;
        running.store.rebuild()?;
        if snapshot.state.awaiting {
            running.ask_again()?;
        }
        if snapshot.segment.paused {
            // The pages of the pause are changes of the segment that goes on: its own snapshot must carry them again.
            running.spaces = running.chain_spaces.take().expect("BUG: kept before the paused pages came");
            mark_all(&mut running.contents());
        }
        Ok(())
    }
}

/// Modules, each with a name.
type NamedModules = [(String, Arc<Module>)];

/// What serves a run's host calls.
struct Hosts {
    wasi: Wasi,
    store: KvView,
    contracts: Vec<Arc<Module>>,
    function_names: ByName,
}

/// Puts a run together from its files.
struct Builder<'a> {
    spec: &'a JobSpec,
    loading: Loading,
}

fn is_command(module: &Module) -> bool {
    plain_export(module, "_start")
}

/// Room for what a run allocates, register code above all: where it is, and not behind the program's memory, which could
/// not grow in place then.
struct Heap {
    /// Keeps the first half from being merged with what the memories are allocated from.
    _second_half: Vec<Vec<u8>>,
}

impl Heap {
    /// Bytes beside what code takes.
    const LEAST: usize = 256 << 10;
    /// Bytes of a piece: small enough to be among what is small.
    const PIECE: usize = 256 << 10;

    /// For a program with `code` bytes of function bodies. The first half is free from now on, the second once this is
    /// dropped. Without enough memory for it there is no room, and the run does without.
    fn before_memories(code: usize) -> Heap {
        let pieces = Heap::LEAST.saturating_add(code.saturating_mul(3) / 2).div_ceil(Heap::PIECE);
        let mut first_half: Vec<Vec<u8>> = (0..pieces).map_while(|_| alloc::hold_open(Heap::PIECE).ok()).collect();
        let second_half = first_half.split_off(first_half.len() / 2);
        Heap { _second_half: second_half }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path)
}

fn module_ref(name: &str, module: &Module) -> ModuleRef {
    ModuleRef { name: name.to_owned(), hash: module.hash(), size: module.bytes().len() as u64 }
}

impl Builder<'_> {
    fn build(&mut self) -> Result<Running, JobError> {
        let features = self.features()?;
        let program = self.loading.program.take().expect("BUG: the program was wanted");
        let program = self.loading.parse(program, features).map_err(|e| e.context(&self.spec.program))?;
        let mut modules = Vec::new();
        for (name, bytes) in std::mem::take(&mut self.loading.preloads) {
            let module = self.loading.parse(bytes, features).map_err(|e| e.context(format!("--preload {name}")))?;
            modules.push((name, module));
        }
        let mut contracts = Vec::new();
        for (name, bytes) in std::mem::take(&mut self.loading.contracts) {
            let shown = format!("--contract {name}");
            let contract = self.loading.parse(bytes, features).map_err(|e| e.context(&shown))?;
            Running::check_contract(&contract).map_err(|e| e.context(&shown))?;
            contracts.push((name, contract));
        }
        let schedule = self.schedule()?;
        let job = self.job(&program, (&modules, &contracts), &schedule, features)?;
        let wasi = self.wasi(&job, is_command(&program) || self.loading.without_entry)?;
        let outermost = ContractCall {
            args: job.call_data.clone(),
            caller: job.caller.clone(),
            gas_left: u64::MAX,
            ..ContractCall::default()
        };
        let store = KvView::new(job.store, job.limits.log_bytes(), outermost);
        let mut machine = Machine::new(schedule, job.limits);
        let code = program.code_size() + modules.iter().map(|(_, module)| module.code_size()).sum::<usize>();
        let room = Heap::before_memories(code);
        let names = ByName::functions(&job.functions);
        let imports = Imports { wasi: Some(&wasi), store: &store, functions: &job.functions, names: &names };
        let plan = self.link_all(&mut machine, program, modules, &job, &imports)?;
        drop(room);
        let contracts = contracts.into_iter().map(|(_, module)| module).collect();
        self.start(job, machine, Hosts { wasi, store, contracts, function_names: names }, plan)
    }

    /// The snapshot's features or the default ones, and what the job makes of them.
    fn features(&self) -> Result<Features, JobError> {
        let mut features = Features::default();
        for (name, on) in self.loading.snapshot.iter().flat_map(|snapshot| &snapshot.job.features) {
            features.set(name, *on).map_err(|e| JobError::snapshot(e.message()).context("job"))?;
        }
        for (name, on) in &self.spec.features {
            features.set(name, *on).map_err(|e| JobError::usage(format!("--feature: {}", e.message())))?;
        }
        Ok(features)
    }

    fn schedule(&self) -> Result<Schedule, JobError> {
        let recorded = self.loading.snapshot.as_ref().map(|s| &s.job.schedule);
        match (&self.spec.gas_schedule, &self.loading.schedule, recorded) {
            (Some(path), Some(text), _) => Schedule::parse(file_name(path), text),
            (Some(name), None, recorded) => {
                // A chain that was begun with an older table of the name goes on with it.
                let is_recorded =
                    |table: &Schedule| recorded.is_some_and(|recorded| recorded.is(table.name(), table.hash()));
                let versions = Schedule::versions(name);
                let chosen = versions.iter().find(|table| is_recorded(table)).or(versions.first()).cloned();
                Ok(chosen.expect("BUG: other schedules were wanted as files"))
            }
            (None, _, Some(recorded)) => {
                let text = std::str::from_utf8(&recorded.bytes)
                    .map_err(|e| JobError::snapshot(format!("job: schedule: {e}")))?;
                Schedule::parse(&recorded.name, text).map_err(|e| JobError::snapshot(e.message()).context("job"))
            }
            (None, _, None) => Ok(Schedule::default()),
        }
    }

    /// The job that is asked for, with what it leaves out taken from the snapshot; it must be the snapshot's.
    fn job(
        &self,
        program: &Module,
        (modules, contracts): (&NamedModules, &NamedModules),
        schedule: &Schedule,
        features: Features,
    ) -> Result<Job, JobError> {
        let recorded = self.loading.snapshot.as_ref().map(|s| s.job.clone());
        let from = recorded.clone().unwrap_or_default();
        let spec = self.spec;
        let (entry, args) = if spec.positionals.is_empty() && recorded.is_some() {
            (from.entry.clone(), from.args.clone())
        } else {
            self.entry(program)?
        };
        let mut limits = from.limits;
        limits.memory_bytes = spec.max_memory.unwrap_or(limits.memory_bytes);
        limits.call_depth = spec.max_call_depth.unwrap_or(limits.call_depth);
        limits.file_bytes = spec.max_files.unwrap_or(limits.file_bytes);
        limits.exception_slots = spec.max_exceptions.unwrap_or(limits.exception_slots);
        let name = if recorded.is_some() { from.program.name.as_str() } else { file_name(&spec.program) };
        let input = |(path, content): &(String, InputContent)| Input {
            path: path.clone(),
            size: content.bytes.len() as u64,
            hash: content.hash,
        };
        let mut inputs: Vec<Input> = self.loading.inputs.iter().map(input).collect();
        inputs.sort_by(|a, b| a.path.cmp(&b.path));
        let stdin = self.loading.stdin.as_ref();
        let job = Job {
            version: stepmark_snapshot::job::JOB_VERSION,
            program: module_ref(name, program),
            modules: modules.iter().map(|(name, module)| module_ref(name, module)).collect(),
            entry,
            args,
            argv0: name.to_owned(),
            env: if spec.env.is_empty() { from.env.clone() } else { last_wins(spec.env.clone()) },
            stdin: stdin.map(|bytes| Stdin { size: bytes.len() as u64, hash: content_hash(bytes) }),
            preopens: self.preopens(&from, !inputs.is_empty()),
            inputs,
            schedule: ScheduleRef {
                name: schedule.name().to_owned(),
                hash: schedule.hash(),
                bytes: schedule.text().as_bytes().to_vec(),
            },
            features: features.list(),
            limits,
            clock_rate: spec.clock_rate.unwrap_or(from.clock_rate),
            seed: spec.seed.unwrap_or(from.seed),
            functions: if spec.functions.is_empty() { from.functions } else { spec.functions.clone() },
            store: spec.store_version.or(from.store),
            contracts: contracts.iter().map(|(name, module)| module_ref(name, module)).collect(),
            call_data: spec.call_data.clone().unwrap_or(from.call_data),
            caller: spec.caller.clone().unwrap_or(from.caller),
        };
        job.check().map_err(|e| JobError::usage(e.message()))?;
        match recorded {
            Some(recorded) => same_job(&recorded, &job).map(|()| job),
            None => Ok(job),
        }
    }

    /// Entry and arguments by the positionals.
    fn entry(&self, program: &Module) -> Result<(Option<String>, Vec<String>), JobError> {
        let positionals = &self.spec.positionals;
        if is_command(program) || self.loading.without_entry {
            return Ok((None, positionals.clone()));
        }
        let Some((entry, args)) = positionals.split_first() else {
            let exports = program.export_signatures();
            let program = &self.spec.program;
            let list = if exports.is_empty() {
                "it exports no function".to_owned()
            } else {
                format!("its exports:\n{exports}")
            };
            return Err(JobError::usage(format!("{program} has no _start, so name the export to call; {list}")));
        };
        Ok((Some(entry.clone()), args.to_vec()))
    }

    /// The directories that are open to the program: those asked for, else the root if there is something in it.
    fn preopens(&self, from: &Job, inputs: bool) -> Vec<String> {
        match (self.spec.preopens.as_slice(), self.loading.snapshot.is_some()) {
            ([], true) => from.preopens.clone(),
            ([], false) if inputs => vec!["/".to_owned()],
            (asked, _) => asked.to_vec(),
        }
    }

    fn wasi(&mut self, job: &Job, command: bool) -> Result<Wasi, JobError> {
        let mut args = vec![job.argv0.clone().into_bytes()];
        if command {
            args.extend(job.args.iter().map(|a| a.clone().into_bytes()));
        }
        let inputs = std::mem::take(&mut self.loading.inputs);
        Wasi::new(WasiConfig {
            args,
            env: job.env.clone(),
            stdin: self.loading.stdin.take().unwrap_or_default(),
            inputs: inputs.into_iter().map(|(path, file)| InputFile { path, content: file.bytes }).collect(),
            preopens: job.preopens.clone(),
            file_bytes: job.limits.file_bytes,
            clock_rate: job.clock_rate,
            seed: job.seed,
        })
    }

    fn link_all(
        &self,
        machine: &mut Machine,
        program: Arc<Module>,
        modules: Vec<(String, Arc<Module>)>,
        job: &Job,
        host: &Imports<'_>,
    ) -> Result<Phases, JobError> {
        let mut linker = InstanceLinker::default();
        let mut starts = Vec::new();
        let mut link = |machine: &mut Machine, name: &str, module: Arc<Module>| {
            let shown = if name.is_empty() { self.spec.program.clone() } else { format!("--preload {name}") };
            let instance = machine.link(name, module.clone(), &linker, host).map_err(|e| e.context(&shown))?;
            machine
                .store
                .write_segments(instance)
                .map_err(|trap| JobError::program(format!("{shown}: an active segment does not fit: {trap}")))?;
            if let Some(start) = module.start() {
                starts.push((instance, machine.store.instances[instance as usize].funcs[start as usize]));
            }
            linker.register(name, instance);
            Ok::<u32, JobError>(instance)
        };
        for (name, module) in modules {
            link(machine, &name, module)?;
        }
        let command = is_command(&program);
        let instance = link(machine, "", program.clone())?;
        let func = |name: &str| match machine.store.export(instance, name) {
            Some(Extern::Func(func)) => Some(func),
            _ => None,
        };
        let initialize = func("_initialize").filter(|f| {
            let ty = machine.store.func_type(*f);
            !command && ty.params.is_empty() && ty.results.is_empty()
        });
        if self.loading.without_entry {
            return Ok(Phases { starts, initialize, ..Phases::default() });
        }
        let name = job.entry.as_deref().unwrap_or("_start");
        let Some(entry) = func(name) else {
            let exports = program.export_signatures();
            return Err(JobError::usage(format!(
                "{} exports no function {name:?}; its exports:\n{exports}",
                self.spec.program
            )));
        };
        // An `_initialize` that is itself the entry runs once.
        let initialize = initialize.filter(|f| *f != entry);
        let ty = machine.store.func_type(entry);
        if ty.params.iter().chain(&ty.results).any(|ty| ty.kind() == SlotKind::Exception) {
            let message = format!("{name} {ty}: an exception reference cannot be passed in or out; wrap the function");
            return Err(JobError::usage(message));
        }
        let kinds: Vec<ValKind> = ty.params.iter().map(|t| val_kind(*t)).collect();
        let args = if command { Vec::new() } else { parse_values(&kinds, &job.args, &format!("{name} {ty}"))? };
        let results = ty.results.iter().map(|t| val_kind(*t)).collect();
        Ok(Phases { starts, initialize, entry: Some(entry), args, results })
    }

    fn start(&mut self, job: Job, mut machine: Machine, hosts: Hosts, plan: Phases) -> Result<Running, JobError> {
        let Hosts { mut wasi, mut store, contracts, function_names } = hosts;
        let spaces = Spaces::new(&mut PagedState { store: &mut machine.store, files: &mut wasi, log: &mut store });
        let mut running = Running {
            job_hash: job.job_hash(),
            machine,
            spaces,
            chain_spaces: None,
            paused_spaces: None,
            wasi,
            store,
            contract_names: ByName::contracts(&job.contracts),
            function_names,
            contracts,
            job,
            replies: ExternalReplies::default(),
            asked: None,
            detail: None,
            phase: plan.first(),
            plan,
            outcome: None,
            results: Vec::new(),
            limit: self.spec.gas_limit.unwrap_or(DEFAULT_GAS_LIMIT),
            refill: self.spec.gas_refill,
            stopped: false,
            segment_gas: 0,
            accounted: 0,
            start_id: 0,
            id: 0,
            previous_snap: [0; 32],
            previous_bin: [0; 32],
            resumed_bin: [0; 32],
            reported: false,
            live: self.loading.without_entry,
            delivery: None,
        };
        match self.loading.snapshot.take() {
            Some(snapshot) => {
                self.restore(&mut running, &snapshot)?;
                self.loading.snapshot = Some(snapshot);
            }
            None => {
                if let Err(trap) = running.begin_phase() {
                    running.outcome = Some(crate::report::RunOutcome::Trapped(running.trap_report(trap)));
                }
            }
        }
        Ok(running)
    }

    /// Puts the run into the state of the snapshot, but for the paged contents, which are wanted next.
    fn restore(&mut self, running: &mut Running, snapshot: &RawSnapshot) -> Result<(), JobError> {
        let segment = snapshot.segment;
        self.check_segment(snapshot)?;
        let state = &snapshot.state;
        let call = running.plan.call(state.phase).map(|(func, _)| func);
        // Of a run that has ended there is nothing to call: the outermost frame is as it says.
        let seen = || self.loading.look_only.then(|| outermost(running, state));
        let Some(func) = call.or_else(seen) else {
            return Err(JobError::snapshot(format!(
                "state: the phase {:?} is not one of this run that could go on",
                state.phase
            )));
        };
        if state.gas_total < segment.gas_used {
            let total = state.gas_total;
            return Err(JobError::snapshot(format!(
                "state: {total} gas in total, expected at least the segment's {}",
                segment.gas_used
            )));
        }
        running.restore_hosts(&state.hosts)?;
        if !segment.paused && !running.replies.is_between_segments() {
            return Err(JobError::snapshot("state: outside: a snapshot between two segments counts answers of one"));
        }
        let (func, waiting) = running.restore_contracts(func)?;
        let phase = state.phase;
        let pages = |hosts: &dyn Paged| {
            let pages = hosts.numbers().into_iter().map(|number| (number, hosts.page_count(number) as u64));
            pages.collect::<Vec<_>>()
        };
        let others = [pages(&running.wasi), pages(&running.store)].concat();
        let checked = check_state(state.clone(), &mut running.machine, func, waiting, &others)?;
        if checked.state().frames.is_empty() && call.is_some() {
            running.phase = phase;
            running.begin_phase().map_err(|trap| JobError::snapshot(trap.message()))?;
        }
        running.machine.restore(&checked)?;
        running.machine.resume_invocation(func);
        // Tables that grew are filled with null, and files are as the job gave them, until their pages come.
        running.accounted = running.machine.gas_total();
        let Running { machine, wasi, store, spaces, .. } = running;
        spaces.update(&mut PagedState { store: &mut machine.store, files: wasi, log: store });
        running.phase = phase;
        running.id = segment.id;
        running.start_id = segment.id;
        running.resumed_bin = segment.bin;
        running.previous_snap = if segment.paused { segment.previous_snap } else { snapshot.hash };
        running.segment_gas = if segment.paused { segment.gas_used } else { 0 };
        running.limit = self.spec.gas_limit.unwrap_or(segment.limit);
        if running.limit < running.segment_gas {
            let (limit, used) = (running.limit, running.segment_gas);
            return Err(JobError::usage(format!("--gas-limit {limit}: the paused segment has used {used} already")));
        }
        Ok(())
    }

    /// Is this the snapshot that was asked for.
    fn check_segment(&self, snapshot: &RawSnapshot) -> Result<(), JobError> {
        let Some(resume) = &self.spec.resume else { return Ok(()) };
        let segment = &snapshot.segment;
        let fits = match resume.id {
            SnapshotName::Number(id) => !segment.paused && segment.id == id,
            SnapshotName::Paused | SnapshotName::Final => segment.paused,
        };
        let name = format!("{}/{}.snap", resume.dir, resume.id);
        if fits {
            return Ok(());
        }
        let kind = if segment.paused { "paused after " } else { "" };
        Err(JobError::snapshot(format!("{name}: is snapshot {kind}{}, expected {}", segment.id, resume.id)))
    }
}

/// The function (store address) of the outermost frame of a state, the run's entry where there is none.
fn outermost(running: &Running, state: &RunState) -> u32 {
    let named = |frame: &FrameState| {
        let instance = running.machine.store.instances.get(frame.instance as usize)?;
        instance.funcs.get(frame.func as usize).copied()
    };
    state.frames.first().and_then(named).or(running.plan.entry).unwrap_or(0)
}

/// The first difference between the job of a snapshot and the one asked for, as an error.
fn same_job(recorded: &Job, asked: &Job) -> Result<(), JobError> {
    let hashes = |modules: &[ModuleRef]| modules.iter().map(|m| (m.name.clone(), m.hash)).collect::<Vec<_>>();
    let names = |modules: &[ModuleRef]| {
        let one = |m: &ModuleRef| format!("{} ({})", m.name, stepmark_state::encoding::hex(&m.hash));
        let all: Vec<String> = modules.iter().map(one).collect();
        if all.is_empty() { "empty".to_owned() } else { all.join(", ") }
    };
    let differs = |what: &str, found: String, expected: String| {
        Err(JobError::usage(format!(
            "the snapshot belongs to another job: {what} is {found}, the snapshot has {expected}"
        )))
    };
    let hex = stepmark_state::encoding::hex;
    if recorded.program.hash != asked.program.hash {
        return differs("the program's hash", hex(&asked.program.hash), hex(&recorded.program.hash));
    }
    if hashes(&recorded.modules) != hashes(&asked.modules) {
        return differs("the list of preloaded modules", names(&asked.modules), names(&recorded.modules));
    }
    if (&recorded.entry, &recorded.args) != (&asked.entry, &asked.args) {
        let show = |job: &Job| format!("{:?} {:?}", job.entry.as_deref().unwrap_or("_start"), job.args);
        return differs("the entry", show(asked), show(recorded));
    }
    if hashes(&recorded.contracts) != hashes(&asked.contracts) {
        return differs("the list of contracts", names(&asked.contracts), names(&recorded.contracts));
    }
    if recorded.schedule != asked.schedule {
        return differs("the gas schedule", asked.schedule.name.clone(), recorded.schedule.name.clone());
    }
    if recorded.stdin != asked.stdin {
        let show =
            |s: &Option<Stdin>| s.as_ref().map_or("none".to_owned(), |s| format!("{} bytes {}", s.size, hex(&s.hash)));
        return differs("--stdin", show(&asked.stdin), show(&recorded.stdin));
    }
    if recorded.inputs != asked.inputs {
        let changed = |a: &[Input], b: &[Input]| a.iter().find(|i| !b.contains(i)).map(|i| i.path.clone());
        let path = changed(&recorded.inputs, &asked.inputs).or_else(|| changed(&asked.inputs, &recorded.inputs));
        return differs(
            "the input file",
            format!("{:?} changed, missing or new", path.unwrap_or_default()),
            "others".to_owned(),
        );
    }
    if recorded != asked {
        let show = |job: &Job| {
            let Job { limits, clock_rate, seed, env, features, .. } = job;
            let preopens = job.preopens.join(" ");
            format!(
                "{limits:?}, clock rate {clock_rate}, seed {seed}, preopened '{preopens}', environment {env:?}, features \
                 {features:?}"
            )
        };
        return differs("the configuration", show(asked), show(recorded));
    }
    Ok(())
}
