//! Drives wasmi. The versions have the same functions under the same names and are different crates, so this is a macro
//! over the crate's name.

/// Defines `Program` and `Instance` over the version of wasmi that `$wasmi` names.
#[macro_export]
macro_rules! wasmi_engine {
    ($wasmi:ident) => {
        use $crate::wasi::{Exit, Function, MODULE, Output, Wasi};
        use $wasmi::{Caller, Config, Engine, Error, Extern, Linker, Module, Store, Val};

        /// A validated program; its functions are translated when they are first called.
        pub struct Program {
            module: Module,
            fuel: bool,
        }

        impl Program {
            /// Validates `wasm`, for an engine that counts fuel or one that does not.
            pub fn new(wasm: &[u8], fuel: bool) -> ::anyhow::Result<Self> {
                let mut config = Config::default();
                config.consume_fuel(fuel);
                let module = Module::new(&Engine::new(&config), wasm).map_err(text)?;
                Ok(Self { module, fuel })
            }

            /// A new instance, which sees `args` if it is a command.
            pub fn instantiate(&self, args: &[String]) -> ::anyhow::Result<Instance> {
                let mut store = Store::new(self.module.engine(), Wasi::new(args));
                if self.fuel {
                    store.set_fuel(u64::MAX).map_err(text)?;
                }
                let linker = linker(&self.module)?;
                let instance = linker.instantiate_and_start(&mut store, &self.module).map_err(text)?;
                Ok(Instance { store, instance })
            }
        }

        /// The functions of WASI that the module imports.
        fn linker(module: &Module) -> ::anyhow::Result<Linker<Wasi>> {
            let mut linker = Linker::new(module.engine());
            // A module may import a function twice.
            linker.allow_shadowing(true);
            for import in module.imports().filter(|import| import.module() == MODULE) {
                let function = Function::named(import.name())?;
                let ty = import.ty().func().ok_or_else(|| ::anyhow::anyhow!("{} is no function", import.name()))?;
                let call = move |caller: Caller<'_, Wasi>, params: &[Val], results: &mut [Val]| {
                    wasi_call(function, caller, params, results)
                };
                linker.func_new(MODULE, import.name(), ty.clone(), call).map_err(text)?;
            }
            Ok(linker)
        }

        fn wasi_call(
            function: Function,
            mut caller: Caller<'_, Wasi>,
            params: &[Val],
            results: &mut [Val],
        ) -> Result<(), Error> {
            let Some(memory) = caller.get_export("memory").and_then(Extern::into_memory) else {
                return Err(Error::new("the program exports no memory"));
            };
            let args = params.iter().map(|value| match value {
                Val::I32(value) => u64::from(*value as u32),
                Val::I64(value) => *value as u64,
                _ => 0,
            });
            let (memory, wasi) = memory.data_and_store_mut(&mut caller);
            match wasi.call(function, args, memory) {
                Ok(errno) => results[0] = Val::I32(errno),
                Err(Exit) => return Err(Error::new("exit")),
            }
            Ok(())
        }

        /// An instance with its store.
        pub struct Instance {
            store: Store<Wasi>,
            instance: $wasmi::Instance,
        }

        impl $crate::Instance for Instance {
            fn call(&mut self, export: &str, argument: Option<$crate::Number>) -> ::anyhow::Result<u64> {
                let func = self.instance.get_func(&self.store, export);
                let func = func.ok_or_else(|| ::anyhow::anyhow!("no function {export:?}"))?;
                let params: Vec<Val> = argument
                    .into_iter()
                    .map(|number| match number {
                        $crate::Number::I32(value) => Val::I32(value),
                        $crate::Number::I64(value) => Val::I64(value),
                    })
                    .collect();
                let mut results = vec![Val::I64(0); func.ty(&self.store).results().len()];
                match func.call(&mut self.store, &params, &mut results) {
                    Err(error) if !self.store.data().exited() => return Err(text(error)),
                    _ => {}
                }
                Ok(match results.first() {
                    Some(Val::I32(value)) => u64::from(*value as u32),
                    Some(Val::I64(value)) => *value as u64,
                    Some(Val::F32(value)) => u64::from(value.to_bits()),
                    Some(Val::F64(value)) => value.to_bits(),
                    _ => 0,
                })
            }

            fn memory_fold(&mut self) -> ::anyhow::Result<u64> {
                let memory = self.instance.get_memory(&self.store, "memory");
                let memory = memory.ok_or_else(|| ::anyhow::anyhow!("the program exports no memory"))?;
                Ok($crate::fold(memory.data(&self.store)))
            }

            fn output(&mut self) -> ::anyhow::Result<Output> {
                Ok(self.store.data().output())
            }
        }

        fn text(error: impl ::core::fmt::Display) -> ::anyhow::Error {
            ::anyhow::anyhow!("{error}")
        }
    };
}
