//! `inspect`: what is in a snapshot, or at any other moment of a chain.

use std::path::Path;

use crate::cli::reply::Reply;
use crate::cli::words::program_and_place;
use crate::flags::FileFlags;
use crate::units;
use stepmark_runner::bounds::Bounds;
use stepmark_runner::chain::ChainFiles;
use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::job::rerun::{GivenFiles, JobFiles, Rerun};
use stepmark_runner::state::{Sight, StateView, hex_dump};
use stepmark_runner::terminal::print_lines;
use stepmark_runner::timeline::{CHECKPOINT_BYTES, SeekTarget, Timeline};

/// Arguments of `inspect`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct InspectArgs {
    /// Directory of the chain, and the snapshot: a number, "paused" or "final" [default: the pause if there is one, else the
    /// end if it was kept, else the highest]
    #[arg(value_name = "DIR[@ID] [PROGRAM]", required = true, num_args = 1..=2)]
    words: Vec<String>,
    /// Dump memory, from an address; of another memory than 0 as NUMBER:ADDRESS+BYTES (repeatable)
    #[arg(long, value_name = "ADDRESS+BYTES")]
    memory: Vec<String>,
    /// Look at the moment after so much gas in total, and not at a snapshot: the chain is executed up to there
    #[arg(long, value_name = "GAS", value_parser = units::number)]
    at: Option<u64>,
    /// The program's file [default: looked for by name and hash in DIR, beside DIR, in the working directory and where the run had it]
    #[arg(long, value_name = "FILE")]
    program: Option<String>,
    /// Look at no snapshot whose job may have more memory than this, of everything together, such as 4GiB
    #[arg(long, value_name = "BYTES", value_parser = units::number)]
    max_memory_total: Option<u64>,
    #[command(flatten)]
    files: FileFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A range of a memory.
struct Range {
    memory: u32,
    address: u64,
    bytes: usize,
}

/// Most bytes of one dump.
const MOST: usize = 1 << 20;

impl Range {
    fn parse(text: &str) -> Result<Self> {
        let wrong =
            || Failure::usage(format!("--memory {text}: expected [MEMORY:]ADDRESS+BYTES, at most {MOST} bytes"));
        let (memory, range) = text.split_once(':').unwrap_or(("0", text));
        let (address, bytes) = range.split_once('+').ok_or_else(wrong)?;
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        let bytes = number(bytes).and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| *bytes <= MOST);
        Ok(Self {
            memory: number(memory).and_then(|memory| u32::try_from(memory).ok()).ok_or_else(wrong)?,
            address: number(address).ok_or_else(wrong)?,
            bytes: bytes.ok_or_else(wrong)?,
        })
    }
}

/// What a state says, and the ranges of its memory that were asked for: memory, address and bytes.
type Looked = (StateView, Vec<(u32, u64, Vec<u8>)>);

fn at_snapshot(args: &InspectArgs, program: Option<&str>, place: &str, ranges: &[Range]) -> Result<Looked> {
    let place = SnapshotRef::to_look_at(place)?;
    let mut state = Sight::open(&place, program, &args.files.given()?, &args.bounds())?;
    Ok((state.view(), dumps(ranges, |range| state.memory(range.memory, range.address, range.bytes))?))
}

fn at_gas(args: &InspectArgs, program: Option<&str>, dir: &str, gas: u64, ranges: &[Range]) -> Result<Looked> {
    if !Path::new(dir).is_dir() {
        return Err(Failure::usage(format!("{dir}: is no directory; --at takes one, without @ID")));
    }
    let mut timeline = timeline_of(dir, program, &args.files.given()?, &args.bounds())?;
    timeline.seek(SeekTarget::Gas(gas))?;
    let view = timeline.view()?;
    Ok((view, dumps(ranges, |range| timeline.memory(range.memory, range.address, range.bytes))?))
}

/// The timeline of a chain, at its beginning.
///
/// # Errors
/// Exit code 65 where it holds no snapshot or its files are missing or damaged, 77 beyond the bounds.
pub(super) fn timeline_of(dir: &str, program: Option<&str>, given: &GivenFiles, bounds: &Bounds) -> Result<Timeline> {
    let dir = Path::new(dir);
    let chain = ChainFiles::open(dir)?;
    let job = chain.job.clone();
    let job = job.ok_or_else(|| Failure::data(format!("{}: holds no snapshot", dir.display())))?;
    bounds.check_memory(&job)?;
    let files = JobFiles::find(&job, program, given, dir)?;
    Timeline::open(&chain, &Rerun::new(job, &files, dir), CHECKPOINT_BYTES)
}

fn dumps(ranges: &[Range], mut bytes_of: impl FnMut(&Range) -> Result<Vec<u8>>) -> Result<Vec<(u32, u64, Vec<u8>)>> {
    ranges.iter().map(|range| Ok((range.memory, range.address, bytes_of(range)?))).collect()
}

impl InspectArgs {
    fn bounds(&self) -> Bounds {
        Bounds { memory: self.max_memory_total, ..Bounds::default() }
    }
}

pub(super) fn execute(args: &InspectArgs) -> Result<Reply> {
    let ranges: Vec<Range> = args.memory.iter().map(|text| Range::parse(text)).collect::<Result<_>>()?;
    let (program, place) = program_and_place(&args.words, args.program.as_deref())?;
    let (view, dumps) = match args.at {
        Some(gas) => at_gas(args, program, place, gas, &ranges)?,
        None => at_snapshot(args, program, place, &ranges)?,
    };
    if args.json {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let dumps: Vec<_> = dumps
            .iter()
            .map(|(memory, address, bytes)| serde_json::json!({ "memory": memory, "address": address, "bytes": hex(bytes) }))
            .collect();
        let mut object = serde_json::to_value(&view).map_err(|error| Failure::data(error.to_string()))?;
        if let Some(members) = object.as_object_mut() {
            members.insert("dumps".to_owned(), dumps.into());
        }
        return Ok(Reply::object(0, object));
    }
    print_lines(&view.to_string())?;
    for (memory, address, bytes) in dumps {
        print_lines(&format!("memory {memory}:\n{}", hex_dump(address, &bytes).trim_end()))?;
    }
    Ok(0.into())
}
