//! `diff`: how two snapshots differ.

use serde_json::{Value, json};

use crate::cli::print;
use crate::cli::reply::{self, Reply};
use crate::cli::words::program_and_places;
use crate::flags::FileFlags;
use stepmark_runner::chain::snapshot_ref::SnapshotRef;
use stepmark_runner::failure::{MISMATCH, Result};
use stepmark_runner::state::{Difference, LoadedState, each_difference};
use stepmark_runner::terminal::print_part;

/// Lines of a group that are shown without `--all`.
const MOST: usize = 8;

/// Arguments of `diff`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DiffArgs {
    /// Two snapshots, each a number, "paused" or "final" [default: as for `inspect`]; and the program, where it is not found by its
    /// hash
    #[arg(value_name = "DIR[@ID] DIR[@ID] [PROGRAM]", required = true, num_args = 2..=3)]
    words: Vec<String>,
    /// Show all differences, not only the first eight of each group
    #[arg(long)]
    all: bool,
    /// The program's file, of both [default: looked for by name and hash beside each]
    #[arg(long, value_name = "FILE")]
    program: Option<String>,
    #[command(flatten)]
    files: FileFlags,
    /// Print one JSON object, with all differences
    #[arg(long)]
    json: bool,
}

pub(super) fn execute(args: &DiffArgs) -> Result<Reply> {
    let (program, places) = program_and_places(&args.words, 2, args.program.as_deref())?;
    let open = |place: &str| LoadedState::open(&SnapshotRef::to_look_at(place)?, program, &args.files.given()?);
    let (mut left, mut right) = (open(places[0])?, open(places[1])?);
    let states = [left.moment(), right.moment()];
    if args.json {
        return print_object(&places, &states, &mut left, &mut right).map(Into::into);
    }
    let mut shown = Groups { all: args.all, ..Groups::default() };
    if left.is_outside_chain() || right.is_outside_chain() {
        print(&format!("{}: {} | {}: {}", places[0], states[0], places[1], states[1]))?;
    }
    let count = each_difference(&mut left, &mut right, &mut |difference| shown.take(&difference))?;
    shown.end_group()?;
    if count == 0 {
        print("the same state")?;
    }
    Ok(code(count).into())
}

fn code(differences: usize) -> i32 {
    if differences == 0 { 0 } else { MISMATCH }
}

/// Prints the object, a difference after the other: there may be more of them than can be held. Returns the exit code.
fn print_object(places: &[&str], states: &[String; 2], left: &mut LoadedState, right: &mut LoadedState) -> Result<i32> {
    let text = |text: &str| Value::from(text).to_string();
    let [left_is, right_is] = states;
    print_part(&format!("{},\"left\":{},\"right\":{},", reply::opening("diff"), text(places[0]), text(places[1])))?;
    print_part(&format!("\"left_is\":{},\"right_is\":{},\"differences\":[", text(left_is), text(right_is)))?;
    let mut comma = "";
    let count = each_difference(left, right, &mut |difference| {
        print_part(&format!("{comma}{}", json!(difference)))?;
        comma = ",";
        Ok(())
    })?;
    let code = code(count);
    print(&format!("],\"same\":{},\"status\":\"ok\",\"exit_code\":{code}}}", count == 0))?;
    Ok(code)
}

/// Prints differences by groups: the first of each, and how many more there are.
#[derive(Default)]
struct Groups {
    all: bool,
    /// The group of the last one.
    group: String,
    /// How many there were of it.
    count: usize,
}

impl Groups {
    fn take(&mut self, difference: &Difference) -> Result<()> {
        if difference.group != self.group {
            self.end_group()?;
            self.group.clone_from(&difference.group);
        }
        self.count = self.count.saturating_add(1);
        if self.all || self.count <= MOST { print(&difference.to_string()) } else { Ok(()) }
    }

    /// Says what was left out of a group.
    fn end_group(&mut self) -> Result<()> {
        let more = self.count.saturating_sub(MOST);
        self.count = 0;
        if more > 0 && !self.all {
            print(&format!("... {more} more of {} (--all)", self.group))?;
        }
        Ok(())
    }
}
