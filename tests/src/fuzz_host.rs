//! Oracles of those fuzz targets that need the host runner's library, as in [`fuzz`](crate::fuzz).

mod archive;
mod compiled;
mod frozen;
mod receipt;

use crate::fuzz::Target;

/// The targets.
pub const TARGETS: [Target; 4] = [
    Target { name: "archive", oracle: archive::archive, seeds: archive::seeds },
    Target { name: "compiled", oracle: compiled::compiled, seeds: compiled::seeds },
    Target { name: "frozen", oracle: frozen::frozen, seeds: frozen::seeds },
    Target { name: "receipt", oracle: receipt::receipt, seeds: receipt::seeds },
];
