;; The program of `--selftest`: a little of everything whose result a host could get wrong. golden.wasm is this file as a
;; binary; a test compares them.
(module
  (memory 1 40)
  (table funcref (elem $mix $turn $mix))
  (global $sum (mut i64) (i64.const 0x0123456789abcdef))
  (data (i32.const 16) "verifiable")
  (type $step (func (param i64) (result i64)))

  (func $mix (type $step)
    (i64.xor (i64.mul (local.get 0) (i64.const 0x9e3779b97f4a7c15))
             (i64.shr_u (local.get 0) (i64.const 29))))

  (func $turn (type $step)
    (i64.add (i64.rotl (local.get 0) (i64.const 17))
             (i64.extend_i32_s (i32.clz (i32.wrap_i64 (local.get 0))))))

  ;; Each of the kinds of numbers, by the round.
  (func $numbers (param $round i32) (result i64)
    (block $vector (block $single (block $double
      (br_table $double $single $vector (i32.rem_u (local.get $round) (i32.const 3))))
      (return (i64.reinterpret_f64
        (f64.div (f64.sqrt (f64.convert_i64_u (global.get $sum)))
                 (f64.sub (f64.convert_i32_s (local.get $round)) (f64.const 30))))))
      (return (i64.extend_i32_u (i32.reinterpret_f32
        (f32.mul (f32.demote_f64 (f64.convert_i64_s (global.get $sum)))
                 (f32.const 0x1p-149))))))
    (i64x2.extract_lane 1
      (v128.xor
        (f32x4.div (f32x4.convert_i32x4_s (i64x2.splat (global.get $sum))) (f32x4.splat (f32.const 0)))
        (i8x16.swizzle (v128.load (i32.const 16)) (i64x2.splat (global.get $sum))))))

  ;; A tree of calls, for the call stack.
  (func $calls (param $depth i32) (result i32)
    (if (result i32) (i32.eqz (local.get $depth))
      (then (i32.const 1))
      (else (i32.add (call $calls (i32.sub (local.get $depth) (i32.const 1)))
                     (call $calls (i32.shr_u (local.get $depth) (i32.const 1)))))))

  (func (export "run") (param $rounds i32) (result i64 f64 i32)
    (local $round i32)
    (loop $again
      (global.set $sum
        (call_indirect (type $step)
          (i64.xor (global.get $sum) (call $numbers (local.get $round)))
          (i32.rem_u (local.get $round) (i32.const 3))))
      (i64.store (i32.shl (local.get $round) (i32.const 9)) (global.get $sum))
      (drop (memory.grow (i32.const 1)))
      (br_if $again
        (i32.lt_u (local.tee $round (i32.add (local.get $round) (i32.const 1))) (local.get $rounds))))
    (memory.copy (i32.const 70000) (i32.const 3) (i32.const 5000))
    (global.get $sum)
    (f64.div (f64.const 0) (f64.const 0))
    (i32.add (memory.size) (call $calls (i32.const 9)))))
