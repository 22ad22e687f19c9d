;; What WebAssembly 3.0 brought, at work together: vectors, relaxed ones too, in frames, globals and memory; two memories, of
;; which one has 64-bit addresses; references to functions; exceptions in locals, a table and payloads.
(module
  (type $step (func (param v128 i32) (result v128)))
  (memory $near 1 4)
  (memory $wide i64 3 0x100000000)
  (global $sum (mut v128) (v128.const i32x4 1 2 3 4))
  (global $step (ref $step) (ref.func $madd))
  (table $kept i64 4 8 exnref)
  (elem declare func $dot)
  (tag $number (param i32))
  (tag $chain (param exnref v128))

  (func $madd (type $step)
    (f32x4.relaxed_madd
      (f32x4.convert_i32x4_s (local.get 0)) (f32x4.splat (f32.const 1.5)) (f32x4.splat (f32.convert_i32_s (local.get 1)))))
  (func $dot (type $step)
    (i32x4.relaxed_dot_i8x16_i7x16_add_s
      (local.get 0) (i8x16.splat (i32.and (local.get 1) (i32.const 127))) (local.get 0)))
  (func $twice (type $step)
    (return_call_ref $step
      (call_ref $step (local.get 0) (local.get 1) (global.get $step)) (local.get 1) (ref.func $dot)))

  ;; An exception that carries the one before it in the table, and a vector.
  (func $keep (param $place i64) (param $vector v128)
    (table.set $kept (local.get $place)
      (block $caught (result exnref)
        (try_table (catch_all_ref $caught)
          (throw $chain
            (table.get $kept (i64.and (i64.add (local.get $place) (i64.const 3)) (i64.const 3)))
            (local.get $vector)))
        (unreachable))))

  ;; How many exceptions hang together, and all their vectors in $sum; a cut after eight.
  (func $length (param $exception exnref) (result i32) (local $count i32) (local $vector v128)
    (loop $again
      (block $none
        (block $chained (result exnref v128)
          (try_table (catch $chain $chained) (throw_ref (br_on_null $none (local.get $exception))))
          (unreachable))
        (global.set $sum (i32x4.add (global.get $sum)))
        (local.set $exception)
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $count) (i32.const 8)))))
    (local.get $count))

  (func $odd (param i32) (result i32)
    (if (i32.and (local.get 0) (i32.const 1)) (then (throw $number (local.get 0))))
    (local.get 0))

  (func (export "run") (param $rounds i32) (result i32 i32 v128 i64) (local $vector v128) (local $i i32) (local $odd i32)
    (drop (memory.grow $wide (i64.const 0)))
    (loop $round
      (local.set $vector
        (call $twice (i32x4.add (local.get $vector) (i32x4.splat (local.get $i))) (local.get $i)))
      (v128.store $near (i32.shl (local.get $i) (i32.const 4)) (local.get $vector))
      (memory.copy $wide $near
        (i64.add (i64.const 131060) (i64.extend_i32_u (local.get $i)))
        (i32.shl (local.get $i) (i32.const 4)) (i32.const 16))
      (block $caught (result i32)
        (try_table (result i32) (catch $number $caught) (call $odd (local.get $i)))
        (drop)
        (i32.const 0))
      (local.set $odd (i32.add (local.get $odd)))
      (if (i32.eqz (i32.and (local.get $i) (i32.const 15)))
        (then (table.set $kept (i64.const 3) (ref.null exn))))
      (call $keep (i64.extend_i32_u (i32.and (local.get $i) (i32.const 3))) (local.get $vector))
      (br_if $round (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $rounds))))
    (call $length (table.get $kept (i64.const 1)))
    (local.get $odd)
    (i8x16.relaxed_swizzle (global.get $sum) (v128.const i8x16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0))
    (i64.load $wide offset=131000 (i64.const 70))))
