//! Programs that read and write memory at small distances from few bases, which lie at its end, at its beginning and where pages meet,
//! between branches, loops and calls: for what compiled code tests and marks once for several accesses, or for several rounds of a loop.

use std::fmt::Write;

use engine_tests::generate::Rng;

/// Bytes of the memory.
const END: i64 = 2 << 16;

/// Locals that hold addresses; then come a sum, and a counter for each loop that may be open.
const BASES: usize = 4;
const SUM: usize = BASES;
const COUNTERS: usize = SUM + 1;
const DEEPEST: usize = 4;
/// By how much a loop moves an address.
const STEP: usize = COUNTERS + DEEPEST + 1;

/// A program in text. It exports `run`, which takes three numbers.
pub fn random_accesses(seed: u64) -> String {
    let mut text = Text { rng: Rng::new(seed), text: String::new() };
    text.text.push_str("(module (memory 2 3)\n(func $g (export \"g\") (param i32) (result i32) (local i32)\n");
    text.line("(local.set 1 (i32.load offset=4 (local.get 0)))");
    text.line("(i32.store (local.get 0) (i32.add (local.get 1) (i32.const 1))) (local.get 1))");
    text.text.push_str("(func (export \"run\") (param i32 i32 i32) (result i32) (local i32 i32");
    text.text.push_str(&" i32".repeat(STEP + 1 - COUNTERS));
    text.text.push_str(")\n");
    for base in 0..BASES {
        text.set_base(base);
    }
    text.statements(0);
    let _ = write!(text.text, "(local.get {SUM})))");
    text.text
}

struct Text {
    rng: Rng,
    text: String,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.rng.below(choices.len())]
    }

    fn set_base(&mut self, base: usize) {
        let near = self.rng.below(40) as i64 - 8;
        let place = self.pick(&[END - 40, 4096 - 16, 3 * 4096, 8, 70_000, 5 * 4096 - 20, 9_000, END - 20_000]) + near;
        let from = self.rng.below(3);
        self.line(&format!(
            "(local.set {base} (i32.add (i32.and (local.get {from}) (i32.const 15)) (i32.const {place})))"
        ));
    }

    fn statements(&mut self, depth: usize) {
        for _ in 0..2 + self.rng.below(6) {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: usize) {
        let base = self.rng.below(BASES);
        match self.rng.below(if depth < DEEPEST { 24 } else { 13 }) {
            0..5 => self.load(),
            5..10 => self.store(),
            10 => {
                let by = self.pick(&[4, -4, 1, 16, 4096]);
                self.line(&format!("(local.set {base} (i32.add (local.get {base}) (i32.const {by})))"));
            }
            11 => {
                let other = self.rng.below(BASES);
                self.line(&format!("(local.set {base} (local.get {other}))"));
            }
            12 => {
                let line = format!("(local.set {SUM} (i32.add (local.get {SUM}) (call $g (local.get {base}))))");
                self.line(&line);
            }
            13 => self.set_base(base),
            14 | 15 => {
                let condition = self.condition();
                self.line("(block");
                self.statements(depth + 1);
                self.line(&format!("(br_if 0 {condition})"));
                self.statements(depth + 1);
                self.line(")");
            }
            16 | 17 => {
                let condition = self.condition();
                self.line(&format!("(if {condition} (then"));
                self.statements(depth + 1);
                if self.rng.below(2) == 0 {
                    self.line(") (else");
                    self.statements(depth + 1);
                }
                self.line("))");
            }
            18..22 => self.rounds(depth, base),
            _ => {
                let counter = COUNTERS + depth;
                self.line(&format!("(local.set {counter} (i32.const 3)) (loop"));
                self.statements(depth + 1);
                let line = format!("(br_if 0 (local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))))");
                self.line(&line);
            }
        }
    }

    /// A loop that moves an address, by a constant or by what a local holds.
    fn rounds(&mut self, depth: usize, base: usize) {
        let counter = COUNTERS + depth;
        if self.rng.below(3) > 0 {
            self.set_base(base);
        }
        let count = self.pick(&[1, 2, 7, 40, 300]);
        let step = self.pick(&[1, 4, 8, 40, 300, 3_000, -1]);
        self.line(&format!("(local.set {STEP} (i32.const {step}))"));
        let by = match self.rng.below(3) {
            0 => format!("(local.get {STEP})"),
            _ => format!("(i32.const {})", self.pick(&[1, 4, 8, 16, 600, 1_000, 5_000, 0, -4, -16])),
        };
        self.line(&format!("(local.set {counter} (i32.const {count})) (block (loop"));
        let accesses = 1 + self.rng.below(4);
        let moved_after = self.rng.below(accesses + 1);
        for number in 0..=accesses {
            if number == moved_after {
                self.line(&format!("(local.set {base} (i32.add (local.get {base}) {by}))"));
            }
            match self.rng.below(10) {
                0 => {
                    let condition = self.condition();
                    self.line(&format!("(br_if 1 {condition})"));
                }
                3 => {
                    let moved = self.pick(&[base, STEP]);
                    self.line(&format!("(local.set {moved} (i32.add (local.get {moved}) (i32.const 800)))"));
                }
                1 => {
                    let condition = self.condition();
                    self.line(&format!("(if {condition} (then"));
                    self.statement(DEEPEST);
                    self.line("))");
                }
                2 => self.statement(DEEPEST),
                _ => self.access_of(base, counter),
            }
        }
        let line = format!("(br_if 0 (local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1))))))");
        self.line(&line);
    }

    /// An access whose address is a local, or the sum of two.
    fn access_of(&mut self, base: usize, counter: usize) {
        let offset = self.pick(&[0, 0, 0, 1, 4, 8, 4090, 4096]);
        let near = self.pick(&[0, 0, 4, 8, -4, -8, 100]);
        let other = self.rng.below(BASES);
        let address = match self.rng.below(6) {
            0 => format!("(i32.add (local.get {base}) (local.get {counter}))"),
            1 => format!("(i32.add (local.get {STEP}) (local.get {base}))"),
            2 => format!("(local.get {other})"),
            _ => format!("(i32.add (local.get {base}) (i32.const {near}))"),
        };
        match self.rng.below(2) {
            0 => self
                .line(&format!("(local.set {SUM} (i32.add (local.get {SUM}) (i32.load offset={offset} {address})))")),
            _ => self.line(&format!("(i64.store offset={offset} {address} (i64.extend_i32_u (local.get {SUM})))")),
        }
    }

    fn condition(&mut self) -> String {
        let bit = self.rng.below(4);
        format!("(i32.and (i32.shr_u (local.get {SUM}) (i32.const {bit})) (i32.const 1))")
    }

    fn load(&mut self) {
        let (op, after) = self.pick(&[
            ("i32.load", ""),
            ("i32.load8_u", ""),
            ("i32.load16_s", ""),
            ("i64.load", "i32.wrap_i64"),
            ("f64.load", "i32.trunc_sat_f64_s"),
        ]);
        let (address, offset) = self.address();
        let loaded = format!("({op} offset={offset} {address})");
        let value = if after.is_empty() { loaded } else { format!("({after} {loaded})") };
        self.line(&format!("(local.set {SUM} (i32.xor (i32.rotl (local.get {SUM}) (i32.const 3)) {value}))"));
    }

    fn store(&mut self) {
        let (op, value) = self.pick(&[
            ("i32.store", "(local.get 4)"),
            ("i32.store8", "(local.get 4)"),
            ("i32.store16", "(i32.const -2)"),
            ("i64.store", "(i64.extend_i32_u (local.get 4))"),
        ]);
        let (address, offset) = self.address();
        self.line(&format!("({op} offset={offset} {address} {value})"));
    }

    fn address(&mut self) -> (String, u32) {
        let base = self.rng.below(BASES);
        let offset = self.pick(&[0, 0, 0, 0, 0, 1, 4, 4, 8, 8, 12, 16, 4090, 4096, 8192]);
        let near = self.rng.below(24) as i64 - 12;
        let distance = self.pick(&[0, 0, 0, near, near, near, near, 4096, -4096, -4092]);
        let address = match self.rng.below(8) {
            0 => format!("(i32.shl (i32.and (local.get {base}) (i32.const 255)) (i32.const 2))"),
            1 => format!("(i32.const {})", self.pick(&[END - 4200, END - 20, 16, 4094]) + near),
            _ if distance == 0 => format!("(local.get {base})"),
            _ if distance > 0 => format!("(i32.add (i32.const {distance}) (local.get {base}))"),
            _ => format!("(i32.sub (local.get {base}) (i32.const {}))", -distance),
        };
        (address, offset)
    }
}
