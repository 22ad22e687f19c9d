//! The command line, the same for the command face and for embedders of the reactor: flags, then the program, then what
//! belongs to the program. And the arguments of an export, parsed by the types of its parameters.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

use lexopt::{Arg, Parser};

use crate::{
    error::Error,
    job::JobFunction,
    snapshot::state::{MAX_EXCEPTIONS, MAX_FRAMES},
};

/// Gas limit of a run from the start without `--gas-limit`.
pub const DEFAULT_GAS_LIMIT: u64 = u64::MAX;
/// Directory of the snapshots without `--snapshot-output`.
pub const DEFAULT_OUTPUT: &str = "./snapshot";

/// What `--help` prints.
pub const HELP: &str = "\
usage: guest-interp [FLAGS] PROGRAM.wasm [ENTRY] [ARGS]...

Runs PROGRAM, counts gas for every instruction and writes a snapshot whenever the limit is reached. A program with a
_start gets all positionals as its arguments; otherwise the first one names the export to call.

  --snapshot-input DIR     directory of the snapshot to resume from
  --snapshot-id N|paused   the snapshot to resume from
  --snapshot-output DIR    directory of the results (default ./snapshot)
  --gas-limit N            gas of a segment (default: no limit; on resume: that of the snapshot)
  --keep-final             write the state at the end, a trap's too, as final.snap and final.bin
  --enable-gas-refill      go on with a new segment when the limit is reached
  --gas-schedule NAME|FILE table of gas costs (default: default)
  --preload NAME=FILE      a module that the program imports from (repeatable)
  --function M.N(i32)->()  a function that the program imports and whoever runs the node answers (repeatable)
  --store FILE             an export of the key-value store that the program reads
  --store-version N        the store's version at the start, where whoever runs the node answers for it
  --contract NAME=FILE     a contract that can be called by name (repeatable)
  --call-data TEXT|0xHEX   what the program, a contract, is called with
  --caller NAME            who calls it
  --calls DIR              take answers from DIR's .calls files
  --env K=V                a variable of the program's environment (repeatable, the last value wins)
  --stdin FILE             the program's standard input (default: empty)
  --file PATH=FILE         a file that the program finds at PATH; the file itself is never written (repeatable)
  --preopen DIR            a directory that is open to the program, made if no file is in it (repeatable; default: /
                           when there are files, else none)
  --feature NAME=on|off    a language feature (repeatable; all that the node has are on)
  --max-memory BYTES       limit of all memories together
  --max-call-depth N       limit of the call stack, in frames
  --max-files BYTES        limit of all files that the program writes to together
  --max-exceptions SLOTS   limit of exceptions held by reference, 1 + payload each
  --clock-rate N           nanoseconds by which the program's clocks advance for a unit of gas (default 1)
  --seed N                 seed of the program's random source (default 0)
  --selftest               instead of running anything: is this runtime good enough? (uses the directory `.`)
  -h, --help               this text
  -V, --version            version of the node

Everything after PROGRAM belongs to the program.
";

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run or resume a program.
    Run(Box<Options>),
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
    /// Check whether the runtime is good enough for the node.
    SelfTest,
}

/// The snapshot to resume from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotId {
    /// `{id}.snap`, 1 or more.
    Number(u64),
    /// `paused.snap`
    Paused,
    /// `final.snap`: a run that has ended, to look at.
    Final,
}

impl SnapshotId {
    /// File name without the extension.
    pub fn stem(self) -> String {
        match self {
            Self::Number(id) => id.to_string(),
            Self::Paused => "paused".to_owned(),
            Self::Final => "final".to_owned(),
        }
    }
}

/// Where to resume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Directory of the chain, without trailing slashes.
    pub dir: String,
    /// Which snapshot.
    pub id: SnapshotId,
}

/// The flags as they were given. What is `None` was not given: it comes from the snapshot on resume, and is the default
/// otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--snapshot-input` and `--snapshot-id`, when both were given.
    pub resume: Option<Resume>,
    /// `--snapshot-output`, without trailing slashes.
    pub snapshot_output: Option<String>,
    /// `--gas-limit`
    pub gas_limit: Option<u64>,
    /// `--enable-gas-refill`
    pub gas_refill: bool,
    /// `--keep-final`
    pub keep_final: bool,
    /// `--gas-schedule`: a name or a file.
    pub gas_schedule: Option<String>,
    /// `--preload`: name and file, names unique.
    pub preload: Vec<(String, String)>,
    /// `--function`, names unique.
    pub functions: Vec<JobFunction>,
    /// `--store`: an export of the store, for the command face.
    pub store: Option<String>,
    /// `--store-version`
    pub store_version: Option<u64>,
    /// `--contract`: name and file, names unique.
    pub contracts: Vec<(String, String)>,
    /// `--call-data`
    pub call_data: Option<Vec<u8>>,
    /// `--caller`
    pub caller: Option<String>,
    /// `--calls`: a directory, for the command face.
    pub calls: Option<String>,
    /// `--env`: name and value, in the order given, a name possibly more than once.
    pub env: Vec<(String, String)>,
    /// `--stdin`: a file.
    pub stdin: Option<String>,
    /// `--file`: path as the program sees it and file, paths unique.
    pub files: Vec<(String, String)>,
    /// `--preopen`: directories, names unique.
    pub preopens: Vec<String>,
    /// `--feature`: name and whether it is on, names unique.
    pub features: Vec<(String, bool)>,
    /// `--max-memory`: bytes.
    pub max_memory: Option<u64>,
    /// `--max-call-depth`: frames.
    pub max_call_depth: Option<u32>,
    /// `--max-files`: bytes.
    pub max_files: Option<u64>,
    /// `--max-exceptions`: slots.
    pub max_exceptions: Option<u32>,
    /// `--clock-rate`: nanoseconds for each unit of gas.
    pub clock_rate: Option<u64>,
    /// `--seed`
    pub seed: Option<u64>,
    /// The program, as the user typed it.
    pub program: String,
    /// Everything after the program.
    pub positionals: Vec<String>,
    /// What is worth telling the user on stderr, though the run goes on.
    pub warnings: Vec<String>,
}

impl Options {
    /// Directory of the results, without trailing slashes.
    pub fn output_dir(&self) -> &str {
        self.snapshot_output.as_deref().unwrap_or(DEFAULT_OUTPUT)
    }
}

/// Parses the arguments of the command, without `argv[0]`.
///
/// # Errors
/// A usage error that names the flag and what it expects.
pub fn parse(argv: &[String]) -> Result<Command, Error> {
    let mut parser = Parser::from_args(argv);
    let mut options = Options::default();
    let mut input = None;
    let mut id = None;
    while let Some(arg) = parser.next().map_err(usage)? {
        let flag = match arg {
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            Arg::Long("version") | Arg::Short('V') => return Ok(Command::Version),
            Arg::Long("selftest") => return Ok(Command::SelfTest),
            Arg::Long(name) => name.to_owned(),
            Arg::Value(program) => {
                options.program = text("PROGRAM", program)?;
                let rest = parser.raw_args().map_err(usage)?;
                options.positionals = rest.map(|arg| text("ARGS", arg)).collect::<Result<_, _>>()?;
                break;
            }
            other @ Arg::Short(_) => return Err(usage(other.unexpected())),
        };
        match flag.as_str() {
            "snapshot-input" => once(&flag, &mut input, directory(&flag, &mut parser)?)?,
            "snapshot-id" => once(&flag, &mut id, snapshot_id(&value(&flag, &mut parser)?)?)?,
            _ => options.flag(&flag, &mut parser)?,
        }
    }
    if options.program.is_empty() {
        return Err(Error::usage("no program is given: usage: guest-interp [FLAGS] PROGRAM.wasm [ENTRY] [ARGS]..."));
    }
    options.resume = match (input, id) {
        (Some(dir), Some(id)) => Some(Resume { dir, id }),
        (None, None) => None,
        (Some(_), None) => options.warn("--snapshot-input is given without --snapshot-id: starting from the start"),
        (None, Some(_)) => options.warn("--snapshot-id is given without --snapshot-input: starting from the start"),
    };
    Ok(Command::Run(Box::new(options)))
}

impl Options {
    fn warn<T>(&mut self, warning: &str) -> Option<T> {
        self.warnings.push(warning.to_owned());
        None
    }

    fn feature(&mut self, (name, value): (String, String)) -> Result<(), Error> {
        let on = match value.as_str() {
            "on" => true,
            "off" => false,
            _ => return Err(Error::usage(format!("--feature {name}: '{value}' is neither on nor off"))),
        };
        unique("feature", &mut self.features, (name, on), |(name, _)| name)
    }

    fn flag(&mut self, flag: &str, parser: &mut Parser) -> Result<(), Error> {
        match flag {
            "snapshot-output" => once(flag, &mut self.snapshot_output, directory(flag, parser)?),
            "gas-limit" => once(flag, &mut self.gas_limit, number(flag, parser, 0, u64::MAX)?),
            "enable-gas-refill" => {
                self.gas_refill = true;
                Ok(())
            }
            "keep-final" => {
                self.keep_final = true;
                Ok(())
            }
            "gas-schedule" => once(flag, &mut self.gas_schedule, value(flag, parser)?),
            "preload" => unique(flag, &mut self.preload, file(flag, "NAME=FILE", parser)?, |(name, _)| name),
            "function" => {
                let function = JobFunction::parse(&value(flag, parser)?).map_err(|e| e.context("--function"))?;
                let same = |other: &JobFunction| (&other.module, &other.name) == (&function.module, &function.name);
                if self.functions.iter().any(same) {
                    let JobFunction { module, name, .. } = function;
                    return Err(Error::usage(format!("--function: '{module}.{name}' is given twice")));
                }
                self.functions.push(function);
                Ok(())
            }
            "store" => once(flag, &mut self.store, value(flag, parser)?),
            "store-version" => once(flag, &mut self.store_version, number(flag, parser, 0, u64::MAX)?),
            "contract" => unique(flag, &mut self.contracts, file(flag, "NAME=FILE", parser)?, |(name, _)| name),
            "call-data" => {
                let text = text("--call-data", parser.value().map_err(usage)?)?;
                once(flag, &mut self.call_data, data(&text)?)
            }
            "caller" => once(flag, &mut self.caller, value(flag, parser)?),
            "calls" => once(flag, &mut self.calls, directory(flag, parser)?),
            "env" => {
                self.env.push(pair(flag, "K=V", parser)?);
                Ok(())
            }
            "stdin" => once(flag, &mut self.stdin, value(flag, parser)?),
            "file" => unique(flag, &mut self.files, file(flag, "PATH=FILE", parser)?, |(path, _)| path),
            "preopen" => unique(flag, &mut self.preopens, value(flag, parser)?, |name| name),
            "feature" => self.feature(pair(flag, "NAME=on|off", parser)?),
            "max-exceptions" => {
                let slots = number(flag, parser, 0, MAX_EXCEPTIONS as u64)?;
                once(flag, &mut self.max_exceptions, u32::try_from(slots).unwrap_or(u32::MAX))
            }
            "max-files" => once(flag, &mut self.max_files, number(flag, parser, 0, u64::MAX)?),
            "clock-rate" => once(flag, &mut self.clock_rate, number(flag, parser, 0, u64::MAX)?),
            "max-memory" => once(flag, &mut self.max_memory, number(flag, parser, 0, u64::MAX)?),
            "max-call-depth" => {
                let depth = number(flag, parser, 1, MAX_FRAMES as u64)?;
                once(flag, &mut self.max_call_depth, u32::try_from(depth).unwrap_or(u32::MAX))
            }
            "seed" => once(flag, &mut self.seed, number(flag, parser, 0, u64::MAX)?),
            _ => Err(Error::usage(format!("unknown flag '--{flag}'"))),
        }
    }
}

fn usage(error: lexopt::Error) -> Error {
    Error::usage(error.to_string())
}

fn text(what: &str, value: std::ffi::OsString) -> Result<String, Error> {
    let text = value.into_string().map_err(|value| Error::usage(format!("{what}: {value:?} is not UTF-8")))?;
    if text.contains('\0') {
        return Err(Error::usage(format!("{what}: NUL in {text:?}")));
    }
    Ok(text)
}

/// The value of `flag`, not empty.
fn value(flag: &str, parser: &mut Parser) -> Result<String, Error> {
    let value = text(&format!("--{flag}"), parser.value().map_err(usage)?)?;
    if value.is_empty() {
        return Err(Error::usage(format!("--{flag}: the value is empty")));
    }
    Ok(value)
}

/// A directory; slashes at its end say nothing and would end up in messages and names.
fn directory(flag: &str, parser: &mut Parser) -> Result<String, Error> {
    let dir = value(flag, parser)?;
    Ok(match dir.trim_end_matches('/') {
        "" => "/".to_owned(),
        stripped => stripped.to_owned(),
    })
}

fn number(flag: &str, parser: &mut Parser, least: u64, most: u64) -> Result<u64, Error> {
    let text = value(flag, parser)?;
    let number = if is_digits(&text) { text.parse().ok() } else { None };
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| Error::usage(format!("--{flag}: '{text}' is not a number from {least} to {most}")))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn snapshot_id(text: &str) -> Result<SnapshotId, Error> {
    match text {
        "paused" => return Ok(SnapshotId::Paused),
        "final" => return Ok(SnapshotId::Final),
        _ => {}
    }
    let number = if is_digits(text) { text.parse().ok() } else { None };
    number
        .filter(|id| *id >= 1)
        .map(SnapshotId::Number)
        .ok_or_else(|| Error::usage(format!("--snapshot-id: '{text}' is neither a number from 1 nor 'paused'")))
}

/// A value of the form `KEY=VALUE`, split at the first `=`, the key not empty.
fn pair(flag: &str, form: &str, parser: &mut Parser) -> Result<(String, String), Error> {
    let text = value(flag, parser)?;
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Error::usage(format!("--{flag}: '{text}' is not of the form {form}"))),
    }
}

/// Text as it is, or bytes in hexadecimal after `0x`.
///
/// # Errors
/// A usage error for what begins with `0x` and is not hexadecimal.
pub fn data(text: &str) -> Result<Vec<u8>, Error> {
    let Some(digits) = text.strip_prefix("0x") else { return Ok(text.as_bytes().to_vec()) };
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && digits.len().is_multiple_of(2);
    let bytes = if plain { digits.as_bytes().chunks(2).map(pair).collect() } else { None };
    bytes.ok_or_else(|| Error::usage(format!("--call-data: '{text}' is not hexadecimal, two digits a byte")))
}

fn once<T>(flag: &str, slot: &mut Option<T>, value: T) -> Result<(), Error> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::usage(format!("--{flag} is given twice"))),
    }
}

/// A pair whose second half names a file.
fn file(flag: &str, form: &str, parser: &mut Parser) -> Result<(String, String), Error> {
    let (key, value) = pair(flag, form, parser)?;
    if value.is_empty() {
        return Err(Error::usage(format!("--{flag}: '{key}' names no file")));
    }
    Ok((key, value))
}

/// Adds what no other may have the key of.
fn unique<T>(flag: &str, all: &mut Vec<T>, new: T, key: impl Fn(&T) -> &String) -> Result<(), Error> {
    if all.iter().any(|other| key(other) == key(&new)) {
        return Err(Error::usage(format!("--{flag}: '{}' is given twice", key(&new))));
    }
    all.push(new);
    Ok(())
}

/// The type of a value that crosses the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValKind {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector.
    V128,
    /// A reference of any type.
    Ref,
}

impl ValKind {
    /// Its name in the text format.
    pub fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
            Self::Ref => "ref",
        }
    }
}

/// The bit patterns of `args` as `params`, a vector's in two slots. Integers and vectors are decimal or hexadecimal (`0x`), negative or up to the greatest
/// unsigned value: -1 and 4294967295 are the same i32. Floats are decimal, `inf` or `nan`, the canonical NaN.
///
/// # Errors
/// Too few, too many, malformed or out of range; the message shows `signature`, the export with its type.
pub fn parse_values(params: &[ValKind], args: &[String], signature: &str) -> Result<Vec<u64>, Error> {
    let mut slots = Vec::with_capacity(params.len());
    if params.len() != args.len() {
        return Err(Error::usage(format!("{} arguments given, expected {}: {signature}", args.len(), params.len())));
    }
    for (index, (kind, text)) in params.iter().zip(args).enumerate() {
        let value = parse_value(*kind, text).map_err(|problem| {
            let number = index.saturating_add(1);
            Error::usage(format!("argument {number}: '{text}' is {problem}: {signature}"))
        })?;
        slots.push(low_half(value));
        if *kind == ValKind::V128 {
            slots.push(low_half(value >> 64));
        }
    }
    Ok(slots)
}

#[expect(clippy::cast_possible_truncation, reason = "the other half is taken apart from it")]
fn low_half(value: u128) -> u64 {
    value as u64
}

fn parse_value(kind: ValKind, text: &str) -> Result<u128, String> {
    match kind {
        ValKind::I32 => parse_integer(text, 32),
        ValKind::I64 => parse_integer(text, 64),
        ValKind::V128 => parse_integer(text, 128),
        ValKind::F32 => parse_f32(text).map(u128::from),
        ValKind::F64 => parse_f64(text).map(u128::from),
        ValKind::Ref => Err("given for a reference, which no argument can be".to_owned()),
    }
}

fn parse_integer(text: &str, bits: u32) -> Result<u128, String> {
    let (negative, digits) = sign(text);
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((digits, 10), |digits| (digits, 16));
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err("not an integer".to_owned());
    }
    let most = u128::MAX >> 128_u32.saturating_sub(bits);
    let least = (most >> 1).wrapping_add(1);
    let magnitude = u128::from_str_radix(digits, radix).ok();
    match magnitude.filter(|magnitude| *magnitude <= if negative { least } else { most }) {
        Some(magnitude) if negative => Ok(magnitude.wrapping_neg() & most),
        Some(magnitude) => Ok(magnitude),
        None => Err(format!("out of range of i{bits} (-{least} to {most})")),
    }
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn parse_f32(text: &str) -> Result<u64, String> {
    match special(text)? {
        Some((negative, Special::Nan)) => Ok(u64::from(0x7fc0_0000 | (u32::from(negative) << 31))),
        special => {
            let float: f32 = text.parse().map_err(|_| "not a number".to_owned())?;
            finite_or_asked(float.is_finite() || special.is_some(), "f32").map(|()| u64::from(float.to_bits()))
        }
    }
}

fn parse_f64(text: &str) -> Result<u64, String> {
    match special(text)? {
        Some((negative, Special::Nan)) => Ok(0x7ff8_0000_0000_0000 | (u64::from(negative) << 63)),
        special => {
            let float: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
            finite_or_asked(float.is_finite() || special.is_some(), "f64").map(|()| float.to_bits())
        }
    }
}

fn finite_or_asked(good: bool, name: &str) -> Result<(), String> {
    if good { Ok(()) } else { Err(format!("out of range of {name}")) }
}

enum Special {
    Nan,
    Infinity,
}

/// The words for what has no digits; any other text without digits is no number.
fn special(text: &str) -> Result<Option<(bool, Special)>, String> {
    let (negative, rest) = sign(text);
    match rest {
        "nan" => Ok(Some((negative, Special::Nan))),
        "inf" => Ok(Some((negative, Special::Infinity))),
        _ if rest.starts_with(|first: char| first.is_ascii_digit() || first == '.') => Ok(None),
        _ => Err("not a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn argv(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn options(line: &str) -> Options {
        match parse(&argv(line)) {
            Ok(Command::Run(options)) => *options,
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
        let expected = Options {
            resume: Some(Resume { dir: "./input".into(), id: SnapshotId::Number(4) }),
            snapshot_output: Some("./output".into()),
            gas_limit: Some(10_000_000),
            gas_refill: true,
            program: "./wasmfiles/matrix.wasm".into(),
            positionals: vec!["run".into()],
            ..Options::default()
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
        let expected = Options {
            resume: Some(Resume { dir: "i".into(), id: SnapshotId::Paused }),
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
            ..Options::default()
        };
        assert_eq!(line(" "), expected);
        assert_eq!(line("="), expected);
    }

    #[test]
    fn help_names_every_flag() {
        let flags = "snapshot-input snapshot-id snapshot-output gas-limit enable-gas-refill gas-schedule preload env stdin \
                     file feature max-memory max-call-depth max-files max-exceptions preopen clock-rate seed help version";
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
        assert_eq!(options, Options { program: "p.wasm".into(), ..Options::default() });
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
            assert_eq!(parse(&argv(line)), Ok(Command::Help), "{line}");
        }
        assert_eq!(parse(&argv("--version")), Ok(Command::Version));
        assert_eq!(parse(&argv("-V")), Ok(Command::Version));
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
        assert!(matches!(parse(&argv), Ok(Command::Run(options)) if options.positionals == [""]));
    }

    fn one(kind: ValKind, text: &str) -> Result<u64, String> {
        let values = parse_values(&[kind], &[text.to_owned()], "f");
        values.map(|values| values[0]).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn integers_are_signed_or_unsigned_decimal_or_hexadecimal() {
        use ValKind::{I32, I64};
        let table = [
            (I32, "0", 0),
            (I32, "-0", 0),
            (I32, "+7", 7),
            (I32, "-1", 0xffff_ffff),
            (I32, "4294967295", 0xffff_ffff),
            (I32, "0xFFFFffff", 0xffff_ffff),
            (I32, "-2147483648", 0x8000_0000),
            (I32, "-0x80000000", 0x8000_0000),
            (I64, "-1", u64::MAX),
            (I64, "18446744073709551615", u64::MAX),
            (I64, "-9223372036854775808", 1 << 63),
            (I64, "0Xff", 255),
        ];
        for (kind, text, bits) in table {
            assert_eq!(one(kind, text), Ok(bits), "{text}");
        }
        for text in ["4294967296", "-2147483649", "0x100000000", "99999999999999999999999"] {
            let expected = format!("argument 1: '{text}' is out of range of i32 (-2147483648 to 4294967295): f");
            assert_eq!(one(I32, text), Err(expected));
        }
        for text in ["18446744073709551616", "-9223372036854775809"] {
            assert!(one(I64, text).unwrap_err().contains("out of range of i64"), "{text}");
        }
        for text in ["", "-", "0x", "1.0", "1_000", "0b1", "--1", "-+1", " 1", "٣", "ff"] {
            assert_eq!(one(I32, text), Err(format!("argument 1: '{text}' is not an integer: f")));
        }
    }

    #[test]
    fn floats_are_decimal_or_the_two_words() {
        use ValKind::{F32, F64};
        let table = [
            (F32, "1.5", 0x3fc0_0000),
            (F32, "-0", 0x8000_0000),
            (F32, "nan", 0x7fc0_0000),
            (F32, "-nan", 0xffc0_0000),
            (F32, "-inf", 0xff80_0000),
            (F32, "0.1", 0x3dcc_cccd),
            (F64, "1e3", 1000f64.to_bits()),
            (F64, "+.5", 0.5f64.to_bits()),
            (F64, "nan", 0x7ff8_0000_0000_0000),
            (F64, "inf", f64::INFINITY.to_bits()),
            (F64, "1e-400", 0),
        ];
        for (kind, text, bits) in table {
            assert_eq!(one(kind, text), Ok(bits), "{text}");
        }
        assert_eq!(one(F32, "1e39"), Err("argument 1: '1e39' is out of range of f32: f".into()));
        assert_eq!(one(F64, "-1e309"), Err("argument 1: '-1e309' is out of range of f64: f".into()));
        for text in ["", "-", "0x1p3", "infinity", "NaN", "1e", "e1", ".", "1.0f"] {
            assert_eq!(one(F64, text), Err(format!("argument 1: '{text}' is not a number: f")));
        }
    }

    #[test]
    fn errors_show_the_signature() {
        let parse = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            parse_values(&[ValKind::I32, ValKind::Ref], &args, "add (i32 externref) -> i64").unwrap_err()
        };
        assert_eq!(parse(&["1"]).message(), "1 arguments given, expected 2: add (i32 externref) -> i64");
        assert_eq!(parse(&["1", "2", "3"]).message(), "3 arguments given, expected 2: add (i32 externref) -> i64");
        let reference =
            "argument 2: '2' is given for a reference, which no argument can be: add (i32 externref) -> i64";
        assert_eq!(parse(&["1", "2"]).message(), reference);
        assert_eq!(parse(&["1", "2"]).exit_code(), 2);
    }

    proptest! {
        #[test]
        fn any_integer_and_float_is_read_back(bits in any::<u64>()) {
            prop_assert_eq!(one(ValKind::I64, &bits.to_string()), Ok(bits));
            prop_assert_eq!(one(ValKind::I64, &(bits as i64).to_string()), Ok(bits));
            prop_assert_eq!(one(ValKind::I32, &(bits as i32).to_string()), Ok(u64::from(bits as u32)));
            let float = f64::from_bits(bits);
            if !float.is_nan() {
                prop_assert_eq!(one(ValKind::F64, &float.to_string()), Ok(bits));
            }
        }

        #[test]
        fn no_command_line_panics(argv in prop::collection::vec("(--)?[a-z=0-9/-]{0,20}|--gas-limit|--env|--snapshot-id", 0..6)) {
            let _ = parse(&argv);
        }
    }
}
