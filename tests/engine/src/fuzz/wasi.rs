//! Bytes as calls of the system interface, one after the other: a program reads them from its standard input, a byte for
//! the function and one for each argument. In one run, in slices, on the stepper, resumed from every snapshot and restored
//! after every pause it leaves the same bytes behind.

use std::fmt::Write;
use std::sync::OnceLock;

use crate::session::{Files, Job, program};

/// The functions with their parameters: `i` of 32 bits, `I` of 64.
const CALLS: [(&str, &str); 45] = [
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_get", "ii"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_exit", "i"),
    ("proc_raise", "i"),
    ("sched_yield", ""),
    ("random_get", "ii"),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_shutdown", "ii"),
];
/// Stores a byte at an address instead of calling a function.
const STORE: u8 = CALLS.len() as u8;

/// A byte of the input as an argument: below 64 itself, below 192 an address in steps of 16, above that a negative number.
const PROGRAM: &str = "
  (memory (export \"memory\") 1)
  (data (i32.const 0) \"a\") (data (i32.const 16) \"dir\") (data (i32.const 32) \"dir/b\") (data (i32.const 48) \"../a\")
  (data (i32.const 64) \"\\00\\01\\00\\00\\20\\00\\00\\00\\20\\01\\00\\00\\40\\00\\00\\00\")
  (data (i32.const 32752) \"\\00\\80\\00\\00\\00\\08\\00\\00\")
  (global $at (mut i32) (i32.const 32768)) (global $end (mut i32) (i32.const 0)) (global $errors (mut i64) (i64.const 0))
  (func $byte (result i32)
    (if (result i32) (i32.lt_u (global.get $at) (global.get $end))
      (then (i32.load8_u (global.get $at)) (global.set $at (i32.add (global.get $at) (i32.const 1))))
      (else (i32.const 0))))
  (func $i (result i32) (local i32)
    (if (i32.lt_u (local.tee 0 (call $byte)) (i32.const 64)) (then (return (local.get 0))))
    (if (i32.lt_u (local.get 0) (i32.const 192))
      (then (return (i32.shl (i32.sub (local.get 0) (i32.const 64)) (i32.const 4)))))
    (i32.extend8_s (local.get 0)))
  (func $I (result i64) (i64.extend_i32_s (call $i)))
  (func $store (result i32) (i32.store8 (i32.and (call $i) (i32.const 4095)) (call $byte)) (i32.const 0))
  (func (export \"_start\")
    (drop (call $fd_read (i32.const 0) (i32.const 32752) (i32.const 1) (i32.const 32760)))
    (global.set $end (i32.add (i32.const 32768) (i32.load (i32.const 32760))))
    (loop $again
      (if (i32.lt_u (global.get $at) (global.get $end)) (then
        (global.set $errors (i64.add (i64.mul (global.get $errors) (i64.const 31))
          (i64.extend_i32_u (call_indirect (result i32) (i32.rem_u (call $byte) (i32.const COUNT))))))
        (br $again)))))";

fn text() -> String {
    let mut imports = String::new();
    let mut wrappers = String::new();
    for (name, params) in CALLS {
        let types: String = params.chars().map(|param| if param == 'i' { " i32" } else { " i64" }).collect();
        let args: String = params.chars().map(|param| format!(" (call ${param})")).collect();
        let (result, after) = if name == "proc_exit" { ("", "(i32.const 0)") } else { ("(result i32)", "") };
        let import = format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param{types}) {result}))\n");
        imports.push_str(&import);
        let _ = writeln!(wrappers, "(func $call_{name} (result i32) (call ${name}{args}) {after})");
    }
    let elements: String = CALLS.iter().map(|(name, _)| format!(" $call_{name}")).collect();
    let count = CALLS.len() + 1;
    let table = format!("(table {count} funcref) (elem (i32.const 0){elements} $store)");
    format!("(module\n{imports}{}\n{wrappers}{table})", PROGRAM.replace("COUNT", &count.to_string()))
}

fn job(calls: &[u8]) -> Job {
    static PROGRAM_BYTES: OnceLock<Files> = OnceLock::new();
    let mut inputs = PROGRAM_BYTES.get_or_init(|| program(&text())).clone();
    inputs.insert("stdin".to_owned(), calls.to_vec());
    inputs.insert("b".to_owned(), b"contents of a file\n".to_vec());
    let flags = "--max-memory 1048576 --max-files 1048576 --stdin stdin --file /dir/b=b --env K=V --keep-final";
    Job::new(inputs, flags, "program.wasm one two")
}

pub(super) fn wasi(data: &[u8]) {
    let ways = job(data).all_ways(4_000, 4, &[1_500]);
    ways.unwrap_or_else(|error| panic!("{error:#}"));
}

/// The number of a function.
fn number(name: &str) -> u8 {
    CALLS.iter().zip(0_u8..).find(|((found, _), _)| *found == name).map_or(STORE, |(_, number)| number)
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let call = |name: &str, args: &[u8]| [&[number(name)], args].concat();
    let open = |flags: u8| call("path_open", &[3, 0, 64, 1, flags, 0xff, 0xff, 0, 100]);
    let create = [
        open(1),
        call("fd_write", &[4, 68, 2, 101]),
        call("fd_seek", &[4, 2, 0, 102]),
        call("fd_read", &[4, 68, 1, 103]),
        call("fd_filestat_get", &[4, 104]),
        call("fd_close", &[4]),
    ];
    let tree = [
        call("path_create_directory", &[3, 64, 1]),
        call("path_rename", &[3, 66, 5, 3, 64, 1]),
        call("path_symlink", &[65, 3, 3, 64, 1]),
        call("path_link", &[3, 0, 66, 5, 3, 64, 1]),
        call("fd_readdir", &[3, 110, 60, 0, 104]),
        call("path_unlink_file", &[3, 66, 5]),
        call("path_remove_directory", &[3, 65, 3]),
    ];
    let others = [
        call("random_get", &[110, 50]),
        call("clock_time_get", &[1, 0, 104]),
        call("store", &[112, 1]),
        call("poll_oneoff", &[112, 120, 1, 104]),
        call("args_get", &[110, 112]),
        call("proc_exit", &[3]),
    ];
    vec![create.concat(), tree.concat(), others.concat(), CALLS.iter().map(|(name, _)| number(name)).collect()]
}
