//! Bytes as the text of a gas schedule: the canonical text of an accepted one means the same and is its own canonical text,
//! and both engines charge it alike.

use stepmark_core::gas::Schedule;

use crate::engine_oracle::{Bounds, engines_agree};
use crate::generate::program::random_program;
use crate::generate::random_schedule;
use stepmark_core::machine::TierKind;

const BOUNDS: Bounds = Bounds { tier: TierKind::Register, gas: 500, steps: 500, stops: 20, calls: 1 };
/// A module is run under one in so many schedules: most of them differ in nothing that it notices.
const RUN_ONE_IN: u8 = 4;

pub(super) fn schedule(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(schedule) = Schedule::parse("fuzz", text) else { return };
    let again = Schedule::parse("fuzz", schedule.text()).unwrap_or_else(|error| panic!("its canonical text: {error}"));
    assert!(again == schedule && again.hash() == schedule.hash(), "the canonical text means something else");
    let chosen = schedule.hash()[0];
    if chosen % RUN_ONE_IN == 0 {
        let module = wat::parse_str(random_program(u64::from(chosen))).expect("the text is a module");
        engines_agree(&module, &schedule, 0, BOUNDS).unwrap_or_else(|error| panic!("{error:#}"));
    }
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let builtin = ["default", "seed-ordinal"].map(|name| Schedule::builtin(name).expect("it is built in"));
    let random = (0..2).map(random_schedule);
    let texts = builtin.into_iter().chain(random).map(|schedule| schedule.text().as_bytes().to_vec());
    texts.chain([b"# all\n*,1\ncall.locals,0,1,2\nmemory.grow,4,3,65536\n".to_vec()]).collect()
}
