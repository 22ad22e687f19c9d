//! What a program is at run time: its store of instances, memories, tables and globals, the value stack and frames, and the
//! [`Machine`] that advances them with either engine.

mod by_func;
mod contracts;
mod exceptions;
mod host_call;
mod inspect;
mod instance;
mod link;
mod machine;
mod memory;
mod outline;
mod pages;
mod stack;
mod state;
mod store;
mod table;
mod watch;

pub(crate) use exceptions::Room;
pub use exceptions::{Exception, Exceptions};
pub use host_call::HostCall;
pub use inspect::RegisterInst;
pub use instance::Instance;
pub(crate) use instance::func_of_ref;
pub use link::{HostImports, Linker, NoHost};
pub use machine::{Budget, Machine, Stop};
pub use memory::DIRTY_SHIFT;
pub use memory::{DIRTY_PAGE, LinearMemory, Memory, MemoryView};
pub use outline::Outline;
pub(crate) use outline::{MemoryParts, access, compute};
pub use stack::{Frame, Resume};
pub use store::local_slots;
pub use store::{Extern, Func, FuncKind, Store, Tag};
pub use table::Table;
pub use watch::{Access, AccessObserver};
