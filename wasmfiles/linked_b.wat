;; The library half of a pair: exports a memory, a mutable global, a table and
;; functions, which linked_a.wasm imports from module "lib".
(module $linked_b
  (type $unary (func (param i32) (result i32)))

  (memory (export "memory") 1 4)
  (global $counter (export "counter") (mut i32) (i32.const 100))
  (table $table (export "table") 4 8 funcref)
  (elem (table $table) (i32.const 0) func $double $count)
  (data (i32.const 0) "\01\02\03\04\05\06\07\08")

  (func $double (type $unary) (i32.shl (local.get 0) (i32.const 1)))

  ;; Adds its argument to the counter and returns the new value.
  (func $count (type $unary)
    (global.set $counter (i32.add (global.get $counter) (local.get 0)))
    (global.get $counter))

  ;; Calls a table entry, which may be a function of the other module.
  (func (export "apply") (param $slot i32) (param $x i32) (result i32)
    (call_indirect $table (type $unary) (local.get $x) (local.get $slot)))

  (func (export "sum") (param $at i32) (param $len i32) (result i32)
    (local $total i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $len)))
        (local.set $total (i32.add (local.get $total) (i32.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $len (i32.sub (local.get $len) (i32.const 1)))
        (br $next)))
    (local.get $total))

  (func (export "grow") (param $pages i32) (result i32)
    (memory.grow (local.get $pages))))
