;; The program half of a pair: imports everything that linked_b.wasm exports,
;; under the module name "lib", and puts a function of its own in the shared table.
(module $linked_a
  (type $unary (func (param i32) (result i32)))

  (import "lib" "memory" (memory 1 4))
  (import "lib" "counter" (global $counter (mut i32)))
  (import "lib" "table" (table $table 4 8 funcref))
  (import "lib" "apply" (func $apply (param i32 i32) (result i32)))
  (import "lib" "sum" (func $sum (param i32 i32) (result i32)))
  (import "lib" "grow" (func $grow (param i32) (result i32)))

  (elem (table $table) (i32.const 2) func $triple_and_note)
  (data (i32.const 8) "\0a\14\1e\28")

  ;; Returns three times its argument; leaves the result in memory at 16 and
  ;; adds one to the counter.
  (func $triple_and_note (type $unary)
    (i32.store (i32.const 16) (i32.mul (local.get 0) (i32.const 3)))
    (global.set $counter (i32.add (global.get $counter) (i32.const 1)))
    (i32.load (i32.const 16)))

  ;; A fresh pair returns, line by line below,
  ;; 136 + 14 + 105 + 63 + 106 + 63 + 1 + 7 + 2 + 38 = 535.
  (func (export "run") (result i32)
    (local $total i32)
    ;; Both data segments, read by the other module: 36 + 100.
    (local.set $total (call $sum (i32.const 0) (i32.const 12)))
    ;; lib's functions through the table, from here and from there.
    (local.set $total (i32.add (local.get $total)
      (call_indirect $table (type $unary) (i32.const 7) (i32.const 0))))
    (local.set $total (i32.add (local.get $total) (call $apply (i32.const 1) (i32.const 5))))
    ;; The function of this module, called by lib: here -> lib -> here.
    (local.set $total (i32.add (local.get $total) (call $apply (i32.const 2) (i32.const 21))))
    ;; What it left in the global and in memory.
    (local.set $total (i32.add (local.get $total) (global.get $counter)))
    (local.set $total (i32.add (local.get $total) (call $sum (i32.const 16) (i32.const 4))))
    ;; Memory grown there is seen here.
    (local.set $total (i32.add (local.get $total) (call $grow (i32.const 1))))
    (i32.store8 (i32.const 131071) (i32.const 7))
    (local.set $total (i32.add (local.get $total) (call $sum (i32.const 131071) (i32.const 1))))
    (local.set $total (i32.add (local.get $total) (memory.size)))
    ;; A table entry copied here is called there: double(19).
    (table.set $table (i32.const 3) (table.get $table (i32.const 0)))
    (i32.add (local.get $total) (call $apply (i32.const 3) (i32.const 19)))))
