//! The node as a program of the node. What the inner one writes is what it writes anywhere else; the outer run is a job
//! like any other: it leaves a chain, which verifies, and goes on from its middle.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use stepmark_runner::chain::ChainFiles;
use stepmark_runner::interrupt::Interrupt;
use stepmark_runner::job::rerun::{GivenFiles, JobFiles, Rerun};
use stepmark_runner::node::embedded_module::NODE_WASM;
use stepmark_runner::node::engine::ModuleSession;
use stepmark_runner::node::sandbox::WasmNode;
use stepmark_runner::verify;

use crate::node_js;
use crate::runner::{self, Ended};
use crate::same_everywhere::{JOBS, Job};

/// The node's file, as programs find it.
const NODE: &str = "guest-interp.wasm";

/// A job of an inner node, and the gas of a segment of the outer one.
#[derive(Clone, Copy, Debug)]
pub struct Hosted {
    /// Name among the jobs of all places.
    pub job: &'static str,
    /// The program's file.
    program: &'static str,
    /// Gas limit of the node that runs the inner one.
    gas: u64,
}

/// The jobs.
pub const HOSTED: [Hosted; 2] = [
    Hosted { job: "fib 27", program: "fib32.wasm", gas: 40_000_000 },
    Hosted { job: "matrix multiplication", program: "matrix_multiplication_cpp_100.wasm", gas: 70_000_000 },
];

/// What came of a run at some depth.
#[derive(Debug)]
pub struct Outer {
    /// The outermost node's files.
    pub ended: Ended,
    /// What its program, a node, left behind, by path.
    pub delivered: BTreeMap<String, Vec<u8>>,
    /// Gas of the outermost node.
    pub gas: u64,
    /// Time of the run, with loading.
    pub time: Duration,
}

impl Hosted {
    fn job(&self) -> Result<&'static Job> {
        JOBS.iter().find(|job| job.name == self.job).context("no such job")
    }

    /// Arguments of the outermost of `depth` nodes.
    pub fn argv(&self, depth: u32) -> Result<Vec<String>> {
        let mut argv = self.job()?.argv();
        for level in 1..depth {
            // Nodes further out take more gas for the same work.
            let gas = self.gas * 30_u64.pow(level - 1);
            let file = |name| format!("--file /{name}={name}");
            let flags = format!("--snapshot-output out --enable-gas-refill --gas-limit {gas} --preopen /");
            let flags = format!("{flags} {} {} {NODE}", file(self.program), file(NODE));
            argv = flags.split_whitespace().map(str::to_owned).chain(argv).collect();
        }
        Ok(argv)
    }

    /// A directory with the files of all depths.
    ///
    /// # Errors
    /// If they cannot be copied.
    pub fn directory(&self) -> Result<tempfile::TempDir> {
        let dir = self.job()?.directory()?;
        fs::write(dir.path().join(NODE), NODE_WASM)?;
        Ok(dir)
    }

    /// The job in one node under wasmtime: what inner ones are compared with.
    ///
    /// # Errors
    /// If it fails.
    pub fn plain(&self) -> Result<Outer> {
        let dir = self.directory()?;
        run(&self.argv(1)?, dir.path())
    }

    /// The job in the innermost of `depth` nodes, the outermost under wasmtime.
    ///
    /// # Errors
    /// If it fails.
    pub fn run(&self, depth: u32, dir: &Path) -> Result<Outer> {
        run(&self.argv(depth)?, dir)
    }

    /// Writes the outer files to `dir/out`, lets the host runner execute every segment again, and goes on from the snapshot
    /// in the middle; what differs, by name.
    ///
    /// # Errors
    /// If the chain does not verify, or the rest cannot be run.
    pub fn check_chain(&self, outer: &Outer, dir: &Path) -> Result<Vec<String>> {
        let out = dir.join("out");
        fs::create_dir_all(&out)?;
        for (name, bytes) in &outer.ended.files {
            fs::write(out.join(name), bytes)?;
        }
        self.verify(&out, dir)?;
        let middle = (outer.ended.snapshots() / 2).max(1);
        let mut argv: Vec<String> =
            ["--snapshot-input", "out", "--snapshot-id", &middle.to_string()].map(str::to_owned).to_vec();
        argv.extend(self.argv(2)?);
        let rest = run(&argv, dir)?;
        let same = |name: &String| rest.ended.files.get(name) == outer.ended.files.get(name);
        let mut wrong: Vec<String> = rest.ended.files.keys().filter(|name| !same(name)).cloned().collect();
        ensure!(rest.ended.files.len() > 2, "nothing was left to do after snapshot {middle}");
        if rest.delivered != outer.delivered {
            wrong.push("the inner files".to_owned());
        }
        Ok(wrong)
    }

    /// Executes every segment of the chain `out` again, its input files in `dir`.
    fn verify(&self, out: &Path, dir: &Path) -> Result<()> {
        let mut chain = ChainFiles::open(out)?;
        let job = chain.job.clone().context("no snapshot that can be read")?;
        let input = |name: &str| (format!("/{name}"), dir.join(name).display().to_string());
        let flags = GivenFiles { inputs: vec![input(self.program), input(NODE)], ..GivenFiles::default() };
        let program = dir.join(NODE).display().to_string();
        let files = JobFiles::find(&job, Some(&program), &flags, out)?;
        let rerun = Rerun::new(job, &files, out);
        let claim = verify::Claim::of(&chain, rerun.job(), None);
        let options = verify::VerifyOptions { jobs: 2, ..verify::VerifyOptions::default() };
        let found = verify::verify(&mut chain, &rerun, claim, &options, &Interrupt::new(), &mut |_| {})?;
        ensure!(found.is_right(), "the outer chain does not verify");
        Ok(())
    }

    /// The job at depth 2 with the outer node under the WASI of Node.js.
    ///
    /// # Errors
    /// If it fails.
    pub fn in_node_js(&self) -> Result<Ended> {
        let dir = self.directory()?;
        node_js::command_face(&dir.path().join(NODE), dir.path(), &self.argv(2)?, "out")
    }
}

/// Runs a job in the node under wasmtime.
fn run(argv: &[String], dir: &Path) -> Result<Outer> {
    let started = Instant::now();
    let mut node = WasmNode::new(runner::node_module())?;
    let mut ended = Ended::default();
    runner::load(&mut node, argv, dir)?;
    runner::finish(&mut node, 100_000_000, &mut ended)?;
    let stderr = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.exit_code == 0, "exit code {}: {stderr}", ended.exit_code);
    let delivered = runner::delivered(&mut node)?.into_iter().collect();
    let gas = node.progress()?.gas_total;
    Ok(Outer { ended, delivered, gas, time: started.elapsed() })
}

/// What differs between the files of a node by itself and those that its run inside another one has left in `out`.
pub fn differences(plain: &Ended, delivered: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let in_out = |(path, bytes): (&String, &Vec<u8>)| Some((path.strip_prefix("out/")?.to_owned(), bytes.clone()));
    runner::unlike(&plain.files, &delivered.iter().filter_map(in_out).collect())
}

/// The same by the hashes in the receipt of the node around it, which is all that is left two nodes further out.
///
/// # Errors
/// If that is no receipt.
pub fn differences_by_receipt(plain: &Ended, receipt: &[u8]) -> Result<Vec<String>> {
    let receipt: serde_json::Value = serde_json::from_slice(receipt)?;
    let Some(files) = receipt["result"]["files"].as_array() else { bail!("the receipt names no files") };
    let hash = |file: &serde_json::Value| {
        let path = file["path"].as_str()?.strip_prefix("out/")?;
        Some((path.to_owned(), file["hash"].as_str()?.to_owned()))
    };
    let inner: BTreeMap<String, String> = files.iter().filter_map(hash).collect();
    let plain: BTreeMap<String, String> =
        plain.files.iter().map(|(name, bytes)| (name.clone(), blake3::hash(bytes).to_hex().to_string())).collect();
    Ok(runner::unlike(&plain, &inner))
}
