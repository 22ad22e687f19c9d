//! `inspect`: what is in a snapshot, or at any other moment of a chain.

use std::path::Path;

use crate::cli::reply::Reply;
use crate::cli::words::program_and_place;
use crate::flags::LookFlags;
use crate::units;
use stepmark_runner::chain::ChainFiles;
use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::job::rerun::{JobFiles, Rerun};
use stepmark_runner::state::{Sight, StateView, hex_dump};
use stepmark_runner::terminal::print_lines;
use stepmark_runner::timeline::{CHECKPOINT_BYTES, MemoryRange, SeekTarget, Timeline};

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
    #[command(flatten)]
    look: LookFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Most bytes of one dump.
const MOST: u64 = 1 << 20;

/// A range as it is written, `[MEMORY:]ADDRESS+BYTES`; none of another form.
pub(super) fn memory_range(text: &str, number: impl Fn(&str) -> Option<u64>) -> Option<MemoryRange> {
    let (memory, range) = text.split_once(':').unwrap_or(("0", text));
    let (address, length) = range.split_once('+')?;
    let memory = number(memory).and_then(|memory| u32::try_from(memory).ok())?;
    Some(MemoryRange { memory, address: number(address)?, length: number(length)? })
}

fn range_to_dump(text: &str) -> Result<MemoryRange> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    memory_range(text, number).filter(|range| range.length <= MOST).ok_or_else(|| {
        Failure::usage(format!("--memory {text}: expected [MEMORY:]ADDRESS+BYTES, at most {MOST} bytes"))
    })
}

/// What a state says, and the ranges of its memory that were asked for: memory, address and bytes.
type Looked = (StateView, Vec<(u32, u64, Vec<u8>)>);

fn at_snapshot(args: &InspectArgs, program: Option<&str>, place: &str, ranges: &[MemoryRange]) -> Result<Looked> {
    let place = SnapshotRef::to_look_at(place)?;
    let mut state = Sight::open(&place, program, &args.look.files.given()?, &args.look.bounds())?;
    Ok((state.view(), dumps(ranges, |range, length| state.memory(range.memory, range.address, length))?))
}

fn at_gas(args: &InspectArgs, program: Option<&str>, dir: &str, gas: u64, ranges: &[MemoryRange]) -> Result<Looked> {
    if !Path::new(dir).is_dir() {
        return Err(Failure::usage(format!("{dir}: is no directory; --at takes one, without @ID")));
    }
    let mut timeline = timeline_of(dir, program, &args.look)?;
    timeline.seek(SeekTarget::Gas(gas))?;
    let view = timeline.view()?;
    Ok((view, dumps(ranges, |range, length| timeline.memory(range.memory, range.address, length))?))
}

/// The timeline of a chain, at its beginning.
///
/// # Errors
/// Exit code 65 where it holds no snapshot or its files are missing or damaged, 77 beyond the bounds.
pub(super) fn timeline_of(dir: &str, program: Option<&str>, look: &LookFlags) -> Result<Timeline> {
    let dir = Path::new(dir);
    let chain = ChainFiles::open(dir)?;
    let job = chain.job.clone();
    let job = job.ok_or_else(|| Failure::data(format!("{}: holds no snapshot", dir.display())))?;
    look.bounds().check_memory(&job)?;
    let files = JobFiles::find(&job, program, &look.files.given()?, dir)?;
    Timeline::open(&chain, &Rerun::new(job, &files, dir), CHECKPOINT_BYTES)
}

fn dumps(
    ranges: &[MemoryRange],
    mut bytes_of: impl FnMut(&MemoryRange, usize) -> Result<Vec<u8>>,
) -> Result<Vec<(u32, u64, Vec<u8>)>> {
    let dump = |range: &MemoryRange| Ok((range.memory, range.address, bytes_of(range, length_of(range))?));
    ranges.iter().map(dump).collect()
}

/// How many bytes there are to be shown; more than there can be where that is no length here.
pub(super) fn length_of(range: &MemoryRange) -> usize {
    usize::try_from(range.length).unwrap_or(usize::MAX)
}

pub(super) fn execute(args: &InspectArgs) -> Result<Reply> {
    let ranges: Vec<MemoryRange> = args.memory.iter().map(|text| range_to_dump(text)).collect::<Result<_>>()?;
    let (program, place) = program_and_place(&args.words, args.look.program.as_deref())?;
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
