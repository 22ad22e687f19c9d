//! When to compile: not before a program has run for a while, and anew where what runs later is not what ran at first.

/// Gas that a program has used here when it is compiled: some tenths of a second.
const HOT: u64 = 100_000_000;
/// And for each byte of the functions that are to be compiled: they take about as long to compile as the interpreter for that. So a program
/// that ends soon after has not cost more than twice the time.
const HOT_BY_BYTE: u64 = 2_000;

/// When the last look was, and when the next one is.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// Gas of the run when it began here.
    begun: Option<u64>,
    /// Gas of the run at which to look again.
    next: u64,
    /// Gas from the last look to the next.
    step: u64,
    /// Gas of the run, and of compiled code, when code was taken in the last time.
    taken_in: Option<(u64, u64)>,
    /// What was compiled once is worth compiling again.
    again: bool,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    GoOn,
    /// Compile what has run so far.
    Compile,
    /// Take everything back, and compile what has run so far.
    Anew,
}

impl Pace {
    /// Before the first look.
    pub const fn new() -> Self {
        Self { begun: None, next: 0, step: 0, taken_in: None, again: false }
    }

    /// Looks, where the run has used so much gas, and so much of that here in compiled code. Not while something is being compiled.
    pub fn look(&mut self, total: u64, compiled: u64) -> Look {
        if self.begun.is_none() {
            self.begun = Some(total);
            self.next = total.saturating_add(HOT);
        }
        let begin = self.taken_in.map_or(0, |(before, _)| before.saturating_add(HOT));
        if total < self.next.max(begin) {
            return Look::GoOn;
        }
        // The longer a program runs, the less often.
        self.step = self.step.max(HOT).saturating_mul(4);
        self.next = total.saturating_add(self.step);
        let Some((total_before, compiled_before)) = self.taken_in else { return Look::Compile };
        let is_well_used = (compiled - compiled_before) / 4 >= (total - total_before) / 5;
        if is_well_used {
            return Look::GoOn;
        }
        (self.taken_in, self.again) = (None, true);
        Look::Anew
    }

    /// Whether functions of so many bytes are worth compiling now; if not, the next look is when they are.
    pub fn is_worth(&mut self, total: u64, bytes: u64) -> bool {
        let worth = self.begun.unwrap_or(0).saturating_add(HOT).saturating_add(HOT_BY_BYTE.saturating_mul(bytes));
        let is_worth = self.again || total >= worth;
        if !is_worth {
            (self.next, self.step) = (worth, 0);
        }
        is_worth
    }

    /// Code has been taken in.
    pub fn taken_in(&mut self, total: u64, compiled: u64) {
        self.taken_in = Some((total, compiled));
    }

    /// All code has been taken back since parts have moved: the next look compiles at once.
    pub fn moved(&mut self) {
        (self.begun, self.next) = (Some(0), 0);
        (self.taken_in, self.again) = (None, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_compiled_after_100_million_gas_and_anew_where_compiled_code_is_little_used() {
        let mut pace = Pace::new();
        assert_eq!(pace.look(5_000_000, 0), Look::GoOn, "where it began here");
        assert_eq!(pace.look(104_999_999, 0), Look::GoOn);
        assert_eq!(pace.look(105_000_000, 0), Look::Compile);
        pace.taken_in(110_000_000, 0);
        assert_eq!(pace.look(504_999_999, 300_000_000), Look::GoOn, "400 million later");
        let mut used = pace.clone();
        assert_eq!(used.look(505_000_000, 320_000_000), Look::GoOn, "four fifths are compiled code");
        assert_eq!(pace.look(505_000_000, 300_000_000), Look::Anew);
        pace.taken_in(506_000_000, 300_000_000);
        assert_eq!(pace.look(2_104_999_999, 300_000_000), Look::GoOn, "1.6 thousand million later");
        assert_eq!(pace.look(2_105_000_000, 300_000_000), Look::Anew);
    }

    #[test]
    fn large_functions_are_compiled_after_more_gas() {
        let mut pace = Pace::new();
        assert_eq!(pace.look(0, 0), Look::GoOn);
        assert_eq!(pace.look(100_000_000, 0), Look::Compile);
        assert!(!pace.is_worth(100_000_000, 10_000), "20 million more");
        assert_eq!(pace.look(119_999_999, 0), Look::GoOn);
        assert_eq!(pace.look(120_000_000, 0), Look::Compile);
        assert!(pace.is_worth(120_000_000, 10_000));
        pace.taken_in(120_000_000, 0);
        assert_eq!(pace.look(519_999_999, 0), Look::GoOn, "400 million later");
        assert_eq!(pace.look(520_000_000, 0), Look::Anew);
    }

    #[test]
    fn what_has_moved_is_compiled_at_once() {
        let mut pace = Pace::default();
        assert_eq!(pace.look(0, 0), Look::GoOn);
        pace.taken_in(1000, 0);
        pace.moved();
        assert_eq!(pace.look(1000, 0), Look::Compile);
    }
}
