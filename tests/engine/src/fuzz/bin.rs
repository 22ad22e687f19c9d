//! Bytes as a `.bin` without the hash at its end, behind a byte that says of which run: read in chunks of any length it is
//! the same, what is accepted is written again as it is, and with all roots repaired it is refused or runs.

use stepmark_snapshot::bin::{BinFooter, BinReader, BinWriter, PageSink};
use stepmark_state::error::JobError;
use stepmark_state::pages::PAGE;

use crate::mutate::{forge, judge, roots, seal, small_subjects};

/// Bytes of the hash at the end.
const TRAILER: usize = 32;

/// Pages of a space, by number.
type Contents = Vec<(u64, Box<[u8; PAGE]>)>;

/// What a reader found: kind and index of each space, and its pages.
#[derive(Default, PartialEq)]
struct Pages(Vec<(u8, u32, Contents)>);

impl PageSink for Pages {
    fn space(&mut self, kind: u8, index: u32, _pages: u64) -> Result<(), JobError> {
        self.0.push((kind, index, Vec::new()));
        Ok(())
    }

    fn page(&mut self, _: u8, _: u32, page: u64, contents: &[u8; PAGE]) -> Result<(), JobError> {
        let (_, _, pages) = self.0.last_mut().expect("a page follows the header of its space");
        pages.push((page, Box::new(*contents)));
        Ok(())
    }
}

fn read(bytes: &[u8], chunk: usize) -> Result<(BinFooter, Pages), String> {
    let (mut reader, mut pages) = (BinReader::new(), Pages::default());
    for chunk in bytes.chunks(chunk) {
        reader.push(chunk, &mut pages).map_err(|error| error.to_string())?;
    }
    Ok((reader.finish().map_err(|error| error.to_string())?, pages))
}

fn write(footer: &BinFooter, pages: &Pages) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = BinWriter::new(&footer.header, &mut bytes);
    for (kind, index, pages) in &pages.0 {
        writer.space(*kind, *index, pages.len() as u64, &mut bytes);
        for (page, contents) in pages {
            writer.page(*page, contents, &mut bytes);
        }
    }
    writer.finish(&mut bytes);
    bytes
}

pub(super) fn bin(data: &[u8]) {
    let Some((which, body)) = data.split_first() else { return };
    let bytes = seal(body.to_vec());
    let whole = read(&bytes, usize::MAX);
    assert!(read(&bytes, usize::from(*which) % 67 + 1) == whole, "in chunks it is something else");
    let Ok((footer, pages)) = whole else { return };
    assert!(write(&footer, &pages) == bytes, "reading and writing changes an accepted file");
    let subjects = small_subjects();
    let subject = &subjects[usize::from(*which) % subjects.len()];
    let mut raw = subject.raw.clone();
    raw.segment.bin = footer.hash;
    let mut files = subject.files.clone();
    files.insert(subject.bin_path(), bytes);
    raw.state.spaces = roots(subject, &files).unwrap_or(raw.state.spaces);
    files.insert(subject.snap_path(), forge(&raw));
    judge(subject, &files).unwrap_or_else(|error| panic!("{}: {error:#}", subject.name));
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let subjects = small_subjects().iter().zip(0_u8..);
    let body = |bytes: &[u8]| bytes[..bytes.len() - TRAILER].to_vec();
    subjects.map(|(subject, which)| [vec![which], body(&subject.files[&subject.bin_path()])].concat()).collect()
}
