//! The reactor face: the functions that an embedder calls (docs/guest-abi.md). Bytes pass through one exchange buffer in
//! linear memory; a function that has something to say leaves it there and returns its length. No function here calls an
//! import, and everything that lives between two calls is in linear memory, so that a host may copy that memory into a
//! fresh instance and go on there.
#![expect(unsafe_code, reason = "an exported function needs an unmangled name, which the language counts as unsafe")]

use std::cell::RefCell;

use guest_interp::args;
use stepmark_core::alloc::pages;
use stepmark_session::{Budget, Entered, Event, Session, Turn};
use stepmark_state::error::{ErrorKind, JobError};

/// Version of the functions below and of what they exchange.
const ABI_VERSION: u32 = 2;
/// Bytes that an embedder may ask the exchange buffer to hold.
const BUFFER_MAX: u32 = 16 << 20;
/// Most bytes of output, answers or file contents that one call hands out.
const CHUNK_MAX: usize = 64 << 10;

/// What `node_run_or_enter` returns for compiled code of instance 0; of the others it is more.
const ENTER: i32 = 16;

thread_local! {
    static REACTOR: RefCell<Reactor> = const { RefCell::new(Reactor::new()) };
}

/// Everything that lives between two calls.
struct Reactor {
    session: Option<Session>,
    exchange: Vec<u8>,
    error: String,
    stdout: PendingBytes,
    stderr: PendingBytes,
    answers: PendingBytes,
    /// The parts of an answer from outside that have come.
    answer: Vec<u8>,
}

/// Bytes on their way out, handed over chunk by chunk.
struct PendingBytes {
    bytes: Vec<u8>,
    taken: usize,
}

impl PendingBytes {
    const fn new() -> Self {
        Self { bytes: Vec::new(), taken: 0 }
    }

    /// Moves the next chunk into `out`, asking `more` for bytes when none are left.
    fn take(&mut self, out: &mut Vec<u8>, more: impl FnOnce() -> Vec<u8>) {
        if self.taken >= self.bytes.len() {
            *self = Self { bytes: more(), taken: 0 };
        }
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let chunk = rest.get(..CHUNK_MAX).unwrap_or(rest);
        out.clear();
        out.extend_from_slice(chunk);
        self.taken = self.taken.saturating_add(chunk.len());
    }
}

impl Reactor {
    const fn new() -> Self {
        Self {
            session: None,
            exchange: Vec::new(),
            error: String::new(),
            stdout: PendingBytes::new(),
            stderr: PendingBytes::new(),
            answers: PendingBytes::new(),
            answer: Vec::new(),
        }
    }

    /// The first `len` bytes of the exchange buffer.
    fn input(&self, len: u32) -> Result<&[u8], JobError> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let held = self.exchange.len();
        self.exchange.get(..len).ok_or_else(|| {
            JobError::usage(format!("exchange buffer: {len} bytes named, it holds {held}: call node_buffer"))
        })
    }

    /// Leaves `bytes` in the exchange buffer and returns their length.
    fn output(&mut self, bytes: &[u8]) -> i32 {
        match self.exchange.get_mut(..bytes.len()) {
            Some(place) => place.copy_from_slice(bytes),
            None => self.exchange = bytes.to_vec(),
        }
        length(bytes)
    }

    /// Leaves a name in the exchange buffer and returns its length, 0 where there is none.
    fn name(&mut self, name: Option<String>) -> i32 {
        name.map_or(0, |name| self.output(name.as_bytes()))
    }

    fn session(&mut self) -> Result<&mut Session, JobError> {
        self.session.as_mut().ok_or_else(no_job)
    }

    /// The value, or the negated exit code of the error, whose text is kept for `node_error`.
    fn status(&mut self, result: Result<i32, JobError>) -> i32 {
        result.unwrap_or_else(|error| {
            self.error = error.to_string();
            error.exit_code().saturating_neg()
        })
    }

    fn load(&mut self, len: u32) -> Result<i32, JobError> {
        let text = std::str::from_utf8(self.input(len)?)
            .map_err(|error| JobError::usage(format!("arguments are not UTF-8 (at byte {})", error.valid_up_to())))?;
        let argv: Vec<String> = if len == 0 { Vec::new() } else { text.split('\0').map(str::to_owned).collect() };
        // The standard library would call an import to print a panic.
        std::panic::set_hook(Box::new(|_| ()));
        let exchange = std::mem::take(&mut self.exchange);
        *self = Self { exchange, ..Self::new() };
        self.session = Some(args::session(&argv)?);
        Ok(0)
    }

    fn want(&mut self) -> Result<i32, JobError> {
        let path = self.session()?.want()?;
        Ok(self.name(path))
    }

    fn give(&mut self, len: u32) -> Result<i32, JobError> {
        self.input(len)?;
        let Self { session, exchange, .. } = self;
        let chunk = exchange.get(..usize::try_from(len).unwrap_or(0)).unwrap_or_default();
        session.as_mut().ok_or_else(no_job)?.give(chunk)?;
        Ok(0)
    }

    fn run(&mut self, budget: Budget) -> Result<i32, JobError> {
        self.session()?.run(budget).map(number)
    }

    fn run_or_enter(&mut self, budget: Budget) -> Result<i32, JobError> {
        Ok(match self.session()?.run_or_enter(budget)? {
            Turn::Event(event) => number(event),
            Turn::Enter(instance) => ENTER.saturating_add(i32::try_from(instance).unwrap_or(i32::MAX)),
        })
    }

    fn compile(&mut self, instance: u32, words: u32) -> Result<i32, JobError> {
        let words = self.session()?.compile(instance, usize::try_from(words).unwrap_or(usize::MAX))?;
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        Ok(self.output(&bytes))
    }

    /// The words in the first `len` bytes of the exchange buffer.
    fn words(&self, len: u32) -> Result<Vec<u64>, JobError> {
        Ok(self.input(len)?.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
    }

    fn hand_over(&mut self, instance: u32, len: u32) -> Result<i32, JobError> {
        let words = self.words(len)?;
        self.session()?.hand_over(instance, &words).map(|()| 0)
    }

    fn entered(&mut self, how: u32, at: u32, gas_left: u64) -> Result<i32, JobError> {
        let words = if how == 2 { self.words(at)? } else { Vec::new() };
        let entered = match how {
            0 => Entered::Not,
            1 => Entered::Returned(usize::try_from(at).unwrap_or(usize::MAX)),
            _ => Entered::Left(&words),
        };
        self.session()?.entered(entered, gas_left).map(|()| 0)
    }

    fn take(&mut self) -> Result<i32, JobError> {
        let session = self.session.as_mut().ok_or_else(no_job)?;
        // The buffer itself is filled: a chunk of a large file is copied once.
        let more = session.take_chunk(&mut self.exchange)?;
        let len = if more { length(&self.exchange) } else { 0 };
        Ok(len)
    }

    fn deliver(&mut self) -> Result<i32, JobError> {
        let session = self.session.as_mut().ok_or_else(no_job)?;
        let more = session.deliver_chunk(&mut self.exchange);
        Ok(if more { length(&self.exchange) } else { 0 })
    }

    fn program_output(&mut self, fd: u32) -> Result<i32, JobError> {
        let session = self.session.as_mut().ok_or_else(no_job)?;
        let pending = match fd {
            1 => &mut self.stdout,
            2 => &mut self.stderr,
            other => return Err(JobError::usage(format!("program output: descriptor {other}, expected 1 or 2"))),
        };
        pending.take(&mut self.exchange, || session.take_output(fd));
        Ok(length(&self.exchange))
    }

    fn take_answers(&mut self) -> Result<i32, JobError> {
        let session = self.session.as_mut().ok_or_else(no_job)?;
        self.answers.take(&mut self.exchange, || session.take_answers());
        Ok(length(&self.exchange))
    }

    fn progress(&mut self) -> Result<i32, JobError> {
        let progress = self.session()?.progress();
        let fields = [
            progress.gas_total,
            progress.segment_gas,
            progress.gas_limit,
            progress.snapshot_id,
            progress.gas_stepped,
            progress.answers,
        ];
        let bytes: Vec<u8> = fields.into_iter().flat_map(u64::to_le_bytes).collect();
        Ok(self.output(&bytes))
    }

    fn question(&mut self) -> Result<i32, JobError> {
        let question = encode(self.session()?.question())?;
        Ok(question.map_or(0, |bytes| self.output(&bytes)))
    }

    fn result(&mut self) -> Result<i32, JobError> {
        let result = encode(self.session()?.result().as_ref())?;
        Ok(result.map_or(0, |bytes| self.output(&bytes)))
    }

    fn answer(&mut self, len: u32, more: bool) -> Result<i32, JobError> {
        let part = self.input(len)?.to_vec();
        self.answer.extend_from_slice(&part);
        if !more {
            let bytes = std::mem::take(&mut self.answer);
            let answer = postcard::from_bytes(&bytes).map_err(|_| JobError::usage("answer: malformed"))?;
            self.session()?.answer(answer)?;
        }
        Ok(0)
    }

    fn memory(&mut self, address: u64, len: u32) -> Result<i32, JobError> {
        let bytes = self.session()?.asking_memory(address, len.min(BUFFER_MAX).into());
        let bytes =
            bytes.ok_or_else(|| JobError::usage(format!("{len} bytes at {address:#x} are outside the memory")))?;
        Ok(self.output(&bytes))
    }
}

fn number(event: Event) -> i32 {
    match event {
        Event::Finished => 0,
        Event::Snapshot(_) => 1,
        Event::Paused => 2,
        Event::Output => 3,
        Event::Question => 4,
    }
}

/// A value as data.
fn encode<T: serde::Serialize>(value: Option<&T>) -> Result<Option<Vec<u8>>, JobError> {
    value.map(postcard::to_allocvec).transpose().map_err(|error| JobError::resource(error.to_string()))
}

#[cold]
fn no_job() -> JobError {
    JobError::new(ErrorKind::Usage, "no job is loaded: call node_load first")
}

/// A length as the functions return it. Nothing here is longer than the largest argument list, 1 MiB.
fn length(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

fn with<T>(call: impl FnOnce(&mut Reactor) -> T) -> T {
    REACTOR.with_borrow_mut(call)
}

/// Runs `call` and returns its value, or the negated exit code of its error.
fn status(call: impl FnOnce(&mut Reactor) -> Result<i32, JobError>) -> i32 {
    with(|reactor| {
        let result = call(reactor);
        reactor.status(result)
    })
}

/// Version of this interface: 2.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_abi_version() -> u32 {
    ABI_VERSION
}

/// Makes the exchange buffer hold at least `len` bytes and returns its address; 0 when `len` is above 1 MiB. The address
/// is good until the next call of any function of this interface.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_buffer(len: u32) -> u32 {
    if len > BUFFER_MAX {
        return 0;
    }
    with(|reactor| {
        let wanted = usize::try_from(len.max(1)).unwrap_or(1);
        if reactor.exchange.len() < wanted {
            reactor.exchange.resize(wanted, 0);
        }
        u32::try_from(reactor.exchange.as_ptr().addr()).unwrap_or(0)
    })
}

/// Starts a job from the arguments in the buffer (UTF-8, separated by NUL): 0, or an exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_load(len: u32) -> i32 {
    status(|reactor| reactor.load(len)).saturating_neg()
}

/// Length of the path of the next file that the job needs, 0 when it is ready to run, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_want() -> i32 {
    status(Reactor::want)
}

/// Takes the next `len` bytes of the wanted file: 0, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_give(len: u32) -> i32 {
    status(|reactor| reactor.give(len))
}

/// Ends the wanted file (1: complete, 0: there is no such file): 0, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_give_end(found: u32) -> i32 {
    status(|reactor| reactor.session()?.give_end(found != 0).map(|()| 0))
}

/// Runs for at most `gas` and `steps`: 0 finished, 1 snapshot, 2 paused, 3 output waits, 4 an answer is asked for, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_run(gas: u64, steps: u64) -> i32 {
    status(|reactor| reactor.run(Budget { gas, steps }))
}

/// As `node_run`; and 16 and the number of an instance whose compiled code can go on (docs/guest-abi.md).
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_run_or_enter(gas: u64, steps: u64) -> i32 {
    status(|reactor| reactor.run_or_enter(Budget { gas, steps }))
}

/// Gets a workspace of so many words ready for compiled code of an instance: length of what its maker is told, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_compile(instance: u32, words: u32) -> i32 {
    status(|reactor| reactor.compile(instance, words))
}

/// Hands over functions of an instance, by the words in the first `len` bytes of the buffer: 0, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_hand_over(instance: u32, len: u32) -> i32 {
    status(|reactor| reactor.hand_over(instance, len))
}

/// What compiled code has come to, and the gas that is left: 0 it does not go on there; 1 it has returned, with its results
/// from the word `at` of the workspace on; 2 it has left the frames in the first `at` bytes of the buffer. 0, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_entered(how: u32, at: u32, gas_left: u64) -> i32 {
    status(|reactor| reactor.entered(how, at, gas_left))
}

/// Makes the files of a pause ready to be taken: 0, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_pause() -> i32 {
    status(|reactor| reactor.session()?.encode_pause().map(|()| 0))
}

/// Length of the name of the next file to be written, 0 when there is none, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_take_name() -> i32 {
    status(|reactor| {
        let file = reactor.session()?.next_file();
        Ok(reactor.name(file.map(|file| file.to_string())))
    })
}

/// Length of the next chunk of that file, 0 at its end, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_take() -> i32 {
    status(Reactor::take)
}

/// Length of the path of the next file that the program leaves behind, 0 when there are no more or when the program has not
/// ended normally, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_deliver_name() -> i32 {
    status(|reactor| {
        let name = reactor.session()?.deliver_name();
        Ok(reactor.name(name))
    })
}

/// 1 and the position of an earlier name of that file among those given so far, 0 if this is its first, or a negated exit
/// code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_deliver_link() -> i32 {
    status(|reactor| {
        let link = reactor.session()?.deliver_link();
        Ok(link.map_or(0, |position| i32::try_from(position).map_or(0, |position| position.saturating_add(1))))
    })
}

/// Length of the next chunk of that file, 0 at its end, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_deliver() -> i32 {
    status(Reactor::deliver)
}

/// Length of the next chunk of what the program wrote to descriptor `fd` (1 or 2), 0 when nothing waits.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_output(fd: u32) -> i32 {
    status(|reactor| reactor.program_output(fd))
}

/// Length of what the run came to as data (docs/guest-abi.md), 0 while it has not ended, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_result() -> i32 {
    status(Reactor::result)
}

/// Exit code of the run by the host runner's table.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_exit_code() -> i32 {
    with(|reactor| reactor.session.as_ref().map_or_else(|| no_job().exit_code(), Session::exit_code))
}

/// Identifier of the snapshot that the run started from, 0 when it started from the beginning.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_start_id() -> u64 {
    with(|reactor| reactor.session.as_ref().map_or(0, Session::start_id))
}

/// Leaves the 32 bytes of the job's hash in the buffer and returns 32, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_job_hash() -> i32 {
    status(|reactor| {
        let hash = reactor.session()?.job_hash();
        Ok(reactor.output(&hash))
    })
}

/// Length of the output directory's path as the arguments gave it, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_output_dir() -> i32 {
    status(|reactor| {
        let path = reactor.session()?.output_dir().to_owned();
        Ok(reactor.output(path.as_bytes()))
    })
}

/// Leaves six little-endian u64 in the buffer (gas in all, gas of the segment, its limit, highest snapshot id, gas that
/// the stepper ran, answers from outside in the segment) and returns 48, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_progress() -> i32 {
    status(Reactor::progress)
}

/// Length of the next warning for the user, 0 when there is none, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_message() -> i32 {
    status(|reactor| {
        let message = reactor.session()?.take_message();
        Ok(message.map_or(0, |message| reactor.output(message.as_bytes())))
    })
}

/// Length of the text of the last error, 0 when there was none.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_error() -> i32 {
    with(|reactor| {
        let text = std::mem::take(&mut reactor.error);
        reactor.output(text.as_bytes())
    })
}

/// Length of the question that the run asks of the outside (docs/guest-abi.md), 0 when there is none, or a negated exit
/// code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_question() -> i32 {
    status(Reactor::question)
}

/// Takes the next `len` bytes of the answer, the last of them when `more` is 0: 0, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_answer(len: u32, more: u32) -> i32 {
    status(|reactor| reactor.answer(len, more != 0))
}

/// Leaves `len` bytes at `address` of the asking instance's memory in the buffer, at most 1 MiB: how many, or a negated exit
/// code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_memory(address: u64, len: u32) -> i32 {
    status(|reactor| reactor.memory(address, len))
}

/// Size in bytes of the asking instance's memory.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_memory_size() -> u64 {
    with(|reactor| reactor.session.as_mut().map_or(0, Session::asking_memory_size))
}

/// Starts (1) or ends (0) the record of clock and random answers, once the job is ready to run: 0, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_record_answers(on: u32) -> i32 {
    status(|reactor| {
        reactor.session()?.record_answers(on != 0);
        Ok(0)
    })
}

/// Length of the next chunk of the recorded clock and random answers, 0 at their end, or a negated exit code.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_answers() -> i32 {
    status(Reactor::take_answers)
}

/// Bytes that the node asked for when its memory was not enough, which ended it by a trap: it can be asked nothing else
/// then. 0 if that has not happened.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn node_out_of_memory() -> u64 {
    u64::try_from(pages::exhausted()).unwrap_or(u64::MAX)
}
