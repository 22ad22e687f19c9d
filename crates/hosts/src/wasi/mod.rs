//! WASI preview 1, and preview 0 before it, implemented wholly inside the node: no call reaches the machine, so the same job gets the same answers
//! everywhere, and the whole state (descriptors, offsets, clock, position in the random stream, output hashes) is saved.
//! What each call does, and the rules for time, randomness and exit codes, are in docs/wasi.md.
//!
//! A call checks all its arguments before its first effect: it has its whole effect or none. Bad pointers are `EFAULT`.

use crate::{HostFunc, HostModule, HostOutcome, ReturnValues};
use std::sync::Arc;
use stepmark_core::host::{GuestMemory, GuestMemoryExt, Paid, Steps, Work};
use stepmark_state::error::JobError;
use stepmark_state::trap::Trap;

mod answers;
mod calls;
mod change;
mod clock;
mod describe;
mod descriptor_table;
mod descriptors;
mod directory;
mod environment;
mod errno;
mod fs;
mod io;
mod output;
mod path;
mod poll;
mod random;
mod rights;
mod spaces;
mod stat;
mod state;
mod walk;

#[cfg(test)]
mod tests;

pub use answers::{Recorded, parse_answers};
pub use calls::names as call_names;
pub use clock::EPOCH;
pub use describe::DescriptorView;
pub use errno::Errno;
pub use io::{MAX_IOVECS, MAX_TRANSFER};
pub use output::{BLOCK, KEY, OutputHash};
pub use poll::MAX_SUBSCRIPTIONS;
pub use spaces::{LeftFile, LeftFiles};
pub use state::MAX_FDS;

use answers::Answers;
use calls::{Args, WasiCall};
use fs::{FileSystem, MAX_PATH};
use output::OutputStream;
use state::{Descriptor, GivenJob, WasiState};

/// The module name that programs import from.
pub const MODULE: &str = "wasi_snapshot_preview1";
/// The module name that programs import preview 0 from.
pub const MODULE_0: &str = "wasi_unstable";

/// A file that the program finds at `path`.
#[derive(Clone, Debug)]
pub struct InputFile {
    /// Where the program finds it: names between single slashes, the leading slash optional, no `.` or `..`.
    pub path: String,
    /// Its bytes.
    pub content: Arc<[u8]>,
}

/// What a job gives its program. Two instances with equal configurations and equal saved states answer alike.
#[derive(Clone, Debug)]
pub struct WasiConfig {
    /// Arguments, the program's own name first. None may hold a NUL byte.
    pub args: Vec<Vec<u8>>,
    /// Environment, in the order in which the program sees it.
    pub env: Vec<(String, String)>,
    /// What standard input holds.
    pub stdin: Arc<[u8]>,
    /// The files that the program finds, in any order. What it writes to them stays in its state.
    pub inputs: Vec<InputFile>,
    /// The directories that are open to the program from the start, under these names: `/` or `.` is the root.
    pub preopens: Vec<String>,
    /// Bytes that the files that it writes to may take together, in whole pages of 4 KiB.
    pub file_bytes: u64,
    /// Nanoseconds by which the clocks advance for each unit of gas.
    pub clock_rate: u64,
    /// Seed of the random source.
    pub seed: u64,
}

/// What a call that returns answers: nothing, or the error number.
type Answer = Result<(), Errno>;

/// WASI for one program.
#[derive(Clone)]
pub struct Wasi {
    args: Vec<Vec<u8>>,
    env: Vec<Vec<u8>>,
    stdin: Arc<[u8]>,
    fs: FileSystem,
    max_pages: u64,
    preopen_names: Vec<String>,
    preopens: Vec<u32>,
    clock_rate: u64,
    random: random::RandomBytes,
    state: WasiState,
    stdout: OutputStream,
    stderr: OutputStream,
    answers: Answers,
}

impl Wasi {
    /// WASI at the start of a job.
    ///
    /// # Errors
    /// A usage error that names the argument, variable or input file that no program could be given.
    pub fn new(config: WasiConfig) -> Result<Self, JobError> {
        let inputs = config.inputs.into_iter().map(|input| (input.path, input.content));
        let (fs, preopens) = FileSystem::new(inputs, &config.preopens, config.file_bytes)?;
        let env = environment::variables(&config.env)?;
        environment::check("arguments", &config.args)?;
        environment::check("environment", &env)?;
        let state = WasiState::new(&fs, &preopens);
        Ok(Self {
            args: config.args,
            env,
            stdin: config.stdin,
            fs,
            max_pages: fs::pages(config.file_bytes),
            preopen_names: config.preopens,
            preopens,
            clock_rate: config.clock_rate,
            random: random::RandomBytes::new(config.seed),
            state,
            stdout: OutputStream::default(),
            stderr: OutputStream::default(),
            answers: Answers::default(),
        })
    }

    /// Takes what the program has written to standard output (`fd` 1) or error (2) since the last time. Any other `fd`
    /// gives nothing. The streams keep their identity when the program renumbers or closes descriptors.
    pub fn take_output(&mut self, fd: u32) -> Vec<u8> {
        match fd {
            1 => std::mem::take(&mut self.stdout.pending),
            2 => std::mem::take(&mut self.stderr.pending),
            _ => Vec::new(),
        }
    }

    /// Writes a line to standard error that comes from a host function, not from the program's own writing.
    pub fn debug(&mut self, text: &[u8]) {
        self.stderr.push(&[text, b"\n"].concat());
    }

    /// Bytes of output that wait to be taken, both streams together.
    pub fn pending(&self) -> usize {
        self.stdout.pending.len().saturating_add(self.stderr.pending.len())
    }

    /// Length in bytes and hash of all that was written to standard output (`fd` 1) or error (2) since the start of the
    /// run, resumed or not; `None` for any other `fd`.
    pub fn output_hash(&self, fd: u32) -> Option<&OutputHash> {
        match fd {
            1 => Some(&self.stdout.hash),
            2 => Some(&self.stderr.hash),
            _ => None,
        }
    }

    /// Whether answers of clocks and randomness are logged for [`take_answers`](Self::take_answers). Off at first,
    /// because the log grows with the run.
    pub fn record_answers(&mut self, on: bool) {
        self.answers.on = on;
    }

    /// Takes the log of answers since the last time, as whole records; [`parse_answers`] reads
    /// it, docs/wasi.md has the format.
    pub fn take_answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answers.log)
    }

    fn descriptor(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.state.descriptors.get(fd).ok_or(Errno::Badf)
    }

    fn descriptor_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.state.descriptors.get_mut(fd).ok_or(Errno::Badf)
    }

    fn answer(
        &mut self,
        call: WasiCall,
        args: Args<'_>,
        memory: &mut dyn GuestMemory,
        gas_total: u64,
        steps: &mut Steps,
    ) -> Answer {
        let now = self.wall_clock(gas_total);
        match call {
            WasiCall::ArgsGet => environment::get(&self.args, args, memory),
            WasiCall::ArgsSizesGet => environment::sizes_get(&self.args, args, memory),
            WasiCall::EnvironGet => environment::get(&self.env, args, memory),
            WasiCall::EnvironSizesGet => environment::sizes_get(&self.env, args, memory),
            WasiCall::ClockResGet => self.clock_res_get(args, memory),
            WasiCall::ClockTimeGet => self.clock_time_get(args, memory, gas_total),
            WasiCall::FdAdvise => self.fd_advise(args),
            WasiCall::FdAllocate => self.fd_allocate(args, now),
            WasiCall::FdClose => self.fd_close(args),
            WasiCall::FdDatasync | WasiCall::FdSync => self.fd_sync(args),
            WasiCall::FdFdstatGet => self.fd_fdstat_get(args, memory),
            WasiCall::FdFdstatSetFlags => self.fd_fdstat_set_flags(args),
            WasiCall::FdFdstatSetRights => self.fd_fdstat_set_rights(args),
            WasiCall::FdFilestatGet => self.fd_filestat_get(args, memory),
            WasiCall::FdFilestatSetSize => self.fd_filestat_set_size(args, now),
            WasiCall::FdFilestatSetTimes => self.fd_filestat_set_times(args, now),
            WasiCall::FdPread => self.fd_pread(args, memory),
            WasiCall::FdPrestatGet => self.fd_prestat_get(args, memory),
            WasiCall::FdPrestatDirName => self.fd_prestat_dir_name(args, memory),
            WasiCall::FdPwrite => self.fd_pwrite(args, memory, now),
            WasiCall::FdRead => self.fd_read(args, memory),
            WasiCall::FdReaddir => self.fd_readdir(args, memory, steps),
            WasiCall::FdRenumber => self.fd_renumber(args),
            WasiCall::FdSeek => self.fd_seek(args, memory),
            WasiCall::FdTell => self.fd_tell(args, memory),
            WasiCall::FdWrite => self.fd_write(args, memory, now),
            WasiCall::PathCreateDirectory => self.path_create_directory(args, memory, now, steps),
            WasiCall::PathFilestatGet => self.path_filestat_get(args, memory, steps),
            WasiCall::PathFilestatSetTimes => self.path_filestat_set_times(args, memory, now, steps),
            WasiCall::PathLink => self.path_link(args, memory, now, steps),
            WasiCall::PathOpen => self.path_open(args, memory, now, steps),
            WasiCall::PathReadlink => self.path_readlink(args, memory, steps),
            WasiCall::PathRemoveDirectory => self.path_remove_directory(args, memory, now, steps),
            WasiCall::PathRename => self.path_rename(args, memory, now, steps),
            WasiCall::PathSymlink => self.path_symlink(args, memory, now, steps),
            WasiCall::PathUnlinkFile => self.path_unlink_file(args, memory, now, steps),
            WasiCall::PollOneoff => self.poll_oneoff(args, memory, gas_total),
            WasiCall::RandomGet => self.random_get(args, memory),
            WasiCall::SockAccept | WasiCall::SockRecv | WasiCall::SockSend | WasiCall::SockShutdown => {
                self.descriptor(args.u32(0)).and(Err(Errno::Notsock))
            }
            WasiCall::ProcRaise => Err(Errno::Notsup),
            WasiCall::ProcExit | WasiCall::SchedYield => Ok(()),
        }
    }
}

impl Wasi {
    /// The work of a call beyond its own step.
    fn call_work(&self, call: WasiCall, args: Args<'_>, memory: &dyn GuestMemory) -> Work {
        match call {
            WasiCall::ArgsGet => Work::moving(environment::units(&self.args)),
            WasiCall::EnvironGet => Work::moving(environment::units(&self.env)),
            WasiCall::ArgsSizesGet => Work { steps: environment::size_steps(&self.args), ..Work::NONE },
            WasiCall::EnvironSizesGet => Work { steps: environment::size_steps(&self.env), ..Work::NONE },
            WasiCall::FdRead => self.read_work(args, memory, None),
            WasiCall::FdPread => self.read_work(args, memory, Some(args.u64(3))),
            WasiCall::FdWrite => self.write_work(args, memory, None),
            WasiCall::FdPwrite => self.write_work(args, memory, Some(args.u64(3))),
            WasiCall::FdAllocate => self.resize_work(args.u32(0), args.u64(1).saturating_add(args.u64(2))),
            WasiCall::FdFilestatSetSize => self.resize_work(args.u32(0), args.u64(1)),
            WasiCall::FdReaddir => self.readdir_work(args),
            WasiCall::FdPrestatDirName => Work { steps: self.dir_name_steps(args), ..Work::NONE },
            WasiCall::RandomGet if memory.contains(args.ptr(0), args.ptr(1)) => Work::moving(args.ptr(1)),
            WasiCall::PollOneoff => Work { steps: poll::steps(args.u32(2)), ..Work::moving(poll::units(args.u32(2))) },
            WasiCall::PathCreateDirectory | WasiCall::PathRemoveDirectory | WasiCall::PathUnlinkFile => {
                self.path_work(call, args, memory, &[args.u32(2)])
            }
            WasiCall::PathReadlink => {
                let work = self.path_work(call, args, memory, &[args.u32(2)]);
                Work { bytes: work.bytes.saturating_add(args.ptr(4).min(MAX_PATH as u64)), ..work }
            }
            WasiCall::PathFilestatGet | WasiCall::PathFilestatSetTimes | WasiCall::PathOpen => {
                self.path_work(call, args, memory, &[args.u32(3)])
            }
            WasiCall::PathLink => self.path_work(call, args, memory, &[args.u32(3), args.u32(6)]),
            WasiCall::PathRename => self.path_work(call, args, memory, &[args.u32(2), args.u32(5)]),
            WasiCall::PathSymlink => self.path_work(call, args, memory, &[args.u32(1), args.u32(4)]),
            // These read or change one record, whatever the program's state: a descriptor, a node, a clock.
            WasiCall::ClockResGet | WasiCall::ClockTimeGet => Work::NONE,
            WasiCall::FdAdvise | WasiCall::FdClose | WasiCall::FdDatasync | WasiCall::FdSync | WasiCall::FdRenumber => {
                Work::NONE
            }
            WasiCall::FdFdstatGet | WasiCall::FdFdstatSetFlags | WasiCall::FdFdstatSetRights => Work::NONE,
            WasiCall::FdFilestatGet | WasiCall::FdFilestatSetTimes | WasiCall::FdPrestatGet => Work::NONE,
            WasiCall::FdSeek | WasiCall::FdTell => Work::NONE,
            WasiCall::ProcExit | WasiCall::ProcRaise | WasiCall::SchedYield => Work::NONE,
            // They fail.
            WasiCall::RandomGet
            | WasiCall::SockAccept
            | WasiCall::SockRecv
            | WasiCall::SockSend
            | WasiCall::SockShutdown => Work::NONE,
        }
    }
}

impl HostModule for Wasi {
    fn resolve(&self, module: &str, name: &str) -> Option<HostFunc> {
        let (id, row) = calls::by_name(module, name)?;
        Some(HostFunc { id, params: row.params, results: row.results() })
    }

    fn work(&self, id: u32, args: &[u64], memory: &dyn GuestMemory) -> Work {
        let Some((row, is_unstable)) = calls::by_id(id) else { return Work::NONE };
        let work = self.call_work(row.call, Args { slots: args, is_unstable }, memory);
        // Every call is a step itself.
        Work { steps: work.steps.saturating_add(1), ..work }
    }

    fn call(
        &mut self,
        id: u32,
        args: &[u64],
        memory: &mut dyn GuestMemory,
        gas_total: u64,
        mut paid: Paid,
    ) -> HostOutcome {
        let Some((row, is_unstable)) = calls::by_id(id).filter(|(row, _)| row.params.len() == args.len()) else {
            return HostOutcome::Trap(Trap::HostError);
        };
        let args = Args { slots: args, is_unstable };
        if row.call == WasiCall::ProcExit {
            return HostOutcome::Exit(args.u32(0));
        }
        let answer = self.answer(row.call, args, memory, gas_total, paid.steps());
        let errno = answer.map_or_else(Errno::code, |()| 0);
        HostOutcome::Return(ReturnValues::one(u64::from(errno)))
    }

    fn save(&self) -> Vec<u8> {
        state::encode(&self.state, &self.fs, &self.stdout.hash, &self.stderr.hash)
    }

    /// Also drops pending output and recorded answers: they belong to the run that was left.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), JobError> {
        let given = GivenJob { fs: &self.fs, preopens: &self.preopens, stdin: self.stdin.len() as u64 };
        let restored = state::decode(bytes, &given)?;
        self.state = restored.state;
        self.fs = restored.fs;
        self.stdout = OutputStream { hash: restored.stdout, pending: Vec::new() };
        self.stderr = OutputStream { hash: restored.stderr, pending: Vec::new() };
        self.answers.log.clear();
        Ok(())
    }
}

/// Bytes of reading paths: a path that is too long is refused unread.
fn path_bytes(lengths: &[u32]) -> u64 {
    let limit = MAX_PATH as u64;
    lengths.iter().map(|length| u64::from(*length)).filter(|length| *length <= limit).fold(0, u64::saturating_add)
}

/// `EFAULT` unless all `len` bytes at `addr` lie inside.
fn in_bounds(memory: &dyn GuestMemory, addr: u64, len: u64) -> Answer {
    if memory.contains(addr, len) { Ok(()) } else { Err(Errno::Fault) }
}

/// Stores `bytes` at `addr`, or answers `EFAULT`.
fn store(memory: &mut dyn GuestMemory, addr: u64, bytes: &[u8]) -> Answer {
    if memory.write(addr, bytes) { Ok(()) } else { Err(Errno::Fault) }
}

/// Copies `bytes` into `record` at `at`. Records are laid out by constants, so a field that does not fit is a bug.
fn put(record: &mut [u8], at: usize, bytes: &[u8]) {
    match record.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len())) {
        Some(field) => field.copy_from_slice(bytes),
        None => unreachable!("BUG: wasi record field at {at} does not fit"),
    }
}
