;; What AssemblyScript calls when a program fails: message, file, line and column. This one only traps.
(module
  (func $abort (export "abort") (param $message i32) (param $file i32) (param $line i32) (param $column i32)
    unreachable))
