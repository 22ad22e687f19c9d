//! Host calls: a loop over each, in the plain state and in those that make it dear.

use super::Row;

/// Imports of all the calls that a text makes, by name.
pub(super) fn imports(text: &str) -> String {
    let signature = |name: &str| match name {
        "clock_time_get" => "i32 i64 i32",
        "fd_advise" => "i32 i64 i64 i32",
        "fd_allocate" => "i32 i64 i64",
        "fd_fdstat_set_rights" => "i32 i64 i64",
        "fd_filestat_set_size" => "i32 i64",
        "fd_filestat_set_times" => "i32 i64 i64 i32",
        "fd_pread" | "fd_pwrite" => "i32 i32 i32 i64 i32",
        "fd_read" | "fd_write" | "poll_oneoff" => "i32 i32 i32 i32",
        "fd_readdir" => "i32 i32 i32 i64 i32",
        "fd_seek" => "i32 i64 i32 i32",
        "fd_prestat_dir_name" | "path_create_directory" | "path_remove_directory" | "path_unlink_file" => "i32 i32 i32",
        "sock_accept" => "i32 i32 i32",
        "path_filestat_get" | "path_symlink" | "sock_send" => "i32 i32 i32 i32 i32",
        "path_filestat_set_times" => "i32 i32 i32 i32 i64 i64 i32",
        "path_link" => "i32 i32 i32 i32 i32 i32 i32",
        "path_open" => "i32 i32 i32 i32 i32 i64 i64 i32 i32",
        "path_readlink" | "path_rename" | "sock_recv" => "i32 i32 i32 i32 i32 i32",
        "sched_yield" => "",
        "fd_close" | "fd_datasync" | "fd_sync" | "proc_raise" => "i32",
        _ => "i32 i32",
    };
    let names = stepmark_hosts::wasi::call_names().filter(|name| text.contains(&format!("(call ${name} ")));
    let import = |name: &str| {
        let params = signature(name);
        let param = if params.is_empty() { String::new() } else { format!("(param {params})") };
        format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} {param} (result i32)))\n")
    };
    names.map(import).collect()
}

/// Functions that rows share. Names lie at 1024 as eight hexadecimal digits of a number.
pub(super) const HELPERS: &str = r#"
    (memory (export "memory") 64)
    (data (i32.const 16) "file") (data (i32.const 32) "d") (data (i32.const 48) "e") (data (i32.const 64) "link")
    (data (i32.const 80) "m") (data (i32.const 96) "top")
    (func $ok (param i32) (if (local.get 0) (then (unreachable))))
    (func $name (param $n i32) (local $i i32)
        (loop $l
            (i32.store8 (i32.sub (i32.const 1031) (local.get $i))
                (i32.add (i32.const 97) (i32.and (local.get $n) (i32.const 15))))
            (local.set $n (i32.shr_u (local.get $n) (i32.const 4)))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8)))))
"#;

/// A call of a function that must succeed.
pub(super) fn ok(call: &str) -> String {
    format!("(call $ok {call})")
}

const OPEN_FILE: &str = "(call $path_open (i32.const 3) (i32.const 1) (i32.const 16) (i32.const 4) (i32.const 1)
    (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 8))";

pub(super) fn open_name(dir: &str, oflags: u32) -> String {
    format!(
        "(call $path_open {dir} (i32.const 0) (i32.const 1024) (i32.const 8) (i32.const {oflags}) (i64.const -1)
            (i64.const -1) (i32.const 0) (i32.const 8))"
    )
}

/// A counted loop in which `$i` goes from 0 up.
pub(super) fn counted(count: u32, body: &str) -> String {
    format!(
        "(local.set $i (i32.const 0)) (loop $c {body}
            (br_if $c (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {count}))))"
    )
}

/// A row whose `before` runs once; `$fd` is the file `file`, opened.
fn row(name: &str, state: &str, before: &str, body: &str) -> Row {
    let open = format!("{} (local.set $fd (i32.load (i32.const 8)))", ok(OPEN_FILE));
    let function = format!(
        "(func (export \"f\") (param $n i32) (local $i i32) (local $fd i32) (local $k i32) {open} {before}
            (loop $next {body} (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"
    );
    let text = format!("(module {} {HELPERS} {function})", imports(&function));
    Row::new(name, state, &text).with("--preopen /")
}

fn plain(name: &str, call: &str) -> Row {
    row(name, "plain", "", &ok(call).repeat(4))
}

/// A call that fails whatever it is given.
fn failing(name: &str, call: &str) -> Row {
    row(name, "plain", "", &format!("(drop {call})").repeat(4))
}

pub(super) fn without_row() -> Vec<(&'static str, &'static str)> {
    vec![("proc_exit", "ends the program")]
}

pub(super) fn rows() -> Vec<Row> {
    [descriptors(), data(), paths(), directories(), rest()].concat()
}

fn rest() -> Vec<Row> {
    vec![
        plain("args_get", "(call $args_get (i32.const 4096) (i32.const 8192))"),
        plain("args_sizes_get", "(call $args_sizes_get (i32.const 0) (i32.const 4))"),
        plain("environ_get", "(call $environ_get (i32.const 4096) (i32.const 8192))")
            .with("--preopen / --env A=b --env C=d"),
        plain("environ_sizes_get", "(call $environ_sizes_get (i32.const 0) (i32.const 4))"),
        many_variables(),
        plain("clock_res_get", "(call $clock_res_get (i32.const 0) (i32.const 4096))"),
        plain("clock_time_get", "(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 4096))"),
        plain("random_get", "(call $random_get (i32.const 4096) (i32.const 8))"),
        row("random_get", "1 MB", "", &ok("(call $random_get (i32.const 65536) (i32.const 1048576))")),
        plain("sched_yield", "(call $sched_yield )"),
        failing("proc_raise", "(call $proc_raise (i32.const 9))"),
        failing("sock_accept", "(call $sock_accept (local.get $fd) (i32.const 0) (i32.const 0))"),
        failing(
            "sock_recv",
            "(call $sock_recv (local.get $fd) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
        ),
        failing(
            "sock_send",
            "(call $sock_send (local.get $fd) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
        ),
        failing("sock_shutdown", "(call $sock_shutdown (local.get $fd) (i32.const 0))"),
        // A subscription to standard output, and 4,000 of them.
        row(
            "poll_oneoff",
            "plain",
            "(i32.store8 (i32.const 4104) (i32.const 2)) (i32.store (i32.const 4112) (i32.const 1))",
            &ok("(call $poll_oneoff (i32.const 4096) (i32.const 8192) (i32.const 1) (i32.const 0))").repeat(4),
        ),
        row(
            "poll_oneoff",
            "4,000 subscriptions",
            &counted(
                4000,
                "(i32.store8 (i32.add (i32.const 65544) (i32.mul (local.get $i) (i32.const 48))) (i32.const 2))
                (i32.store (i32.add (i32.const 65552) (i32.mul (local.get $i) (i32.const 48))) (i32.const 1))",
            ),
            &ok("(call $poll_oneoff (i32.const 65536) (i32.const 1048576) (i32.const 4000) (i32.const 0))"),
        ),
    ]
}

fn many_variables() -> Row {
    let flags: String = (0..2000).map(|i| format!(" --env V{i}=1")).collect();
    row(
        "environ_sizes_get",
        "2,000 variables",
        "",
        &ok("(call $environ_sizes_get (i32.const 0) (i32.const 4))").repeat(4),
    )
    .with(&format!("--preopen /{flags}"))
}

fn descriptors() -> Vec<Row> {
    let fd = "(local.get $fd)";
    let open_close = format!("{} {}", ok(OPEN_FILE), ok("(call $fd_close (i32.load (i32.const 8)))"));
    let full = counted(4080, &ok(OPEN_FILE));
    let unlink = format!(
        "(call $name (i32.const 77)) {} {} {}",
        ok(&open_name("(i32.const 3)", 1)),
        ok("(call $fd_close (i32.load (i32.const 8)))"),
        ok("(call $path_unlink_file (i32.const 3) (i32.const 1024) (i32.const 8))")
    );
    vec![
        plain("fd_advise", &format!("(call $fd_advise {fd} (i64.const 0) (i64.const 0) (i32.const 0))")),
        row("fd_close", "plain", "", &open_close.repeat(4)),
        row("fd_close", "4,080 descriptors", &full, &open_close.repeat(4)),
        row("path_unlink_file", "4,080 descriptors", &full, &unlink),
        plain("fd_datasync", &format!("(call $fd_datasync {fd})")),
        plain("fd_sync", &format!("(call $fd_sync {fd})")),
        plain("fd_fdstat_get", &format!("(call $fd_fdstat_get {fd} (i32.const 4096))")),
        row("fd_fdstat_get", "4,080 descriptors", &full, &ok(&format!("(call $fd_fdstat_get {fd} (i32.const 4096))"))),
        plain("fd_fdstat_set_flags", &format!("(call $fd_fdstat_set_flags {fd} (i32.const 1))")),
        plain("fd_fdstat_set_rights", &format!("(call $fd_fdstat_set_rights {fd} (i64.const 64) (i64.const 0))")),
        plain("fd_prestat_get", "(call $fd_prestat_get (i32.const 3) (i32.const 4096))"),
        plain("fd_prestat_dir_name", "(call $fd_prestat_dir_name (i32.const 3) (i32.const 4096) (i32.const 1))"),
        row(
            "fd_renumber",
            "plain",
            &ok(OPEN_FILE),
            &format!("{} {}", ok(&format!("(call $fd_renumber (i32.const 5) {fd})")), ok(OPEN_FILE)),
        ),
        row(
            "fd_renumber",
            "4,080 descriptors",
            &full,
            &format!("{} {}", ok(&format!("(call $fd_renumber (i32.const 5) {fd})")), ok(OPEN_FILE)),
        ),
    ]
}

fn data() -> Vec<Row> {
    let fd = "(local.get $fd)";
    // Buffers of 8 bytes at 4096 and of 1 MB at 4104; 1,024 empty ones at 8192.
    let buffers = "(i32.store (i32.const 4096) (i32.const 0)) (i32.store (i32.const 4100) (i32.const 8))
        (i32.store (i32.const 4104) (i32.const 65536)) (i32.store (i32.const 4108) (i32.const 1048576))";
    let with = |name, state, before: &str, call: &str| row(name, state, &format!("{buffers} {before}"), &ok(call));
    let megabyte = ok(&format!("(call $fd_pwrite {fd} (i32.const 4104) (i32.const 1) (i64.const 0) (i32.const 0))"));
    let far = |at: u64| format!("(call $fd_pwrite {fd} (i32.const 4096) (i32.const 1) (i64.const {at}) (i32.const 0))");
    let cut = format!("(call $fd_filestat_set_size {fd} (i64.const 0))");
    let last = (1u64 << 30) - 4096;
    vec![
        with("fd_write", "8 bytes to standard output", "", "(call $fd_write (i32.const 1) (i32.const 4096) (i32.const 1) (i32.const 0))"),
        with("fd_write", "1 MB to standard output", "", "(call $fd_write (i32.const 1) (i32.const 4104) (i32.const 1) (i32.const 0))").at_most(256),
        with("fd_write", "1,024 empty buffers", "", "(call $fd_write (i32.const 1) (i32.const 8192) (i32.const 1024) (i32.const 0))"),
        with("fd_pwrite", "8 bytes", "", &far(0)),
        with("fd_pwrite", "1 MB", "", &format!("(call $fd_pwrite {fd} (i32.const 4104) (i32.const 1) (i64.const 0) (i32.const 0))")),
        with("fd_pread", "1 MB", &megabyte, &format!("(call $fd_pread {fd} (i32.const 4104) (i32.const 1) (i64.const 0) (i32.const 0))")),
        with("fd_read", "nothing", "", &format!("(call $fd_read {fd} (i32.const 4096) (i32.const 1) (i32.const 0))")),
        with("fd_seek", "plain", "", &format!("(call $fd_seek {fd} (i64.const 5) (i32.const 0) (i32.const 0))")),
        with("fd_tell", "plain", "", &format!("(call $fd_tell {fd} (i32.const 0))")),
        with("fd_filestat_get", "plain", "", &format!("(call $fd_filestat_get {fd} (i32.const 0))")),
        with("fd_filestat_set_times", "plain", "", &format!("(call $fd_filestat_set_times {fd} (i64.const 5) (i64.const 5) (i32.const 5))")),
        with("fd_allocate", "plain", "", &format!("(call $fd_allocate {fd} (i64.const 0) (i64.const 4096))")),
        with("fd_filestat_set_size", "plain", "", &cut),
        row("fd_filestat_set_size", "a page at the end of 1 GB, cut", &format!("{buffers} {} {}", ok(&far(last)), ok(&cut)),
            &format!("{} {}", ok(&far(last)), ok(&cut))).at_most(64),
        // Another page each: what holds nothing now was written, or was not.
        row("fd_filestat_set_size", "cut again and again, 1 GB", &format!("{buffers} {}", ok(&far(last))),
            &format!("{} {}", ok(&format!("(call $fd_filestat_set_size {fd} (i64.const {}))", last - 1)),
                ok(&format!("(call $fd_filestat_set_size {fd} (i64.const {}))", last - 4097)))),
        // What the end hashes: a file of so many pages, and one file with so many names.
        row("fd_filestat_set_size", "hashed at the end", "",
            &ok(&format!("(call $fd_filestat_set_size {fd} (i64.extend_i32_u (i32.mul (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 4096))))"))).at_most(16_384),
        row("path_link", "one file of 1 MB, hashed at the end", &format!("{buffers} {megabyte}"),
            &format!("(call $name (local.get $n)) {}", ok("(call $path_link (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 3) (i32.const 1024) (i32.const 8))"))).at_most(1024),
        row("path_open", "a file each, hashed at the end", "",
            &format!("(call $name (local.get $n)) {} {}", ok(&open_name("(i32.const 3)", 1)), ok("(call $fd_close (i32.load (i32.const 8)))"))).at_most(8192),
    ]
}

fn paths() -> Vec<Row> {
    let stat = |at: u32, length: u32| {
        ok(&format!(
            "(call $path_filestat_get (i32.const 3) (i32.const 1) (i32.const {at}) (i32.const {length}) (i32.const 2048))"
        ))
    };
    let dir = |at: u32| format!("(call $path_create_directory (i32.const 3) (i32.const {at}) (i32.const 1))");
    let make = |name: &str, make: &str, undo: &str| row(name, "plain", "", &format!("{} {}", ok(make), ok(undo)));
    // 39 links of nearly 4 KB: each goes ten levels down and up all along its length, and ends at the one before.
    let links = "(memory.fill (i32.const 8192) (i32.const 47) (i32.const 4096))".to_owned()
        + &counted(
            2040,
            "(i32.store8 (i32.add (i32.const 8192) (i32.mul (local.get $i) (i32.const 2))) (i32.const 46))",
        )
        + "(call $name (i32.const 0))"
        + &ok(&open_name("(i32.const 3)", 1))
        + &counted(
            38,
            &format!(
                "(call $name (local.get $i)) (i64.store (i32.const 12272) (i64.load (i32.const 1024)))
             (call $name (i32.add (local.get $i) (i32.const 1))) {}",
                ok(
                    "(call $path_symlink (i32.const 8192) (i32.const 4088) (i32.const 3) (i32.const 1024) (i32.const 8))"
                )
            ),
        );
    let slashes =
        "(memory.fill (i32.const 8192) (i32.const 47) (i32.const 4096)) (i32.store8 (i32.const 8192) (i32.const 46))";
    // A chain of 20,000 directories, each below the one before; $k the deepest.
    let deep = format!(
        "(local.set $k (i32.const 3)) {}",
        counted(
            20_000,
            &format!(
                "{} {} (if (i32.gt_u (local.get $k) (i32.const 3)) (then {})) (local.set $k (i32.load (i32.const 8)))",
                ok("(call $path_create_directory (local.get $k) (i32.const 32) (i32.const 1))"),
                ok(
                    "(call $path_open (local.get $k) (i32.const 0) (i32.const 32) (i32.const 1) (i32.const 2) (i64.const -65) (i64.const -1) (i32.const 0) (i32.const 8))"
                ),
                ok("(call $fd_close (local.get $k))")
            )
        )
    );
    let into = ok(
        "(call $path_rename (i32.const 3) (i32.const 80) (i32.const 1) (local.get $k) (i32.const 80) (i32.const 1))",
    );
    let back = ok(
        "(call $path_rename (local.get $k) (i32.const 80) (i32.const 1) (i32.const 3) (i32.const 80) (i32.const 1))",
    );
    let unlink_link = "(call $path_unlink_file (i32.const 3) (i32.const 64) (i32.const 4))";
    let symlink = "(call $path_symlink (i32.const 16) (i32.const 4) (i32.const 3) (i32.const 64) (i32.const 4))";
    let link = "(call $path_link (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 3) (i32.const 64) (i32.const 4))";
    vec![
        row(
            "path_open",
            "plain",
            "",
            &format!("{} {}", ok(OPEN_FILE), ok("(call $fd_close (i32.load (i32.const 8)))")),
        ),
        plain(
            "path_filestat_get",
            "(call $path_filestat_get (i32.const 3) (i32.const 1) (i32.const 16) (i32.const 4) (i32.const 2048))",
        ),
        plain(
            "path_filestat_set_times",
            "(call $path_filestat_set_times (i32.const 3) (i32.const 1) (i32.const 16) (i32.const 4) (i64.const 5) (i64.const 5) (i32.const 5))",
        ),
        make(
            "path_create_directory",
            &dir(32),
            "(call $path_remove_directory (i32.const 3) (i32.const 32) (i32.const 1))",
        ),
        make(
            "path_remove_directory",
            &dir(48),
            "(call $path_remove_directory (i32.const 3) (i32.const 48) (i32.const 1))",
        ),
        make("path_symlink", symlink, unlink_link),
        make("path_link", link, unlink_link),
        row(
            "path_readlink",
            "plain",
            &ok(symlink),
            &ok(
                "(call $path_readlink (i32.const 3) (i32.const 64) (i32.const 4) (i32.const 2048) (i32.const 64) (i32.const 0))",
            ),
        ),
        row(
            "path_rename",
            "plain",
            "",
            &format!(
                "{} {}",
                ok(
                    "(call $path_rename (i32.const 3) (i32.const 16) (i32.const 4) (i32.const 3) (i32.const 96) (i32.const 3))"
                ),
                ok(
                    "(call $path_rename (i32.const 3) (i32.const 96) (i32.const 3) (i32.const 3) (i32.const 16) (i32.const 4))"
                )
            ),
        ),
        row("path_filestat_get", "a path of 4,096 slashes", slashes, &stat(8192, 4096)),
        row("path_filestat_get", "38 links of 4 KB", &links, &stat(1024, 8)),
        row("path_rename", "below 20,000 directories", &format!("{} {deep}", ok(&dir(80))), &format!("{into} {back}")),
    ]
}

fn directories() -> Vec<Row> {
    let fill = counted(
        20_000,
        &format!(
            "(call $name (local.get $i)) {} {}",
            ok(&open_name("(i32.const 3)", 1)),
            ok("(call $fd_close (i32.load (i32.const 8)))")
        ),
    );
    let list = |length: u32, cookie: u32| {
        ok(&format!(
            "(call $fd_readdir (i32.const 3) (i32.const 65536) (i32.const {length}) (i64.const {cookie}) (i32.const 0))"
        ))
    };
    let churn = format!(
        "(call $name (i32.const 99999999)) {} {} {}",
        ok(&open_name("(i32.const 3)", 1)),
        ok("(call $fd_close (i32.load (i32.const 8)))"),
        ok("(call $path_unlink_file (i32.const 3) (i32.const 1024) (i32.const 8))")
    );
    vec![
        row("fd_readdir", "plain", "", &list(4096, 0)),
        row("fd_readdir", "20,000 entries, all", &fill, &list(1 << 20, 0)),
        row("fd_readdir", "20,000 entries, one from the middle", &fill, &list(24, 10_000)),
        row("fd_readdir", "20,000 entries, no room", &fill, &list(0, 10_000)),
        row("path_unlink_file", "20,000 entries", &fill, &churn),
    ]
}
