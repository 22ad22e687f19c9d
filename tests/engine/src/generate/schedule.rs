//! Random gas schedules: free instructions, ordinary ones, and a few so dear that no register form can hold their cost.

use stepmark_core::code::Op;
use stepmark_core::gas::Schedule;

use super::Rng;

/// A schedule of this seed.
pub fn random_schedule(seed: u64) -> Schedule {
    let mut rng = Rng::new(seed ^ 0x5c4e);
    let mut text = format!("*,{}\n", rng.below(5));
    let free = 1 + rng.below(4);
    for op in Op::ALL {
        let cost = match rng.below(100) {
            0 if rng.once_in(4) => u32::MAX as usize - rng.below(3),
            1 => 100 + rng.below(1 << 20),
            n if n % 4 < free => 0,
            _ => rng.below(100),
        };
        let name = op.mnemonic();
        if matches!(name, "memory.grow" | "memory.fill" | "memory.copy" | "memory.init")
            || matches!(name, "table.grow" | "table.fill" | "table.copy" | "table.init")
        {
            text.push_str(&format!("{name},{cost},{},{}\n", rng.below(4), 1 + rng.below(20)));
        } else {
            text.push_str(&format!("{name},{cost}\n"));
        }
    }
    text.push_str(&format!("throw.search,0,{},{}\n", rng.below(9), 1 + rng.below(3)));
    for unit in ["throw.uncaught", "throw.payload", "throw.collect"] {
        text.push_str(&format!("{unit},0,{},{}\n", rng.below(3), 1 + rng.below(40)));
    }
    text.push_str(&format!("call.locals,0,{},{}\n", rng.below(3), 1 + rng.below(4)));
    Schedule::parse("random", &text).expect("the text is a schedule")
}
