//! From a [`Module`](crate::module::Module)'s function bodies to code that runs: [`Body::decode`] gives the plain list of
//! instructions with heights and branch targets, which the stepper executes and the snapshot check consults;
//! [`translate()`] turns that list into the fast engine's register code.

pub(crate) mod binary;
mod decode;
mod fused;
mod inst;
mod locals;
mod op;
mod sidetable;
mod translate;
mod vector;
mod verify;

pub(crate) use binary::vector_op;
pub use decode::{Block, Body, Catch, FREE_CARRIED, Handler, HandlerChange, Instr, KindsBefore, Target};
pub(crate) use fused::{append_fused, for_each_inst};
pub use inst::Inst;
pub(crate) use locals::Locals;
pub use op::Op;
pub(crate) use op::{Shape, for_each_op};
pub use sidetable::{Location, Place, SideTable};
pub use translate::{Entry, Environment, FuncCode, TooLarge, translate};
pub(crate) use vector::for_each_vector_op;
pub use verify::{Scope, VerifiedCode, verify};
