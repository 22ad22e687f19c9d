//! Preview 0, `wasi_unstable`: the same calls at the same price, with three records and a number of their own.

use super::*;

fn unstable() -> Guest {
    Guest { module: MODULE_0, ..Guest::new() }
}

/// The file `top` of 10 bytes, open in a guest.
fn with_top(mut guest: Guest) -> (Guest, u64) {
    let fd = guest.open("top", 0).unwrap();
    (guest, fd)
}

#[test]
fn every_call_but_that_for_sockets_is_there_with_the_same_types_and_the_same_price() {
    let Guest { wasi, memory, .. } = Guest::new();
    for row in calls::TABLE {
        let [old, new] = [MODULE_0, MODULE].map(|module| wasi.resolve(module, row.name));
        let (Some(old), Some(new)) = (old, new) else {
            assert_eq!((row.name, old), ("sock_accept", None));
            continue;
        };
        assert!(old.id != new.id && (old.params, old.results) == (new.params, new.results), "{}", row.name);
        let args = [1, 64, 3, 8, 100, 7, 9, 0, 0].get(..old.params.len()).unwrap();
        assert_eq!(wasi.work(old.id, args, &memory), wasi.work(new.id, args, &memory), "{}", row.name);
    }
}

#[test]
fn seeking_counts_from_the_position_the_end_and_the_start() {
    let (mut guest, fd) = with_top(unstable());
    let mut seek = |distance: i64, whence: u64| {
        guest.ok("fd_seek", &[fd, distance.cast_unsigned(), whence, 0]);
        guest.u64(0)
    };
    const CURRENT: u64 = 0;
    const END: u64 = 1;
    const SET: u64 = 2;
    assert_eq!([seek(4, SET), seek(3, CURRENT), seek(-1, CURRENT), seek(-2, END), seek(1, END)], [4, 7, 6, 8, 11]);
    let (mut guest, fd) = with_top(unstable());
    guest.fails("fd_seek", &[fd, 0, 3, 0], Errno::Inval);
}

#[test]
fn attributes_have_a_number_of_links_of_four_bytes_right_after_the_type() {
    let (mut new, fd) = with_top(Guest::new());
    let (mut old, _) = with_top(unstable());
    for guest in [&mut new, &mut old] {
        let [addr, len] = guest.path("top");
        guest.ok("path_filestat_get", &[3, 0, addr, len, 0x200]);
        guest.put(0x100, &[0xaa; 64]);
        guest.ok("fd_filestat_get", &[fd, 0x100]);
        let records = [0x100, 0x200].map(|at| guest.get(at, 56));
        assert_eq!(records[0], records[1], "both calls say the same");
    }
    let (new, old) = (new.get(0x100, 64), old.get(0x100, 64));
    assert_eq!(old[..20], new[..20], "device, inode and type");
    assert_eq!((&old[20..24], &new[24..32]), (&[1, 0, 0, 0][..], &[1, 0, 0, 0, 0, 0, 0, 0][..]));
    assert_eq!(old[24..56], new[32..64], "size and times");
    assert_eq!(old[56..], [0xaa; 8], "nothing is written behind the record");
}

#[test]
fn a_clock_that_is_waited_for_has_an_identifier_first() {
    let mut guest = unstable();
    let mut record = vec![0; 56];
    put(&mut record, 0, &7u64.to_le_bytes());
    put(&mut record, 16, &[0xff; 8]);
    put(&mut record, 24, &1u32.to_le_bytes());
    put(&mut record, 32, &500u64.to_le_bytes());
    let mut ready = vec![0; 56];
    put(&mut ready, 0, &9u64.to_le_bytes());
    put(&mut ready, 8, &[1]);
    guest.put(0x1000, &[record, ready].concat());
    guest.ok("poll_oneoff", &[0x1000, 0x4000, 1, 0]);
    assert_eq!((guest.u32(0), guest.u64(0x4000), guest.get(0x4008, 3)), (1, 7, vec![0, 0, 0]));
    assert_eq!(guest.wasi.state.slept, 500);
    guest.ok("poll_oneoff", &[0x1000, 0x4000, 2, 0]);
    let event = (guest.u32(0), guest.u64(0x4000), guest.get(0x4008, 3), guest.u64(0x4010));
    assert_eq!(event, (1, 9, vec![0, 0, 1], 14), "standard input can be read at once");
}
