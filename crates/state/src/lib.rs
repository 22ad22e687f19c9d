//! What a run is at one moment, as plain data: nothing here knows a program or how it is executed.

pub mod canonical;
pub mod encoding;
pub mod error;
pub mod host_type;
pub mod limits;
pub mod merkle;
pub mod paged;
pub mod pages;
pub mod schedule_names;
pub mod shown;
pub mod trap;
