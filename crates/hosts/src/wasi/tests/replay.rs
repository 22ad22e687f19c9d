//! The state is whole: a run that is saved and restored between any two calls goes on as if nothing had happened, and no
//! arguments make a call panic or cost more than its price.

use super::*;
use proptest::prelude::*;
use stepmark_state::paged::{Page, Paged};
use stepmark_state::pages::SpaceId;

/// Arguments that reach far: small numbers, places in and around the memory, flags, and anything.
fn argument() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0u64..8,
        2 => Just(0x100u64),
        2 => Just(PATH),
        2 => (0..MEMORY as u64).prop_map(|at| at & !7),
        1 => (MEMORY as u64 - 70)..(MEMORY as u64 + 2),
        1 => prop::sample::select(vec![27u64, 100, 5000, 1024, 1025, 1 << 20, u64::from(u32::MAX), 1 << 63, u64::MAX]),
        1 => any::<u64>(),
    ]
}

/// Where a path is that is not there at first.
const NEW: u64 = 0x8100;

fn calls() -> impl Strategy<Value = Vec<(usize, Vec<u64>)>> {
    let exit = calls::WasiCall::ProcExit as usize;
    let any_call = (0..calls::TABLE.len()).prop_filter("does not return", move |index| *index != exit);
    let random = any_call.prop_flat_map(|index| {
        let count = calls::TABLE[index].params.len();
        (Just(index), prop::collection::vec(argument(), count))
    });
    let sensible = prop::sample::select(vec![
        ("fd_write", vec![1, 0x100, 2, 0]),
        ("fd_write", vec![2, 0x100, 1, 0]),
        ("fd_read", vec![0, 0x100, 1, 0]),
        ("fd_read", vec![4, 0x100, 2, 0]),
        ("fd_readdir", vec![3, 0x4000, 100, 1, 0]),
        ("path_open", vec![3, 1, PATH, 3, 0, rights::FILE, rights::ALL, 4, 0]),
        ("random_get", vec![0x4000, 777]),
        ("clock_time_get", vec![1, 0, 0]),
        ("poll_oneoff", vec![0x200, 0x4000, 2, 0]),
        ("fd_seek", vec![4, 3, 1, 0]),
        ("fd_write", vec![4, 0x100, 2, 0]),
        ("fd_pwrite", vec![4, 0x100, 2, 9000, 0]),
        ("fd_filestat_set_size", vec![4, 5]),
        ("fd_filestat_set_size", vec![4, 20_000]),
        ("fd_close", vec![4]),
        ("path_open", vec![3, 1, NEW, 3, 1, rights::FILE, rights::ALL, 1, 0]),
        ("path_create_directory", vec![3, NEW, 3]),
        ("path_symlink", vec![PATH, 3, 3, NEW, 3]),
        ("path_link", vec![3, 0, PATH, 3, 3, NEW, 3]),
        ("path_rename", vec![3, PATH, 3, 3, NEW, 3]),
        ("path_rename", vec![3, NEW, 3, 3, PATH, 3]),
        ("path_unlink_file", vec![3, PATH, 3]),
        ("path_unlink_file", vec![3, NEW, 3]),
        ("path_remove_directory", vec![3, NEW, 3]),
    ])
    .prop_map(|(name, args)| (calls::by_name(MODULE, name).unwrap().0 as usize, args));
    prop::collection::vec(prop_oneof![random, sensible], 1..60)
}

fn prepared() -> Guest {
    let mut guest = Guest::new();
    guest.wasi.record_answers(true);
    guest.path("top");
    guest.put(NEW, b"new");
    guest.iovecs(0x100, &[(0x400, 5), (0x5000, 3000)]);
    guest.put(0x218, &[9]);
    guest.put(0x230, &[1, 0, 0, 0, 0, 0, 0, 0, 1]);
    guest
}

fn play(guest: &mut Guest, calls: &[(usize, Vec<u64>)]) -> Vec<HostOutcome> {
    let mut outcomes = Vec::new();
    for (index, args) in calls {
        guest.gas += 10;
        outcomes.push(guest.outcome(calls::TABLE[*index].name, args));
    }
    outcomes
}

fn pages(guest: &Guest) -> Vec<(SpaceId, usize, Page)> {
    let wasi = &guest.wasi;
    let of = |number| (0..wasi.page_count(number)).map(move |page| (number, page, wasi.page(number, page)));
    wasi.numbers().into_iter().flat_map(of).collect()
}

fn copy_pages(from: &Guest, to: &mut Guest) {
    for (number, page, contents) in pages(from) {
        to.wasi.set_page(number, page, &contents);
    }
}

fn outputs(guest: &mut Guest) -> [Vec<u8>; 3] {
    [guest.wasi.take_output(1), guest.wasi.take_output(2), guest.wasi.take_answers()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_that_is_saved_and_restored_anywhere_equals_one_that_is_not(
        calls in calls(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut whole = prepared();
        let expected = play(&mut whole, &calls);
        let whole_outputs = outputs(&mut whole);

        let (before, after) = calls.split_at(cut.index(calls.len() + 1));
        let mut first = prepared();
        let mut outcomes = play(&mut first, before);
        let mut delivered = outputs(&mut first);
        let mut second = prepared();
        second.wasi.restore(&first.wasi.save()).unwrap();
        copy_pages(&first, &mut second);
        prop_assert_eq!(second.wasi.check_files(), Ok(()));
        prop_assert_eq!(second.wasi.save(), first.wasi.save());
        (second.memory, second.gas) = (first.memory, first.gas);
        outcomes.extend(play(&mut second, after));
        for (all, rest) in delivered.iter_mut().zip(outputs(&mut second)) {
            all.extend(rest);
        }

        prop_assert_eq!(outcomes, expected);
        prop_assert_eq!(delivered, whole_outputs);
        prop_assert!(second.memory.bytes == whole.memory.bytes, "memories differ");
        prop_assert_eq!(second.wasi.save(), whole.wasi.save());
        prop_assert_eq!(second.wasi.output_hash(1), whole.wasi.output_hash(1));
        prop_assert!(pages(&second) == pages(&whole), "files differ");
    }

    #[test]
    fn damaged_states_are_refused_or_canonical_and_never_panic(
        calls in calls(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
        more in calls(),
    ) {
        let mut guest = prepared();
        play(&mut guest, &calls);
        let mut bytes = guest.wasi.save();
        let at = at.index(bytes.len());
        bytes[at] = value;
        let mut other = prepared();
        let before = other.wasi.save();
        if other.wasi.restore(&bytes).is_ok() {
            prop_assert_eq!(other.wasi.save(), bytes);
            play(&mut other, &more);
        } else {
            prop_assert_eq!(other.wasi.save(), before);
        }
    }
}

#[test]
fn restoring_drops_output_and_answers_of_the_run_that_was_left() {
    let mut guest = prepared();
    let start = guest.wasi.save();
    guest.ok("fd_write", &[1, 0x100, 2, 0]);
    guest.ok("random_get", &[0, 10]);
    guest.wasi.restore(&start).unwrap();
    assert_eq!((guest.wasi.pending(), guest.wasi.take_answers()), (0, vec![]));
    assert_eq!(guest.wasi.save(), start);
}

#[test]
fn what_is_promised_to_others_never_changes() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut guest = Guest::new();
    let state = blake3::hash(&guest.wasi.save()).to_hex();
    assert_eq!(
        &state[..32],
        "bd30d8a0ab70e5cc283415401673b011",
        "the saved form: a change needs a new snapshot version"
    );
    guest.ok("random_get", &[0, 16]);
    assert_eq!(hex(&guest.get(0, 16)), "198a787aa6ac5d15397e2c7478fd89de", "the random stream of seed 42");
    let mut hash = OutputHash::default();
    hash.update(b"hello");
    assert_eq!(hex(&hash.hash()[..16]), "9e1adf152de957f99f1c551f54c9880c", "the hash of an output");
}
