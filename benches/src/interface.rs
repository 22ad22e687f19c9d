//! What a module imports and exports, as far as it decides how it is driven.

use anyhow::{Context, Result, bail};
use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef, ValType};

/// The functions that a module imports and exports.
#[derive(Default)]
pub struct Interface {
    pub imports: Vec<Import>,
    pub exports: Vec<Export>,
}

/// An imported function.
#[derive(Clone)]
pub struct Import {
    pub module: String,
    pub name: String,
    pub ty: FuncType,
}

/// An exported function.
pub struct Export {
    pub name: String,
    pub ty: FuncType,
}

impl Interface {
    /// Reads the head of a module.
    pub fn of(wasm: &[u8]) -> Result<Self> {
        let mut interface = Self::default();
        // Of all types, and of all functions, the imported ones first.
        let (mut types, mut functions): (Vec<FuncType>, Vec<FuncType>) = Default::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(section) => {
                    types = section.into_iter_err_on_gc_types().collect::<Result<_, _>>()?;
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        let TypeRef::Func(index) = import.ty else {
                            bail!("it imports {}.{}, which is no function", import.module, import.name)
                        };
                        let (module, name, ty) = (import.module.into(), import.name.into(), get(&types, index)?);
                        functions.push(ty.clone());
                        interface.imports.push(Import { module, name, ty });
                    }
                }
                Payload::FunctionSection(section) => {
                    for index in section {
                        functions.push(get(&types, index?)?);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == ExternalKind::Func {
                            let ty = get(&functions, export.index)?;
                            interface.exports.push(Export { name: export.name.to_owned(), ty });
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(interface)
    }

    /// Parameters and results of an exported function.
    pub fn export(&self, name: &str) -> Option<(&[ValType], &[ValType])> {
        let export = self.exports.iter().find(|export| export.name == name)?;
        Some((export.ty.params(), export.ty.results()))
    }
}

fn get(types: &[FuncType], index: u32) -> Result<FuncType> {
    types.get(index as usize).cloned().context("a function has a type that is not there")
}
