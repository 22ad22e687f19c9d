//! Writing, making, linking, moving and removing: what a program does to its files.

use super::files::code;
use super::*;
use crate::wasi::Errno::*;
use stepmark_state::paged::Paged;
use stepmark_state::pages::{SPACE_FILE, SpaceId};

const CREATE: u64 = 1;
const TRUNCATE: u64 = 8;
const APPEND: u64 = 1;

impl Guest {
    fn create(&mut self, path: &str) -> u64 {
        self.open_at(3, path, CREATE, rights::ALL).unwrap()
    }

    fn write(&mut self, fd: u64, bytes: &[u8]) {
        self.put(0x400, bytes);
        self.iovecs(0x100, &[(0x400, bytes.len() as u32)]);
        self.ok("fd_write", &[fd, 0x100, 1, 0]);
        assert_eq!(self.u32(0) as usize, bytes.len());
    }

    fn pwrite(&mut self, fd: u64, at: u64, bytes: &[u8]) {
        self.put(0x400, bytes);
        self.iovecs(0x100, &[(0x400, bytes.len() as u32)]);
        self.ok("fd_pwrite", &[fd, 0x100, 1, at, 0]);
    }

    /// Everything in a file.
    fn contents(&mut self, path: &str) -> Vec<u8> {
        let fd = self.open(path, 0).unwrap();
        let mut contents = Vec::new();
        loop {
            self.iovecs(0x100, &[(0x3000, 0x2000)]);
            self.ok("fd_read", &[fd, 0x100, 1, 0]);
            let count = u64::from(self.u32(0));
            if count == 0 {
                self.ok("fd_close", &[fd]);
                return contents;
            }
            contents.extend(self.get(0x3000, count));
        }
    }

    /// A call of two paths, the first below directory 3 too.
    fn two_paths(&mut self, name: &str, old: &str, new: &str) -> u64 {
        self.put(0x9000, old.as_bytes());
        let [addr, len] = self.path(new);
        let old = [0x9000, old.len() as u64];
        match name {
            "path_link" => self.call(name, &[3, 0, old[0], old[1], 3, addr, len]),
            "path_rename" => self.call(name, &[3, old[0], old[1], 3, addr, len]),
            _ => self.call(name, &[old[0], old[1], 3, addr, len]),
        }
    }

    fn rename(&mut self, old: &str, new: &str) -> u64 {
        self.two_paths("path_rename", old, new)
    }

    fn symlink(&mut self, target: &str, path: &str) -> u64 {
        self.two_paths("path_symlink", target, path)
    }

    fn link(&mut self, old: &str, new: &str) -> u64 {
        self.two_paths("path_link", old, new)
    }

    fn on_path(&mut self, name: &str, path: &str) -> u64 {
        let [addr, len] = self.path(path);
        self.call(name, &[3, addr, len])
    }

    fn mkdir(&mut self, path: &str) -> u64 {
        self.on_path("path_create_directory", path)
    }

    fn rmdir(&mut self, path: &str) -> u64 {
        self.on_path("path_remove_directory", path)
    }

    fn unlink(&mut self, path: &str) -> u64 {
        self.on_path("path_unlink_file", path)
    }

    /// Number of links, and the times of modification and change, of what a path names, links not followed.
    fn links_and_times(&mut self, path: &str) -> (u64, u64, u64) {
        let [addr, len] = self.path(path);
        self.ok("path_filestat_get", &[3, 0, addr, len, 0]);
        (self.u64(24), self.u64(48), self.u64(56))
    }

    fn names(&mut self, fd: u64) -> Vec<String> {
        self.list(fd, 4096).into_iter().map(|(name, ..)| name).skip(2).collect()
    }

    fn left(&self) -> Vec<(String, u64)> {
        let mut walk = self.wasi.left_files();
        std::iter::from_fn(|| self.wasi.next_left(&mut walk)).map(|file| (file.path, file.length)).collect()
    }
}

#[test]
fn a_new_file_holds_what_was_written_where_it_was_written() {
    let mut guest = Guest::new();
    let fd = guest.create("dir/new");
    guest.write(fd, b"hello ");
    guest.write(fd, b"world");
    guest.pwrite(fd, 1, b"E");
    guest.pwrite(fd, 10_000, b"far");
    let contents = guest.contents("dir/new");
    assert_eq!((contents.len(), &contents[..12], &contents[9_999..]), (10_003, &b"hEllo world\0"[..], &b"\0far"[..]));
    guest.ok("fd_tell", &[fd, 0]);
    assert_eq!(guest.u64(0), 11, "fd_pwrite moves no position");
}

#[test]
fn writing_to_an_input_copies_the_pages_that_are_written_and_no_others() {
    let mut guest = Guest::new();
    let fd = guest.open_at(3, "big", 0, rights::ALL).unwrap();
    guest.pwrite(fd, 5000, b"x");
    assert_eq!(guest.wasi.numbers(), [SpaceId::new(SPACE_FILE, 1)]);
    let dirty: Vec<usize> = guest
        .wasi
        .marks(SpaceId::new(SPACE_FILE, 1))
        .iter()
        .enumerate()
        .filter(|(_, mark)| **mark == 1)
        .map(|(page, _)| page)
        .collect();
    assert_eq!(dirty, [1]);
    let contents = guest.contents("big");
    assert_eq!((contents.len(), contents[4999], contents[5000], contents[5001]), (3 << 20, 7, b'x', 7));
    assert_eq!(guest.left(), [("big".to_owned(), 3 << 20)]);
}

#[test]
fn appending_writes_at_the_end_wherever_the_position_is() {
    let mut guest = Guest::new();
    let [addr, len] = guest.path("log");
    guest.ok("path_open", &[3, 0, addr, len, CREATE, rights::ALL, 0, APPEND, 0]);
    let fd = u64::from(guest.u32(0));
    guest.write(fd, b"one");
    guest.ok("fd_seek", &[fd, 0, 0, 0]);
    guest.write(fd, b"two");
    guest.ok("fd_tell", &[fd, 0]);
    assert_eq!(guest.u64(0), 6);
    guest.pwrite(fd, 0, b"O");
    assert_eq!(guest.contents("log"), b"Onetwo");
    guest.ok("fd_fdstat_set_flags", &[fd, 0]);
    guest.ok("fd_seek", &[fd, 1, 0, 0]);
    guest.write(fd, b"N");
    assert_eq!(guest.contents("log"), b"ONetwo");
}

#[test]
fn cut_bytes_do_not_come_back_when_the_file_grows_again() {
    let mut guest = Guest::new();
    let fd = guest.open_at(3, "top", 0, rights::ALL).unwrap();
    guest.ok("fd_filestat_set_size", &[fd, 4]);
    guest.ok("fd_filestat_set_size", &[fd, 8]);
    assert_eq!(guest.contents("top"), b"0123\0\0\0\0");
    guest.ok("fd_allocate", &[fd, 2, 2]);
    assert_eq!(guest.contents("top").len(), 8);
    guest.ok("fd_allocate", &[fd, 7, 5000]);
    assert_eq!(guest.contents("top").len(), 5007);
    guest.open("top", TRUNCATE).unwrap();
    assert_eq!(guest.contents("top"), b"");
    guest.pwrite(fd, 6, b"7");
    assert_eq!(guest.contents("top"), b"\0\0\0\0\0\x007");
}

#[test]
fn files_have_the_room_that_the_job_gives_them_and_no_more() {
    let mut guest = Guest::new();
    let fd = guest.create("new");
    guest.ok("fd_filestat_set_size", &[fd, 8 << 20]);
    let other = guest.create("other");
    guest.iovecs(0x100, &[(0x400, 1)]);
    guest.fails("fd_write", &[other, 0x100, 1, 0], Nospc);
    guest.ok("fd_filestat_set_size", &[fd, 0]);
    guest.fails("fd_write", &[other, 0x100, 1, 0], Nospc);
    assert_eq!(guest.unlink("new"), 0);
    guest.fails("fd_write", &[other, 0x100, 1, 0], Nospc);
    guest.ok("fd_close", &[fd]);
    guest.ok("fd_write", &[other, 0x100, 1, 0]);
}

#[test]
fn names_run_out_at_the_limit() {
    let mut guest = Guest::new();
    let directory = guest.open("dir", 2).unwrap();
    let mut count = 0u32;
    let errno = loop {
        let name = format!("{count:0>255}");
        guest.put(0x9000, name.as_bytes());
        match guest.call("path_symlink", &[0x9000, 255, directory, 0x9000, 255]) {
            0 => count += 1,
            errno => break errno,
        }
    };
    // A link: 96 and its target; a name: 32 and its bytes.
    assert_eq!((errno, count), (code(Nospc), (32 << 20) / (96 + 255 + 32 + 255)));
    let name = "0".repeat(255);
    guest.put(0x9000, name.as_bytes());
    guest.ok("path_unlink_file", &[directory, 0x9000, 255]);
    guest.ok("path_symlink", &[0x9000, 255, directory, 0x9000, 255]);
}

#[test]
fn a_file_lives_as_long_as_a_name_or_a_descriptor_leads_to_it() {
    let mut guest = Guest::new();
    let fd = guest.create("new");
    guest.write(fd, b"kept");
    assert_eq!(guest.link("new", "dir/second"), 0);
    assert_eq!(guest.links_and_times("new").0, 2);
    assert_eq!(guest.link("new", "dir/second"), code(Exist));
    assert_eq!(guest.link("dir", "dir2"), code(Perm));
    assert_eq!(guest.link("new", "third/"), code(Noent));
    assert_eq!(guest.unlink("new"), 0);
    assert_eq!(guest.contents("dir/second"), b"kept");
    assert_eq!(guest.unlink("dir/second"), 0);
    assert_eq!(guest.wasi.numbers().len(), 1);
    guest.ok("fd_seek", &[fd, 0, 0, 0]);
    guest.iovecs(0x100, &[(0x500, 9)]);
    guest.ok("fd_read", &[fd, 0x100, 1, 0]);
    assert_eq!((guest.u32(0), guest.get(0x500, 4)), (4, b"kept".to_vec()));
    guest.ok("fd_close", &[fd]);
    assert!(guest.wasi.numbers().is_empty());
    assert_eq!(guest.left(), []);
}

#[test]
fn renumbering_closes_what_was_there() {
    let mut guest = Guest::new();
    let (a, b) = (guest.create("a"), guest.create("b"));
    guest.write(b, b"b");
    assert_eq!(guest.unlink("b"), 0);
    guest.ok("fd_renumber", &[a, b]);
    assert!(guest.wasi.numbers().is_empty(), "nothing leads to b any more");
    guest.write(b, b"a");
    assert_eq!(guest.contents("a"), b"a");
    guest.fails("fd_close", &[a], Badf);
}

#[test]
fn renaming_replaces_what_has_the_new_name_as_posix_says() {
    let mut guest = Guest::new();
    for dir in ["empty", "full", "full/inner"] {
        assert_eq!(guest.mkdir(dir), 0, "{dir}");
    }
    let table: &[(&str, &str, Result<(), Errno>)] = &[
        ("top", "empty", Err(Isdir)),
        ("empty", "top", Err(Notdir)),
        ("empty", "full", Err(Notempty)),
        ("full", "full/inner/new", Err(Inval)),
        ("full", "full/inner", Err(Inval)),
        ("full/.", "new", Err(Inval)),
        ("top", "new/", Err(Notdir)),
        ("absent", "new", Err(Noent)),
        ("top", "top", Ok(())),
        ("full", "empty", Ok(())),
        ("empty/", "moved/", Ok(())),
        ("top", "moved/inner/top", Ok(())),
        ("moved/inner/top", "dir/a", Ok(())),
    ];
    for (old, new, expected) in table {
        assert_eq!(guest.rename(old, new), expected.map_or_else(code, |()| 0), "{old} to {new}");
    }
    assert_eq!(guest.contents("dir/a"), b"0123456789");
    assert_eq!(guest.names(3), ["big", "dir", "moved"]);
    let inner = guest.open("moved/inner", 2).unwrap();
    assert_eq!(guest.open_at(inner, "../inner", 0, 0), Err(code(Notcapable)));
    let moved = guest.open("moved/inner/..", 2).unwrap();
    assert_eq!(guest.names(moved), ["inner"]);
    assert_eq!(guest.left(), [("dir/a".to_owned(), 10)], "an input under another name is no input any more");
}

#[test]
fn a_removed_directory_is_empty_and_takes_nothing_new() {
    let mut guest = Guest::new();
    assert_eq!(guest.mkdir("d/"), 0);
    assert_eq!(guest.mkdir("d"), code(Exist));
    let fd = guest.open("d", 2).unwrap();
    let file = guest.open_at(fd, "f", CREATE, rights::ALL).unwrap();
    assert_eq!(guest.rmdir("d"), code(Notempty));
    assert_eq!(guest.rmdir("d/f"), code(Notdir));
    assert_eq!(guest.unlink("d"), code(Isdir));
    assert_eq!(guest.unlink("d/f/"), code(Notdir));
    assert_eq!(guest.unlink("d/f"), 0);
    guest.ok("fd_close", &[file]);
    assert_eq!(guest.rmdir("d/"), 0);
    assert_eq!(guest.open_at(fd, "f", CREATE, rights::ALL), Err(code(Noent)));
    assert_eq!(guest.open_at(fd, "..", 0, 0), Err(code(Notcapable)));
    assert_eq!(guest.names(fd), Vec::<String>::new());
    guest.ok("fd_close", &[fd]);
    let numbers: Vec<u32> = (8..12).filter(|number| guest.wasi.fs.get(*number).is_some()).collect();
    assert_eq!(numbers, Vec::<u32>::new(), "nothing is kept of what is gone");
}

#[test]
fn a_listing_under_way_neither_skips_nor_repeats_what_stays() {
    let mut guest = Guest::new();
    assert_eq!(guest.mkdir("d"), 0);
    for number in 0..50 {
        let fd = guest.create(&format!("d/{number}"));
        guest.ok("fd_close", &[fd]);
    }
    let fd = guest.open("d", 2).unwrap();
    let (mut cookie, mut seen) = (2, Vec::new());
    loop {
        guest.ok("fd_readdir", &[fd, 0x2000, 60, cookie, 0]);
        if guest.u32(0) < 24 {
            break;
        }
        let length = u64::from(guest.u32(0x2010));
        let name = String::from_utf8(guest.get(0x2018, length)).unwrap();
        cookie = guest.u64(0x2000);
        // What programs do that remove a tree.
        assert_eq!(guest.unlink(&format!("d/{name}")), 0);
        seen.push(name);
    }
    assert_eq!(seen, (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(guest.rmdir("d"), 0);
}

#[test]
fn links_are_read_followed_and_removed() {
    let mut guest = Guest::new();
    assert_eq!(guest.symlink("dir/a", "link"), 0);
    let [addr, len] = guest.path("link");
    guest.ok("path_readlink", &[3, addr, len, 0x500, 3, 0]);
    assert_eq!((guest.u32(0), guest.get(0x500, 4)), (3, b"dir\0".to_vec()));
    assert_eq!(guest.contents("link"), b"a");
    guest.fails("path_open", &[3, 0, addr, len, 0, 0, 0, 0, 0], Loop);
    guest.fails("path_open", &[3, 1, addr, len, 5, 0, 0, 0, 0], Exist);
    assert_eq!(guest.symlink("x", "link"), code(Exist));
    assert_eq!(guest.symlink("x", "other/"), code(Noent));
    assert_eq!(guest.symlink("/top", "other"), code(Notcapable));
    assert_eq!(guest.symlink("made/by/no/one", "dangling"), 0);
    assert_eq!(guest.symlink("new", "promise"), 0);
    let fd = guest.create("promise");
    guest.write(fd, b"kept");
    assert_eq!(guest.contents("new"), b"kept", "a file is made where a link leads");
    assert_eq!(guest.list(3, 4096).iter().find(|entry| entry.0 == "link").unwrap().2, 7);
    assert_eq!(guest.unlink("link"), 0);
    assert_eq!(guest.contents("dir/a"), b"a");
    assert_eq!(guest.left(), [("new".to_owned(), 4)], "links are not left behind");
}

#[test]
fn no_change_leaves_its_directory_through_a_link() {
    let mut guest = Guest::new();
    assert_eq!(guest.symlink("../top", "dir/out"), 0);
    assert_eq!(guest.symlink("..", "dir/up"), 0);
    let dir = guest.open("dir", 2).unwrap();
    for (path, follow) in [("out", 1), ("up/top", 0), ("up/new", 0), ("out/x", 0)] {
        let [addr, len] = guest.path(path);
        guest.fails("path_open", &[dir, follow, addr, len, CREATE, rights::ALL, 0, 0, 0], Notcapable);
        guest.fails("path_filestat_set_times", &[dir, follow, addr, len, 0, 0, 5], Notcapable);
        guest.fails("path_filestat_get", &[dir, follow, addr, len, 0], Notcapable);
    }
    for name in ["path_create_directory", "path_remove_directory", "path_unlink_file"] {
        let [addr, len] = guest.path("up/top");
        guest.fails(name, &[dir, addr, len], Notcapable);
    }
    assert_eq!(guest.contents("top"), b"0123456789");
}

#[test]
fn times_follow_the_virtual_clock() {
    let mut guest = Guest::new();
    assert_eq!(guest.links_and_times("top"), (1, 0, 0));
    let now = EPOCH + 3000;
    let fd = guest.create("new");
    assert_eq!(guest.links_and_times("new"), (1, now, now));
    assert_eq!(guest.links_and_times("."), (1, now, now));
    guest.gas += 1;
    guest.write(fd, b"x");
    assert_eq!(guest.links_and_times("new"), (1, now + 3, now + 3));
    guest.gas += 1;
    guest.ok("fd_filestat_set_times", &[fd, 11, 22, 4]);
    assert_eq!(guest.links_and_times("new"), (1, 22, now + 6));
    guest.ok("fd_filestat_get", &[fd, 0]);
    assert_eq!(guest.u64(40), now, "the time of access was not to be set");
    assert_eq!(guest.symlink("new", "link"), 0);
    let [addr, len] = guest.path("link");
    guest.ok("path_filestat_set_times", &[3, 0, addr, len, 0, 33, 4]);
    assert_eq!((guest.links_and_times("link").1, guest.links_and_times("new").1), (33, 22));
    let [addr, len] = guest.path("link");
    guest.ok("path_filestat_set_times", &[3, 1, addr, len, 0, 0, 8]);
    assert_eq!(guest.links_and_times("new").1, now + 6);
}

#[test]
fn a_right_that_was_given_up_is_missed() {
    let mut guest = Guest::new();
    guest.ok("fd_fdstat_set_rights", &[3, rights::DIRECTORY & !rights::PATH_FILESTAT_SET_SIZE, rights::FD_READ]);
    assert_eq!(guest.open("top", TRUNCATE), Err(code(Notcapable)));
    let fd = guest.create("new");
    guest.iovecs(0x100, &[(0x400, 1)]);
    guest.fails("fd_write", &[fd, 0x100, 1, 0], Badf);
    guest.fails("fd_filestat_set_size", &[fd, 0], Notcapable);
    assert_eq!(guest.open("top", 0).map(drop), Ok(()));
    assert_eq!(guest.left(), [("new".to_owned(), 0)]);
}

#[test]
fn a_file_deeper_than_any_path_is_handed_out_under_a_name_that_is_longer_than_any() {
    let mut guest = Guest::new();
    let tree = |root: &str, depth: usize| root.to_owned() + &format!("/{}", "d".repeat(200)).repeat(depth);
    for (root, depth) in [("a", 17), ("b", 4)] {
        for depth in 0..=depth {
            assert_eq!(guest.mkdir(&tree(root, depth)), 0);
        }
    }
    // Without a file in it there is nothing to hand out.
    let deep = format!("{}/b", tree("a", 17));
    assert_eq!(guest.rename("b", &deep), 0);
    assert_eq!(guest.left(), []);
    assert_eq!(guest.rename(&deep, "b"), 0);
    guest.create(&format!("{}/f", tree("b", 4)));
    assert_eq!(guest.rename("b", &deep), 0);
    assert_eq!(guest.left(), [(tree(&deep, 4), 0)]);
}
