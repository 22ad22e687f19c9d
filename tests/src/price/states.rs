//! Instructions in the states that make them dear: many values, large operands, deep stacks, many functions in turn.

use super::Row;

/// Values on a branch or a call, the most that there can be of parameters and of results.
const MANY: usize = 1000;

/// A module of `parts` whose `f` runs `before` once and then `body` so often as its argument says.
fn looped(parts: &str, before: &str, body: &str) -> String {
    format!(
        "(module {parts} (func (export \"f\") (param $n i32) (local $l i32) (local $m i64) {before}
            (loop $next {body} (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"
    )
}

fn values(count: usize) -> String {
    "(local.get $l) ".repeat(count)
}

fn types(count: usize) -> String {
    "i32 ".repeat(count)
}

pub(super) fn rows() -> Vec<Row> {
    [carried(), memories(), tables(), exceptions(), collections(), calls(), without_register_code()].concat()
}

/// 1,000 values on branches, calls and returns. They are put there once and carried often.
fn carried() -> Vec<Row> {
    let (many, types, drops) = (values(MANY), types(MANY), "drop ".repeat(MANY));
    let row = |name, text: &str| Row::new(name, "1,000 values", text);
    // The values stay on the stack of the loop, whose parameters they are; below each branch's target lies one more.
    let branching = |branch: &str| {
        format!(
            "(module (type $t (func (param {types}) (result {types}))) (func (export \"f\") (param $n i32) (local $l i32)
                {many}
                (loop $next (type $t)
                    (block $out (type $t) {branch})
                    (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                {drops}))"
        )
    };
    let over = |branch: &str| {
        // A value below, so that they move.
        format!(
            "(module (type $v (func (result {types})))
                (func (export \"f\") (param $n i32) (local $l i32)
                (loop $next
                    (block $out (type $v) (i32.const 1) {many} {branch})
                    {drops}
                    (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"
        )
    };
    let passing = |call: &str| {
        format!(
            "(module (type $t (func (param {types}) (result {types}))) (table 1 funcref) (elem (i32.const 0) $g)
                (func $g (type $t) {gets})
                (func $h (type $t) {gets} {call})
                (func (export \"f\") (param $n i32) (local $l i32)
                    {many}
                    (loop $next (type $t)
                        (call $h)
                        (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                    {drops}))",
            gets = (0..MANY).map(|i| format!("(local.get {i}) ")).collect::<String>()
        )
    };
    // Results that go up through functions that only hand them on.
    let chain: String = (0..64).map(|i| format!("(func $c{} (result {types}) (call $c{i}))", i + 1)).collect();
    let up = format!(
        "(module (func $c0 (result {types}) (local $l i32) {many}) {chain}
            (func (export \"f\") (param $n i32)
                (loop $next (call $c64) {drops}
                    (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"
    );
    vec![
        row("br", &branching("(br $out)")),
        row("br_if", &branching("(br_if $out (i32.const 1))")),
        row("br_table", &branching("(br_table $out $out (local.get $l))")),
        row("br", &over("(br $out)")),
        row("br_if", &over("(br_if $out (i32.const 1)) (br $out)")),
        row("return_call", &passing("(return_call $g)")),
        row("return_call_indirect", &passing("(return_call_indirect (type $t) (i32.const 0))")),
        row("call", &passing("(call $g)")),
        row("end", &up),
    ]
}

fn memories() -> Vec<Row> {
    let parts = "(memory $a 160 32000) (memory $b 160 32000) (data $d \"0123456789abcdef0123456789abcdef\")";
    let parts64 = "(memory $a i64 160 32000) (memory $b 160 32000)";
    let row = |name, state, body: &str| Row::new(name, state, &looped(parts, "", &body.repeat(8)));
    let bulk = |name, memories: &str, length: u32| {
        format!("({name} {memories} (i32.const 64) (i32.const 0) (i32.const {length})) ")
    };
    let long = 10 << 20;
    vec![
        row("memory.grow", "by nothing", "(drop (memory.grow $a (i32.const 0)))"),
        row("memory.grow", "beyond its limit", "(drop (memory.grow $a (i32.const 65536)))"),
        Row::new("memory.grow", "page by page", &looped(parts, "", "(drop (memory.grow $a (i32.const 1)))"))
            .at_most(8192),
        row("memory.size", "a second memory", "(drop (memory.size $b))"),
        row("memory.fill", "nothing", &bulk("memory.fill", "$a", 0)),
        row("memory.fill", "nothing, second memory", &bulk("memory.fill", "$b", 0)),
        row("memory.fill", "1 MB", &bulk("memory.fill", "$a", 1 << 20)),
        row("memory.fill", "10 MB less 64", &bulk("memory.fill", "$a", long - 64)),
        row("memory.copy", "nothing", &bulk("memory.copy", "$a $a", 0)),
        row("memory.copy", "1 byte", &bulk("memory.copy", "$a $a", 1)),
        row("memory.copy", "5 MB", &bulk("memory.copy", "$a $a", long / 2)),
        row("memory.copy", "nothing, between memories", &bulk("memory.copy", "$a $b", 0)),
        row("memory.copy", "1 byte, between memories", &bulk("memory.copy", "$a $b", 1)),
        row("memory.copy", "5 MB, between memories", &bulk("memory.copy", "$a $b", long / 2)),
        row("memory.init", "nothing", &bulk("memory.init", "$a $d", 0)),
        row("memory.init", "16 bytes", &bulk("memory.init", "$a $d", 16)),
        row("i32.load", "a second memory", "(drop (i32.load $b (i32.const 8)))"),
        row("i64.store", "a second memory", "(i64.store $b (i32.const 8) (i64.const 8))"),
        Row::new(
            "i32.store8",
            "a page each",
            &looped(
                parts,
                "(memory.fill $a (i32.const 0) (i32.const 1) (i32.const 10485760))",
                "(i32.store8 $a (local.tee $l (i32.rem_u (i32.add (local.get $l) (i32.const 4096)) (i32.const 10000000))) (i32.const 1))",
            ),
        ),
        Row::new("i32.load", "64-bit addresses", &looped(parts64, "", &"(drop (i32.load $a (i64.const 8)))".repeat(8))),
        Row::new(
            "memory.copy",
            "nothing, 64-bit addresses",
            &looped(parts64, "", &"(memory.copy $a $a (i64.const 0) (i64.const 0) (i64.const 0))".repeat(8)),
        ),
    ]
}

fn tables() -> Vec<Row> {
    let segment = "(ref.func $g) ".repeat(1000);
    let parts = format!(
        "(type $v (func)) (table $t 1000000 9000000 funcref) (table $s 1000000 funcref) (func $g)
            (table $w i64 10 funcref) (elem (table $w) (i64.const 0) func $g) (elem $e funcref {items}) (tag $x)
            (table $x 1000000 exnref)",
        items = segment.replace("(ref.func $g)", "(item ref.func $g)")
    );
    let row = |name, state, body: &str| Row::new(name, state, &looped(&parts, "", &body.repeat(8)));
    let bulk = |name, tables: &str, length: u32| {
        let middle = if name == "table.fill" { "(ref.null func)" } else { "(i32.const 0)" };
        format!("({name} {tables} (i32.const 8) {middle} (i32.const {length})) ")
    };
    vec![
        row("table.get", "1,000,000 elements", "(drop (table.get $t (i32.const 999999)))"),
        row("table.set", "1,000,000 elements", "(table.set $t (i32.const 999999) (ref.null func))"),
        row("table.size", "1,000,000 elements", "(drop (table.size $t))"),
        row("table.grow", "by nothing", "(drop (table.grow $t (ref.null func) (i32.const 0)))"),
        Row::new(
            "table.grow",
            "one by one, 1,000,000 elements",
            &looped(&parts, "", "(drop (table.grow $t (ref.null func) (i32.const 1)))"),
        )
        .at_most(4_000_000),
        row("table.fill", "nothing", &bulk("table.fill", "$t", 0)),
        row("table.fill", "900,000 elements", &bulk("table.fill", "$t", 900_000)),
        row("table.copy", "nothing", &bulk("table.copy", "$t $t", 0)),
        row("table.copy", "900,000 elements", &bulk("table.copy", "$t $t", 900_000)),
        row("table.copy", "900,000 elements, between tables", &bulk("table.copy", "$t $s", 900_000)),
        row("table.init", "nothing", &bulk("table.init", "$t $e", 0)),
        row("table.init", "1 element", &bulk("table.init", "$t $e", 1)),
        row("table.init", "1,000 elements", &bulk("table.init", "$t $e", 1000)),
        row("call_indirect", "64-bit addresses", "(call_indirect $w (type $v) (i64.const 0))"),
    ]
}

/// Throws that must look through everything for room, each of them.
fn collections() -> Vec<Row> {
    let caught = "(drop (block $h (result exnref) (try_table (catch_all_ref $h) (throw $x)) (unreachable)))";
    let row = |state: String, text: &str| {
        Row::new("throw", &format!("kept, each time too many, {state}"), text).with("--max-exceptions 2")
    };
    let beside = |state: &str, parts: &str| row(state.to_owned(), &looped(&format!("(tag $x) {parts}"), "", caught));
    let within = |instruction: &str, before: &str, after: &str| {
        let many = format!("(if (local.get $l) (then {before} {} {after}))", instruction.repeat(200_000));
        row(format!("a function of 200,000 {instruction}"), &looped("(tag $x)", &many, caught))
    };
    let deep = |depth: u32, locals: usize| {
        let text = format!(
            "(module (tag $x) (func $down (param $n i32) (param $d i32) (local {})
                (if (local.get $d) (then (return (call $down (local.get $n) (i32.sub (local.get $d) (i32.const 1))))))
                (loop $next {caught} (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
             (func (export \"f\") (param i32) (call $down (local.get 0) (i32.const {depth}))))",
            types(locals)
        );
        row(format!("{depth} frames of {locals} locals"), &text)
    };
    vec![
        beside("1,000,000 elements", "(table 1000000 exnref)"),
        beside("90 tables", &"(table 1 exnref)".repeat(90)),
        beside("20,000 globals", &"(global (mut i64) (i64.const 1))".repeat(20_000)),
        within("nop ", "", ""),
        within("i32.eqz ", "(local.get $l)", "drop"),
        within("(block) ", "", ""),
        within("(br_if 0 (local.get $l)) ", "", ""),
        deep(1, 10_000),
        deep(10_000, 0),
        deep(10_000, 50),
    ]
}

/// Throws: payloads, deep stacks, handlers that are closed.
fn exceptions() -> Vec<Row> {
    // The reference comes beside them.
    let count = MANY - 1;
    let (types, many, drops) = (types(count), values(count), "drop ".repeat(count));
    let payload = format!("(tag $big (param {types})) (tag $x) (type $t (func (result {types})))");
    let reference = format!("(type $r (func (result {types} exnref)))");
    let closed = |count: usize| format!("{}{}", "(try_table (catch_all 0) ".repeat(count), ")".repeat(count));
    let closed_flat = |count: usize| "(block (try_table (catch_all 0)))".repeat(count);
    let catching = |inner: &str| format!("(block $h (try_table (catch_all $h) {inner}))");
    let deep = |depth: u32| {
        format!(
            "(module (tag $x) (func $down (param $d i32)
                    (if (i32.eqz (local.get $d)) (then (loop $l (global.set $n (i32.sub (global.get $n) (i32.const 1)))
                        (block $h (try_table (catch $x $h) (call $across (i32.const {depth}))))
                        (br_if $l (global.get $n)))) (else (call $down (i32.sub (local.get $d) (i32.const 1))))))
                (func $across (param $d i32)
                    (if (i32.eqz (local.get $d)) (then (throw $x))) (call $across (i32.sub (local.get $d) (i32.const 1))))
                (global $n (mut i32) (i32.const 0))
                (func (export \"f\") (param i32) (global.set $n (local.get 0)) (call $down (i32.const 10))))"
        )
    };
    vec![
        Row::new("throw", "caught beside it", &looped("(tag $x)", "", &catching("(throw $x)").repeat(8))),
        Row::new(
            "throw",
            "999 values of payload",
            &looped(
                &payload,
                "",
                &format!("(block $h (type $t) (try_table (catch $big $h) {many} (throw $big)) (unreachable)) {drops}"),
            ),
        ),
        Row::new(
            "throw_ref",
            "999 values of payload",
            &looped(
                &format!("{payload} {reference}"),
                &format!(
                    "(local $e exnref) (block $h (type $r) (try_table (catch_ref $big $h) {many} (throw $big)) (unreachable))
                        (local.set $e) {drops}"
                ),
                &format!("{} ", catching("(throw_ref (local.get $e))")),
            ),
        ),
        Row::new("throw", "over 1,000 frames", &deep(1000)),
        Row::new("throw", "after 20,000 nested try_tables that are closed", &looped("(tag $x)", &closed(20_000), &catching("(throw $x)"))),
        Row::new("throw", "after 20,000 try_tables that are closed", &looped("(tag $x)", &closed_flat(20_000), &catching("(throw $x)"))),
        Row::new(
            "throw",
            "in 1,000 try_tables without clauses",
            &looped("(tag $x)", "", &catching(&format!("{}(throw $x){}", "(try_table ".repeat(1000), ")".repeat(1000)))),
        ),
    ]
}

/// Calls of functions that are large, far or many.
fn calls() -> Vec<Row> {
    let locals = format!("(func $g {})", "(local i64)".repeat(5000));
    let large = |i: usize| {
        format!(
            "(func $g{i} (param i32) (drop (memory.grow (i32.const 0))) (if (local.get 0) (then {})))",
            "(global.set $x (i32.add (global.get $x) (i32.const 1)))".repeat(5000)
        )
    };
    let bodies: String = (0..50).map(large).collect();
    let each: String = (0..50).map(|i| format!("(call $g{i} (i32.const 0))")).collect();
    let far =
        Row::new("call", "of another module", &looped("(import \"m\" \"g\" (func $g))", "", &"(call $g)".repeat(8)));
    let mut far = far.with("--preload m=other.wasm");
    let other = wat::parse_str("(module (func (export \"g\")))").expect("BUG: it is a module");
    far.files.insert("other.wasm".to_owned(), other);
    let crowd = format!("(module {} {})", "(memory 0)".repeat(100), "(table 0 funcref)".repeat(100));
    let crowd = wat::parse_str(crowd).expect("BUG: it is a module");
    let crowded = |name, parts: &str, body: &str| {
        let preloads: String = (0..20).map(|number| format!(" --preload m{number}=other.wasm")).collect();
        let mut row = Row::new(name, "beside 2,000 others", &looped(parts, "", &body.repeat(8))).with(preloads.trim());
        row.files.insert("other.wasm".to_owned(), crowd.clone());
        row
    };
    let long =
        |i: u32| format!("(func $f{i} (type $p) (br_if 0 (local.get 0)) {})", "(drop (i32.const 1))".repeat(7000));
    let call = |i: u32| format!("(call_indirect $t (type $p) (i32.const 1) (i64.const {i}))");
    let parts = format!(
        "(type $p (func (param i32))) (table $t i64 2 2 funcref) (elem (table $t) (i64.const 0) func $f0 $f1) {}{}",
        long(0),
        long(1)
    );
    let in_turn = looped(&parts, "", &format!("{}{}", call(0), call(1)));
    vec![
        Row::new("call", "5,000 locals", &looped(&locals, "", &"(call $g)".repeat(8))),
        Row::new(
            "memory.grow",
            "50 functions of 50 KB in turn",
            &looped(&format!("(memory 1) (global $x (mut i32) (i32.const 0)) {bodies}"), "", &each),
        ),
        far,
        crowded("memory.grow", "(memory 1)", "(drop (memory.grow (i32.const 0)))"),
        crowded("table.grow", "(table 1 funcref)", "(drop (table.grow (ref.null func) (i32.const 0)))"),
        Row::new("call_indirect", "64-bit addresses, two functions of 20 KB in turn", &in_turn),
    ]
}

/// Functions that have no register code: too many locals.
fn without_register_code() -> Vec<Row> {
    let locals = format!("(local {})", "v128 ".repeat(40_000));
    let row = |name, state, body: &str| Row::new(name, state, &looped("", &locals, body));
    vec![
        row("i32.add", "on the stepper", &"(drop (i32.add (i32.const 1) (i32.const 1)))".repeat(8)),
        row("nop", "10,000 on the stepper", &"nop ".repeat(10_000)),
        row("block", "10,000 on the stepper", &"(block)".repeat(10_000)),
        row("br", "out of a block each, on the stepper", &"(block (br 0))".repeat(8)),
        row("br_if", "on the stepper", &"(block (br_if 0 (local.get $l)))".repeat(8)),
        row("select", "on the stepper", &"(drop (select (local.get $m) (local.get $m) (local.get $l)))".repeat(8)),
        row("f64.sqrt", "on the stepper", &"(drop (f64.sqrt (f64.const 2)))".repeat(8)),
        row(
            "i64x2.add",
            "on the stepper",
            &"(drop (i64x2.add (v128.const i64x2 1 2) (v128.const i64x2 1 2)))".repeat(8),
        ),
        row("local.get", "on the stepper", &"(drop (local.get $l))".repeat(8)),
    ]
}
