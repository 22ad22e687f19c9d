//! What WebAssembly 3.0 added: vectors, a second memory with 64-bit addresses, typed references, exceptions.

use super::{Body, any_type, random_type};

impl Body<'_> {
    /// Instructions that push a vector.
    pub(super) fn vector(&mut self, depth: usize) {
        if depth == 0 || self.left == 0 {
            return match self.rng.below(4) {
                0 => {
                    let (low, high) = (self.rng.bits() as i64, self.rng.below(9));
                    self.emit(format!("v128.const i64x2 {low} {high}"));
                }
                1 => self.emit("v128.const f32x4 1.5 nan -0 inf"),
                _ => self.get("v128"),
            };
        }
        let depth = depth - 1;
        match self.rng.below(12) {
            0 => self.get("v128"),
            1 => {
                let (ty, name) = [
                    ("i32", "i8x16.splat"),
                    ("i32", "i32x4.splat"),
                    ("i64", "i64x2.splat"),
                    ("f32", "f32x4.splat"),
                    ("f64", "f64x2.splat"),
                ][self.rng.below(5)];
                self.value(ty, depth);
                self.emit(name);
            }
            2 => {
                let offset = self.address(depth);
                let name = self.rng.pick(&["v128.load", "v128.load8x8_u", "v128.load32_splat", "v128.load64_zero"]);
                self.emit(format!("{name}{offset}"));
            }
            3 => {
                let offset = self.address(depth);
                self.vector(depth);
                let lane = self.rng.below(4);
                self.emit(format!("v128.load32_lane{offset} {lane}"));
            }
            4 => {
                self.vector(depth);
                self.value("i32", depth);
                let name = self.rng.pick(&["i8x16.shr_s", "i16x8.shl", "i32x4.shr_u", "i64x2.shr_s"]);
                self.emit(name);
            }
            5 => {
                self.vector(depth);
                let (ty, name) = [("i32", "i16x8.replace_lane 7"), ("f64", "f64x2.replace_lane 1")][self.rng.below(2)];
                self.value(ty, depth);
                self.emit(name);
            }
            6 => {
                self.vector(depth);
                let names =
                    ["v128.not", "i32x4.neg", "f32x4.sqrt", "f64x2.promote_low_f32x4", "i32x4.trunc_sat_f32x4_s"];
                let name = self.rng.pick(&names);
                self.emit(name);
            }
            7 => {
                self.vector(depth);
                self.vector(depth);
                self.vector(0);
                self.emit("v128.bitselect");
            }
            8 => {
                self.vector(depth);
                self.vector(depth);
                self.emit("i8x16.shuffle 31 2 17 4 5 16 7 8 9 30 11 12 13 1 15 0");
            }
            9 => {
                self.vector(depth);
                self.vector(depth);
                self.condition(depth);
                self.emit("select");
            }
            10 => self.block(&["v128"], depth),
            _ => {
                self.vector(depth);
                self.vector(depth);
                let name = self.rng.pick(&[
                    "i8x16.swizzle",
                    "i8x16.add_sat_u",
                    "i16x8.mul",
                    "i32x4.add",
                    "i32x4.dot_i16x8_s",
                    "i64x2.sub",
                    "i64x2.extmul_low_i32x4_s",
                    "f32x4.add",
                    "f32x4.min",
                    "f64x2.mul",
                    "f64x2.div",
                    "v128.xor",
                    "i32x4.gt_s",
                    "f32x4.le",
                    "i8x16.narrow_i16x8_u",
                ]);
                self.emit(name);
            }
        }
    }

    /// A vector is kept, stored, or looked at.
    pub(super) fn vector_statement(&mut self, depth: usize) {
        match self.rng.below(6) {
            0 => {
                let offset = self.address(depth);
                self.vector(depth);
                let lane = self.rng.below(8);
                let name = ["v128.store", "v128.store16_lane"][self.rng.below(2)];
                let lane = if name.ends_with("lane") { format!(" {lane}") } else { String::new() };
                self.emit(format!("{name}{offset}{lane}"));
            }
            1 => {
                self.vector(depth);
                self.emit("global.set $gv128");
            }
            2 => {
                self.vector(depth);
                let (ty, name) = [
                    ("i32", "i8x16.bitmask"),
                    ("i32", "v128.any_true"),
                    ("i32", "i16x8.extract_lane_s 3"),
                    ("i64", "i64x2.extract_lane 1"),
                    ("f32", "f32x4.extract_lane 2"),
                    ("f64", "f64x2.extract_lane 0"),
                ][self.rng.below(6)];
                let local = self.local(ty);
                self.emit(format!("{name}\nlocal.set {local}"));
            }
            3 => {
                self.vector(depth);
                self.emit("local.tee $v\ndrop");
            }
            _ => {
                self.vector(depth);
                self.emit("local.set $v");
            }
        }
    }

    pub(super) fn big_address(&mut self, depth: usize) -> &'static str {
        self.value("i64", depth);
        if !self.rng.once_in(25) {
            self.emit("i64.const 32767\ni64.and");
        }
        ["", " offset=8", " offset=65530", " offset=4294967296"][[0, 0, 0, 0, 0, 1, 1, 1, 2, 3][self.rng.below(10)]]
    }

    /// Accesses and bulk operators of the memory with 64-bit addresses.
    pub(super) fn big_memory(&mut self, depth: usize) {
        match self.rng.below(8) {
            0 => self.emit("i64.const 1\nmemory.grow $big\ndrop"),
            1 => {
                self.big_address(depth);
                self.value("i32", depth);
                self.emit("i64.const 30\nmemory.fill $big");
            }
            2 => {
                self.big_address(depth);
                self.small_address(depth);
                self.emit("i32.const 50\nmemory.copy $big $memory");
            }
            3 => {
                self.small_address(depth);
                self.big_address(depth);
                self.emit("i32.const 50\nmemory.copy $memory $big");
            }
            4 => {
                self.big_address(depth);
                let length = self.rng.below(21);
                self.emit(format!("i32.const 0\ni32.const {length}\nmemory.init $big $passive"));
            }
            5 | 6 => {
                let ty = any_type(self.rng);
                let offset = self.big_address(depth);
                self.value(ty, depth);
                self.emit(format!("{ty}.store $big{offset}"));
            }
            _ => {
                let ty = any_type(self.rng);
                let offset = self.big_address(depth);
                let local = self.local(ty);
                self.emit(format!("{ty}.load $big{offset}\nlocal.set {local}"));
            }
        }
    }

    /// A reference to a function with its type, rarely null.
    pub(super) fn typed_reference(&mut self, callee: usize) {
        if callee == self.index && self.rng.once_in(2) {
            return self.emit("local.get $t");
        }
        if self.rng.once_in(30) {
            return self.emit(format!("ref.null $t{callee}"));
        }
        self.emit(format!("ref.func $f{callee}"));
        match self.rng.below(4) {
            0 if callee == self.index => self.emit("local.tee $t"),
            1 => self.emit("ref.as_non_null"),
            _ => {}
        }
    }

    /// A block that something inside may leave by an exception.
    pub(super) fn catching(&mut self, depth: usize) {
        let (types, clause): (&[&'static str], &str) = [
            (["i32"].as_slice(), "(catch $e0 0)"),
            (&["i32", "exnref"], "(catch_ref $e0 0)"),
            (&["v128", "i64"], "(catch $e1 0)"),
            (&["v128", "i64", "exnref"], "(catch_ref $e1 0)"),
            (&[], "(catch_all 0)"),
            (&["exnref"], "(catch_all_ref 0)"),
        ][self.rng.below(6)];
        self.left = self.left.saturating_sub(1);
        self.emit(format!("block (result {})", types.join(" ")));
        self.labels.push(types.to_vec());
        let ty = any_type(self.rng);
        self.emit(format!("try_table (result {ty}) {clause}"));
        self.labels.push(vec![ty]);
        for _ in 0..1 + self.rng.below(3) {
            self.statement(depth);
        }
        if self.rng.once_in(2) {
            self.throw(depth);
        }
        self.value(ty, depth);
        self.labels.pop();
        let local = self.local(ty);
        self.emit(format!("end\nlocal.set {local}"));
        self.values(types, 0);
        self.labels.pop();
        self.emit("end");
        self.keep_or_drop(types);
    }

    /// Throws, under a condition.
    pub(super) fn throw(&mut self, depth: usize) {
        self.condition(depth);
        self.emit("if");
        self.labels.push(Vec::new());
        match self.rng.below(6) {
            0 | 1 => {
                self.value("i32", depth);
                self.emit("throw $e0");
            }
            2 | 3 => {
                self.vector(depth);
                self.value("i64", depth);
                self.emit("throw $e1");
            }
            _ => self.emit("local.get $x\nref.is_null\nbr_if 0\nlocal.get $x\nthrow_ref"),
        }
        let ty = random_type(self.rng);
        if self.rng.once_in(4) {
            self.value(ty, 0);
            self.emit("drop");
        }
        self.labels.pop();
        self.emit("end");
    }
}
