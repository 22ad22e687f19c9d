//! The files that a job needs: which are wanted, in which order, and what they must be. Modules and snapshots go on to `link`,
//! pages straight into the run.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::link::Builder;
use super::paged_state::PagedState;
use super::{Running, Session, SessionMode};
use crate::spec::JobSpec;
use stepmark_core::alloc;
use stepmark_core::gas::Schedule;
use stepmark_core::machine::check::check_tables;
use stepmark_core::module::{Features, Module, Modules};
use stepmark_hosts::external;
use stepmark_snapshot::bin::{BinFooter, BinReader};
use stepmark_snapshot::snap;
use stepmark_snapshot::snap::{MAX_SNAP, RawSnapshot};
use stepmark_snapshot::spaces::Restore;
use stepmark_state::error::JobError;
use stepmark_state::paged::mark_all;

/// Bytes that a module, input file or schedule may have: what a 32-bit node can hold beside the program's memory.
const MAX_FILE: u64 = 1 << 30;

/// What a wanted file is for.
#[derive(Clone, Debug)]
enum Purpose {
    Snap,
    Schedule,
    Program,
    Preload(String),
    Stdin,
    Input(String),
    Contract(String),
    /// The answers of the segment that was paused.
    Calls,
    /// A `.bin` of the chain, by id; the paused one comes after the one of its predecessor.
    Bin {
        id: u64,
        paused: bool,
    },
    /// What stands for the first `.bin` files of a chain.
    Base,
}

#[derive(Clone, Debug)]
struct Want {
    path: String,
    purpose: Purpose,
}

/// An input file's content.
pub(super) struct InputContent {
    pub(super) hash: [u8; 32],
    pub(super) bytes: Arc<[u8]>,
}

pub(super) fn content_hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// What has been given so far.
#[derive(Default)]
pub(super) struct Loading {
    wants: VecDeque<Want>,
    bytes: Vec<u8>,
    bin: Option<BinReader>,
    pub(super) snapshot: Option<RawSnapshot>,
    pub(super) schedule: Option<String>,
    pub(super) program: Option<Vec<u8>>,
    pub(super) preloads: Vec<(String, Vec<u8>)>,
    pub(super) stdin: Option<Arc<[u8]>>,
    pub(super) inputs: Vec<(String, InputContent)>,
    /// Contents of input files: one that many names lead to is held once.
    contents: BTreeMap<[u8; 32], Arc<[u8]>>,
    pub(super) contracts: Vec<(String, Vec<u8>)>,
    /// The `.bin` files still to be wanted.
    chain: Option<BinChain>,
    linked: bool,
    ready: bool,
    pub(super) mode: SessionMode,
    /// Who parses modules; none for plain parsing.
    pub(super) modules: Option<Arc<dyn Modules>>,
}

/// Which `.bin` files are still to be wanted.
struct BinChain {
    next: u64,
    last: u64,
    paused: bool,
}

impl Loading {
    pub(super) fn new(spec: &JobSpec, mode: SessionMode, modules: Option<Arc<dyn Modules>>) -> Loading {
        let mut loading = Loading { mode, modules, ..Loading::default() };
        let mut want = |path: &str, purpose| loading.wants.push_back(Want { path: path.to_owned(), purpose });
        if let Some(resume) = &spec.resume {
            want(&format!("{}/{}.snap", resume.dir, resume.id), Purpose::Snap);
        }
        if let Some(schedule) = spec.gas_schedule.as_deref().filter(|name| Schedule::builtin(name).is_none()) {
            want(schedule, Purpose::Schedule);
        }
        want(&spec.program, Purpose::Program);
        for (name, path) in &spec.preload {
            want(path, Purpose::Preload(name.clone()));
        }
        if let Some(path) = &spec.stdin {
            want(path, Purpose::Stdin);
        }
        for (name, path) in &spec.files {
            want(path, Purpose::Input(name.clone()));
        }
        for (name, path) in &spec.contracts {
            want(path, Purpose::Contract(name.clone()));
        }
        loading
    }

    /// Whether all files have been given.
    pub(super) fn is_complete(&self) -> bool {
        self.linked && self.ready && self.wants.is_empty()
    }

    pub(super) fn parse(&self, bytes: Vec<u8>, features: Features) -> Result<Arc<Module>, JobError> {
        match &self.modules {
            Some(modules) => modules.module(bytes, features),
            None => Module::parse(bytes, features).map(Arc::new),
        }
    }

    /// All pages have been given, from somewhere else than `.bin` files.
    pub(super) fn pages_are_there(&mut self) {
        self.wants.clear();
        self.chain = None;
    }

    fn given(&mut self, purpose: Purpose, bytes: Vec<u8>) -> Result<(), JobError> {
        match purpose {
            Purpose::Snap => self.snapshot = Some(snap::decode(&bytes)?),
            Purpose::Schedule => {
                let text = String::from_utf8(bytes).map_err(|e| JobError::usage(format!("not UTF-8 text: {e}")))?;
                self.schedule = Some(text);
            }
            Purpose::Program => self.program = Some(bytes),
            Purpose::Preload(name) => self.preloads.push((name, bytes)),
            Purpose::Stdin => self.stdin = Some(bytes.into()),
            Purpose::Input(path) => {
                let content = self.content(bytes);
                self.inputs.push((path, content));
            }
            Purpose::Contract(name) => self.contracts.push((name, bytes)),
            Purpose::Bin { .. } | Purpose::Base | Purpose::Calls => unreachable!("BUG: pages are not collected"),
        }
        Ok(())
    }

    fn content(&mut self, bytes: Vec<u8>) -> InputContent {
        let hash = content_hash(&bytes);
        InputContent { hash, bytes: self.contents.entry(hash).or_insert_with(|| bytes.into()).clone() }
    }
}

impl Session {
    /// Path, as the user typed it, of the next file to give; `None` when the run can begin.
    ///
    /// # Errors
    /// The files given so far do not make a run: a bad program, missing imports, arguments that do not fit, a snapshot of
    /// another job.
    pub fn want(&mut self) -> Result<Option<String>, JobError> {
        if self.loading.wants.is_empty() && !self.loading.linked {
            self.link()?;
        }
        if self.loading.wants.is_empty() {
            self.want_bin();
        }
        if let Some(want) = self.loading.wants.front() {
            return Ok(Some(want.path.clone()));
        }
        if !self.loading.ready {
            self.check_chain()?;
        }
        Ok(None)
    }

    /// Bytes of the longest file that can be wanted now. A `.bin` is not held, and says itself when it is too long.
    pub fn most_wanted(&self) -> u64 {
        match self.loading.wants.front().map(|want| &want.purpose) {
            Some(Purpose::Bin { .. } | Purpose::Base) | None => u64::MAX,
            Some(Purpose::Snap) => MAX_SNAP,
            Some(_) => MAX_FILE,
        }
    }

    /// The next bytes of the wanted file.
    ///
    /// # Errors
    /// The file is too long, or is a `.bin` that does not fit the chain.
    pub fn give(&mut self, chunk: &[u8]) -> Result<(), JobError> {
        let Some(want) = self.loading.wants.front().cloned() else { return Err(JobError::usage("no file is wanted")) };
        if let Purpose::Bin { .. } | Purpose::Base = want.purpose {
            return self.give_pages(chunk).map_err(|e| e.context(&want.path));
        }
        let most = self.most_wanted();
        let bytes = &mut self.loading.bytes;
        if bytes.len() as u64 + chunk.len() as u64 > most {
            return Err(JobError::usage(format!("{}: longer than {most} bytes", want.path)));
        }
        let reserved = alloc::reserve(bytes, chunk.len());
        reserved.map_err(|_| JobError::resource(format!("{}: Stepmark cannot hold this file", want.path)))?;
        bytes.extend_from_slice(chunk);
        Ok(())
    }

    fn give_pages(&mut self, chunk: &[u8]) -> Result<(), JobError> {
        let running = self.running.as_deref_mut().expect("BUG: pages are wanted after linking");
        let reader = self.loading.bin.get_or_insert_with(BinReader::new);
        let contracts = !running.job.contracts.is_empty();
        let Running { machine, wasi, store, spaces, .. } = running;
        let mut contents = PagedState { store: &mut machine.store, files: wasi, log: store };
        reader.push(chunk, &mut Restore { contents: &mut contents, spaces, contracts })
    }

    /// The wanted file is complete, or (`found` false) is not there.
    ///
    /// # Errors
    /// It is not there, or is not what it should be.
    pub fn give_end(&mut self, found: bool) -> Result<(), JobError> {
        let Some(want) = self.loading.wants.pop_front() else { return Err(JobError::usage("no file is wanted")) };
        if !found {
            return self.absent(&want);
        }
        let bytes = std::mem::take(&mut self.loading.bytes);
        let result = match want.purpose {
            Purpose::Bin { id, paused } => self.end_pages(id, paused),
            Purpose::Base => self.end_base(),
            Purpose::Calls => self.end_calls(&bytes),
            purpose => self.loading.given(purpose, bytes),
        };
        result.map_err(|e| e.context(&want.path))
    }

    /// A wanted file is not there: a chain whose first `.bin` is missing may have a base instead.
    fn absent(&mut self, want: &Want) -> Result<(), JobError> {
        let missing = format!("{}: no such file", want.path);
        match want.purpose {
            Purpose::Bin { id: 1, paused: false } => {
                let path = format!("{}base.bin", want.path.strip_suffix("1.bin").unwrap_or_default());
                self.loading.wants.push_back(Want { path, purpose: Purpose::Base });
                Ok(())
            }
            Purpose::Base => {
                let dir = want.path.strip_suffix("base.bin").unwrap_or_default();
                Err(JobError::snapshot(format!("{dir}1.bin: no such file, nor a base.bin")))
            }
            Purpose::Snap | Purpose::Bin { .. } | Purpose::Calls => Err(JobError::snapshot(missing)),
            _ => Err(JobError::usage(missing)),
        }
    }

    fn end_pages(&mut self, id: u64, paused: bool) -> Result<(), JobError> {
        let BinFooter { header, hash } = self.end_bin()?;
        let running = self.running.as_deref_mut().expect("BUG: pages are wanted after linking");
        if (header.id, header.paused, header.base) != (id, paused, false) {
            let kind = |paused| if paused { "paused after " } else { "" };
            let (found, wanted) = (if header.base { "up to " } else { kind(header.paused) }, kind(paused));
            return Err(JobError::snapshot(format!("is of snapshot {found}{}, expected {wanted}{id}", header.id)));
        }
        if header.previous != running.previous_bin {
            return Err(JobError::snapshot("does not follow the .bin before it: files of two chains are mixed"));
        }
        if !paused {
            running.previous_bin = hash;
        }
        self.check_last(hash)
    }

    /// The answers of the paused segment are complete.
    fn end_calls(&mut self, bytes: &[u8]) -> Result<(), JobError> {
        let running = self.running.as_deref_mut().expect("BUG: answers are wanted after linking");
        let (prefix, answers) = external::decode_calls(bytes)?;
        if (prefix.paused, prefix.id, prefix.job_hash) != (true, running.id, running.job_hash) {
            return Err(JobError::snapshot("is not of this pause"));
        }
        running.replies.resume_segment(answers)
    }

    /// The base is complete: the chain goes on after it.
    fn end_base(&mut self) -> Result<(), JobError> {
        let header = self.end_bin()?.header;
        let running = self.running.as_deref_mut().expect("BUG: pages are wanted after linking");
        let chain = self.loading.chain.as_mut().expect("BUG: a base is wanted for a chain");
        if !header.base || header.id > chain.last {
            let (id, last) = (header.id, chain.last);
            return Err(JobError::snapshot(format!(
                "is of snapshot {id}, expected a base for snapshot {last} or earlier"
            )));
        }
        running.previous_bin = header.previous;
        chain.next = header.id.saturating_add(1);
        self.check_last(header.previous)
    }

    /// A `.bin` of this job that was read to its end.
    fn end_bin(&mut self) -> Result<BinFooter, JobError> {
        let footer = self.loading.bin.take().unwrap_or_default().finish()?;
        if footer.header.job_hash != self.job_hash() {
            return Err(JobError::snapshot("belongs to another job"));
        }
        Ok(footer)
    }

    /// If no `.bin` follows, the one with this hash must be the one that the `.snap` commits to.
    fn check_last(&self, hash: [u8; 32]) -> Result<(), JobError> {
        let committed = self.running().map_or([0; 32], |running| running.resumed_bin);
        let last = self.loading.chain.as_ref().is_none_or(|chain| chain.next > chain.last && !chain.paused);
        if last && hash != committed {
            return Err(JobError::snapshot("is not the .bin that the .snap commits to"));
        }
        Ok(())
    }

    // Linking.

    fn link(&mut self) -> Result<(), JobError> {
        self.loading.linked = true;
        let loading = std::mem::take(&mut self.loading);
        let mut builder = Builder { spec: &self.spec, loading };
        let running = builder.build()?;
        let mode = builder.loading.mode;
        self.loading = Loading { linked: true, mode, ready: builder.loading.snapshot.is_none(), ..Loading::default() };
        if let Some(snapshot) = &builder.loading.snapshot {
            self.loading.chain = Some(BinChain { next: 1, last: snapshot.segment.id, paused: snapshot.segment.paused });
        }
        self.loading.snapshot = builder.loading.snapshot;
        self.messages.extend(running.job.limits.warning());
        self.running = Some(Box::new(running));
        Ok(())
    }

    /// Wants the next `.bin` of the chain, one at a time: a snapshot may claim any number of predecessors.
    fn want_bin(&mut self) {
        let (Some(chain), Some(resume)) = (&mut self.loading.chain, &self.spec.resume) else { return };
        let (name, purpose) = if chain.next <= chain.last {
            (chain.next.to_string(), Purpose::Bin { id: chain.next, paused: false })
        } else if chain.paused {
            chain.paused = false;
            let running = self.running.as_deref_mut().expect("BUG: pages are wanted after linking");
            running.chain_spaces = Some(running.spaces.clone());
            if running.asks_outside() && self.loading.mode != SessionMode::Inspect {
                let path = format!("{}/{}.calls", resume.dir, resume.id);
                self.loading.wants.push_back(Want { path, purpose: Purpose::Calls });
            }
            (resume.id.to_string(), Purpose::Bin { id: chain.last, paused: true })
        } else {
            self.loading.chain = None;
            return;
        };
        chain.next = chain.next.saturating_add(1);
        self.loading.wants.push_back(Want { path: format!("{}/{name}.bin", resume.dir), purpose });
    }

    /// All pages of the chain have been given: do they make the state that the snapshot commits to.
    fn check_chain(&mut self) -> Result<(), JobError> {
        self.loading.ready = true;
        let Some(snapshot) = self.loading.snapshot.take() else { return Ok(()) };
        let running = self.running.as_deref_mut().expect("BUG: a snapshot is checked after linking");
        let Running { machine, wasi, store, spaces, .. } = running;
        let found = spaces.states(&PagedState { store: &mut machine.store, files: wasi, log: store });
        let expected = &snapshot.state.spaces;
        if found.len() != expected.len() {
            return Err(JobError::snapshot(format!("{} spaces, the .snap commits to {}", found.len(), expected.len())));
        }
        if let Some((space, _)) = expected.iter().zip(&found).find(|(a, b)| a != b) {
            let (kind, index) = (stepmark_state::pages::space_name(space.kind).unwrap_or("space"), space.index);
            return Err(JobError::snapshot(format!(
                "the contents of {kind} {index} do not have the root that the .snap commits to"
            )));
        }
        check_tables(&mut running.machine)?;
        running.wasi.check_files()?;
        running.store.rebuild()?;
        if snapshot.state.awaiting {
            running.ask_again()?;
        }
        if snapshot.segment.paused {
            // The pages of the pause are changes of the segment that goes on: its own snapshot must carry them again.
            running.spaces = running.chain_spaces.take().expect("BUG: kept before the paused pages came");
            mark_all(&mut running.contents());
        }
        Ok(())
    }
}
