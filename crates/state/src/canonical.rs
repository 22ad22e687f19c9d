//! The canonical state as plain data: what a run is at one moment in the terms of the WebAssembly specification, without
//! the paged contents, which are in the spaces. Equal states have equal bytes, whichever engine made them.
//!
//! Values are bit patterns in u64: i32 and f32 in the low half, the high half zero; v128 is two of them, low half first.
//! References are 0 for null, `1 + (instance << 32 | index)` for a function, `1 + value` for a host's value, 1 + the position in
//! [`RunState::exceptions`] for an exception.

use serde::{Deserialize, Serialize};

use crate::encoding::bounded;
use crate::encoding::not_ascending;
use crate::error::JobError;
use crate::pages::{SPACE_KEY_VALUE, SPACE_MEMORY, SpaceId, space_name};
use crate::trap::Trap;

/// Context string of the state hash (BLAKE3's key derivation mode).
pub const STATE_DOMAIN: &str = "guest-interp 2026 state v1";

/// Frames that a snapshot can hold, 64 times the default call depth: a bound for the memory that decoding takes.
pub const MAX_FRAMES: usize = 1 << 22;
/// Instances that a snapshot can hold: far above any linked set, a bound for the memory that decoding takes.
pub const MAX_INSTANCES: usize = 1 << 16;
/// Spaces that a snapshot can hold: memories, tables and files together.
pub const MAX_SPACES: usize = 1 << 20;
/// Exceptions that a snapshot can hold: the greatest limit that a job can set.
pub const MAX_EXCEPTIONS: usize = 1 << 24;
/// Host modules that a snapshot can hold.
pub const MAX_HOSTS: usize = 1 << 10;

/// The state of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunState {
    /// How far the run has come.
    pub phase: Phase,
    /// The innermost frame waits for the answer of a host call; its offset is that of the call.
    pub awaiting: bool,
    /// The call stack, outermost first.
    #[serde(deserialize_with = "bounded::<_, _, MAX_FRAMES>")]
    pub frames: Vec<FrameState>,
    /// What the entry returned.
    pub results: Vec<u64>,
    /// The exceptions that references point to, in the order in which they are first reached: from the frames, the
    /// globals, the tables, then the exceptions themselves.
    #[serde(deserialize_with = "bounded::<_, _, MAX_EXCEPTIONS>")]
    pub exceptions: Vec<ExceptionState>,
    /// Slots that count against the job's limit of exceptions: of those that were reachable when it was last met, and of all
    /// that were made since.
    pub exception_slots: u64,
    /// Instances in the order of their creation: linked modules, then the program.
    #[serde(deserialize_with = "bounded::<_, _, MAX_INSTANCES>")]
    pub instances: Vec<InstanceState>,
    /// Every space, by ascending kind and index. Memories and tables are numbered through all instances.
    #[serde(deserialize_with = "bounded::<_, _, MAX_SPACES>")]
    pub spaces: Vec<SpaceState>,
    /// State of the host modules, by ascending name.
    #[serde(deserialize_with = "bounded::<_, _, MAX_HOSTS>")]
    pub hosts: Vec<HostState>,
    /// Gas used since the start of the run.
    pub gas_total: u64,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// In the start function of an instance.
    Start {
        /// The instance.
        instance: u32,
    },
    /// In `_initialize`.
    Initialize,
    /// In the entry.
    Entry,
    /// The entry has returned.
    Finished,
    /// The program trapped; the frames are those at the trap.
    Trapped {
        /// Why.
        trap: Trap,
    },
    /// The program asked to exit.
    Exited {
        /// With this code.
        code: u32,
    },
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameState {
    /// The instance that the function belongs to.
    pub instance: u32,
    /// The function's index in its module.
    pub func: u32,
    /// Byte offset in the module of the next instruction; in an outer frame the one after its call.
    pub offset: u32,
    /// Parameters and locals.
    pub locals: Vec<u64>,
    /// The operand stack, bottom first; in an outer frame without the arguments of its call.
    pub operands: Vec<u64>,
}

/// An exception that a reference points to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionState {
    /// The instance that defines its tag.
    pub instance: u32,
    /// The tag's index there.
    pub tag: u32,
    /// Its payload.
    pub values: Vec<u64>,
}

/// What an instance of a module holds; contents of memories and tables are in the spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceState {
    /// Values of the globals that it defines (not imports), by index.
    pub globals: Vec<u64>,
    /// Sizes of the memories that it defines, in pages of 64 KiB.
    pub memories: Vec<u64>,
    /// Sizes of the tables that it defines, in elements.
    pub tables: Vec<u64>,
    /// Data segments that were dropped, ascending.
    pub dropped_data: Vec<u32>,
    /// Element segments that were dropped, ascending.
    pub dropped_elements: Vec<u32>,
}

/// The commitment to the contents of a space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceState {
    /// Its kind, as in `.bin`.
    pub kind: u8,
    /// Its number among the spaces of its kind.
    pub index: u32,
    /// Its size in pages of 4 KiB, the last one possibly in part.
    pub pages: u64,
    /// Merkle root of its contents.
    pub root: [u8; 32],
}

impl SpaceState {
    /// Which space it is.
    pub fn id(&self) -> SpaceId {
        SpaceId::new(self.kind, self.index)
    }
}

/// The state of a host module, in a form of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostState {
    /// The module's name.
    pub name: String,
    /// What it saved.
    pub bytes: Vec<u8>,
}

/// A segment up to this snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRecord {
    /// Snapshot id, from 1; when paused the id of the predecessor, 0 when there is none.
    pub id: u64,
    /// Stopped before the limit was reached: not a link of the chain.
    pub paused: bool,
    /// Gas limit that the segment ran under.
    pub limit: u64,
    /// Gas used in the segment.
    pub gas_used: u64,
    /// Hash of the predecessor `.snap`; zeros when there is none.
    pub previous_snap: [u8; 32],
    /// Hash of the `.bin` that belongs to this `.snap`.
    pub bin: [u8; 32],
}

/// The hash of a state: BLAKE3 in key derivation mode, context [`STATE_DOMAIN`], over the postcard encoding. It commits to
/// the paged contents through the roots.
pub fn state_hash(state: &RunState) -> [u8; 32] {
    crate::encoding::hash_encoded(STATE_DOMAIN, state)
}

impl RunState {
    /// Checks what can be checked without the program: that all that has an order is in it.
    ///
    /// # Errors
    /// Spaces, host modules or dropped segments out of order; an unknown kind of space; results before the entry returned.
    pub fn check(&self) -> Result<(), JobError> {
        if let Some(space) = self.spaces.iter().find(|space| !(SPACE_MEMORY..=SPACE_KEY_VALUE).contains(&space.kind)) {
            return Err(JobError::snapshot(format!("state: space of unknown kind {}", space.kind)));
        }
        let keys: Vec<_> = self.spaces.iter().map(|space| (space.kind, space.index)).collect();
        if let Some((kind, index)) = not_ascending(&keys, |key| key) {
            let name = space_name(*kind).unwrap_or_default();
            return Err(JobError::snapshot(format!("state: {name} {index} is not in ascending order of spaces")));
        }
        if let Some(space) = self.spaces.iter().find(|space| space.pages > crate::pages::MAX_PAGES) {
            let name = space_name(space.kind).unwrap_or_default();
            return Err(JobError::snapshot(format!("state: {name} {} has {} pages", space.index, space.pages)));
        }
        if let Some(host) = not_ascending(&self.hosts, |host| &host.name) {
            return Err(JobError::snapshot(format!("state: host module '{}' is not in ascending order", host.name)));
        }
        for (number, instance) in self.instances.iter().enumerate() {
            let lists = [("data", &instance.dropped_data), ("element", &instance.dropped_elements)];
            for (name, dropped) in lists {
                if let Some(index) = not_ascending(dropped, |index| index) {
                    return Err(JobError::snapshot(format!(
                        "state: instance {number}: dropped {name} segment {index} is not in ascending order"
                    )));
                }
            }
        }
        if !self.results.is_empty() && self.phase != Phase::Finished {
            return Err(JobError::snapshot("state: results of an entry that has not returned"));
        }
        Ok(())
    }
}

impl SegmentRecord {
    /// Whether there is no snapshot before this one.
    pub fn is_first(&self) -> bool {
        self.id == u64::from(!self.paused)
    }

    /// Checks the segment against itself.
    ///
    /// # Errors
    /// Id 0 in a chain, a predecessor named by the first snapshot, more gas used than the limit.
    pub fn check(&self) -> Result<(), JobError> {
        if self.id == 0 && !self.paused {
            return Err(JobError::snapshot("segment: snapshot id 0, expected 1 or more"));
        }
        if self.is_first() && self.previous_snap != [0; 32] {
            return Err(JobError::snapshot("segment: a predecessor is named by the first snapshot"));
        }
        if self.gas_used > self.limit {
            return Err(JobError::snapshot(format!(
                "segment: {} gas used, over its limit {}",
                self.gas_used, self.limit
            )));
        }
        Ok(())
    }
}

/// A state with something in every field, for tests of what writes or reads one.
pub fn sample() -> RunState {
    RunState {
        phase: Phase::Start { instance: 1 },
        awaiting: true,
        frames: vec![FrameState {
            instance: 1,
            func: 300,
            offset: 70_000,
            locals: vec![1, u64::MAX],
            operands: vec![7],
        }],
        results: vec![],
        exceptions: vec![ExceptionState { instance: 0, tag: 3, values: vec![300] }],
        exception_slots: 9,
        instances: vec![
            InstanceState::default(),
            InstanceState {
                globals: vec![1 << 63],
                memories: vec![2],
                tables: vec![10],
                dropped_data: vec![0, 4],
                dropped_elements: vec![1],
            },
        ],
        spaces: vec![
            SpaceState { kind: 1, index: 0, pages: 32, root: [3; 32] },
            SpaceState { kind: 2, index: 0, pages: 1, root: [4; 32] },
        ],
        hosts: vec![HostState { name: "wasi".into(), bytes: vec![0, 255] }],
        gas_total: 1 << 40,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(change: impl FnOnce(&mut RunState)) -> String {
        let mut state = sample();
        change(&mut state);
        state.check().unwrap_err().message().to_owned()
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let state = RunState {
            phase: Phase::Trapped { trap: Trap::IntegerDivideByZero },
            frames: vec![FrameState { instance: 0, func: 1, offset: 300, locals: vec![128], operands: vec![] }],
            spaces: vec![SpaceState { kind: 1, index: 0, pages: 16, root: [9; 32] }],
            hosts: vec![HostState { name: "h".into(), bytes: vec![200] }],
            instances: vec![InstanceState { globals: vec![5], ..InstanceState::default() }],
            results: vec![],
            exceptions: vec![ExceptionState { instance: 2, tag: 1, values: vec![128] }],
            exception_slots: 5,
            awaiting: false,
            gas_total: 1,
        };
        let expected = [
            &[4, 6, 0][..],
            &[1, 0, 1, 0xac, 0x02, 1, 0x80, 0x01, 0],
            &[0],
            &[1, 2, 1, 1, 0x80, 0x01, 5],
            &[1, 1, 5, 0, 0, 0, 0],
            &[1, 1, 0, 16],
            &[9; 32],
            &[1, 1, b'h', 1, 200],
            &[1],
        ]
        .concat();
        assert_eq!(postcard::to_allocvec(&state).unwrap(), expected);
        assert_eq!(state_hash(&state), blake3::derive_key("guest-interp 2026 state v1", &expected));
    }

    #[test]
    fn phases_and_traps_are_numbered_as_documented() {
        let bytes = |phase: Phase| postcard::to_allocvec(&phase).unwrap();
        assert_eq!(bytes(Phase::Start { instance: 2 }), [0, 2]);
        assert_eq!(bytes(Phase::Initialize), [1]);
        assert_eq!(bytes(Phase::Entry), [2]);
        assert_eq!(bytes(Phase::Finished), [3]);
        assert_eq!(bytes(Phase::Exited { code: 200 }), [5, 200, 1]);
        for trap in [Trap::Unreachable, Trap::UninitializedElement, Trap::CallStackExhausted, Trap::ExceptionsExhausted]
        {
            assert_eq!(bytes(Phase::Trapped { trap }), [4, trap as u8]);
        }
    }

    #[test]
    fn states_out_of_order_are_refused() {
        assert_eq!(sample().check(), Ok(()));
        assert_eq!(message(|s| s.spaces.swap(0, 1)), "state: memory 0 is not in ascending order of spaces");
        assert_eq!(message(|s| s.spaces[1].kind = 5), "state: space of unknown kind 5");
        assert_eq!(message(|s| s.spaces[0].pages = u64::MAX), "state: memory 0 has 18446744073709551615 pages");
        let twice = message(|s| s.hosts.push(s.hosts[0].clone()));
        assert_eq!(twice, "state: host module 'wasi' is not in ascending order");
        let dropped = message(|s| s.instances[1].dropped_data.push(4));
        assert_eq!(dropped, "state: instance 1: dropped data segment 4 is not in ascending order");
        assert_eq!(message(|s| s.results.push(1)), "state: results of an entry that has not returned");
    }

    #[test]
    fn segments_that_contradict_themselves_are_refused() {
        let good = SegmentRecord { id: 1, paused: false, limit: 5, gas_used: 5, previous_snap: [0; 32], bin: [1; 32] };
        let message = |segment: SegmentRecord| segment.check().unwrap_err().message().to_owned();
        assert_eq!(good.check(), Ok(()));
        assert_eq!(SegmentRecord { id: 0, paused: true, ..good }.check(), Ok(()));
        assert_eq!(message(SegmentRecord { id: 0, ..good }), "segment: snapshot id 0, expected 1 or more");
        assert_eq!(message(SegmentRecord { gas_used: 6, ..good }), "segment: 6 gas used, over its limit 5");
        let first = "segment: a predecessor is named by the first snapshot";
        assert_eq!(message(SegmentRecord { previous_snap: [1; 32], ..good }), first);
        assert_eq!(message(SegmentRecord { id: 0, paused: true, previous_snap: [1; 32], ..good }), first);
    }
}
