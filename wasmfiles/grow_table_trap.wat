;; No imports: memory growth, bulk memory, table entries changed at run time,
;; references held in locals and globals, dropped segments, and every kind of trap.
(module $grow_table_trap
  (type $unary (func (param i32) (result i32)))
  (type $wide (func (param i64) (result i64)))

  (memory $memory (export "memory") 1 100)
  (table $table (export "table") 8 16 funcref)
  (global $kept (mut funcref) (ref.null func))
  (global $dropped (mut i32) (i32.const 0))

  (data $greeting (i32.const 0) "sixty-four bytes of an active segment, part of which work zeroes")
  (data $passive "\10\32\54\76\98\ba\dc\fe\01\23\45\67\89\ab\cd\ef")
  ;; Slots 0 to 3 are set when the module starts; 4 to 7 are null.
  (elem $first (table $table) (i32.const 0) func $increment $double $square $negate)
  ;; Never dropped: set_entry and work take functions from it.
  (elem $pool func $increment $double $square $negate $xor $rotate $halve $collatz)
  ;; Dropped by the first call of work.
  (elem $once funcref (ref.func $collatz) (ref.func $rotate) (ref.func $xor))
  (elem declare func $wide_identity)

  (func $increment (type $unary) (i32.add (local.get 0) (i32.const 1)))
  (func $double (type $unary) (i32.shl (local.get 0) (i32.const 1)))
  (func $square (type $unary) (i32.mul (local.get 0) (local.get 0)))
  (func $negate (type $unary) (i32.sub (i32.const 0) (local.get 0)))
  (func $xor (type $unary) (i32.xor (local.get 0) (i32.const 0x5bd1e995)))
  (func $rotate (type $unary) (i32.rotl (local.get 0) (i32.const 7)))
  (func $halve (type $unary) (i32.shr_u (local.get 0) (i32.const 1)))
  (func $collatz (type $unary)
    (if (result i32) (i32.and (local.get 0) (i32.const 1))
      (then (i32.add (i32.mul (local.get 0) (i32.const 3)) (i32.const 1)))
      (else (i32.shr_u (local.get 0) (i32.const 1)))))
  (func $wide_identity (type $wide) (local.get 0))

  ;; Grows memory by so many pages: the previous size, or -1 (4294967295).
  (func $grow (export "grow") (param $pages i32) (result i32)
    (memory.grow (local.get $pages)))

  (func $fill (export "fill") (param $at i32) (param $len i32) (param $byte i32)
    (memory.fill (local.get $at) (local.get $byte) (local.get $len)))

  ;; The sum of so many bytes.
  (func $sum (export "sum") (param $at i32) (param $len i32) (result i32)
    (local $total i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $len)))
        (local.set $total (i32.add (local.get $total) (i32.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $len (i32.sub (local.get $len) (i32.const 1)))
        (br $next)))
    (local.get $total))

  ;; which: 0 increment, 1 double, 2 square, 3 negate, each by table.set;
  ;; 4 xor, 5 rotate, 6 halve, 7 collatz, each by table.init from a passive
  ;; segment; 8 null; 9 a function of another type; anything else traps (unreachable).
  (func $set_entry (export "set_entry") (param $slot i32) (param $which i32)
    (local $f funcref)
    (block $set
      (block $other (block $wide (block $null (block $passive
        (block $negate (block $square (block $double (block $increment
          (br_table $increment $double $square $negate
            $passive $passive $passive $passive $null $wide $other (local.get $which)))
          (local.set $f (ref.func $increment)) (br $set))
          (local.set $f (ref.func $double)) (br $set))
          (local.set $f (ref.func $square)) (br $set))
          (local.set $f (ref.func $negate)) (br $set))
        (table.init $table $pool (local.get $slot) (local.get $which) (i32.const 1))
        (return))
        (local.set $f (ref.null func)) (br $set))
        (local.set $f (ref.func $wide_identity)) (br $set))
      (unreachable))
    (table.set $table (local.get $slot) (local.get $f)))

  (func $call_entry (export "call_entry") (param $slot i32) (param $x i32) (result i32)
    (call_indirect $table (type $unary) (local.get $x) (local.get $slot)))

  (func $forever (param $x i32) (result i32)
    (i32.add (call $forever (i32.add (local.get $x) (i32.const 1))) (i32.const 1)))

  ;; kind: 0 unreachable, 1 integer divide by zero, 2 out of bounds memory access,
  ;; 3 undefined element, 4 indirect call type mismatch, 5 call stack exhausted,
  ;; 6 integer overflow, 7 uninitialized element, 8 out of bounds table access,
  ;; 9 invalid conversion to integer; anything else returns. 4 and 7 change slot 7.
  (func $trap (export "trap") (param $kind i32)
    (block $none (block $conversion (block $table_bounds (block $null (block $overflow
      (block $stack (block $mismatch (block $undefined (block $bounds (block $zero (block $unreachable
        (br_table $unreachable $zero $bounds $undefined $mismatch $stack $overflow $null
          $table_bounds $conversion $none (local.get $kind)))
        (unreachable))
        (drop (i32.div_u (local.get $kind) (i32.const 0))) (return))
        (drop (i32.load (i32.const 0x7ffffff0))) (return))
        (drop (call $call_entry (i32.const 1000) (i32.const 1))) (return))
        (table.set $table (i32.const 7) (ref.func $wide_identity))
        (drop (call $call_entry (i32.const 7) (i32.const 1))) (return))
        (drop (call $forever (i32.const 0))) (return))
        (drop (i32.div_s (i32.const 0x80000000) (i32.const -1))) (return))
        (table.set $table (i32.const 7) (ref.null func))
        (drop (call $call_entry (i32.const 7) (i32.const 1))) (return))
        (table.set $table (i32.const 1000) (ref.null func)) (return))
        (drop (i32.trunc_f64_s (f64.const nan)))))

  (func $mix (param $hash i64) (param $value i64) (result i64)
    (i64.add
      (i64.mul
        (i64.rotl (i64.xor (local.get $hash) (local.get $value)) (i64.const 13))
        (i64.const 0x9e3779b97f4a7c15))
      (i64.const 1)))

  (func $mix32 (param $hash i64) (param $value i32) (result i64)
    (call $mix (local.get $hash) (i64.extend_i32_u (local.get $value))))

  ;; All of the above but the traps. Depends on the state of the instance, so a
  ;; second call returns something else; set_entry does not influence it.
  (func $work (export "work") (result i64)
    (local $hash i64) (local $page i32) (local $i i32) (local $x i32) (local $slot i32)
    (local $held funcref) (local $swap funcref)

    ;; Two more pages (until there are 100), the last of which is written on.
    (local.set $hash (call $mix32 (local.get $hash) (call $grow (i32.const 2))))
    (local.set $page (i32.shl (i32.sub (memory.size) (i32.const 1)) (i32.const 16)))
    (call $fill (local.get $page) (i32.const 4096) (i32.const 0x5a))
    (local.set $hash (call $mix32 (local.get $hash)
      (call $sum (local.get $page) (i32.const 5000))))

    ;; Zeroes in the middle of what the active segment wrote.
    (call $fill (i32.const 16) (i32.const 24) (i32.const 0))
    (local.set $hash (call $mix32 (local.get $hash) (call $sum (i32.const 0) (i32.const 64))))

    ;; The table: eight functions, three of them replaced, the first time, from
    ;; segments that are then dropped.
    (table.init $table $pool (i32.const 0) (i32.const 0) (i32.const 8))
    (if (i32.eqz (global.get $dropped))
      (then
        (memory.init $passive (i32.add (local.get $page) (i32.const 100))
          (i32.const 0) (i32.const 16))
        (data.drop $passive)
        (table.init $table $once (i32.const 4) (i32.const 0) (i32.const 3))
        (elem.drop $once)
        (global.set $dropped (i32.const 1))))
    (memory.copy (i32.add (local.get $page) (i32.const 107))
      (i32.add (local.get $page) (i32.const 100)) (i32.const 16))

    ;; One function held in a local and one in a global across the loop.
    (local.set $held (table.get $table (i32.const 4)))
    (global.set $kept (ref.func $square))

    (local.set $x (i32.const 12345))
    (loop $next
      ;; x = f(x) + a word of the page, kept from settling; then a word is written.
      (local.set $slot
        (i32.and (i32.xor (local.get $x) (i32.shr_u (local.get $x) (i32.const 11))) (i32.const 7)))
      (local.set $x
        (i32.add
          (i32.add
            (call_indirect $table (type $unary) (local.get $x) (local.get $slot))
            (i32.load (i32.add (local.get $page)
              (i32.and (i32.mul (local.get $x) (i32.const 4)) (i32.const 0xfffc)))))
          (i32.mul (local.get $i) (i32.const 0x9e3779b1))))
      (i32.store
        (i32.add (local.get $page) (i32.and (i32.shl (local.get $i) (i32.const 2)) (i32.const 0xfffc)))
        (local.get $x))
      (if (i32.eqz (i32.and (local.get $i) (i32.const 1023)))
        (then
          ;; Swap an entry with the next one, and mix what there is so far.
          (local.set $slot (i32.and (i32.shr_u (local.get $i) (i32.const 10)) (i32.const 7)))
          (local.set $swap (table.get $table (local.get $slot)))
          (table.set $table (local.get $slot)
            (table.get $table (i32.and (i32.add (local.get $slot) (i32.const 1)) (i32.const 7))))
          (table.set $table (i32.and (i32.add (local.get $slot) (i32.const 1)) (i32.const 7))
            (local.get $swap))
          (local.set $hash (call $mix32 (local.get $hash) (local.get $x)))))
      (if (i32.eqz (i32.and (local.get $i) (i32.const 8191)))
        (then
          ;; The local and the global change places.
          (local.set $swap (local.get $held))
          (local.set $held (global.get $kept))
          (global.set $kept (local.get $swap))))
      (br_if $next
        (i32.lt_u
          (local.tee $i (i32.add (local.get $i) (i32.const 1)))
          (i32.const 120000))))

    ;; The held functions, called through the table; then its order.
    (local.set $hash (call $mix32 (local.get $hash) (ref.is_null (global.get $kept))))
    (table.set $table (i32.const 0) (local.get $held))
    (table.set $table (i32.const 1) (global.get $kept))
    (table.copy (i32.const 3) (i32.const 0) (i32.const 3))
    (local.set $slot (i32.const 0))
    (loop $entries
      (local.set $hash (call $mix32 (local.get $hash)
        (call $call_entry (local.get $slot) (i32.const 1000003))))
      (br_if $entries
        (i32.lt_u
          (local.tee $slot (i32.add (local.get $slot) (i32.const 1)))
          (table.size $table))))
    (local.set $hash (call $mix32 (local.get $hash) (memory.size)))
    (call $mix32 (local.get $hash) (call $sum (i32.const 0)
      (i32.shl (memory.size) (i32.const 16)))))
)
