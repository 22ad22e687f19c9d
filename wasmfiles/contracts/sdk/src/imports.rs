//! The imports as the node declares them. Sizes and offsets are in bytes; a size that an import returns is the whole
//! one, however much of it there was room for.
#![expect(unsafe_code, reason = "imports")]

/// The interface of storage.
pub(crate) mod env {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(crate) fn qlcchain_storage_read(
            key: *const u8,
            key_len: usize,
            value: *mut u8,
            value_len: usize,
            offset: usize,
        ) -> u32;
        pub(crate) fn qlcchain_storage_write(key: *const u8, key_len: usize, value: *const u8, value_len: usize);
        pub(crate) fn qlcchain_storage_delete(key: *const u8, key_len: usize);
        pub(crate) fn qlcchain_debug(line: *const u8, len: usize);
    }
}

/// The interface of the ordered store.
pub(crate) mod store {
    #[link(wasm_import_module = "store")]
    unsafe extern "C" {
        pub(crate) fn get(key: *const u8, key_len: usize, value: *mut u8, value_len: usize) -> i64;
        pub(crate) fn put(key: *const u8, key_len: usize, value: *const u8, value_len: usize);
        pub(crate) fn delete(key: *const u8, key_len: usize);
        pub(crate) fn iterate(start: *const u8, start_len: usize, limit: *const u8, limit_len: isize) -> i32;
        pub(crate) fn next(handle: i32, key: *mut u8, key_cap: usize, value: *mut u8, value_cap: usize) -> i64;
        pub(crate) safe fn close(handle: i32);
    }
}

/// The interface of invocations.
pub(crate) mod contract {
    #[link(wasm_import_module = "contract")]
    unsafe extern "C" {
        pub(crate) fn args(to: *mut u8, cap: usize, offset: usize) -> u32;
        pub(crate) fn caller(to: *mut u8, cap: usize, offset: usize) -> u32;
        pub(crate) fn set_result(from: *const u8, len: usize);
        pub(crate) fn call(name: *const u8, name_len: usize, args: *const u8, args_len: usize, gas: u64) -> u32;
        pub(crate) fn result(to: *mut u8, cap: usize, offset: usize) -> u32;
    }
}
