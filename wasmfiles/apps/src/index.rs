//! Keeps an inverted index of text files in files of its own, and answers questions from it.
//!
//!     index DIRECTORY FILE...
//!
//! Words go into a `HashMap` with its random seed, pages of postings into files below DIRECTORY by the words' first letters;
//! they are read again, merged, renamed and looked up. What is printed does not depend on the seed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
/// Word to the places where it is: number of the text, number of the line.
type Postings = HashMap<String, Vec<(usize, usize)>>;

fn words(line: &str) -> impl Iterator<Item = String> {
    line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

fn read(texts: &[String]) -> Result<Postings> {
    let mut postings = Postings::new();
    for (text, path) in texts.iter().enumerate() {
        for (number, line) in BufReader::new(File::open(path)?).lines().enumerate() {
            for word in words(&line?) {
                postings.entry(word).or_default().push((text, number + 1));
            }
        }
    }
    Ok(postings)
}

fn page(directory: &Path, word: &str) -> PathBuf {
    directory.join(format!("{}.page", word.chars().next().map_or(0, u32::from)))
}

/// Appends every word to its page, in the map's own order.
fn write(directory: &Path, postings: &Postings) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for (word, places) in postings {
        let mut line = word.clone();
        for (text, number) in places {
            write!(line, " {text}:{number}").expect("a String takes everything");
        }
        let mut file = OpenOptions::new().create(true).append(true).open(page(directory, word))?;
        writeln!(file, "{line}")?;
    }
    Ok(())
}

/// Sorts each page, through a new file that takes the old one's place.
fn settle(directory: &Path) -> io::Result<(usize, u64)> {
    let (mut pages, mut bytes) = (0, 0);
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let lines: BTreeSet<String> = BufReader::new(File::open(&path)?).lines().collect::<io::Result<_>>()?;
        let fresh = path.with_extension("new");
        let mut file = BufWriter::new(File::create(&fresh)?);
        for line in &lines {
            writeln!(file, "{line}")?;
        }
        file.into_inner()?.sync_all()?;
        fs::rename(&fresh, &path)?;
        pages += 1;
        bytes += fs::metadata(&path)?.len();
    }
    Ok((pages, bytes))
}

/// The lines where a word is, read from its page.
fn look_up(directory: &Path, word: &str) -> Result<Vec<(usize, usize)>> {
    let file = match File::open(page(directory, word)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    for line in BufReader::new(file).lines() {
        let line = line?;
        let mut parts = line.split(' ');
        if parts.next() == Some(word) {
            return parts
                .map(|place| {
                    let (text, number) = place.split_once(':').ok_or("a place without a colon")?;
                    Ok((text.parse()?, number.parse()?))
                })
                .collect();
        }
    }
    Ok(Vec::new())
}

/// Overwrites the middle of a file, and takes its end away.
fn patch(directory: &Path) -> io::Result<String> {
    let path = directory.join("patched");
    fs::write(&path, "0123456789".repeat(1000))?;
    let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
    file.seek(SeekFrom::Start(5000))?;
    file.write_all(b"abc")?;
    file.set_len(5005)?;
    file.seek(SeekFrom::End(-8))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn run(args: &[String]) -> Result<()> {
    let [directory, texts @ ..] = args else { return Err("usage: index DIRECTORY FILE...".into()) };
    let directory = Path::new(directory);
    let postings = read(texts)?;
    let places: usize = postings.values().map(Vec::len).sum();
    println!("{} words in {places} places", postings.len());
    write(directory, &postings)?;
    let (pages, bytes) = settle(directory)?;
    println!("{pages} pages, {bytes} bytes");

    let mut by_count: Vec<(usize, &str)> = postings.iter().map(|(word, at)| (at.len(), word.as_str())).collect();
    by_count.sort_unstable_by(|a, b| b.cmp(a));
    for (count, word) in by_count.iter().take(8) {
        let found = look_up(directory, word)?;
        let lines: BTreeMap<usize, BTreeSet<usize>> = found.iter().fold(BTreeMap::new(), |mut lines, (text, line)| {
            lines.entry(*text).or_default().insert(*line);
            lines
        });
        let texts: Vec<String> = lines.iter().map(|(text, lines)| format!("{}: {}", texts[*text], lines.len())).collect();
        println!("{word}: {count} times ({})", texts.join(", "));
        assert_eq!(found.len(), *count);
    }
    let wrong = postings.keys().step_by(3).map(|word| look_up(directory, word)).filter(|found| found.is_err()).count();
    println!("{wrong} wrong, {} places of a word that is not there", look_up(directory, "nowherenear")?.len());
    println!("patched: {}", patch(directory)?);
    match File::open(directory.join("absent")) {
        Err(error) => println!("absent: {:?}", error.kind()),
        Ok(_) => return Err("a file that was never made".into()),
    }
    fs::remove_dir_all(directory)?;
    println!("left: {}", directory.exists());
    Err("this is how a failure is reported".into())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("index: {error}");
            ExitCode::from(3)
        }
    }
}
