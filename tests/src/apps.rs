//! Real programs end to end: those of `wasmfiles/apps`, as `apps.toml` calls them. Each does what it does directly on
//! wasmtime, and leaves a chain of segments in which every link can be made again from the files before it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use guest_interp::args;
use serde::Deserialize;
use stepmark_runner::node::engine::ModuleSession;
use stepmark_runner::reference;
use stepmark_session::spec::JobSpec;

use crate::program_files::sha256;
use crate::programs;
use crate::runner::{self, Ended};

/// Segments that a chain has at least.
pub const SEGMENTS: usize = 20;
/// Bytes of a file handed over in one call.
const CHUNK: usize = 60_000;
/// Gas of a slice.
const SLICE: u64 = 50_000_000;
/// Directory of the chain that a segment resumes from.
const CHAIN: &str = "chain";
/// Bytes of a page, and of what a `.bin` says about it.
const PAGE: u64 = 4096 + 64;

/// `apps.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Apps {
    app: Vec<App>,
}

/// A program and how it is called.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// What people call it.
    pub name: String,
    /// The file, from the directory of `apps.toml`.
    pub file: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Flags of the job beside its files.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Input files: path as the program sees it, and file from the directory of `apps.toml`.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// Whether it works with files, in a directory that is open to it as `/`.
    #[serde(default)]
    pub preopen: bool,
    /// Arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Exit code.
    #[serde(default)]
    pub exit_code: i32,
    /// Its memory in bytes, if each `.bin` is bounded by that and by what it says that it has written, on lines
    /// `written TOTAL`.
    pub bounded: Option<u64>,
    /// What the node lacks to run it.
    pub waits_for: Option<String>,
}

/// Files by path.
type Files = BTreeMap<String, Vec<u8>>;

/// What came of a program.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Gas of the whole run.
    pub gas: u64,
    /// Segments of its chain.
    pub segments: usize,
    /// Segments that were run again from a snapshot, each alone, and were equal.
    pub restored: usize,
    /// Bytes of the chain.
    pub bytes: usize,
    /// Bytes that the program wrote to files, where it says so.
    pub written: u64,
    /// Hash over all files of the chain and all output, hexadecimal.
    pub hash: String,
}

/// The directory of the programs.
pub fn directory() -> PathBuf {
    programs::directory().join("apps")
}

/// All of them.
///
/// # Errors
/// If `apps.toml` cannot be read.
pub fn all() -> Result<Vec<App>> {
    Ok(toml::from_str::<Apps>(&std::fs::read_to_string(directory().join("apps.toml"))?)?.app)
}

impl App {
    /// Runs it without a limit and directly on wasmtime, then in at least so many segments, then each segment again from the
    /// snapshot before it, in nodes that `start` makes.
    ///
    /// # Errors
    /// What differs, or falls short.
    pub fn check(&self, start: impl Fn() -> Result<Box<dyn ModuleSession>>, least: usize) -> Result<Figures> {
        let files = self.files()?;
        let (whole, gas, answers) = self.whole(start()?.as_mut(), &files)?;
        self.check_reference(&whole, answers)?;
        // A few more than asked for.
        let limit = gas / (least as u64 + least as u64 / 10).max(1) + 1;
        let flags = format!("--gas-limit {limit} --enable-gas-refill");
        let chain = self.run(start()?.as_mut(), &flags, &files).context("in segments")?;
        let snapshots = chain.snapshots();
        let segments = snapshots + 1;
        ensure!(segments >= least, "{segments} segments, expected at least {least}");
        ensure!(
            (&chain.stdout, &chain.stderr) == (&whole.stdout, &whole.stderr),
            "in segments it prints something else"
        );
        ensure!(chain.exit_code == whole.exit_code, "in segments its exit code is {}", chain.exit_code);
        let bytes = chain.files.iter().filter(|(name, _)| name.ends_with(".bin") || name.ends_with(".snap"));
        let mut figures = Figures { gas, segments, bytes: bytes.map(|(_, b)| b.len()).sum(), ..Figures::default() };
        let (mut said, mut stderr) = (Said::default(), Vec::new());
        for id in 0..segments {
            let part = self.segment(start()?.as_mut(), &files, &chain, id, limit);
            let part = part.with_context(|| format!("from snapshot {id}"))?;
            compare(&part, &chain, id, segments).with_context(|| format!("from snapshot {id}"))?;
            figures.restored += usize::from(id > 0);
            stderr.extend_from_slice(&part.stderr);
            let (before, pages) = (said.output.len(), said.hear(&part.stdout)?);
            ensure!(
                chain.stdout.get(before..said.output.len()) == Some(&part.stdout),
                "segment {id} prints another part"
            );
            if let (Some(memory), Some(bin)) = (self.bounded, part.files.get(&format!("{}.bin", id + 1))) {
                let (size, bound) = (bin.len() as u64, pages * PAGE + memory / 4096 * PAGE);
                ensure!(size <= bound, "{}.bin has {size} bytes, expected at most {bound}", id + 1);
            }
        }
        ensure!((&said.output, &stderr) == (&chain.stdout, &chain.stderr), "the segments print something else");
        figures.written = said.total;
        figures.hash = chain.portable_hash()?.to_hex().to_string();
        Ok(figures)
    }

    /// The program and its inputs.
    fn files(&self) -> Result<Files> {
        let read = |file: &str| std::fs::read(directory().join(file)).with_context(|| file.to_owned());
        let program = read(&self.file)?;
        let found = sha256(&program);
        ensure!(found == self.sha256, "{}: SHA-256 {found}, expected {}", self.file, self.sha256);
        let inputs = self.inputs.values().map(|file| Ok((file.clone(), read(file)?)));
        inputs.chain([Ok((self.file.clone(), program))]).collect()
    }

    /// Flags, program and arguments.
    fn argv(&self, flags: &str) -> Vec<String> {
        let mut argv: Vec<String> = flags.split_whitespace().map(str::to_owned).collect();
        argv.extend(self.flags.iter().cloned());
        argv.extend(self.inputs.iter().flat_map(|(guest, host)| ["--file".to_owned(), format!("{guest}={host}")]));
        if self.preopen {
            argv.extend(["--preopen".to_owned(), "/".to_owned()]);
        }
        argv.push(self.file.clone());
        argv.extend(self.args.iter().cloned());
        argv
    }

    /// A run without a limit, its gas, and what clocks and randomness answered it.
    fn whole(&self, node: &mut dyn ModuleSession, files: &Files) -> Result<(Ended, u64, Vec<u8>)> {
        let mut ended = Ended::default();
        load(node, &self.argv(""), |path| files.get(path).map(Vec::as_slice))?;
        node.record_answers()?;
        let mut answers = Vec::new();
        while !runner::advance(node, SLICE, &mut ended)? {
            answers.append(&mut node.take_answers()?);
        }
        answers.append(&mut node.take_answers()?);
        ensure!(ended.exit_code == self.exit_code, "exit code {}, expected {}", ended.exit_code, self.exit_code);
        Ok((ended, node.progress()?.gas_total, answers))
    }

    fn check_reference(&self, whole: &Ended, answers: Vec<u8>) -> Result<()> {
        let path = |file: &String| directory().join(file).display().to_string();
        let env = self.flags.windows(2).filter(|pair| pair[0] == "--env").filter_map(|pair| pair[1].split_once('='));
        let mut job = reference::ReferenceJob::new(&JobSpec {
            program: path(&self.file),
            positionals: self.args.clone(),
            files: self.inputs.iter().map(|(guest, host)| (guest.clone(), path(host))).collect(),
            preopens: if self.preopen { vec!["/".to_owned()] } else { Vec::new() },
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            ..JobSpec::default()
        });
        job.answers = Some(answers);
        let outcome = reference::run(job).context("directly on wasmtime")?;
        let (code, end) = (outcome.end.exit_code(), &outcome.end);
        ensure!(code == whole.exit_code, "exit code {}, on wasmtime it {end}", whole.exit_code);
        for (name, ours, theirs) in
            [("stdout", &whole.stdout, &outcome.stdout), ("stderr", &whole.stderr, &outcome.stderr)]
        {
            let at = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
            ensure!(ours == theirs, "{name} differs from wasmtime's at byte {at}");
        }
        ensure!(outcome.unused_answers == 0, "on wasmtime it asks clocks or randomness for less");
        Ok(())
    }

    fn run(&self, node: &mut dyn ModuleSession, flags: &str, files: &Files) -> Result<Ended> {
        let mut ended = Ended::default();
        load(node, &self.argv(flags), |path| files.get(path).map(Vec::as_slice))?;
        runner::finish(node, SLICE, &mut ended)?;
        Ok(ended)
    }

    /// The segment after snapshot `id` alone, from the files that it needs and no others.
    fn segment(
        &self,
        node: &mut dyn ModuleSession,
        files: &Files,
        chain: &Ended,
        id: usize,
        limit: u64,
    ) -> Result<Ended> {
        let mut flags = format!("--gas-limit {limit}");
        if id > 0 {
            flags += &format!(" --snapshot-input {CHAIN} --snapshot-id {id}");
        }
        let mut ended = Ended::default();
        load(node, &self.argv(&flags), |path| match path.strip_prefix(CHAIN) {
            Some(name) => {
                let name = name.trim_start_matches('/');
                let number = name.strip_suffix(".bin").and_then(|number| number.parse::<usize>().ok());
                let there = number.is_some_and(|number| number <= id) || name == format!("{id}.snap");
                chain.files.get(name).filter(|_| there).map(Vec::as_slice)
            }
            None => files.get(path).map(Vec::as_slice),
        })?;
        runner::finish(node, SLICE, &mut ended)?;
        Ok(ended)
    }
}

/// That the segment after `id` made what the chain has.
fn compare(part: &Ended, chain: &Ended, id: usize, segments: usize) -> Result<()> {
    let next = id + 1;
    if next < segments {
        for name in [format!("{next}.bin"), format!("{next}.snap")] {
            ensure!(part.files.get(&name).is_some_and(|file| chain.files.get(&name) == Some(file)), "{name} differs");
        }
        ensure!(part.snapshots() == 1, "{} snapshots", part.snapshots());
        ensure!(part.exit_code == 75, "exit code {} at the limit", part.exit_code);
        return Ok(());
    }
    ensure!(part.snapshots() == 0, "{} snapshots at the end", part.snapshots());
    ensure!(part.files.get("result.txt") == chain.files.get("result.txt"), "result.txt differs");
    ensure!(part.result()? == chain.result()?, "the receipt's result differs");
    ensure!(part.exit_code == chain.exit_code, "exit code {}", part.exit_code);
    Ok(())
}

/// What a program said that it has written.
#[derive(Default)]
struct Said {
    output: Vec<u8>,
    /// Bytes of whole lines that were looked at.
    seen: usize,
    total: u64,
    last: u64,
}

impl Said {
    /// Takes a segment's output, and says how many pages the writes can have touched that it tells of: those of the piece
    /// that was last told of are counted again, for a piece that is written before its line is.
    fn hear(&mut self, output: &[u8]) -> Result<u64> {
        self.output.extend_from_slice(output);
        let mut pages = 0;
        while let Some(length) = self.output.get(self.seen..).and_then(|rest| rest.iter().position(|b| *b == b'\n')) {
            let line = String::from_utf8_lossy(&self.output[self.seen..self.seen + length]).into_owned();
            self.seen += length + 1;
            if let Some(total) = line.strip_prefix("written ") {
                let total: u64 = total.parse()?;
                self.last = total - self.total;
                self.total = total;
                pages += self.last.div_ceil(4096) + 1;
            }
        }
        Ok(pages + self.last.div_ceil(4096) + 1)
    }
}

/// Loads a job with the files that `file` knows.
fn load<'a>(node: &mut dyn ModuleSession, argv: &[String], file: impl Fn(&str) -> Option<&'a [u8]>) -> Result<()> {
    node.load(&args::job(argv)?)?;
    while let Some(path) = node.want()? {
        let bytes = file(&path);
        bytes.into_iter().flat_map(|bytes| bytes.chunks(CHUNK)).try_for_each(|chunk| node.give(chunk))?;
        node.give_end(bytes.is_some())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(files: &[(&str, &[u8])], exit_code: i32) -> Ended {
        let files = files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect();
        Ended { files, exit_code, ..Ended::default() }
    }

    #[test]
    fn a_segment_that_is_not_the_chains_is_noticed() {
        let chain = ended(&[("1.bin", b"a"), ("1.snap", b"b"), ("2.bin", b"c"), ("2.snap", b"d")], 0);
        let message = |part: Ended| compare(&part, &chain, 1, 3).err().map(|error| error.to_string());
        assert_eq!(message(ended(&[("2.bin", b"c"), ("2.snap", b"d")], 75)), None);
        let wrong = [
            (ended(&[("2.bin", b"x"), ("2.snap", b"d")], 75), "2.bin differs"),
            (ended(&[("2.bin", b"c"), ("2.snap", b"x")], 75), "2.snap differs"),
            (ended(&[("2.bin", b"c")], 75), "2.snap differs"),
            (ended(&[("2.bin", b"c"), ("2.snap", b"d"), ("3.snap", b"d")], 75), "2 snapshots"),
            (ended(&[("2.bin", b"c"), ("2.snap", b"d")], 0), "exit code 0 at the limit"),
        ];
        for (part, expected) in wrong {
            assert_eq!(message(part).as_deref(), Some(expected));
        }
    }

    #[test]
    fn what_is_said_to_be_written_bounds_pages() {
        let mut said = Said::default();
        // A write of two pages touches up to three; the same again for one that has not been told of.
        assert_eq!(said.hear(b"hello\nwritten 8192\nwritt").unwrap(), 6);
        assert_eq!(said.hear(b"en 8193\n").unwrap(), 4);
        assert_eq!((said.hear(b"").unwrap(), said.total), (2, 8193));
    }
}
