//! `poll_oneoff` on the virtual clock. Descriptors are always ready, so only a call that waits for clocks alone sleeps: the
//! clock then jumps to the earliest deadline, and sleeping costs no gas beyond the call's own.

use crate::wasi::calls::Args;
use crate::wasi::io::MAX_TRANSFER;
use crate::wasi::rights;
use crate::wasi::state::MAX_FDS;
use crate::wasi::{Answer, Errno, Wasi, in_bounds, put, store};
use stepmark_core::host::GuestMemory;

/// Most subscriptions in one call, as many as there can be descriptors; more is `EINVAL`, and so is none: nothing would
/// ever end the wait.
pub const MAX_SUBSCRIPTIONS: u32 = MAX_FDS;

/// Bytes of a subscription.
const SUBSCRIPTION: usize = 48;

/// Bytes by which what preview 0 says of a clock lies further behind: it has an identifier first, which says nothing.
const IDENTIFIER: usize = 8;

/// Bytes of an event.
const EVENT: usize = 32;

const CLOCK: u8 = 0;
const FD_READ: u8 = 1;
const FD_WRITE: u8 = 2;

/// What a subscription waits for, once looked at.
struct Wait {
    user_data: [u8; 8],
    kind: u8,
    error: u16,
    /// Bytes that can be read or written.
    bytes: u64,
    /// Nanoseconds until it is ready.
    remaining: u64,
}

/// Price of a call: all subscriptions are read, and each may give an event.
pub(super) fn units(count: u32) -> u64 {
    let each = SUBSCRIPTION.saturating_add(EVENT) as u64;
    if count > MAX_SUBSCRIPTIONS { 0 } else { u64::from(count).saturating_mul(each) }
}

/// Steps of a call: one for each four subscriptions.
pub(super) fn steps(count: u32) -> u64 {
    if count > MAX_SUBSCRIPTIONS { 0 } else { u64::from(count) >> 2 }
}

/// The fixed-size field of a subscription at `at`.
fn field<const N: usize>(subscription: &[u8], at: usize) -> Result<[u8; N], Errno> {
    let bytes = subscription.get(at..).and_then(|rest| rest.first_chunk());
    bytes.copied().ok_or(Errno::Inval)
}

impl Wasi {
    /// `poll_oneoff(subscriptions, events, count, number of events)`.
    pub(super) fn poll_oneoff(&mut self, args: Args<'_>, memory: &mut dyn GuestMemory, gas_total: u64) -> Answer {
        let count = args.u32(2);
        if count == 0 || count > MAX_SUBSCRIPTIONS {
            return Err(Errno::Inval);
        }
        in_bounds(memory, args.ptr(1), u64::from(count).saturating_mul(EVENT as u64))?;
        in_bounds(memory, args.ptr(3), 4)?;
        let shift = if args.is_unstable { IDENTIFIER } else { 0 };
        let each = SUBSCRIPTION.saturating_add(shift);
        let size = u64::from(count).saturating_mul(each as u64);
        let table = memory.read(args.ptr(0), size).ok_or(Errno::Fault)?;
        let waits = (0..count as usize).map(|index| {
            let subscription = table.get(index.saturating_mul(each)..).unwrap_or_default();
            self.wait(subscription, shift, gas_total)
        });
        let waits = waits.collect::<Result<Vec<_>, _>>()?;
        let slept = waits.iter().map(|wait| wait.remaining).min().unwrap_or_default();
        let mut events = Vec::new();
        let mut number = 0u32;
        for wait in waits.iter().filter(|wait| wait.remaining <= slept) {
            events.extend_from_slice(&event(wait));
            number = number.saturating_add(1);
        }
        store(memory, args.ptr(1), &events)?;
        store(memory, args.ptr(3), &number.to_le_bytes())?;
        self.state.slept = self.state.slept.saturating_add(slept);
        self.answers.poll(slept, number, &events);
        Ok(())
    }

    /// What a subscription waits for; of a clock it says so `shift` bytes further behind.
    fn wait(&self, subscription: &[u8], shift: usize, gas_total: u64) -> Result<Wait, Errno> {
        let [kind] = field(subscription, 8)?;
        let outcome = match kind {
            CLOCK => self
                .clock_wait(subscription.get(shift..).unwrap_or_default(), gas_total)?
                .map(|remaining| (0, remaining)),
            FD_READ | FD_WRITE => self.descriptor_wait(subscription, kind)?.map(|bytes| (bytes, 0)),
            _ => return Err(Errno::Inval),
        };
        let error = outcome.err().map_or(0, Errno::code);
        let (bytes, remaining) = outcome.unwrap_or_default();
        Ok(Wait { user_data: field(subscription, 0)?, kind, error, bytes, remaining })
    }

    /// Nanoseconds until a clock's deadline; the inner error goes into the event.
    fn clock_wait(&self, subscription: &[u8], gas_total: u64) -> Result<Result<u64, Errno>, Errno> {
        let clock = u32::from_le_bytes(field(subscription, 16)?);
        let timeout = u64::from_le_bytes(field(subscription, 24)?);
        let absolute = match u16::from_le_bytes(field(subscription, 40)?) {
            0 => false,
            1 => true,
            _ => return Err(Errno::Inval),
        };
        // The clocks of processor time stand still while a program sleeps: waiting for them would never end.
        let now = self.now(clock, gas_total).filter(|_| clock < 2);
        Ok(now.map(|now| if absolute { timeout.saturating_sub(now) } else { timeout }).ok_or(Errno::Inval))
    }

    /// Bytes that a descriptor can take or give at once; the inner error goes into the event.
    fn descriptor_wait(&self, subscription: &[u8], kind: u8) -> Result<Result<u64, Errno>, Errno> {
        let fd = u32::from_le_bytes(field(subscription, 16)?);
        let needed = if kind == FD_READ { rights::FD_READ } else { rights::FD_WRITE } | rights::POLL_FD_READWRITE;
        let Ok(descriptor) = self.descriptor(fd) else { return Ok(Err(Errno::Badf)) };
        if descriptor.rights & needed != needed {
            return Ok(Err(Errno::Notcapable));
        }
        Ok(Ok(if kind == FD_READ { self.available(descriptor).unwrap_or_default() } else { MAX_TRANSFER }))
    }
}

/// The event that a program gets: its own data, error, kind, and for descriptors the bytes.
fn event(wait: &Wait) -> [u8; EVENT] {
    let mut record = [0; EVENT];
    put(&mut record, 0, &wait.user_data);
    put(&mut record, 8, &wait.error.to_le_bytes());
    put(&mut record, 10, &[wait.kind]);
    put(&mut record, 16, &wait.bytes.to_le_bytes());
    record
}
