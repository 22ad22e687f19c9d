//! Proofs with something left out. A proof says that something leads to something, and may be believed by whoever checks
//! it: so a proof of which any part is dropped, repeated, moved or replaced, with the hashes of its own repaired, must be
//! refused, or say exactly what the honest one says. All omissions of a proof are judged, not samples of them.
//!
//! Each kind of proof is a file of this folder with a list of its honest proofs, and a row of [`KINDS`].

pub mod beside;
pub mod bundle;
mod folder;
pub mod frozen;
pub mod parts;
pub mod receipt;
pub mod schedule;
pub mod witness;

use std::sync::Mutex;

use anyhow::{Context, Result, ensure};

use crate::panic_guard::caught;

/// An honest proof: bytes, whatever else its check needs beside them being fixed.
pub trait Proof: Sync {
    /// What it is a proof of, for messages.
    fn name(&self) -> String;

    /// Its bytes.
    fn bytes(&self) -> &[u8];

    /// The same with something left out, in every way that its kind knows.
    fn omissions(&self) -> Box<dyn Iterator<Item = Omission> + Send + '_>;

    /// Checks such bytes as a stranger would.
    ///
    /// # Errors
    /// What no check may do: refuse with a wrong code, say something without saying of what.
    fn judge(&self, bytes: &[u8]) -> Result<Verdict>;
}

/// A proof with something left out.
#[derive(Clone, Debug)]
pub struct Omission {
    /// What was done to it.
    pub what: String,
    /// The bytes, sealed as a forger would.
    pub bytes: Vec<u8>,
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It refuses the proof, with this message.
    Refused(String),
    /// It believes it.
    Says(Statement),
}

/// What a proof shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Of what: a hash that the reader compares with one that he knows.
    pub about: Vec<u8>,
    /// What follows from it. Equal subjects must have equal results.
    pub result: Vec<u8>,
}

/// Makes the honest proofs of a kind: few of them, or all.
pub type Make = fn(all: bool) -> Result<Vec<Box<dyn Proof>>>;

/// The kinds, by name.
pub const KINDS: [(&str, Make); 11] = [
    ("witness", witness::proofs),
    ("bundle", bundle::bundles),
    ("archive", bundle::archives),
    ("pause", beside::pauses),
    ("base", beside::bases),
    ("final", beside::ends),
    ("calls", beside::calls),
    ("rwset", beside::sets),
    ("receipt", receipt::receipts),
    ("schedule", schedule::schedules),
    ("frozen", frozen::files),
];

/// Counts of what was judged.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Honest proofs, each of which was believed.
    pub proofs: u64,
    /// Proofs with something left out.
    pub omissions: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Those that say what the honest one says.
    pub same: u64,
    /// Those that say something of another subject: whoever compares it is not deceived.
    pub others: u64,
    /// What went wrong.
    pub failures: Vec<String>,
}

impl Figures {
    /// Adds another count.
    pub fn add(&mut self, other: Figures) {
        self.proofs += other.proofs;
        self.omissions += other.omissions;
        self.refused += other.refused;
        self.same += other.same;
        self.others += other.others;
        self.failures.extend(other.failures);
    }

    fn count(&mut self, honest: &Statement, what: &str, found: Result<Verdict>) {
        self.omissions += 1;
        match found {
            Ok(Verdict::Refused(_)) => self.refused += 1,
            Ok(Verdict::Says(said)) if said == *honest => self.same += 1,
            Ok(Verdict::Says(said)) if said.about != honest.about => self.others += 1,
            Ok(Verdict::Says(_)) => self.failures.push(format!("{what}: is believed, with another result")),
            Err(error) => self.failures.push(format!("{what}: {error:#}")),
        }
    }
}

/// Who else wants to see what was judged, and how.
pub type Seen<'a> = &'a (dyn Fn(&Omission, &Result<Verdict>) + Sync);

/// Judges a proof and one in `every` of what can be left out of it, in so many threads; each is shown to `seen`.
///
/// # Errors
/// The honest proof is not believed.
pub fn sweep(proof: &dyn Proof, every: usize, threads: usize, seen: Seen<'_>) -> Result<Figures> {
    let name = proof.name();
    let honest = match caught(|| proof.judge(proof.bytes())).with_context(|| name.clone())? {
        Verdict::Says(statement) => statement,
        Verdict::Refused(why) => anyhow::bail!("{name}: the honest proof is refused: {why}"),
    };
    let omissions = Mutex::new(proof.omissions().step_by(every.max(1)));
    let next = || omissions.lock().ok()?.next();
    let work = || {
        let mut figures = Figures::default();
        while let Some(omission) = next() {
            // What is repeated or replaced by its like may be as it was.
            if omission.bytes != proof.bytes() {
                let found = caught(|| proof.judge(&omission.bytes));
                seen(&omission, &found);
                figures.count(&honest, &format!("{name}: {}", omission.what), found);
            }
        }
        figures
    };
    let mut all = Figures { proofs: 1, ..Figures::default() };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            all.add(thread.join().unwrap_or_else(|_| Figures {
                failures: vec![format!("{name}: a thread panicked outside of a check")],
                ..Figures::default()
            }));
        }
    });
    ensure!(all.omissions > 0, "{name}: nothing could be left out");
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_beside_a_chain_is_found_or_changes_nothing() {
        for (kind, make) in &KINDS[3..] {
            let mut figures = Figures::default();
            for proof in make(false).expect("proofs") {
                figures.add(sweep(&*proof, 40, 2, &|_, _| {}).expect("the honest one is believed"));
            }
            assert!(figures.failures.is_empty(), "{kind}: {:#?}", figures.failures);
            assert!(figures.refused > 0, "{kind}: {figures:?}");
        }
    }
}
