use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use stepmark_core::machine::{Access, AccessObserver, Machine};
use stepmark_session::Session;
use stepmark_session::spec::JobSpec;
use stepmark_snapshot::snap;
use stepmark_state::canonical::state_hash;
use stepmark_state::error::JobError;
use stepmark_tools::moment::Moment;

use super::*;
use crate::interrupt::Interrupt;
use crate::job::rerun::{GivenFiles, JobFiles};
use crate::node::driver::take_files;
use crate::node::engine::{Budget, Event, ModuleSession};
use crate::node::native::NativeNode;
use crate::node::supply::Supply;

/// Fills an array, sums it, writes two bytes of output, and calls a function that counts in a global.
const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (global $count (mut i64) (i64.const 0))
    (data (i32.const 0) "\10\00\00\00\01\00\00\00")
    (data (i32.const 16) "ab")
    (func $count_one (param $by i64)
        (block (global.set $count (i64.add (global.get $count) (local.get $by)))))
    (func $fill (param $value i32) (local $i i32)
        (loop $next
            (i32.store (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 4))) (local.get $value))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $i) (i32.const 20)))))
    (func (export "run") (param $rounds i32) (result i64) (local $round i32)
        (loop $next
            (local.set $round (i32.add (local.get $round) (i32.const 1)))
            (call $fill (local.get $round))
            (call $count_one (i64.const 3))
            (i32.store (i32.const 8192) (local.get $round))
            (br_if $next (i32.lt_u (local.get $round) (local.get $rounds))))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 0) (i32.const 17))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (global.get $count)))"#;

/// A chain in a directory of its own.
struct Sample {
    dir: tempfile::TempDir,
    job: JobSpec,
}

impl Sample {
    fn new(text: &str, entry: &[&str], limit: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program.wasm");
        std::fs::write(&program, wat::parse_str(text).unwrap()).unwrap();
        let job = JobSpec {
            program: program.display().to_string(),
            positionals: entry.iter().map(|word| (*word).to_owned()).collect(),
            gas_limit: Some(limit),
            gas_refill: true,
            ..JobSpec::default()
        };
        let sample = Self { dir, job };
        let mut node = sample.start();
        while node.run(Budget::UNLIMITED).unwrap() != Event::Finished {
            sample.save(&mut node);
        }
        sample.save(&mut node);
        sample
    }

    fn save(&self, node: &mut NativeNode) {
        for (file, bytes) in take_files(node).unwrap() {
            std::fs::write(self.dir.path().join(file.to_string()), bytes).unwrap();
        }
    }

    fn start(&self) -> NativeNode {
        let mut node = NativeNode::new();
        node.load(&JobSpec { keep_final: true, ..self.job.clone() }).unwrap();
        Supply::default().feed(&mut node, &Interrupt::new()).unwrap();
        node
    }

    fn timeline(&self) -> Timeline {
        let chain = ChainFiles::open(self.dir.path()).unwrap();
        let job = chain.job.clone().unwrap();
        let files = JobFiles::find(&job, Some(&self.job.program), &GivenFiles::default(), Path::new(".")).unwrap();
        Timeline::open(&chain, &Rerun::new(job, &files, self.dir.path()), 64 << 20).unwrap()
    }

    /// Every moment of the run with the hash of its state, by running from the start to each count of gas with that budget.
    fn plainly(&self) -> Vec<(u64, [u8; 32])> {
        let mut node = self.start();
        let mut moments = Vec::new();
        let mut next = 0;
        loop {
            let gas = node.progress().unwrap().gas_total;
            match node.run(Budget { gas: next - gas, steps: 0 }).unwrap() {
                Event::Paused => {}
                Event::Snapshot(_) => {
                    drop(take_files(&mut node).unwrap());
                    continue;
                }
                event => {
                    let files = take_files(&mut node).unwrap();
                    let state = files.iter().find(|(file, _)| file.to_string() == "final.snap");
                    moments.push((node.progress().unwrap().gas_total, hash(state.unwrap().1)));
                    assert_eq!(event, Event::Finished);
                    return moments;
                }
            }
            let gas = node.progress().unwrap().gas_total;
            if moments.last().is_none_or(|(last, _)| *last < gas) {
                node.encode_pause().unwrap();
                let files = take_files(&mut node).unwrap();
                let state = files.iter().find(|(file, _)| file.to_string() == "paused.snap");
                moments.push((gas, hash(state.unwrap().1)));
            }
            next += 1;
        }
    }
}

fn hash(snap: &[u8]) -> [u8; 32] {
    state_hash(&snap::decode(snap).unwrap().state)
}

fn here(timeline: &mut Timeline) -> (u64, [u8; 32]) {
    (timeline.moment().gas, state_hash(&timeline.state().unwrap().state))
}

/// Moments of an instruction by what it is, of a plain run that is watched from its start: its gas, its offset, the bytes that
/// it accesses.
fn watched(sample: &Sample) -> Vec<(u64, u32, Vec<Access>)> {
    #[derive(Debug, Default)]
    struct Log(std::sync::Mutex<Vec<(u64, u32, Vec<Access>)>>);
    impl AccessObserver for Log {
        fn before_step(&self, machine: &mut Machine) -> std::result::Result<(), JobError> {
            let (offset, accesses) = (machine.current_instr().unwrap().offset, machine.next_accesses());
            self.0.lock().unwrap().push((machine.gas_total(), offset, accesses));
            Ok(())
        }
        fn touch(&self, _: Access) -> std::result::Result<(), JobError> {
            Ok(())
        }
    }
    let (log, mut node) = (Arc::new(Log::default()), sample.start());
    node.session_mut().map(|session: &mut Session| session.watch(log.clone())).unwrap();
    while node.run(Budget::UNLIMITED).unwrap() != Event::Finished {
        drop(take_files(&mut node).unwrap());
    }
    std::mem::take(&mut *log.0.lock().unwrap())
}

#[test]
fn every_moment_is_that_of_plain_execution_whether_it_is_sought_or_stepped_to() {
    let sample = Sample::new(PROGRAM, &["run", "3"], 300);
    let plain = sample.plainly();
    let mut timeline = sample.timeline();
    assert_eq!(here(&mut timeline), plain[0]);
    let mut stepped = vec![here(&mut timeline)];
    while timeline.step(1).unwrap() == 1 {
        stepped.push(here(&mut timeline));
    }
    assert_eq!(stepped, plain);
    assert!(timeline.is_ended());
    for moment in plain.iter().rev().skip(1) {
        assert_eq!(timeline.back(1).unwrap(), 1);
        assert_eq!(here(&mut timeline), *moment);
    }
    assert_eq!(timeline.back(1).unwrap(), 0);
    for (number, moment) in plain.iter().enumerate().filter(|(number, _)| number % 7 == 0) {
        timeline.seek(SeekTarget::Gas(plain[plain.len() - 1 - number].0)).unwrap();
        timeline.seek(SeekTarget::Gas(moment.0)).unwrap();
        assert_eq!(here(&mut timeline), *moment);
        assert_eq!(timeline.step(5).unwrap(), 5.min(plain.len() - 1 - number) as u64);
    }
}

#[test]
fn targets_are_snapshots_and_the_end_and_what_is_beyond_is_refused() {
    let sample = Sample::new(PROGRAM, &["run", "3"], 300);
    let plain = sample.plainly();
    let mut timeline = sample.timeline();
    assert_eq!(timeline.seek(SeekTarget::End).unwrap().gas, plain.last().unwrap().0);
    assert_eq!(here(&mut timeline), *plain.last().unwrap());
    let second = timeline.seek(SeekTarget::Snapshot(2)).unwrap();
    let expected = ChainFiles::open(sample.dir.path()).unwrap().links[&2].gas_total;
    assert_eq!(second, Moment::at_gas(expected));
    for (target, what) in [
        (SeekTarget::Gas(1 << 40), "beyond the run, which ends at gas"),
        (SeekTarget::Snapshot(77), "snapshot 77 is not one"),
        (SeekTarget::Trap, "did not end in a trap"),
    ] {
        let failure = timeline.seek(target).unwrap_err();
        assert!(failure.code() == 2 && failure.what().contains(what), "{failure}");
        assert_eq!(timeline.moment(), second);
    }
}

#[test]
fn a_chain_whose_run_was_killed_ends_with_its_last_snapshot() {
    let sample = Sample::new(PROGRAM, &["run", "3"], 300);
    for name in ["receipt.json", "result.txt", "final.snap", "final.bin"] {
        std::fs::remove_file(sample.dir.path().join(name)).unwrap();
    }
    let (last, link) = ChainFiles::open(sample.dir.path()).unwrap().links.pop_last().unwrap();
    let mut timeline = sample.timeline();
    assert_eq!(timeline.seek(SeekTarget::End).unwrap(), Moment::at_gas(link.gas_total));
    let snapshot = std::fs::read(sample.dir.path().join(format!("{last}.snap"))).unwrap();
    assert_eq!(here(&mut timeline), (link.gas_total, hash(&snapshot)));
    assert_eq!((timeline.is_ended(), timeline.step(1).unwrap(), timeline.back(2).unwrap()), (false, 0, 2));
    let failure = timeline.seek(SeekTarget::Gas(link.gas_total + 1)).unwrap_err();
    let expected = format!(
        "gas {0} is beyond the chain, which ends with snapshot {last} at gas {1}",
        link.gas_total + 1,
        link.gas_total
    );
    assert_eq!((failure.code(), failure.what()), (2, &*expected));
}

#[test]
fn a_snapshot_to_which_its_segment_does_not_lead_is_not_passed() {
    let sample = Sample::new(PROGRAM, &["run", "3"], 300);
    let mut chain = ChainFiles::open(sample.dir.path()).unwrap();
    chain.links.get_mut(&2).unwrap().hash = [7; 32];
    let job = chain.job.clone().unwrap();
    let files = JobFiles { program: sample.job.program.clone(), ..JobFiles::default() };
    let mut timeline = Timeline::open(&chain, &Rerun::new(job, &files, sample.dir.path()), 1 << 26).unwrap();
    timeline.seek(SeekTarget::Gas(chain.links[&1].gas_total + 5)).unwrap();
    let failure = timeline.run_to(&Breakpoint::HostCall, Direction::Forward).unwrap_err();
    assert_eq!((failure.code(), failure.what()), (65, "the segment before it does not lead to snapshot 2"));
}

#[test]
fn a_trap_is_where_its_instruction_is_about_to_be_executed() {
    let text = "(module (func (export \"f\") (drop (i32.div_u (i32.const 1) (i32.const 0)))))";
    let sample = Sample::new(text, &["f"], 1000);
    let mut timeline = sample.timeline_of_start();
    timeline.seek(SeekTarget::Trap).unwrap();
    let view = timeline.view().unwrap();
    assert_eq!(view.frames[0].instruction.as_deref(), Some("i32.div_u"));
    assert_eq!(view.frames[0].operands, ["i32 1", "i32 0"]);
    assert_eq!(timeline.step(5).unwrap(), 1);
    assert!(timeline.view().unwrap().phase.starts_with("trapped"));
}

impl Sample {
    /// A timeline of the job itself, without its chain.
    fn timeline_of_start(&self) -> Timeline {
        let node = self.start();
        let job = node.loaded().unwrap().job().unwrap().clone();
        let files = JobFiles { program: self.job.program.clone(), ..JobFiles::default() };
        Timeline::of_job(&Rerun::new(job, &files, self.dir.path()), u64::MAX, 1 << 26).unwrap()
    }
}

#[test]
fn breakpoints_are_met_in_both_directions() {
    let sample = Sample::new(PROGRAM, &["run", "3"], 300);
    let mut timeline = sample.timeline();
    let function = |function| Breakpoint::Function { instance: 0, function };
    let mut entered = Vec::new();
    while let Some(moment) = timeline.run_to(&function(1), Direction::Forward).unwrap() {
        entered.push(moment);
    }
    assert_eq!(entered.len(), 3);
    timeline.seek(SeekTarget::End).unwrap();
    let back = |timeline: &mut Timeline| timeline.run_to(&function(1), Direction::Backward).unwrap();
    assert_eq!([back(&mut timeline), back(&mut timeline)], [Some(entered[2]), Some(entered[1])]);

    timeline.seek(SeekTarget::Gas(0)).unwrap();
    let calls: Vec<_> = (0..3).map(|_| timeline.run_to(&Breakpoint::HostCall, Direction::Forward).unwrap()).collect();
    assert_eq!((calls[0].is_some(), calls[1] > calls[0], calls[2]), (true, true, None));
    for (byte, call) in [(0, calls[0]), (1, calls[1]), (2, None)] {
        assert_eq!(timeline.run_to_output(1, byte).unwrap(), call, "byte {byte}");
    }

    let count = Breakpoint::Condition(Arc::new(|machine: &mut Machine| machine.store.globals[0] == 6));
    timeline.seek(SeekTarget::Gas(0)).unwrap();
    let moment = timeline.run_to(&count, Direction::Forward).unwrap().unwrap();
    let globals = |timeline: &mut Timeline| timeline.view().unwrap().instances[0].globals.clone();
    assert_eq!(globals(&mut timeline), ["i64 6"]);
    timeline.back(1).unwrap();
    assert_eq!(globals(&mut timeline), ["i64 3"]);
    assert!(timeline.moment() < moment);
}

#[test]
fn a_call_is_stepped_over_and_out_of_and_back_over() {
    let sample = Sample::new(PROGRAM, &["run", "2"], 300);
    let mut timeline = sample.timeline();
    let call = Breakpoint::Function { instance: 0, function: 2 };
    timeline.run_to(&call, Direction::Forward).unwrap();
    let inside = timeline.moment();
    timeline.back(1).unwrap();
    let before = timeline.moment();
    assert!(timeline.step_over().unwrap());
    let over = timeline.moment();
    timeline.seek(SeekTarget::Moment(inside)).unwrap();
    assert!(timeline.step_out().unwrap());
    assert_eq!(timeline.moment(), over);
    assert!(timeline.back_over().unwrap());
    assert_eq!(timeline.moment(), before);
}

#[test]
fn writers_are_those_of_a_plain_run_in_both_directions() {
    let sample = Sample::new(PROGRAM, &["run", "4"], 300);
    let bytes = wat::parse_str(PROGRAM).unwrap();
    let stores: BTreeSet<u32> = watched(&sample)
        .iter()
        .filter(|(_, offset, accesses)| !accesses.is_empty() && (0x36..=0x3e).contains(&bytes[*offset as usize]))
        .map(|(_, offset, _)| *offset)
        .collect();
    let mut timeline = sample.timeline();
    let end = timeline.seek(SeekTarget::End).unwrap();
    let log = watched(&sample);
    for (address, length) in [(1024, 4), (1030, 1), (1096, 8), (8192, 4), (0, 4), (30000, 16)] {
        let range = MemoryRange { memory: 0, address, length };
        let meets = |access: &Access| access.address < address + length && address < access.address + access.length;
        let writes: Vec<Moment> = log
            .iter()
            .filter(|(_, offset, accesses)| stores.contains(offset) && accesses.iter().any(meets))
            .map(|(gas, _, _)| Moment::at_gas(*gas))
            .collect();
        let (mut found, mut at) = (Vec::new(), Moment::default());
        while let Some(moment) = timeline.next_write(range, at).unwrap() {
            found.push(moment);
            at = moment;
        }
        assert_eq!(found, writes, "from {address} on");
        let (mut found, mut at) = (Vec::new(), Moment { steps: 1, ..end });
        while let Some(moment) = timeline.last_write(range, at).unwrap() {
            found.push(moment);
            at = moment;
        }
        found.reverse();
        assert_eq!(found, writes, "back from the end, {address}");
    }
    // The count that the host function writes, which is 1 both times.
    let range = MemoryRange { memory: 0, address: 8, length: 4 };
    let write = timeline.last_write(range, end).unwrap().unwrap();
    timeline.seek(SeekTarget::Moment(write)).unwrap();
    assert_eq!(timeline.view().unwrap().frames[0].instruction.as_deref(), Some("call"));
    assert_eq!(timeline.last_write(range, write).unwrap(), None);
}

#[test]
fn writers_in_long_stretches_are_found_by_the_marks_of_pages() {
    let sample = Sample::new(PROGRAM, &["run", "8000"], 900_000);
    let log = watched(&sample);
    let mut timeline = sample.timeline();
    let end = timeline.seek(SeekTarget::End).unwrap();
    assert!(end.gas > 1_500_000, "{end}");
    for (address, at) in [(8192, end.gas), (8192, 900_001), (8192, 1_234_567), (0, end.gas), (30000, end.gas)] {
        let range = MemoryRange { memory: 0, address, length: 4 };
        let is_write = |access: &Access| access.address == address && access.length == 4;
        // What reads there are the host functions, which are no accesses of an instruction.
        let writes = log.iter().filter(|(_, _, accesses)| accesses.iter().any(is_write));
        let writes: Vec<Moment> = writes.map(|(gas, _, _)| Moment::at_gas(*gas)).collect();
        let last = writes.iter().rev().find(|moment| moment.gas < at).copied();
        let next = writes.iter().find(|moment| moment.gas > at).copied();
        assert_eq!(timeline.last_write(range, Moment::at_gas(at)).unwrap(), last, "{address} before {at}");
        assert_eq!(timeline.next_write(range, Moment::at_gas(at)).unwrap(), next, "{address} after {at}");
    }
}

#[test]
fn the_history_of_a_value_has_every_change_with_its_moment() {
    let sample = Sample::new(PROGRAM, &["run", "4"], 300);
    let mut timeline = sample.timeline();
    let end = timeline.seek(SeekTarget::End).unwrap();
    let number = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| u64::from(bytes[0]));
    let mut values = |watched, most| {
        let changes = timeline.history(watched, Moment::default(), end, most).unwrap();
        changes
            .iter()
            .map(|change| (number(&change.before).unwrap(), number(&change.after).unwrap()))
            .collect::<Vec<_>>()
    };
    let global = Watched::Global { instance: 0, global: 0 };
    assert_eq!(values(global, 100), [(0, 3), (3, 6), (6, 9), (9, 12)]);
    assert_eq!(values(global, 2), [(0, 3), (3, 6)]);
    let memory = Watched::Memory(MemoryRange { memory: 0, address: 1028, length: 1 });
    assert_eq!(values(memory, 100), [(0, 1), (1, 2), (2, 3), (3, 4)]);
    let local = Watched::Local { frame: 0, slot: 1 };
    assert_eq!(values(local, 3), [(0, 1), (1, 2), (2, 3)]);
}

#[test]
fn a_small_budget_keeps_no_copies_and_changes_nothing() {
    let sample = Sample::new(PROGRAM, &["run", "3"], 300);
    let plain = sample.plainly();
    let chain = ChainFiles::open(sample.dir.path()).unwrap();
    let job = chain.job.clone().unwrap();
    let files = JobFiles { program: sample.job.program.clone(), ..JobFiles::default() };
    let mut timeline = Timeline::open(&chain, &Rerun::new(job, &files, sample.dir.path()), 0).unwrap();
    for moment in plain.iter().step_by(97) {
        timeline.seek(SeekTarget::Gas(moment.0)).unwrap();
        assert_eq!(here(&mut timeline), *moment);
    }
    assert_eq!(timeline.kept_bytes(), 0);
}

#[test]
fn under_a_schedule_with_free_steps_every_step_is_a_moment_of_its_own() {
    let text = "(module (func (export \"f\") (param $n i32) (result i32)
        (loop $next (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $n)))";
    let mut sample = Sample::new(text, &["f", "3"], 1000);
    std::fs::write(sample.dir.path().join("free.csv"), "*,1\nblock,0\nloop,0\nend,0\nbr_if,0\n").unwrap();
    sample.job.gas_schedule = Some(sample.dir.path().join("free.csv").display().to_string());
    let node = sample.start();
    let job = node.loaded().unwrap().job().unwrap().clone();
    let files = JobFiles { program: sample.job.program.clone(), ..JobFiles::default() };
    let mut timeline = Timeline::of_job(&Rerun::new(job, &files, sample.dir.path()), 1000, 1 << 26).unwrap();
    let mut moments = vec![timeline.moment()];
    while timeline.step(1).unwrap() == 1 {
        moments.push(timeline.moment());
    }
    let free = moments.iter().filter(|moment| moment.steps > 0).count();
    assert_eq!(free, 3, "{moments:?}");
    for moment in moments.iter().rev().skip(1) {
        timeline.back(1).unwrap();
        assert_eq!(timeline.moment(), *moment);
    }
}
