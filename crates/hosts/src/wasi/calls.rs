//! The one table of calls: name, parameters, and the number by which the engine asks for them. Every function of preview
//! 1 is here, and so is every one of preview 0, which has the same but `sock_accept`.

use crate::wasi::{MODULE, MODULE_0};
use stepmark_state::host_type::HostType;
use stepmark_state::host_type::HostType::{I32, I64};

/// A call, numbered by its row in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the calls' own")]
pub(super) enum WasiCall {
    ArgsGet,
    ArgsSizesGet,
    EnvironGet,
    EnvironSizesGet,
    ClockResGet,
    ClockTimeGet,
    FdAdvise,
    FdAllocate,
    FdClose,
    FdDatasync,
    FdFdstatGet,
    FdFdstatSetFlags,
    FdFdstatSetRights,
    FdFilestatGet,
    FdFilestatSetSize,
    FdFilestatSetTimes,
    FdPread,
    FdPrestatGet,
    FdPrestatDirName,
    FdPwrite,
    FdRead,
    FdReaddir,
    FdRenumber,
    FdSeek,
    FdSync,
    FdTell,
    FdWrite,
    PathCreateDirectory,
    PathFilestatGet,
    PathFilestatSetTimes,
    PathLink,
    PathOpen,
    PathReadlink,
    PathRemoveDirectory,
    PathRename,
    PathSymlink,
    PathUnlinkFile,
    PollOneoff,
    ProcExit,
    ProcRaise,
    SchedYield,
    RandomGet,
    SockAccept,
    SockRecv,
    SockSend,
    SockShutdown,
}

/// A row of the table.
pub(super) struct WasiRow {
    pub(super) call: WasiCall,
    pub(super) name: &'static str,
    pub(super) params: &'static [HostType],
}

impl WasiRow {
    /// Every call answers an error number but the one that does not return.
    pub(super) fn results(&self) -> &'static [HostType] {
        if self.call == WasiCall::ProcExit { &[] } else { &[I32] }
    }
}

const fn row(call: WasiCall, name: &'static str, params: &'static [HostType]) -> WasiRow {
    WasiRow { call, name, params }
}

/// All calls; a call's id is its position.
pub(super) const TABLE: &[WasiRow] = &[
    row(WasiCall::ArgsGet, "args_get", &[I32, I32]),
    row(WasiCall::ArgsSizesGet, "args_sizes_get", &[I32, I32]),
    row(WasiCall::EnvironGet, "environ_get", &[I32, I32]),
    row(WasiCall::EnvironSizesGet, "environ_sizes_get", &[I32, I32]),
    row(WasiCall::ClockResGet, "clock_res_get", &[I32, I32]),
    row(WasiCall::ClockTimeGet, "clock_time_get", &[I32, I64, I32]),
    row(WasiCall::FdAdvise, "fd_advise", &[I32, I64, I64, I32]),
    row(WasiCall::FdAllocate, "fd_allocate", &[I32, I64, I64]),
    row(WasiCall::FdClose, "fd_close", &[I32]),
    row(WasiCall::FdDatasync, "fd_datasync", &[I32]),
    row(WasiCall::FdFdstatGet, "fd_fdstat_get", &[I32, I32]),
    row(WasiCall::FdFdstatSetFlags, "fd_fdstat_set_flags", &[I32, I32]),
    row(WasiCall::FdFdstatSetRights, "fd_fdstat_set_rights", &[I32, I64, I64]),
    row(WasiCall::FdFilestatGet, "fd_filestat_get", &[I32, I32]),
    row(WasiCall::FdFilestatSetSize, "fd_filestat_set_size", &[I32, I64]),
    row(WasiCall::FdFilestatSetTimes, "fd_filestat_set_times", &[I32, I64, I64, I32]),
    row(WasiCall::FdPread, "fd_pread", &[I32, I32, I32, I64, I32]),
    row(WasiCall::FdPrestatGet, "fd_prestat_get", &[I32, I32]),
    row(WasiCall::FdPrestatDirName, "fd_prestat_dir_name", &[I32, I32, I32]),
    row(WasiCall::FdPwrite, "fd_pwrite", &[I32, I32, I32, I64, I32]),
    row(WasiCall::FdRead, "fd_read", &[I32, I32, I32, I32]),
    row(WasiCall::FdReaddir, "fd_readdir", &[I32, I32, I32, I64, I32]),
    row(WasiCall::FdRenumber, "fd_renumber", &[I32, I32]),
    row(WasiCall::FdSeek, "fd_seek", &[I32, I64, I32, I32]),
    row(WasiCall::FdSync, "fd_sync", &[I32]),
    row(WasiCall::FdTell, "fd_tell", &[I32, I32]),
    row(WasiCall::FdWrite, "fd_write", &[I32, I32, I32, I32]),
    row(WasiCall::PathCreateDirectory, "path_create_directory", &[I32, I32, I32]),
    row(WasiCall::PathFilestatGet, "path_filestat_get", &[I32, I32, I32, I32, I32]),
    row(WasiCall::PathFilestatSetTimes, "path_filestat_set_times", &[I32, I32, I32, I32, I64, I64, I32]),
    row(WasiCall::PathLink, "path_link", &[I32, I32, I32, I32, I32, I32, I32]),
    row(WasiCall::PathOpen, "path_open", &[I32, I32, I32, I32, I32, I64, I64, I32, I32]),
    row(WasiCall::PathReadlink, "path_readlink", &[I32, I32, I32, I32, I32, I32]),
    row(WasiCall::PathRemoveDirectory, "path_remove_directory", &[I32, I32, I32]),
    row(WasiCall::PathRename, "path_rename", &[I32, I32, I32, I32, I32, I32]),
    row(WasiCall::PathSymlink, "path_symlink", &[I32, I32, I32, I32, I32]),
    row(WasiCall::PathUnlinkFile, "path_unlink_file", &[I32, I32, I32]),
    row(WasiCall::PollOneoff, "poll_oneoff", &[I32, I32, I32, I32]),
    row(WasiCall::ProcExit, "proc_exit", &[I32]),
    row(WasiCall::ProcRaise, "proc_raise", &[I32]),
    row(WasiCall::SchedYield, "sched_yield", &[]),
    row(WasiCall::RandomGet, "random_get", &[I32, I32]),
    row(WasiCall::SockAccept, "sock_accept", &[I32, I32, I32]),
    row(WasiCall::SockRecv, "sock_recv", &[I32, I32, I32, I32, I32, I32]),
    row(WasiCall::SockSend, "sock_send", &[I32, I32, I32, I32, I32]),
    row(WasiCall::SockShutdown, "sock_shutdown", &[I32, I32]),
];

/// The names of all calls.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.name)
}

/// Ids from here on are those of preview 0.
const UNSTABLE: u32 = 1 << 8;

/// The call with this id, and whether it is that of preview 0.
pub(super) fn by_id(id: u32) -> Option<(&'static WasiRow, bool)> {
    let position = usize::try_from(id % UNSTABLE).ok()?;
    TABLE.get(position).filter(|_| id < UNSTABLE << 1).map(|row| (row, id >= UNSTABLE))
}

/// The id and row of the call with exactly this name, in the version of the interface that `module` names.
pub(super) fn by_name(module: &str, name: &str) -> Option<(u32, &'static WasiRow)> {
    let first = match module {
        MODULE => 0,
        MODULE_0 if name != "sock_accept" => UNSTABLE,
        _ => return None,
    };
    (first..).zip(TABLE).find(|(_, row)| row.name == name)
}

/// Arguments of a call. Their number has been checked against the table; a missing one would read as 0.
#[derive(Clone, Copy)]
pub(super) struct Args<'a> {
    pub(super) slots: &'a [u64],
    /// Whether the call is that of preview 0, some of whose records are laid out otherwise.
    pub(super) is_unstable: bool,
}

impl Args<'_> {
    pub(super) fn u64(self, index: usize) -> u64 {
        self.slots.get(index).copied().unwrap_or_default()
    }

    /// An `I32` argument: the low half of its slot.
    pub(super) fn u32(self, index: usize) -> u32 {
        (self.u64(index) & 0xffff_ffff) as u32
    }

    /// A pointer into the program's memory.
    pub(super) fn ptr(self, index: usize) -> u64 {
        u64::from(self.u32(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positions_and_names_are_unique() {
        for (position, row) in TABLE.iter().enumerate() {
            assert_eq!(row.call as usize, position, "{}", row.name);
            for (module, is_unstable) in [(MODULE, false), (MODULE_0, true)] {
                let Some((id, _)) = by_name(module, row.name) else {
                    assert_eq!((module, row.name), (MODULE_0, "sock_accept"), "preview 0 has all others");
                    continue;
                };
                assert_eq!(by_id(id).map(|(found, is)| (found.call as usize, is)), Some((position, is_unstable)));
            }
        }
        for id in [TABLE.len() as u32, UNSTABLE + TABLE.len() as u32, UNSTABLE * 2, u32::MAX] {
            assert!(by_id(id).is_none(), "{id}");
        }
        assert!(by_name("wasi", "fd_write").is_none());
    }
}
