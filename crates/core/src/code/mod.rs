//! From a [`Module`](crate::module::Module)'s function bodies to code that runs: [`Body::decode`] gives the plain list of
//! instructions with heights and branch targets, which the stepper executes and the snapshot check consults;
//! [`translate()`] turns that list into the fast engine's register code.

mod decode;
mod fused;
mod inst;
mod locals;
mod outline;
mod sidetable;
mod translate;
mod verify;

pub(crate) use crate::op::for_each_op;
pub use crate::op::{FREE_CARRIED, Instr, Op};
pub use decode::{Block, Body, BranchTarget, Catch, Handler, HandlerChange, KindsBefore};
pub(crate) use fused::{append_fused, for_each_inst};
pub use inst::Inst;
pub(crate) use locals::Locals;
pub use outline::Outline;
pub use sidetable::{Location, Place, SideTable};
pub use translate::{EntryPoint, Environment, FuncCode, TooLarge, translate};
pub use verify::{Scope, VerifiedCode, verify};
