//! Functions of contracts: the store, arguments and results, calls of other contracts.

use super::Row;
use super::calls::{HELPERS, counted};

const IMPORTS: &str = r#"
    (import "env" "qlcchain_storage_read" (func $read (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "qlcchain_debug" (func $debug (param i32 i32)))
    (import "store" "get" (func $get (param i32 i32 i32 i32) (result i64)))
    (import "store" "put" (func $put (param i32 i32 i32 i32)))
    (import "store" "delete" (func $delete (param i32 i32)))
    (import "store" "iterate" (func $iterate (param i32 i32 i32 i32) (result i32)))
    (import "store" "next" (func $next (param i32 i32 i32 i32 i32) (result i64)))
    (import "store" "close" (func $close (param i32)))
    (import "contract" "args" (func $args (param i32 i32 i32) (result i32)))
    (import "contract" "caller" (func $caller (param i32 i32 i32) (result i32)))
    (import "contract" "set_result" (func $set_result (param i32 i32)))
    (import "contract" "call" (func $call (param i32 i32 i32 i32 i64) (result i32)))
    (import "contract" "result" (func $result (param i32 i32 i32) (result i32)))
"#;

/// The key at 1024, which [`HELPERS`] writes.
const KEY: &str = "(i32.const 1024) (i32.const 8)";
/// A key of 64 KiB less 8; its last 8 bytes are copied from the other one.
const LONG_KEY: &str = "(i32.const 65536) (i32.const 65528)";
const MEGABYTE: &str = "(i32.const 131072) (i32.const 1048576)";

/// A row on an empty store, whose `before` runs once.
fn row(name: &str, state: &str, before: &str, body: &str) -> Row {
    row_of(name, state, "", before, body)
}

/// The same of a program with these parts beside.
fn row_of(name: &str, state: &str, parts: &str, before: &str, body: &str) -> Row {
    let text = format!(
        "(module {IMPORTS} {HELPERS} {parts} (func (export \"f\") (param $n i32) (local $i i32) (local $k i32)
            (call $name (i32.const 7)) {before}
            (loop $next {body} (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"
    );
    Row::new(name, state, &text)
        .with("--store-version 1 --call-data arguments --caller somebody --max-files 16000000000")
}

pub(super) fn rows() -> Vec<Row> {
    [keys(), iterators(), passing(), contracts()].concat()
}

fn keys() -> Vec<Row> {
    let put = format!("(call $put {KEY} (i32.const 2048) (i32.const 8))");
    let get = format!("(drop (call $get {KEY} (i32.const 2048) (i32.const 8)))");
    let fill = counted(3000, &format!("(call $name (local.get $i)) {put}"));
    let another = "(call $name (i32.add (local.get $n) (i32.const 100000)))";
    let long = |call: &str| format!("(i64.store (i32.const 131056) (i64.load (i32.const 1024))) {call}");
    let put_long = format!("(call $put {LONG_KEY} (i32.const 2048) (i32.const 8))");
    let many_long = counted(200, &format!("(call $name (local.get $i)) {}", long(&put_long)));
    let read = |key: &str, to: &str| format!("(drop (call $read {key} {to} (i32.const 0)))");
    vec![
        row("get", "plain", &put, &get.repeat(4)),
        row("get", "nothing there", "", &get.repeat(4)),
        row("get", "3,000 keys", &fill, &get.repeat(4)),
        row("get", "a key each, asked for outside", "", &format!("{another} {get}")).at_most(16_384),
        row("get", "1 MB", &format!("(call $put {KEY} {MEGABYTE})"), &format!("(drop (call $get {KEY} {MEGABYTE}))")),
        row("get", "64 KB of key, 200 alike", &many_long, &format!("(drop (call $get {LONG_KEY} {KEY}))")),
        row("qlcchain_storage_read", "plain", &put, &read(KEY, KEY).repeat(4)),
        row("qlcchain_storage_write", "plain", "", &put.repeat(4)).at_most(65_536),
        row("put", "plain", "", &put.repeat(4)).at_most(65_536),
        row("put", "3,000 keys", &fill, &put).at_most(65_536),
        row("put", "a key each, asked for outside", "", &format!("{another} {put}")).at_most(16_384),
        row("put", "1 MB", "", &format!("(call $put {KEY} {MEGABYTE})")).at_most(128),
        row("put", "64 KB of key, 200 alike", &many_long, &put_long).at_most(1024),
        row("delete", "plain", &put, &format!("(call $delete {KEY})").repeat(4)).at_most(65_536),
        row("qlcchain_storage_delete", "plain", &put, &format!("(call $delete {KEY})").repeat(4)).at_most(65_536),
    ]
}

fn iterators() -> Vec<Row> {
    let all = "(call $iterate (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))";
    let next = "(drop (call $next (local.get $k) (i32.const 2048) (i32.const 64) (i32.const 4096) (i32.const 64)))";
    let put = format!("(call $name (local.get $i)) (call $put {KEY} (i32.const 2048) (i32.const 8))");
    let delete = format!("(call $name (local.get $i)) (call $delete {KEY})");
    let open = format!("(local.set $k {all})");
    let close = "(call $close (local.get $k))";
    let to_the_end = format!(
        "(local.set $k (call $iterate (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const 65528))) {next}"
    );
    let (fill, empty) = (counted(3000, &put), counted(3000, &delete));
    let put_long = format!("(call $put {LONG_KEY} (i32.const 2048) (i32.const 8))");
    let number = "(call $name (local.get $i)) (i64.store (i32.const 131056) (i64.load (i32.const 1024)))";
    let many_long = counted(200, &format!("{number} {put_long}"));
    vec![
        row("iterate", "plain", "", &format!("{open} {close}").repeat(4)),
        row("close", "after a key", &fill, &format!("{open} {next} {close}")).at_most(65_536),
        row("iterate", "1,000 open", &counted(1000, &format!("(drop {all})")), &format!("{open} {close}").repeat(4)),
        row("next", "3,000 keys", &fill, &format!("{open} {} {close}", next.repeat(8))).at_most(65_536),
        row("next", "3,000 keys that were deleted", &format!("{fill} {empty}"), &format!("{open} {next} {close}"))
            .at_most(256),
        row(
            "next",
            "64 KB of key, 200 alike, too long for the buffer",
            &format!("{many_long} {open}"),
            &next.repeat(4),
        ),
        row("next", "at the end, its limit 64 KB", &to_the_end, &next.repeat(4)),
    ]
}

fn passing() -> Vec<Row> {
    let part = |call: &str| format!("(drop (call ${call} (i32.const 2048) (i32.const 64) (i32.const 0)))").repeat(4);
    vec![
        row("qlcchain_debug", "plain", "", "(call $debug (i32.const 2048) (i32.const 16))"),
        row("qlcchain_debug", "1 MB", "", &format!("(call $debug {MEGABYTE})")).at_most(64),
        row("args", "plain", "", &part("args")),
        row("caller", "plain", "", &part("caller")),
        row("result", "plain", "", &part("result")),
        row("set_result", "plain", "", &"(call $set_result (i32.const 2048) (i32.const 64))".repeat(4)),
        row("set_result", "1 MB", "", &format!("(call $set_result {MEGABYTE})")),
    ]
}

/// Calls of contracts whose modules have much in them.
fn contracts() -> Vec<Row> {
    let function = |i: u32, body: &str| format!("(func $g{i} (param i32) (result i32) (local.get 0) {body})");
    let functions = |count: u32, body: &str| (0..count).map(|i| function(i, body)).collect::<String>();
    let each = |count: u32| (0..count).map(|i| format!("(drop (call $g{i} (i32.const 1)))")).collect::<String>();
    let add = "(i32.add (i32.const 100000))";
    let exports = |count: u32| (0..count).map(|i| format!("(func (export \"e{i}\"))")).collect::<String>();
    let types = |count: usize| {
        (0..count).map(|i| format!("(type (func (param {})))", "i32 ".repeat(i % 30))).collect::<String>()
    };
    let data = |length: usize| format!("(memory 1) (data (i32.const 0) \"{}\")", "a".repeat(length));
    let limited_to = |gas: i64, state: &str, parts: &str, body: &str, caller: &str, before: &str| {
        let contract = format!("(module {parts} (func (export \"invoke\") {body}))");
        let bytes = wat::parse_str(&contract).unwrap_or_else(|error| panic!("{state}: {error}"));
        let call =
            format!("(drop (call $call (i32.const 4096) (i32.const 1) (i32.const 0) (i32.const 0) (i64.const {gas})))");
        let before = format!("(i32.store8 (i32.const 4096) (i32.const 99)) {before}");
        let mut row = row_of("call", state, caller, &before, &call);
        row.flags += " --contract c=contract.wasm";
        row.files.insert("contract.wasm".to_owned(), bytes);
        row
    };
    let called_by = |state: &str, parts: &str, body: &str, caller: &str, before: &str| {
        limited_to(-1, state, parts, body, caller, before)
    };
    let row = |state: &str, parts: &str, body: &str| called_by(state, parts, body, "", "");
    // What is live takes more than half of the limit: the contract's exception has no room, and the caller goes on.
    let kept = "(tag $t) (table $kept 600 exnref) (table 1000000 exnref)";
    let keeps = counted(
        600,
        "(table.set $kept (local.get $i)
        (block $h (result exnref) (try_table (catch_all_ref $h) (throw $t)) (unreachable)))",
    );
    let throws_one = "(drop (block $h (result exnref) (try_table (catch_all_ref $h) (throw $t)) (unreachable)))";
    let mut failing_collection = called_by("that finds no room for an exception", "(tag $t)", throws_one, kept, &keeps);
    failing_collection.flags += " --max-exceptions 610";
    let begun = limited_to(
        1_000_000,
        "whose gas does not pay for looking through everything",
        "(tag $t)",
        throws_one,
        kept,
        &keeps,
    );
    let begun = Row { flags: begun.flags.clone() + " --max-exceptions 610", ..begun };
    let delete = format!("(call $name (local.get $i)) (call $delete {KEY})");
    let iterates = "(drop (call $next (call $open (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))
        (i32.const 0) (i32.const 64) (i32.const 64) (i32.const 64)))";
    let imports = r#"(import "store" "iterate" (func $open (param i32 i32 i32 i32) (result i32)))
        (import "store" "next" (func $next (param i32 i32 i32 i32 i32) (result i64))) (memory 1)"#;
    let deleted = limited_to(
        5000,
        "whose gas does not pay for going over 30,000 deleted keys",
        imports,
        iterates,
        "",
        &counted(30_000, &delete),
    );
    let among = row("by name, among 1,000", "", "");
    let others: String = (0..1000).map(|i| format!(" --contract a{i:04}=contract.wasm")).collect();
    let among = Row { flags: among.flags.clone() + &others, ..among };
    let throwing = |i: u32| format!("(func $h{i} (block $b (try_table (catch_all $b) (throw $t))))");
    let thrown = (0..5000).map(throwing).collect::<String>();
    let throws = (0..5000).map(|i| format!("(call $h{i})")).collect::<String>();
    vec![
        row("of nothing", "", ""),
        called_by("by a program of 5,000 functions that have thrown", "", "", &format!("(tag $t) {thrown}"), &throws),
        row("that traps", "", "(unreachable)"),
        row(
            "that throws in vain through 1,000 frames",
            "(tag $x) (func $d (param i32)
            (if (local.get 0) (then (call $d (i32.sub (local.get 0) (i32.const 1)))) (else (throw $x))))",
            "(call $d (i32.const 1000))",
        ),
        row(
            "that throws in vain through 1,000 clauses",
            "(tag $x) (tag $y)",
            &format!("{}(throw $x){}", format!("(try_table {}", "(catch $y 0)".repeat(100)).repeat(10), ")".repeat(10)),
        ),
        failing_collection,
        begun,
        deleted,
        among,
        row("of 50,000 locals", "", &format!("(local {})", "v128 ".repeat(50_000))),
        row("of 2,000 functions", &functions(2000, ""), ""),
        row("of 2,000 functions that it calls", &functions(2000, ""), &each(2000)),
        row("of 200 functions of 100 instructions that it calls", &functions(200, &add.repeat(100)), &each(200)),
        row("of one function of 20,000 instructions", &functions(1, &add.repeat(20_000)), &each(1)),
        row("of 2,000 exports", &exports(2000), ""),
        row("of 2,000 types", &types(2000), ""),
        row("of 2,000 globals", &"(global (mut i32) (i32.const 1))".repeat(2000), ""),
        row("of 60 KB of data", &data(60_000), ""),
        row("of 2,000 segments", &format!("(memory 1) {}", "(data (i32.const 8) \"abc\")".repeat(2000)), ""),
        row("of 100 pages", "(memory 100)", ""),
        row("of 100,000 elements", "(table 100000 funcref)", ""),
        row("of 90 tables and memories", &"(table 1 funcref) (memory 1)".repeat(90), ""),
    ]
}
