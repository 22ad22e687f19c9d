//! Files, directories and paths.

use super::*;
use crate::wasi::Errno::*;

pub(super) fn code(errno: Errno) -> u64 {
    u64::from(errno.code())
}

impl Guest {
    /// Lists a directory with a buffer of `size`, taking it up at the cookie of the last whole entry as libraries do.
    pub(super) fn list(&mut self, fd: u64, size: u64) -> Vec<(String, u64, u8)> {
        let (mut entries, mut cookie) = (Vec::new(), 0);
        loop {
            self.ok("fd_readdir", &[fd, 0x2000, size, cookie, 0]);
            let used = u64::from(self.u32(0));
            let (mut at, before) = (0x2000, entries.len());
            while at + 24 <= 0x2000 + used {
                let (next, inode, name_len) = (self.u64(at), self.u64(at + 8), u64::from(self.u32(at + 16)));
                if at + 24 + name_len > 0x2000 + used {
                    break;
                }
                let name = String::from_utf8(self.get(at + 24, name_len)).unwrap();
                entries.push((name, inode, self.get(at + 20, 1)[0]));
                (cookie, at) = (next, at + 24 + name_len);
            }
            if used < size {
                return entries;
            }
            assert!(entries.len() > before, "no progress with a buffer of {size}");
        }
    }

    pub(super) fn stat(&mut self, path: &str) -> Result<(u64, u8, u64), u64> {
        let [addr, len] = self.path(path);
        match self.call("path_filestat_get", &[3, 1, addr, len, 0]) {
            0 => Ok((self.u64(8), self.get(16, 1)[0], self.u64(32))),
            errno => Err(errno),
        }
    }
}

#[test]
fn nothing_is_open_that_the_job_does_not_name() {
    let mut guest = Guest::new();
    guest.wasi = Wasi::new(WasiConfig { inputs: Vec::new(), preopens: Vec::new(), ..config() }).unwrap();
    guest.fails("fd_prestat_get", &[3, 0], Badf);
    assert_eq!(guest.open("top", 0), Err(code(Badf)));
}

#[test]
fn preopened_directories_have_their_names_and_keep_them() {
    let mut guest = Guest::new();
    guest.ok("fd_prestat_get", &[3, 0]);
    assert_eq!(guest.get(0, 8), [0, 0, 0, 0, 1, 0, 0, 0]);
    guest.ok("fd_prestat_dir_name", &[3, 0, 10]);
    assert_eq!(guest.get(0, 2), b"/\0");
    guest.fails("fd_prestat_get", &[4, 0], Badf);
    guest.ok("fd_renumber", &[3, 2]);
    guest.ok("fd_prestat_get", &[2, 0]);
}

#[test]
fn a_listing_is_the_same_with_every_size_of_buffer() {
    let mut guest = Guest::new();
    let expected: Vec<(String, u64, u8)> = [(".", 1, 3), ("..", 1, 3), ("big", 2, 4), ("dir", 3, 3), ("top", 8, 4)]
        .map(|(name, inode, kind)| (name.to_owned(), inode, kind))
        .to_vec();
    for size in [27, 28, 50, 51, 52, 53, 100, 133, 134, 135, 4096] {
        assert_eq!(guest.list(3, size), expected, "buffer of {size}");
    }
    let fd = guest.open("dir", 2).unwrap();
    let names: Vec<(String, u64)> = guest.list(fd, 64).into_iter().map(|(name, inode, _)| (name, inode)).collect();
    let expected = [(".", 3), ("..", 1), ("a", 4), ("b", 5), ("sub", 6)].map(|(name, inode)| (name.to_owned(), inode));
    assert_eq!(names, expected);
}

#[test]
fn a_buffer_smaller_than_an_entry_is_filled_and_a_cookie_past_the_end_gives_nothing() {
    let mut guest = Guest::new();
    for size in [0, 1, 23, 24] {
        guest.ok("fd_readdir", &[3, 0x2000, size, 0, 0]);
        assert_eq!(u64::from(guest.u32(0)), size);
    }
    for cookie in [5, 6, u64::from(u32::MAX), 1 << 32, u64::MAX] {
        guest.ok("fd_readdir", &[3, 0x2000, 100, cookie, 0]);
        assert_eq!(guest.u32(0), 0, "cookie {cookie}");
    }
}

#[test]
fn the_price_of_a_listing_is_what_it_returns() {
    let mut guest = Guest::new();
    let id = guest.wasi.resolve(MODULE, "fd_readdir").unwrap().id;
    for cookie in 0..8 {
        for size in [0, 10, 60, 4096] {
            let args = [3, 0x2000, size, cookie, 0];
            guest.ok("fd_readdir", &args);
            assert_eq!(guest.wasi.work(id, &args, &guest.memory).bytes, u64::from(guest.u32(0)), "{args:?}");
        }
    }
}

#[test]
fn files_are_opened_read_and_positioned() {
    let mut guest = Guest::new();
    let fd = guest.open("dir/../top", 0).unwrap();
    assert_eq!(fd, 4);
    guest.iovecs(0x100, &[(0x400, 4)]);
    guest.ok("fd_read", &[fd, 0x100, 1, 0]);
    assert_eq!(guest.get(0x400, 4), b"0123");
    guest.ok("fd_pread", &[fd, 0x100, 1, 8, 0]);
    assert_eq!((guest.u32(0), guest.get(0x400, 2)), (2, b"89".to_vec()));
    guest.ok("fd_tell", &[fd, 0]);
    assert_eq!(guest.u64(0), 4);
    for (distance, whence, position) in [(-3, 2, 7), (-2, 1, 5), (1, 0, 1), (90, 2, 100), (i64::MAX, 0, i64::MAX)] {
        guest.ok("fd_seek", &[fd, distance.cast_unsigned(), whence, 0]);
        assert_eq!(guest.u64(0), position.cast_unsigned());
    }
    guest.ok("fd_read", &[fd, 0x100, 1, 0]);
    assert_eq!(guest.u32(0), 0, "beyond the end there is nothing");
    guest.ok("fd_pread", &[fd, 0x100, 1, i64::MAX.cast_unsigned(), 0]);
    assert_eq!(guest.u32(0), 0);
    guest.ok("fd_advise", &[fd, 0, u64::MAX, 5]);
}

#[test]
fn opening_answers_each_cause_by_its_number() {
    let mut guest = Guest::new();
    let table: &[(&str, u64, Result<(), Errno>)] = &[
        ("top", 0, Ok(())),
        ("top", 1, Ok(())),
        ("dir", 0, Ok(())),
        ("dir/", 2, Ok(())),
        (".", 2, Ok(())),
        ("dir/sub/./../b", 0, Ok(())),
        ("top", 2, Err(Notdir)),
        ("top/", 0, Err(Notdir)),
        ("top/x", 0, Err(Notdir)),
        ("top", 5, Err(Exist)),
        ("new", 0, Err(Noent)),
        ("new/", 1, Err(Noent)),
        ("new/file", 1, Err(Noent)),
        ("dir", 1, Err(Isdir)),
        ("dir", 8, Err(Isdir)),
        ("dir", 3, Err(Inval)),
        ("dir", 16, Err(Inval)),
        ("", 0, Err(Noent)),
        ("Top", 0, Err(Noent)),
        ("to", 0, Err(Noent)),
        ("topp", 0, Err(Noent)),
    ];
    for (path, oflags, expected) in table {
        assert_eq!(guest.open(path, *oflags).map(drop), expected.map_err(code), "{path} with {oflags}");
    }
    let writing = rights::FD_READ | rights::FD_WRITE;
    assert_eq!(guest.open_at(3, "dir", 0, writing), Err(code(Isdir)));
    assert_eq!(guest.open_at(3, "dir", 2, writing), Err(code(Isdir)));
    let [addr, len] = guest.path("top");
    guest.fails("path_open", &[3, 2, addr, len, 0, 2, 0, 0, 0], Inval);
    guest.fails("path_open", &[3, 0, addr, len, 0, 2, 0, 32, 0], Inval);
}

#[test]
fn no_path_leaves_its_directory() {
    let mut guest = Guest::new();
    let dir = guest.open("dir", 2).unwrap();
    for path in ["/", "/top", "..", "../top", "./../top", "sub/../../top", "sub/../..", "../dir/a", "sub/./../../dir"] {
        assert_eq!(guest.open_at(dir, path, 0, 0), Err(code(Notcapable)), "{path}");
        let [addr, len] = guest.path(path);
        for name in ["path_create_directory", "path_remove_directory", "path_unlink_file"] {
            guest.fails(name, &[dir, addr, len], Notcapable);
        }
        guest.fails("path_filestat_get", &[dir, 0, addr, len, 0], Notcapable);
        guest.fails("path_readlink", &[dir, addr, len, 0, 10, 20], Notcapable);
        guest.fails("path_rename", &[dir, addr, len, dir, addr, len], Notcapable);
        guest.fails("path_symlink", &[addr, len, dir, addr, len], Notcapable);
    }
    assert!(guest.open_at(dir, "sub/../a", 0, 0).is_ok());
    guest.put(PATH, b"dir\0");
    guest.fails("path_open", &[3, 1, PATH, 4, 0, 0, 0, 0, 0], Inval);
    guest.put(PATH, b"dir\xc0\xae");
    guest.fails("path_open", &[3, 1, PATH, 5, 0, 0, 0, 0, 0], Ilseq);
}

#[test]
fn attributes_say_type_size_and_number() {
    let mut guest = Guest::new();
    assert_eq!(guest.stat("top"), Ok((8, 4, 10)));
    assert_eq!(guest.stat("dir/sub/deep"), Ok((7, 4, 0)));
    assert_eq!(guest.stat("dir"), Ok((3, 3, 0)));
    assert_eq!(guest.stat("top/"), Err(code(Notdir)));
    let fd = guest.open("top", 0).unwrap();
    guest.ok("fd_filestat_get", &[fd, 0]);
    let words: Vec<u64> = (0..8).map(|index| guest.u64(8 * index)).collect();
    assert_eq!(words, [1, 8, 4, 1, 10, 0, 0, 0]);
}

#[test]
fn rights_are_those_asked_for_that_fit_and_are_passed_on() {
    let mut guest = Guest::new();
    guest.open("top", 0).unwrap();
    guest.ok("fd_fdstat_get", &[4, 0]);
    assert_eq!((guest.get(0, 1)[0], guest.u64(8)), (4, rights::FILE & !rights::FD_WRITE));
    let dir = guest.open_at(3, "dir", 2, rights::PATH_OPEN | rights::FD_READ).unwrap();
    guest.ok("fd_fdstat_get", &[dir, 0]);
    assert_eq!((guest.get(0, 1)[0], guest.u64(8), guest.u64(16)), (3, rights::PATH_OPEN, rights::ALL));
    guest.ok("fd_fdstat_set_rights", &[dir, rights::PATH_OPEN, rights::FD_TELL]);
    let file = guest.open_at(dir, "a", 0, rights::FD_READ | rights::FD_TELL).unwrap();
    guest.ok("fd_fdstat_get", &[file, 0]);
    assert_eq!((guest.u64(8), guest.u64(16)), (rights::FD_TELL, rights::FD_TELL));
    assert_eq!(guest.open_at(dir, "new", 1, 0), Err(code(Notcapable)), "no right to create");
}

#[test]
fn descriptors_run_out_at_the_limit_and_not_before() {
    let mut guest = Guest::new();
    for fd in 4..u64::from(MAX_FDS) {
        assert_eq!(guest.open("top", 0), Ok(fd));
    }
    assert_eq!(guest.open("top", 0), Err(code(Mfile)));
    guest.ok("fd_close", &[77]);
    assert_eq!(guest.open("top", 0), Ok(77));
}
