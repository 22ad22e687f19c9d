//! What calls are charged for: it grows with what they walk, and with nothing else.

use super::*;

impl Guest {
    /// The work that a call would be charged for.
    fn work_of(&mut self, name: &str, args: &[u64]) -> Work {
        let id = self.wasi.resolve(MODULE, name).unwrap().id;
        let work = self.wasi.work(id, args, &self.memory);
        // Each is a step by itself.
        Work { steps: work.steps - 1, ..work }
    }

    fn stat_steps(&mut self, path: &str) -> u64 {
        let [addr, length] = self.path(path);
        let args = [3, 1, addr, length, 0x300];
        self.call("path_filestat_get", &args);
        self.work_of("path_filestat_get", &args).steps
    }

    fn make_directory(&mut self, fd: u64, name: &str) -> u64 {
        let [addr, length] = self.path(name);
        self.ok("path_create_directory", &[fd, addr, length]);
        self.open_at(fd, name, 2, rights::ALL & !rights::FD_WRITE).unwrap()
    }
}

#[test]
fn a_path_pays_for_every_name_and_for_every_name_of_the_links_on_its_way() {
    let mut guest = Guest::new();
    assert_eq!(guest.stat_steps("dir/sub/deep"), 3);
    let link = |guest: &mut Guest, target: &str, name: &str| {
        guest.put(0x9000, target.as_bytes());
        let [addr, length] = guest.path(name);
        guest.ok("path_symlink", &[0x9000, target.len() as u64, 3, addr, length]);
    };
    link(&mut guest, "dir/sub", "l0");
    for i in 1..30 {
        // 1,000 names and 2,000 bytes each.
        link(&mut guest, &format!("{}l{}", "./".repeat(999), i - 1), &format!("l{i}"));
    }
    assert_eq!(guest.stat_steps("l0/deep"), 1 + 2 + 1);
    for i in [1, 2, 29] {
        assert_eq!(guest.stat_steps(&format!("l{i}/deep")), 1 + i * (1000 + 125) + 2 + 1, "{i} links");
    }
}

#[test]
fn moving_a_directory_pays_for_those_above_its_new_place() {
    let mut guest = Guest::new();
    guest.make_directory(3, "moved");
    let rename = |guest: &mut Guest, fd: u64| {
        guest.put(0x9000, b"moved");
        let [addr, length] = guest.path("moved");
        guest.work_of("path_rename", &[3, 0x9000, 5, fd, addr, length]).steps
    };
    assert_eq!(rename(&mut guest, 3), 2, "it stays where it is");
    let mut fd = 3;
    for depth in 1..200 {
        fd = guest.make_directory(fd, "d");
        // The directories from its new place up to the root, the root too.
        assert_eq!(rename(&mut guest, fd), 2 + depth + 1, "{depth} deep");
    }
}

#[test]
fn a_listing_pays_for_each_entry() {
    let mut guest = Guest::new();
    // `.`, `..` and the three of the configuration.
    assert_eq!(guest.work_of("fd_readdir", &[3, 0x2000, 4096, 0, 0]).steps, 5);
    assert_eq!(guest.work_of("fd_readdir", &[3, 0x2000, 24, 0, 0]).steps, 1);
    assert_eq!(guest.work_of("fd_readdir", &[3, 0x2000, 0, 0, 0]).steps, 1);
}

#[test]
fn a_file_pays_for_the_pages_by_which_it_grows_and_only_once() {
    let mut guest = Guest::new();
    let fd = guest.open_at(3, "new", 1, rights::ALL).unwrap();
    let size = |pages: u64| [fd, pages << 12];
    assert_eq!(guest.work_of("fd_filestat_set_size", &size(100)), Work { bytes: 800, steps: 0, pages: 100 });
    guest.ok("fd_filestat_set_size", &size(100));
    assert_eq!(guest.work_of("fd_filestat_set_size", &size(100)), Work::NONE);
    assert_eq!(guest.work_of("fd_filestat_set_size", &size(0)), Work::NONE);
    assert_eq!(guest.work_of("fd_allocate", &[fd, 100 << 12, 1]).pages, 1);
}

#[test]
fn calls_on_one_descriptor_cost_the_same_however_many_are_open() {
    let mut guest = Guest::new();
    let before = guest.work_of("fd_close", &[3]);
    for expected in 4..MAX_FDS {
        assert_eq!(guest.open("top", 0), Ok(expected.into()));
    }
    assert_eq!(guest.open("top", 0), Err(u64::from(Errno::Mfile.code())));
    assert_eq!(guest.work_of("fd_close", &[3]), before);
    guest.ok("fd_close", &[77]);
    assert_eq!(guest.open("top", 0), Ok(77));
}

#[test]
#[should_panic(expected = "BUG: a host call takes 3 steps, paid for 2")]
fn a_call_that_walks_more_than_it_paid_for_is_a_bug() {
    let mut guest = Guest::new();
    let [addr, length] = guest.path("dir/sub/deep");
    let id = guest.wasi.resolve(MODULE, "path_filestat_get").unwrap().id;
    let paid = Paid::of(Work { steps: 2, ..Work::NONE });
    guest.wasi.call(id, &[3, 1, addr, length, 0x300], &mut guest.memory, 0, paid);
}
