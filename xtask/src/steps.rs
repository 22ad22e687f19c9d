//! Commands one after the other, each with its time: what the tiers of checks are made of.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Runs each step, whatever the ones before came to, prints its time, and ends with a line that begins with `tier`. Returns
/// whether all of them passed.
///
/// # Errors
/// When a command cannot be started.
pub(crate) fn run(tier: &str, steps: impl IntoIterator<Item = (String, Command)>) -> Result<bool> {
    let began = Instant::now();
    let (mut count, mut failed) = (0, Vec::new());
    for (name, mut command) in steps {
        println!("== {name}");
        let step = Instant::now();
        let status = command.current_dir(crate::workspace()).status().with_context(|| name.clone())?;
        println!("{name}: {} s", seconds(step.elapsed()));
        count += 1;
        if !status.success() {
            failed.push(name);
        }
    }
    let result = if failed.is_empty() { "all passed".to_owned() } else { format!("failed: {}", failed.join(", ")) };
    println!("{tier}: {count} steps in {} s, {result}", seconds(began.elapsed()));
    Ok(failed.is_empty())
}

fn seconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_fails_does_not_keep_the_next_from_running_and_the_tier_has_failed() {
        let steps = |codes: &[&str]| -> Vec<(String, Command)> {
            let step = |code: &&str| {
                let mut command = Command::new("sh");
                command.args(["-c", &format!("exit {code}")]);
                ((*code).to_owned(), command)
            };
            codes.iter().map(step).collect()
        };
        assert!(run("tier", steps(&["0", "0"])).unwrap());
        assert!(!run("tier", steps(&["1", "0"])).unwrap());
        assert!(run("tier", [("absent".to_owned(), Command::new("/no/such/command"))]).is_err());
    }
}
