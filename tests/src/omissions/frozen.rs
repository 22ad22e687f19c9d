//! Frozen nodes: what is accepted is the one file of the memory that it holds, of the node that it names.

use anyhow::{Result, ensure};
use sha2::{Digest, Sha256};
use stepmark_runner::failure::DATA;
use stepmark_runner::node::embedded_module;
use stepmark_runner::node::frozen::{Frozen, PAGE, encode};

use super::parts::{Part, variants};
use super::{Omission, Proof, Statement, Verdict};

/// The files.
///
/// # Errors
/// None can be made.
pub fn files(_: bool) -> Result<Vec<Box<dyn Proof>>> {
    let mut memory = vec![0; 6 * PAGE];
    for (page, fill) in [(0, 1), (2, 2), (3, 3), (5, 4)] {
        memory[page * PAGE..][..1_000].fill(fill);
    }
    let mut bytes = Vec::new();
    encode(embedded_module::node_hash_bytes(), &memory, &mut bytes)?;
    Ok(vec![Box::new(File(bytes))])
}

struct File(Vec<u8>);

impl Proof for File {
    fn name(&self) -> String {
        "a memory of six pages".to_owned()
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn omissions(&self) -> Box<dyn Iterator<Item = Omission> + Send + '_> {
        let mut parts = vec![
            Part::new("magic", &self.0[..8]),
            Part::new("node", &self.0[8..40]),
            Part::new("size", &self.0[40..44]),
            Part::new("count", &self.0[44..48]),
        ];
        for record in self.0[48..self.0.len() - 32].chunks(4 + PAGE) {
            parts.push(Part::new("index", &record[..4]));
            parts.push(Part::new("contents", &record[4..]));
        }
        let all = variants(parts).flat_map(|(what, parts)| {
            let counted = counted(parts.clone());
            [(what.clone(), parts), (format!("{what}, counted again"), counted)]
        });
        Box::new(all.map(|(what, parts)| {
            let mut bytes: Vec<u8> = parts.into_iter().flat_map(|part| part.bytes).collect();
            let checksum = Sha256::digest(&bytes);
            bytes.extend(checksum);
            Omission { what, bytes }
        }))
    }

    /// Of a memory that it is of this node, in this file.
    fn judge(&self, bytes: &[u8]) -> Result<Verdict> {
        let found = Frozen::decode(bytes).and_then(|found| found.expect_embedded().map(|()| found));
        let found = match found {
            Ok(found) => found,
            Err(failure) => {
                ensure!(failure.code() == DATA, "exit code {}: {failure}", failure.code());
                return Ok(Verdict::Refused(failure.what().to_owned()));
            }
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&found.size.to_le_bytes());
        for (index, page) in &found.pages {
            hasher.update(&index.to_le_bytes()).update(page);
        }
        Ok(Verdict::Says(Statement { about: hasher.finalize().as_bytes().to_vec(), result: bytes.to_vec() }))
    }
}

/// The parts with the number of pages as it comes to.
fn counted(mut parts: Vec<Part>) -> Vec<Part> {
    let count = parts.iter().filter(|part| part.sort == "contents").count() as u32;
    parts.iter_mut().filter(|part| part.sort == "count").for_each(|part| part.bytes = count.to_le_bytes().to_vec());
    parts
}
