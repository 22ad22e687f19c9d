//! What two chains claim beside the snapshots that they share: how far they go, what the outside answered, how the run ended
//! and with which result. Which of the two is right `verify` says; here is only whether they say the same.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stepmark_state::encoding::hex;

use crate::chain::ChainFiles;
use crate::chain::durable::{self, BASE, Name, PAUSE_NOTE, RECEIPT};
use crate::claimed_job::{self, ClaimedJob};
use crate::failure::{Failure, Result};
use crate::foreign::{Foreign, ForeignKind};
use crate::job::search::file_hash;
use crate::node::{kept, receipt};
use crate::state::{Difference, Differences};
use crate::strict;

/// How a chain says something that the other one does not say.
const NOTHING: &str = "nothing";

/// The claims in which two chains differ whose snapshots are the same as far as the shorter one goes.
///
/// # Errors
/// Exit code 65 when a file of either is damaged: then they cannot be compared; 74 when one cannot be read.
pub fn beside(a: &ChainFiles, b: &ChainFiles) -> Result<Vec<Difference>> {
    [a, b].into_iter().try_for_each(check_whole)?;
    let mut found = Vec::new();
    let mut take = |difference| {
        found.push(difference);
        Ok(())
    };
    let mut differences = Differences::of("files", &mut take);
    let [last_a, last_b] = [a, b].map(|chain| format!("up to {}", chain.last()));
    differences.compare("snapshots", last_a, last_b)?;
    let mut names = claims(a)?.union(&claims(b)?).cloned().collect::<BTreeSet<_>>();
    names.extend((!differ_in_base(a, b)).then(|| BASE.to_owned()));
    for name in names {
        if name == RECEIPT {
            compare_receipts(&mut differences, a, b)?;
        } else {
            let [left, right] = [shown(a, &name)?, shown(b, &name)?];
            differences.compare(name, left, right)?;
        }
    }
    Ok(found)
}

/// Whether the bases of two chains cannot be compared, as they stand for different files: `verify` says of each whether it does.
pub fn differ_in_base(a: &ChainFiles, b: &ChainFiles) -> bool {
    a.base_id() != b.base_id()
}

/// A chain of which anything is damaged is not the same as any other.
fn check_whole(chain: &ChainFiles) -> Result<()> {
    let mut faults = chain.faults_from_its_beginning().chain(&chain.aside_faults).peekable();
    if faults.peek().is_none() {
        return Ok(());
    }
    Err(damaged(chain, faults))
}

/// Why a chain cannot be compared.
fn damaged<'a>(chain: &ChainFiles, faults: impl IntoIterator<Item = &'a String>) -> Failure {
    let what = format!("{}: a file is missing or damaged: the chains cannot be compared", chain.dir.display());
    faults.into_iter().fold(Failure::data(what), Failure::caused_by)
}

/// Names of the files that claim something which the hashes of the snapshots do not.
fn claims(chain: &ChainFiles) -> Result<BTreeSet<String>> {
    let files = durable::files_in(&chain.dir)?.into_iter();
    let is_claim = |kind: Name| matches!(kind, Name::Calls(_) | Name::Pause | Name::Final | Name::Result);
    let names = files.filter(|(kind, _)| is_claim(*kind)).map(|(_, name)| name);
    Ok(names.filter(|name| name != PAUSE_NOTE).collect())
}

/// What a chain says in the file of this name: a short text itself, of anything else the length and hash.
fn shown(chain: &ChainFiles, name: &str) -> Result<String> {
    let hashed = |length: u64, hash: [u8; 32]| format!("{length} bytes with BLAKE3 hash {}", hex(&hash));
    // As they were when the chain was opened.
    let reported = match name {
        RECEIPT => {
            chain.reports.receipt.clone()?.map(|bytes| hashed(bytes.len() as u64, *blake3::hash(&bytes).as_bytes()))
        }
        "result.txt" => chain.reports.result.clone()?.map(|bytes| format!("\"{}\"", bytes.escape_ascii())),
        _ => {
            let kind = Name::kind_of(name).unwrap_or(ForeignKind::Text);
            let file = Foreign::find_within(&chain.dir, name, kind)?;
            file.map(|file| Ok::<_, Failure>(hashed(file.length(), file_hash(file)?))).transpose()?
        }
    };
    Ok(reported.unwrap_or_else(|| NOTHING.to_owned()))
}

/// Adds the members of the deterministic parts of two receipts that differ.
fn compare_receipts(differences: &mut Differences<'_>, a: &ChainFiles, b: &ChainFiles) -> Result<()> {
    let read = |chain: &ChainFiles| -> Result<Option<Value>> {
        let damaged = |error| Failure::data(format!("{}/{RECEIPT}: {error}", chain.dir.display()));
        chain.reports.receipt.clone()?.map(|bytes| strict::parse(&bytes)).transpose().map_err(damaged)
    };
    let (Some(left), Some(right)) = (read(a)?, read(b)?) else {
        differences.compare(RECEIPT, shown(a, RECEIPT)?, shown(b, RECEIPT)?)?;
        return Ok(());
    };
    // What the runner says of itself may differ; a member that no receipt has is a claim of its own.
    let others = |receipt: &Value| {
        let mut receipt = receipt.as_object().cloned().unwrap_or_default();
        receipt.retain(|name, _| !receipt::KNOWN.contains(&name.as_str()));
        Value::Object(receipt)
    };
    let mut compare = |left: &Value, right: &Value, of: &str| {
        let differing = receipt::differing(left, right).into_iter();
        let mut named = differing.map(|(name, left, right)| (format!("{RECEIPT}: {name:?}{of}"), left, right));
        named.try_for_each(|(what, left, right)| differences.compare(what, left, right))
    };
    compare(&others(&left), &others(&right), "")?;
    for part in receipt::DETERMINISTIC {
        compare(&left[part], &right[part], &format!(" of {part}"))?;
    }
    let said = |receipt: &Value, chain: &ChainFiles| {
        let known = chain.job.as_ref().map(|job| json!(ClaimedJob::of(job))).unwrap_or_default();
        receipt::said_job(receipt, &known)
    };
    compare(&said(&left, a), &said(&right, b), &format!(" of {}", claimed_job::JOB))?;
    // A receipt that keeps no output says nothing else than one that does.
    if [&left, &right].iter().all(|receipt| receipt.get(receipt::OUTPUT).is_some()) {
        compare(&left[receipt::OUTPUT], &right[receipt::OUTPUT], &format!(" of {}", receipt::OUTPUT))?;
    }
    // What only one of them keeps is what both have the hash of, or is damaged.
    for (receipt, other, chain) in [(&left, &right, a), (&right, &left, b)] {
        if other.get(receipt::OUTPUT).is_some() {
            continue;
        }
        let faults = receipt.get(receipt::OUTPUT).map(|output| kept::faults(output, &receipt["result"]));
        if let Some(faults) = faults.filter(|faults| !faults.is_empty()) {
            return Err(damaged(chain, &faults));
        }
    }
    Ok(())
}
