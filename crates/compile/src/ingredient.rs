//! What compiled code has beside the program's own instructions, to be left out by who measures what each of it costs.

/// A part of compiled code that keeps a promise of this crate. Without it the promise is broken: a companion is then for measuring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingredient {
    /// Gas is charged and compared.
    Gas,
    /// Addresses are tested before an access.
    Bounds,
    /// Pages are marked before they change.
    Marks,
    /// NaNs are made canonical where their bits can be seen.
    Nans,
    /// What else would trap is tested before it: divisors, ranges of conversions.
    Dangers,
    /// Locals of large functions go to the frame whenever they are set. This breaks no promise, but takes long to compile.
    Frames,
    /// Heads of loops see to many rounds at once. Without it each round does; so it is without gas, bounds or marks.
    Rounds,
}

impl Ingredient {
    /// All of them.
    pub const ALL: [Ingredient; 7] = [
        Ingredient::Gas,
        Ingredient::Bounds,
        Ingredient::Marks,
        Ingredient::Nans,
        Ingredient::Dangers,
        Ingredient::Frames,
        Ingredient::Rounds,
    ];
}
