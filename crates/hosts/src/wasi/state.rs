//! The state that a snapshot carries, and the checks that a saved one must pass before it is believed.

use crate::wasi::descriptor_table::Descriptors;
use crate::wasi::fs::{FileSystem, NodeKind, SavedTree};
use crate::wasi::output::OutputHash;
use crate::wasi::rights;
use serde::{Deserialize, Serialize};
use stepmark_state::error::JobError;

/// Descriptor numbers run from 0 to one less than this: what a generous Unix gives a process.
pub const MAX_FDS: u32 = 4096;

/// The five flags that preview 1 defines for descriptors: append, dsync, nonblock, rsync, sync.
pub(super) const ALL_FLAGS: u16 = 0x1f;

/// The flag to append.
pub(super) const APPEND: u16 = 1;

/// Greatest offset of a file: positions are signed in every system's own interface.
pub(super) const MAX_OFFSET: u64 = u64::MAX >> 1;

/// Greatest position in the random stream that a saved state may claim: no run comes near, and none overflows from it.
const MAX_RANDOM: u64 = 1 << 62;

/// What a descriptor leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum DescriptorTarget {
    Stdin,
    Stdout,
    Stderr,
    /// A file or directory, by its number.
    Node(u32),
}

/// An open descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Descriptor {
    pub(super) target: DescriptorTarget,
    pub(super) rights: u64,
    /// Most rights of descriptors that are opened through this one.
    pub(super) inheriting: u64,
    pub(super) flags: u16,
    /// Position of the next read, for standard input and files.
    pub(super) offset: u64,
    /// Which of the job's preopened directories it is, if the program was started with it.
    pub(super) preopen: Option<u32>,
}

impl Descriptor {
    /// A descriptor with all rights that its target can have, and `inheriting` for what is opened through it.
    pub(super) fn new(target: DescriptorTarget, fs: &FileSystem, inheriting: u64) -> Self {
        let rights = max_rights(target, fs);
        Self { target, rights, inheriting, flags: 0, offset: 0, preopen: None }
    }
}

/// Most rights that a descriptor of `target` can have.
pub(super) fn max_rights(target: DescriptorTarget, fs: &FileSystem) -> u64 {
    match target {
        DescriptorTarget::Stdin => rights::STDIN,
        DescriptorTarget::Stdout | DescriptorTarget::Stderr => rights::OUTPUT,
        DescriptorTarget::Node(node) if fs.directory(node).is_some() => rights::DIRECTORY,
        DescriptorTarget::Node(_) => rights::FILE,
    }
}

/// What changes while a program runs, the outputs' hashes aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WasiState {
    pub(super) descriptors: Descriptors,
    /// Bytes of the random stream that were given out.
    pub(super) random: u64,
    /// Nanoseconds that the program has slept.
    pub(super) slept: u64,
}

impl WasiState {
    /// The three standard streams, and the directories `preopens` from number 3 on.
    pub(super) fn new(fs: &FileSystem, preopens: &[u32]) -> Self {
        let mut descriptors = Descriptors::default();
        for (fd, target) in (0..).zip([DescriptorTarget::Stdin, DescriptorTarget::Stdout, DescriptorTarget::Stderr]) {
            descriptors.insert(fd, Descriptor::new(target, fs, 0));
        }
        for (index, node) in (0u32..).zip(preopens) {
            let directory = Descriptor::new(DescriptorTarget::Node(*node), fs, rights::ALL);
            descriptors.insert(index.saturating_add(3), Descriptor { preopen: Some(index), ..directory });
        }
        Self { descriptors, random: 0, slept: 0 }
    }

    /// Whether a descriptor leads to a file or directory.
    pub(super) fn is_open(&self, node: u32) -> bool {
        self.descriptors.lead_to(node)
    }

    /// The files and directories that descriptors lead to.
    fn open_nodes(&self) -> Vec<u32> {
        self.descriptors.nodes().collect()
    }

    /// The lowest number that no descriptor has, below [`MAX_FDS`].
    pub(super) fn lowest_free(&self) -> Option<u32> {
        self.descriptors.lowest_free()
    }
}

/// The saved form.
pub(super) fn encode(state: &WasiState, fs: &FileSystem, stdout: &OutputHash, stderr: &OutputHash) -> Vec<u8> {
    encode_saved(state, &fs.save(), stdout, stderr)
}

fn encode_saved(state: &WasiState, files: &SavedTree, stdout: &OutputHash, stderr: &OutputHash) -> Vec<u8> {
    let whole = (state, files, stdout, stderr);
    postcard::to_allocvec(&whole).unwrap_or_else(|error| unreachable!("BUG: wasi state: {error}"))
}

/// What a saved state is checked against: the job.
pub(super) struct GivenJob<'a> {
    /// A file system of this job, in any state.
    pub(super) fs: &'a FileSystem,
    /// Nodes of the preopened directories.
    pub(super) preopens: &'a [u32],
    /// Bytes of standard input.
    pub(super) stdin: u64,
}

/// A state that was restored.
pub(super) struct Restored {
    pub(super) state: WasiState,
    pub(super) fs: FileSystem,
    pub(super) stdout: OutputHash,
    pub(super) stderr: OutputHash,
}

/// Reads the saved form.
pub(super) fn decode(bytes: &[u8], given: &GivenJob<'_>) -> Result<Restored, JobError> {
    let (state, files, stdout, stderr): (WasiState, SavedTree, OutputHash, OutputHash) =
        postcard::from_bytes(bytes).map_err(|error| JobError::snapshot(format!("wasi state: malformed: {error}")))?;
    let fs = given.fs.restore(&files, &state.open_nodes())?;
    if encode(&state, &fs, &stdout, &stderr) != bytes {
        return Err(JobError::snapshot("wasi state: not in canonical form, or followed by other bytes"));
    }
    check(&state, &fs, given)?;
    for (name, hash) in [("output", &stdout), ("error", &stderr)] {
        if !hash.is_consistent() {
            return Err(JobError::snapshot(format!(
                "wasi state: running hash of standard {name} contradicts its length"
            )));
        }
    }
    Ok(Restored { state, fs, stdout, stderr })
}

fn check(state: &WasiState, fs: &FileSystem, given: &GivenJob<'_>) -> Result<(), JobError> {
    let mut once = Vec::new();
    for (fd, descriptor) in state.descriptors.iter() {
        let refuse = |why: &str| Err(JobError::snapshot(format!("wasi state: descriptor {fd}: {why}")));
        if *fd >= MAX_FDS {
            return refuse("number beyond the limit of 4096");
        }
        if let Some(why) = fault(descriptor, fs, given) {
            return refuse(why);
        }
        // The streams and the preopened directories cannot be opened again, so each is there at most once.
        if descriptor.preopen.is_some() || !matches!(descriptor.target, DescriptorTarget::Node(_)) {
            let identity = (descriptor.target, descriptor.preopen);
            if once.contains(&identity) {
                return refuse("second descriptor of a stream or of a preopened directory");
            }
            once.push(identity);
        }
    }
    if state.random > MAX_RANDOM {
        return Err(JobError::snapshot(format!("wasi state: random position {} is out of reach", state.random)));
    }
    Ok(())
}

/// What is wrong with a descriptor, if anything.
fn fault(descriptor: &Descriptor, fs: &FileSystem, given: &GivenJob<'_>) -> Option<&'static str> {
    let last_offset = match descriptor.target {
        DescriptorTarget::Stdin => given.stdin,
        DescriptorTarget::Stdout | DescriptorTarget::Stderr => 0,
        DescriptorTarget::Node(node) => match fs.get(node).map(|node| &node.kind) {
            None | Some(NodeKind::Link(_)) => return Some("leads to no file or directory"),
            Some(NodeKind::Directory(_)) => 0,
            Some(NodeKind::File { .. }) => MAX_OFFSET,
        },
    };
    let inheriting = if matches!(descriptor.target, DescriptorTarget::Node(_)) { rights::ALL } else { 0 };
    if descriptor.offset > last_offset {
        return Some("offset is out of range");
    }
    if descriptor.rights & !max_rights(descriptor.target, fs) != 0 || descriptor.inheriting & !inheriting != 0 {
        return Some("rights that its target cannot have");
    }
    if descriptor.flags & !ALL_FLAGS != 0 {
        return Some("unknown flags");
    }
    let preopen = descriptor.preopen?;
    let node = usize::try_from(preopen).ok().and_then(|index| given.preopens.get(index));
    (node.map(|node| DescriptorTarget::Node(*node)) != Some(descriptor.target))
        .then_some("preopened, but not by the job")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// `/d/f`: nodes 1 and 2.
    fn fs() -> FileSystem {
        FileSystem::new([("/d/f".to_owned(), Arc::from(&b"12345"[..]))], &[], 1 << 20).unwrap().0
    }

    fn start() -> WasiState {
        WasiState::new(&fs(), &[0])
    }

    fn saved(state: &WasiState) -> Vec<u8> {
        encode(state, &fs(), &OutputHash::default(), &OutputHash::default())
    }

    fn restore(bytes: &[u8]) -> Result<Restored, JobError> {
        decode(bytes, &GivenJob { fs: &fs(), preopens: &[0], stdin: 10 })
    }

    fn message(bytes: &[u8]) -> String {
        restore(bytes).map(drop).unwrap_err().to_string()
    }

    fn refusal(change: impl Fn(&mut WasiState)) -> String {
        let mut state = start();
        change(&mut state);
        message(&saved(&state))
    }

    fn with(fd: u32, target: DescriptorTarget, change: impl Fn(&mut Descriptor)) -> impl Fn(&mut WasiState) {
        move |state: &mut WasiState| {
            let mut descriptor = Descriptor::new(target, &fs(), 0);
            change(&mut descriptor);
            state.descriptors.insert(fd, descriptor);
        }
    }

    #[test]
    fn a_state_that_no_run_reaches_is_refused() {
        let cases = [
            (
                refusal(with(4096, DescriptorTarget::Node(1), |_| ())),
                "descriptor 4096: number beyond the limit of 4096",
            ),
            (refusal(with(4, DescriptorTarget::Node(3), |_| ())), "descriptor 4: leads to no file or directory"),
            (refusal(with(0, DescriptorTarget::Stdin, |d| d.offset = 11)), "descriptor 0: offset is out of range"),
            (refusal(with(1, DescriptorTarget::Stdout, |d| d.offset = 1)), "descriptor 1: offset is out of range"),
            (refusal(with(4, DescriptorTarget::Node(1), |d| d.offset = 1)), "descriptor 4: offset is out of range"),
            (
                refusal(with(4, DescriptorTarget::Node(2), |d| d.offset = 1 << 63)),
                "descriptor 4: offset is out of range",
            ),
            (
                refusal(with(4, DescriptorTarget::Node(2), |d| d.rights |= rights::FD_READDIR)),
                "rights that its target cannot have",
            ),
            (
                refusal(with(4, DescriptorTarget::Node(1), |d| d.inheriting = 1 << 30)),
                "rights that its target cannot have",
            ),
            (refusal(with(0, DescriptorTarget::Stdin, |d| d.inheriting = 1)), "rights that its target cannot have"),
            (refusal(with(0, DescriptorTarget::Stdin, |d| d.flags = 32)), "descriptor 0: unknown flags"),
            (
                refusal(with(4, DescriptorTarget::Node(1), |d| d.preopen = Some(0))),
                "descriptor 4: preopened, but not by the job",
            ),
            (
                refusal(with(4, DescriptorTarget::Node(0), |d| d.preopen = Some(1))),
                "descriptor 4: preopened, but not by the job",
            ),
            (
                refusal(with(4, DescriptorTarget::Node(0), |d| d.preopen = Some(0))),
                "second descriptor of a stream or of a preopened",
            ),
            (refusal(with(4, DescriptorTarget::Stdin, |_| ())), "descriptor 4: second descriptor of a stream"),
            (refusal(|state| state.random = MAX_RANDOM + 1), "random position 4611686018427387905 is out of reach"),
        ];
        for (message, expected) in cases {
            assert!(message.starts_with("wasi state: ") && message.contains(expected), "{message}");
        }
    }

    #[test]
    fn trailing_bytes_and_other_forms_of_the_same_state_are_refused() {
        let good = saved(&start());
        assert!(restore(&good).is_ok());
        for bad in [[&good[..], &[0]].concat(), good[..good.len() - 1].to_vec(), Vec::new()] {
            assert!(restore(&bad).is_err());
        }
        // The same number of descriptors, written in two bytes where one is enough.
        let overlong = [&[good[0] | 0x80, 0], &good[1..]].concat();
        assert!(message(&overlong).contains("canonical"));
    }

    #[test]
    fn a_running_hash_that_contradicts_its_length_is_refused() {
        let mut hash = OutputHash::default();
        hash.update(&[7; 5000]);
        let good = encode(&start(), &fs(), &hash, &OutputHash::default());
        assert!(restore(&good).is_ok());
        let at = saved(&start()).len() - 68;
        // The length 5000 is the bytes 0x88 0x27 there; 5001 would need one byte more in the partial block.
        assert_eq!(good[at..at + 2], [0x88, 0x27]);
        let mut bad = good;
        bad[at] += 1;
        assert!(message(&bad).contains("contradicts its length"));
    }

    #[test]
    fn numbers_are_given_lowest_first_up_to_the_limit() {
        let mut state = start();
        assert_eq!(state.lowest_free(), Some(4));
        state.descriptors.remove(1);
        assert_eq!(state.lowest_free(), Some(1));
        for fd in 0..MAX_FDS {
            state.descriptors.insert(fd, Descriptor::new(DescriptorTarget::Node(2), &fs(), 0));
        }
        assert_eq!(state.lowest_free(), None);
    }
}
