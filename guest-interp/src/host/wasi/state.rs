//! The state that a snapshot carries, and the checks that a saved one must pass before it is believed.

use crate::error::Error;
use crate::host::wasi::output::OutputHash;
use crate::host::wasi::rights;
use crate::host::wasi::tree::{ROOT, Tree};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Descriptor numbers run from 0 to one less than this: what a generous Unix gives a process.
pub const MAX_FDS: u32 = 4096;

/// The five flags that preview 1 defines for descriptors: append, dsync, nonblock, rsync, sync.
pub(super) const ALL_FLAGS: u16 = 0x1f;

/// Greatest offset of a file: positions are signed in every system's own interface.
pub(super) const MAX_OFFSET: u64 = u64::MAX >> 1;

/// Greatest position in the random stream that a saved state may claim: no run comes near, and none overflows from it.
const MAX_RANDOM: u64 = 1 << 62;

/// What a descriptor leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Target {
    Stdin,
    Stdout,
    Stderr,
    /// A file or directory, by its number in the tree.
    Node(u32),
}

/// An open descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Descriptor {
    pub(super) target: Target,
    pub(super) rights: u64,
    /// Most rights of descriptors that are opened through this one.
    pub(super) inheriting: u64,
    pub(super) flags: u16,
    /// Position of the next read, for standard input and files.
    pub(super) offset: u64,
    /// Whether the program was started with it: the root directory.
    pub(super) preopen: bool,
}

impl Descriptor {
    /// A descriptor with all rights that its target can have, and `inheriting` for what is opened through it.
    pub(super) fn new(target: Target, tree: &Tree, inheriting: u64) -> Self {
        let rights = max_rights(target, tree);
        Self { target, rights, inheriting, flags: 0, offset: 0, preopen: false }
    }
}

/// Most rights that a descriptor of `target` can have.
pub(super) fn max_rights(target: Target, tree: &Tree) -> u64 {
    match target {
        Target::Stdin => rights::STDIN,
        Target::Stdout | Target::Stderr => rights::OUTPUT,
        Target::Node(node) if tree.is_directory(node) => rights::DIRECTORY,
        Target::Node(_) => rights::FILE,
    }
}

/// What changes while a program runs, the outputs' hashes aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) descriptors: BTreeMap<u32, Descriptor>,
    /// Bytes of the random stream that were given out.
    pub(super) random: u64,
    /// Nanoseconds that the program has slept.
    pub(super) slept: u64,
}

impl State {
    /// The three standard streams, and the root directory as number 3 if there are files.
    pub(super) fn new(tree: &Tree) -> Self {
        let mut descriptors = BTreeMap::new();
        for (fd, target) in (0..).zip([Target::Stdin, Target::Stdout, Target::Stderr]) {
            descriptors.insert(fd, Descriptor::new(target, tree, 0));
        }
        if !tree.is_empty() {
            let root = Descriptor { preopen: true, ..Descriptor::new(Target::Node(ROOT), tree, rights::ALL) };
            descriptors.insert(3, root);
        }
        Self { descriptors, random: 0, slept: 0 }
    }

    /// The lowest number that no descriptor has, below [`MAX_FDS`].
    pub(super) fn lowest_free(&self) -> Option<u32> {
        let used = (0u32..).zip(self.descriptors.keys()).take_while(|(number, fd)| number == *fd).count();
        u32::try_from(used).ok().filter(|fd| *fd < MAX_FDS)
    }
}

/// The saved form.
pub(super) fn encode(state: &State, stdout: &OutputHash, stderr: &OutputHash) -> Vec<u8> {
    postcard::to_allocvec(&(state, stdout, stderr)).unwrap_or_else(|error| unreachable!("BUG: wasi state: {error}"))
}

/// Reads the saved form, for a job with this tree and length of standard input.
pub(super) fn decode(bytes: &[u8], tree: &Tree, stdin: usize) -> Result<(State, OutputHash, OutputHash), Error> {
    let (state, stdout, stderr): (State, OutputHash, OutputHash) =
        postcard::from_bytes(bytes).map_err(|error| Error::snapshot(format!("wasi state: malformed: {error}")))?;
    if encode(&state, &stdout, &stderr) != bytes {
        return Err(Error::snapshot("wasi state: not in canonical form, or followed by other bytes"));
    }
    check(&state, tree, stdin)?;
    for (name, hash) in [("output", &stdout), ("error", &stderr)] {
        if !hash.is_consistent() {
            return Err(Error::snapshot(format!("wasi state: running hash of standard {name} contradicts its length")));
        }
    }
    Ok((state, stdout, stderr))
}

fn check(state: &State, tree: &Tree, stdin: usize) -> Result<(), Error> {
    let mut streams = Vec::new();
    for (fd, descriptor) in &state.descriptors {
        let refuse = |why: &str| Err(Error::snapshot(format!("wasi state: descriptor {fd}: {why}")));
        if *fd >= MAX_FDS {
            return refuse("number beyond the limit of 4096");
        }
        if let Some(why) = fault(descriptor, tree, stdin) {
            return refuse(why);
        }
        // The streams and the root cannot be opened again, so each is there at most once.
        if descriptor.preopen || !matches!(descriptor.target, Target::Node(_)) {
            if streams.contains(&descriptor.target) {
                return refuse("second descriptor of a stream or of the preopened root");
            }
            streams.push(descriptor.target);
        }
    }
    if state.random > MAX_RANDOM {
        return Err(Error::snapshot(format!("wasi state: random position {} is out of reach", state.random)));
    }
    Ok(())
}

/// What is wrong with a descriptor, if anything.
fn fault(descriptor: &Descriptor, tree: &Tree, stdin: usize) -> Option<&'static str> {
    let last_offset = match descriptor.target {
        Target::Stdin => u64::try_from(stdin).unwrap_or(u64::MAX),
        Target::Stdout | Target::Stderr => 0,
        Target::Node(node) => match tree.get(node) {
            None => return Some("leads to no input file or directory of this job"),
            Some(_) if tree.is_directory(node) => 0,
            Some(_) => MAX_OFFSET,
        },
    };
    let inheriting = if matches!(descriptor.target, Target::Node(_)) { rights::ALL } else { 0 };
    if descriptor.offset > last_offset {
        return Some("offset is out of range");
    }
    if descriptor.rights & !max_rights(descriptor.target, tree) != 0 || descriptor.inheriting & !inheriting != 0 {
        return Some("rights that its target cannot have");
    }
    if descriptor.flags & !ALL_FLAGS != 0 {
        return Some("unknown flags");
    }
    if descriptor.preopen && descriptor.target != Target::Node(ROOT) {
        return Some("preopened, but not the root");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn tree() -> Tree {
        Tree::new([("/d/f".to_owned(), Arc::from(&b"12345"[..]))]).unwrap()
    }

    fn refusal(change: impl Fn(&mut State)) -> String {
        let mut state = State::new(&tree());
        change(&mut state);
        let bytes = encode(&state, &OutputHash::default(), &OutputHash::default());
        decode(&bytes, &tree(), 10).map(drop).unwrap_err().to_string()
    }

    fn with(fd: u32, target: Target, change: impl Fn(&mut Descriptor)) -> impl Fn(&mut State) {
        move |state: &mut State| {
            let mut descriptor = Descriptor::new(target, &tree(), 0);
            change(&mut descriptor);
            state.descriptors.insert(fd, descriptor);
        }
    }

    #[test]
    fn a_state_that_no_run_reaches_is_refused() {
        let cases: [(String, &str); 13] = [
            (refusal(with(4096, Target::Node(1), |_| ())), "descriptor 4096: number beyond the limit of 4096"),
            (
                refusal(with(4, Target::Node(3), |_| ())),
                "descriptor 4: leads to no input file or directory of this job",
            ),
            (refusal(with(0, Target::Stdin, |d| d.offset = 11)), "descriptor 0: offset is out of range"),
            (refusal(with(1, Target::Stdout, |d| d.offset = 1)), "descriptor 1: offset is out of range"),
            (refusal(with(4, Target::Node(1), |d| d.offset = 1)), "descriptor 4: offset is out of range"),
            (refusal(with(4, Target::Node(2), |d| d.offset = 1 << 63)), "descriptor 4: offset is out of range"),
            (refusal(with(4, Target::Node(2), |d| d.rights |= rights::FD_WRITE)), "rights that its target cannot have"),
            (refusal(with(4, Target::Node(1), |d| d.inheriting = 1 << 30)), "rights that its target cannot have"),
            (refusal(with(0, Target::Stdin, |d| d.inheriting = 1)), "rights that its target cannot have"),
            (refusal(with(0, Target::Stdin, |d| d.flags = 32)), "descriptor 0: unknown flags"),
            (refusal(with(4, Target::Node(1), |d| d.preopen = true)), "descriptor 4: preopened, but not the root"),
            (refusal(with(4, Target::Stdin, |_| ())), "descriptor 4: second descriptor of a stream"),
            (refusal(|state| state.random = MAX_RANDOM + 1), "random position 4611686018427387905 is out of reach"),
        ];
        for (message, expected) in cases {
            assert!(message.starts_with("wasi state: ") && message.contains(expected), "{message}");
        }
    }

    #[test]
    fn trailing_bytes_and_other_forms_of_the_same_state_are_refused() {
        let good = encode(&State::new(&tree()), &OutputHash::default(), &OutputHash::default());
        assert!(decode(&good, &tree(), 0).is_ok());
        for bad in [[&good[..], &[0]].concat(), good[..good.len() - 1].to_vec(), Vec::new()] {
            assert!(decode(&bad, &tree(), 0).is_err());
        }
        // The same number of descriptors, written in two bytes where one is enough.
        let overlong = [&[good[0] | 0x80, 0], &good[1..]].concat();
        assert!(decode(&overlong, &tree(), 0).unwrap_err().message().contains("canonical"));
    }

    #[test]
    fn a_running_hash_that_contradicts_its_length_is_refused() {
        let mut hash = OutputHash::default();
        hash.update(&[7; 5000]);
        let good = encode(&State::new(&tree()), &hash, &OutputHash::default());
        assert!(decode(&good, &tree(), 0).is_ok());
        let at = encode(&State::new(&tree()), &OutputHash::default(), &OutputHash::default()).len() - 68;
        // The length 5000 is the bytes 0x88 0x27 there; 5001 would need one byte more in the partial block.
        assert_eq!(good[at..at + 2], [0x88, 0x27]);
        let mut bad = good;
        bad[at] += 1;
        assert!(decode(&bad, &tree(), 0).unwrap_err().message().contains("contradicts its length"));
    }

    #[test]
    fn numbers_are_given_lowest_first_up_to_the_limit() {
        let mut state = State::new(&tree());
        assert_eq!(state.lowest_free(), Some(4));
        state.descriptors.remove(&1);
        assert_eq!(state.lowest_free(), Some(1));
        for fd in 0..MAX_FDS {
            state.descriptors.insert(fd, Descriptor::new(Target::Node(2), &tree(), 0));
        }
        assert_eq!(state.lowest_free(), None);
    }
}
