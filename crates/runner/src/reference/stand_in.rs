//! What stands in for imported functions that nothing provides, as in a run: AssemblyScript's `abort`, and stubs where the job
//! asks for them.

use std::fmt;

use wasmtime::{ExternType, Func, FuncType, ImportType, Linker, Module, Store, Val, ValType};

use crate::reference::Host;

/// A function that is not there has been called: a trap of the program's.
#[derive(Debug)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function that nothing provides was called")
    }
}

impl std::error::Error for Refused {}

/// The type of an imported function that something stands in for, and whether that returns zeros.
pub(super) fn of(import: &ImportType<'_>, unknown_imports: Option<bool>) -> Option<(FuncType, bool)> {
    let ExternType::Func(ty) = import.ty() else { return None };
    let is_word = |ty: ValType| matches!(ty, ValType::I32);
    let is_abort = ty.params().len() == 4 && ty.params().all(is_word) && ty.results().len() == 0;
    if (import.module(), import.name()) == ("env", "abort") && is_abort {
        return Some((ty, false));
    }
    unknown_imports.map(|zeros| (ty, zeros))
}

/// Defines what stands in for the imports of a module that is linked next.
pub(super) fn define(
    store: &mut Store<Host>,
    linker: &mut Linker<Host>,
    module: &Module,
    unknown_imports: Option<bool>,
) -> wasmtime::Result<()> {
    for import in module.imports() {
        let is_there = linker.get(&mut *store, import.module(), import.name()).is_ok();
        let Some((ty, zeros)) = of(&import, unknown_imports).filter(|_| !is_there) else { continue };
        let defaults: Option<Vec<Val>> = ty.results().map(|ty| ty.default_value()).collect();
        let values = defaults.filter(|_| zeros);
        let func = Func::new(&mut *store, ty, move |_, _, results| {
            let values = values.as_ref().ok_or_else(|| wasmtime::Error::new(Refused))?;
            results.clone_from_slice(values);
            Ok(())
        });
        linker.define(&mut *store, import.module(), import.name(), func)?;
    }
    Ok(())
}
