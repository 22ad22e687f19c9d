;; Turns 64 KiB of one memory into another and back, word by word. n rounds.
(module
  (memory $from (export "memory") 1)
  (memory $to 1)
  (func (export "run") (param $n i32) (result i64)
    (local $at i32) (local $sum i64) (local $word i64)
    ;; A call is to begin as the first one did.
    (memory.fill $from (i32.const 0) (i32.const 0) (i32.const 65536))
    (memory.fill $to (i32.const 0) (i32.const 0) (i32.const 65536))
    (i64.store $from (i32.const 0) (i64.const 88172645463325252))
    (loop $round
      (local.set $at (i32.const 0))
      (loop $word
        (local.set $word
          (i64.xor
            (i64.rotl (i64.load $from (local.get $at)) (i64.const 17))
            (i64.mul (i64.extend_i32_u (local.get $at)) (i64.const -7046029254386353131))))
        (i64.store $to (local.get $at) (local.get $word))
        (local.set $sum (i64.add (local.get $sum) (i64.load $to (i32.and (i32.mul (local.get $at) (i32.const 13)) (i32.const 65528)))))
        (i64.store $from (local.get $at) (i64.add (local.get $word) (local.get $sum)))
        (br_if $word (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 65536))))
      (br_if $round (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))
