//! A live program's memory, as its embedder sees it: every access is checked.

use stepmark_core::host::GuestMemory;
use stepmark_core::machine::MemoryView;

use crate::error::Error;

/// A linear memory: see [`Vm::memory`](crate::Vm::memory).
pub struct Memory<'a> {
    view: MemoryView<'a>,
}

impl<'a> Memory<'a> {
    pub(crate) fn new(view: MemoryView<'a>) -> Self {
        Self { view }
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.view.size()
    }

    /// `length` bytes at `address`.
    ///
    /// # Errors
    /// A usage error if any of them lies outside.
    pub fn read(&self, address: u64, length: u64) -> Result<&[u8], Error> {
        let size = self.size();
        self.view.read(address, length).ok_or_else(|| outside("read", address, length, size))
    }

    /// Writes `bytes` at `address`.
    ///
    /// # Errors
    /// A usage error if any of them would lie outside; nothing is written then.
    ///
    /// ```
    /// # use node_sdk::Vm;
    /// let wasm = wat::parse_str("(module (memory 1))").unwrap();
    /// let mut vm = Vm::builder().module(wasm).build()?;
    /// let mut memory = vm.memory().unwrap();
    /// memory.write(65_535, b"x")?;
    /// assert_eq!(memory.read(65_534, 2)?, b"\0x");
    /// let error = memory.write(65_535, b"xy").unwrap_err();
    /// assert_eq!(error.to_string(), "cannot write 2 bytes at 0xffff: the memory has 65536");
    /// # Ok::<(), node_sdk::Error>(())
    /// ```
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        if self.view.write(address, bytes) {
            return Ok(());
        }
        Err(outside("write", address, bytes.len() as u64, self.size()))
    }
}

fn outside(what: &str, address: u64, length: u64, size: u64) -> Error {
    Error::usage(format!("cannot {what} {length} bytes at {address:#x}: the memory has {size}"))
}
