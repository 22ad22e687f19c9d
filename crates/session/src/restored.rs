//! Putting the host modules of a run, and the contracts that it is calling, into a snapshot's state.

use super::Running;
use super::calls::{Served, is_outside, plain_export};
use stepmark_core::host::Work;
use stepmark_core::machine::check::Waiting;
use stepmark_hosts::{HostModule, external, store, wasi};
use stepmark_state::canonical::HostState;
use stepmark_state::error::JobError;

impl Running {
    /// Restores the host modules.
    ///
    /// # Errors
    /// A snapshot error: they are not those of the job, or their states are not.
    pub(super) fn restore_hosts(&mut self, hosts: &[HostState]) -> Result<(), JobError> {
        let mut expected = Vec::new();
        if self.asks_outside() {
            expected.push(external::MODULE);
        }
        if self.store.is_open() {
            expected.push(store::MODULE);
        }
        expected.push(wasi::MODULE);
        let found: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        if found != expected {
            let found = if found.is_empty() { "none".to_owned() } else { found.join(" ") };
            let message = format!("state: host modules {found}, expected {}", expected.join(" "));
            return Err(JobError::snapshot(message));
        }
        for host in hosts {
            match host.name.as_str() {
                external::MODULE => self.replies.restore(&host.bytes)?,
                store::MODULE => self.store.restore(&host.bytes)?,
                _ => self.wasi.restore(&host.bytes)?,
            }
        }
        Ok(())
    }

    /// Makes instances of the contracts that are being called, each on a call stack of its own. What the innermost stack's
    /// outermost frame is a call of, and the stacks that wait; `outermost` is what the program itself began with.
    ///
    /// # Errors
    /// A snapshot error: the store's state names contracts that the job does not have, or none after the program.
    pub(super) fn restore_contracts(&mut self, outermost: u32) -> Result<(u32, Vec<Waiting>), JobError> {
        let wrong = |what: &str| JobError::snapshot(format!("state: store: {what}"));
        let invocations = self.store.invocations().to_vec();
        let mut waiting = Vec::new();
        let mut func = outermost;
        for (depth, invocation) in invocations.iter().enumerate() {
            let contract = invocation.contract.map(|number| self.contracts.get(number as usize).cloned());
            match (depth, contract) {
                (0, None) => {}
                (1.., Some(Some(module))) if !invocation.initializing || plain_export(&module, "_initialize") => {
                    let (memories, tables) = self.machine.store.next_spaces;
                    if invocation.first_spaces.0 < memories || invocation.first_spaces.1 < tables {
                        return Err(wrong("numbers of spaces are used twice"));
                    }
                    self.machine.store.next_spaces = invocation.first_spaces;
                    let frames = invocations.get(depth - 1).map_or(0, |caller| caller.frames as usize);
                    waiting.push(Waiting { frames, func });
                    let instance = self.make_contract(&module).map_err(|e| JobError::snapshot(e.message()))?;
                    // All that its spaces hold comes with their pages.
                    self.machine.store.clear(instance);
                    func = self.contract_func(instance, invocation.initializing);
                }
                _ => return Err(wrong("an invocation is of no contract of the job")),
            }
        }
        if self.store.is_open() {
            let (found, least) = (self.store.next_spaces(), self.machine.store.next_spaces);
            // Far from where numbers would end.
            if found.0 < least.0 || found.1 < least.1 || found.0.max(found.1) > u32::MAX / 2 {
                return Err(wrong("the numbers of the next spaces are used"));
            }
            self.machine.store.next_spaces = found;
        }
        Ok((func, waiting))
    }

    /// Asks again in a state that waits for an answer: the next instruction must be a call that asks for one.
    ///
    /// # Errors
    /// A snapshot error.
    pub(super) fn ask_again(&mut self) -> Result<(), JobError> {
        let call = self.machine.awaited_call()?;
        if is_outside(call.host) && self.replies.pending().is_none() {
            let cost = self.machine.host_call_cost(Work::NONE);
            self.machine.allow(cost);
            if let Ok(Served::Ask) = self.host_call(&call) {
                return Ok(());
            }
        }
        Err(JobError::snapshot("state: awaits the answer of a host call that asks for none"))
    }
}
