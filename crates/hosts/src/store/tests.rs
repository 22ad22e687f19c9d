//! The store against a plain model, over random sequences of what a contract can do; and a state restored at any moment
//! against the one that went on.

use std::collections::BTreeMap;
use stepmark_core::host::Paid;

use proptest::prelude::*;

use super::*;
use crate::external::{ExternalCall, ExternalReply, Versioned};
use stepmark_core::host::GuestMemory;
use stepmark_core::host::test_memory::VecMemory;
use stepmark_state::paged::Paged;
use stepmark_state::pages::{SPACE_KEY_VALUE, SpaceId};

const VERSION: u64 = 9;
/// Where keys and values lie in the memory of these tests.
const KEY: u64 = 0;
const VALUE: u64 = 64;
const LIMIT: u64 = 128;
const SIZE: usize = 192;
/// Rows of the table of functions.
const READ: u32 = 0;
const PUT: u32 = 5;
const DELETE: u32 = 6;
const ITERATE: u32 = 7;
const NEXT: u32 = 8;
const CLOSE: u32 = 9;

/// What a contract does.
#[derive(Clone, Debug)]
enum Step {
    Read(u8),
    Put(u8, u8),
    Delete(u8),
    Iterate(u8, Option<u8>),
    Next,
    Close,
    Enter,
    Leave(bool),
    Restore,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..6u8;
    prop_oneof![
        key.clone().prop_map(Step::Read),
        (key.clone(), any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
        key.clone().prop_map(Step::Delete),
        (key.clone(), proptest::option::of(key)).prop_map(|(from, to)| Step::Iterate(from, to)),
        Just(Step::Next),
        Just(Step::Next),
        Just(Step::Next),
        Just(Step::Close),
        Just(Step::Enter),
        any::<bool>().prop_map(Step::Leave),
        Just(Step::Restore),
    ]
}

/// A key: none of them is the prefix of all others, some are of others.
fn key(number: u8) -> Vec<u8> {
    vec![b'k'; usize::from(number / 2) + 1].into_iter().chain([number]).collect()
}

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;
/// An open iterator: handle, the least key that comes next, limit.
type Open = (u64, Vec<u8>, Option<Vec<u8>>);

/// A store that is run beside a model of it.
struct Checked {
    store: KvView,
    base: Entries,
    /// What the contract finds: as many as calls are nested.
    models: Vec<Entries>,
    memory: VecMemory,
    /// Open iterators of each call.
    open: Vec<Vec<Open>>,
    asked: u64,
}

impl Checked {
    fn new(base: Entries) -> Self {
        Self {
            store: KvView::new(Some(VERSION), 1 << 20, ContractCall::default()),
            models: vec![base.clone()],
            base,
            memory: VecMemory::new(SIZE),
            open: vec![Vec::new()],
            asked: 0,
        }
    }

    fn answer(&self, question: &ExternalCall) -> ExternalReply {
        let versioned = |value: &Vec<u8>| Versioned { version: 3, value: value.clone() };
        match question {
            ExternalCall::Get { key } => ExternalReply::Value(self.base.get(key).map(versioned)),
            ExternalCall::Next { from, limit } => {
                let found = self.base.range(from.clone()..).next();
                let found = found.filter(|(key, _)| limit.as_ref().is_none_or(|limit| *key < limit));
                ExternalReply::Entry(found.map(|(key, value)| (key.clone(), versioned(value))))
            }
            ExternalCall::Call { .. } => unreachable!(),
        }
    }

    /// A call, as a session makes it.
    fn call(&mut self, id: u32, args: &[u64]) -> Option<u64> {
        let work = loop {
            match self.store.plan(id, args, &self.memory, u64::MAX).unwrap() {
                Needs::Pay(work) => break work,
                Needs::Ask(question) => {
                    self.asked += 1;
                    let answer = self.answer(&question);
                    self.store.take_in(args, question, &answer).unwrap();
                }
            }
        };
        match self.store.perform(id, args, &mut self.memory, Paid::of(work)).unwrap() {
            Called::Return(result) => result,
            other => panic!("{other:?}"),
        }
    }

    fn place(&mut self, at: u64, bytes: &[u8]) -> [u64; 2] {
        assert!(self.memory.write(at, bytes));
        [at, bytes.len() as u64]
    }

    fn step(&mut self, step: &Step) {
        let model = self.models.last().cloned().unwrap();
        match step {
            Step::Read(number) => {
                let [at, length] = self.place(KEY, &key(*number));
                let found = self.call(READ, &[at, length, VALUE, 8, 0]);
                let expected = model.get(&key(*number));
                assert_eq!(found, Some(expected.map_or(u32::MAX.into(), |value| value.len() as u64)));
                if let Some(expected) = expected {
                    assert_eq!(self.memory.read(VALUE, expected.len() as u64).unwrap(), expected);
                }
            }
            Step::Put(number, value) => {
                let [at, length] = self.place(KEY, &key(*number));
                let [value_at, value_length] = self.place(VALUE, &[*value; 3]);
                self.call(PUT, &[at, length, value_at, value_length]);
                self.models.last_mut().unwrap().insert(key(*number), vec![*value; 3]);
            }
            Step::Delete(number) => {
                let [at, length] = self.place(KEY, &key(*number));
                self.call(DELETE, &[at, length]);
                self.models.last_mut().unwrap().remove(&key(*number));
            }
            Step::Iterate(from, to) => {
                let [at, length] = self.place(KEY, &key(*from));
                let [to_at, to_length] = match to {
                    Some(to) => self.place(LIMIT, &key(*to)),
                    None => [0, u32::MAX.into()],
                };
                let handle = self.call(ITERATE, &[at, length, to_at, to_length]).unwrap();
                self.open.last_mut().unwrap().push((handle, key(*from), to.map(key)));
            }
            Step::Next => self.next(&model),
            Step::Close => {
                if let Some((handle, _, _)) = self.open.last_mut().unwrap().pop() {
                    self.call(CLOSE, &[handle]);
                }
            }
            Step::Enter if self.models.len() < MAX_INVOCATIONS => {
                self.store.enter(ContractCall::default());
                self.models.push(model);
                self.open.push(Vec::new());
            }
            Step::Leave(failed) if self.models.len() > 1 => {
                self.store.leave(*failed).unwrap();
                self.models.pop();
                self.open.pop();
                if !failed {
                    *self.models.last_mut().unwrap() = model;
                }
            }
            Step::Enter | Step::Leave(_) => {}
            Step::Restore => self.restore(),
        }
    }

    /// The innermost call's last iterator, if it has one and has not ended.
    fn next(&mut self, model: &Entries) {
        let Some((handle, at, limit)) = self.open.last().unwrap().last().cloned() else { return };
        let found = self.call(NEXT, &[handle, KEY, 60, VALUE, 60]).unwrap();
        let expected = model.range(at..).next();
        let expected = expected.filter(|(key, _)| limit.as_ref().is_none_or(|limit| *key < limit));
        let Some((key, value)) = expected else {
            assert_eq!(found, u64::MAX);
            let open = self.open.last_mut().unwrap();
            let (handle, _, _) = open.pop().unwrap();
            self.call(CLOSE, &[handle]);
            return;
        };
        assert_eq!(found, (key.len() as u64) << 32 | value.len() as u64);
        assert_eq!(self.memory.read(KEY, key.len() as u64).unwrap(), key);
        assert_eq!(self.memory.read(VALUE, value.len() as u64).unwrap(), value);
        self.open.last_mut().unwrap().last_mut().unwrap().1 = [key.as_slice(), &[0]].concat();
    }

    /// Saves everything, and goes on with what was restored from it.
    fn restore(&mut self) {
        let number = SpaceId::new(SPACE_KEY_VALUE, 0);
        let mut restored = KvView::new(Some(VERSION), 1 << 20, ContractCall::default());
        restored.restore(&self.store.save((4, 2))).unwrap();
        for page in 0..self.store.page_count(number) {
            restored.set_page(number, page, &self.store.page(number, page));
        }
        restored.rebuild().unwrap();
        assert_eq!(restored.read_write_set(true), self.store.read_write_set(true));
        assert_eq!((restored.save((4, 2)), restored.next_spaces()), (self.store.save((4, 2)), (4, 2)));
        self.store = restored;
    }
}

proptest! {
    #[test]
    fn a_contract_finds_what_a_plain_map_would_hold(
        base in proptest::collection::btree_map(0..6u8, any::<u8>(), 0..6),
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let base = base.into_iter().map(|(number, value)| (key(number), vec![value; 2])).collect::<Entries>();
        let mut checked = Checked::new(base.clone());
        for step in &steps {
            checked.step(step);
        }
        while checked.models.len() > 1 {
            checked.step(&Step::Leave(false));
        }
        let set = checked.store.read_write_set(true);
        let mut after = base.clone();
        for (key, value) in set.writes {
            match value {
                Some(value) => after.insert(key, value),
                None => after.remove(&key),
            };
        }
        prop_assert_eq!(&after, &checked.models[0]);
        for (key, version) in &set.reads {
            prop_assert_eq!(*version, if base.contains_key(key) { 3 } else { 0 });
        }
        // Every key of the store in a range that was read has been read.
        for range in &set.ranges {
            let inside = |key: &&Vec<u8>| **key >= range.from && range.to.as_ref().is_none_or(|to| *key < to);
            for key in base.keys().filter(inside) {
                prop_assert!(set.reads.iter().any(|(read, _)| read == key), "{:?} in {:?}", key, range);
            }
        }
    }
}

#[test]
fn a_value_is_read_in_parts_by_offset() {
    let base = Entries::from([(b"k".to_vec(), (0..40).collect())]);
    let mut checked = Checked::new(base);
    let [at, length] = checked.place(KEY, b"k");
    assert_eq!(checked.call(READ, &[at, length, VALUE, 32, 0]), Some(40));
    assert_eq!(checked.memory.read(VALUE, 32).unwrap(), (0..32).collect::<Vec<u8>>());
    assert_eq!(checked.call(READ, &[at, length, VALUE, 8, 32]), Some(40));
    assert_eq!(checked.memory.read(VALUE, 9).unwrap(), [32, 33, 34, 35, 36, 37, 38, 39, 8]);
    assert_eq!(checked.call(READ, &[at, length, VALUE, 8, 40]), Some(40));
    assert_eq!(checked.asked, 1, "the store is asked once for a key");
}

#[test]
fn ranges_outside_the_memory_and_keys_too_long_trap_with_a_reason() {
    let checked = Checked::new(Entries::new());
    let message = |id, args: &[u64]| checked.store.plan(id, args, &checked.memory, u64::MAX).unwrap_err();
    assert_eq!(message(READ, &[190, 3, 0, 0, 0]), "key: 3 bytes at 0xbe are outside the memory");
    assert_eq!(message(READ, &[0, 65_537, 0, 0, 0]), "key: 65537 bytes, at most 65536");
    assert_eq!(message(READ, &[0, 1, 192, 1, 0]), "buffer: 1 bytes at 0xc0 are outside the memory");
    assert_eq!(message(PUT, &[0, 1, 190, 3]), "value: 3 bytes at 0xbe are outside the memory");
    assert_eq!(message(NEXT, &[5, 0, 0, 0, 0]), "5 is no open iterator");
}

#[test]
fn a_short_buffer_leaves_an_iterator_where_it_is() {
    let mut checked = Checked::new(Entries::from([(b"key".to_vec(), b"value".to_vec())]));
    let [at, length] = checked.place(KEY, b"a");
    let handle = checked.call(ITERATE, &[at, length, 0, u32::MAX.into()]).unwrap();
    let both = 3 << 32 | 5;
    assert_eq!(checked.call(NEXT, &[handle, KEY, 2, VALUE, 60]), Some(both));
    assert_eq!(checked.call(NEXT, &[handle, KEY, 60, VALUE, 4]), Some(both));
    assert_eq!(checked.memory.read(KEY, 1).unwrap(), b"a");
    assert_eq!(checked.call(NEXT, &[handle, KEY, 3, VALUE, 5]), Some(both));
    assert_eq!(checked.memory.read(KEY, 3).unwrap(), b"key");
    assert_eq!(checked.call(NEXT, &[handle, KEY, 3, VALUE, 5]), Some(u64::MAX));
}

#[test]
fn what_is_held_of_keys_counts_with_the_log() {
    let mut store = KvView::new(Some(VERSION), 1000, ContractCall::default());
    assert_eq!([b"a", b"b"].map(|key| store.put(key, b"")), [Ok(()), Ok(())]);
    let full = Err("the store's log is full: the job allows 1000 bytes".to_owned());
    assert_eq!(store.clone().put(b"c", b""), full, "a third key");
    assert_eq!(store.put(b"a", b""), Ok(()), "a key that is there takes less");
    assert_eq!(store.put(b"a", b""), full);
    let held = store.keys.held;
    store.rebuild().unwrap();
    assert_eq!(store.keys.held, held, "a restored run has the same room");
}

#[test]
fn keys_of_open_iterators_are_bounded_and_closing_one_makes_room() {
    let mut store = KvView::new(Some(VERSION), 1 << 30, ContractCall::default());
    let key = vec![b'k'; 1 << 16];
    // Its start, and where it stands: 128 KiB each.
    for handle in 0..512 {
        assert_eq!(store.open(&key, None), Ok(handle));
    }
    let full = || "open iterators hold more than 67108864 bytes of keys".to_owned();
    assert_eq!(store.clone().open(b"a", None), Err(full()));
    assert_eq!(store.clone().look_ahead(0, key.clone(), Some(b"z".to_vec())), Err(full()));
    assert_eq!(store.clone().advance(0, &key), Err(full()), "where it stands is a byte longer");
    let mut restored = store.clone();
    restored.restore(&store.save((0, 0))).unwrap();
    assert_eq!(restored.open(b"a", None), Err(full()), "a restored run has the same room");
    store.close_handle(7).unwrap();
    assert_eq!(store.open(&key, None), Ok(7));
}

#[test]
fn damaged_states_are_refused() {
    let mut checked = Checked::new(Entries::from([(b"k".to_vec(), b"v".to_vec())]));
    let [at, length] = checked.place(KEY, b"k");
    checked.call(READ, &[at, length, VALUE, 8, 0]);
    let saved = checked.store.save((1, 0));
    let mut store = KvView::new(Some(VERSION), 4, ContractCall::default());
    let message = |store: &mut KvView, bytes: &[u8]| store.restore(bytes).unwrap_err().message().to_owned();
    assert_eq!(message(&mut store, &saved), "state: store: the log is longer than the job allows");
    assert_eq!(message(&mut store, &saved[1..]), "state: store: malformed");
    let mut store = KvView::new(Some(2), 1 << 20, ContractCall::default());
    store.restore(&saved).unwrap();
    store.set_page(SpaceId::new(SPACE_KEY_VALUE, 0), 0, &checked.store.page(SpaceId::new(SPACE_KEY_VALUE, 0), 0));
    // Version 3 was read by a run that began at version 2.
    assert_eq!(store.rebuild().unwrap_err().message(), "state: the store's log is malformed at byte 0");
}

#[test]
fn exports_read_as_they_were_written_and_damaged_ones_are_refused() {
    let entry = |version| Versioned { version, value: b"v".to_vec() };
    let export = StoreExport { version: 4, entries: vec![(b"a".to_vec(), entry(4)), (b"b".to_vec(), entry(1))] };
    let bytes = export.encode();
    assert_eq!(StoreExport::decode(&bytes), Ok(export.clone()));
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(StoreExport::decode(&damaged).is_err(), "byte {at}");
        assert!(StoreExport::decode(&bytes[..at]).is_err(), "cut at {at}");
    }
    let message = |export: StoreExport| StoreExport::decode(&export.encode()).unwrap_err().message().to_owned();
    let swapped = StoreExport { version: 4, entries: export.entries.iter().rev().cloned().collect() };
    assert_eq!(message(swapped), "key 'a' is not in ascending order");
    assert_eq!(message(StoreExport { version: 3, ..export }), "key 'a' has an impossible entry");
}
