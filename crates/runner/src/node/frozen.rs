//! A frozen node as a file: the linear memory of a node between two calls, which is everything that it knows, page by page
//! (docs/migration.md). The checksum finds accidents. Nothing finds a forger: a memory image is taken as it is.

use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::chain::durable;
use crate::failure::{Failure, Result};
use crate::foreign::{self, FROZEN_MAGIC as MAGIC, Foreign, ForeignKind};
use crate::node::embedded_module;

/// Bytes of a page of linear memory.
pub const PAGE: usize = 64 << 10;
/// Pages of the largest linear memory.
pub const MOST_PAGES: u32 = 1 << 16;
/// Magic, node, size, number of pages.
const HEADER: usize = 48;
/// An index and a page.
const RECORD: usize = 4 + PAGE;
const CHECKSUM: usize = 32;
/// Bytes of the longest file.
const MOST_BYTES: u64 = HEADER as u64 + MOST_PAGES as u64 * RECORD as u64 + CHECKSUM as u64;
const _: () = assert!(MOST_BYTES == foreign::FROZEN_MOST, "the place that opens files knows how long one can be");
static ZEROS: [u8; PAGE] = [0; PAGE];

/// The pages of `memory` that are not zero, with their indices.
pub fn pages(memory: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    (0..).zip(memory.chunks(PAGE)).filter(|(_, page)| *page != ZEROS)
}

/// Writes the frozen node with this file and this linear memory; how many bytes it took.
///
/// # Errors
/// Those of `out`; and `memory` is no linear memory.
pub fn encode(node: &[u8; 32], memory: &[u8], out: &mut dyn Write) -> io::Result<u64> {
    let whole = memory.len().is_multiple_of(PAGE);
    let size = u32::try_from(memory.len() / PAGE).ok().filter(|size| whole && *size <= MOST_PAGES);
    let size = size.ok_or_else(|| io::Error::other("a memory of no whole number of pages, or of too many"))?;
    let count = u32::try_from(pages(memory).count()).map_err(io::Error::other)?;
    let mut out = Hashed { out, hash: Sha256::new(), length: 0 };
    out.write_all(&MAGIC)?;
    out.write_all(node)?;
    out.write_all(&size.to_le_bytes())?;
    out.write_all(&count.to_le_bytes())?;
    for (index, page) in pages(memory) {
        out.write_all(&index.to_le_bytes())?;
        out.write_all(page)?;
    }
    let checksum = out.hash.clone().finalize();
    out.write_all(&checksum)?;
    Ok(out.length)
}

/// Freezes the embedded node with this linear memory into the file at `path`, whole or not at all; its size in bytes.
///
/// # Errors
/// Exit code 74 when it cannot be written.
pub fn write(path: &Path, memory: &[u8]) -> Result<u64> {
    let mut length = 0;
    durable::replace_with(path, |file| {
        length = encode(embedded_module::node_hash_bytes(), memory, file)?;
        Ok(())
    })?;
    Ok(length)
}

/// Bytes of the file at `path`, which may be a frozen node.
///
/// # Errors
/// Exit code 74 when it cannot be read, 65 when it is longer than any frozen node.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    foreign::read(path, ForeignKind::Frozen)
}

/// Checks what the head of a file says before all of it is read: it may claim any length and hold nothing. What cannot be read
/// is [`read`]'s to tell.
///
/// # Errors
/// As those of [`Frozen::decode`] on the head.
pub fn check_claim(path: &Path) -> Result<()> {
    let Ok(mut file) = Foreign::named(path, ForeignKind::Frozen) else { return Ok(()) };
    let mut head = Vec::new();
    match file.by_ref().take(HEADER as u64).read_to_end(&mut head) {
        Ok(_) => Head::parse(&head, file.length()).map(drop),
        Err(_) => Ok(()),
    }
}

/// Refuses to put a frozen node in the place of something else, and a place where it could not be written, before a run
/// that would be lost.
///
/// # Errors
/// Exit code 2 when there is a file at `path` that is no frozen module, 74 when nothing can be written there.
pub fn check_place(path: &Path) -> Result<()> {
    let mut magic = [0; MAGIC.len()];
    // What is no regular file is replaced, or refused by name when it is.
    let there = Foreign::named(path, ForeignKind::Frozen);
    let taken = there.is_ok_and(|mut file| file.read_exact(&mut magic).is_err() || magic != MAGIC);
    if taken {
        let what = format!("{} is there already and is no frozen module", path.display());
        return Err(Failure::usage(what).help("FILE comes before the program: choose a name that is free"));
    }
    durable::check_replaceable(path)
}

/// A writer that knows what passed through it.
struct Hashed<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
    length: u64,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A file that begins as a frozen node and is as long as it says. Nothing else of it has been looked at.
#[derive(Clone, Copy, Debug)]
pub struct RawFrozen<'a> {
    node: [u8; 32],
    size: u32,
    covered: &'a [u8],
    records: &'a [u8],
    checksum: &'a [u8],
}

/// What stands before the pages.
struct Head {
    node: [u8; 32],
    size: u32,
}

impl Head {
    /// Reads what a file of `length` bytes begins with.
    ///
    /// # Errors
    /// Exit code 65 when it is no frozen module, or its length is not what its header says.
    fn parse(file: &[u8], length: u64) -> Result<Self> {
        let too_short = || Failure::data(format!("{length} bytes, too few for a frozen module"));
        let (magic, rest) = file.split_first_chunk().ok_or_else(too_short)?;
        if *magic != MAGIC {
            return Err(Failure::data("not a frozen module: it does not begin with NODEFRZ1"));
        }
        let (node, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
        let (size, rest) = rest.split_first_chunk().ok_or_else(too_short)?;
        let (count, _) = rest.split_first_chunk().ok_or_else(too_short)?;
        let [size, count] = [size, count].map(|field| u32::from_le_bytes(*field));
        if size > MOST_PAGES || count > size {
            let what = format!("a memory of {size} pages of which {count} follow; at most {MOST_PAGES}, and no more");
            return Err(Failure::data(what));
        }
        let expected = HEADER as u64 + u64::from(count) * RECORD as u64 + CHECKSUM as u64;
        if length != expected {
            return Err(Failure::data(format!("{length} bytes, expected {expected} with {count} pages")));
        }
        Ok(Self { node: *node, size })
    }
}

/// A frozen node that is well-formed: the file is whole, and its pages are in order and inside the memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen<'a> {
    /// BLAKE3 hash of the file of the node that was frozen.
    pub node: [u8; 32],
    /// Pages of its linear memory.
    pub size: u32,
    /// Those that are not zero, with their indices, ascending.
    pub pages: Vec<(u32, &'a [u8])>,
}

impl<'a> RawFrozen<'a> {
    /// Takes `file` apart.
    ///
    /// # Errors
    /// Exit code 65 when it is no frozen module, or its length is not what its header says.
    pub fn parse(file: &'a [u8]) -> Result<Self> {
        let Head { node, size } = Head::parse(file, file.len() as u64)?;
        let (covered, checksum) = file.split_at(file.len() - CHECKSUM);
        let (_, records) = covered.split_at(HEADER);
        Ok(Self { node, size, covered, records, checksum })
    }

    /// Checks everything that can be checked.
    ///
    /// # Errors
    /// Exit code 65 for a wrong checksum, an index out of order or outside the memory, or a page of zeros.
    pub fn check(self) -> Result<Frozen<'a>> {
        if *Sha256::digest(self.covered) != *self.checksum {
            return Err(Failure::data("damaged: its checksum is not that of its contents"));
        }
        let mut found = Vec::new();
        let count = self.records.len() / RECORD;
        found.try_reserve_exact(count).map_err(|error| Failure::data(error.to_string()))?;
        let mut least = 0;
        for record in self.records.chunks_exact(RECORD) {
            let (index, page) = record.split_first_chunk().ok_or_else(|| Failure::data("a page without its index"))?;
            let index = u32::from_le_bytes(*index);
            if index < least || index >= self.size {
                let what = format!("page {index} stands where one from {least} to below {} may stand", self.size);
                return Err(Failure::data(what));
            }
            if page == ZEROS {
                return Err(Failure::data(format!("page {index} is zero and stands in the file all the same")));
            }
            least = index + 1;
            found.push((index, page));
        }
        Ok(Frozen { node: self.node, size: self.size, pages: found })
    }
}

impl<'a> Frozen<'a> {
    /// The frozen node in the bytes of a file.
    ///
    /// # Errors
    /// As [`RawFrozen::parse`] and [`RawFrozen::check`].
    pub fn decode(file: &'a [u8]) -> Result<Self> {
        RawFrozen::parse(file)?.check()
    }

    /// That it is a memory of the node that this runner carries.
    ///
    /// # Errors
    /// Exit code 65 when it is one of another node.
    pub fn expect_embedded(&self) -> Result<()> {
        if self.node == *embedded_module::node_hash_bytes() {
            return Ok(());
        }
        let frozen = blake3::Hash::from_bytes(self.node);
        Err(Failure::data(format!(
            "a memory of the module {frozen}, this is the module {}",
            embedded_module::node_hash()
        )))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NODE: [u8; 32] = [7; 32];

    /// A memory whose pages are filled with these bytes.
    fn memory(fills: &[u8]) -> Vec<u8> {
        fills.iter().flat_map(|fill| [*fill; PAGE]).collect()
    }

    fn file(fills: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let length = encode(&NODE, &memory(fills), &mut file).expect("a memory");
        assert_eq!(length, file.len() as u64);
        file
    }

    /// Repairs the checksum, as a forger would.
    fn seal(mut file: Vec<u8>) -> Vec<u8> {
        file.truncate(file.len() - CHECKSUM);
        let checksum = Sha256::digest(&file);
        file.extend_from_slice(&checksum);
        file
    }

    /// The file of these fills with bytes replaced from `at` on.
    fn changed(fills: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut file = file(fills);
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    }

    #[track_caller]
    fn refused(file: &[u8], because: &str) {
        let failure = Frozen::decode(file).expect_err(because);
        assert!(failure.what().contains(because), "{failure}");
        assert_eq!(failure.code(), 65);
    }

    #[test]
    fn the_file_is_as_the_page_has_it() {
        let file = file(&[0, 3, 0, 5]);
        assert_eq!(file.len(), HEADER + 2 * RECORD + CHECKSUM);
        assert_eq!(&file[..8], b"NODEFRZ1");
        assert_eq!(file[8..40], NODE);
        assert_eq!(file[40..48], [4, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(file[48..53], [1, 0, 0, 0, 3]);
        assert_eq!(file[48 + RECORD..53 + RECORD], [3, 0, 0, 0, 5]);
        assert_eq!(seal(file.clone()), file);
    }

    #[test]
    fn an_empty_memory_has_a_file_too() {
        let file = file(&[]);
        assert_eq!(Frozen::decode(&file), Ok(Frozen { node: NODE, size: 0, pages: vec![] }));
    }

    #[test]
    fn a_memory_of_a_part_of_a_page_has_none() {
        assert!(encode(&NODE, &[0; PAGE + 1], &mut Vec::new()).is_err());
    }

    #[test]
    fn another_beginning_is_refused() {
        refused(b"", "0 bytes, too few");
        refused(b"NODEFRZ2........", "does not begin with NODEFRZ1");
        refused(&file(&[1])[..47], "47 bytes, too few");
    }

    #[test]
    fn another_length_is_refused() {
        let whole = file(&[1, 2]);
        refused(&whole[..whole.len() - 1], "expected 131160 with 2 pages");
        refused(&[&whole[..], &[0]].concat(), "expected 131160 with 2 pages");
        refused(&changed(&[1, 2], 44, &[1]), "expected 65620 with 1 pages");
    }

    #[test]
    fn sizes_that_no_memory_has_are_refused_before_anything_is_allocated() {
        refused(&changed(&[1], 40, &[1, 0, 1, 0]), "a memory of 65537 pages");
        refused(&changed(&[1], 44, &[2]), "a memory of 1 pages of which 2 follow");
        refused(&changed(&[1], 40, &[255; 8]), "a memory of 4294967295 pages");
    }

    #[test]
    fn any_changed_byte_is_found_by_the_checksum() {
        for at in [8, 39, HEADER, HEADER + 4, HEADER + RECORD - 1, HEADER + RECORD + CHECKSUM - 1] {
            refused(&changed(&[1], at, &[9]), "damaged");
        }
    }

    #[test]
    fn pages_out_of_order_twice_or_outside_are_refused() {
        refused(&seal(changed(&[1, 2], HEADER, &[1])), "page 1 stands where one from 2 to below 2");
        refused(&seal(changed(&[1, 2], HEADER + RECORD, &[0])), "page 0 stands where one from 1 to below 2");
        refused(&seal(changed(&[1, 2], HEADER + RECORD, &[2])), "page 2 stands where one from 1 to below 2");
        refused(&seal(changed(&[1], HEADER, &[255; 4])), "page 4294967295 stands");
    }

    #[test]
    fn a_page_of_zeros_is_refused() {
        refused(&seal(changed(&[1], HEADER + 4, &ZEROS)), "page 0 is zero");
    }

    #[test]
    fn a_memory_of_another_node_is_refused_with_both_hashes() {
        let file = file(&[1]);
        let failure = Frozen::decode(&file).and_then(|frozen| frozen.expect_embedded()).expect_err("another node");
        assert!(
            failure.what().contains(&"07".repeat(32)) && failure.what().contains(embedded_module::node_hash()),
            "{failure}"
        );
        assert_eq!(failure.code(), 65);
    }

    #[test]
    fn a_file_is_written_and_read_as_it_is() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("a.frozen");
        let memory = memory(&[1, 0]);
        let length = write(&path, &memory).expect("written");
        let file = read(&path).expect("read");
        assert_eq!(length, file.len() as u64);
        let frozen = Frozen::decode(&file).expect("well-formed");
        frozen.expect_embedded().expect("this node");
        assert_eq!((frozen.size, frozen.pages.len()), (2, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_memory_comes_back_from_its_file(fills in prop::collection::vec(0_u8..3, 0..24), spot in any::<u16>()) {
            let mut memory = memory(&fills);
            if let Some(byte) = memory.get_mut(usize::from(spot) * 7) {
                *byte = 9;
            }
            let mut file = Vec::new();
            encode(&NODE, &memory, &mut file).expect("a memory");
            let frozen = Frozen::decode(&file).expect("well-formed");
            let mut back = vec![0; usize::try_from(frozen.size).expect("small") * PAGE];
            for (index, page) in &frozen.pages {
                let at = usize::try_from(*index).expect("small") * PAGE;
                back[at..at + PAGE].copy_from_slice(page);
            }
            prop_assert!(back == memory);
            prop_assert_eq!(frozen.node, NODE);
        }

        #[test]
        fn no_bytes_make_it_panic(mut file in prop::collection::vec(any::<u8>(), 0..200), sealed in any::<bool>()) {
            let begin = file.len().min(8);
            file[..begin].copy_from_slice(&MAGIC[..begin]);
            if sealed && file.len() >= CHECKSUM {
                file = seal(file);
            }
            drop(Frozen::decode(&file));
        }
    }
}
