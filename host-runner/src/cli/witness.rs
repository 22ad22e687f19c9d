//! `witness` and `check-witness`: a segment that can be executed without the rest of the memory.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;
use stepmark_state::encoding::hex;
use stepmark_state::error::JobError;

use crate::cli::print;
use crate::cli::reply::Reply;
use crate::cli::words::program_and_place;
use crate::flags::{BoundFlags, FileFlags};
use stepmark_runner::ask::witness::{self, Successor};
use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::failure::{Failure, MISMATCH, Result};
use stepmark_runner::foreign::{self, ForeignKind};
use stepmark_runner::job::rerun::JobFiles;
use stepmark_runner::named_output::{OutputKind, check_output, check_output_if_named, write_output};
use stepmark_runner::node::runner_report::nanoseconds;

/// Arguments of `witness`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct WitnessArgs {
    /// Directory of the chain, and the snapshot that the segment starts from; and the program, where it is not found by its
    /// name and hash in DIR, beside DIR, in the working directory or where the run had it
    #[arg(value_name = "DIR@K [PROGRAM]", required = true, num_args = 1..=2)]
    words: Vec<String>,
    /// The program, as another way to name it
    #[arg(long, value_name = "FILE")]
    program: Option<String>,
    /// The witness to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    files: FileFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn make(args: &WitnessArgs) -> Result<Reply> {
    let started = Instant::now();
    let (program, place) = program_and_place(&args.words, args.program.as_deref())?;
    check_output(&args.output, OutputKind::Magic(stepmark_snapshot::witness::MAGIC))?;
    let made = witness::make(&SnapshotRef::parse(place)?, program, &args.files.given()?)?;
    write_output(&args.output, OutputKind::Magic(stepmark_snapshot::witness::MAGIC), &made.bytes)?;
    let (time, size) = (started.elapsed(), made.bytes.len());
    let (touched, memory) = (made.touched_pages, made.memory_pages);
    if args.json {
        let object = json!({
            "file": args.output.display().to_string(), "bytes": size, "touched_pages": touched, "memory_pages": memory,
            "gas": made.gas, "time_ns": nanoseconds(time),
        });
        return Ok(Reply::object(0, object));
    }
    let rate = crate::console::per_second(stepmark_runner::node::sink::rate(made.gas, time));
    print(&format!(
        "a witness of {size} bytes: {touched} of {memory} pages of memory are touched, recorded at {rate}"
    ))?;
    Ok(0.into())
}

/// Arguments of `check-witness`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// The witness
    #[arg(value_name = "FILE")]
    witness: PathBuf,
    /// The program, where it is not found by its name and hash beside the witness or in the working directory
    #[arg(value_name = "PROGRAM")]
    word: Option<String>,
    /// The program, as another way to name it
    #[arg(long, value_name = "FILE", conflicts_with = "word")]
    program: Option<String>,
    /// The next snapshot's .snap: the witness must lead to exactly these bytes
    #[arg(long, value_name = "FILE.snap")]
    expect: Option<PathBuf>,
    /// Write the .snap that the segment leads to
    #[arg(short, long, value_name = "FILE.snap")]
    output: Option<PathBuf>,
    #[command(flatten)]
    bounds: BoundFlags,
    #[command(flatten)]
    files: FileFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn check(args: &CheckArgs) -> Result<Reply> {
    let expected = args.expect.as_deref().map(|path| foreign::read(path, ForeignKind::Snap)).transpose()?;
    let snapshot = OutputKind::Magic(stepmark_snapshot::SNAP_MAGIC);
    check_output_if_named(args.output.as_deref(), snapshot)?;
    let bytes = foreign::read(&args.witness, ForeignKind::Witness)?;
    let decoded = stepmark_snapshot::witness::Witness::decode(&bytes);
    let refused = |error: JobError| {
        let failure = Failure::data(format!("{}: {}", args.witness.display(), error.message()));
        match (bytes.starts_with(b"\0asm"), &args.word) {
            (true, Some(word)) => failure.help(format!("the witness stands first: {word} {}", args.witness.display())),
            _ => failure,
        }
    };
    let decoded = decoded.map_err(refused)?;
    let closed = decoded.close().map_err(refused)?;
    let folder = args.witness.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = JobFiles::find(
        &decoded.snapshot.job,
        args.word.as_deref().or(args.program.as_deref()),
        &args.files.given()?,
        folder,
    )?;
    let checked = witness::check(&closed, &files, &args.bounds.bounds())?;
    let right = match (&expected, &checked.next) {
        (None, _) => true,
        (Some(expected), Successor::Snapshot { snap, .. }) => expected == snap,
        (Some(_), Successor::End { .. }) => false,
    };
    if let (Some(path), Successor::Snapshot { snap, .. }) = (&args.output, &checked.next) {
        write_output(path, snapshot, snap)?;
    }
    // Everything that is said here is said of this .snap: the id alone names none.
    let (id, from) = (decoded.snapshot.segment.id, hex(&decoded.snapshot.hash));
    let (text, object) = match &checked.next {
        Successor::Snapshot { id, hash, state_hash, .. } => (
            format!("snapshot {id}: .snap hash {hash}, state {state_hash}"),
            json!({ "snapshot": id, "snap_hash": hash, "state_hash": state_hash }),
        ),
        Successor::End { result, .. } => {
            (format!("the end: {}", result.trim_end().replace('\n', " ")), json!({ "result": result }))
        }
    };
    let code = if right { 0 } else { MISMATCH };
    if args.json {
        let object =
            json!({ "from": id, "from_snap_hash": from, "right": right, "gas": checked.gas, "leads_to": object });
        return Ok(Reply::object(code, object));
    }
    let verdict = if right { "" } else { "NOT what was expected: " };
    print(&format!("{verdict}the segment from snapshot {id} (.snap hash {from}) leads to {text}"))?;
    Ok(code.into())
}
