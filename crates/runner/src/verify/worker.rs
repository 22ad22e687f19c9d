//! A worker: a node that is taken through a contiguous range of segments.

use std::io::Read;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::Instant;

use serde_json::{Value, json};

use stepmark_session::output_file::OutputFile;
use stepmark_session::spec::JobSpec;

use crate::bounds::Allowance;
use crate::chain::durable::{FINAL, Name};
use crate::chain::{self, ChainFiles};
use crate::claimed_job::{self, ClaimedJob};
use crate::failure::{BEYOND, Failure, Result};
use crate::foreign::{self, Foreign, ForeignKind};
use crate::interrupt::Interrupt;
use crate::job::rerun::Rerun;
use crate::node::driver::{Driver, Ready};
use crate::node::engine::{Deliver, ModuleSession};
use crate::node::external::RecordedReplies;
use crate::node::kept;
use crate::node::receipt;
use crate::strict;
use crate::verify::{PlannedSegment, SegmentVerdict, Verdict, VerifyOptions};

/// What a worker reports.
pub(super) enum Message {
    /// Gas executed since the last message.
    Executed(u64),
    /// A segment is decided.
    Done(Box<SegmentVerdict>),
    /// The file of this name was compared.
    Compared(String),
    /// The file of this name, which the program leaves behind, was compared.
    Delivered(String),
}

pub(super) struct Worker<'a> {
    number: usize,
    chain: &'a ChainFiles,
    rerun: &'a Rerun,
    options: &'a VerifyOptions,
    stop: &'a Interrupt,
    /// When it gives up.
    allowance: Allowance,
    messages: Sender<Message>,
}

/// A node in a known state.
struct KnownState {
    node: Box<dyn ModuleSession>,
    /// The snapshot that it stands at.
    id: u64,
    limit: u64,
    refill: bool,
    /// Answers what the run asked of the outside.
    replay: RecordedReplies,
}

/// What executing a segment came to.
struct ExecutedSegment {
    differences: Vec<String>,
    /// The snapshot that the node stands at: its own state is the one that the `.snap` commits to, whatever the `.bin` says.
    stands_at: Option<u64>,
}

impl ExecutedSegment {
    /// Differences after which the node stands at no snapshot.
    fn only(differences: Vec<String>) -> Self {
        Self { differences, stands_at: None }
    }
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        number: usize,
        chain: &'a ChainFiles,
        rerun: &'a Rerun,
        options: &'a VerifyOptions,
        stop: &'a Interrupt,
        allowance: Allowance,
        messages: Sender<Message>,
    ) -> Self {
        Self { number, chain, rerun, options, stop, allowance, messages }
    }

    /// Goes through its segments.
    pub(super) fn run(&mut self, share: &[PlannedSegment]) {
        let mut at = None;
        for segment in share {
            if self.stop.is_requested() {
                return;
            }
            let started = Instant::now();
            let (verdict, gas) = self.segment(segment, &mut at);
            let done =
                SegmentVerdict { segment: segment.clone(), verdict, gas, time: started.elapsed(), worker: self.number };
            // Nobody listens any more when the verification was given up.
            drop(self.messages.send(Message::Done(Box::new(done))));
        }
    }

    /// Decides a segment; the node goes on to the next one only if it is right.
    fn segment(&self, segment: &PlannedSegment, at: &mut Option<KnownState>) -> (Verdict, u64) {
        if let Some(id) = segment.to.filter(|id| !self.chain.links.contains_key(id)) {
            return (Verdict::NotCompared(format!("{id}.snap is missing or damaged")), 0);
        }
        let first = segment.from.saturating_add(1);
        if let Some(id) = segment.to.filter(|id| *id > first) {
            return (Verdict::NotCompared(format!("the snapshots from {first} up to {id} are missing")), 0);
        }
        if let Err(failure) = self.allowance.spend(0) {
            return (not_done(&failure), 0);
        }
        // A run that stopped at its limit says so only after it has executed the segment before.
        let start = if segment.at_limit { segment.from.saturating_sub(1) } else { segment.from };
        let wanted = |at: &KnownState| at.id == start && at.limit == segment.limit && at.refill != segment.at_limit;
        let ready = match at.take().filter(wanted) {
            Some(ready) => Ok(ready),
            None => self.restore(start, segment.limit, !segment.at_limit),
        };
        let mut ready = match ready {
            Ok(ready) => ready,
            Err(failure) => return (not_done(&failure), 0),
        };
        let before = ready.node.progress().map_or(0, |progress| progress.gas_total);
        let found = self.execute(segment, &mut ready);
        let gas = ready.node.progress().map_or(0, |progress| progress.gas_total).saturating_sub(before);
        let verdict = match found {
            Ok(ExecutedSegment { differences, stands_at }) => {
                *at = stands_at.map(|id| KnownState { id, ..ready });
                if differences.is_empty() { Verdict::Same } else { Verdict::Differs(differences) }
            }
            Err(failure) => not_done(&failure),
        };
        (verdict, gas)
    }

    /// A node in the state of snapshot `id`.
    fn restore(&self, id: u64, limit: u64, refill: bool) -> Result<KnownState> {
        let rerun = self.rerun.as_opened(self.chain, id)?;
        let mut node = self.options.executor.start()?;
        let keep_final = FINAL.iter().any(|name| foreign::is_there(&self.chain.dir, name));
        node.load(&JobSpec { keep_final, ..rerun.from(id, limit, refill) })?;
        rerun.supply().feed(node.as_mut(), self.stop)?;
        if node.job_hash()? != rerun.job().job_hash() {
            return Err(Failure::data("the files that were given do not make the job of the snapshots"));
        }
        Ok(KnownState { node, id, limit, refill, replay: RecordedReplies::new(&self.chain.dir) })
    }

    /// Executes a segment and compares what comes out with the files.
    fn execute(&self, segment: &PlannedSegment, at: &mut KnownState) -> Result<ExecutedSegment> {
        if segment.at_limit {
            // The segment before has been decided by itself.
            self.next(at, &self.allowance.again())?;
        }
        match (self.next(at, &self.allowance)?, segment.to) {
            (Ready::Snapshot(_), Some(id)) => self.compare_snapshot(id, at.node.as_mut()),
            (Ready::Reports, None) => self.compare_end(at.node.as_mut()).map(ExecutedSegment::only),
            (Ready::Reports, Some(id)) => Ok(ExecutedSegment::only(vec![format!(
                "the program ends in this segment: snapshot {id} is one too many"
            )])),
            (Ready::Snapshot(id), None) if foreign::is_there(&self.chain.dir, "result.txt") => {
                Ok(ExecutedSegment::only(vec![format!("the run goes on to a snapshot {id}, which is missing")]))
            }
            (Ready::Snapshot(id), None) => {
                Err(Failure::data(format!("nothing says how the run ended: it goes on to a snapshot {id} here"))
                    .help("verify up to the last snapshot with --to"))
            }
        }
    }

    /// Runs the node until a snapshot or the end.
    fn next(&self, at: &mut KnownState, allowance: &Allowance) -> Result<Ready> {
        let mut before = at.node.progress()?.gas_total;
        Driver::new(at.node.as_mut(), &mut at.replay, self.stop).within(allowance).run(&mut |node| {
            node.drop_output()?;
            let total = node.progress()?.gas_total;
            drop(self.messages.send(Message::Executed(total.saturating_sub(before))));
            before = total;
            Ok(())
        })
    }

    /// Compares the files of a snapshot. What the `.bin` says is in the `.snap` as a hash, so a merged one is not missed.
    fn compare_snapshot(&self, id: u64, node: &mut dyn ModuleSession) -> Result<ExecutedSegment> {
        let mut found = ExecutedSegment { differences: Vec::new(), stands_at: Some(id) };
        while let Some(file) = node.next_file()? {
            if matches!(file, OutputFile::Bin(_)) && self.chain.is_merged(id) {
                node.drop_file()?;
                continue;
            }
            let name = file.to_string();
            let there = open(self.chain, &name)?;
            self.compared(&name);
            let mut hasher = Trailer::default();
            let difference = compare_file(there, &name, &mut |chunk| hasher.pass(node.take_chunk(chunk)?, chunk))?;
            // What others started from, and what the hashes were checked of, is what the chain was opened with.
            let opened = self.chain.links.get(&id).is_none_or(|link| link.hash == hasher.last);
            let is_snap = matches!(file, OutputFile::Snap(_));
            let changed = || (is_snap && !opened).then(|| chain::changed(id));
            let Some(difference) = difference.or_else(changed) else { continue };
            found.differences.push(difference);
            if is_snap {
                found.stands_at = None;
            }
        }
        Ok(found)
    }

    /// Says that a file was compared.
    fn compared(&self, name: &str) {
        drop(self.messages.send(Message::Compared(name.to_owned())));
    }

    /// Compares what the end of the run leaves.
    fn compare_end(&self, node: &mut dyn ModuleSession) -> Result<Vec<String>> {
        let mut differences = Vec::new();
        let mut compared = false;
        while let Some(file) = node.next_file()? {
            let name = file.to_string();
            self.compared(&name);
            let reports = &self.chain.reports;
            match file {
                OutputFile::Receipt => {
                    let there = reports.receipt.clone()?;
                    let job = json!(ClaimedJob::of(self.rerun.job()));
                    differences.extend(compare_receipt(there.as_deref(), &node.take_all()?, &job)?);
                }
                OutputFile::Result => {
                    let there = reports.result.clone()?;
                    compared |= there.is_some();
                    let there = there.as_deref().map(|bytes| (bytes, bytes.len() as u64));
                    differences.extend(compare(there, &name, &mut |chunk| node.take_chunk(chunk))?);
                }
                _ => {
                    let there = open(self.chain, &name)?;
                    differences.extend(compare_file(there, &name, &mut |chunk| node.take_chunk(chunk))?);
                }
            }
        }
        if !compared {
            return Err(Failure::data("result.txt is missing: how the run ended cannot be compared")
                .help("verify up to the last snapshot with --to"));
        }
        if let Some(delivered) = &self.options.delivered {
            differences.extend(self.compare_delivered(delivered, node)?);
        }
        Ok(differences)
    }

    /// Compares the files that the program leaves behind with a directory that they were delivered to: each once, however
    /// many names it has, as the program has paid for it once.
    fn compare_delivered(&self, directory: &Path, node: &mut dyn ModuleSession) -> Result<Vec<String>> {
        let mut differences = Vec::new();
        // By position, as the node counts: what was compared there.
        let mut compared = Vec::new();
        while let Some(name) = node.deliver_name()? {
            let is_plain = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
            if !is_plain {
                differences.push(format!("the program left a file {name:?}, which cannot be delivered"));
                compared.push(None);
                continue;
            }
            let first = node.deliver_link()?;
            let there = Foreign::find_within(directory, &name, ForeignKind::Delivered)?;
            let identity = there.as_ref().and_then(Foreign::identity);
            let is_the_first = identity.is_some() && first.and_then(|at| compared.get(at)) == Some(&identity);
            if !is_the_first {
                let next = &mut |chunk: &mut Vec<u8>| Deliver::deliver_chunk(node, chunk);
                differences.extend(compare_file(there, &format!("delivered file {name}"), next)?);
            }
            compared.push(identity);
            drop(self.messages.send(Message::Delivered(name)));
        }
        Ok(differences)
    }
}

/// The last 32 bytes of a file that comes by in chunks: the hash of a `.snap`.
#[derive(Default)]
struct Trailer {
    last: [u8; 32],
}

impl Trailer {
    fn pass(&mut self, more: bool, chunk: &[u8]) -> Result<bool> {
        if more {
            let both = [&self.last, chunk].concat();
            self.last = both.last_chunk().copied().unwrap_or_default();
        }
        Ok(more)
    }
}

/// What a segment that could not be executed to its end comes to.
fn not_done(failure: &Failure) -> Verdict {
    match failure.code() {
        BEYOND => Verdict::GivenUp(shown(failure)),
        _ => Verdict::NotCompared(shown(failure)),
    }
}

fn shown(failure: &Failure) -> String {
    failure.to_string().trim_start_matches("error: ").replace('\n', ";")
}

/// Opens the chain's file of a name that the node gives.
pub(super) fn open(chain: &ChainFiles, name: &str) -> Result<Option<Foreign>> {
    let kind = Name::kind_of(name).ok_or_else(|| Failure::data(format!("the module named a file {name}")))?;
    Foreign::find_within(&chain.dir, name, kind)
}

/// Compares a file with what `next` hands out; what differs, if anything does.
pub(super) fn compare_file(
    file: Option<Foreign>,
    name: &str,
    next: &mut dyn FnMut(&mut Vec<u8>) -> Result<bool>,
) -> Result<Option<String>> {
    let with_length = file.map(|file| {
        let length = file.length();
        (file, length)
    });
    compare(with_length, name, next)
}

/// Compares so many bytes of a file called `name` with what `next` hands out; what differs, if anything does.
fn compare(
    mut found: Option<(impl Read, u64)>,
    name: &str,
    next: &mut dyn FnMut(&mut Vec<u8>) -> Result<bool>,
) -> Result<Option<String>> {
    let (mut chunk, mut offset) = (Vec::new(), 0u64);
    let mut difference = found.is_none().then(|| format!("{name}: missing"));
    while next(&mut chunk)? {
        let Some((file, _)) = found.as_mut().filter(|_| difference.is_none()) else { continue };
        let mut there = Vec::with_capacity(chunk.len());
        let read = file.take(chunk.len() as u64).read_to_end(&mut there);
        read.map_err(|error| Failure::io(Path::new(name), &error))?;
        let same = there.iter().zip(&chunk).take_while(|(a, b)| a == b).count();
        offset = offset.saturating_add(same as u64);
        if same < chunk.len() {
            difference = Some(format!("{name}: differs at byte {offset}"));
        }
    }
    if let (Some((_, size)), None) = (&found, &difference) {
        difference = (*size > offset).then(|| format!("{name}: {size} bytes, expected {offset}"));
    }
    Ok(difference)
}

/// Compares the `result` and `run` objects, which are the node's, with a receipt, in which the runner has a say too: of the job,
/// and of the output, where it was kept. What the runner says of itself, and the node of its version, proves nothing and is not
/// compared.
fn compare_receipt(text: Option<&[u8]>, expected: &[u8], job: &Value) -> Result<Vec<String>> {
    let Some(text) = text else { return Ok(vec!["receipt.json: missing".to_owned()]) };
    let unreadable = |error| Failure::data(format!("the module wrote no receipt that can be read: {error}"));
    let expected = strict::parse(expected).map_err(unreadable)?;
    let found = match strict::parse(text) {
        Ok(Value::Object(found)) => found,
        Ok(_) => return Ok(vec!["receipt.json: is no object".to_owned()]),
        Err(error) => return Ok(vec![format!("receipt.json: {error}")]),
    };
    let foreign = found.keys().filter(|name| !receipt::KNOWN.contains(&name.as_str()));
    let mut differences: Vec<String> =
        foreign.map(|name| format!("receipt.json: {name:?} is no part of a receipt")).collect();
    for part in receipt::DETERMINISTIC {
        let Some(found) = found.get(part).filter(|found| found.is_object()) else {
            differences.push(format!("receipt.json: has no {part} object"));
            continue;
        };
        let of_part = receipt::differing(&expected[part], found).into_iter();
        differences.extend(of_part.map(|(name, expected, found)| {
            format!("receipt.json: {name:?} of {part} is {found}, expected {expected}")
        }));
    }
    if found.contains_key(claimed_job::JOB) {
        let said = receipt::said_job(&Value::Object(found.clone()), job);
        let of_job = receipt::differing(job, &said).into_iter();
        differences.extend(
            of_job.map(|(name, expected, found)| {
                format!("receipt.json: {name:?} of job is {found}, expected {expected}")
            }),
        );
    }
    let output = found.get(receipt::OUTPUT);
    differences.extend(output.into_iter().flat_map(|output| kept::faults(output, &expected["result"])));
    Ok(differences)
}
