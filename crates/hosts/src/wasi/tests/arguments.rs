//! What wrong arguments come to: every pointer of every call, and every error number.

use super::*;
use crate::wasi::Errno::*;

/// Valid arguments of a call, and its pointers: the argument's index and the bytes that must be there. The path `top` is
/// at 0x8000, a table of one buffer of 4 bytes at 0x100, a subscription to a clock at 0x200; 4 is a file, 5 a directory.
type Case = (&'static str, &'static [u64], &'static [(usize, u64)]);

const CASES: &[Case] = &[
    ("args_get", &[0, 64], &[(0, 12), (1, 15)]),
    ("args_sizes_get", &[0, 4], &[(0, 4), (1, 4)]),
    ("environ_get", &[0, 64], &[(0, 8), (1, 14)]),
    ("environ_sizes_get", &[0, 4], &[(0, 4), (1, 4)]),
    ("clock_res_get", &[0, 0], &[(1, 8)]),
    ("clock_time_get", &[0, 0, 0], &[(2, 8)]),
    ("fd_fdstat_get", &[4, 0], &[(1, 24)]),
    ("fd_filestat_get", &[4, 0], &[(1, 64)]),
    ("fd_pread", &[4, 0x100, 1, 0, 0], &[(1, 8), (4, 4)]),
    ("fd_prestat_get", &[3, 0], &[(1, 8)]),
    ("fd_prestat_dir_name", &[3, 0, 1], &[(1, 1)]),
    ("fd_read", &[4, 0x100, 1, 0], &[(1, 8), (3, 4)]),
    ("fd_readdir", &[5, 0, 100, 0, 200], &[(1, 100), (4, 4)]),
    ("fd_seek", &[4, 1, 0, 0], &[(3, 8)]),
    ("fd_tell", &[4, 0], &[(1, 8)]),
    ("fd_write", &[1, 0x100, 1, 0], &[(1, 8), (3, 4)]),
    ("path_filestat_get", &[3, 1, 0x8000, 3, 0], &[(2, 3), (4, 64)]),
    ("path_open", &[3, 1, 0x8000, 3, 0, 2, 0, 0, 0], &[(2, 3), (8, 4)]),
    ("poll_oneoff", &[0x200, 0, 1, 0x300], &[(0, 48), (1, 32), (3, 4)]),
    ("random_get", &[0, 10], &[(0, 10)]),
    ("fd_pwrite", &[6, 0x100, 1, 0, 0], &[(1, 8), (4, 4)]),
    ("sock_recv", &[0, 0, 0, 0, 0, 0], &[]),
    ("sock_send", &[0, 0, 0, 0, 0], &[]),
    // These fail anyhow, but their pointers are looked at first.
    ("path_create_directory", &[3, 0x8000, 3], &[(1, 3)]),
    ("path_filestat_set_times", &[3, 1, 0x8000, 3, 0, 0, 0], &[(2, 3)]),
    ("path_link", &[3, 0, 0x8000, 3, 3, 0x8000, 3], &[(2, 3), (5, 3)]),
    ("path_readlink", &[3, 0x8000, 3, 0, 10, 20], &[(1, 3), (3, 10), (5, 4)]),
    ("path_remove_directory", &[3, 0x8000, 3], &[(1, 3)]),
    ("path_rename", &[3, 0x8000, 3, 3, 0x8000, 3], &[(1, 3), (4, 3)]),
    ("path_symlink", &[0x8000, 3, 3, 0x8000, 3], &[(0, 3), (3, 3)]),
    ("path_unlink_file", &[3, 0x8000, 3], &[(1, 3)]),
];

fn prepared() -> Guest {
    let mut guest = Guest::new();
    assert_eq!(guest.open("top", 0), Ok(4));
    assert_eq!(guest.open("dir", 0), Ok(5));
    assert_eq!(guest.open_at(3, "dir/b", 0, rights::ALL), Ok(6));
    guest.path("top");
    guest.iovecs(0x100, &[(0x400, 4)]);
    guest
}

#[test]
fn a_bad_pointer_is_a_fault_and_changes_nothing() {
    for (name, args, pointers) in CASES {
        for (index, length) in *pointers {
            for bad in [MEMORY as u64 - length + 1, MEMORY as u64, 1 << 31, u64::from(u32::MAX)] {
                let mut guest = prepared();
                guest.wasi.record_answers(true);
                let (state, memory) = (guest.wasi.save(), guest.memory.bytes.clone());
                let mut args = args.to_vec();
                args[*index] = bad;
                guest.fails(name, &args, Fault);
                assert_eq!(guest.wasi.save(), state, "{name}{args:?} changed the state");
                assert_eq!(guest.memory.bytes, memory, "{name}{args:?} changed the memory");
                assert_eq!((guest.wasi.pending(), guest.wasi.take_answers()), (0, vec![]), "{name}{args:?}");
            }
        }
    }
}

#[test]
fn a_pointer_to_the_very_end_is_good() {
    for (name, args, pointers) in CASES {
        for (index, length) in *pointers {
            let mut guest = prepared();
            let before = guest.call(name, args);
            let mut guest = prepared();
            let end = MEMORY as u64 - length;
            let content = guest.get(args[*index], *length);
            guest.put(end, &content);
            let mut args = args.to_vec();
            args[*index] = end;
            assert_eq!(guest.call(name, &args), before, "{name}{args:?}");
        }
    }
}

#[test]
fn the_table_of_pointers_covers_every_call_that_has_one() {
    let without = [
        "fd_advise",
        "fd_allocate",
        "fd_close",
        "fd_datasync",
        "fd_fdstat_set_flags",
        "fd_fdstat_set_rights",
        "fd_filestat_set_size",
        "fd_filestat_set_times",
        "fd_renumber",
        "fd_sync",
        "proc_exit",
        "proc_raise",
        "sched_yield",
        "sock_accept",
        "sock_shutdown",
    ];
    let covered: Vec<&str> = CASES.iter().map(|case| case.0).chain(without).collect();
    for row in calls::TABLE {
        assert!(covered.contains(&row.name), "{}", row.name);
    }
    assert_eq!(covered.len(), calls::TABLE.len());
}

#[test]
fn a_descriptor_that_is_not_open_is_refused_by_every_call() {
    let mut guest = prepared();
    for row in calls::TABLE {
        let starts_with_fd =
            row.name.starts_with("fd_") || row.name.starts_with("path_") || row.name.starts_with("sock_");
        if !starts_with_fd {
            continue;
        }
        let case = CASES.iter().find(|case| case.0 == row.name);
        let mut args = case.map_or(vec![0; row.params.len()], |case| case.1.to_vec());
        let position = if row.name == "path_symlink" { 2 } else { 0 };
        for fd in [7, 4096, u64::from(u32::MAX)] {
            args[position] = fd;
            guest.fails(row.name, &args, Badf);
        }
    }
    guest.fails("path_link", &[3, 0, PATH, 3, 9, PATH, 3], Badf);
    guest.fails("path_rename", &[3, PATH, 3, 9, PATH, 3], Badf);
    guest.fails("fd_renumber", &[4, 9], Badf);
    guest.ok("fd_tell", &[4, 0]);
}

#[test]
fn each_error_number_is_given_for_its_cause() {
    let mut guest = prepared();
    let p = PATH;
    guest.put(0x9000, b"missing\xff\0dir");
    let table: &[(&str, &[u64], Errno)] = &[
        ("clock_time_get", &[4, 0, 0], Inval),
        ("clock_res_get", &[4, 0], Inval),
        ("fd_advise", &[4, 0, 0, 6], Inval),
        ("fd_advise", &[1, 0, 0, 0], Spipe),
        ("fd_advise", &[5, 0, 0, 0], Badf),
        ("fd_allocate", &[4, u64::MAX, 1], Fbig),
        ("fd_allocate", &[4, 9 << 20, 1], Nospc),
        ("fd_allocate", &[4, 0, 0], Inval),
        ("fd_allocate", &[0, 0, 1], Spipe),
        ("fd_allocate", &[5, 0, 1], Badf),
        ("fd_datasync", &[0], Inval),
        ("fd_fdstat_set_flags", &[4, 32], Inval),
        ("fd_fdstat_set_flags", &[4, 65_536], Inval),
        ("fd_fdstat_set_rights", &[4, rights::FD_WRITE, 0], Notcapable),
        ("fd_fdstat_set_rights", &[0, 0, 1], Notcapable),
        ("fd_filestat_set_size", &[4, 1 << 63], Fbig),
        ("fd_filestat_set_size", &[4, (8 << 20) + 1], Nospc),
        ("fd_filestat_set_size", &[1, 0], Inval),
        ("fd_filestat_set_size", &[5, 0], Badf),
        ("fd_filestat_set_times", &[4, 0, 0, 3], Inval),
        ("fd_filestat_set_times", &[4, 0, 0, 12], Inval),
        ("fd_filestat_set_times", &[4, 0, 0, 16], Inval),
        ("fd_filestat_set_times", &[1, 0, 0, 0], Badf),
        ("fd_pread", &[0, 0x100, 1, 0, 0], Spipe),
        ("fd_pread", &[1, 0x100, 1, 0, 0], Badf),
        ("fd_pread", &[4, 0x100, 1, 1 << 63, 0], Inval),
        ("fd_pread", &[4, 0x100, 1025, 0, 0], Inval),
        ("fd_prestat_get", &[4, 0], Badf),
        ("fd_prestat_get", &[1, 0], Badf),
        ("fd_prestat_dir_name", &[3, 0, 0], Nametoolong),
        ("fd_prestat_dir_name", &[5, 0, 1], Badf),
        ("fd_pwrite", &[4, 0x100, 1, 0, 0], Badf),
        ("fd_pwrite", &[6, 0x100, 1, i64::MAX.cast_unsigned(), 0], Fbig),
        ("fd_pwrite", &[6, 0x100, 1, 8 << 20, 0], Nospc),
        ("fd_pwrite", &[1, 0x100, 1, 0, 0], Spipe),
        ("fd_read", &[5, 0x100, 1, 0], Badf),
        ("fd_read", &[1, 0x100, 1, 0], Badf),
        ("fd_read", &[0, 0x100, u64::from(u32::MAX), 0], Inval),
        ("fd_readdir", &[4, 0, 10, 0, 100], Notdir),
        ("fd_readdir", &[0, 0, 10, 0, 100], Notdir),
        ("fd_seek", &[0, 0, 1, 0], Spipe),
        ("fd_seek", &[5, 0, 0, 0], Badf),
        ("fd_seek", &[4, 0, 3, 0], Inval),
        ("fd_seek", &[4, (-1i64).cast_unsigned(), 0, 0], Inval),
        ("fd_seek", &[4, (-11i64).cast_unsigned(), 2, 0], Inval),
        ("fd_seek", &[4, i64::MAX.cast_unsigned(), 2, 0], Inval),
        ("fd_tell", &[1, 0], Spipe),
        ("fd_tell", &[5, 0], Badf),
        ("fd_write", &[0, 0x100, 1, 0], Badf),
        ("fd_write", &[4, 0x100, 1, 0], Badf),
        ("fd_write", &[1, 0x100, 1025, 0], Inval),
        ("path_create_directory", &[3, p, 3], Exist),
        ("path_create_directory", &[4, p, 3], Notdir),
        ("path_create_directory", &[1, p, 3], Notdir),
        ("path_create_directory", &[3, 0x9000, 8], Ilseq),
        ("path_create_directory", &[3, 0x9008, 4], Inval),
        ("path_create_directory", &[3, p, 0], Noent),
        ("path_create_directory", &[3, 0, 4097], Nametoolong),
        ("path_filestat_get", &[3, 1, 0x9000, 7, 0], Noent),
        ("path_filestat_get", &[3, 2, p, 3, 0], Inval),
        ("path_filestat_set_times", &[3, 1, p, 3, 0, 0, 7], Inval),
        ("path_filestat_set_times", &[3, 1, 0x9000, 7, 0, 0, 5], Noent),
        ("path_link", &[3, 0, 0x9009, 3, 3, 0x9000, 7], Perm),
        ("path_link", &[3, 0, p, 3, 3, p, 3], Exist),
        ("path_link", &[3, 0, 0x9000, 7, 3, 0x9000, 7], Noent),
        ("path_link", &[3, 2, p, 3, 3, 0x9000, 7], Inval),
        ("path_readlink", &[3, p, 3, 0, 10, 20], Inval),
        ("path_readlink", &[3, 0x9000, 7, 0, 10, 20], Noent),
        ("path_remove_directory", &[3, p, 3], Notdir),
        ("path_remove_directory", &[3, 0x9009, 3], Notempty),
        ("path_remove_directory", &[3, 0x9000, 7], Noent),
        ("path_rename", &[3, p, 3, 3, 0x9009, 3], Isdir),
        ("path_rename", &[3, 0x9009, 3, 3, p, 3], Notdir),
        ("path_rename", &[3, 0x9000, 7, 3, p, 3], Noent),
        ("path_symlink", &[p, 3, 3, p, 3], Exist),
        ("path_symlink", &[p, 0, 3, 0x9000, 7], Noent),
        ("path_unlink_file", &[3, 0x9009, 3], Isdir),
        ("path_unlink_file", &[3, 0x9000, 7], Noent),
        ("poll_oneoff", &[0x200, 0, 0, 0x300], Inval),
        ("poll_oneoff", &[0x200, 0, 4097, 0x300], Inval),
        ("proc_raise", &[9], Notsup),
        ("sock_accept", &[0, 0, 0], Notsock),
        ("sock_recv", &[0, 0, 0, 0, 0, 0], Notsock),
        ("sock_send", &[1, 0, 0, 0, 0], Notsock),
        ("sock_shutdown", &[4, 0], Notsock),
    ];
    for (name, args, errno) in table {
        guest.fails(name, args, *errno);
    }
    let state = guest.wasi.save();
    assert_eq!(state, prepared().wasi.save(), "failing calls changed the state");
}

#[test]
fn a_descriptor_without_the_right_is_refused() {
    let mut guest = prepared();
    for fd in 3..6 {
        guest.ok("fd_fdstat_set_rights", &[fd, 0, 0]);
    }
    let p = PATH;
    let table: &[(&str, &[u64], Errno)] = &[
        ("fd_advise", &[4, 0, 0, 0], Notcapable),
        ("fd_allocate", &[4, 0, 1], Notcapable),
        ("fd_filestat_set_size", &[4, 0], Notcapable),
        ("fd_fdstat_set_flags", &[4, 0], Notcapable),
        ("fd_filestat_get", &[4, 0], Notcapable),
        ("fd_filestat_set_times", &[4, 0, 0, 0], Notcapable),
        ("fd_read", &[4, 0x100, 1, 0], Badf),
        ("fd_pread", &[4, 0x100, 1, 0, 0], Badf),
        ("fd_readdir", &[5, 0, 100, 0, 200], Notcapable),
        ("fd_seek", &[4, 0, 1, 0], Notcapable),
        ("fd_sync", &[4], Notcapable),
        ("fd_tell", &[4, 0], Notcapable),
        ("path_create_directory", &[3, p, 3], Notcapable),
        ("path_filestat_get", &[3, 1, p, 3, 0], Notcapable),
        ("path_filestat_set_times", &[3, 1, p, 3, 0, 0, 0], Notcapable),
        ("path_link", &[3, 0, p, 3, 3, p, 3], Notcapable),
        ("path_open", &[3, 1, p, 3, 0, 2, 0, 0, 0], Notcapable),
        ("path_readlink", &[3, p, 3, 0, 10, 20], Notcapable),
        ("path_remove_directory", &[3, p, 3], Notcapable),
        ("path_rename", &[3, p, 3, 3, p, 3], Notcapable),
        ("path_symlink", &[p, 3, 3, p, 3], Notcapable),
        ("path_unlink_file", &[3, p, 3], Notcapable),
    ];
    for (name, args, errno) in table {
        guest.fails(name, args, *errno);
    }
}

#[test]
fn the_right_to_tell_is_enough_to_seek_nowhere() {
    let mut guest = prepared();
    guest.ok("fd_fdstat_set_rights", &[4, rights::FD_TELL, 0]);
    guest.ok("fd_seek", &[4, 0, 1, 0]);
    guest.fails("fd_seek", &[4, 0, 0, 0], Notcapable);
    guest.fails("fd_seek", &[4, 1, 1, 0], Notcapable);
}

#[test]
fn the_upper_halves_of_narrow_arguments_are_ignored() {
    let mut guest = prepared();
    let high = 0xdead_beef_0000_0000;
    guest.ok("fd_read", &[high | 4, high | 0x100, high | 1, high]);
    assert_eq!(guest.u32(0), 4);
}
