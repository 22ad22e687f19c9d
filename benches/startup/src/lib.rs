//! A program read, validated and translated whole: what a job does at its start, and what it leaves to the first call of
//! each function.

use std::sync::Arc;

use stepmark_core::gas::Schedule;
use stepmark_core::machine::{FuncKind, HostImports, InstanceLinker, Machine};
use stepmark_core::module::{ExternType, Features, FuncType, Module};
use stepmark_state::error::JobError;
use stepmark_state::limits::Limits;

/// A program that is linked.
pub struct Program(Machine);

impl Program {
    /// Reads and validates a module and links it, its imports being functions that nobody calls.
    ///
    /// # Errors
    /// If it is not valid, or imports something else than functions.
    pub fn parse(bytes: Vec<u8>) -> Result<Program, JobError> {
        let module = Arc::new(Module::parse(bytes, Features::default())?);
        let mut machine = Machine::new(Schedule::default(), Limits::default());
        machine.link("", module.clone(), &InstanceLinker::default(), &Any(&module))?;
        Ok(Program(machine))
    }

    /// Translates all functions; how many there are.
    pub fn translate(&mut self) -> u32 {
        let defined = |(address, kind): (u32, FuncKind)| (kind == FuncKind::Wasm).then_some(address);
        let funcs: Vec<u32> = (0..).zip(self.0.store.funcs.iter().map(|f| f.kind)).filter_map(defined).collect();
        funcs.iter().for_each(|func| self.0.prepare(*func));
        funcs.len() as u32
    }
}

/// Every function that a module imports.
struct Any<'a>(&'a Module);

impl HostImports for Any<'_> {
    fn resolve(&self, module: &str, name: &str) -> Option<(u32, FuncType)> {
        let import = self.0.imports().iter().find(|import| import.module == module && import.name == name)?;
        match &import.ty {
            ExternType::Func(ty) => Some((0, ty.clone())),
            _ => None,
        }
    }
}

/// Bytes of the function bodies of a module.
///
/// # Errors
/// If it is not valid.
pub fn code_size(bytes: Vec<u8>) -> Result<usize, JobError> {
    Ok(Module::parse(bytes, Features::default())?.code_size())
}
