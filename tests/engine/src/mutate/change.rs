//! One change of a snapshot: of fields, of bytes, or of the pages in its `.bin`.

use std::sync::Arc;

use stepmark_core::machine::check;
use stepmark_core::machine::{InstanceLinker, Machine, NoHost};
use stepmark_core::module::{Features, Module};
use stepmark_snapshot::bin::{BinReader, BinWriter, PageSink};
use stepmark_snapshot::snap::RawSnapshot;
use stepmark_snapshot::spaces::{Restore, Spaces};
use stepmark_state::canonical::{FrameState, InstanceState, Phase, SpaceState};
use stepmark_state::error::JobError;
use stepmark_state::pages::PAGE;
use stepmark_state::trap::Trap;

use super::{Subject, forge, seal};
use crate::generate::Rng;
use crate::session::Files;

/// Bytes of the hash at the end of both files.
const TRAILER: usize = 32;

fn value(rng: &mut Rng, old: u64) -> u64 {
    match rng.below(8) {
        0 => 0,
        1 => old ^ (1 << rng.below(64)),
        2 => old.wrapping_add(1),
        3 => old.wrapping_sub(1),
        4 => 1 + rng.bits() % 12,
        5 => 1 + (((rng.bits() % 3) << 32) | (rng.bits() % 12)),
        6 => u64::MAX,
        _ => rng.bits(),
    }
}

fn number(rng: &mut Rng, old: u32) -> u32 {
    match rng.below(6) {
        0 => 0,
        1 => u32::MAX,
        2 => old.wrapping_add(1),
        3 => old.wrapping_sub(1),
        4 => (rng.bits() % 12) as u32,
        _ => rng.bits() as u32,
    }
}

/// Changes one item of a list, or its length.
fn list<T: Clone>(rng: &mut Rng, list: &mut Vec<T>, new: impl Fn(&mut Rng, Option<&T>) -> T) {
    let at = rng.below(list.len() + 1);
    match rng.below(7) {
        0 => list.insert(at, new(rng, None)),
        1 if at < list.len() => drop(list.remove(at)),
        2 if at < list.len() => list.insert(at, list[at].clone()),
        3 => list.truncate(at),
        4 if list.len() > 1 => {
            let other = rng.below(list.len());
            let at = rng.below(list.len());
            list.swap(at, other);
        }
        _ if at < list.len() => list[at] = new(rng, Some(&list[at])),
        _ => list.push(new(rng, None)),
    }
}

fn values(rng: &mut Rng, of: &mut Vec<u64>) {
    list(rng, of, |rng, old| value(rng, old.copied().unwrap_or(0)));
}

fn frame(rng: &mut Rng, frame: &mut FrameState) -> &'static str {
    match rng.below(9) {
        0..4 => {
            frame.offset = match rng.below(4) {
                0 => number(rng, frame.offset),
                _ => frame.offset.wrapping_add(rng.below(60) as u32).wrapping_sub(30),
            };
            "offset"
        }
        4 => {
            frame.func = number(rng, frame.func);
            "function"
        }
        5 => {
            frame.instance = number(rng, frame.instance);
            "instance of a frame"
        }
        6 => {
            values(rng, &mut frame.operands);
            "operands"
        }
        _ => {
            values(rng, &mut frame.locals);
            "locals"
        }
    }
}

fn frames(rng: &mut Rng, frames: &mut Vec<FrameState>) -> &'static str {
    if rng.below(4) > 0 && !frames.is_empty() {
        let at = if rng.once_in(2) { frames.len() - 1 } else { rng.below(frames.len()) };
        return frame(rng, &mut frames[at]);
    }
    if rng.once_in(40) && !frames.is_empty() {
        // Deeper than any job here allows.
        let at = rng.below(frames.len());
        let copy = frames[at].clone();
        frames.splice(at..at, std::iter::repeat_n(copy, 3_000));
        return "many frames";
    }
    list(rng, frames, |rng, old| {
        let empty = FrameState { instance: 0, func: 0, offset: 0, locals: Vec::new(), operands: Vec::new() };
        let mut new = old.cloned().unwrap_or(empty);
        frame(rng, &mut new);
        new
    });
    "frames"
}

fn instance(rng: &mut Rng, instance: &mut InstanceState) -> &'static str {
    match rng.below(5) {
        0 => {
            values(rng, &mut instance.globals);
            "globals"
        }
        1 => {
            values(rng, &mut instance.memories);
            "memory sizes"
        }
        2 => {
            values(rng, &mut instance.tables);
            "table sizes"
        }
        3 => {
            list(rng, &mut instance.dropped_data, |rng, old| number(rng, old.copied().unwrap_or(0)));
            "dropped data"
        }
        _ => {
            list(rng, &mut instance.dropped_elements, |rng, old| number(rng, old.copied().unwrap_or(0)));
            "dropped elements"
        }
    }
}

fn space(rng: &mut Rng, old: Option<&SpaceState>) -> SpaceState {
    let mut space = old.cloned().unwrap_or(SpaceState { kind: 1, index: 0, pages: 0, root: [0; 32] });
    match rng.below(4) {
        0 => space.kind = space.kind.wrapping_add(rng.below(5) as u8),
        1 => space.index = number(rng, space.index),
        2 => space.pages = value(rng, space.pages),
        _ => space.root[rng.below(32)] ^= 1 << rng.below(8),
    }
    space
}

fn phase(rng: &mut Rng) -> Phase {
    match rng.below(6) {
        0 => Phase::Start { instance: rng.below(3) as u32 },
        1 => Phase::Initialize,
        2 => Phase::Entry,
        3 => Phase::Finished,
        4 => Phase::Trapped { trap: Trap::Unreachable },
        _ => Phase::Exited { code: rng.below(300) as u32 },
    }
}

fn segment(rng: &mut Rng, raw: &mut RawSnapshot) -> &'static str {
    let segment = &mut raw.segment;
    match rng.below(6) {
        0 => segment.id = value(rng, segment.id),
        1 => segment.paused = !segment.paused,
        2 => segment.limit = value(rng, segment.limit),
        3 => segment.gas_used = value(rng, segment.gas_used),
        4 => segment.previous_snap[rng.below(32)] ^= 1,
        _ => segment.bin[rng.below(32)] ^= 1,
    }
    "segment"
}

fn job(rng: &mut Rng, raw: &mut RawSnapshot) -> &'static str {
    let job = &mut raw.job;
    match rng.below(12) {
        0 => job.version = number(rng, job.version),
        1 => job.program.hash[rng.below(32)] ^= 1,
        2 => job.program.size = value(rng, job.program.size),
        3 => job.program.name.push('x'),
        4 => job.entry = if rng.once_in(2) { None } else { Some("memory".to_owned()) },
        5 => job.args.push("7".to_owned()),
        6 => job.argv0.push('/'),
        7 => job.env.push(("A".to_owned(), "=\u{1}".to_owned())),
        8 => {
            let at = rng.below(job.schedule.bytes.len());
            job.schedule.bytes[at] = rng.bits() as u8;
        }
        9 => job.limits.stack_slots = number(rng, job.limits.stack_slots),
        10 => job.clock_rate = value(rng, job.clock_rate),
        _ => job.seed = value(rng, job.seed),
    }
    "job"
}

fn host(rng: &mut Rng, raw: &mut RawSnapshot) -> &'static str {
    let hosts = &mut raw.state.hosts;
    match rng.below(6) {
        0 => hosts.clear(),
        1 => hosts.push(hosts[0].clone()),
        2 => hosts[0].name.push('x'),
        3 => drop(hosts[0].bytes.pop()),
        _ => {
            let at = rng.below(hosts[0].bytes.len());
            hosts[0].bytes[at] = rng.bits() as u8;
        }
    }
    "host state"
}

fn field(rng: &mut Rng, raw: &mut RawSnapshot) -> &'static str {
    match rng.below(20) {
        0..9 => frames(rng, &mut raw.state.frames),
        9..13 if !raw.state.instances.is_empty() => {
            let at = rng.below(raw.state.instances.len());
            instance(rng, &mut raw.state.instances[at])
        }
        13 => {
            list(rng, &mut raw.state.instances, |_, old| old.cloned().unwrap_or_default());
            "instances"
        }
        14 => {
            list(rng, &mut raw.state.spaces, space);
            "spaces"
        }
        15 => {
            raw.state.gas_total = value(rng, raw.state.gas_total);
            "gas"
        }
        16 => segment(rng, raw),
        17 => job(rng, raw),
        18 if !raw.state.hosts.is_empty() && !raw.state.hosts[0].bytes.is_empty() => host(rng, raw),
        _ => match rng.below(3) {
            0 => {
                raw.state.awaiting = true;
                "awaiting"
            }
            1 => {
                values(rng, &mut raw.state.results);
                "results"
            }
            _ => {
                raw.state.phase = phase(rng);
                "phase"
            }
        },
    }
}

/// The files with one to three fields of the `.snap` changed, and what was changed.
pub fn change_field(subject: &Subject, rng: &mut Rng) -> (String, Files) {
    let mut raw = subject.raw.clone();
    let times = if rng.once_in(4) { 2 + rng.below(2) } else { 1 };
    let what: Vec<&str> = (0..times).map(|_| field(rng, &mut raw)).collect();
    let mut files = subject.files.clone();
    files.insert(subject.snap_path(), forge(&raw));
    (what.join(", "), files)
}

/// The files with some bytes of the `.snap` or the `.bin` changed, the hashes repaired.
pub fn change_bytes(subject: &Subject, rng: &mut Rng) -> (String, Files) {
    let mut files = subject.files.clone();
    let in_bin = rng.once_in(3);
    let path = if in_bin { subject.bin_path() } else { subject.snap_path() };
    let mut bytes = files[&path].clone();
    let sealed = !rng.once_in(20);
    if sealed {
        bytes.truncate(bytes.len() - TRAILER);
    }
    let at = rng.below(bytes.len());
    let what = match rng.below(8) {
        0 => {
            bytes.truncate(at);
            "cut"
        }
        1 => {
            bytes.insert(at, rng.bits() as u8);
            "a byte more"
        }
        2 => {
            bytes.remove(at);
            "a byte less"
        }
        3 => {
            let end = (at + 1 + rng.below(40)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
            "a part twice"
        }
        4 => {
            bytes[at] = 0xff;
            "0xff"
        }
        _ => {
            bytes[at] ^= 1 << rng.below(8);
            "a bit"
        }
    };
    if sealed {
        bytes = seal(bytes);
    }
    if in_bin {
        let mut raw = subject.raw.clone();
        if let Some(hash) = bytes.last_chunk() {
            raw.segment.bin = *hash;
        }
        files.insert(subject.snap_path(), forge(&raw));
    }
    files.insert(path.clone(), bytes);
    (format!("{what} at {at} of {path}"), files)
}

#[derive(Default)]
struct Pages(Vec<(u8, u32, u64, Box<[u8; PAGE]>)>);

impl PageSink for Pages {
    fn space(&mut self, _kind: u8, _index: u32, _pages: u64) -> Result<(), JobError> {
        Ok(())
    }

    fn page(&mut self, kind: u8, index: u32, page: u64, contents: &[u8; PAGE]) -> Result<(), JobError> {
        self.0.push((kind, index, page, Box::new(*contents)));
        Ok(())
    }
}

/// The files with the contents of pages in the `.bin` changed, and all hashes and roots repaired.
///
/// # Panics
/// If the subject's own files cannot be read.
pub fn change_pages(subject: &Subject, rng: &mut Rng) -> (String, Files) {
    let mut files = subject.files.clone();
    let path = subject.bin_path();
    let mut reader = BinReader::new();
    let mut pages = Pages::default();
    reader.push(&files[&path], &mut pages).unwrap();
    let header = reader.finish().unwrap().header;
    if pages.0.is_empty() {
        return change_field(subject, rng);
    }
    let mut what = Vec::new();
    for _ in 0..=rng.below(3) {
        let at = rng.below(pages.0.len());
        let (kind, index, page, contents) = &mut pages.0[at];
        let word = rng.below(PAGE / 8) * 8;
        let word = if *kind == 2 { word % 128 } else { word };
        let old = u64::from_le_bytes(contents[word..word + 8].try_into().unwrap());
        contents[word..word + 8].copy_from_slice(&value(rng, old).to_le_bytes());
        what.push(format!("space {kind} {index}: page {page}: byte {word}"));
        match rng.below(30) {
            0 => *page += 1 + rng.bits() % 40,
            1 => *index += 1,
            2 => *kind = 3 - *kind % 3,
            3 => drop(pages.0.remove(at)),
            _ => {}
        }
        if pages.0.is_empty() {
            break;
        }
    }
    pages.0.sort_by_key(|(kind, index, page, _)| (*kind, *index, *page));
    pages.0.dedup_by_key(|(kind, index, page, _)| (*kind, *index, *page));
    let mut bytes = Vec::new();
    let mut writer = BinWriter::new(&header, &mut bytes);
    for space in pages.0.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        writer.space(space[0].0, space[0].1, space.len() as u64, &mut bytes);
        for (_, _, page, contents) in space {
            writer.page(*page, contents, &mut bytes);
        }
    }
    let mut raw = subject.raw.clone();
    raw.segment.bin = writer.finish(&mut bytes);
    files.insert(path, bytes);
    if let Some(spaces) = roots(subject, &files) {
        raw.state.spaces = spaces;
    }
    files.insert(subject.snap_path(), forge(&raw));
    (what.join(", "), files)
}

/// The roots of the spaces that the chain in these files leads to, for a job without host functions.
pub fn roots(subject: &Subject, files: &Files) -> Option<Vec<SpaceState>> {
    if !subject.alone || subject.job.inputs.len() > 1 {
        return None;
    }
    let module = Module::parse(subject.job.inputs.values().next()?.clone(), Features::default()).ok()?;
    let mut machine = Machine::new(Default::default(), subject.raw.job.limits);
    let entry = subject.raw.job.entry.clone()?;
    let instance = machine.link("", Arc::new(module), &InstanceLinker::default(), &NoHost).ok()?;
    machine.store.write_segments(instance).ok()?;
    let stepmark_core::machine::Extern::Func(func) = machine.store.export(instance, &entry)? else { return None };
    let mut spaces = Spaces::new(&mut machine.store);
    let checked = check::check_state(subject.raw.state.clone(), &mut machine, func, Vec::new(), &[]).ok()?;
    machine.restore(&checked).ok()?;
    spaces.update(&mut machine.store);
    let chain = (1..=subject.raw.segment.id).map(|id| format!("out/{id}.bin"));
    let last = subject.raw.segment.paused.then(|| subject.bin_path());
    for path in chain.chain(last) {
        let mut sink = Restore { contents: &mut machine.store, spaces: &mut spaces, contracts: false };
        BinReader::new().push(&files[&path], &mut sink).ok()?;
    }
    Some(spaces.states(&machine.store))
}
