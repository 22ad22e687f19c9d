//! What the calls that name files by paths will walk: looked at before they are charged, by the same resolution that they
//! then make, and with nothing changed.

use crate::wasi::calls::{Args, WasiCall};
use crate::wasi::fs::ResolvedPath;
use crate::wasi::path::follows_to_open;
use crate::wasi::{Errno, Wasi, path_bytes};
use stepmark_core::host::{GuestMemory, Steps, Work};

impl Wasi {
    /// The work of a call that resolves paths of these lengths: their bytes, and the steps of the walks.
    pub(super) fn path_work(&self, call: WasiCall, args: Args<'_>, memory: &dyn GuestMemory, lengths: &[u32]) -> Work {
        let mut steps = Steps::counting();
        // A walk that fails is paid for up to there.
        let _ = self.count_walks(call, args, memory, &mut steps);
        Work { bytes: path_bytes(lengths), steps: steps.taken(), pages: 0 }
    }

    fn count_walks(
        &self,
        call: WasiCall,
        args: Args<'_>,
        memory: &dyn GuestMemory,
        steps: &mut Steps,
    ) -> Result<(), Errno> {
        // Rights decide less than the walk: what a call without them would walk is an upper bound.
        let mut look_up = |fd: usize, follow: bool, path: usize| {
            let path = (args.ptr(path), args.ptr(path.saturating_add(1)));
            self.look_up(args.u32(fd), 0, follow, memory, path, steps)
        };
        let follow = args.u32(1) == 1;
        match call {
            WasiCall::PathCreateDirectory
            | WasiCall::PathRemoveDirectory
            | WasiCall::PathUnlinkFile
            | WasiCall::PathReadlink => look_up(0, false, 1).map(drop),
            WasiCall::PathFilestatGet | WasiCall::PathFilestatSetTimes => look_up(0, follow, 2).map(drop),
            WasiCall::PathOpen => look_up(0, follows_to_open(follow, args.u32(4)), 2).map(drop),
            WasiCall::PathSymlink => look_up(2, false, 3).map(drop),
            WasiCall::PathLink => {
                look_up(0, follow, 2)?;
                look_up(4, false, 5).map(drop)
            }
            WasiCall::PathRename => {
                let (old, new) = (look_up(0, false, 1)?, look_up(3, false, 4)?);
                self.count_parents(&old, &new, steps);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The steps of the question whether what is at `old` would move into itself.
    fn count_parents(&self, old: &ResolvedPath, new: &ResolvedPath, steps: &mut Steps) {
        let directory = old.node.filter(|node| self.fs.directory(*node).is_some());
        if let Some(node) = directory
            && old.directory != new.directory
        {
            self.fs.is_within(new.directory, node, steps);
        }
    }
}
