//! Tests of the calls as a program makes them: by name, with plain numbers, on a plain memory.

use super::*;
use std::sync::LazyLock;
use stepmark_core::host::test_memory::VecMemory;
use stepmark_state::host_type::HostType;

mod arguments;
mod changes;
mod files;
mod preview_0;
mod replay;
mod streams;
mod work;

/// Bytes that a call may move beyond its price: fixed-size records and results.
const SLACK: u64 = 64;

/// Size of the test program's memory.
const MEMORY: usize = 1 << 16;

/// Where `Guest::path` puts paths.
const PATH: u64 = 0x8000;

/// A program's side of the calls.
pub(super) struct Guest {
    pub(super) wasi: Wasi,
    pub(super) memory: VecMemory,
    pub(super) gas: u64,
    /// What the program imports WASI from.
    pub(super) module: &'static str,
}

/// A file larger than one call moves, made once.
static BIG: LazyLock<Arc<[u8]>> = LazyLock::new(|| Arc::from(vec![7; 3 << 20]));

pub(super) fn config() -> WasiConfig {
    let input = |path: &str, content: &[u8]| InputFile { path: path.to_owned(), content: Arc::from(content) };
    WasiConfig {
        args: vec![b"prog.wasm".to_vec(), b"one".to_vec(), Vec::new()],
        env: vec![("HOME".to_owned(), "/".to_owned()), ("EMPTY".to_owned(), String::new())],
        stdin: Arc::from(&b"standard input"[..]),
        inputs: vec![
            input("/top", b"0123456789"),
            input("/dir/b", b"bb"),
            input("/dir/a", b"a"),
            input("/dir/sub/deep", b""),
            InputFile { path: "/big".to_owned(), content: Arc::clone(&BIG) },
        ],
        preopens: vec!["/".to_owned()],
        file_bytes: 8 << 20,
        clock_rate: 3,
        seed: 42,
    }
}

impl Guest {
    pub(super) fn new() -> Self {
        Self { wasi: Wasi::new(config()).unwrap(), memory: VecMemory::new(MEMORY), gas: 1000, module: MODULE }
    }

    /// The outcome of a call, which must not move more bytes than its price allows.
    pub(super) fn outcome(&mut self, name: &str, args: &[u64]) -> HostOutcome {
        let id = self.wasi.resolve(self.module, name).unwrap_or_else(|| panic!("{name} is not there")).id;
        let work = self.wasi.work(id, args, &self.memory);
        let units = work.bytes;
        let (pending, logged) = (self.wasi.pending(), self.wasi.answers.log.len());
        self.memory.moved.set(0);
        let outcome = self.wasi.call(id, args, &mut self.memory, self.gas, Paid::of(work));
        let moved = self.memory.moved.get();
        assert!(moved <= units + SLACK, "{name}{args:?} moved {moved} bytes at a price of {units}");
        assert!((self.wasi.pending() - pending) as u64 <= units, "{name}{args:?}");
        assert!((self.wasi.answers.log.len() - logged) as u64 <= units + SLACK, "{name}{args:?}");
        outcome
    }

    /// The error number that a call answers.
    pub(super) fn call(&mut self, name: &str, args: &[u64]) -> u64 {
        match self.outcome(name, args) {
            HostOutcome::Return(values) => values.as_slice()[0],
            other => panic!("{name}{args:?} came to {other:?}"),
        }
    }

    pub(super) fn ok(&mut self, name: &str, args: &[u64]) {
        assert_eq!(self.call(name, args), 0, "{name}{args:?}");
    }

    pub(super) fn fails(&mut self, name: &str, args: &[u64], errno: Errno) {
        assert_eq!(self.call(name, args), u64::from(errno.code()), "{name}{args:?}, expected {errno:?}");
    }

    pub(super) fn put(&mut self, at: u64, bytes: &[u8]) {
        assert!(self.memory.write(at, bytes));
    }

    pub(super) fn get(&self, at: u64, len: u64) -> Vec<u8> {
        self.memory.read(at, len).unwrap().to_vec()
    }

    pub(super) fn u32(&self, at: u64) -> u32 {
        self.memory.read_u32(at).unwrap()
    }

    pub(super) fn u64(&self, at: u64) -> u64 {
        self.memory.read_u64(at).unwrap()
    }

    /// Puts a path into memory and gives its address and length.
    pub(super) fn path(&mut self, path: &str) -> [u64; 2] {
        self.put(PATH, path.as_bytes());
        [PATH, path.len() as u64]
    }

    /// `path_open` below descriptor 3, with the given flags and all rights but the one to write.
    pub(super) fn open(&mut self, path: &str, oflags: u64) -> Result<u64, u64> {
        self.open_at(3, path, oflags, rights::ALL & !rights::FD_WRITE)
    }

    pub(super) fn open_at(&mut self, fd: u64, path: &str, oflags: u64, rights: u64) -> Result<u64, u64> {
        let [addr, len] = self.path(path);
        match self.call("path_open", &[fd, 1, addr, len, oflags, rights, rights::ALL, 0, 0]) {
            0 => Ok(u64::from(self.u32(0))),
            errno => Err(errno),
        }
    }

    /// Puts a table of buffers at `at`.
    pub(super) fn iovecs(&mut self, at: u64, buffers: &[(u32, u32)]) {
        for (index, (addr, len)) in buffers.iter().enumerate() {
            self.put(at + 8 * index as u64, &[addr.to_le_bytes(), len.to_le_bytes()].concat());
        }
    }
}

#[test]
fn near_misses_of_names_are_not_found() {
    let wasi = Guest::new().wasi;
    for row in calls::TABLE {
        assert!(wasi.resolve(MODULE, row.name).is_some());
        for module in
            ["", "wasi", "wasi_unstable ", "wasi_snapshot_preview", "wasi_snapshot_preview1 ", "WASI_SNAPSHOT_PREVIEW1"]
        {
            assert_eq!(wasi.resolve(module, row.name), None, "{module} {}", row.name);
        }
        let (name, length) = (row.name, row.name.len());
        for near in [&name[1..], &name[..length - 1], &format!("{name}_"), &format!("_{name}"), &name.to_uppercase()] {
            assert_eq!(wasi.resolve(MODULE, near), None, "{near}");
        }
    }
    for name in ["", "memory", "fd_dup"] {
        assert_eq!(wasi.resolve(MODULE, name), None, "{name}");
    }
}

#[test]
fn signatures_are_those_of_the_witx_file() {
    use HostType::{I32, I64};
    let wasi = Guest::new().wasi;
    let signature = |name| wasi.resolve(MODULE, name).map(|func| (func.params, func.results)).unwrap();
    assert_eq!(signature("path_open"), (&[I32, I32, I32, I32, I32, I64, I64, I32, I32][..], &[I32][..]));
    assert_eq!(signature("fd_seek"), (&[I32, I64, I32, I32][..], &[I32][..]));
    assert_eq!(signature("sched_yield"), (&[][..], &[I32][..]));
    assert_eq!(signature("proc_exit"), (&[I32][..], &[][..]));
}

#[test]
fn unknown_ids_and_wrong_numbers_of_arguments_trap() {
    let mut guest = Guest::new();
    let count = calls::TABLE.len() as u32;
    for (id, args) in [(count, &[][..]), (u32::MAX, &[]), (0, &[]), (0, &[0, 0, 0])] {
        assert_eq!(guest.wasi.work(count, args, &guest.memory), Work::NONE);
        assert_eq!(
            guest.wasi.call(id, args, &mut guest.memory, 0, Paid::of(Work::NONE)),
            HostOutcome::Trap(Trap::HostError)
        );
    }
}

#[test]
fn proc_exit_ends_the_program_with_its_code() {
    let mut guest = Guest::new();
    for code in [0, 1, 134, u64::from(u32::MAX)] {
        assert_eq!(guest.outcome("proc_exit", &[code]), HostOutcome::Exit(code as u32));
    }
    guest.ok("sched_yield", &[]);
}

#[test]
fn configurations_that_no_program_could_be_given_are_refused() {
    let refusal = |change: fn(&mut WasiConfig)| {
        let mut config = config();
        change(&mut config);
        Wasi::new(config).map(drop).unwrap_err().to_string()
    };
    assert_eq!(refusal(|c| c.args.push(vec![0])), "arguments: string 3 holds a NUL byte");
    assert_eq!(refusal(|c| c.env[1].1.push('\0')), "environment: string 1 holds a NUL byte");
    assert!(refusal(|c| c.env[0].0.clear()).starts_with("environment: \"\" is no name"));
    assert!(refusal(|c| c.inputs[0].path.push('/')).starts_with("input file \"/top/\""));
}
