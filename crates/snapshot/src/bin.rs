//! The `.bin` file: the pages that changed since the predecessor, by space. It can be as large as the program's memory, so
//! both directions stream: the writer appends to a buffer that its caller drains, the reader takes chunks of any size and
//! holds one page. There is one encoding of a set of pages, and the reader refuses every other.
//!
//! The reader cannot know which pages *should* be there (those whose hash changed): the caller compares the roots after
//! applying them. Nor does it know that the file is whole before [`BinReader::finish`]: what a sink took before is to be
//! thrown away when that fails.

use crate::{FileKind, PREFIX_LEN, Prefix};
use stepmark_state::encoding::take;
use stepmark_state::error::JobError;
use stepmark_state::pages::{MAX_PAGES, PAGE, space_name};

/// Bytes of the header: the prefix and the hash of the previous `.bin`.
pub const HEADER_LEN: usize = PREFIX_LEN + 32;
/// Bytes of a line, the unit in which zeros are left out of a page.
pub const LINE: usize = PAGE / 64;
/// In the place of a space's kind: no more spaces.
const END: u8 = 0;
/// Bytes of a space's header after its kind: index and page count.
const SPACE_LEN: usize = 12;
/// Bytes of a page's header: index and mask.
const PAGE_LEN: usize = 16;
/// Bytes of the hash at the end.
const TRAILER_LEN: usize = 32;

/// What a `.bin` says about itself before its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinHeader {
    /// All changes since state 0, not those since the predecessor: what `1.bin` to `{id}.bin` come to.
    pub base: bool,
    /// Changes since snapshot `id` (a paused state), not the changes that lead to snapshot `id`.
    pub paused: bool,
    /// Snapshot id, from 1; when paused the id of the predecessor, 0 when there is none.
    pub id: u64,
    /// Hash of the job.
    pub job_hash: [u8; 32],
    /// Hash of the previous `.bin`: of `{id - 1}.bin`, when paused of `{id}.bin`. Zeros when there is none. In a base the hash
    /// of the `{id}.bin` that it stands for, which the next one follows.
    pub previous: [u8; 32],
}

impl BinHeader {
    fn prefix(&self) -> Prefix {
        let file = if self.base { FileKind::Base } else { FileKind::Bin };
        Prefix { file, paused: self.paused, id: self.id, job_hash: self.job_hash }
    }

    /// Whether there is no `.bin` before this one.
    fn is_first(&self) -> bool {
        !self.base && self.id == u64::from(!self.paused)
    }

    fn decode(bytes: &[u8]) -> Result<Self, JobError> {
        let Prefix { file, paused, id, job_hash } = Prefix::decode(bytes)?;
        let base = file == FileKind::Base;
        if file == FileKind::Snap {
            return Err(JobError::snapshot("a .snap file, expected a .bin file at byte 0"));
        }
        if base && paused {
            return Err(JobError::snapshot("a paused base at byte 12"));
        }
        let mut rest = bytes.get(PREFIX_LEN..).unwrap_or_default();
        let previous = take(&mut rest).ok_or_else(|| JobError::snapshot("cut short in the header"))?;
        let header = Self { base, paused, id, job_hash, previous };
        if header.is_first() && previous != [0; 32] {
            return Err(JobError::snapshot(format!("a predecessor is named by the first .bin at byte {PREFIX_LEN}")));
        }
        Ok(header)
    }
}

/// What a `.bin` turned out to be, once all of it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinFooter {
    /// The header, as it was read first.
    pub header: BinHeader,
    /// The hash of the file: BLAKE3 of all bytes before the trailer, and equal to the trailer.
    pub hash: [u8; 32],
}

/// Writes a `.bin`. The spaces and pages come in ascending order and in the announced number; anything else is a bug of the
/// caller and panics.
#[derive(Debug)]
pub struct BinWriter {
    hasher: blake3::Hasher,
    /// Kind and index of the open space.
    space: Option<(u8, u32)>,
    /// Pages still to come in it.
    left: u64,
    /// The least index that its next page can have.
    next: u64,
}

impl BinWriter {
    /// Appends the header to `out`.
    pub fn new(header: &BinHeader, out: &mut Vec<u8>) -> Self {
        assert!(!header.is_first() || header.previous == [0; 32], "BUG: the first .bin names a predecessor");
        let mut writer = Self { hasher: blake3::Hasher::new(), space: None, left: 0, next: 0 };
        writer.append(out, &[&header.prefix().encode(), &header.previous]);
        writer
    }

    /// Opens the space `kind`, `index`, of which `pages` pages follow; a space without any is left out by the caller.
    pub fn space(&mut self, kind: u8, index: u32, pages: u64, out: &mut Vec<u8>) {
        assert!(self.left == 0, "BUG: {} pages missing from {:?}", self.left, self.space);
        assert!(space_name(kind).is_some() && pages > 0 && pages <= MAX_PAGES, "BUG: space {kind} of {pages} pages");
        assert!(self.space < Some((kind, index)), "BUG: space {kind} {index} follows {:?}", self.space);
        self.space = Some((kind, index));
        self.left = pages;
        self.next = 0;
        self.append(out, &[&[kind], &index.to_le_bytes(), &pages.to_le_bytes()]);
    }

    /// Appends page `index` of the open space, at most 4,112 bytes.
    pub fn page(&mut self, index: u64, page: &[u8; PAGE], out: &mut Vec<u8>) {
        assert!(self.left > 0, "BUG: page {index} too many in {:?}", self.space);
        assert!(self.next <= index && index < MAX_PAGES, "BUG: page {index}, expected {} or more", self.next);
        self.left = self.left.wrapping_sub(1);
        self.next = index.wrapping_add(1);
        let (lines, _) = page.as_chunks::<LINE>();
        let filled = |line: &&[u8; LINE]| line.iter().any(|byte| *byte != 0);
        let mask = lines.iter().rev().fold(0, |mask: u64, line| (mask << 1) | u64::from(filled(&line)));
        let start = out.len();
        out.extend_from_slice(&index.to_le_bytes());
        out.extend_from_slice(&mask.to_le_bytes());
        for line in lines.iter().filter(filled) {
            out.extend_from_slice(line);
        }
        self.hasher.update(out.get(start..).unwrap_or_default());
    }

    /// Appends end marker and trailer; gives the hash of the file.
    pub fn finish(mut self, out: &mut Vec<u8>) -> [u8; 32] {
        assert!(self.left == 0, "BUG: {} pages missing from {:?}", self.left, self.space);
        self.append(out, &[&[END]]);
        let hash = *self.hasher.finalize().as_bytes();
        out.extend_from_slice(&hash);
        hash
    }

    fn append(&mut self, out: &mut Vec<u8>, parts: &[&[u8]]) {
        for part in parts {
            self.hasher.update(part);
            out.extend_from_slice(part);
        }
    }
}

/// Takes what a [`BinReader`] finds. An error from it stops the reader.
pub trait PageSink {
    /// A space follows, of which `pages` (one or more) pages changed. The sink refuses spaces that it does not have.
    ///
    /// # Errors
    /// There is no such space in the state that the file belongs to.
    fn space(&mut self, kind: u8, index: u32, pages: u64) -> Result<(), JobError>;

    /// The contents of a page. The sink refuses pages beyond the end of the space.
    ///
    /// # Errors
    /// There is no such page.
    fn page(&mut self, kind: u8, index: u32, page: u64, contents: &[u8; PAGE]) -> Result<(), JobError>;
}

/// What the bytes that come next are.
#[derive(Clone, Copy, Debug)]
enum Expect {
    Header,
    Kind,
    Space {
        kind: u8,
    },
    Page,
    Lines {
        page: u64,
        mask: u64,
    },
    Trailer,
    Nothing,
    /// After an error: all that follows is refused.
    Failed,
}

impl Expect {
    /// How many bytes it is.
    fn len(self) -> usize {
        match self {
            Self::Header => HEADER_LEN,
            Self::Kind => 1,
            Self::Space { .. } => SPACE_LEN,
            Self::Page => PAGE_LEN,
            Self::Lines { mask, .. } => LINE.saturating_mul(mask.count_ones() as usize),
            Self::Trailer => TRAILER_LEN,
            Self::Nothing | Self::Failed => 0,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Header => "the header",
            Self::Kind => "the kind of a space or the end marker",
            Self::Space { .. } => "the header of a space",
            Self::Page => "the header of a page",
            Self::Lines { .. } => "the lines of a page",
            Self::Trailer => "the trailer",
            Self::Nothing | Self::Failed => "nothing",
        }
    }
}

/// Reads a `.bin` from chunks of any size, holding one page.
#[derive(Debug)]
pub struct BinReader {
    hasher: blake3::Hasher,
    expect: Expect,
    /// The first bytes of what is expected, when a chunk ended within.
    part: Vec<u8>,
    /// Where what is expected starts in the file.
    offset: u64,
    header: Option<BinHeader>,
    hash: [u8; 32],
    /// Kind and index of the open space.
    space: Option<(u8, u32)>,
    /// Pages still to come in it.
    left: u64,
    /// The least index that its next page can have.
    next: u64,
}

impl Default for BinReader {
    fn default() -> Self {
        Self::new()
    }
}

impl BinReader {
    /// A reader at the start of a file.
    pub fn new() -> Self {
        Self {
            hasher: blake3::Hasher::new(),
            expect: Expect::Header,
            part: Vec::new(),
            offset: 0,
            header: None,
            hash: [0; 32],
            space: None,
            left: 0,
            next: 0,
        }
    }

    /// The header, as soon as it was read, so that a foreign file can be refused before its pages.
    pub fn header(&self) -> Option<&BinHeader> {
        self.header.as_ref()
    }

    /// Whether more bytes belong to the file.
    pub fn is_open(&self) -> bool {
        !matches!(self.expect, Expect::Nothing | Expect::Failed)
    }

    /// Bytes that are missing of what comes next; never more than belong to the file.
    pub fn wants(&self) -> usize {
        self.expect.len().saturating_sub(self.part.len())
    }

    /// Reads on; the bytes follow those of the last call.
    ///
    /// # Errors
    /// The bytes are not a canonical `.bin` (the message names the byte offset), or `sink` refused. The reader is of no
    /// use afterwards.
    pub fn push(&mut self, bytes: &[u8], sink: &mut dyn PageSink) -> Result<(), JobError> {
        let result = self.read(bytes, sink);
        if result.is_err() {
            self.expect = Expect::Failed;
        }
        result
    }

    /// Says what was read.
    ///
    /// # Errors
    /// The file ended too early, or an error came before.
    pub fn finish(self) -> Result<BinFooter, JobError> {
        match (self.expect, self.header) {
            (Expect::Nothing, Some(header)) => Ok(BinFooter { header, hash: self.hash }),
            (Expect::Failed, _) => Err(JobError::snapshot("not read to the end after an error")),
            (expect, _) => {
                let end = self.offset.saturating_add(self.part.len() as u64);
                Err(JobError::snapshot(format!("cut short in {} at byte {end}", expect.name())))
            }
        }
    }

    fn read(&mut self, bytes: &[u8], sink: &mut dyn PageSink) -> Result<(), JobError> {
        let mut is_hashed = matches!(self.expect, Expect::Trailer);
        let mut rest = bytes;
        while !rest.is_empty() {
            if matches!(self.expect, Expect::Nothing | Expect::Failed) {
                return Err(self.error("bytes after the end"));
            }
            let len = self.expect.len();
            let missing = len.saturating_sub(self.part.len());
            let Some((item, after)) = rest.split_at_checked(missing) else {
                self.part.extend_from_slice(rest);
                break;
            };
            rest = after;
            if self.part.is_empty() {
                self.item(item, sink)?;
            } else {
                let mut whole = std::mem::take(&mut self.part);
                whole.extend_from_slice(item);
                self.item(&whole, sink)?;
                whole.clear();
                self.part = whole;
            }
            self.offset = self.offset.saturating_add(len as u64);
            if matches!(self.expect, Expect::Trailer) {
                self.hasher.update(bytes.strip_suffix(rest).unwrap_or(bytes));
                is_hashed = true;
            }
        }
        if !is_hashed {
            // In long pieces, whatever they hold: hashing item by item takes half as long again.
            self.hasher.update(bytes);
        }
        Ok(())
    }

    /// Takes the whole of what was expected and says what is expected next.
    fn item(&mut self, item: &[u8], sink: &mut dyn PageSink) -> Result<(), JobError> {
        self.expect = match self.expect {
            Expect::Header => {
                self.header = Some(BinHeader::decode(item)?);
                Expect::Kind
            }
            Expect::Kind => match item.first() {
                Some(&END) => Expect::Trailer,
                kind => Expect::Space { kind: kind.copied().unwrap_or_default() },
            },
            Expect::Space { kind } => self.open_space(kind, item, sink)?,
            Expect::Page => self.open_page(item, sink)?,
            Expect::Lines { page, mask } => self.lines(page, mask, item, sink)?,
            Expect::Trailer => self.trailer(item)?,
            end @ (Expect::Nothing | Expect::Failed) => end,
        };
        Ok(())
    }

    fn open_space(&mut self, kind: u8, mut item: &[u8], sink: &mut dyn PageSink) -> Result<Expect, JobError> {
        let index = take(&mut item).map(u32::from_le_bytes).unwrap_or_default();
        let pages = take(&mut item).map(u64::from_le_bytes).unwrap_or_default();
        let Some(name) = space_name(kind) else {
            return Err(self.error(format!("space of unknown kind {kind}")));
        };
        if self.space >= Some((kind, index)) {
            return Err(self.error(format!("{name} {index} is not in ascending order of spaces")));
        }
        if pages == 0 || pages > MAX_PAGES {
            return Err(self.error(format!("{name} {index} has {pages} changed pages, expected 1 to {MAX_PAGES}")));
        }
        sink.space(kind, index, pages)?;
        self.space = Some((kind, index));
        self.left = pages;
        self.next = 0;
        Ok(Expect::Page)
    }

    fn open_page(&mut self, mut item: &[u8], sink: &mut dyn PageSink) -> Result<Expect, JobError> {
        let page = take(&mut item).map(u64::from_le_bytes).unwrap_or_default();
        let mask = take(&mut item).map(u64::from_le_bytes).unwrap_or_default();
        if page < self.next || page >= MAX_PAGES {
            return Err(self.error(format!("page {page}, expected {} to {}", self.next, MAX_PAGES.wrapping_sub(1))));
        }
        if mask != 0 {
            return Ok(Expect::Lines { page, mask });
        }
        self.emit(page, &[0; PAGE], sink)
    }

    fn lines(&mut self, page: u64, mask: u64, item: &[u8], sink: &mut dyn PageSink) -> Result<Expect, JobError> {
        let mut contents = [0; PAGE];
        let mut lines = item.as_chunks::<LINE>().0.iter();
        for (bit, slot) in contents.as_chunks_mut::<LINE>().0.iter_mut().enumerate() {
            if (mask >> bit) & 1 == 0 {
                continue;
            }
            let line = lines.next().ok_or_else(|| self.error("a line is missing"))?;
            if stepmark_state::encoding::is_zero(line) {
                return Err(self.error(format!("line {bit} of page {page} is stored but all zero")));
            }
            *slot = *line;
        }
        self.emit(page, &contents, sink)
    }

    fn emit(&mut self, page: u64, contents: &[u8; PAGE], sink: &mut dyn PageSink) -> Result<Expect, JobError> {
        let (kind, index) = self.space.unwrap_or_default();
        sink.page(kind, index, page, contents)?;
        self.next = page.saturating_add(1);
        self.left = self.left.saturating_sub(1);
        Ok(if self.left == 0 { Expect::Kind } else { Expect::Page })
    }

    fn trailer(&mut self, mut item: &[u8]) -> Result<Expect, JobError> {
        self.hash = *self.hasher.finalize().as_bytes();
        if take(&mut item) != Some(self.hash) {
            return Err(self.error("the contents do not have the hash that the trailer names"));
        }
        Ok(Expect::Nothing)
    }

    #[cold]
    fn error(&self, message: impl std::fmt::Display) -> JobError {
        JobError::snapshot(format!("{message} at byte {}", self.offset))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use stepmark_state::pages::{SPACE_MEMORY, SPACE_TABLE};

    type Spaces = BTreeMap<(u8, u32), BTreeMap<u64, Vec<u8>>>;

    const HEADER: BinHeader = BinHeader { base: false, paused: false, id: 2, job_hash: [5; 32], previous: [6; 32] };

    #[derive(Default)]
    struct Found {
        spaces: Spaces,
        refuse: bool,
    }

    impl PageSink for Found {
        fn space(&mut self, kind: u8, index: u32, _pages: u64) -> Result<(), JobError> {
            if self.refuse {
                return Err(JobError::snapshot("no such space"));
            }
            assert!(self.spaces.insert((kind, index), BTreeMap::new()).is_none());
            Ok(())
        }

        fn page(&mut self, kind: u8, index: u32, page: u64, contents: &[u8; PAGE]) -> Result<(), JobError> {
            let pages = self.spaces.get_mut(&(kind, index)).unwrap();
            assert!(pages.insert(page, contents.to_vec()).is_none());
            Ok(())
        }
    }

    fn encode(header: &BinHeader, spaces: &Spaces) -> (Vec<u8>, [u8; 32]) {
        let mut out = Vec::new();
        let mut writer = BinWriter::new(header, &mut out);
        for ((kind, index), pages) in spaces {
            writer.space(*kind, *index, pages.len() as u64, &mut out);
            for (page, contents) in pages {
                writer.page(*page, contents[..].try_into().unwrap(), &mut out);
            }
        }
        let hash = writer.finish(&mut out);
        (out, hash)
    }

    fn decode(bytes: &[u8], chunk: usize) -> Result<(BinFooter, Spaces), JobError> {
        let mut reader = BinReader::new();
        let mut found = Found::default();
        for chunk in bytes.chunks(chunk) {
            reader.push(chunk, &mut found)?;
        }
        Ok((reader.finish()?, found.spaces))
    }

    fn page(bytes: &[(usize, u8)]) -> Vec<u8> {
        let mut page = vec![0; PAGE];
        for (at, byte) in bytes {
            page[*at] = *byte;
        }
        page
    }

    fn sample() -> Spaces {
        Spaces::from([
            ((SPACE_MEMORY, 0), BTreeMap::from([(0, page(&[(0, 1), (4095, 2)])), (9, page(&[])), (10, vec![7; PAGE])])),
            ((SPACE_TABLE, 3), BTreeMap::from([(MAX_PAGES - 1, page(&[(64, 1)]))])),
        ])
    }

    /// The bytes with a trailer that fits them, as a forger would write it.
    fn seal(mut body: Vec<u8>) -> Vec<u8> {
        let hash = blake3::hash(&body);
        body.extend_from_slice(hash.as_bytes());
        body
    }

    /// What the reader says about header + `body` + end marker + fitting trailer.
    fn refusal(body: &[u8]) -> String {
        let mut out = Vec::new();
        BinWriter::new(&HEADER, &mut out);
        out.extend_from_slice(body);
        out.push(END);
        decode(&seal(out), usize::MAX).unwrap_err().message().to_owned()
    }

    fn space_bytes(kind: u8, index: u32, pages: u64) -> Vec<u8> {
        [&[kind][..], &index.to_le_bytes(), &pages.to_le_bytes()].concat()
    }

    fn page_bytes(page: u64, mask: u64, lines: &[[u8; LINE]]) -> Vec<u8> {
        [&page.to_le_bytes()[..], &mask.to_le_bytes(), lines.as_flattened()].concat()
    }

    #[test]
    fn the_bytes_are_as_documented() {
        let (bytes, hash) = encode(&HEADER, &Spaces::from([((1, 2), BTreeMap::from([(3, page(&[(65, 9)]))]))]));
        let mut line = [0; LINE];
        line[1] = 9;
        let body = [
            &b"GI-BIN\r\n"[..],
            &[3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
            &[5; 32],
            &[6; 32],
            &[1, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
            &line,
            &[0],
        ]
        .concat();
        assert_eq!(hash, *blake3::hash(&body).as_bytes());
        assert_eq!(bytes, seal(body));
    }

    #[test]
    fn the_vector_of_the_documentation_holds() {
        let header = BinHeader { base: false, paused: false, id: 1, job_hash: [0; 32], previous: [0; 32] };
        let (bytes, hash) = encode(&header, &Spaces::from([((1, 0), BTreeMap::from([(2, page(&[(64, 7)]))]))]));
        assert_eq!(bytes.len(), 214);
        assert_eq!(
            stepmark_state::encoding::hex(&hash),
            "f908b9998565574bed7c5496a0c5d01351888bd96d3dafd43be6bbc45765801a"
        );
    }

    #[test]
    fn chunks_of_any_size_give_the_same() {
        let (bytes, hash) = encode(&HEADER, &sample());
        for chunk in [1, 2, 7, 63, 64, 65, 4096, usize::MAX] {
            assert_eq!(decode(&bytes, chunk), Ok((BinFooter { header: HEADER, hash }, sample())));
        }
    }

    #[test]
    fn a_file_without_pages_is_121_bytes() {
        let (bytes, _) = encode(&HEADER, &Spaces::new());
        assert_eq!(bytes.len(), HEADER_LEN + 1 + TRAILER_LEN);
        assert_eq!(decode(&bytes, 1).unwrap().1, Spaces::new());
    }

    #[test]
    fn every_cut_is_refused() {
        let (bytes, _) = encode(&HEADER, &sample());
        for len in 0..bytes.len() {
            let error = decode(&bytes[..len], usize::MAX).unwrap_err();
            assert!(error.message().ends_with(&format!("at byte {len}")), "{len}: {error}");
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let small = Spaces::from([((1, 0), BTreeMap::from([(1, page(&[(0, 1)])), (2, page(&[]))]))]);
        let (bytes, _) = encode(&HEADER, &small);
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes, usize::MAX).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn trailing_bytes_are_refused_in_the_same_chunk_and_in_the_next() {
        let (bytes, _) = encode(&HEADER, &sample());
        let long = [&bytes[..], &[0]].concat();
        for chunk in [1, bytes.len(), usize::MAX] {
            let error = decode(&long, chunk).unwrap_err();
            assert_eq!(error.message(), format!("bytes after the end at byte {}", bytes.len()));
        }
    }

    #[test]
    fn spaces_out_of_order_empty_or_unknown_are_refused() {
        let zero = page_bytes(0, 0, &[]);
        let twice = [space_bytes(1, 4, 1), zero.clone(), space_bytes(1, 4, 1), zero.clone()].concat();
        assert_eq!(refusal(&twice), "memory 4 is not in ascending order of spaces at byte 118");
        let down = [space_bytes(2, 0, 1), zero.clone(), space_bytes(1, 4, 1), zero].concat();
        assert_eq!(refusal(&down), "memory 4 is not in ascending order of spaces at byte 118");
        assert_eq!(
            refusal(&space_bytes(1, 0, 0)),
            "memory 0 has 0 changed pages, expected 1 to 68719476736 at byte 89"
        );
        assert_eq!(refusal(&space_bytes(9, 0, 1)), "space of unknown kind 9 at byte 89");
    }

    #[test]
    fn pages_out_of_order_or_range_are_refused() {
        let twice = [space_bytes(1, 0, 2), page_bytes(8, 0, &[]), page_bytes(8, 0, &[])].concat();
        assert_eq!(refusal(&twice), "page 8, expected 9 to 68719476735 at byte 117");
        let beyond = [space_bytes(1, 0, 1), page_bytes(MAX_PAGES, 0, &[])].concat();
        assert_eq!(refusal(&beyond), "page 68719476736, expected 0 to 68719476735 at byte 101");
    }

    #[test]
    fn stored_zero_lines_are_refused() {
        let body = [space_bytes(1, 0, 1), page_bytes(0, 0b101, &[[1; LINE], [0; LINE]])].concat();
        assert_eq!(refusal(&body), "line 2 of page 0 is stored but all zero at byte 117");
    }

    #[test]
    fn a_wrong_trailer_is_refused() {
        let (mut bytes, _) = encode(&HEADER, &Spaces::new());
        *bytes.last_mut().unwrap() ^= 1;
        let error = decode(&bytes, usize::MAX).unwrap_err();
        assert_eq!(error.message(), "the contents do not have the hash that the trailer names at byte 89");
    }

    #[test]
    fn only_the_first_file_has_no_predecessor() {
        for (paused, id) in [(false, 1), (true, 0)] {
            let header = BinHeader { base: false, paused, id, previous: [0; 32], ..HEADER };
            let (bytes, _) = encode(&header, &Spaces::new());
            assert_eq!(decode(&bytes, 64).unwrap().0.header, header);
            let mut body = bytes[..bytes.len() - TRAILER_LEN].to_vec();
            body[PREFIX_LEN] = 1;
            let error = decode(&seal(body), usize::MAX).unwrap_err();
            assert_eq!(error.message(), "a predecessor is named by the first .bin at byte 56");
        }
    }

    #[test]
    fn the_header_is_known_before_the_pages() {
        let (bytes, _) = encode(&HEADER, &sample());
        let mut reader = BinReader::new();
        reader.push(&bytes[..HEADER_LEN - 1], &mut Found::default()).unwrap();
        assert_eq!(reader.header(), None);
        reader.push(&bytes[HEADER_LEN - 1..HEADER_LEN], &mut Found::default()).unwrap();
        assert_eq!(reader.header(), Some(&HEADER));
    }

    #[test]
    fn a_refusing_sink_stops_the_reader_for_good() {
        let (bytes, _) = encode(&HEADER, &sample());
        let mut reader = BinReader::new();
        let error = reader.push(&bytes, &mut Found { refuse: true, ..Found::default() }).unwrap_err();
        assert_eq!(error.message(), "no such space");
        assert!(reader.push(&bytes[..1], &mut Found::default()).is_err());
        assert!(reader.finish().is_err());
    }

    #[test]
    #[should_panic(expected = "BUG: page 3, expected 4 or more")]
    fn a_writer_told_pages_out_of_order_panics() {
        let mut out = Vec::new();
        let mut writer = BinWriter::new(&HEADER, &mut out);
        writer.space(SPACE_MEMORY, 0, 2, &mut out);
        writer.page(3, &[0; PAGE], &mut out);
        writer.page(3, &[0; PAGE], &mut out);
    }

    #[test]
    #[should_panic(expected = "BUG: 1 pages missing")]
    fn a_writer_told_too_few_pages_panics() {
        let mut out = Vec::new();
        let mut writer = BinWriter::new(&HEADER, &mut out);
        writer.space(SPACE_MEMORY, 0, 1, &mut out);
        writer.finish(&mut out);
    }

    fn any_page() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec((0usize..PAGE, any::<u8>()), 0..20).prop_map(|bytes| page(&bytes))
    }

    fn any_spaces() -> impl Strategy<Value = Spaces> {
        let pages = prop::collection::btree_map(0u64..1000, any_page(), 1..6);
        prop::collection::btree_map((1u8..=4, 0u32..9), pages, 0..5)
    }

    proptest! {
        #[test]
        fn any_pages_survive_the_round_trip(spaces in any_spaces(), chunk in 1usize..9000) {
            let (bytes, hash) = encode(&HEADER, &spaces);
            prop_assert_eq!(decode(&bytes, chunk), Ok((BinFooter { header: HEADER, hash }, spaces)));
        }

        #[test]
        fn what_is_accepted_is_canonical(spaces in any_spaces(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let (mut bytes, _) = encode(&HEADER, &spaces);
            bytes.truncate(bytes.len() - TRAILER_LEN);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let bytes = seal(bytes);
            if let Ok((footer, spaces)) = decode(&bytes, usize::MAX) {
                prop_assert_eq!(encode(&footer.header, &spaces).0, bytes);
            }
        }
    }
}
