//! A dispute as one file: the snapshots that both sides agree on, what each claims, the program and the verdict, so that
//! anybody can decide it again.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::archive::{self, Writer};
use crate::chain::Chain;
use crate::engine::Engine;
use crate::failure::{Failure, Result};
use crate::job_files::{FileFlags, JobFiles, Rerun};
use crate::place::Place;

use super::chains::{Parting, Side, execute};
use super::executor::{Position, reach};
use super::executors::Divergence;

/// Name of the verdict in a bundle.
const DISPUTE: &str = "dispute.json";

/// What a bundle says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
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
pub fn write_chains(path: &Path, chains: [&Chain; 2], files: &JobFiles, parting: &Parting) -> Result<u64> {
    let [a, b] = chains;
    let limit = a.links.get(&parting.id).map_or(u64::MAX, |link| link.segment.limit);
    let right = match parting.right {
        Some(Side::A) => "a",
        Some(Side::B) => "b",
        None => "neither",
    };
    let snap_hash = guest_interp::snapshot::hex(&parting.snap_hash);
    let dispute = Dispute::Chains { id: parting.id, limit, snap_hash, right: right.to_owned() };
    let claim = |name: &str| name == format!("{}.snap", parting.id) || name == format!("{}.bin", parting.id);
    write(path, &dispute, a, parting.id.saturating_sub(1), files, &mut |writer| {
        writer.chain("a/", &a.dir, &claim)?;
        writer.chain("b/", &b.dir, &claim)
    })
}

/// Writes the bundle of two executors.
///
/// # Errors
/// Exit code 74 when it cannot be written.
pub fn write_executors(path: &Path, chain: &Chain, id: u64, files: &JobFiles, found: &Divergence) -> Result<u64> {
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
    chain: &Chain,
    id: u64,
    files: &JobFiles,
    claims: &mut dyn FnMut(&mut Writer) -> Result<()>,
) -> Result<u64> {
    let text = serde_json::to_string_pretty(dispute).map_err(|error| Failure::data(error.to_string()))?;
    let mut writer = Writer::create(path)?;
    writer.bytes(DISPUTE, text.as_bytes())?;
    let agreed = |name: &str| {
        let number = name.split('.').next().and_then(|stem| stem.parse::<u64>().ok());
        name == crate::chain::BASE || number.is_some_and(|number| number <= id)
    };
    writer.chain("", &chain.dir, &agreed)?;
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
/// Exit code 65 for a file that is no bundle.
pub fn recheck(bundle: &Path, engine: Engine) -> Result<Recheck> {
    let folder = tempfile::tempdir().map_err(|error| Failure::io(bundle, &error))?;
    let dir = folder.path();
    archive::unpack(bundle, dir)?;
    let text = fs::read_to_string(dir.join(DISPUTE)).map_err(|error| Failure::io(&dir.join(DISPUTE), &error))?;
    let bad = |error: serde_json::Error| Failure::data(format!("{}: {DISPUTE}: {error}", bundle.display()));
    let dispute: Dispute = serde_json::from_str(&text).map_err(bad)?;
    let (right, confirmed) = match &dispute {
        Dispute::Chains { id, limit, snap_hash, right } => {
            let claims = [Place::new(dir.join("a"), id.to_string()), Place::new(dir.join("b"), id.to_string())];
            let [a, b] = [claims[0].read()?, claims[1].read()?];
            let rerun = rerun(&a.job, dir)?;
            let (snap, _) = execute(&rerun, id.saturating_sub(1), *limit, engine)?;
            let honest = guest_interp::snapshot::snap::decode(&snap)?.hash;
            let found = match (honest == a.hash, honest == b.hash) {
                (true, _) => "a",
                (_, true) => "b",
                _ => "neither",
            };
            (found, found == right && guest_interp::snapshot::hex(&honest) == *snap_hash)
        }
        Dispute::Executors { id, agreed, agreed_hash, parted, left_hash, right_hash, right } => {
            let rerun = rerun(&Place::new(dir, id.to_string()).read()?.job, dir)?;
            let before = reach(&rerun, &id.to_string(), engine, *agreed)?.hash()?;
            let after = reach(&rerun, &id.to_string(), engine, *parted)?.hash()?;
            let found = who(&after, left_hash, right_hash);
            (found, found == right && before == *agreed_hash)
        }
    };
    Ok(Recheck { right: right.to_owned(), confirmed, dispute })
}

fn rerun(job: &guest_interp::job::Job, dir: &Path) -> Result<Rerun> {
    let files = JobFiles::find(job, None, &FileFlags::default(), dir)?;
    Ok(Rerun::new(job.clone(), &files, dir))
}
