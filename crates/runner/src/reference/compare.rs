//! Node against reference: outcome, values, exit code, and what the program wrote. What differs is named.

use serde_json::{Value, json};

use stepmark_session::report::RunResult;

use crate::node::drive::Summary;
use crate::reference::{ReferenceEnd, ReferenceOutcome};

/// The result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What differs, a sentence each; empty when all is the same.
    pub differences: Vec<String>,
    /// Calls of the program that may differ between the two by nature, a sentence each; only where something differs.
    pub by_nature: Vec<String>,
}

impl Comparison {
    /// The comparison in the final object of `--json`.
    pub fn object(&self) -> Value {
        json!({
            "same": self.differences.is_empty(), "differences": self.differences, "may_differ_by_nature": self.by_nature,
        })
    }

    /// Notes a difference in `what` if the two sides are not the same.
    fn check<T: PartialEq>(&mut self, what: &str, node: T, reference: T, show: impl Fn(&T) -> String) {
        if node != reference {
            self.differences.push(format!("{what}: Stepmark {}, reference {}", show(&node), show(&reference)));
        }
    }
}

/// Compares a finished run of the node, which wrote `stdout` and `stderr`, with the reference.
pub fn compare(summary: &Summary, stdout: &[u8], stderr: &[u8], expected: &ReferenceOutcome) -> Comparison {
    let mut comparison = Comparison::default();
    let result = summary.result.as_ref();
    let trap = result.and_then(|result| result.trap()).map(|trap| trap.message().to_owned());
    let expected_trap = match &expected.end {
        ReferenceEnd::Trapped(trap) => Some(trap.message().to_owned()),
        ReferenceEnd::Returned | ReferenceEnd::Exited(_) => None,
    };
    let kinds = [&trap, &expected_trap].map(|trap| trap.as_deref().map_or("none", same_kind).to_owned());
    let [node_kind, expected_kind] = kinds;
    comparison.check("trap", node_kind, expected_kind, String::clone);
    comparison.check("exit code", summary.exit_code, expected.end.exit_code(), i32::to_string);
    let values = result.map(RunResult::printed_values).unwrap_or_default();
    let expected_values: Vec<String> = expected.values.iter().map(ToString::to_string).collect();
    comparison.check("values", &values, &expected_values, |values| format!("({})", values.join(" ")));
    for (name, node, reference) in [("stdout", stdout, &expected.stdout), ("stderr", stderr, &expected.stderr)] {
        if let Some(text) = first_difference(node, reference) {
            comparison.differences.push(format!("{name}: {text}"));
        }
    }
    if expected.unused_answers > 0 {
        let bytes = expected.unused_answers;
        comparison.differences.push(format!("answers: the reference asked for less ({bytes} recorded bytes are left)"));
    }
    if !comparison.differences.is_empty() {
        comparison.by_nature.clone_from(&expected.by_nature);
    }
    comparison
}

/// Traps that engines may tell apart or not: the specification leaves the check's order and words open.
fn same_kind(trap: &str) -> &str {
    if trap == "undefined element" { "out of bounds table access" } else { trap }
}

/// Where two outputs first differ; none when they are the same.
fn first_difference(node: &[u8], reference: &[u8]) -> Option<String> {
    if node == reference {
        return None;
    }
    let at = node.iter().zip(reference).take_while(|(a, b)| a == b).count();
    let show = |bytes: &[u8]| {
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.is_empty() {
            "ends".to_owned()
        } else {
            format!("has \"{}\"", rest.get(..16).unwrap_or(rest).escape_ascii())
        }
    };
    Some(format!("at byte {at} Stepmark's {} and the reference's {}", show(node), show(reference)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use stepmark_session::report::{ReturnedValue, RunOutcome};
    use stepmark_session::values::ValKind;

    fn outcome() -> ReferenceOutcome {
        let end = ReferenceEnd::Returned;
        ReferenceOutcome {
            end,
            values: vec![ReturnedValue { kind: ValKind::I32, bits: 7 }],
            stdout: b"hello".to_vec(),
            stderr: Vec::new(),
            unused_answers: 0,
            by_nature: vec!["fd_readdir: the order".into()],
            time: Duration::ZERO,
        }
    }

    fn summary() -> Summary {
        let values = vec![ReturnedValue { kind: ValKind::I32, bits: 7 }];
        let result = RunResult { outcome: RunOutcome::Finished, values, gas_used: 5, last_snapshot: 3 };
        Summary { result: Some(result), ..Summary::default() }
    }

    #[test]
    fn equal_runs_have_no_differences() {
        assert_eq!(compare(&summary(), b"hello", b"", &outcome()), Comparison::default());
    }

    #[test]
    fn what_differs_is_named() {
        let expected = ReferenceOutcome {
            values: vec![ReturnedValue { kind: ValKind::I32, bits: 8 }],
            end: ReferenceEnd::Exited(3),
            ..outcome()
        };
        let Comparison { differences, by_nature } = compare(&summary(), b"help", b"", &expected);
        assert_eq!(by_nature, ["fd_readdir: the order"]);
        assert_eq!(
            differences,
            [
                "exit code: Stepmark 0, reference 3",
                "values: Stepmark (7), reference (8)",
                "stdout: at byte 3 Stepmark's has \"p\" and the reference's has \"lo\"",
            ]
        );
    }

    #[test]
    fn an_output_that_ends_early_is_told_from_one_that_differs() {
        let text = first_difference(b"he", b"hello").expect("they differ");
        assert_eq!(text, "at byte 2 Stepmark's ends and the reference's has \"llo\"");
    }
}
