;; Uses every function of the interface of module "env", and no other. invoke writes a short value and reads it back,
;; writes a long one and reads that in two parts, writes a third and deletes it; it prints what it read, and traps if
;; any of it is not what it should be. The first two stay.
(module $plain_storage
  (import "env" "qlcchain_storage_read" (func $read (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "qlcchain_storage_write" (func $write (param i32 i32 i32 i32)))
  (import "env" "qlcchain_storage_delete" (func $delete (param i32 i32)))
  (import "env" "qlcchain_debug" (func $debug (param i32 i32)))

  (memory (export "memory") 1)
  (data (i32.const 0) "plain/short")
  (data (i32.const 16) "plain/long")
  (data (i32.const 32) "plain/gone")
  (data (i32.const 48) "a short value")
  (data (i32.const 64) "forty bytes: more than one read has room")
  ;; What is read goes to 1024.

  (func $expect (param $found i32) (param $wanted i32)
    (if (i32.ne (local.get $found) (local.get $wanted)) (then (unreachable))))

  (func $short
    (local $length i32)
    (call $write (i32.const 0) (i32.const 11) (i32.const 48) (i32.const 13))
    (local.set $length (call $read (i32.const 0) (i32.const 11) (i32.const 1024) (i32.const 32) (i32.const 0)))
    (call $expect (local.get $length) (i32.const 13))
    (call $debug (i32.const 1024) (local.get $length)))

  (func $long
    (local $length i32)
    (call $write (i32.const 16) (i32.const 10) (i32.const 64) (i32.const 40))
    (local.set $length (call $read (i32.const 16) (i32.const 10) (i32.const 1024) (i32.const 32) (i32.const 0)))
    (call $expect (local.get $length) (i32.const 40))
    ;; Nothing is copied behind the end of the first part.
    (call $expect (i32.load8_u (i32.const 1056)) (i32.const 0))
    (call $expect
      (call $read (i32.const 16) (i32.const 10) (i32.const 1056) (i32.const 8) (i32.const 32))
      (local.get $length))
    ;; There is nothing from the end on, and nothing is copied.
    (call $expect
      (call $read (i32.const 16) (i32.const 10) (i32.const 1024) (i32.const 32) (i32.const 40))
      (local.get $length))
    (call $debug (i32.const 1024) (local.get $length)))

  (func $gone
    (call $write (i32.const 32) (i32.const 10) (i32.const 48) (i32.const 13))
    (call $delete (i32.const 32) (i32.const 10))
    (call $expect
      (call $read (i32.const 32) (i32.const 10) (i32.const 1024) (i32.const 32) (i32.const 0))
      (i32.const -1)))

  (func (export "invoke")
    (call $short)
    (call $long)
    (call $gone)))
