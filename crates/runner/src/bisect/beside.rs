//! What two chains claim beside the snapshots that they share: how far they go, what the outside answered, how the run ended
//! and with which result. Which of the two is right `verify` says; here is only whether they say the same.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::chain::ChainFiles;
use crate::chain::durable::{self, Name, PAUSE_NOTE};
use crate::failure::{Failure, Result};
use crate::foreign::{Foreign, ForeignKind};
use crate::job::search::file_hash;
use crate::node::receipt;
use crate::state::Difference;
use crate::strict;

/// How a chain says something that the other one does not say.
const NOTHING: &str = "nothing";

/// The claims in which two chains differ whose snapshots are the same as far as the shorter one goes.
///
/// # Errors
/// Exit code 65 when a file of either is damaged: then they cannot be compared; 74 when one cannot be read.
pub fn beside(a: &ChainFiles, b: &ChainFiles) -> Result<Vec<Difference>> {
    [a, b].into_iter().try_for_each(check_whole)?;
    let mut differences = Vec::new();
    let [last_a, last_b] = [a, b].map(|chain| format!("up to {}", chain.last()));
    compare(&mut differences, "snapshots", last_a, last_b);
    let names = claims(a)?.union(&claims(b)?).cloned().collect::<BTreeSet<_>>();
    for name in names {
        if name == RECEIPT {
            differences.extend(compare_receipts(a, b)?);
        } else {
            compare(&mut differences, &name, shown(a, &name)?, shown(b, &name)?);
        }
    }
    Ok(differences)
}

const RECEIPT: &str = "receipt.json";

/// Adds what is not the same.
fn compare(differences: &mut Vec<Difference>, what: &str, left: String, right: String) {
    if left != right {
        differences.push(Difference::of_files(what.to_owned(), left, right));
    }
}

/// A chain of which anything is damaged is not the same as any other.
fn check_whole(chain: &ChainFiles) -> Result<()> {
    let mut faults = chain.faults_from_its_beginning().chain(&chain.aside_faults).peekable();
    if faults.peek().is_none() {
        return Ok(());
    }
    let what = format!("{}: a file is missing or damaged: the chains cannot be compared", chain.dir.display());
    Err(faults.fold(Failure::data(what), Failure::caused_by))
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
    let kind = Name::kind_of(name).unwrap_or(ForeignKind::Text);
    let Some(file) = Foreign::find_within(&chain.dir, name, kind)? else { return Ok(NOTHING.to_owned()) };
    if name == "result.txt" {
        return Ok(format!("{:?}", file.text()?));
    }
    let length = file.length();
    Ok(format!("{length} bytes with BLAKE3 hash {}", stepmark_state::encoding::hex(&file_hash(file)?)))
}

/// The members of the deterministic parts of two receipts that differ.
fn compare_receipts(a: &ChainFiles, b: &ChainFiles) -> Result<Vec<Difference>> {
    let read = |chain: &ChainFiles| -> Result<Option<Value>> {
        let damaged = |error| Failure::data(format!("{}/{RECEIPT}: {error}", chain.dir.display()));
        chain.reports.receipt.clone()?.map(|bytes| strict::parse(&bytes)).transpose().map_err(damaged)
    };
    let (Some(left), Some(right)) = (read(a)?, read(b)?) else {
        return Ok(vec![Difference::of_files(RECEIPT.to_owned(), shown(a, RECEIPT)?, shown(b, RECEIPT)?)]);
    };
    // What the runner says of itself may differ; a member that no receipt has is a claim of its own.
    let others = |receipt: &Value| {
        let mut receipt = receipt.as_object().cloned().unwrap_or_default();
        receipt.retain(|name, _| !receipt::KNOWN.contains(&name.as_str()));
        Value::Object(receipt)
    };
    let strange = receipt::differing(&others(&left), &others(&right)).into_iter();
    let strange = strange.map(|(name, left, right)| Difference::of_files(format!("{RECEIPT}: {name:?}"), left, right));
    let parts = receipt::DETERMINISTIC.into_iter().flat_map(|part| {
        let of_part = receipt::differing(&left[part], &right[part]);
        of_part
            .into_iter()
            .map(move |(name, left, right)| Difference::of_files(format!("{RECEIPT}: {name:?} of {part}"), left, right))
    });
    // A receipt that keeps no output says nothing else than one that does.
    let kept = [&left, &right].map(|receipt| receipt.get(receipt::OUTPUT));
    let output =
        kept.iter().all(Option::is_some).then(|| receipt::differing(&left[receipt::OUTPUT], &right[receipt::OUTPUT]));
    let output = output.into_iter().flatten().map(|(name, left, right)| Difference {
        what: format!("{RECEIPT}: {name:?} of {}", receipt::OUTPUT),
        left,
        right,
    });
    Ok(strange.chain(parts).chain(output).collect())
}
