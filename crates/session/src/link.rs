//! From the files of a job to a run that can begin: the modules are parsed and linked, and the job is made of what was asked for.
//! On resume it comes from the snapshot; a flag that is given must agree with it, one that is omitted is taken from it.

use std::sync::Arc;

use super::calls::{Imports, plain_export};
use super::load::{InputContent, Loading, content_hash};
use super::names::ByName;
use super::paged_state::PagedState;
use super::resume::same_job;
use super::run::{Phases, val_kind};
use super::{Running, SessionMode};
use crate::spec::{DEFAULT_GAS_LIMIT, JobSpec};
use crate::values::{ValKind, parse_values};
use stepmark_core::alloc;
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Extern, InstanceLinker, Machine};
use stepmark_core::module::{Features, Module, SlotKind};
use stepmark_hosts::external::ExternalReplies;
use stepmark_hosts::store::{ContractCall, KvView};
use stepmark_hosts::wasi::{InputFile, Wasi, WasiConfig};
use stepmark_snapshot::job::{Input, Job, ModuleRef, ScheduleRef, Stdin, last_wins};
use stepmark_snapshot::spaces::Spaces;
use stepmark_state::error::JobError;
use stepmark_state::limits::Limits;

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
pub(super) struct Builder<'a> {
    pub(super) spec: &'a JobSpec,
    pub(super) loading: Loading,
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
    pub(super) fn build(&mut self) -> Result<Running, JobError> {
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
        let wasi = self.wasi(&job, is_command(&program) || self.is_live())?;
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

    fn is_live(&self) -> bool {
        self.loading.mode == SessionMode::Live
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
        let name = if recorded.is_some() { from.program.name.as_str() } else { file_name(&spec.program) };
        let inputs = self.inputs();
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
            limits: self.limits(from.limits),
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

    /// Those asked for, else those of the snapshot.
    fn limits(&self, from: Limits) -> Limits {
        let spec = self.spec;
        Limits {
            memory_bytes: spec.max_memory.unwrap_or(from.memory_bytes),
            call_depth: spec.max_call_depth.unwrap_or(from.call_depth),
            file_bytes: spec.max_files.unwrap_or(from.file_bytes),
            exception_slots: spec.max_exceptions.unwrap_or(from.exception_slots),
            ..from
        }
    }

    /// The input files, by ascending path.
    fn inputs(&self) -> Vec<Input> {
        let input = |(path, content): &(String, InputContent)| Input {
            path: path.clone(),
            size: content.bytes.len() as u64,
            hash: content.hash,
        };
        let mut inputs: Vec<Input> = self.loading.inputs.iter().map(input).collect();
        inputs.sort_by(|a, b| a.path.cmp(&b.path));
        inputs
    }

    /// Entry and arguments by the positionals.
    fn entry(&self, program: &Module) -> Result<(Option<String>, Vec<String>), JobError> {
        let positionals = &self.spec.positionals;
        if is_command(program) || self.is_live() {
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
        if self.is_live() {
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
            live: self.is_live(),
            left: None,
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
}
