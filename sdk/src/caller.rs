//! What a host function sees of the program that calls it: its memory, through a checked view, and its gas. Nothing
//! that the function does takes effect before it returns: what it writes and charges is its answer, which is charged,
//! applied and recorded as a whole.

use std::fmt;

use stepmark_hosts::external::{Charge, ExternalReply};

/// Whose call asks: its memory, and how much of its limit is used.
pub(crate) trait Asking {
    fn memory_size(&mut self) -> u64;
    /// The bytes; none if any of them lies outside.
    fn read(&mut self, address: u64, length: u64) -> Option<Vec<u8>>;
    /// Gas used of the limit, and the limit.
    fn gas(&self) -> (u64, u64);
}

/// Why a host function refuses. It becomes a trap at the call, with the message in the trap's detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError(String);

impl HostError {
    /// An error that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HostError {}

/// Gas as a host function finds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GasView {
    /// Used of the limit before the call.
    pub(crate) consumed: u64,
    /// The limit.
    pub(crate) limit: u64,
    /// What the function may charge.
    pub(crate) remaining: u64,
}

/// The program that calls a host function.
///
/// ```
/// use node_sdk::{Caller, HostError, Linker, Value, Vm};
///
/// # let wat = r#"(module (import "env" "greet" (func $greet (param i32 i32) (result i32)))
/// #   (memory 1) (data (i32.const 8) "Ada")
/// #   (func (export "run") (result i32) (call $greet (i32.const 8) (i32.const 3))))"#;
/// # let wasm = wat::parse_str(wat).unwrap();
/// let mut linker = Linker::new();
/// linker.func("env", "greet", |caller: &mut Caller<'_>, (name, length): (u32, u32)| {
///     caller.charge(100, "greeting")?;
///     let greeting = [b"Hello, ".to_vec(), caller.read(name, length)?].concat();
///     caller.write(64_u32, &greeting)?;
///     u32::try_from(greeting.len()).map_err(|_| HostError::new("a name too long"))
/// })?;
/// let mut vm = Vm::builder().module(wasm).linker(linker).build()?;
/// assert_eq!(vm.run_func(None, "run", &[])?, [Value::I32(10)]);
/// assert_eq!(vm.memory().unwrap().read(64, 10)?, b"Hello, Ada");
/// assert_eq!(vm.metrics().charges["greeting"], 100);
/// # Ok::<(), node_sdk::Error>(())
/// ```
pub struct Caller<'a> {
    asking: &'a mut dyn Asking,
    gas: GasView,
    charged: u64,
    charges: Vec<Charge>,
    refund: u64,
    writes: Vec<(u64, Vec<u8>)>,
    /// More was to be charged than remains: all that was wanted until then.
    unpaid: Option<u64>,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(asking: &'a mut dyn Asking, gas: GasView) -> Self {
        Self { asking, gas, charged: 0, charges: Vec::new(), refund: 0, writes: Vec::new(), unpaid: None }
    }

    /// Bytes of the caller's memory: memory 0 of the instance that imports the function. 0 if it has none.
    pub fn memory_size(&mut self) -> u64 {
        self.asking.memory_size()
    }

    /// `length` bytes at `address`, as they are after what this call has written.
    ///
    /// # Errors
    /// Any of them lies outside the memory.
    pub fn read(&mut self, address: impl Into<u64>, length: impl Into<u64>) -> Result<Vec<u8>, HostError> {
        let (address, length) = (address.into(), length.into());
        let bytes = self.asking.read(address, length);
        let mut bytes = bytes.ok_or_else(|| outside("reads", length, address))?;
        for (at, written) in &self.writes {
            overlay(&mut bytes, address, *at, written);
        }
        Ok(bytes)
    }

    /// Writes `bytes` at `address`. The program sees them when the function has returned.
    ///
    /// # Errors
    /// Any of them would lie outside the memory; nothing is written then.
    pub fn write(&mut self, address: impl Into<u64>, bytes: &[u8]) -> Result<(), HostError> {
        let address = address.into();
        let length = bytes.len() as u64;
        let end = address.checked_add(length).filter(|end| *end <= self.asking.memory_size());
        end.ok_or_else(|| outside("writes", length, address))?;
        self.writes.push((address, bytes.to_vec()));
        Ok(())
    }

    /// Charges gas beside the call's own, before the work that it pays for.
    ///
    /// # Errors
    /// It is more than [`remaining`](Self::remaining). The function should return the error at once: the call has no
    /// effect then, and is made again when there is more gas.
    pub fn charge(&mut self, amount: u64, descriptor: &str) -> Result<(), HostError> {
        if amount > self.remaining() {
            let need = self.charged.saturating_add(amount);
            self.unpaid.get_or_insert(need);
            return Err(HostError::new(format!("out of gas: {descriptor} costs {amount}")));
        }
        self.charged = self.charged.saturating_add(amount);
        match self.charges.iter_mut().find(|charge| charge.descriptor == descriptor) {
            Some(charge) => charge.amount = charge.amount.saturating_add(amount),
            None => self.charges.push(Charge { descriptor: descriptor.to_owned(), amount }),
        }
        Ok(())
    }

    /// Gives gas back, when the function returns: at most what was used of the limit. It does not set clocks back.
    pub fn refund(&mut self, amount: u64) {
        self.refund = self.refund.saturating_add(amount);
    }

    /// Gas used of the limit, with what this call has charged.
    pub fn consumed(&self) -> u64 {
        self.gas.consumed.saturating_add(self.charged)
    }

    /// Gas that this call can still charge. What the bytes cost that it writes is not taken off.
    pub fn remaining(&self) -> u64 {
        self.gas.remaining.saturating_sub(self.charged)
    }

    /// The limit: of the segment, or of the live program.
    pub fn limit(&self) -> u64 {
        self.gas.limit
    }

    /// The answer that the function's result makes of the call.
    pub(crate) fn answer(self, result: Result<Vec<u64>, HostError>) -> ExternalReply {
        let Self { charges, refund, writes, .. } = self;
        match (self.unpaid, result) {
            (Some(need), _) => ExternalReply::Unpaid { need },
            (None, Ok(results)) => ExternalReply::Returned { results, writes, charges, refund },
            (None, Err(HostError(message))) => ExternalReply::Failed { message, charges },
        }
    }
}

fn outside(what: &str, length: u64, address: u64) -> HostError {
    HostError::new(format!("it {what} {length} bytes at {address:#x}, outside the memory"))
}

/// Puts what was written at `at` into `bytes`, which lie at `address`, where they overlap.
fn overlay(bytes: &mut [u8], address: u64, at: u64, written: &[u8]) {
    let end = |start: u64, bytes: &[u8]| start.saturating_add(bytes.len() as u64);
    let (from, to) = (address.max(at), end(address, bytes).min(end(at, written)));
    if from >= to {
        return;
    }
    let place = |start: u64| (from - start) as usize..(to - start) as usize;
    if let (Some(target), Some(source)) = (bytes.get_mut(place(address)), written.get(place(at))) {
        target.copy_from_slice(source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_writes_lie_over_earlier_ones_wherever_they_overlap() {
        let mut bytes = *b"abcdef";
        for (at, written) in [(8, &b"XY"[..]), (11, b"ZZZZ"), (16, b"_"), (0, b"0123456789!"), (100, b"_")] {
            overlay(&mut bytes, 10, at, written);
        }
        assert_eq!(&bytes, b"!ZZZZf");
    }
}
