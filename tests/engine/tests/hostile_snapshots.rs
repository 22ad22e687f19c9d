//! Snapshots are hostile input: whatever a file says, loading it ends with the state that it says or with an error that
//! names what is wrong, before anything is allocated for it.

use engine_tests::mutate::{
    Figures, Subject, assert_all, case, changed, forge, loaded, seal, subjects, with_elements, with_snap,
};
use engine_tests::session::{Drive, Files, Job, OUT, drive, load, program, wasmfile, with};
use stepmark_core::code::Body;
use stepmark_core::module::{Features, Module};
use stepmark_snapshot::bin::{BinHeader, BinWriter};
use stepmark_snapshot::snap;
use stepmark_state::canonical::{FrameState, HostState, Phase, SpaceState};
use stepmark_state::pages::{PAGE, SPACE_MEMORY, SPACE_TABLE};

fn subject(name: &str) -> Subject {
    subjects().into_iter().find(|s| s.name == name).unwrap()
}

/// Greatest resident size of this process so far, in bytes, where the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[test]
fn changed_snapshots_are_refused_or_mean_what_they_say() {
    let subjects = subjects();
    let mut figures = Figures::default();
    let before = peak();
    for number in 0..4_000 {
        case(&subjects, 1, number, &mut figures);
    }
    let grown = peak().zip(before).map(|(after, before)| (after - before) >> 20);
    println!("{figures:?}, peak memory grew by {grown:?} MiB");
    assert_eq!(figures.failures, Vec::<String>::new());
    assert!(figures.fields >= 2_000 && figures.bytes >= 1_000 && figures.pages >= 300, "{figures:?}");
    assert!((300..2_000).contains(&figures.accepted), "{figures:?}");
    assert!(grown.is_none_or(|mib| mib < 200), "peak memory grew by {grown:?} MiB");
}

/// The offsets at which a frame could be as far as its shape tells, from the decoded bodies alone: the right heights, in
/// an outer frame after a call of the function that the next frame runs.
fn plausible(module: &Module, frame: &FrameState, next: Option<&FrameState>) -> Vec<u32> {
    let body = Body::decode(module, frame.func);
    let fits = |index: &usize| {
        let instr = body.instrs[*index];
        let height = instr.height as usize;
        match next {
            None => height == frame.operands.len(),
            Some(next) => {
                let results = module.func_type(next.func).results.len();
                let call = index.checked_sub(1).map(|before| body.instrs[before]);
                let calls = call.is_some_and(|c| c.op.mnemonic() == "call" && c.imm == u64::from(next.func));
                calls && height == frame.operands.len() + results
            }
        }
    };
    let indices = (0..body.instrs.len()).filter(fits);
    indices.map(|index| body.instrs[index].offset).filter(|offset| body.index_of(*offset).is_some()).collect()
}

#[test]
fn of_every_offset_in_every_frame_only_those_that_fit_load() {
    for name in ["fib32", "fib32, paused"] {
        let subject = subject(name);
        let bytes = subject.job.inputs.values().next().unwrap().clone();
        let (module, length) = (Module::parse(bytes.clone(), Features::default()).unwrap(), bytes.len() as u32);
        let (mut tried, mut accepted) = (0, 0);
        for (number, frame) in subject.raw.state.frames.iter().enumerate() {
            let mut fitting = Vec::new();
            for offset in 0..=length + 2 {
                tried += 1;
                let end = changed(&subject, |raw| raw.state.frames[number].offset = offset);
                if end == "loaded" {
                    fitting.push(offset);
                }
            }
            accepted += fitting.len();
            let expected = plausible(&module, frame, subject.raw.state.frames.get(number + 1));
            assert_eq!(fitting, expected, "{name}: frame {number} of function {}", frame.func);
            assert!(fitting.contains(&frame.offset));
        }
        println!("{name}: {} frames, {tried} offsets, {accepted} accepted", subject.raw.state.frames.len());
        assert!(tried > 300 && accepted < tried / 8);
    }
}

#[test]
fn offsets_with_other_types_of_the_same_height_are_refused() {
    // The frame of `run` holds a float reference where an integer would be elsewhere.
    let text = "(module (func (export \"run\") (result i32) (local i32)
        (i32.const 1) (f32.const 2) (drop) (i64.const 3) (drop) (ref.null func) (drop)
        (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 9))))))";
    let [subject, _] = Subject::both("types", Job::new(program(text), "", "program.wasm run"), 20, 1);
    let module = Module::parse(subject.job.inputs["program.wasm"].clone(), Features::default()).unwrap();
    let body = Body::decode(&module, 0);
    let drops: Vec<u32> = body.instrs.iter().filter(|i| i.op.mnemonic() == "drop").map(|i| i.offset).collect();
    let at = |offset: u32, top: u64| {
        changed(&subject, |raw| {
            let frame = &mut raw.state.frames[0];
            (frame.offset, frame.operands) = (offset, vec![1, top]);
        })
    };
    assert_all(vec![
        ("loaded", at(drops[0], 0xffff_ffff)),
        ("frame 0: slot of an operand 1: state: a value is 0x100000000, expected a valid f32", at(drops[0], 1 << 32)),
        ("loaded", at(drops[1], u64::MAX)),
        ("loaded", at(drops[2], 1)),
        ("frame 0: slot of an operand 1: state: a value is 0x2, expected a valid funcref", at(drops[2], 2)),
        (
            "frame 0: slot of an operand 1: state: a value is 0x100000001, expected a valid funcref",
            at(drops[2], (1 << 32) + 1),
        ),
    ]);
}

#[test]
fn length_bombs_are_refused_before_anything_is_allocated() {
    let subject = subject("fib32");
    let whole = subject.files[&subject.snap_path()].clone();
    let body = whole[..whole.len() - 32].to_vec();
    let claim = |at: usize, length: u64| {
        let mut bytes = body.clone();
        bytes[at..at + 8].copy_from_slice(&length.to_le_bytes());
        with_snap(&subject, seal(bytes))
    };
    let pages = |pages: u64| {
        changed(&self::subject("grow_table_trap"), |raw| {
            raw.state.instances[0].memories[0] = pages;
            raw.state.spaces[0].pages = pages.saturating_mul(16);
        })
    };
    assert_all(vec![
        ("out/2.snap: the job claims 16777217 bytes, at most 16777216 are allowed", claim(56, (16 << 20) + 1)),
        ("out/2.snap: the segment claims 129 bytes, at most 128 are allowed", claim(64, 129)),
        ("out/2.snap: the state claims 18446744073709551615 bytes, at most 268435456 are allowed", claim(72, u64::MAX)),
        ("state: pages of memory 0 is 65536, expected in 1..=100", pages(65_536)),
        ("out/3.snap: state: memory 0 has 18446744073709551615 pages", pages(u64::MAX)),
    ]);
}

#[test]
fn trailing_and_overlong_bytes_are_refused() {
    let subject = subject("fib32");
    let whole = subject.files[&subject.snap_path()].clone();
    let mut appended = whole.clone();
    appended.push(0);
    let length = |section: usize| u64::from_le_bytes(whole[56 + 8 * section..64 + 8 * section].try_into().unwrap());
    // One byte more at the end of a section, with its length.
    let longer = |section: usize| {
        let mut bytes = whole[..whole.len() - 32].to_vec();
        let end = 80 + (0..=section).map(&length).sum::<u64>() as usize;
        bytes.insert(end, 0);
        bytes[56 + 8 * section..64 + 8 * section].copy_from_slice(&(length(section) + 1).to_le_bytes());
        with_snap(&subject, seal(bytes))
    };
    // The phase, 2, as the two bytes 0x82 0x00.
    let overlong = {
        let mut bytes = whole[..whole.len() - 32].to_vec();
        let start = 80 + (length(0) + length(1)) as usize;
        bytes.splice(start..=start, [0x82, 0]);
        bytes[72..80].copy_from_slice(&(length(2) + 1).to_le_bytes());
        with_snap(&subject, seal(bytes))
    };
    let expected = format!("out/2.snap: {} bytes, expected {} by its header", appended.len(), whole.len());
    assert_all(vec![
        (&expected, with_snap(&subject, appended.clone())),
        ("out/2.snap: job: 1 bytes after its end", longer(0)),
        ("out/2.snap: segment: 1 bytes after its end", longer(1)),
        ("out/2.snap: state: 1 bytes after its end", longer(2)),
        ("out/2.snap: state: not the canonical encoding", overlong),
    ]);
}

#[test]
fn positions_that_no_run_reaches_are_refused() {
    let (fib, linked) = (subject("fib32"), subject("linked, paused"));
    let last = fib.raw.state.frames.len() - 1;
    let offset = |offset: u32| changed(&fib, |raw| raw.state.frames[0].offset = offset);
    let end = fib.job.inputs["fib32.wasm"].len() as u32;
    let func = |func: u32| changed(&fib, |raw| raw.state.frames[0].func = func);
    let frames = |change: &dyn Fn(&mut Vec<FrameState>)| changed(&fib, |raw| change(&mut raw.state.frames));
    assert_eq!(linked.raw.state.frames[0].func, 4, "{:?}", linked.raw.state.frames);
    assert_all(vec![
        ("frame 0: offset 0x0 is no instruction of function 0 that can be reached", offset(0)),
        ("frame 0: offset 0xffffffff is no instruction of function 0 that can be reached", offset(u32::MAX)),
        (&format!("frame 0: offset {end:#x} is no instruction of function 0 that can be reached"), offset(end)),
        ("frame 0: state: a function is 1, expected in 0..1", func(1)),
        ("frame 0: state: a function is 4294967295, expected in 0..1", func(u32::MAX)),
        (
            "frame 0: state: an instance is 1, expected one of the program's",
            changed(&fib, |raw| raw.state.frames[0].instance = 1),
        ),
        // An imported function has no frames.
        ("frame 0: state: a function is 0, expected in 3..5", changed(&linked, |raw| raw.state.frames[0].func = 0)),
        (
            "frame 0: state: what runs is function 3 of instance 1, expected function 4 of instance 1, which was called",
            changed(&linked, |raw| raw.state.frames[0].func = 3),
        ),
        (
            "frame 0: state: the instruction before is no call, expected the call of the next frame",
            frames(&|f| {
                let top = f[last].clone();
                *f = vec![top.clone(), top];
            }),
        ),
        ("state: the number of frames is 0, expected one or more", frames(&|f| f.clear())),
        (
            "state: the call depth is 2001, expected at most 2000",
            frames(&|f| {
                let outer = f[0].clone();
                f.splice(0..0, std::iter::repeat_n(outer, 2_000 - last));
            }),
        ),
        (
            "state: awaits the answer of a host call, but the next instruction is none",
            changed(&fib, |raw| raw.state.awaiting = true),
        ),
        (
            "state: the phase Finished is not one of this run that could go on",
            changed(&fib, |raw| raw.state.phase = Phase::Finished),
        ),
        (
            "state: the phase Initialize is not one of this run that could go on",
            changed(&fib, |raw| raw.state.phase = Phase::Initialize),
        ),
        (
            "state: the phase Start { instance: 0 } is not one of this run that could go on",
            changed(&fib, |raw| raw.state.phase = Phase::Start { instance: 0 }),
        ),
    ]);
}

#[test]
fn values_of_other_number_or_type_are_refused() {
    let subject = subject("fib32");
    let frame = |change: &dyn Fn(&mut FrameState)| changed(&subject, |raw| change(&mut raw.state.frames[0]));
    let operands = subject.raw.state.frames[0].operands.len();
    assert_all(vec![
        ("frame 0: state: the number of locals is 0, expected 1", frame(&|f| f.locals.clear())),
        ("frame 0: state: the number of locals is 2, expected 1", frame(&|f| f.locals.push(0))),
        (
            "frame 0: slot of a local 0: state: a value is 0x100000000, expected a valid i32",
            frame(&|f| f.locals[0] = 1 << 32),
        ),
        (
            &format!("frame 0: state: the number of operands is {}, expected {operands}", operands + 1),
            frame(&|f| f.operands.push(0)),
        ),
        (
            "state: results of an entry that has not returned",
            changed(&subject, |raw| raw.state.results.push(1)).replace("out/2.snap: ", ""),
        ),
    ]);
}

#[test]
fn shapes_of_instances_are_checked_at_both_ends_of_their_ranges() {
    let grown = subject("references");
    assert_eq!((grown.raw.state.instances[0].memories[0], &grown.raw.state.instances[0].tables), (1, &vec![12, 2]));
    // The contents are checked after the shape: another size of the same number of 4 KiB pages has another root, or none.
    let memory = |pages: u64| {
        changed(&grown, |raw| {
            raw.state.instances[0].memories[0] = pages;
            raw.state.spaces[0].pages = pages.wrapping_mul(16);
        })
    };
    let table = |size: u64| changed(&grown, |raw| raw.state.instances[0].tables[0] = size);
    let global = |index: usize, value: u64| changed(&grown, |raw| raw.state.instances[0].globals[index] = value);
    let dropped = |data: &[u32], elements: &[u32]| {
        changed(&grown, |raw| {
            raw.state.instances[0].dropped_data = data.to_vec();
            raw.state.instances[0].dropped_elements = elements.to_vec();
        })
    };
    assert_all(vec![
        ("state: pages of memory 0 is 0, expected in 1..=3", memory(0)),
        ("loaded", memory(1)),
        // More zeros have the same root: consistent, so for re-execution to find.
        ("loaded", memory(3)),
        ("state: pages of memory 0 is 4, expected in 1..=3", memory(4)),
        ("state: elements of table 0 is 2, expected in 3..=40", table(2)),
        ("out/1.bin: table 0: page 0 has elements beyond the end", table(3)),
        ("loaded", table(40)),
        ("state: elements of table 0 is 41, expected in 3..=40", table(41)),
        ("loaded", global(0, 2)),
        ("instance 0: slot 0 of the globals: state: a value is 0x9, expected a valid funcref", global(0, 9)),
        ("instance 0: state: slot 1 of the globals, an immutable one, is 0, expected 1069547520", global(1, 0)),
        ("loaded", global(2, 5)),
        ("loaded", dropped(&[0, 1], &[0])),
        ("loaded", dropped(&[1], &[0, 1])),
        ("instance 0: state: active data segment 1 is not dropped, expected dropped", dropped(&[0], &[0])),
        ("instance 0: state: active element segment 0 is not dropped, expected dropped", dropped(&[1], &[])),
        ("instance 0: state: a dropped data segment is 2, expected below 2", dropped(&[1, 2], &[0])),
        ("instance 0: state: a dropped element segment is 2, expected below 2", dropped(&[1], &[0, 2])),
        ("out/3.snap: state: instance 0: dropped data segment 1 is not in ascending order", dropped(&[1, 1], &[0])),
        (
            "instance 0: state: the number of slots of globals is 2, expected 3",
            changed(&grown, |raw| raw.state.instances[0].globals.truncate(2)),
        ),
        (
            "instance 0: state: the number of memories is 2, expected 1",
            changed(&grown, |raw| raw.state.instances[0].memories.push(1)),
        ),
        (
            "instance 0: state: the number of tables is 1, expected 2",
            changed(&grown, |raw| raw.state.instances[0].tables.truncate(1)),
        ),
        (
            "state: the number of instances is 2, expected 1",
            changed(&grown, |raw| raw.state.instances.push(Default::default())),
        ),
        ("state: host modules none, expected wasi_snapshot_preview1", changed(&grown, |raw| raw.state.hosts.clear())),
        (
            "state: host modules wasi_snapshot_preview1 x, expected wasi_snapshot_preview1",
            changed(&grown, |raw| raw.state.hosts.push(HostState { name: "x".into(), bytes: vec![] })),
        ),
        (
            "the contents of memory 0 do not have the root that the .snap commits to",
            changed(&grown, |raw| raw.state.spaces[0].root[0] ^= 1),
        ),
    ]);
}

#[test]
fn lists_of_spaces_that_the_program_does_not_have_are_refused() {
    let grown = subject("references");
    let spaces = |change: &dyn Fn(&mut Vec<SpaceState>)| changed(&grown, |raw| change(&mut raw.state.spaces));
    let says = |found: &str| {
        format!(
            "state: the list of spaces (kind, index, pages) is {found}, expected [(1, 0, 16), (2, 0, 1), (2, 1, 1)]"
        )
    };
    assert_all(vec![
        ("loaded", spaces(&|_| ())),
        (&says("[(1, 0, 17), (2, 0, 1), (2, 1, 1)]"), spaces(&|spaces| spaces[0].pages += 1)),
        (&says("[(1, 0, 15), (2, 0, 1), (2, 1, 1)]"), spaces(&|spaces| spaces[0].pages -= 1)),
        (&says("[(1, 0, 16), (2, 0, 1), (2, 7, 1)]"), spaces(&|spaces| spaces[2].index = 7)),
        (&says("[(1, 0, 16)]"), spaces(&|spaces| spaces.truncate(1))),
        ("out/3.snap: state: table 1 is not in ascending order of spaces", spaces(&|spaces| spaces[1].index = 7)),
        (
            "out/3.snap: state: table 0 is not in ascending order of spaces",
            spaces(&|spaces| spaces.push(spaces[1].clone())),
        ),
    ]);
}

#[test]
fn gas_that_cannot_be_is_refused() {
    let subject = subject("fib32, paused");
    let used = subject.raw.segment.gas_used;
    let limit = subject.raw.segment.limit;
    assert_all(vec![
        (
            &format!("state: {} gas in total, expected at least the segment's {used}", used - 1),
            changed(&subject, |raw| raw.state.gas_total = used - 1),
        ),
        (
            &format!("out/paused.snap: segment: {} gas used, over its limit {limit}", limit + 1),
            changed(&subject, |raw| raw.segment.gas_used = limit + 1),
        ),
    ]);
    // A total at the end of the counter is consistent, and ends with an error instead of a run that never ends.
    let mut raw = subject.raw.clone();
    raw.state.gas_total = u64::MAX;
    let mut files = subject.files.clone();
    files.insert(subject.snap_path(), forge(&raw));
    let run = drive(&with(subject.job.inputs.clone(), &files), &subject.resume_argv(), Drive::WHOLE).unwrap();
    let text = "18446744073709551615 gas have been used: the counter holds no more";
    assert_eq!(run.end, engine_tests::session::End::Error(text.to_owned()));
}

#[test]
fn a_snapshot_of_another_job_is_refused_by_what_differs() {
    let linked = subject("linked");
    let resume = |inputs: &Files, flags: &str| {
        let line = format!("--snapshot-input {OUT} --snapshot-id 1 {flags}");
        let result = load(&with(inputs.clone(), &linked.files), &engine_tests::session::words(&line));
        result.err().map_or_else(|| "loaded".to_owned(), |e| e.message().to_owned())
    };
    let flags = "--max-memory 4194304 --max-call-depth 2000 --preload lib=linked_b.wasm";
    let mut other = linked.job.inputs.clone();
    let swap = |files: &mut Files, name: &str| {
        let text = wat::parse_str("(module (func (export \"run\") (result i32) (i32.const 1)))").unwrap();
        files.insert(name.to_owned(), text);
    };
    swap(&mut other, "linked_a.wasm");
    let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    let program = format!(
        "the snapshot belongs to another job: the program's hash is {}, the snapshot has {}",
        hash(&other["linked_a.wasm"]),
        hash(&linked.job.inputs["linked_a.wasm"])
    );
    let mut library = linked.job.inputs.clone();
    swap(&mut library, "linked_b.wasm");
    let lib = hash(&linked.job.inputs["linked_b.wasm"]);
    let preloaded = |found: &str| {
        format!(
            "the snapshot belongs to another job: the list of preloaded modules is {found}, the snapshot has lib ({lib})"
        )
    };
    let limits = |depth: u32| {
        format!(
            "Limits {{ call_depth: {depth}, stack_slots: 8388608, memory_bytes: 4194304, table_elements: 10000000, \
             file_bytes: 1073741824, exception_slots: 1048576 }}, clock rate 1, seed 0, preopened '', environment [], features {:?}",
            Features::default().list()
        )
    };
    let configuration = format!(
        "the snapshot belongs to another job: the configuration is {}, the snapshot has {}",
        limits(2001),
        limits(2000)
    );
    let version = |path: &str| {
        let mut files = linked.files.clone();
        let mut bytes = files[path][..files[path].len() - 32].to_vec();
        bytes[8] = 1;
        files.insert(path.to_owned(), seal(bytes));
        loaded(&linked, &files)
    };
    assert_all(vec![
        ("loaded", resume(&linked.job.inputs, &format!("{flags} linked_a.wasm run"))),
        ("loaded", resume(&linked.job.inputs, "--preload lib=linked_b.wasm linked_a.wasm")),
        (&program, resume(&other, &format!("{flags} linked_a.wasm run"))),
        (
            &preloaded(&format!("lib ({})", hash(&library["linked_b.wasm"]))),
            resume(&library, &format!("{flags} linked_a.wasm run")),
        ),
        (&preloaded("empty"), resume(&linked.job.inputs, "linked_a.wasm run")),
        (
            &preloaded(&format!("bil ({lib})")),
            resume(&linked.job.inputs, "--preload bil=linked_b.wasm linked_a.wasm run"),
        ),
        (
            "the snapshot belongs to another job: the gas schedule is seed-ordinal, the snapshot has default",
            resume(&linked.job.inputs, &format!("{flags} --gas-schedule seed-ordinal linked_a.wasm run")),
        ),
        (&configuration, resume(&linked.job.inputs, &format!("{} linked_a.wasm run", flags.replace("2000", "2001")))),
        (
            "the snapshot belongs to another job: --stdin is 1 bytes \
             48fc721fbbc172e0925fa27af1671de225ba927134802998b10a1568a188652b, the snapshot has none",
            resume(
                &with(linked.job.inputs.clone(), &Files::from([("s".to_owned(), vec![1])])),
                &format!("{flags} --stdin s linked_a.wasm run"),
            ),
        ),
        ("out/1.snap: format version 1, expected 3 at byte 8", version("out/1.snap")),
        ("out/1.bin: format version 1, expected 3 at byte 8", version("out/1.bin")),
    ]);
}

/// A `.bin` with these pages (space kind, space, page, byte that fills it), and its hash.
fn bin(header: BinHeader, pages: &[(u8, u32, u64, u8)]) -> (Vec<u8>, [u8; 32]) {
    let mut bytes = Vec::new();
    let mut writer = BinWriter::new(&header, &mut bytes);
    for space in pages.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        writer.space(space[0].0, space[0].1, space.len() as u64, &mut bytes);
        for (_, _, page, byte) in space {
            writer.page(*page, &[*byte; PAGE], &mut bytes);
        }
    }
    let hash = writer.finish(&mut bytes);
    (bytes, hash)
}

#[test]
fn the_chain_of_bin_files_must_be_whole_in_order_and_of_one_run() {
    let subject = subject("references");
    let job = &subject.job;
    let gas = job.start("", Drive::WHOLE).unwrap().gas;
    // The same job under another limit: another chain of the same job.
    let other = job.start(&format!("--gas-limit {} --enable-gas-refill", gas / 6 + 1), Drive::WHOLE).unwrap();
    let foreign = Job { call: engine_tests::session::words("program.wasm run 51"), ..job.clone() };
    let foreign = foreign.start(&format!("--gas-limit {} --enable-gas-refill", gas / 5 + 1), Drive::WHOLE).unwrap();
    let change = |change: &dyn Fn(&mut Files)| {
        let mut files = subject.files.clone();
        change(&mut files);
        loaded(&subject, &files)
    };
    let replace = |path: &str, bytes: Vec<u8>| change(&|files| drop(files.insert(path.to_owned(), bytes.clone())));
    let own = |id: u64| subject.files[&format!("out/{id}.bin")].clone();
    let mut torn = own(2);
    torn.truncate(torn.len() - 1);
    let mut damaged = own(2);
    let last = damaged.len() - 40;
    damaged[last] ^= 1;
    let cut = format!("out/2.bin: cut short in the trailer at byte {}", torn.len());
    let trailer = damaged.len() - 32;
    let hash = format!("out/2.bin: the contents do not have the hash that the trailer names at byte {trailer}");
    assert_all(vec![
        ("loaded", change(&|_| ())),
        ("out/2.bin: no such file", change(&|files| drop(files.remove("out/2.bin")))),
        ("out/1.bin: no such file, nor a base.bin", change(&|files| drop(files.remove("out/1.bin")))),
        (
            "out/1.bin: is of snapshot 2, expected 1",
            change(&|files| {
                let (a, b) = (files["out/1.bin"].clone(), files["out/2.bin"].clone());
                files.insert("out/1.bin".to_owned(), b);
                files.insert("out/2.bin".to_owned(), a);
            }),
        ),
        (
            "out/2.bin: does not follow the .bin before it: files of two chains are mixed",
            replace("out/1.bin", other.files["out/1.bin"].clone()),
        ),
        (
            "out/2.bin: does not follow the .bin before it: files of two chains are mixed",
            replace("out/2.bin", other.files["out/2.bin"].clone()),
        ),
        (
            "out/3.bin: does not follow the .bin before it: files of two chains are mixed",
            replace("out/3.bin", other.files["out/3.bin"].clone()),
        ),
        ("out/1.bin: belongs to another job", replace("out/1.bin", foreign.files["out/1.bin"].clone())),
        ("out/3.snap: a .bin file, expected a .snap file at byte 0", replace("out/3.snap", own(3))),
        (
            "out/2.bin: a .snap file, expected a .bin file at byte 0",
            replace("out/2.bin", subject.files["out/3.snap"].clone()),
        ),
        (&cut, replace("out/2.bin", torn.clone())),
        (&hash, replace("out/2.bin", damaged.clone())),
    ]);
    assert_eq!(snap::decode(&subject.files["out/3.snap"]).unwrap().segment.id, 3);
}

#[test]
fn pages_that_did_not_change_or_lie_outside_are_refused() {
    let subject = subject("references");
    let header = |id: u64, previous: [u8; 32]| BinHeader {
        base: false,
        paused: false,
        id,
        job_hash: subject.raw.job.job_hash(),
        previous,
    };
    let hash = |id: u64| *subject.files[&format!("out/{id}.bin")].last_chunk::<32>().unwrap();
    let third = |pages: &[(u8, u32, u64, u8)]| {
        let (bytes, hash) = bin(header(3, hash(2)), pages);
        let mut raw = subject.raw.clone();
        raw.segment.bin = hash;
        let mut files = subject.files.clone();
        files.insert("out/3.bin".to_owned(), bytes);
        files.insert("out/3.snap".to_owned(), forge(&raw));
        loaded(&subject, &files)
    };
    let first = subject.files["out/1.bin"].clone();
    assert!(first.len() > 100);
    assert_all(vec![
        ("the contents of memory 0 do not have the root that the .snap commits to", third(&[(SPACE_MEMORY, 0, 0, 7)])),
        // Page 9 is zero from the start.
        ("out/3.bin: memory 0: page 9 is there, but did not change", third(&[(SPACE_MEMORY, 0, 9, 0)])),
        ("out/3.bin: memory 0: page 16, it has 16", third(&[(SPACE_MEMORY, 0, 16, 7)])),
        ("out/3.bin: memory 1 is none of the program's", third(&[(SPACE_MEMORY, 1, 0, 7)])),
        ("out/3.bin: table 2 is none of the program's", third(&[(SPACE_TABLE, 2, 0, 7)])),
        // The table ends within its page; what is beyond would be lost.
        ("out/3.bin: table 0: page 0 has elements beyond the end", third(&[(SPACE_TABLE, 0, 0, 7)])),
    ]);
}

#[test]
fn table_elements_that_are_no_references_are_refused_though_all_hashes_are_right() {
    let subject = subject("references");
    let with_elements = |kind, index, elements: &[u64]| with_elements(&subject, kind, index, elements);
    assert_all(vec![
        ("loaded", with_elements(SPACE_MEMORY, 0, &[u64::MAX])),
        ("loaded", with_elements(SPACE_TABLE, 0, &[1, 2, 0, 4])),
        (
            "table 0: element 3: state: a value is 0x63, expected a valid funcref",
            with_elements(SPACE_TABLE, 0, &[1, 2, 0, 0x63]),
        ),
        (
            "table 0: element 0: state: a value is 0x100000001, expected a valid funcref",
            with_elements(SPACE_TABLE, 0, &[(1 << 32) + 1]),
        ),
        (
            "table 1: element 1: state: a value is 0x100000001, expected a valid externref",
            with_elements(SPACE_TABLE, 1, &[0, (1 << 32) + 1]),
        ),
    ]);
}

#[test]
fn the_subjects_load_as_they_are() {
    let subjects = subjects();
    assert_eq!(subjects.len(), 14);
    for subject in &subjects {
        assert_eq!(loaded(subject, &subject.files), "loaded", "{}", subject.name);
        assert_eq!(forge(&subject.raw), subject.files[&subject.snap_path()], "{}", subject.name);
    }
    let (_, bytes) = wasmfile("fib32");
    assert_eq!(bytes, subjects[0].job.inputs["fib32.wasm"]);
}
