//! Programs made to run for long: nested blocks, loops with and without counters, branches that carry values over pending
//! operands, calls of every kind, memories of both widths, tables, globals, vectors, exceptions. The text is a stack program, so that operands stay pending
//! across whatever comes between them: that is what the translation to registers must get right.

mod features;

use super::Rng;

pub(super) const TYPES: [&str; 4] = ["i32", "i64", "f32", "f64"];
/// Elements of the table, which holds all functions and some nulls.
const TABLE: usize = 12;

#[derive(Clone)]
pub(super) struct Signature {
    pub(super) params: Vec<&'static str>,
    pub(super) results: Vec<&'static str>,
}

impl Signature {
    pub(super) fn random(rng: &mut Rng) -> Self {
        let mut list = |most: usize| (0..rng.below(most + 1)).map(|_| any_type(rng)).collect();
        Self { params: list(3), results: list(3) }
    }

    pub(super) fn text(&self) -> String {
        format!("(param {}) (result {})", self.params.join(" "), self.results.join(" "))
    }
}

fn random_type(rng: &mut Rng) -> &'static str {
    // Integers twice as often: they decide where control goes.
    TYPES[[0, 0, 1, 1, 2, 3][rng.below(6)]]
}

/// The text of a function of a module: its parameters and results are those of `funcs[index]`.
pub(super) fn random_function(rng: &mut Rng, funcs: &[Signature], index: usize, surroundings: &Surroundings) -> String {
    let Surroundings { newest, seen, elements } = surroundings;
    let long_first = rng.once_in(4);
    let (text, labels) = (String::new(), Vec::new());
    let mut body =
        Body { rng, funcs, index, text, labels, left: 40, newest: *newest, long_first, seen, elements: *elements };
    body.function();
    body.text
}

/// What the functions of a module find around them.
pub(super) struct Surroundings {
    /// Are there exceptions and typed references.
    pub(super) newest: bool,
    /// The functions that the module names; it finds others in the table.
    pub(super) seen: Vec<bool>,
    /// Elements of the table.
    pub(super) elements: usize,
}

/// Also a vector, which takes two slots.
fn any_type(rng: &mut Rng) -> &'static str {
    if rng.once_in(8) { "v128" } else { random_type(rng) }
}

/// The text of a random module: functions `f0` .. exported, a memory, a table, globals.
pub fn random_program(seed: u64) -> String {
    let mut rng = Rng::new(seed);
    // Not every engine has exceptions and typed references to functions.
    let newest = rng.once_in(2);
    let count = 3 + rng.below(4);
    let funcs: Vec<Signature> = (0..count).map(|_| Signature::random(&mut rng)).collect();
    let mut text = String::from("(module\n");
    for (i, func) in funcs.iter().enumerate() {
        text.push_str(&format!("(type $t{i} (func {}))\n", func.text()));
    }
    let long_first = seed % 16 == 10;
    let mut memories = ["(memory $memory (export \"memory\") 1 3)\n", "(memory $big (export \"big\") i64 1 2)\n"];
    if long_first {
        memories.reverse();
    }
    text.push_str(&memories.concat());
    text.push_str("(data (memory $memory) (i32.const 16) \"\\01\\02\\03\\ff\\fe\")\n");
    text.push_str("(data $passive \"the quick brown fox\")\n");
    if newest {
        text.push_str("(tag $e0 (param i32))\n(tag $e1 (param v128 i64))\n");
    }
    text.push_str(&format!("(table $table (export \"table\") {TABLE} 20 funcref)\n"));
    text.push_str("(table $other (export \"other\") 4 9 funcref)\n");
    let names: Vec<String> = (0..count).map(|i| format!("$f{i}")).collect();
    text.push_str(&format!("(elem (table $table) (i32.const 1) func {})\n", names.join(" ")));
    text.push_str(&format!("(elem $segment func {})\n", names.join(" ")));
    for ty in TYPES {
        text.push_str(&format!("(global $g{ty} (export \"g{ty}\") (mut {ty}) ({ty}.const 7))\n"));
    }
    text.push_str("(global $gv128 (export \"gv128\") (mut v128) (v128.const i64x2 7 -7))\n");
    text.push_str("(global $gref (mut funcref) (ref.func $f0))\n");
    for index in 0..count {
        let mut body = Body {
            rng: &mut rng,
            funcs: &funcs,
            index,
            text: String::new(),
            labels: Vec::new(),
            left: 60,
            newest,
            long_first,
            seen: &vec![true; count],
            elements: TABLE,
        };
        body.function();
        let written = std::mem::take(&mut body.text);
        text.push_str(&written);
    }
    text.push(')');
    text
}

struct Body<'a> {
    rng: &'a mut Rng,
    funcs: &'a [Signature],
    index: usize,
    text: String,
    /// What a branch to each label carries, innermost last.
    labels: Vec<Vec<&'static str>>,
    /// Constructs that may still be opened.
    left: usize,
    /// Are there exceptions and typed references.
    newest: bool,
    /// Is the memory with 64-bit addresses the first one.
    long_first: bool,
    /// The functions that the module names; it finds others in the table.
    seen: &'a [bool],
    /// Elements of the table.
    elements: usize,
}

impl Body<'_> {
    fn emit(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
        self.text.push('\n');
    }

    fn signature(&self) -> Signature {
        self.funcs[self.index].clone()
    }

    fn function(&mut self) {
        let signature = self.signature();
        let index = self.index;
        self.emit(format!("(func $f{index} (export \"f{index}\") (type $t{index}) {}", signature.text()));
        // Two locals of each type after the parameters, a counter for each level of loops, a reference.
        self.emit("(local i32 i32 i64 i64 f32 f32 f64 f64) (local $c0 i32) (local $c1 i32) (local $r funcref)");
        self.emit("(local $v v128)");
        if self.newest {
            self.emit(format!("(local $x exnref) (local $t (ref null $t{index}))"));
        }
        self.labels.push(signature.results.clone());
        for _ in 0..2 + self.rng.below(6) {
            self.statement(3);
        }
        self.values(&signature.results, 3);
        self.labels.pop();
        self.emit(")");
    }

    fn values(&mut self, types: &[&'static str], depth: usize) {
        for ty in types {
            self.value(ty, depth);
        }
    }

    /// A local of this type: a parameter or one of the declared ones.
    fn local(&mut self, ty: &str) -> String {
        if let Some(special) = [("v128", "$v"), ("exnref", "$x")].iter().find(|(name, _)| *name == ty) {
            return special.1.to_owned();
        }
        let params = self.signature().params;
        let first = params.len() + 2 * TYPES.iter().position(|t| *t == ty).expect("a type") + self.rng.below(2);
        let matching: Vec<usize> = (0..params.len()).filter(|i| params[*i] == ty).collect();
        let declared = matching.is_empty() || self.rng.once_in(2);
        if declared { first.to_string() } else { matching[self.rng.below(matching.len())].to_string() }
    }

    fn constant(&mut self, ty: &str) {
        let text = match ty {
            "i32" => match self.rng.below(4) {
                0 => (self.rng.bits() as i32).to_string(),
                1 => self.rng.pick(&["0", "-1", "2147483647", "-2147483648", "32767", "32768", "-32769"]).to_owned(),
                _ => self.rng.below(20).to_string(),
            },
            "i64" => match self.rng.below(4) {
                0 => (self.rng.bits() as i64).to_string(),
                1 => self.rng.pick(&["-1", "4294967296", "-9223372036854775808", "32768", "4294967295"]).to_owned(),
                _ => self.rng.below(20).to_string(),
            },
            _ => self.rng.pick(&["0", "-0", "1.5", "-3", "1e9", "inf", "nan", "4.25", "100"]).to_owned(),
        };
        self.emit(format!("{ty}.const {text}"));
    }

    /// Instructions that push one value, with any statements in between.
    fn value(&mut self, ty: &'static str, depth: usize) {
        match ty {
            "v128" => return self.vector(depth),
            "exnref" => {
                let text = self.rng.pick(&["ref.null exn", "local.get $x"]);
                return self.emit(text);
            }
            _ => {}
        }
        if depth == 0 || self.left == 0 {
            return if self.rng.once_in(3) { self.constant(ty) } else { self.get(ty) };
        }
        if self.rng.once_in(8) {
            self.statement(depth - 1);
        }
        match self.rng.below(14) {
            0 => self.constant(ty),
            1 | 2 => self.get(ty),
            3 => {
                self.value(ty, depth - 1);
                let local = self.local(ty);
                self.emit(format!("local.tee {local}"));
            }
            4..=6 => self.operator(ty, depth - 1),
            7 => self.load(ty, depth - 1),
            8 => {
                self.value(ty, depth - 1);
                self.value(ty, depth - 1);
                self.value("i32", depth - 1);
                let typed = self.rng.once_in(2);
                self.emit(if typed { format!("select (result {ty})") } else { "select".to_owned() });
            }
            9 | 10 => self.block(&[ty], depth - 1),
            11 => self.if_else(&[ty], depth - 1),
            12 => self.call_for(ty, depth - 1),
            _ => self.convert(ty, depth - 1),
        }
    }

    fn get(&mut self, ty: &str) {
        if ty != "exnref" && self.rng.once_in(6) {
            return self.emit(format!("global.get $g{ty}"));
        }
        let local = self.local(ty);
        self.emit(format!("local.get {local}"));
    }

    fn operator(&mut self, ty: &'static str, depth: usize) {
        let unary: &[&str] = match ty {
            "i32" | "i64" => &["clz", "ctz", "popcnt", "extend8_s", "extend16_s"],
            _ => &["abs", "neg", "ceil", "floor", "trunc", "nearest", "sqrt"],
        };
        let binary: &[&str] = match ty {
            "i32" | "i64" => &[
                "add", "sub", "mul", "and", "or", "xor", "shl", "shr_s", "shr_u", "rotl", "rotr", "add", "sub",
                "div_s", "div_u", "rem_s", "rem_u",
            ],
            _ => &["add", "sub", "mul", "div", "min", "max", "copysign"],
        };
        if self.rng.once_in(6) {
            self.value(ty, depth);
            let name = self.rng.pick(unary);
            return self.emit(format!("{ty}.{name}"));
        }
        if ty == "i32" && self.rng.once_in(3) {
            return self.condition(depth);
        }
        self.value(ty, depth);
        let name = self.rng.pick(binary);
        if name.starts_with("div_") || name.starts_with("rem_") {
            // Mostly by a constant, or all programs would end here.
            let divisor = if self.rng.once_in(8) { 0 } else { 1 + self.rng.below(9) };
            self.emit(format!("{ty}.const {divisor}"));
        } else {
            self.value(ty, depth);
        }
        self.emit(format!("{ty}.{name}"));
    }

    fn condition(&mut self, depth: usize) {
        let ty = random_type(self.rng);
        self.value(ty, depth);
        if ty.starts_with('i') && self.rng.once_in(3) {
            self.emit(format!("{ty}.eqz"));
        } else {
            self.value(ty, depth);
            let names: &[&str] = if ty.starts_with('i') {
                &["eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"]
            } else {
                &["eq", "ne", "lt", "gt", "le", "ge"]
            };
            let name = self.rng.pick(names);
            self.emit(format!("{ty}.{name}"));
        }
        for _ in 0..[0, 0, 1, 2][self.rng.below(4)] {
            self.emit("i32.eqz");
        }
    }

    /// An address, and the memory and offset that an access is to name.
    fn address(&mut self, depth: usize) -> String {
        if self.long_first && self.rng.once_in(2) {
            return format!(" $big{}", self.big_address(depth));
        }
        format!(" $memory{}", self.small_address(depth))
    }

    /// An address of 32 bits, in bounds most of the time, and an offset.
    fn small_address(&mut self, depth: usize) -> &'static str {
        self.value("i32", depth);
        if !self.rng.once_in(25) {
            self.emit("i32.const 32767\ni32.and");
        }
        ["", " offset=4", " offset=65535", " offset=70000"][[0, 0, 0, 0, 1, 1, 1, 2, 3][self.rng.below(9)]]
    }

    fn load(&mut self, ty: &'static str, depth: usize) {
        let names: &[&str] = match ty {
            "i32" => &["load", "load8_s", "load8_u", "load16_s", "load16_u"],
            "i64" => &["load", "load8_s", "load8_u", "load16_s", "load16_u", "load32_s", "load32_u"],
            _ => &["load"],
        };
        let offset = self.address(depth);
        let name = self.rng.pick(names);
        self.emit(format!("{ty}.{name}{offset}"));
    }

    fn store(&mut self, depth: usize) {
        let ty = random_type(self.rng);
        let names: &[&str] = match ty {
            "i32" => &["store", "store8", "store16"],
            "i64" => &["store", "store8", "store16", "store32"],
            _ => &["store"],
        };
        let offset = self.address(depth);
        self.value(ty, depth);
        let name = self.rng.pick(names);
        self.emit(format!("{ty}.{name}{offset}"));
    }

    fn convert(&mut self, ty: &'static str, depth: usize) {
        let (from, name) = match ty {
            "i32" => [("i64", "i32.wrap_i64"), ("f32", "i32.trunc_sat_f32_s"), ("f64", "i32.trunc_f64_s")],
            "i64" => [("i32", "i64.extend_i32_u"), ("i32", "i64.extend_i32_s"), ("f64", "i64.trunc_sat_f64_u")],
            "f32" => [("i32", "f32.convert_i32_s"), ("i32", "f32.reinterpret_i32"), ("f64", "f32.demote_f64")],
            _ => [("i64", "f64.convert_i64_u"), ("i64", "f64.reinterpret_i64"), ("f32", "f64.promote_f32")],
        }[self.rng.below(3)];
        self.value(from, depth);
        self.emit(name);
    }

    /// A block or loop, sometimes with parameters, that leaves these values.
    fn block(&mut self, results: &[&'static str], depth: usize) {
        self.left = self.left.saturating_sub(1);
        let params: Vec<&'static str> = (0..[0, 0, 1, 2][self.rng.below(4)]).map(|_| any_type(self.rng)).collect();
        let is_loop = self.rng.once_in(4);
        self.values(&params, depth);
        let kind = if is_loop { "loop" } else { "block" };
        self.emit(format!("{kind} (param {}) (result {})", params.join(" "), results.join(" ")));
        self.labels.push(if is_loop { params.clone() } else { results.to_vec() });
        for ty in params.iter().rev() {
            if self.rng.once_in(3) {
                self.emit("drop");
            } else {
                let local = self.local(ty);
                self.emit(format!("local.set {local}"));
            }
        }
        for _ in 0..self.rng.below(3) {
            self.statement(depth);
        }
        self.values(results, depth);
        self.labels.pop();
        self.emit("end");
    }

    fn if_else(&mut self, results: &[&'static str], depth: usize) {
        self.left = self.left.saturating_sub(1);
        self.condition(depth);
        self.emit(format!("if (result {})", results.join(" ")));
        self.labels.push(results.to_vec());
        self.arm(results, depth);
        if !results.is_empty() || self.rng.once_in(2) {
            self.emit("else");
            self.arm(results, depth);
        }
        self.labels.pop();
        self.emit("end");
    }

    fn arm(&mut self, results: &[&'static str], depth: usize) {
        for _ in 0..self.rng.below(3) {
            self.statement(depth);
        }
        self.values(results, depth);
    }

    /// A call that leaves one value of this type, whatever the function returns.
    fn call_for(&mut self, ty: &'static str, depth: usize) {
        let callee = self.callee();
        self.call(callee, depth);
        let results = self.funcs[callee].results.clone();
        match results.last() {
            Some(last) if *last == ty && results.len() == 1 => {}
            _ => {
                self.keep_or_drop(&results);
                self.get(ty);
            }
        }
    }

    /// A later function most of the time, so that recursion does not end every program.
    fn callee(&mut self) -> usize {
        let later = self.index + 1..self.funcs.len();
        if later.is_empty() || self.rng.once_in(10) {
            return self.rng.below(self.funcs.len());
        }
        later.start + self.rng.below(later.len())
    }

    fn call(&mut self, callee: usize, depth: usize) {
        let params = self.funcs[callee].params.clone();
        self.values(&params, depth.min(1));
        match self.rng.below(6) {
            0 | 1 => {
                self.table_index(callee);
                self.emit(format!("call_indirect $table (type $t{callee})"));
            }
            _ if !self.seen[callee] => {
                self.emit(format!("i32.const {}\ncall_indirect $table (type $t{callee})", callee + 1));
            }
            2 if self.newest => {
                self.typed_reference(callee);
                self.emit(format!("call_ref $t{callee}"));
            }
            _ => self.emit(format!("call $f{callee}")),
        }
    }

    /// The element of a function, or, rarely, any other.
    fn table_index(&mut self, callee: usize) {
        let element = if self.rng.once_in(12) { self.rng.below(self.elements + 2) } else { callee + 1 };
        self.emit(format!("i32.const {element}"));
    }

    fn keep_or_drop(&mut self, types: &[&'static str]) {
        for ty in types.iter().rev() {
            if self.rng.once_in(2) {
                self.emit("drop");
            } else {
                let local = self.local(ty);
                self.emit(format!("local.set {local}"));
            }
        }
    }

    /// Instructions that leave the stack as it was.
    fn statement(&mut self, depth: usize) {
        if depth == 0 || self.left == 0 {
            let ty = random_type(self.rng);
            self.get(ty);
            let local = self.local(ty);
            return self.emit(format!("local.set {local}"));
        }
        self.left -= 1;
        let depth = depth - 1;
        match self.rng.below(38) {
            0..=5 => {
                let ty = random_type(self.rng);
                self.value(ty, depth + 1);
                let local = self.local(ty);
                self.emit(format!("local.set {local}"));
            }
            6 => {
                let ty = random_type(self.rng);
                self.value(ty, depth);
                self.emit(format!("global.set $g{ty}"));
            }
            7..=9 => self.store(depth),
            10 => {
                let types: Vec<_> = (0..self.rng.below(4)).map(|_| any_type(self.rng)).collect();
                self.block(&types, depth);
                self.keep_or_drop(&types);
            }
            11 | 12 => self.block(&[], depth),
            13 | 14 => self.if_else(&[], depth),
            15..=17 => self.counted_loop(depth),
            18..=20 => self.branch_if(depth),
            21 => self.branch_table(depth),
            22 => self.jump(depth),
            23 | 24 => {
                let callee = self.callee();
                self.call(callee, depth);
                let results = self.funcs[callee].results.clone();
                self.keep_or_drop(&results);
            }
            25 | 26 => self.bulk(depth),
            27 => self.references(depth),
            28 => self.emit("nop"),
            29..=31 => self.vector_statement(depth),
            32 | 33 => self.big_memory(depth),
            34 | 35 if self.newest => self.catching(depth),
            36 if self.newest => self.throw(depth),
            _ => {
                let ty = random_type(self.rng);
                self.value(ty, depth);
                self.emit("drop");
            }
        }
    }

    fn counted_loop(&mut self, depth: usize) {
        let counter = self.rng.below(2);
        let rounds = 1 + self.rng.below(12);
        self.emit(format!("i32.const {rounds}\nlocal.set $c{counter}\nloop"));
        self.labels.push(Vec::new());
        for _ in 0..1 + self.rng.below(3) {
            self.statement(depth);
        }
        self.labels.pop();
        self.emit(format!("local.get $c{counter}\ni32.const 1\ni32.sub\nlocal.tee $c{counter}"));
        let compared = self.rng.once_in(3);
        self.emit(if compared { "i32.const 0\ni32.gt_s\nbr_if 0\nend" } else { "br_if 0\nend" });
    }

    fn label(&mut self) -> (usize, Vec<&'static str>) {
        let depth = self.rng.below(self.labels.len());
        (depth, self.labels[self.labels.len() - 1 - depth].clone())
    }

    fn branch_if(&mut self, depth: usize) {
        let (label, types) = self.label();
        self.values(&types, depth);
        self.condition(depth);
        self.emit(format!("br_if {label}"));
        self.keep_or_drop(&types);
    }

    fn branch_table(&mut self, depth: usize) {
        let (label, types) = self.label();
        let same = |other: &usize| self.labels[self.labels.len() - 1 - other] == types;
        let labels: Vec<usize> = (0..self.labels.len()).filter(same).collect();
        self.emit("block");
        self.labels.push(Vec::new());
        self.condition(depth);
        self.emit("br_if 0");
        self.values(&types, depth);
        self.value("i32", depth);
        self.emit("i32.const 3\ni32.and");
        let listed: Vec<String> =
            (0..self.rng.below(4)).map(|_| (labels[self.rng.below(labels.len())] + 1).to_string()).collect();
        self.emit(format!("br_table {} {}", listed.join(" "), label + 1));
        self.labels.pop();
        self.emit("end");
    }

    /// Leaves for good, under a condition most of the time; what follows directly is dead code.
    fn jump(&mut self, depth: usize) {
        let conditional = !self.rng.once_in(6);
        if conditional {
            self.condition(depth);
            self.emit("if");
            self.labels.push(Vec::new());
        }
        match self.rng.below(5) {
            0 => {
                let (label, types) = self.label();
                self.values(&types, depth);
                self.emit(format!("br {label}"));
            }
            1 | 2 => {
                let results = self.signature().results;
                self.values(&results, depth);
                self.emit("return");
            }
            3 if self.rng.once_in(3) => self.emit("unreachable"),
            _ => self.tail_call(depth),
        }
        if self.rng.once_in(3) {
            self.statement(depth.min(1));
        }
        if conditional {
            self.labels.pop();
            self.emit("end");
        }
    }

    fn tail_call(&mut self, depth: usize) {
        let results = self.signature().results;
        let fitting: Vec<usize> =
            (self.index..self.funcs.len()).filter(|i| self.funcs[*i].results == results).collect();
        let callee = fitting[self.rng.below(fitting.len())];
        let params = self.funcs[callee].params.clone();
        self.values(&params, depth);
        match self.rng.below(4) {
            0 | 1 => {
                self.table_index(callee);
                self.emit(format!("return_call_indirect $table (type $t{callee})"));
            }
            _ if !self.seen[callee] => {
                self.emit(format!("i32.const {}\nreturn_call_indirect $table (type $t{callee})", callee + 1));
            }
            2 if self.newest => {
                self.typed_reference(callee);
                self.emit(format!("return_call_ref $t{callee}"));
            }
            _ => self.emit(format!("return_call $f{callee}")),
        }
    }

    fn bulk(&mut self, depth: usize) {
        match self.rng.below(7) {
            0 => {
                self.emit("i32.const 1\nmemory.grow $memory\ndrop");
            }
            1 => {
                self.small_address(depth);
                self.value("i32", depth);
                self.emit("i32.const 40\nmemory.fill $memory");
            }
            2 => {
                self.small_address(depth);
                self.small_address(depth);
                self.emit("i32.const 100\nmemory.copy $memory $memory");
            }
            3 => {
                self.small_address(depth);
                let length = self.rng.below(21);
                self.emit(format!("i32.const 0\ni32.const {length}\nmemory.init $memory $passive"));
            }
            4 if self.rng.once_in(6) => self.emit("data.drop $passive"),
            5 => {
                self.emit("memory.size $memory\ni32.const 3\ni32.lt_u\ndrop");
            }
            _ => self.store(depth),
        }
    }

    fn references(&mut self, depth: usize) {
        let callee = Some(self.rng.below(self.funcs.len())).filter(|callee| self.seen[*callee]).unwrap_or(self.index);
        match self.rng.below(8) {
            0 => self.emit(format!("i32.const {}\nref.func $f{callee}\ntable.set $table", 1 + callee)),
            1 => {
                self.value("i32", depth);
                self.emit("i32.const 7\ni32.and\ntable.get $table\nlocal.set $r");
            }
            2 => self.emit("ref.null func\ni32.const 1\ntable.grow $other\ndrop"),
            3 => self.emit("i32.const 0\ni32.const 1\ni32.const 3\ntable.copy $other $table"),
            4 => self.emit("i32.const 1\ni32.const 0\ni32.const 2\ntable.init $other $segment"),
            5 => self.emit("local.get $r\nref.is_null\nif\nglobal.get $gref\nlocal.set $r\nend"),
            6 => self.emit(format!("ref.func $f{callee}\nglobal.set $gref")),
            _ => self.emit("i32.const 0\nlocal.get $r\ni32.const 4\ntable.fill $other"),
        }
    }
}
