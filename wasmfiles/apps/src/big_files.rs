//! Writes 100 MiB over 25 files, then changes, cuts and removes some of them, and says how much it has written after each
//! piece: `written N` on a line of its own.
//!
//!     big_files DIRECTORY [MEBIBYTES]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const PIECE: usize = 1 << 18;
const PIECES: usize = 16;

/// Noise without zeros, with the bytes written so far in every page: no two pieces are the same, and a snapshot has nothing
/// to leave out.
struct Noise {
    bytes: Vec<u8>,
    written: u64,
}

impl Noise {
    fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let bytes = (0..PIECE / 8).flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state | 0x0101_0101_0101_0101).to_le_bytes()
        });
        Self { bytes: bytes.collect(), written: 0 }
    }

    fn write(&mut self, file: &mut File, length: usize) -> std::io::Result<()> {
        for page in self.bytes.chunks_mut(4096) {
            page[..8].copy_from_slice(&(self.written | 1 << 63).to_le_bytes());
        }
        file.write_all(&self.bytes[..length])?;
        self.written += length as u64;
        println!("written {}", self.written);
        Ok(())
    }
}

fn path(directory: &Path, number: usize) -> PathBuf {
    directory.join(format!("part-{number:02}"))
}

/// A checksum over one page in 61.
fn sum(path: &Path) -> std::io::Result<u32> {
    let (mut file, mut page, mut sum) = (File::open(path)?, [0; 4096], 0u32);
    loop {
        let count = file.read(&mut page)?;
        if count == 0 {
            return Ok(sum);
        }
        sum = page[..count].iter().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
        file.seek(SeekFrom::Current(60 * 4096))?;
    }
}

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let directory = Path::new(args.first().map_or("big", String::as_str));
    let files = args.get(1).and_then(|n| n.parse().ok()).unwrap_or(100usize) / 4;
    fs::create_dir_all(directory)?;
    let mut noise = Noise::new();
    for number in 0..files {
        let mut file = File::create(path(directory, number))?;
        for _ in 0..PIECES {
            noise.write(&mut file, PIECE)?;
        }
    }
    // A little in every file, so that the last snapshots are small.
    for round in 0..4 {
        for number in 0..files {
            let mut file = OpenOptions::new().write(true).open(path(directory, number))?;
            file.seek(SeekFrom::Start((round * 997_001 + number * 4_099) as u64))?;
            noise.write(&mut file, 100 + round)?;
        }
    }
    for number in (0..files).step_by(3) {
        OpenOptions::new().write(true).open(path(directory, number))?.set_len(5_000)?;
    }
    for number in (1..files).step_by(5) {
        fs::remove_file(path(directory, number))?;
    }
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    for path in paths {
        println!("{} {} {:08x}", path.display(), fs::metadata(&path)?.len(), sum(&path)?);
    }
    Ok(())
}
