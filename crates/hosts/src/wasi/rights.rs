//! Rights of descriptors. Reading and writing data are checked as POSIX does (`EBADF`); every other right that a call
//! needs and the descriptor lacks is `ENOTCAPABLE`.

pub(super) const FD_DATASYNC: u64 = 1 << 0;
pub(super) const FD_READ: u64 = 1 << 1;
pub(super) const FD_SEEK: u64 = 1 << 2;
pub(super) const FD_FDSTAT_SET_FLAGS: u64 = 1 << 3;
pub(super) const FD_SYNC: u64 = 1 << 4;
pub(super) const FD_TELL: u64 = 1 << 5;
pub(super) const FD_WRITE: u64 = 1 << 6;
pub(super) const FD_ADVISE: u64 = 1 << 7;
pub(super) const FD_ALLOCATE: u64 = 1 << 8;
pub(super) const PATH_CREATE_DIRECTORY: u64 = 1 << 9;
pub(super) const PATH_CREATE_FILE: u64 = 1 << 10;
pub(super) const PATH_LINK_SOURCE: u64 = 1 << 11;
pub(super) const PATH_LINK_TARGET: u64 = 1 << 12;
pub(super) const PATH_OPEN: u64 = 1 << 13;
pub(super) const FD_READDIR: u64 = 1 << 14;
pub(super) const PATH_READLINK: u64 = 1 << 15;
pub(super) const PATH_RENAME_SOURCE: u64 = 1 << 16;
pub(super) const PATH_RENAME_TARGET: u64 = 1 << 17;
pub(super) const PATH_FILESTAT_GET: u64 = 1 << 18;
pub(super) const PATH_FILESTAT_SET_SIZE: u64 = 1 << 19;
pub(super) const PATH_FILESTAT_SET_TIMES: u64 = 1 << 20;
pub(super) const FD_FILESTAT_GET: u64 = 1 << 21;
pub(super) const FD_FILESTAT_SET_SIZE: u64 = 1 << 22;
pub(super) const FD_FILESTAT_SET_TIMES: u64 = 1 << 23;
pub(super) const PATH_SYMLINK: u64 = 1 << 24;
pub(super) const PATH_REMOVE_DIRECTORY: u64 = 1 << 25;
pub(super) const PATH_UNLINK_FILE: u64 = 1 << 26;
pub(super) const POLL_FD_READWRITE: u64 = 1 << 27;

/// Every right that preview 1 defines: bits 0 to 29.
pub(super) const ALL: u64 = (1 << 30) - 1;

/// Most that standard input can have: it can be read, not positioned.
pub(super) const STDIN: u64 = FD_READ | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE;

/// Most that standard output and error can have: they can be written, not positioned.
pub(super) const OUTPUT: u64 = FD_WRITE | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | FD_SYNC | POLL_FD_READWRITE;

/// Most that a file can have.
pub(super) const FILE: u64 = FD_DATASYNC
    | FD_READ
    | FD_WRITE
    | FD_ALLOCATE
    | FD_FILESTAT_SET_SIZE
    | FD_SEEK
    | FD_TELL
    | FD_FDSTAT_SET_FLAGS
    | FD_SYNC
    | FD_ADVISE
    | FD_FILESTAT_GET
    | FD_FILESTAT_SET_TIMES
    | POLL_FD_READWRITE;

/// Most that a directory can have. Neither reading nor seeking is among them: a directory has no data.
pub(super) const DIRECTORY: u64 = FD_FDSTAT_SET_FLAGS
    | FD_SYNC
    | PATH_CREATE_DIRECTORY
    | PATH_CREATE_FILE
    | PATH_LINK_SOURCE
    | PATH_LINK_TARGET
    | PATH_OPEN
    | FD_READDIR
    | PATH_READLINK
    | PATH_RENAME_SOURCE
    | PATH_RENAME_TARGET
    | PATH_FILESTAT_GET
    | PATH_FILESTAT_SET_SIZE
    | PATH_FILESTAT_SET_TIMES
    | FD_FILESTAT_GET
    | FD_FILESTAT_SET_TIMES
    | PATH_SYMLINK
    | PATH_REMOVE_DIRECTORY
    | PATH_UNLINK_FILE;
