//! The files that a run makes, and their names in the output directory.

use std::fmt;

use crate::spec::SnapshotName;

/// A file that a run makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutputFile {
    /// Answers from outside: `{snapshot}.calls`.
    Calls(SnapshotName),
    /// The pages that changed: `{snapshot}.bin`.
    Bin(SnapshotName),
    /// The state but for its pages: `{snapshot}.snap`.
    Snap(SnapshotName),
    /// What the run read of a store and wrote to it: `rwset.bin`.
    ReadWriteSet,
    /// The read and write set as text: `rwset.json`.
    ReadWriteSetText,
    /// `result.txt`
    Result,
    /// `receipt.json`
    Receipt,
}

/// The name in the output directory.
impl fmt::Display for OutputFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calls(snapshot) => write!(f, "{snapshot}.calls"),
            Self::Bin(snapshot) => write!(f, "{snapshot}.bin"),
            Self::Snap(snapshot) => write!(f, "{snapshot}.snap"),
            Self::ReadWriteSet => f.write_str("rwset.bin"),
            Self::ReadWriteSetText => f.write_str("rwset.json"),
            Self::Result => f.write_str("result.txt"),
            Self::Receipt => f.write_str("receipt.json"),
        }
    }
}

impl OutputFile {
    /// The file of this name; none for a name that no run gives.
    pub fn parse(name: &str) -> Option<Self> {
        let fixed = [Self::ReadWriteSet, Self::ReadWriteSetText, Self::Result, Self::Receipt];
        if let Some(file) = fixed.into_iter().find(|file| file.to_string() == name) {
            return Some(file);
        }
        let (stem, ending) = name.split_once('.')?;
        let snapshot = match stem {
            "paused" => SnapshotName::Paused,
            "final" => SnapshotName::Final,
            number => SnapshotName::Number(number.parse().ok()?),
        };
        let file = match ending {
            "calls" => Self::Calls(snapshot),
            "bin" => Self::Bin(snapshot),
            "snap" => Self::Snap(snapshot),
            _ => return None,
        };
        // A number has one name.
        (file.to_string() == name).then_some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_by_its_name_and_no_other_name_is_one() {
        let names = [
            "7.calls",
            "7.bin",
            "7.snap",
            "paused.bin",
            "final.snap",
            "rwset.bin",
            "rwset.json",
            "result.txt",
            "receipt.json",
        ];
        for name in names {
            assert_eq!(OutputFile::parse(name).map(|file| file.to_string()), Some(name.to_owned()));
        }
        for name in ["", "7", "07.snap", "+7.snap", "7.snap.tmp", "../7.snap", "base.bin", "result.txt/", "paused"] {
            assert_eq!(OutputFile::parse(name), None, "{name}");
        }
    }
}
