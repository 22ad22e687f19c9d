//! What a program is at run time: its store of instances, memories, tables and globals, the value stack and frames, and the
//! [`Machine`] that advances them with either engine.

mod by_func;
pub mod check;
mod contracts;
mod driver;
mod exceptions;
mod handover;
mod host_call;
mod inspect;
mod instance;
mod link;
mod memory;
mod outline;
mod pages;
mod register;
mod stack;
mod state;
mod stepper;
mod store;
mod table;
mod tier;
mod watch;

pub use crate::code::Outline;
pub use driver::{Budget, Machine, Stop};
pub(crate) use exceptions::Room;
pub use exceptions::{Exception, Exceptions};
pub use handover::{ENTER_WORDS, MARK_REACH};
pub use host_call::HostCall;
pub use inspect::RegisterInst;
pub use instance::Instance;
pub(crate) use instance::func_of_ref;
pub use link::{HostImports, InstanceLinker, NoHost};
pub use memory::DIRTY_SHIFT;
pub use memory::{DIRTY_PAGE, LinearMemory, MemoryInstance, MemoryView};
pub(crate) use outline::{MemoryParts, access, compute};
pub use stack::{Frame, ResumePoint};
pub use store::local_slots;
pub use store::{Extern, Func, FuncKind, Store, Tag};
pub use table::Table;
pub use tier::TierKind;
pub use watch::{Access, AccessObserver};
