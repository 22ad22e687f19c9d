;; Calls one of four functions through a reference of its type, chosen by the sum so far. n thousand calls.
(module
  (type $step (func (param i64) (result i64)))
  (memory (export "memory") 1)
  (elem declare func $a $b $c $d)
  (func $a (type $step) (i64.add (i64.mul (local.get 0) (i64.const 6364136223846793005)) (i64.const 1442695040888963407)))
  (func $b (type $step) (i64.xor (local.get 0) (i64.shr_u (local.get 0) (i64.const 29))))
  (func $c (type $step) (i64.rotl (local.get 0) (i64.const 23)))
  (func $d (type $step) (i64.sub (i64.const -1) (local.get 0)))
  (func $choose (param i32) (result (ref $step))
    (block $three (block $two (block $one (block $zero
      (br_table $zero $one $two $three (local.get 0)))
      (return (ref.func $a))) (return (ref.func $b))) (return (ref.func $c)))
    (ref.func $d))
  (func (export "run") (param $n i32) (result i64)
    (local $sum i64) (local $step (ref null $step))
    (local.set $n (i32.mul (local.get $n) (i32.const 1000)))
    (loop $again
      (local.set $step (call $choose (i32.and (i32.wrap_i64 (i64.shr_u (local.get $sum) (i64.const 40))) (i32.const 3))))
      (local.set $sum (call_ref $step (i64.add (local.get $sum) (i64.extend_i32_u (local.get $n))) (ref.as_non_null (local.get $step))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
