//! WASI preview 1 as measured programs see it: arguments, standard output that is only hashed, an empty standard input,
//! a clock that moves by a millisecond whenever it is read, random bytes from a fixed seed, and no files. Every engine
//! that is a library calls this one, so that what differs between engines is the engine.

use anyhow::{Context, Result};

/// The module that programs import it from.
pub const MODULE: &str = "wasi_snapshot_preview1";

/// Most parameters that a function has: those of `path_open`.
const MAX_PARAMS: usize = 9;

const SUCCESS: i32 = 0;
const EBADF: i32 = 8;
const EFAULT: i32 = 21;
const ENOSYS: i32 = 52;
const ESPIPE: i32 = 70;

/// Bytes that are written or drawn in one call, at most: no program here needs more.
const MOST_AT_ONCE: u64 = 1 << 26;
/// Nanoseconds between two readings of the clock.
const TICK: u64 = 1_000_000;
const CHARACTER_DEVICE: u8 = 2;
/// Bytes of what `poll_oneoff` takes and gives, and the kind of event that is a clock's.
const SUBSCRIPTION: u64 = 48;
const EVENT: u64 = 32;
const EVENT_CLOCK: u8 = 0;

/// Start and factor of the FNV-1a hash.
const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;
const HASH_FACTOR: u64 = 0x0100_0000_01b3;

/// The memory of a program, as its engine gives access to it. None where an address is outside.
pub trait Memory {
    /// Copies from the memory.
    fn read(&self, at: u64, bytes: &mut [u8]) -> Option<()>;
    /// Copies into the memory.
    fn write(&mut self, at: u64, bytes: &[u8]) -> Option<()>;
}

impl Memory for [u8] {
    fn read(&self, at: u64, bytes: &mut [u8]) -> Option<()> {
        let at = usize::try_from(at).ok()?;
        bytes.copy_from_slice(self.get(at..at.checked_add(bytes.len())?)?);
        Some(())
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Option<()> {
        let at = usize::try_from(at).ok()?;
        self.get_mut(at..at.checked_add(bytes.len())?)?.copy_from_slice(bytes);
        Some(())
    }
}

/// The program calls `proc_exit`: it is to be stopped. [`Wasi::exited`] says so later, and [`Wasi::output`] the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit;

/// What a command has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Hash of the bytes on standard output.
    pub hash: u64,
    /// Exit code.
    pub exit_code: i32,
}

impl Output {
    /// What a command leaves that ends with `exit_code` and has written `stdout`.
    pub fn new(exit_code: i32, stdout: &[u8]) -> Self {
        Self { hash: hash(HASH_START, stdout), exit_code }
    }
}

/// A function of WASI.
#[derive(Clone, Copy)]
pub enum Function {
    /// `args_get`
    ArgsGet,
    /// `args_sizes_get`
    ArgsSizesGet,
    /// `environ_get`
    EnvironGet,
    /// `environ_sizes_get`
    EnvironSizesGet,
    /// `clock_res_get` and `clock_time_get`, with the place of the result among the parameters.
    Clock(usize),
    /// `fd_fdstat_get`
    FdFdstatGet,
    /// `fd_read`
    FdRead,
    /// `fd_seek` and `fd_tell`
    FdSeek,
    /// `fd_write`
    FdWrite,
    /// `poll_oneoff`
    PollOneoff,
    /// `proc_exit`
    ProcExit,
    /// `random_get`
    RandomGet,
    /// `fd_close`, `fd_fdstat_set_flags` and `sched_yield`: they do nothing.
    Nothing,
    /// Those of files, of which there are none.
    NoFile,
    /// All others.
    Unsupported,
}

impl Function {
    /// The function of that name.
    ///
    /// # Errors
    /// If it is none of WASI.
    pub fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "args_get" => Self::ArgsGet,
            "args_sizes_get" => Self::ArgsSizesGet,
            "environ_get" => Self::EnvironGet,
            "environ_sizes_get" => Self::EnvironSizesGet,
            "clock_res_get" => Self::Clock(1),
            "clock_time_get" => Self::Clock(2),
            "fd_fdstat_get" => Self::FdFdstatGet,
            "fd_read" => Self::FdRead,
            "fd_seek" | "fd_tell" => Self::FdSeek,
            "fd_write" => Self::FdWrite,
            "proc_exit" => Self::ProcExit,
            "random_get" => Self::RandomGet,
            "fd_close" | "fd_fdstat_set_flags" | "sched_yield" => Self::Nothing,
            "poll_oneoff" => Self::PollOneoff,
            "proc_raise" => Self::Unsupported,
            _ => ["fd_", "path_", "sock_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
                .then_some(Self::NoFile)
                .with_context(|| format!("{MODULE} has no {name}"))?,
        })
    }
}

/// The state of one program's WASI.
pub struct Wasi {
    args: Vec<String>,
    hash: u64,
    exit_code: i32,
    exited: bool,
    clock: u64,
    random: u64,
}

impl Wasi {
    /// For a program with these arguments, of which the first is its name.
    pub fn new(args: &[String]) -> Self {
        Self { args: args.to_vec(), hash: HASH_START, exit_code: 0, exited: false, clock: 0, random: 0 }
    }

    /// What the program has left so far.
    pub fn output(&self) -> Output {
        Output { hash: self.hash, exit_code: self.exit_code }
    }

    /// Whether the program has called `proc_exit`.
    pub fn exited(&self) -> bool {
        self.exited
    }

    /// Calls a function; its errno.
    ///
    /// # Errors
    /// When the program exits.
    pub fn call(
        &mut self,
        function: Function,
        args: impl IntoIterator<Item = u64>,
        memory: &mut (impl Memory + ?Sized),
    ) -> Result<i32, Exit> {
        let mut a = [0; MAX_PARAMS];
        for (place, arg) in a.iter_mut().zip(args) {
            *place = arg;
        }
        if let Function::ProcExit = function {
            (self.exit_code, self.exited) = (a[0] as u32 as i32, true);
            return Err(Exit);
        }
        Ok(self.serve(function, &a, memory).unwrap_or(EFAULT))
    }

    /// None where an address is outside the memory.
    fn serve(&mut self, function: Function, a: &[u64; MAX_PARAMS], memory: &mut (impl Memory + ?Sized)) -> Option<i32> {
        let standard = a[0] <= 2;
        match function {
            Function::ArgsGet => self.args_get(a[0], a[1], memory)?,
            Function::ArgsSizesGet => {
                let bytes: usize = self.args.iter().map(|arg| arg.len() + 1).sum();
                memory.write(a[0], &(self.args.len() as u32).to_le_bytes())?;
                memory.write(a[1], &(bytes as u32).to_le_bytes())?;
            }
            Function::EnvironGet | Function::Nothing => {}
            Function::EnvironSizesGet => {
                memory.write(a[0], &[0; 4])?;
                memory.write(a[1], &[0; 4])?;
            }
            Function::Clock(result) => {
                self.clock += TICK;
                memory.write(a[result], &self.clock.to_le_bytes())?;
            }
            Function::FdFdstatGet if standard => {
                let mut stat = [0xff; 24];
                stat[..8].copy_from_slice(&[CHARACTER_DEVICE, 0, 0, 0, 0, 0, 0, 0]);
                memory.write(a[1], &stat)?;
            }
            Function::FdRead if a[0] == 0 => memory.write(a[3], &[0; 4])?,
            Function::FdSeek if standard => return Some(ESPIPE),
            Function::FdWrite if standard => self.fd_write(a, memory)?,
            Function::PollOneoff => self.poll_oneoff(a, memory)?,
            Function::RandomGet => self.random_get(a[0], a[1], memory)?,
            Function::Unsupported => return Some(ENOSYS),
            _ => return Some(EBADF),
        }
        Some(SUCCESS)
    }

    fn args_get(&self, pointers: u64, bytes: u64, memory: &mut (impl Memory + ?Sized)) -> Option<()> {
        let (mut pointer, mut place) = (pointers, bytes);
        for arg in &self.args {
            memory.write(pointer, &(place as u32).to_le_bytes())?;
            memory.write(place, arg.as_bytes())?;
            memory.write(place + arg.len() as u64, &[0])?;
            pointer += 4;
            place += arg.len() as u64 + 1;
        }
        Some(())
    }

    fn fd_write(&mut self, a: &[u64; MAX_PARAMS], memory: &mut (impl Memory + ?Sized)) -> Option<()> {
        let mut written = 0;
        for vector in 0..a[2] {
            let at = a[1] + 8 * vector;
            let (start, length) = (word(memory, at)?, word(memory, at + 4)?);
            let bytes = read(start, length, memory)?;
            if a[0] == 1 {
                self.hash = hash(self.hash, &bytes);
            }
            written += length;
        }
        memory.write(a[3], &(written as u32).to_le_bytes())
    }

    /// Everything that is waited for comes at once: the clock jumps to the end of a timeout.
    fn poll_oneoff(&mut self, a: &[u64; MAX_PARAMS], memory: &mut (impl Memory + ?Sized)) -> Option<()> {
        for place in 0..a[2] {
            let mut subscription = [0; SUBSCRIPTION as usize];
            memory.read(a[0] + SUBSCRIPTION * place, &mut subscription)?;
            let (user_data, kind) = (&subscription[..8], subscription[8]);
            if kind == EVENT_CLOCK {
                let timeout = u64::from_le_bytes(subscription[24..32].try_into().ok()?);
                let absolute = subscription[40] & 1 != 0;
                self.clock = if absolute { self.clock.max(timeout) } else { self.clock.saturating_add(timeout) };
            }
            let mut event = [0; EVENT as usize];
            event[..8].copy_from_slice(user_data);
            event[10] = kind;
            memory.write(a[1] + EVENT * place, &event)?;
        }
        memory.write(a[3], &(a[2] as u32).to_le_bytes())
    }

    fn random_get(&mut self, at: u64, length: u64, memory: &mut (impl Memory + ?Sized)) -> Option<()> {
        let bytes: Vec<u8> = (0..length.min(MOST_AT_ONCE)).map(|_| self.random_byte()).collect();
        memory.write(at, &bytes)
    }

    /// The generator of SplitMix64.
    fn random_byte(&mut self) -> u8 {
        self.random = self.random.wrapping_add(crate::FOLD_FACTOR);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 56) as u8
    }
}

fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(HASH_FACTOR))
}

fn read(at: u64, length: u64, memory: &(impl Memory + ?Sized)) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).ok().filter(|_| length <= MOST_AT_ONCE)?];
    memory.read(at, &mut bytes)?;
    Some(bytes)
}

fn word(memory: &(impl Memory + ?Sized), at: u64) -> Option<u64> {
    let mut word = [0; 4];
    memory.read(at, &mut word)?;
    Some(u64::from(u32::from_le_bytes(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wasi() -> Wasi {
        Wasi::new(&["p".to_owned(), "ab".to_owned()])
    }

    fn call(wasi: &mut Wasi, name: &str, args: &[u64], memory: &mut [u8]) -> i32 {
        let function = Function::named(name).expect(name);
        wasi.call(function, args.iter().copied(), memory).expect("no exit")
    }

    #[test]
    fn arguments_are_laid_out_with_their_ends() {
        let mut memory = [9; 32];
        assert_eq!(call(&mut wasi(), "args_sizes_get", &[0, 4], &mut memory), SUCCESS);
        assert_eq!(memory[..8], [2, 0, 0, 0, 5, 0, 0, 0]);
        assert_eq!(call(&mut wasi(), "args_get", &[0, 16], &mut memory), SUCCESS);
        assert_eq!(memory[..8], [16, 0, 0, 0, 18, 0, 0, 0]);
        assert_eq!(memory[16..22], *b"p\0ab\0\x09");
    }

    #[test]
    fn only_standard_output_is_hashed() {
        let mut memory = *b"\x10\0\0\0\x02\0\0\0________hi______";
        let mut wasi = wasi();
        assert_eq!(call(&mut wasi, "fd_write", &[2, 0, 1, 8], &mut memory), SUCCESS);
        assert_eq!(wasi.output(), Output::new(0, b""));
        assert_eq!(call(&mut wasi, "fd_write", &[1, 0, 1, 8], &mut memory), SUCCESS);
        assert_eq!(memory[8..12], [2, 0, 0, 0]);
        assert_eq!(wasi.output(), Output::new(0, b"hi"));
    }

    #[test]
    fn addresses_outside_the_memory_are_refused() {
        let mut memory = [0xff; 16];
        for (name, args) in [
            ("args_get", &[0, 14][..]),
            ("fd_write", &[1, 0, 1, 8]),
            ("random_get", &[u32::MAX.into(), 2]),
            ("clock_time_get", &[0, 0, 9]),
        ] {
            assert_eq!(call(&mut wasi(), name, args, &mut memory), EFAULT, "{name}");
        }
    }

    #[test]
    fn waiting_moves_the_clock() {
        let mut memory = [0; 96];
        memory[0] = 7;
        memory[24..32].copy_from_slice(&(5 * TICK).to_le_bytes());
        let mut wasi = wasi();
        assert_eq!(call(&mut wasi, "poll_oneoff", &[0, 48, 1, 88], &mut memory), SUCCESS);
        assert_eq!((memory[48], memory[58], memory[88]), (7, EVENT_CLOCK, 1));
        assert_eq!(call(&mut wasi, "clock_time_get", &[0, 0, 0], &mut memory), SUCCESS);
        assert_eq!(memory[..8], (6 * TICK).to_le_bytes());
    }

    #[test]
    fn there_are_no_files_and_the_clock_moves() {
        let mut memory = [0; 16];
        let mut wasi = wasi();
        assert_eq!(call(&mut wasi, "fd_prestat_get", &[3, 0], &mut memory), EBADF);
        assert_eq!(call(&mut wasi, "path_open", &[3, 0], &mut memory), EBADF);
        for reading in 1..3 {
            assert_eq!(call(&mut wasi, "clock_time_get", &[0, 0, 8], &mut memory), SUCCESS);
            assert_eq!(memory[8..], (TICK * reading).to_le_bytes());
        }
        assert!(Function::named("fib").is_err());
    }
}
