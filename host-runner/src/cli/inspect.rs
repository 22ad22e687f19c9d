//! `inspect`: what is in a snapshot.

use crate::cli::reply::Reply;
use crate::cli::words::program_and_place;
use crate::flags::FileFlags;
use crate::units;
use stepmark_runner::bounds::Bounds;
use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::failure::{Failure, Result};
use stepmark_runner::state::{Sight, hex_dump};
use stepmark_runner::terminal::print_lines;

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

pub(super) fn execute(args: &InspectArgs) -> Result<Reply> {
    let ranges: Vec<Range> = args.memory.iter().map(|text| Range::parse(text)).collect::<Result<_>>()?;
    let (program, place) = program_and_place(&args.words, args.program.as_deref())?;
    let place = SnapshotRef::to_look_at(place)?;
    let bounds = Bounds { memory: args.max_memory_total, ..Bounds::default() };
    let mut state = Sight::open(&place, program, &args.files.given()?, &bounds)?;
    let view = state.view();
    let mut dumps = Vec::new();
    for range in ranges {
        let bytes = state.memory(range.memory, range.address, range.bytes)?;
        dumps.push((range.memory, range.address, bytes));
    }
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
