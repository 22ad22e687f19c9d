//! A call of the embedder's function, as a value: the run returns with it and goes on with the answer.

/// A host call that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCall {
    /// Number of the host function, as [`HostImports::resolve`](super::HostImports::resolve) gave it.
    pub host: u32,
    /// Instance that imports it, whose memory 0 the function may read and write.
    pub instance: u32,
    /// Arguments, as bit patterns.
    pub args: Vec<u64>,
}
