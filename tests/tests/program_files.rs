//! Every case of the sample programs, as a job of the node on both engines; and every command beside wasmtime running it
//! directly, fed with the same clock and random answers.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use node_tests::program_files::{Prepared, check_case, check_file};
use node_tests::programs::{self, Case, Program};
use node_tests::runner;
use stepmark_runner::chain::durable::OutputDir;
use stepmark_runner::interrupt::Interrupt;
use stepmark_runner::node::drive::{self, RunOptions};
use stepmark_runner::node::engine::{Engine, Progress, TierChoice};
use stepmark_runner::node::external::Nobody;
use stepmark_runner::node::output::Output;
use stepmark_runner::node::receipt::Runner;
use stepmark_runner::node::sandbox::WasmNode;
use stepmark_runner::node::sink::Sink;
use stepmark_runner::reference;

fn for_each_case(mut check: impl FnMut(&Program, &Case) -> Result<bool>) -> usize {
    let (mut count, mut wrong) = (0, Vec::new());
    for program in &programs::expected().unwrap().program {
        for case in &program.case {
            match check(program, case) {
                Ok(counted) => count += usize::from(counted),
                Err(error) => wrong.push(format!("{} {}: {error:#}", program.file, case.name)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    count
}

#[test]
fn every_program_is_the_one_described_and_is_valid() {
    for program in &programs::expected().unwrap().program {
        check_file(program, &programs::bytes(&program.file).unwrap()).unwrap();
    }
}

#[test]
fn every_case_comes_out_as_expected_with_the_same_bytes_on_both_engines() {
    let count = for_each_case(|program, case| {
        let prepared = Prepared::new(program, case)?;
        let mut first: Option<runner::Ended> = None;
        for (engine, mut node) in runner::nodes()? {
            let ended = runner::run(node.as_mut(), &prepared.argv(), prepared.path()).context(engine)?;
            check_case(case, &ended).context(engine)?;
            if let Some(first) = &first {
                let differences = first.differences(&ended)?;
                ensure!(differences.is_empty(), "the engines differ in {differences:?}");
            }
            first = Some(ended);
        }
        Ok(true)
    });
    println!("{count} cases on two engines");
    assert_eq!(count, 76);
}

#[test]
fn every_command_does_what_it_does_directly_on_wasmtime() {
    let count = for_each_case(|program, case| {
        if program.kind != "command" {
            return Ok(false);
        }
        let differences = compare_with_reference(&Prepared::new(program, case)?)?;
        ensure!(differences.is_empty(), "{}", differences.join("; "));
        Ok(true)
    });
    println!("{count} cases beside the reference");
    assert_eq!(count, 38);
}

/// What `run --check-reference` does.
fn compare_with_reference(prepared: &Prepared) -> Result<Vec<String>> {
    let absolute =
        |word: &str| prepared.path().join(word).to_str().map(str::to_owned).context("a path that is not UTF-8");
    let mut words = prepared.words.clone();
    if let Some(program) = words.first_mut() {
        *program = absolute(program)?;
    }
    let mut argv = Vec::new();
    for flag in prepared.flags.as_chunks().0 {
        match flag {
            [flag, _] if flag == "--env" => {}
            [flag, _] if flag == "--stdin" => {}
            other => anyhow::bail!("{other:?} is not expected here"),
        }
        let [flag, value] = flag.clone();
        argv.extend([flag.clone(), if flag == "--stdin" { absolute(&value)? } else { value }]);
    }
    argv.extend(words);
    let job = guest_interp::args::job(&argv)?;

    let (mut node, stop, mut copies) = (WasmNode::new(runner::node_module())?, Interrupt::new(), Copies::default());
    drive::load(&mut node, &job, &mut copies, &stop)?;
    let out = OutputDir::open(&prepared.path().join("out"))?;
    let options = RunOptions {
        runner: Runner { engine: Engine::Wasm(TierChoice::Register), refill: None },
        from_pause: false,
        keep_answers: true,
        deliver: None,
        kept: Vec::new(),
        keep_output: 0,
        leave: None,
    };
    let summary = drive::run(&mut node, &mut Output::Into(&out), &mut copies, &stop, &mut Nobody, options)?;
    ensure!(Path::new(out.path()).join("result.txt").exists(), "no result.txt");

    let mut job = reference::ReferenceJob::new(&job);
    job.answers = Some(summary.answers.clone());
    let expected = reference::run(job)?;
    let [stdout, stderr] = &copies.0;
    Ok(reference::compare(&summary, stdout, stderr, &expected).differences)
}

/// Keeps what the program writes.
#[derive(Default)]
struct Copies([Vec<u8>; 2]);

impl Sink for Copies {
    fn output(&mut self, fd: u32, bytes: &[u8]) -> stepmark_runner::failure::Result<()> {
        let [stdout, stderr] = &mut self.0;
        if fd == 1 { stdout } else { stderr }.extend_from_slice(bytes);
        Ok(())
    }

    fn warning(&mut self, _: &str) {}

    fn detail(&mut self, _: &str) {}

    fn progress(&mut self, _: &Progress, _: f64) {}
}
