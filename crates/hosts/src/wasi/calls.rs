//! The one table of calls: name, parameters, and the number by which the engine asks for them. Every function of preview
//! 1 is here.

use stepmark_state::host_type::HostType;
use stepmark_state::host_type::HostType::{I32, I64};

/// A call, numbered by its row in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the calls' own")]
pub(super) enum Call {
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
pub(super) struct Row {
    pub(super) call: Call,
    pub(super) name: &'static str,
    pub(super) params: &'static [HostType],
}

impl Row {
    /// Every call answers an error number but the one that does not return.
    pub(super) fn results(&self) -> &'static [HostType] {
        if self.call == Call::ProcExit { &[] } else { &[I32] }
    }
}

const fn row(call: Call, name: &'static str, params: &'static [HostType]) -> Row {
    Row { call, name, params }
}

/// All calls; a call's id is its position.
pub(super) const TABLE: &[Row] = &[
    row(Call::ArgsGet, "args_get", &[I32, I32]),
    row(Call::ArgsSizesGet, "args_sizes_get", &[I32, I32]),
    row(Call::EnvironGet, "environ_get", &[I32, I32]),
    row(Call::EnvironSizesGet, "environ_sizes_get", &[I32, I32]),
    row(Call::ClockResGet, "clock_res_get", &[I32, I32]),
    row(Call::ClockTimeGet, "clock_time_get", &[I32, I64, I32]),
    row(Call::FdAdvise, "fd_advise", &[I32, I64, I64, I32]),
    row(Call::FdAllocate, "fd_allocate", &[I32, I64, I64]),
    row(Call::FdClose, "fd_close", &[I32]),
    row(Call::FdDatasync, "fd_datasync", &[I32]),
    row(Call::FdFdstatGet, "fd_fdstat_get", &[I32, I32]),
    row(Call::FdFdstatSetFlags, "fd_fdstat_set_flags", &[I32, I32]),
    row(Call::FdFdstatSetRights, "fd_fdstat_set_rights", &[I32, I64, I64]),
    row(Call::FdFilestatGet, "fd_filestat_get", &[I32, I32]),
    row(Call::FdFilestatSetSize, "fd_filestat_set_size", &[I32, I64]),
    row(Call::FdFilestatSetTimes, "fd_filestat_set_times", &[I32, I64, I64, I32]),
    row(Call::FdPread, "fd_pread", &[I32, I32, I32, I64, I32]),
    row(Call::FdPrestatGet, "fd_prestat_get", &[I32, I32]),
    row(Call::FdPrestatDirName, "fd_prestat_dir_name", &[I32, I32, I32]),
    row(Call::FdPwrite, "fd_pwrite", &[I32, I32, I32, I64, I32]),
    row(Call::FdRead, "fd_read", &[I32, I32, I32, I32]),
    row(Call::FdReaddir, "fd_readdir", &[I32, I32, I32, I64, I32]),
    row(Call::FdRenumber, "fd_renumber", &[I32, I32]),
    row(Call::FdSeek, "fd_seek", &[I32, I64, I32, I32]),
    row(Call::FdSync, "fd_sync", &[I32]),
    row(Call::FdTell, "fd_tell", &[I32, I32]),
    row(Call::FdWrite, "fd_write", &[I32, I32, I32, I32]),
    row(Call::PathCreateDirectory, "path_create_directory", &[I32, I32, I32]),
    row(Call::PathFilestatGet, "path_filestat_get", &[I32, I32, I32, I32, I32]),
    row(Call::PathFilestatSetTimes, "path_filestat_set_times", &[I32, I32, I32, I32, I64, I64, I32]),
    row(Call::PathLink, "path_link", &[I32, I32, I32, I32, I32, I32, I32]),
    row(Call::PathOpen, "path_open", &[I32, I32, I32, I32, I32, I64, I64, I32, I32]),
    row(Call::PathReadlink, "path_readlink", &[I32, I32, I32, I32, I32, I32]),
    row(Call::PathRemoveDirectory, "path_remove_directory", &[I32, I32, I32]),
    row(Call::PathRename, "path_rename", &[I32, I32, I32, I32, I32, I32]),
    row(Call::PathSymlink, "path_symlink", &[I32, I32, I32, I32, I32]),
    row(Call::PathUnlinkFile, "path_unlink_file", &[I32, I32, I32]),
    row(Call::PollOneoff, "poll_oneoff", &[I32, I32, I32, I32]),
    row(Call::ProcExit, "proc_exit", &[I32]),
    row(Call::ProcRaise, "proc_raise", &[I32]),
    row(Call::SchedYield, "sched_yield", &[]),
    row(Call::RandomGet, "random_get", &[I32, I32]),
    row(Call::SockAccept, "sock_accept", &[I32, I32, I32]),
    row(Call::SockRecv, "sock_recv", &[I32, I32, I32, I32, I32, I32]),
    row(Call::SockSend, "sock_send", &[I32, I32, I32, I32, I32]),
    row(Call::SockShutdown, "sock_shutdown", &[I32, I32]),
];

/// The names of all calls.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.name)
}

/// The call with this id.
pub(super) fn by_id(id: u32) -> Option<&'static Row> {
    TABLE.get(usize::try_from(id).ok()?)
}

/// The id and row of the call with exactly this name.
pub(super) fn by_name(name: &str) -> Option<(u32, &'static Row)> {
    (0u32..).zip(TABLE).find(|(_, row)| row.name == name)
}

/// Arguments of a call. Their number has been checked against the table; a missing one would read as 0.
#[derive(Clone, Copy)]
pub(super) struct Args<'a>(pub(super) &'a [u64]);

impl Args<'_> {
    pub(super) fn u64(self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or_default()
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
            assert_eq!(by_name(row.name).unwrap().0 as usize, position, "{}", row.name);
        }
        assert!(by_id(TABLE.len() as u32).is_none() && by_id(u32::MAX).is_none());
    }
}
