//! Programs that are compared: any module, every exported function of it called with random arguments.

use std::sync::Arc;

use anyhow::{Context, Result};
use engine_tests::generate::{Rng, random_args};
use stepmark_core::gas::Schedule;
use stepmark_core::machine::{Budget, Extern, InstanceLinker, Machine, NoHost, Stop};
use stepmark_core::module::{Features, Module, ValType};
use stepmark_state::limits::Limits;
use wasmtime::Engine;

use crate::host::Host;
use crate::oracle::{Bounds, Call, Figures};

/// Bytes of the area of frames.
const AREA: u32 = 1 << 17;

/// A machine with one instance, its segments written and its start function run; `None` if that fails.
pub fn linked(bytes: &[u8], schedule: &Schedule, limits: Limits) -> Result<Option<(Machine, u32)>> {
    let module = Module::parse(bytes.to_vec(), Features::default())?;
    let start = module.start();
    let mut machine = Machine::new(schedule.clone(), limits);
    let Ok(instance) = machine.link("", Arc::new(module), &InstanceLinker::default(), &NoHost) else { return Ok(None) };
    if machine.store.write_segments(instance).is_err() {
        return Ok(None);
    }
    if let Some(start) = start {
        let func = machine.store.instances[instance as usize].funcs[start as usize];
        let done = machine.invoke(func, &[]).is_ok()
            && matches!(machine.run(Budget { gas: 100_000, steps: 100_000 }), Stop::Done(_));
        if !done {
            return Ok(None);
        }
    }
    Ok(Some((machine, instance)))
}

/// Compares every exported function that is compiled, on calls with random arguments.
///
/// # Errors
/// The first difference.
pub fn compare_exports(
    engine: &Engine,
    (machine, instance): &(Machine, u32),
    seed: u64,
    bounds: Bounds,
) -> Result<Figures> {
    let mut figures = Figures::default();
    let Some(mut host) = Host::new(engine, machine, *instance, AREA)? else { return Ok(figures) };
    let module = machine.store.instances[*instance as usize].module.clone();
    figures.modules += u64::from(!host.companion.funcs.is_empty());
    figures.funcs += host.companion.funcs.len() as u64;
    figures.not_compiled += u64::from(module.func_count()) - host.companion.funcs.len() as u64;
    let mut rng = Rng::new(seed);
    for export in module.exports() {
        let Some(Extern::Func(address)) = machine.store.export(*instance, &export.name) else { continue };
        let func = export.index;
        if !host.companion.funcs.contains_key(&func) {
            continue;
        }
        let ty = machine.store.func_type(address);
        debug_assert!(ty.params.iter().all(|ty| *ty != ValType::V128), "what is compiled has numbers only");
        let args = random_args(&mut rng, ty);
        let call = Call { template: machine, instance: *instance, func, args: &args };
        let one = call.compare(&mut host, &mut rng, bounds);
        figures.add(&one.with_context(|| format!("{}{args:x?}", export.name))?);
    }
    Ok(figures)
}
