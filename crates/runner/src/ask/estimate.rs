//! The least gas of the functions that a program exports, without running it: `stepmark_tools::estimate` on the program,
//! linked as a run links it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use stepmark_core::gas::Schedule;
use stepmark_core::machine::{HostImports, InstanceLinker, Machine};
use stepmark_core::module::{ExternKind, Features, FuncType, Module, ValType};
use stepmark_hosts::HostModule;
use stepmark_hosts::stand_in;
use stepmark_hosts::wasi::{Wasi, WasiConfig};
use stepmark_session::spec::JobSpec;
use stepmark_state::error::JobError;
use stepmark_state::host_type::HostType;
use stepmark_state::limits::Limits;
use stepmark_tools::estimate::least_costs;

use crate::failure::{Failure, Result};
use crate::foreign::{self, ForeignKind};

/// An exported function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeastCost {
    /// Its name.
    pub export: String,
    /// Its type, as the text format has it.
    pub signature: String,
    /// The least gas with which a call of it returns; none if none does.
    pub gas: Option<u64>,
}

/// The least costs of all exported functions, in the order of the exports; and the schedule's name.
///
/// # Errors
/// As those of loading the program for a run; its entry and arguments do not matter.
pub fn exports(job: &JobSpec) -> Result<(String, Vec<LeastCost>)> {
    let (machine, program) = link(job)?;
    let exported = || program.exports().iter().filter(|export| export.kind == ExternKind::Func);
    let own = machine.store.instances.last().map(|instance| instance.funcs.as_slice()).unwrap_or_default();
    let funcs: Vec<u32> = exported().filter_map(|export| own.get(export.index as usize).copied()).collect();
    let costs = least_costs(&machine.store, machine.schedule(), &funcs);
    let least = |(export, gas): (&stepmark_core::module::Export, Option<u64>)| LeastCost {
        export: export.name.clone(),
        signature: program.func_type(export.index).to_string(),
        gas,
    };
    Ok((machine.schedule().name().to_owned(), exported().zip(costs).map(least).collect()))
}

/// The program, linked last, in a machine that runs nothing.
fn link(options: &JobSpec) -> Result<(Machine, Arc<Module>)> {
    let features = features(options)?;
    let mut limits = Limits::default();
    limits.memory_bytes = options.max_memory.unwrap_or(limits.memory_bytes);
    let mut machine = Machine::new(schedule(options.gas_schedule.as_deref())?, limits);
    let host = Offered::new(limits)?;
    let mut linker = InstanceLinker::default();
    let mut link = |name: &str, path: &str| -> Result<Arc<Module>> {
        let bytes = read(path, ForeignKind::Module)?;
        let of_file = |error: JobError| Failure::from(error.context(path));
        let module = Arc::new(Module::parse(bytes, features).map_err(of_file)?);
        let instance = machine.link(name, module.clone(), &linker, &host).map_err(of_file)?;
        linker.register(name, instance);
        Ok(module)
    };
    for (name, path) in &options.preload {
        link(name, path)?;
    }
    let program = link("", &options.program)?;
    Ok((machine, program))
}

/// The features of a job.
pub(super) fn features(job: &JobSpec) -> Result<Features> {
    let mut features = Features::default();
    for (name, on) in &job.features {
        features.set(name, *on).map_err(|error| Failure::usage(format!("--feature: {}", error.message())))?;
    }
    Ok(features)
}

fn schedule(name: Option<&str>) -> Result<Schedule> {
    let Some(name) = name else { return Ok(Schedule::default()) };
    if let Some(schedule) = Schedule::builtin(name) {
        return Ok(schedule);
    }
    let text = String::from_utf8(read(name, ForeignKind::Schedule)?)
        .map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let file_name = Path::new(name).file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(Schedule::parse(&file_name.unwrap_or_default(), &text)?)
}

pub(super) fn read(path: &str, kind: ForeignKind) -> Result<Vec<u8>> {
    foreign::read(Path::new(path), kind)
}

/// The functions that the node offers to programs.
pub(super) struct Offered(Wasi);

impl Offered {
    pub(super) fn new(limits: Limits) -> Result<Self> {
        let config = WasiConfig {
            args: Vec::new(),
            env: Vec::new(),
            stdin: Arc::from([]),
            inputs: Vec::new(),
            preopens: Vec::new(),
            file_bytes: limits.file_bytes,
            clock_rate: 1,
            seed: 0,
        };
        Ok(Self(Wasi::new(config)?))
    }
}

impl HostImports for Offered {
    fn resolve(&self, module: &str, name: &str) -> Option<(u32, FuncType)> {
        let func = self.0.resolve(module, name)?;
        let value = |ty: &HostType| if *ty == HostType::I32 { ValType::I32 } else { ValType::I64 };
        let values = |list: &[HostType]| list.iter().map(value).collect();
        Some((func.id, FuncType { params: values(func.params), results: values(func.results) }))
    }

    fn stand_in(&self, module: &Module, import: u32) -> Option<u32> {
        stand_in::find(module, import)
    }
}

/// The costs as a table, and as a JSON object by export.
pub fn table(schedule: &str, costs: &[LeastCost]) -> String {
    let width = costs.iter().filter_map(|cost| cost.gas).map(|gas| gas.to_string().len()).max().unwrap_or(0);
    let width = width.max(NEVER.len());
    let mut lines = vec![format!("least gas of a call that returns, schedule {schedule}:")];
    lines.extend(costs.iter().map(|LeastCost { export, signature, gas }| {
        let gas = gas.map_or(NEVER.to_owned(), |gas| gas.to_string());
        format!("  {gas:>width$}  {} {signature}", export.escape_debug())
    }));
    if costs.is_empty() {
        lines.push("  no function is exported".to_owned());
    }
    lines.join("\n")
}

const NEVER: &str = "never returns";

/// The least costs as JSON: the gas by export, null for one that never returns.
pub fn object(schedule: &str, costs: &[LeastCost]) -> serde_json::Value {
    let costs: BTreeMap<&str, Option<u64>> = costs.iter().map(|cost| (cost.export.as_str(), cost.gas)).collect();
    serde_json::json!({ "schedule": schedule, "least_gas": costs })
}
