//! Exercises `std::fs` on WASI preview 1: a small database of files is made, changed, listed and taken apart again.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};

fn main() -> std::io::Result<()> {
    let rounds: u32 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(3);
    fs::create_dir_all("/db/index/deep")?;
    for round in 0..rounds {
        let path = format!("/db/table{}", round % 4);
        let mut table = OpenOptions::new().create(true).append(true).open(&path)?;
        for row in 0..200 {
            writeln!(table, "{round} {row} {}", row * row)?;
        }
        table.sync_all()?;
        let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
        file.seek(SeekFrom::Start(u64::from(round) * 13))?;
        file.write_all(b"<changed>")?;
        fs::write(format!("/db/index/{round}"), vec![round as u8; 5000 * (1 + round as usize % 3)])?;
        if round % 2 == 1 {
            fs::rename(format!("/db/index/{round}"), format!("/db/index/deep/{round}"))?;
            File::create(format!("/db/index/{}", round - 1))?.set_len(7)?;
        }
        if round % 3 == 2 {
            fs::remove_file(format!("/db/index/{}", round & !1))?;
            fs::copy(&path, "/db/copy")?;
        }
    }
    list("/db", 0)?;
    let lines = BufReader::new(File::open("/db/table0")?).lines().count();
    let mut start = [0; 24];
    File::open("/db/table0")?.read_exact(&mut start)?;
    println!("{lines} lines, {:?}", String::from_utf8_lossy(&start));
    println!("{:?}", fs::read("/absent").map_err(|error| error.kind()));
    fs::remove_dir_all("/db/index")?;
    list("/db", 0)
}

/// Prints names and sizes below a directory, in the order of names.
fn list(path: &str, depth: usize) -> std::io::Result<()> {
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let (metadata, name) = (entry.metadata()?, entry.file_name());
        let name = name.to_string_lossy();
        if metadata.is_dir() {
            println!("{}{name}/", "  ".repeat(depth));
            list(&format!("{path}/{name}"), depth + 1)?;
        } else {
            println!("{}{name} {}", "  ".repeat(depth), metadata.len());
        }
    }
    Ok(())
}
