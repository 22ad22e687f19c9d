//! The command line, the same for the command face and for embedders of the reactor: flags, then the program, then what
//! belongs to the program.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

use std::collections::BTreeSet;

use lexopt::{Arg, Parser};
use stepmark_core::module::UNKNOWN_IMPORTS;
use stepmark_session::Session;
use stepmark_session::spec::{JobSpec, ResumeFrom};
use stepmark_snapshot::job::JobFunction;
use stepmark_state::canonical::{MAX_EXCEPTIONS, MAX_FRAMES};
use stepmark_state::encoding::hex;
use stepmark_state::error::JobError;

/// What `--help` prints.
pub const HELP: &str = "\
usage: guest-interp [FLAGS] PROGRAM.wasm [ENTRY] [ARGS]...

Runs PROGRAM, counts gas for every instruction and writes a snapshot whenever the limit is reached. A program with a
_start gets all positionals as its arguments; otherwise the first one names the export to call.
Flags with a * can be given more than once.

  --snapshot-input DIR     directory of the snapshot to resume from
  --snapshot-id N|paused   the snapshot to resume from
  --snapshot-output DIR    directory of the results (./snapshot)
  --gas-limit N            gas of a segment (none; on resume that of the snapshot)
  --keep-final             write the state at the end, a trap's too, as final.snap and final.bin
  --enable-gas-refill      go on with a new segment at the limit
  --gas-schedule NAME|FILE table of gas costs (default)
  --preload NAME=FILE *    a module that PROGRAM imports from
  --function M.N(i32)->() * an import that whoever runs the node answers
  --stub-imports trap|zero what imported functions do that nothing provides (else PROGRAM is refused)
  --store FILE             an export of the key-value store that PROGRAM reads
  --store-version N        its version, where whoever runs the node answers for it
  --contract NAME=FILE *   a contract that can be called by name
  --call-data TEXT|0xHEX   what PROGRAM, a contract, is called with
  --caller NAME            who calls it
  --calls DIR              take answers from DIR's .calls files
  --env K=V *              an environment variable (the last value wins)
  --stdin FILE             standard input (empty)
  --file PATH=FILE *       a file that PROGRAM finds at PATH; FILE is never written
  --preopen DIR *          an open directory, made if no file is in it (/ when there are files)
  --feature NAME=on|off *  a language feature (all are on)
  --max-memory BYTES       limit of all memories together
  --max-call-depth N       limit of the call stack, in frames
  --max-files BYTES        limit of all files that PROGRAM writes to together
  --max-exceptions SLOTS   limit of exceptions held by reference, 1 + payload each
  --clock-rate N           nanoseconds of PROGRAM's clocks for a unit of gas (1)
  --seed N                 seed of the random source (0)
  --selftest               is this runtime good enough? (uses the directory `.`)
  -h, --help               this text
  -V, --version            version of the node

Everything after PROGRAM belongs to PROGRAM.
";

/// Bytes of arguments, with one more for each, that whoever drives a run may hand over.
pub const MAX_ARGUMENTS: usize = 16 << 20;

/// Checks that the arguments are not too long for a run anywhere.
///
/// # Errors
/// A usage error that says how long they are.
pub fn check_length(argv: &[String]) -> Result<(), JobError> {
    let bytes = argv.iter().fold(0usize, |sum, arg| sum.saturating_add(arg.len()).saturating_add(1));
    if bytes > MAX_ARGUMENTS {
        return Err(JobError::usage(format!("the arguments take {bytes} bytes, at most {MAX_ARGUMENTS} are taken")));
    }
    Ok(())
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleCommand {
    /// Run or resume a program.
    Run(Box<JobSpec>),
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
    /// Check whether the runtime is good enough for this module.
    SelfTest,
}

/// The job that arguments (without `argv[0]`) ask for, of whoever answers a run's questions.
///
/// # Errors
/// A usage error that names the flag; also for `--help` and `--version`, which the faces answer themselves.
pub fn job(argv: &[String]) -> Result<JobSpec, JobError> {
    check_length(argv)?;
    match parse(argv)? {
        ModuleCommand::Run(spec) if spec.store.is_some() || spec.calls.is_some() => {
            Err(JobError::usage("--store and --calls are for the module's own command: answer its questions instead"))
        }
        ModuleCommand::Run(spec) => Ok(*spec),
        _ => Err(JobError::usage("--help and --version run no program")),
    }
}

/// A run of the [`job`] that arguments ask for.
///
/// # Errors
/// As those of [`job`].
pub fn session(argv: &[String]) -> Result<Session, JobError> {
    job(argv).map(Session::new)
}

/// The arguments that ask for a job: what [`job`] reads. Whoever drives a module, of whatever version, hands it these.
pub fn print(spec: &JobSpec) -> Vec<String> {
    let mut argv = Vec::new();
    let mut flag = |name: &str, value: Option<String>| {
        argv.extend(value.into_iter().flat_map(|value| [format!("--{name}"), value]));
    };
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    if let Some(ResumeFrom { dir, id }) = &spec.resume {
        flag("snapshot-input", Some(dir.clone()));
        flag("snapshot-id", Some(id.to_string()));
    }
    flag("snapshot-output", spec.snapshot_output.clone());
    flag("gas-limit", number(spec.gas_limit));
    flag("gas-schedule", spec.gas_schedule.clone());
    flag("max-memory", number(spec.max_memory));
    flag("max-call-depth", number(spec.max_call_depth.map(u64::from)));
    flag("max-files", number(spec.max_files));
    flag("max-exceptions", number(spec.max_exceptions.map(u64::from)));
    flag("clock-rate", number(spec.clock_rate));
    flag("seed", number(spec.seed));
    flag("stdin", spec.stdin.clone());
    flag("store", spec.store.clone());
    flag("calls", spec.calls.clone());
    flag("store-version", number(spec.store_version));
    flag("call-data", spec.call_data.as_ref().map(|data| format!("0x{}", hex(data))));
    flag("caller", spec.caller.clone().filter(|caller| !caller.is_empty()));
    spec.functions.iter().for_each(|function| flag("function", Some(function.text())));
    let pairs = [("preload", &spec.preload), ("env", &spec.env), ("file", &spec.files), ("contract", &spec.contracts)];
    for (name, pairs) in pairs {
        pairs.iter().for_each(|(key, value)| flag(name, Some(format!("{key}={value}"))));
    }
    spec.preopens.iter().for_each(|path| flag("preopen", Some(path.clone())));
    for (name, on) in &spec.features {
        flag("feature", Some(format!("{name}={}", if *on { "on" } else { "off" })));
    }
    let switches = [("--enable-gas-refill", spec.gas_refill), ("--keep-final", spec.keep_final)];
    argv.extend(switches.into_iter().filter(|(_, on)| *on).map(|(flag, _)| flag.to_owned()));
    argv.push(spec.program.clone());
    argv.extend(spec.positionals.iter().cloned());
    argv
}

/// Parses the arguments of the command, without `argv[0]`.
///
/// # Errors
/// A usage error that names the flag and what it expects.
pub fn parse(argv: &[String]) -> Result<ModuleCommand, JobError> {
    let mut parser = Parser::from_args(argv);
    let mut spec = JobSpec::default();
    let mut keys = SeenKeys::default();
    let mut input = None;
    let mut id = None;
    while let Some(arg) = parser.next().map_err(usage)? {
        let flag = match arg {
            Arg::Long("help") | Arg::Short('h') => return Ok(ModuleCommand::Help),
            Arg::Long("version") | Arg::Short('V') => return Ok(ModuleCommand::Version),
            Arg::Long("selftest") => return Ok(ModuleCommand::SelfTest),
            Arg::Long(name) => name.to_owned(),
            Arg::Value(program) => {
                spec.program = text("PROGRAM", program)?;
                let rest = parser.raw_args().map_err(usage)?;
                spec.positionals = rest.map(|arg| text("ARGS", arg)).collect::<Result<_, _>>()?;
                break;
            }
            other @ Arg::Short(_) => return Err(usage(other.unexpected())),
        };
        match flag.as_str() {
            "snapshot-input" => once(&flag, &mut input, directory(&flag, &mut parser)?)?,
            "snapshot-id" => {
                let given = value(&flag, &mut parser)?.parse().map_err(|e: JobError| e.context("--snapshot-id"))?;
                once(&flag, &mut id, given)?;
            }
            _ => take_flag(&mut spec, &mut keys, &flag, &mut parser)?,
        }
    }
    if spec.program.is_empty() {
        return Err(JobError::usage("no program is given: usage: guest-interp [FLAGS] PROGRAM.wasm [ENTRY] [ARGS]..."));
    }
    spec.resume = match (input, id) {
        (Some(dir), Some(id)) => Some(ResumeFrom { dir, id }),
        (None, None) => None,
        (Some(_), None) => warn(&mut spec, "--snapshot-input is given without --snapshot-id: starting from the start"),
        (None, Some(_)) => warn(&mut spec, "--snapshot-id is given without --snapshot-input: starting from the start"),
    };
    Ok(ModuleCommand::Run(Box::new(spec)))
}

fn warn<T>(spec: &mut JobSpec, warning: &str) -> Option<T> {
    spec.warnings.push(warning.to_owned());
    None
}

fn feature((name, value): (String, String)) -> Result<(String, bool), JobError> {
    match value.as_str() {
        "on" => Ok((name, true)),
        "off" => Ok((name, false)),
        _ => Err(JobError::usage(format!("--feature {name}: '{value}' is neither on nor off"))),
    }
}

/// What becomes of imports that nothing provides, as the job has it.
fn stubs(flag: &str, parser: &mut Parser) -> Result<(String, bool), JobError> {
    let text = value(flag, parser)?;
    match text.as_str() {
        "trap" | "zero" => Ok((UNKNOWN_IMPORTS.to_owned(), text == "zero")),
        _ => Err(JobError::usage(format!("--{flag}: '{text}' is neither trap nor zero"))),
    }
}

/// Where a flag goes that is any u64.
fn number_of<'a>(spec: &'a mut JobSpec, flag: &str) -> Option<&'a mut Option<u64>> {
    Some(match flag {
        "gas-limit" => &mut spec.gas_limit,
        "store-version" => &mut spec.store_version,
        "max-files" => &mut spec.max_files,
        "clock-rate" => &mut spec.clock_rate,
        "max-memory" => &mut spec.max_memory,
        "seed" => &mut spec.seed,
        _ => return None,
    })
}

/// Where a flag goes that is any text.
fn text_of<'a>(spec: &'a mut JobSpec, flag: &str) -> Option<&'a mut Option<String>> {
    Some(match flag {
        "gas-schedule" => &mut spec.gas_schedule,
        "store" => &mut spec.store,
        "caller" => &mut spec.caller,
        "stdin" => &mut spec.stdin,
        _ => return None,
    })
}

/// Where a flag goes that names a file by a key, and its form.
fn files_of<'a>(spec: &'a mut JobSpec, flag: &str) -> Option<(&'a mut Vec<(String, String)>, &'static str)> {
    Some(match flag {
        "preload" => (&mut spec.preload, "NAME=FILE"),
        "contract" => (&mut spec.contracts, "NAME=FILE"),
        "file" => (&mut spec.files, "PATH=FILE"),
        _ => return None,
    })
}

/// Takes a flag that says something of the job.
fn take_flag(spec: &mut JobSpec, keys: &mut SeenKeys, flag: &str, parser: &mut Parser) -> Result<(), JobError> {
    if let Some(slot) = number_of(spec, flag) {
        return once(flag, slot, number(flag, parser, 0, u64::MAX)?);
    }
    if let Some(slot) = text_of(spec, flag) {
        return once(flag, slot, value(flag, parser)?);
    }
    if let Some((files, form)) = files_of(spec, flag) {
        return keys.take_pair(flag, files, file(flag, form, parser)?);
    }
    match flag {
        "snapshot-output" => once(flag, &mut spec.snapshot_output, directory(flag, parser)?),
        "calls" => once(flag, &mut spec.calls, directory(flag, parser)?),
        "enable-gas-refill" => {
            spec.gas_refill = true;
            Ok(())
        }
        "keep-final" => {
            spec.keep_final = true;
            Ok(())
        }
        "function" => {
            let function = JobFunction::parse(&value(flag, parser)?).map_err(|e| e.context("--function"))?;
            keys.take(flag, &format!("{}.{}", function.module, function.name))?;
            spec.functions.push(function);
            Ok(())
        }
        "call-data" => {
            let text = text("--call-data", parser.value().map_err(usage)?)?;
            once(flag, &mut spec.call_data, data(&text)?)
        }
        "env" => {
            spec.env.push(pair(flag, "K=V", parser)?);
            Ok(())
        }
        "preopen" => {
            let directory = value(flag, parser)?;
            keys.take(flag, &directory)?;
            spec.preopens.push(directory);
            Ok(())
        }
        "feature" | "stub-imports" => {
            let is_feature = flag == "feature";
            let taken = if is_feature { feature(pair(flag, "NAME=on|off", parser)?) } else { stubs(flag, parser) };
            keys.take_pair(flag, &mut spec.features, taken?)
        }
        "max-exceptions" => {
            let slots = number(flag, parser, 0, MAX_EXCEPTIONS as u64)?;
            once(flag, &mut spec.max_exceptions, u32::try_from(slots).unwrap_or(u32::MAX))
        }
        "max-call-depth" => {
            let depth = number(flag, parser, 1, MAX_FRAMES as u64)?;
            once(flag, &mut spec.max_call_depth, u32::try_from(depth).unwrap_or(u32::MAX))
        }
        _ => Err(JobError::usage(format!("unknown flag '--{flag}'"))),
    }
}

fn usage(error: lexopt::Error) -> JobError {
    JobError::usage(error.to_string())
}

fn text(what: &str, value: std::ffi::OsString) -> Result<String, JobError> {
    let text = value.into_string().map_err(|value| JobError::usage(format!("{what}: {value:?} is not UTF-8")))?;
    if text.contains('\0') {
        return Err(JobError::usage(format!("{what}: NUL in {text:?}")));
    }
    Ok(text)
}

/// The value of `flag`, not empty.
fn value(flag: &str, parser: &mut Parser) -> Result<String, JobError> {
    let value = text(&format!("--{flag}"), parser.value().map_err(usage)?)?;
    if value.is_empty() {
        return Err(JobError::usage(format!("--{flag}: the value is empty")));
    }
    Ok(value)
}

/// A directory; slashes at its end say nothing and would end up in messages and names.
fn directory(flag: &str, parser: &mut Parser) -> Result<String, JobError> {
    let dir = value(flag, parser)?;
    Ok(match dir.trim_end_matches('/') {
        "" => "/".to_owned(),
        stripped => stripped.to_owned(),
    })
}

fn number(flag: &str, parser: &mut Parser, least: u64, most: u64) -> Result<u64, JobError> {
    let text = value(flag, parser)?;
    let number = if is_digits(&text) { text.parse().ok() } else { None };
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| JobError::usage(format!("--{flag}: '{text}' is not a number from {least} to {most}")))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A value of the form `KEY=VALUE`, split at the first `=`, the key not empty.
fn pair(flag: &str, form: &str, parser: &mut Parser) -> Result<(String, String), JobError> {
    let text = value(flag, parser)?;
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(JobError::usage(format!("--{flag}: '{text}' is not of the form {form}"))),
    }
}

/// Text as it is, or bytes in hexadecimal after `0x`.
///
/// # Errors
/// A usage error for what begins with `0x` and is not hexadecimal.
pub fn data(text: &str) -> Result<Vec<u8>, JobError> {
    let Some(digits) = text.strip_prefix("0x") else { return Ok(text.as_bytes().to_vec()) };
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && digits.len().is_multiple_of(2);
    let bytes = if plain { digits.as_bytes().chunks(2).map(pair).collect() } else { None };
    bytes.ok_or_else(|| JobError::usage(format!("--call-data: '{text}' is not hexadecimal, two digits a byte")))
}

fn once<T>(flag: &str, slot: &mut Option<T>, value: T) -> Result<(), JobError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(JobError::usage(format!("--{flag} is given twice"))),
    }
}

/// A pair whose second half names a file.
fn file(flag: &str, form: &str, parser: &mut Parser) -> Result<(String, String), JobError> {
    let (key, value) = pair(flag, form, parser)?;
    if value.is_empty() {
        return Err(JobError::usage(format!("--{flag}: '{key}' names no file")));
    }
    Ok((key, value))
}

/// Keys that each flag was given with: a job may have a hundred thousand files.
#[derive(Default)]
struct SeenKeys(BTreeSet<(String, String)>);

impl SeenKeys {
    /// Takes a key of a flag that no other may have.
    fn take(&mut self, flag: &str, key: &str) -> Result<(), JobError> {
        if self.0.insert((flag.to_owned(), key.to_owned())) {
            return Ok(());
        }
        Err(JobError::usage(format!("--{flag}: '{key}' is given twice")))
    }

    /// Takes a pair by its key.
    fn take_pair<T>(&mut self, flag: &str, all: &mut Vec<(String, T)>, new: (String, T)) -> Result<(), JobError> {
        self.take(flag, &new.0)?;
        all.push(new);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use stepmark_session::spec::SnapshotName;

    use super::*;

    fn argv(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn options(line: &str) -> JobSpec {
        match parse(&argv(line)) {
            Ok(ModuleCommand::Run(options)) => *options,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(line: &str) -> String {
        let error = parse(&argv(line)).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.message().to_owned()
    }

    #[test]
    fn the_reference_command_line_is_understood() {
        let line = "--snapshot-input ./input --snapshot-id 4 --snapshot-output ./output --gas-limit 10000000 \
                    --enable-gas-refill ./wasmfiles/matrix.wasm run";
        let expected = JobSpec {
            resume: Some(ResumeFrom { dir: "./input".into(), id: SnapshotName::Number(4) }),
            snapshot_output: Some("./output".into()),
            gas_limit: Some(10_000_000),
            gas_refill: true,
            program: "./wasmfiles/matrix.wasm".into(),
            positionals: vec!["run".into()],
            ..JobSpec::default()
        };
        assert_eq!(options(line), expected);
    }

    #[test]
    fn every_flag_is_understood_in_both_forms() {
        let flags = [
            ("snapshot-output", "o"),
            ("gas-limit", "18446744073709551615"),
            ("gas-schedule", "seed-ordinal"),
            ("preload", "lib=lib.wasm"),
            ("env", "K=a=b"),
            ("stdin", "in.txt"),
            ("file", "/data/x=x"),
            ("feature", "tail-call=off"),
            ("max-memory", "65536"),
            ("max-call-depth", "100"),
            ("max-exceptions", "16777216"),
            ("seed", "7"),
            ("snapshot-input", "i"),
            ("snapshot-id", "paused"),
        ];
        let line = |join: &str| {
            let flags: Vec<_> = flags.iter().map(|(flag, value)| format!("--{flag}{join}{value}")).collect();
            options(&format!("{} p.wasm", flags.join(" ")))
        };
        let expected = JobSpec {
            resume: Some(ResumeFrom { dir: "i".into(), id: SnapshotName::Paused }),
            snapshot_output: Some("o".into()),
            gas_limit: Some(u64::MAX),
            gas_schedule: Some("seed-ordinal".into()),
            preload: vec![("lib".into(), "lib.wasm".into())],
            env: vec![("K".into(), "a=b".into())],
            stdin: Some("in.txt".into()),
            files: vec![("/data/x".into(), "x".into())],
            features: vec![("tail-call".into(), false)],
            max_memory: Some(65_536),
            max_call_depth: Some(100),
            max_exceptions: Some(1 << 24),
            seed: Some(7),
            program: "p.wasm".into(),
            ..JobSpec::default()
        };
        assert_eq!(line(" "), expected);
        assert_eq!(line("="), expected);
    }

    #[test]
    fn what_is_printed_is_read_as_the_same_job() {
        let lines = [
            "a.wasm",
            "--snapshot-input in --snapshot-id 7 --snapshot-output out --gas-limit 3 --enable-gas-refill --keep-final a.wasm f 1",
            "--snapshot-input in --snapshot-id paused --gas-schedule s.csv --preload m=m.wasm --preload n=m.wasm a.wasm",
            "--function m.f(i32,f64)->(i64) --store-version 9 --contract c=c.wasm --call-data 0x --caller me a.wasm",
            "--call-data text --env A=1 --env A= --env B=x=y --stdin in --file /a=b --file c=d=e --preopen / a.wasm -x --seed 1",
            "--feature simd=off --feature memory64=on --max-memory 0 --max-call-depth 1 --max-files 7 a.wasm",
            "--stub-imports zero --feature simd=off a.wasm",
            "--max-exceptions 3 --clock-rate 0 --seed 18446744073709551615 --store s --calls c a.wasm",
        ];
        for line in lines {
            let spec = options(line);
            let printed = print(&spec);
            assert_eq!(parse(&printed), Ok(ModuleCommand::Run(Box::new(spec))), "{line}: {printed:?}");
        }
    }

    #[test]
    fn what_imports_do_that_nothing_provides_is_among_the_features() {
        let feature = |line: &str| options(line).features;
        assert_eq!(feature("--stub-imports trap a.wasm"), [("unknown-imports".to_owned(), false)]);
        assert_eq!(feature("--stub-imports=zero a.wasm"), [("unknown-imports".to_owned(), true)]);
        assert_eq!(refusal("--stub-imports no a.wasm"), "--stub-imports: 'no' is neither trap nor zero");
        let twice = refusal("--stub-imports zero --stub-imports trap a.wasm");
        assert_eq!(twice, "--stub-imports: 'unknown-imports' is given twice");
    }

    #[test]
    fn help_names_every_flag() {
        let flags = "snapshot-input snapshot-id snapshot-output gas-limit enable-gas-refill gas-schedule preload env stdin \
                     file feature stub-imports max-memory max-call-depth max-files max-exceptions preopen clock-rate seed help version";
        for flag in flags.split_whitespace() {
            assert!(HELP.contains(&format!("--{flag} ")), "{flag}");
        }
    }

    #[test]
    fn what_follows_the_program_belongs_to_the_program() {
        let found = options("--seed 1 p.wasm -5 --gas-limit 3 -- --help -h");
        assert_eq!(found.positionals, argv("-5 --gas-limit 3 -- --help -h"));
        assert_eq!(found.gas_limit, None);
        assert_eq!(options("-- --p.wasm x").program, "--p.wasm");
    }

    #[test]
    fn defaults_are_those_of_the_reference_node() {
        let options = options("p.wasm");
        assert_eq!(options, JobSpec { program: "p.wasm".into(), ..JobSpec::default() });
        assert_eq!(options.output_dir(), "./snapshot");
    }

    #[test]
    fn trailing_slashes_are_stripped() {
        assert_eq!(options("--snapshot-output ./output/// p").output_dir(), "./output");
        assert_eq!(options("--snapshot-output / p").output_dir(), "/");
        assert_eq!(options("--snapshot-input a/ --snapshot-id 1 p").resume.unwrap().dir, "a");
    }

    #[test]
    fn input_or_id_alone_warns_and_starts_from_the_start() {
        let input = options("--snapshot-input a p");
        assert_eq!(input.resume, None);
        assert_eq!(input.warnings, ["--snapshot-input is given without --snapshot-id: starting from the start"]);
        let id = options("--snapshot-id 1 p");
        assert_eq!(id.resume, None);
        assert_eq!(id.warnings, ["--snapshot-id is given without --snapshot-input: starting from the start"]);
    }

    #[test]
    fn help_and_version_are_recognised() {
        for line in ["--help", "-h", "--seed 1 --help p"] {
            assert_eq!(parse(&argv(line)), Ok(ModuleCommand::Help), "{line}");
        }
        assert_eq!(parse(&argv("--version")), Ok(ModuleCommand::Version));
        assert_eq!(parse(&argv("-V")), Ok(ModuleCommand::Version));
    }

    #[test]
    fn wrong_command_lines_are_refused_by_name() {
        let table = [
            ("", "no program is given: usage: guest-interp [FLAGS] PROGRAM.wasm [ENTRY] [ARGS]..."),
            ("--gas 1 p", "unknown flag '--gas'"),
            ("-x p", "invalid option '-x'"),
            ("--gas-limit", "missing argument for option '--gas-limit'"),
            ("--gas-limit= p", "--gas-limit: the value is empty"),
            ("--feature simd p", "--feature: 'simd' is not of the form NAME=on|off"),
            ("--feature simd=1 p", "--feature simd: '1' is neither on nor off"),
            ("--feature a=on --feature a=off p", "--feature: 'a' is given twice"),
            ("--gas-limit 1x p", "--gas-limit: '1x' is not a number from 0 to 18446744073709551615"),
            ("--gas-limit +1 p", "--gas-limit: '+1' is not a number from 0 to 18446744073709551615"),
            ("--gas-limit -1 p", "--gas-limit: '-1' is not a number from 0 to 18446744073709551615"),
            (
                "--gas-limit 18446744073709551616 p",
                "--gas-limit: '18446744073709551616' is not a number from 0 to 18446744073709551615",
            ),
            ("--gas-limit 1 --gas-limit 2 p", "--gas-limit is given twice"),
            ("--snapshot-id 0 p", "--snapshot-id: '0' is neither a number from 1 nor 'paused'"),
            ("--snapshot-id x p", "--snapshot-id: 'x' is neither a number from 1 nor 'paused'"),
            ("--max-call-depth 0 p", "--max-call-depth: '0' is not a number from 1 to 4194304"),
            ("--max-exceptions 16777217 p", "--max-exceptions: '16777217' is not a number from 0 to 16777216"),
            ("--env X p", "--env: 'X' is not of the form K=V"),
            ("--env =X p", "--env: '=X' is not of the form K=V"),
            ("--preload a=1 --preload a=2 p", "--preload: 'a' is given twice"),
            ("--file a= p", "--file: 'a' names no file"),
        ];
        for (line, expected) in table {
            assert_eq!(refusal(line), expected, "{line}");
        }
        assert!(refusal("--enable-gas-refill=1 p").contains("--enable-gas-refill"));
        assert_eq!(parse(&["a\0b".to_owned()]).unwrap_err().message(), "PROGRAM: NUL in \"a\\0b\"");
    }

    #[test]
    fn values_may_be_empty_where_that_means_something() {
        assert_eq!(options("--env K= p").env, [("K".to_owned(), String::new())]);
        let argv = ["p.wasm".to_owned(), String::new()];
        assert!(matches!(parse(&argv), Ok(ModuleCommand::Run(spec)) if spec.positionals == [""]));
    }

    proptest! {
        #[test]
        fn no_command_line_panics(argv in prop::collection::vec("(--)?[a-z=0-9/-]{0,20}|--gas-limit|--env|--snapshot-id", 0..6)) {
            let _ = parse(&argv);
        }
    }
}
