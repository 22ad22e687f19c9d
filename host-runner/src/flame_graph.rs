//! A profile as a picture.

use stepmark_runner::failure::{Failure, Result};
use stepmark_tools::profile::Profile;

/// A picture of the call tree: a flame graph as SVG.
///
/// # Errors
/// Exit code 65 if there is nothing to draw.
pub fn flame_graph(title: &str, profile: &Profile) -> Result<Vec<u8>> {
    /// What the picture's own arithmetic holds, with room for percentages.
    const MOST: u64 = 1 << 56;
    let mut unit = 1u64;
    while profile.gas / unit > MOST {
        unit = unit.saturating_mul(1000);
    }
    let folded = profile.folded();
    let scaled: Vec<String> = folded.lines().map(|line| scale(line, unit)).collect();
    let mut options = inferno::flamegraph::Options::default();
    options.title = title.to_owned();
    options.count_name = if unit == 1 { "gas".to_owned() } else { format!("x {unit} gas") };
    // Colours by name: otherwise they are drawn at random.
    options.deterministic = true;
    let mut svg = Vec::new();
    inferno::flamegraph::from_lines(&mut options, scaled.iter().map(String::as_str), &mut svg)
        .map_err(|error| Failure::data(format!("no flame graph: {error}")))?;
    Ok(svg)
}

/// A folded stack, its count in another unit.
fn scale(line: &str, unit: u64) -> String {
    match line.rsplit_once(' ').and_then(|(stack, gas)| Some((stack, gas.parse::<u64>().ok()?))) {
        Some((stack, gas)) => format!("{stack} {}", gas / unit),
        None => line.to_owned(),
    }
}
