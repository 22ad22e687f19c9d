//! The node that this runner carries: the wasm file that the build script made, its hash, and the versions that a
//! receipt and `--version` state.

use std::sync::OnceLock;

/// The node: one WebAssembly file with a WASI command and exported functions.
pub const NODE_WASM: &[u8] = include_bytes!(env!("NODE_WASM"));
/// What lets hosts that are not written in Rust run programs as compiled code: one WebAssembly file with exported functions.
pub const COMPILER_WASM: &[u8] = include_bytes!(env!("COMPILER_WASM"));
/// Version of wasmtime that runs the node and the reference.
pub const WASMTIME_VERSION: &str = env!("WASMTIME_VERSION");
/// Version of this runner.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// BLAKE3 hash of [`NODE_WASM`] in lower-case hexadecimal: the name by which people compare nodes.
pub fn node_hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| blake3::Hash::from_bytes(*node_hash_bytes()).to_hex().to_string())
}

/// BLAKE3 of the module, as bytes.
pub fn node_hash_bytes() -> &'static [u8; 32] {
    static HASH: OnceLock<[u8; 32]> = OnceLock::new();
    HASH.get_or_init(|| *blake3::hash(NODE_WASM).as_bytes())
}

/// BLAKE3 hash of [`COMPILER_WASM`] in lower-case hexadecimal.
pub fn compiler_hash() -> String {
    blake3::hash(COMPILER_WASM).to_hex().to_string()
}

/// What `--version` prints after the program's name.
pub fn version_text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| format!("{VERSION}\nmodule: blake3 {}\nwasmtime: {WASMTIME_VERSION}", node_hash()))
}
