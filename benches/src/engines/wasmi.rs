//! wasmi, both versions, native, with and without fuel.

use super::{Load, library::Library};

mod one {
    peers_shim::wasmi_engine!(wasmi1);
}

mod two {
    peers_shim::wasmi_engine!(wasmi2);
}

macro_rules! load {
    ($version:ident, $fuel:ident) => {
        Box::new(move |program| {
            let module = $version::Program::new(&program.wasm, $fuel)?;
            let args = program.task.args().to_vec();
            Ok(Library::program(&program.task, move || Ok(Box::new(module.instantiate(&args)?))))
        })
    };
}

/// wasmi 1.
pub fn v1(fuel: bool) -> Load {
    load!(one, fuel)
}

/// wasmi 2.
pub fn v2(fuel: bool) -> Load {
    load!(two, fuel)
}
