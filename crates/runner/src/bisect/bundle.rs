//! A dispute as one file: the snapshots that both sides agree on, what each claims, the program and the verdict, so that
//! anybody can decide it again. Who decides believes nothing of what whoever made the file says about it: what the claims
//! say is read from them, and the dispute's own words are compared with what comes out.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::archive::{self, DISPUTE, Writer};
use crate::bounds::Bounds;
use crate::chain::ChainFiles;
use crate::chain::durable::{self, Name};
use crate::failure::{Failure, Result};
use crate::foreign::{Foreign, ForeignKind};
use crate::interrupt::Interrupt;
use crate::job::rerun::{GivenFiles, JobFiles, Rerun};
use crate::job::search::FILES;
use crate::node::engine::Engine;
use crate::scratch::ScratchFolder;
use crate::strict;
use stepmark_session::spec::SnapshotName;

use super::chains::{Parting, Side, part};
use super::executor::{ALL_STEPS, Position, reach};
use super::executors::Divergence;

/// What a bundle says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Dispute {
    /// Two chains part at snapshot `id`: `a/{id}.snap` and `b/{id}.snap` are what they claim.
    Chains {
        /// The first snapshot that differs.
        id: u64,
        /// Gas limit of the segment before it.
        limit: u64,
        /// The `.snap` hash that executing the segment gives.
        snap_hash: String,
        /// `a`, `b` or `neither`.
        right: String,
    },
    /// Two executors part after snapshot `id`.
    Executors {
        /// The snapshot.
        id: u64,
        /// The last moment at which they agree.
        agreed: Position,
        /// The state then.
        agreed_hash: String,
        /// The first moment at which they do not.
        parted: Position,
        /// What the one has then.
        left_hash: String,
        /// What the other one has.
        right_hash: String,
        /// `left`, `right` or `neither`.
        right: String,
    },
}

/// Writes the bundle of two chains.
///
/// # Errors
/// Exit code 74 when it cannot be written.
pub fn write_chains(path: &Path, chains: [&ChainFiles; 2], files: &JobFiles, parting: &Parting) -> Result<u64> {
    let [a, b] = chains;
    let limit = a.links.get(&parting.id).map_or(u64::MAX, |link| link.segment.limit);
    let snap_hash = stepmark_state::encoding::hex(&parting.snap_hash);
    let right = side_name(parting.right).to_owned();
    let dispute = Dispute::Chains { id: parting.id, limit, snap_hash, right };
    let claim = |name: &str| is_claim(name, parting.id);
    write(path, &dispute, a, parting.id.saturating_sub(1), files, &mut |writer| {
        writer.chain("a/", &a.dir, &claim)?;
        writer.chain("b/", &b.dir, &claim)
    })
}

/// Writes the bundle of two executors.
///
/// # Errors
/// Exit code 74 when it cannot be written.
pub fn write_executors(path: &Path, chain: &ChainFiles, id: u64, files: &JobFiles, found: &Divergence) -> Result<u64> {
    let dispute = Dispute::Executors {
        id,
        agreed: found.agreed,
        agreed_hash: found.agreed_hash.clone(),
        parted: found.parted,
        left_hash: found.left_hash.clone(),
        right_hash: found.right_hash.clone(),
        right: who(&found.own_hash, &found.left_hash, &found.right_hash).to_owned(),
    };
    write(path, &dispute, chain, id, files, &mut |_| Ok(()))
}

fn side_name(side: Option<Side>) -> &'static str {
    match side {
        Some(Side::A) => "a",
        Some(Side::B) => "b",
        None => "neither",
    }
}

/// Whether this is a file of what a side claims at snapshot `id`.
fn is_claim(name: &str, id: u64) -> bool {
    ["snap", "bin", "calls"].iter().any(|ending| name == format!("{id}.{ending}"))
}

/// Whether this is a file of the chain up to snapshot `id`.
fn is_shared(name: &str, id: u64) -> bool {
    match Name::parse(name) {
        Some(Name::Snap(number) | Name::Bin(number) | Name::Calls(number)) => number <= id,
        kind => kind == Some(Name::Base),
    }
}

fn who(own: &str, left: &str, right: &str) -> &'static str {
    match (own == left, own == right) {
        (true, _) => "left",
        (_, true) => "right",
        _ => "neither",
    }
}

/// Writes what both kinds have in common: the verdict, the chain up to `id`, the files of the job.
fn write(
    path: &Path,
    dispute: &Dispute,
    chain: &ChainFiles,
    id: u64,
    files: &JobFiles,
    claims: &mut dyn FnMut(&mut Writer) -> Result<()>,
) -> Result<u64> {
    let text = serde_json::to_string_pretty(dispute).map_err(|error| Failure::data(error.to_string()))?;
    let mut writer = Writer::create(path)?;
    writer.bytes(DISPUTE, text.as_bytes())?;
    writer.chain("", &chain.dir, &|name| is_shared(name, id))?;
    claims(&mut writer)?;
    let program = chain.job.as_ref().map_or("program.wasm", |job| job.program.name.as_str());
    writer.job(program, files)?;
    writer.finish()
}

/// What checking a bundle again came to.
#[derive(Clone, Debug, Serialize)]
pub struct Recheck {
    /// What the bundle says.
    pub dispute: Dispute,
    /// Who is right, by executing it.
    pub right: String,
    /// Whether the bundle says the same.
    pub confirmed: bool,
}

/// Decides a dispute again from its bundle alone.
///
/// # Errors
/// Exit code 65 for a file that is no bundle, and for a dispute that cannot be decided, as [`part`] says; 77 when it may take more
/// than `bounds` allow, or does.
pub fn recheck(bundle: &Path, engine: Engine, bounds: &Bounds) -> Result<Recheck> {
    let folder = ScratchFolder::create()?;
    let dir = folder.path();
    archive::unpack_bundle(bundle, dir, &Interrupt::new())?;
    let bad = |what: String| Failure::data(format!("{}: {what}", bundle.display()));
    let none = || bad(format!("no bundle: it holds no {DISPUTE}"));
    let text = Foreign::find_within(dir, DISPUTE, ForeignKind::Dispute)?.ok_or_else(none)?.bytes()?;
    let dispute: Dispute =
        strict::parse(&text).and_then(serde_json::from_value).map_err(|error| bad(format!("{DISPUTE}: {error}")))?;
    check_names(dir, &dispute).map_err(bad)?;
    let (right, confirmed) = match &dispute {
        Dispute::Chains { id, limit, snap_hash, right } => {
            let [a, b] = [open_side(dir, "a")?, open_side(dir, "b")?];
            [&a.1, &b.1].into_iter().try_for_each(|rerun| bounds.check_memory(rerun.job()))?;
            let Some(parting) = part(&a.0, &b.0, [&a.1, &b.1], engine, bounds)? else {
                let shared = a.0.last().min(b.0.last());
                return Err(bad(format!("the two claims are the same up to snapshot {shared}: there is no dispute")));
            };
            let claimed = a.0.links.get(&parting.id).map(|link| link.segment.limit);
            let found = side_name(parting.right);
            let same = (parting.id, claimed) == (*id, Some(*limit))
                && stepmark_state::encoding::hex(&parting.snap_hash) == *snap_hash;
            (found, same && found == right)
        }
        Dispute::Executors { id, agreed, agreed_hash, parted, left_hash, right_hash, right } => {
            if !are_neighbours(*agreed, *parted) || left_hash == right_hash {
                return Err(bad(format!(
                    "{DISPUTE}: does not say that two sides part between two neighbouring moments"
                )));
            }
            bounds.check_gas("the sides part after", parted.gas)?;
            let (chain, rerun) = open(dir, dir)?;
            bounds.check_memory(rerun.job())?;
            if chain.last() != *id {
                return Err(bad(format!("its chain ends at snapshot {}, expected {id}", chain.last())));
            }
            let (id, agreed, parted) = (SnapshotName::Number(*id), *agreed, *parted);
            let (before, after) = bounds.in_time(move || {
                let before = reach(&rerun, id, engine, agreed)?.hash()?;
                Ok((before, reach(&rerun, id, engine, parted)?.hash()?))
            })?;
            let found = who(&after, left_hash, right_hash);
            (found, found == right && before == *agreed_hash)
        }
    };
    Ok(Recheck { right: right.to_owned(), confirmed, dispute })
}

/// Whether the second moment is one at which a search ends that still finds agreement at the first.
fn are_neighbours(agreed: Position, parted: Position) -> bool {
    let same_gas = agreed.gas == parted.gas && agreed.steps.checked_add(1) == Some(parted.steps);
    let next_gas = agreed.gas.checked_add(1) == Some(parted.gas) && (agreed.steps, parted.steps) == (ALL_STEPS, 0);
    let start = agreed == Position { gas: 0, steps: 0 } && parted == Position { gas: 0, steps: ALL_STEPS };
    same_gas || next_gas || start
}

/// Checks that a bundle has nothing that the dispute does not need: what is not read cannot say anything else to others.
fn check_names(dir: &Path, dispute: &Dispute) -> std::result::Result<(), String> {
    let names = |folder: &Path| -> io::Result<Vec<String>> {
        let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        Ok(entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
    };
    let check = |folder: &str, wanted: &dyn Fn(&str) -> bool| match names(&dir.join(folder)) {
        Err(error) => Err(format!("{folder}: {error}")),
        Ok(names) => match names.iter().find(|name| !wanted(name)) {
            Some(name) => Err(format!("{:?} is no part of a dispute", format!("{folder}{name}"))),
            None => Ok(()),
        },
    };
    match dispute {
        Dispute::Chains { id, .. } => {
            let before = id.saturating_sub(1);
            check("", &|name| is_shared(name, before) || ["a", "b", FILES, DISPUTE].contains(&name))?;
            ["a/", "b/"].into_iter().try_for_each(|side| check(side, &|name| is_claim(name, *id)))
        }
        Dispute::Executors { id, .. } => check("", &|name| is_shared(name, *id) || [FILES, DISPUTE].contains(&name)),
    }
}

/// The chain that a side claims, made of what the two share and the side's own files.
#[expect(clippy::disallowed_methods, reason = "regular files of ours, which the archive was unpacked to")]
fn open_side(dir: &Path, side: &str) -> Result<(ChainFiles, Rerun)> {
    let own = dir.join(side);
    for name in durable::names_in(dir)? {
        let (from, to) = (dir.join(&name), own.join(&name));
        // Not every file system has links.
        let copied = fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(|_| ()));
        copied.map_err(|error| Failure::data(format!("{name}: {error}")))?;
    }
    open(dir, &own)
}

/// A chain whose job's files are in `dir`.
fn open(dir: &Path, chain: &Path) -> Result<(ChainFiles, Rerun)> {
    let chain = ChainFiles::open(chain)?;
    let Some(job) = chain.job.clone() else {
        let failure = Failure::data("the bundle holds no snapshot that can be read");
        return Err(chain.faults.values().flatten().fold(failure, Failure::caused_by));
    };
    let files = JobFiles::find(&job, None, &GivenFiles::default(), dir)?;
    let rerun = Rerun::new(job, &files, &chain.dir);
    Ok((chain, rerun))
}
