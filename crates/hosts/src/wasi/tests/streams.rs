//! Standard streams, buffers, clocks, randomness, polling, and the log of answers.

use super::*;
use crate::wasi::Errno::*;

/// A subscription: user data, kind, and the clock's or descriptor's fields.
fn subscription(user_data: u64, kind: u8, id: u32, timeout: u64, flags: u16) -> Vec<u8> {
    let mut bytes = vec![0; 48];
    put(&mut bytes, 0, &user_data.to_le_bytes());
    put(&mut bytes, 8, &[kind]);
    put(&mut bytes, 16, &id.to_le_bytes());
    put(&mut bytes, 24, &timeout.to_le_bytes());
    put(&mut bytes, 40, &flags.to_le_bytes());
    bytes
}

impl Guest {
    /// Polls, and gives (user data, error, kind, bytes) of each event.
    fn poll(&mut self, subscriptions: &[Vec<u8>]) -> Vec<(u64, u16, u8, u64)> {
        self.put(0x1000, &subscriptions.concat());
        self.ok("poll_oneoff", &[0x1000, 0x4000, subscriptions.len() as u64, 0]);
        (0..u64::from(self.u32(0)))
            .map(|index| {
                let event = self.get(0x4000 + 32 * index, 32);
                let number = |at: usize| u64::from_le_bytes(event[at..at + 8].try_into().unwrap());
                (number(0), u16::from_le_bytes([event[8], event[9]]), event[10], number(16))
            })
            .collect()
    }

    fn time(&mut self, clock: u64) -> u64 {
        self.ok("clock_time_get", &[clock, 0, 0]);
        self.u64(0)
    }

    fn random(&mut self, len: u64) -> Vec<u8> {
        self.ok("random_get", &[0x2000, len]);
        self.get(0x2000, len)
    }
}

#[test]
fn output_goes_to_its_stream_in_the_order_of_the_buffers() {
    let mut guest = Guest::new();
    guest.put(0x500, b"hello world");
    guest.iovecs(0x100, &[(0x506, 5), (0x500, 0), (0x505, 1), (0x500, 5), (0x500, 5)]);
    guest.ok("fd_write", &[1, 0x100, 4, 0]);
    assert_eq!(guest.u32(0), 11);
    guest.ok("fd_write", &[2, 0x100, 1, 0]);
    assert_eq!(guest.wasi.pending(), 16);
    assert_eq!(guest.wasi.take_output(1), b"world hello");
    assert_eq!(guest.wasi.take_output(2), b"world");
    assert_eq!((guest.wasi.pending(), guest.wasi.take_output(1), guest.wasi.take_output(0)), (0, vec![], vec![]));
    let mut expected = OutputHash::default();
    expected.update(b"world hello");
    assert_eq!(guest.wasi.output_hash(1), Some(&expected));
    assert_eq!(guest.wasi.output_hash(3), None);
}

#[test]
fn one_call_moves_at_most_the_limit() {
    let mut guest = Guest::new();
    guest.iovecs(0x100, &[(0, MEMORY as u32); 40]);
    guest.ok("fd_write", &[1, 0x100, 40, 0]);
    assert_eq!(u64::from(guest.u32(0)), MAX_TRANSFER);
    assert_eq!(guest.wasi.take_output(1).len() as u64, MAX_TRANSFER);

    let fd = guest.open("big", 0).unwrap();
    guest.iovecs(0x100, &[(0x4000, 0x8000); 40]);
    guest.ok("fd_read", &[fd, 0x100, 40, 0]);
    assert_eq!(u64::from(guest.u32(0)), MAX_TRANSFER);
    guest.ok("fd_tell", &[fd, 0]);
    assert_eq!(guest.u64(0), MAX_TRANSFER);
}

#[test]
fn as_many_buffers_as_allowed_and_none_at_all_are_good() {
    let mut guest = Guest::new();
    guest.iovecs(0x1000, &[(0, 1); 1024]);
    guest.ok("fd_write", &[1, 0x1000, 1024, 0]);
    assert_eq!(guest.u32(0), 1024);
    guest.fails("fd_write", &[1, 0x1000, 1025, 0], Inval);
    guest.ok("fd_write", &[1, 0, 0, 0]);
    guest.ok("fd_read", &[0, 0, 0, 4]);
    assert_eq!(guest.u64(0), 0);
    assert_eq!(guest.wasi.take_output(1).len(), 1024);
}

#[test]
fn one_buffer_outside_the_memory_spoils_the_whole_call() {
    let mut guest = Guest::new();
    for bad in [(MEMORY as u32, 1), (u32::MAX, u32::MAX), (0, MEMORY as u32 + 1)] {
        guest.iovecs(0x100, &[(0x400, 4), bad]);
        guest.fails("fd_write", &[1, 0x100, 2, 0], Fault);
        guest.fails("fd_read", &[0, 0x100, 2, 0], Fault);
    }
    assert_eq!(guest.wasi.pending(), 0);
    assert_eq!(guest.wasi.save(), Guest::new().wasi.save());
}

#[test]
fn buffers_may_overlap_each_other_their_table_and_the_result() {
    let mut guest = Guest::new();
    guest.iovecs(0x100, &[(0x100, 8), (0x104, 4), (0x200, 2)]);
    guest.ok("fd_read", &[0, 0x100, 3, 0x200]);
    assert_eq!(guest.get(0x100, 8), b"standard input"[..4].iter().chain(b" inp").copied().collect::<Vec<_>>());
    assert_eq!(guest.u32(0x200), 14, "the count is written last");
}

#[test]
fn standard_input_is_read_to_its_end_and_then_gives_nothing() {
    let mut guest = Guest::new();
    guest.iovecs(0x100, &[(0x400, 9), (0x500, 100)]);
    guest.ok("fd_read", &[0, 0x100, 1, 0]);
    assert_eq!((guest.u32(0), guest.get(0x400, 9)), (9, b"standard ".to_vec()));
    guest.ok("fd_read", &[0, 0x100, 2, 0]);
    assert_eq!((guest.u32(0), guest.get(0x400, 5)), (5, b"input".to_vec()));
    guest.ok("fd_read", &[0, 0x100, 2, 0]);
    assert_eq!(guest.u32(0), 0);
}

#[test]
fn closed_and_renumbered_streams_keep_their_identity() {
    let mut guest = Guest::new();
    guest.iovecs(0x100, &[(0x100, 3)]);
    guest.ok("fd_renumber", &[2, 1]);
    guest.ok("fd_write", &[1, 0x100, 1, 0]);
    guest.fails("fd_write", &[2, 0x100, 1, 0], Badf);
    assert_eq!((guest.wasi.take_output(1).len(), guest.wasi.take_output(2).len()), (0, 3));
    guest.ok("fd_close", &[1]);
    guest.fails("fd_close", &[1], Badf);
    assert_eq!(guest.open("top", 0), Ok(1), "the lowest free number is given");
}

#[test]
fn streams_look_like_pipes() {
    let mut guest = Guest::new();
    for (fd, expected) in [(0, rights::STDIN), (1, rights::OUTPUT), (2, rights::OUTPUT)] {
        guest.ok("fd_fdstat_set_flags", &[fd, 4]);
        guest.ok("fd_fdstat_get", &[fd, 0]);
        assert_eq!((guest.u64(0), guest.u64(8), guest.u64(16)), (4 << 16, expected, 0));
        guest.ok("fd_filestat_get", &[fd, 0]);
        assert_eq!(guest.get(0, 64), [0; 64]);
    }
    guest.ok("fd_sync", &[1]);
}

#[test]
fn clocks_follow_gas_and_sleep() {
    let mut guest = Guest::new();
    assert_eq!(guest.time(0), EPOCH + 3000);
    assert_eq!(guest.time(1), 3001);
    assert_eq!((guest.time(2), guest.time(3)), (3000, 3000));
    guest.gas += 1;
    assert_eq!(guest.time(1), 3004);
    assert_eq!(guest.poll(&[subscription(7, 0, 1, 500, 0)]), [(7, 0, 0, 0)]);
    assert_eq!((guest.time(0), guest.time(1), guest.time(2)), (EPOCH + 3503, 3504, 3003));
    guest.ok("clock_res_get", &[0, 0]);
    assert_eq!(guest.u64(0), 3);
    guest.gas = u64::MAX;
    assert_eq!((guest.time(0), guest.time(1)), (u64::MAX, u64::MAX), "sums saturate");
}

#[test]
fn a_poll_sleeps_until_the_earliest_deadline() {
    let mut guest = Guest::new();
    let monotonic = guest.time(1);
    let realtime = guest.time(0);
    let waits = [
        subscription(1, 0, 0, 900, 0),
        subscription(2, 0, 1, monotonic + 400, 1),
        subscription(3, 0, 0, realtime + 400, 1),
        subscription(4, 0, 1, 401, 0),
    ];
    assert_eq!(guest.poll(&waits), [(2, 0, 0, 0), (3, 0, 0, 0)]);
    assert_eq!(guest.time(1), monotonic + 400);
    let past = [subscription(5, 0, 1, 1, 1), subscription(6, 0, 1, 1, 0)];
    assert_eq!(guest.poll(&past), [(5, 0, 0, 0)], "a deadline in the past is met at once");
    assert_eq!(guest.time(1), monotonic + 400);
    guest.poll(&[subscription(0, 0, 1, u64::MAX, 0)]);
    assert_eq!(guest.time(1), u64::MAX);
}

#[test]
fn ready_and_failing_descriptors_end_a_poll_at_once() {
    let mut guest = Guest::new();
    let before = guest.time(1);
    let waits = [
        subscription(1, 0, 1, 1000, 0),
        subscription(2, 1, 0, 0, 0),
        subscription(3, 2, 1, 0, 0),
        subscription(4, 1, 99, 0, 0),
        subscription(5, 1, 1, 0, 0),
        subscription(6, 2, 3, 0, 0),
        subscription(7, 0, 2, 0, 0),
    ];
    let expected = [
        (2, 0, 1, 14),
        (3, 0, 2, MAX_TRANSFER),
        (4, Badf.code(), 1, 0),
        (5, Notcapable.code(), 1, 0),
        (6, Notcapable.code(), 2, 0),
        (7, Inval.code(), 0, 0),
    ];
    assert_eq!(guest.poll(&waits), expected);
    assert_eq!(guest.time(1), before);
}

#[test]
fn malformed_subscriptions_are_refused() {
    let mut guest = Guest::new();
    for bad in [subscription(1, 3, 0, 0, 0), subscription(1, 0, 1, 0, 2)] {
        guest.put(0x1000, &bad);
        guest.fails("poll_oneoff", &[0x1000, 0x4000, 1, 0], Inval);
    }
}

#[test]
fn subscriptions_and_events_may_share_their_memory() {
    let mut guest = Guest::new();
    let waits = [subscription(1, 1, 0, 0, 0), subscription(2, 2, 1, 0, 0)].concat();
    guest.put(0x1000, &waits);
    guest.ok("poll_oneoff", &[0x1000, 0x1000, 2, 0]);
    assert_eq!((guest.u32(0), guest.u64(0x1000), guest.u64(0x1020)), (2, 1, 2));
}

#[test]
fn random_bytes_depend_on_seed_and_position_alone() {
    let mut guest = Guest::new();
    let whole = guest.random(10_000);
    let mut pieces = Guest::new();
    let mut bytes = Vec::new();
    for len in [1, 0, 63, 64, 65, 4096, 5711] {
        bytes.extend(pieces.random(len));
    }
    assert_eq!(bytes, whole);
    let mut other = Guest::new();
    other.wasi = Wasi::new(WasiConfig { seed: 43, ..config() }).unwrap();
    assert_ne!(other.random(32), whole[..32]);
    assert_ne!(guest.random(32), whole[..32]);
}

#[test]
fn answers_are_recorded_when_asked_for_and_only_those_of_calls_that_succeed() {
    let mut guest = Guest::new();
    guest.time(0);
    guest.random(3);
    assert_eq!(guest.wasi.take_answers(), []);
    guest.wasi.record_answers(true);
    let now = guest.time(1);
    guest.fails("clock_time_get", &[9, 0, 0], Inval);
    guest.fails("random_get", &[MEMORY as u64, 1], Fault);
    let random = guest.random(5000);
    guest.poll(&[subscription(7, 0, 1, 500, 0)]);
    let event = guest.get(0x4000, 32);
    guest.ok("clock_res_get", &[0, 0]);
    let expected = [
        &[1, 1, 0, 0, 0][..],
        &now.to_le_bytes(),
        &[2],
        &5000u32.to_le_bytes(),
        &random,
        &[3],
        &500u64.to_le_bytes(),
        &1u32.to_le_bytes(),
        &event,
        &[4, 0, 0, 0, 0],
        &3u64.to_le_bytes(),
    ];
    assert_eq!(guest.wasi.take_answers(), expected.concat());
    assert_eq!(guest.wasi.take_answers(), []);
}
