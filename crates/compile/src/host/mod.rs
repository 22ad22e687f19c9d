//! What every host of compiled code has to know and to do, whatever compiles the companion. A host owns the module's memory and
//! the companion's instance. It asks [`Told`] where things lie, [`Pace`] when to compile, and [`HostedCompanion`] how a turn
//! begins and what it came to.

mod companion;
mod pace;
mod told;
mod words;

pub use companion::{Entering, Entrance, HostedCompanion, Lost, MOST_GAS};
pub use pace::{Look, Pace};
pub use told::{Places, Told};
pub use words::{bytes_of, words_of};
