//! What the project promises about its speed, and whether this run bears it out.

use crate::figures::{BASE, Mean, Results};

/// A promise.
pub struct Target {
    pub what: &'static str,
    /// What the figure is at worst, and what it is to become.
    pub must: f64,
    pub reach: Option<f64>,
    figure: Figure,
}

/// What is measured for a promise.
enum Figure {
    /// Time over that of another engine, or of the faster of two: at most.
    Ratio(&'static str, &'static [&'static str]),
    /// How many times as long another engine takes: at least.
    Speedup(&'static str, &'static str),
    /// What is added to the time of a build that leaves something out, in percent: at most.
    Cost(&'static str, &'static str),
    /// Worst ratio of any program over the mean ratio: at most.
    Worst(&'static str),
    /// Time over that of another engine, of the program where that is greatest: at most.
    WorstRatio(&'static str, &'static str),
}

/// How a promise fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Reached,
    Met,
    Missed,
    NotMeasured,
}

impl Verdict {
    /// A word for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::NotMeasured => "not measured",
        }
    }
}

const fn ratio(
    what: &'static str,
    own: &'static str,
    others: &'static [&'static str],
    must: f64,
    reach: f64,
) -> Target {
    Target { what, must, reach: Some(reach), figure: Figure::Ratio(own, others) }
}

/// The promises, in the order of the table.
pub const TARGETS: [Target; 17] = [
    ratio("node in wasmtime over wasmi 2 native", "node", &[BASE], 2.0, 1.4),
    ratio("node in wasmtime over wasmi 1 native with fuel", "node", &["wasmi1-fuel"], 1.25, 0.9),
    ratio("node in wasmtime over wasm3 native", "node", &["wasm3"], 1.3, 1.0),
    ratio(
        "node in wasmtime over the better wasmi in wasmtime with fuel",
        "node",
        &["wasmi1-wt-fuel", "wasmi2-wt-fuel"],
        0.85,
        0.6,
    ),
    Target {
        what: "node in wasmtime: times as fast as Chiwawa in wasmtime",
        must: 8.0,
        reach: Some(12.0),
        figure: Figure::Speedup("node", "chiwawa"),
    },
    Target {
        what: "node in wasmtime: times as fast as WasmEdge's interpreter",
        must: 6.0,
        reach: Some(8.0),
        figure: Figure::Speedup("node", "wasmedge"),
    },
    ratio("native build over wasmi 2 native", "native", &[BASE], 1.5, 1.1),
    ratio("native build over wasmi 2 native with fuel", "native", &["wasmi2-fuel"], 1.3, 1.0),
    ratio("node in wasmtime over native build", "node", &["native"], 1.35, 1.15),
    ratio("compiled code in the node over wasmtime", "compiled", &["wasmtime"], 1.6, 1.4),
    ratio(
        "compiled code in the node over wasmtime with fuel and canonical NaNs",
        "compiled",
        &["wasmtime-exact"],
        1.0,
        0.9,
    ),
    ratio("compiled code in the node in Node.js over V8", "compiled-v8", &["v8"], 1.5, 1.3),
    Target {
        what: "compiled code in the node over wasmtime, worst program",
        must: 2.4,
        reach: Some(1.8),
        figure: Figure::WorstRatio("compiled", "wasmtime"),
    },
    Target {
        what: "exact gas: cost in the node in wasmtime",
        must: 8.0,
        reach: Some(4.0),
        figure: Figure::Cost("node", "node-nogas"),
    },
    Target {
        what: "marking changed pages: cost in the node in wasmtime",
        must: 6.0,
        reach: Some(3.0),
        figure: Figure::Cost("node", "node-nodirty"),
    },
    Target {
        what: "worst program over the mean, node in wasmtime to wasmi 2",
        must: 2.5,
        reach: None,
        figure: Figure::Worst("node"),
    },
    Target {
        what: "worst program over the mean, native build to wasmi 2",
        must: 2.5,
        reach: None,
        figure: Figure::Worst("native"),
    },
];

impl Target {
    /// The figure that this run gives, unless an engine was absent.
    pub fn measured(&self, results: &Results) -> Option<f64> {
        match self.figure {
            Figure::Ratio(own, others) => {
                // The ratio to the fastest is the largest.
                let means = others.iter().map(|other| Some(results.mean(own, other)?.mean));
                means.collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::max)
            }
            Figure::Speedup(own, other) => Some(results.mean(other, own)?.mean),
            Figure::Cost(own, without) => Some((results.mean(own, without)?.mean - 1.0) * 100.0),
            Figure::Worst(own) => {
                let Mean { mean, max, .. } = results.mean(own, BASE)?;
                Some(max / mean)
            }
            Figure::WorstRatio(own, other) => Some(results.mean(own, other)?.max),
        }
    }

    /// Whether that is good enough.
    pub fn verdict(&self, measured: Option<f64>) -> Verdict {
        let Some(measured) = measured else { return Verdict::NotMeasured };
        let good = |bound: f64| match self.figure {
            Figure::Speedup(..) => measured >= bound,
            _ => measured <= bound,
        };
        match self.reach {
            Some(reach) if good(reach) => Verdict::Reached,
            _ if good(self.must) => Verdict::Met,
            _ => Verdict::Missed,
        }
    }

    /// A number of this target as it is written.
    pub fn show(&self, value: f64) -> String {
        match self.figure {
            Figure::Cost(..) => format!("{value:.1} %"),
            Figure::Speedup(..) => format!("{value:.1} x"),
            _ => format!("{value:.2}"),
        }
    }
}

/// How many of the targets fared so.
pub fn count(results: &Results, verdict: Verdict) -> usize {
    TARGETS.iter().filter(|target| target.verdict(target.measured(results)) == verdict).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Row;
    use std::time::Duration;

    fn results(times: &[(&'static str, u64)]) -> Results {
        let row = Row {
            program: "p".to_owned(),
            times: times.iter().map(|(_, ms)| Ok(vec![Duration::from_millis(*ms)])).collect(),
        };
        Results { keys: times.iter().map(|(key, _)| *key).collect(), rows: vec![row] }
    }

    fn verdict(what: &str, times: &[(&'static str, u64)]) -> (String, Verdict) {
        let target = TARGETS.iter().find(|target| target.what == what).expect(what);
        let measured = target.measured(&results(times));
        (measured.map_or(String::new(), |measured| target.show(measured)), target.verdict(measured))
    }

    #[test]
    fn ratios_are_to_be_small() {
        let what = "node in wasmtime over wasmi 2 native";
        for (time, shown, expected) in
            [(140, "1.40", Verdict::Reached), (200, "2.00", Verdict::Met), (201, "2.01", Verdict::Missed)]
        {
            assert_eq!(verdict(what, &[("node", time), ("wasmi2", 100)]), (shown.to_owned(), expected));
        }
        assert_eq!(verdict(what, &[("node", 1)]).1, Verdict::NotMeasured);
    }

    #[test]
    fn the_better_of_two_is_compared_with() {
        let what = "node in wasmtime over the better wasmi in wasmtime with fuel";
        let times = [("node", 90), ("wasmi1-wt-fuel", 200), ("wasmi2-wt-fuel", 100)];
        assert_eq!(verdict(what, &times), ("0.90".to_owned(), Verdict::Missed));
    }

    #[test]
    fn speedups_are_to_be_large_and_costs_small() {
        let what = "node in wasmtime: times as fast as Chiwawa in wasmtime";
        assert_eq!(verdict(what, &[("node", 10), ("chiwawa", 100)]), ("10.0 x".to_owned(), Verdict::Met));
        let what = "exact gas: cost in the node in wasmtime";
        assert_eq!(verdict(what, &[("node", 109), ("node-nogas", 100)]), ("9.0 %".to_owned(), Verdict::Missed));
    }
}
