//! Many contracts at once on one store, and the check of what they did: some serial order must explain every read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, anyhow, ensure};
use guest_interp::args;
use stepmark_hosts::store::ReadWriteSet;
use stepmark_runner::failure::CONFLICT;
use stepmark_runner::node::engine::{Budget, ModuleSession};
use stepmark_runner::node::external;
use stepmark_runner::node::native::NativeNode;
use stepmark_runner::store::Database;
use stepmark_session::{Event, Session};

use crate::programs;

/// What every account begins with.
const START: u64 = 1_000;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Invocations that commit.
    pub invocations: u64,
    /// Threads that make them.
    pub threads: u64,
    /// Accounts among which they transfer: the fewer, the more conflicts.
    pub accounts: u64,
    /// Of their choices.
    pub seed: u64,
}

/// A commit.
struct Committed {
    /// The store's version after it.
    version: u64,
    set: ReadWriteSet,
}

/// What it came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Commits.
    pub commits: u64,
    /// Runs that were refused because of a conflict, and made again.
    pub conflicts: u64,
    /// Runs that trapped, as an account was overdrawn.
    pub traps: u64,
    /// Reads that were checked.
    pub reads: u64,
}

/// What an invocation came to.
enum Ran {
    Trapped,
    Finished(ReadWriteSet),
}

fn account(number: u64) -> String {
    format!("balance/{number}")
}

/// Invokes the token contract on the store as it is now.
fn invoke(token: &[u8], store: &Database, data: &str) -> Result<Ran> {
    let mut view = store.view()?;
    let version = view.version().to_string();
    let argv = ["--store-version", &version, "--call-data", data, "token.wasm", "invoke"].map(str::to_owned);
    let mut node = NativeNode::new();
    node.load(&args::job(&argv)?)?;
    while node.want()?.is_some() {
        node.give(token)?;
        node.give_end(true)?;
    }
    while external::run(&mut node, Budget::UNLIMITED, &mut view)? != Event::Finished {
        node.drop_output()?;
    }
    let trapped = node.exit_code()? != 0;
    let session: Session = node.into_session().context("the run is there")?;
    let set = session.store().map(|store| store.read_write_set(true)).context("there is a store")?;
    Ok(if trapped { Ran::Trapped } else { Ran::Finished(set) })
}

/// Runs the plan on a new store at `path`, and checks the history.
///
/// # Errors
/// The history is not serialisable, or something failed.
pub fn run(plan: Plan, path: &Path) -> Result<Figures> {
    let token = std::fs::read(programs::directory().join("contracts/token.wasm"))?;
    let store = Database::open(path, true)?;
    let start: Vec<_> =
        (0..plan.accounts).map(|n| (account(n).into_bytes(), Some(START.to_le_bytes().to_vec()))).collect();
    let began = store.put(&start)?;
    let (next, history) = (AtomicU64::new(0), Mutex::new((Vec::new(), Figures::default())));
    std::thread::scope(|scope| {
        let work = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= plan.invocations {
                    return Ok(());
                }
                let data = choice(plan, number);
                let (committed, conflicts) = until_committed(&token, &store, &data)?;
                let mut history = history.lock().map_err(|_| anyhow!("a worker panicked"))?;
                history.1.conflicts += conflicts;
                match committed {
                    Some(committed) => history.0.push(committed),
                    None => history.1.traps += 1,
                }
            }
        };
        let threads: Vec<_> = (0..plan.threads.max(1)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a worker panicked"))?)
    })?;
    let (history, mut figures) = history.into_inner().map_err(|_| anyhow!("a worker panicked"))?;
    figures.commits = history.len() as u64;
    ensure!(figures.commits + figures.traps == plan.invocations, "{figures:?} of {plan:?}");
    check(history, began, &start, &store, &mut figures)?;
    Ok(figures)
}

/// What invocation `number` does: mostly a transfer, sometimes a total.
fn choice(plan: Plan, number: u64) -> String {
    let hash = blake3::hash(&[plan.seed.to_le_bytes(), number.to_le_bytes()].concat());
    let byte = |at: usize| u64::from(hash.as_bytes()[at]);
    if byte(0) < 26 {
        return "total".to_owned();
    }
    let (from, to) = (byte(1) % plan.accounts, byte(2) % plan.accounts);
    format!("transfer {from} {to} {}", byte(3) * byte(4) % 400 + 1)
}

/// Runs an invocation again until nobody else was in its way; none if it trapped.
fn until_committed(token: &[u8], store: &Database, data: &str) -> Result<(Option<Committed>, u64)> {
    let mut conflicts = 0;
    loop {
        let Ran::Finished(set) = invoke(token, store, data)? else { return Ok((None, conflicts)) };
        match store.commit(&set) {
            Ok(version) => return Ok((Some(Committed { version, set }), conflicts)),
            Err(failure) if failure.code() == CONFLICT => conflicts += 1,
            Err(failure) => return Err(failure.into()),
        }
    }
}

/// Replays the commits in the order of their versions: each must have read what the ones before it left, and the store must
/// hold what the last ones left.
fn check(
    mut history: Vec<Committed>,
    began: u64,
    start: &[(Vec<u8>, Option<Vec<u8>>)],
    store: &Database,
    figures: &mut Figures,
) -> Result<()> {
    let mut held: BTreeMap<Vec<u8>, (u64, Vec<u8>)> =
        start.iter().filter_map(|(key, value)| Some((key.clone(), (began, value.clone()?)))).collect();
    // Those that wrote nothing read what was there after the commit whose version they got.
    history.sort_by_key(|committed| (committed.version, committed.set.writes.is_empty()));
    let mut version = began;
    for Committed { version: at, set } in &history {
        let expected = version + u64::from(!set.writes.is_empty());
        ensure!(*at == expected, "a commit has version {at}, expected {expected}");
        for (key, read) in &set.reads {
            let found = held.get(key).map_or(0, |(version, _)| *version);
            ensure!(found == *read, "version {at}: {} was read at {read}, was at {found}", ReadWriteSet::shown(key));
            figures.reads += 1;
        }
        for range in &set.ranges {
            let inside = |key: &&Vec<u8>| **key >= range.from && range.to.as_ref().is_none_or(|to| *key < to);
            for key in held.keys().filter(inside) {
                ensure!(set.reads.iter().any(|(read, _)| read == key), "version {at}: a key of a range was not read");
            }
        }
        for (key, value) in &set.writes {
            match value {
                Some(value) => held.insert(key.clone(), (*at, value.clone())),
                None => held.remove(key),
            };
        }
        version = *at;
    }
    let listed = store.view()?.list(&[], None, usize::MAX)?;
    let listed: BTreeMap<_, _> = listed.into_iter().map(|(key, found)| (key, (found.version, found.value))).collect();
    ensure!(listed == held, "the store does not hold what the commits wrote");
    let amount = |value: &[u8]| value.try_into().map(u64::from_le_bytes).context("a balance of 8 bytes");
    let sum: u64 = held.values().map(|(_, value)| amount(value)).sum::<Result<u64>>()?;
    let accounts = start.len() as u64;
    ensure!(sum == START * accounts, "{sum} in all accounts, expected {}", START * accounts);
    Ok(())
}
