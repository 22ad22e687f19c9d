//! How two states differ, in the terms of the program.

use serde::Serialize;
use stepmark_state::canonical::FrameState;
use stepmark_state::pages::SpaceId;
use stepmark_state::pages::{PAGE, SPACE_KEY_VALUE, SPACE_TABLE, space_name};

use super::view::{FrameView, FrameViews, phase};
use super::{LoadedState, StateView};
use crate::failure::Result;

/// Most differences of a group that are collected.
const MOST_COLLECTED: usize = 64;
/// Most bytes of a range that are shown.
const MOST_BYTES: usize = 32;
/// Equal bytes between two differing ones that do not end a range.
const GAP: usize = 8;

/// One thing that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What kind of thing: those of a group follow each other.
    pub group: String,
    /// What.
    pub what: String,
    /// As the first state has it; of pages nothing, their bytes are a group of their own.
    pub left: String,
    /// As the second one has it.
    pub right: String,
}

impl Difference {
    /// One between files, or of what they say.
    pub fn of_files(what: String, left: String, right: String) -> Self {
        Self { group: "files".to_owned(), what, left, right }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.left.as_str(), self.right.as_str()) {
            ("", "") => f.write_str(&self.what),
            (left, right) => write!(f, "{}: {left} | {right}", self.what),
        }
    }
}

/// Hands on what differs.
pub(crate) struct Differences<'a> {
    group: String,
    count: usize,
    take: &'a mut dyn FnMut(Difference) -> Result<()>,
}

impl<'a> Differences<'a> {
    /// Those of a group are handed to `take`.
    pub(crate) fn of(group: &str, take: &'a mut dyn FnMut(Difference) -> Result<()>) -> Self {
        Self { group: group.to_owned(), count: 0, take }
    }

    /// Hands on what is not the same.
    pub(crate) fn compare(&mut self, what: impl Into<String>, left: impl ToString, right: impl ToString) -> Result<()> {
        let (left, right) = (left.to_string(), right.to_string());
        if left != right {
            return self.differs(what.into(), left, right);
        }
        Ok(())
    }

    fn differs(&mut self, what: String, left: String, right: String) -> Result<()> {
        self.count = self.count.saturating_add(1);
        (self.take)(Difference { group: self.group.clone(), what, left, right })
    }

    /// What follows is of this group.
    fn group(&mut self, name: impl Into<String>) -> &mut Self {
        self.group = name.into();
        self
    }

    /// Compares two lists as a group.
    fn lists(&mut self, what: &str, left: &[String], right: &[String]) -> Result<()> {
        self.group(format!("{what}s")).items(what, left, right)
    }

    /// Compares two lists item by item.
    fn items(&mut self, what: &str, left: &[String], right: &[String]) -> Result<()> {
        self.compare(format!("number of {what}s"), left.len(), right.len())?;
        for (number, (left, right)) in left.iter().zip(right).enumerate() {
            self.compare(format!("{what} {number}"), left, right)?;
        }
        Ok(())
    }
}

/// What differs between two states of one job, at most some of each group: nothing where they are the same state.
pub fn differences(left: &mut LoadedState, right: &mut LoadedState) -> Vec<Difference> {
    let mut found: Vec<Difference> = Vec::new();
    let mut of_group = 0;
    let collected = each_difference(left, right, &mut |difference| {
        let is_new = found.last().is_none_or(|last| last.group != difference.group);
        of_group = if is_new { 1 } else { of_group + 1 };
        match found.last_mut() {
            Some(last) if of_group > MOST_COLLECTED => {
                let (group, more) = (difference.group, of_group - MOST_COLLECTED);
                *last = Difference { what: format!("{group}: {more} more"), group, ..Difference::default() };
            }
            _ => found.push(difference),
        }
        Ok(())
    });
    debug_assert!(collected.is_ok(), "collecting does not fail");
    found
}

/// Hands every difference between two states of one job to `take`, group by group; how many there are.
///
/// # Errors
/// Those of `take`.
pub fn each_difference(
    left: &mut LoadedState,
    right: &mut LoadedState,
    take: &mut dyn FnMut(Difference) -> Result<()>,
) -> Result<usize> {
    let mut found = Differences::of("", take);
    let (a, b) = (left.view(), right.view());
    found.group("run").compare("job", &a.job_hash, &b.job_hash)?;
    found.compare("gas in total", a.gas_total, b.gas_total)?;
    found.compare("phase", phase(left.raw.state.phase), phase(right.raw.state.phase))?;
    frames(&mut found, left, right)?;
    found.lists("result", &a.results, &b.results)?;
    instances(&mut found, &a, &b)?;
    found.lists("exception", &a.exceptions, &b.exceptions)?;
    let descriptors = |view: &StateView| {
        let line =
            |d: &super::view::DescriptorInfo| format!("{} {} offset {} flags {:#x}", d.fd, d.target, d.offset, d.flags);
        view.descriptors.iter().map(line).collect::<Vec<_>>()
    };
    found.lists("descriptor", &descriptors(&a), &descriptors(&b))?;
    let written = |bytes: Option<u64>| bytes.unwrap_or(0);
    found.group("output");
    found.compare("bytes written to standard output", written(a.stdout_bytes), written(b.stdout_bytes))?;
    found.compare("bytes written to standard error", written(a.stderr_bytes), written(b.stderr_bytes))?;
    spaces(&mut found, left, right)?;
    let hosts = |state: &LoadedState| {
        state.raw.state.hosts.iter().map(|host| blake3::hash(&host.bytes).to_string()).collect::<Vec<_>>()
    };
    if found.count == 0 {
        // Whatever has no words of its own.
        found.lists("hash of the saved state of host module", &hosts(left), &hosts(right))?;
        found.group("state").compare("state hash", &a.state_hash, &b.state_hash)?;
    }
    Ok(found.count)
}

fn frames(found: &mut Differences<'_>, left: &LoadedState, right: &LoadedState) -> Result<()> {
    let (a, b) = (&left.raw.state.frames, &right.raw.state.frames);
    found.group("call stack").compare("call depth", a.len(), b.len())?;
    let (Some(of_left), Some(of_right)) = (frame_views(left), frame_views(right)) else { return Ok(()) };
    for (number, (x, y)) in a.iter().zip(b).enumerate().filter(|(_, (x, y))| x != y) {
        let is_last = |frames: &[FrameState]| number.saturating_add(1) == frames.len();
        frame(found, number, &of_left.view(x, is_last(a)), &of_right.view(y, is_last(b)))?;
    }
    Ok(())
}

fn frame_views(state: &LoadedState) -> Option<FrameViews<'_>> {
    state.session().machine().map(|machine| FrameViews::new(Some(machine), &state.raw.state.frames))
}

fn frame(found: &mut Differences<'_>, number: usize, a: &FrameView, b: &FrameView) -> Result<()> {
    let name = format!("frame {number} (outermost is 0)");
    found.compare(format!("{name}: place"), a.place(), b.place())?;
    found.items(&format!("{name}: local"), &a.locals, &b.locals)?;
    found.items(&format!("{name}: operand"), &a.operands, &b.operands)
}

fn instances(found: &mut Differences<'_>, a: &StateView, b: &StateView) -> Result<()> {
    for (number, (x, y)) in a.instances.iter().zip(&b.instances).enumerate() {
        let name = format!("instance {number}: ");
        found.lists(&format!("{name}global slot"), &x.globals, &y.globals)?;
        let sizes = |sizes: &[u64]| sizes.iter().map(u64::to_string).collect::<Vec<_>>();
        found.lists(&format!("{name}size of memory"), &sizes(&x.memories), &sizes(&y.memories))?;
        for (table, (s, t)) in x.tables.iter().zip(&y.tables).enumerate() {
            found.group(format!("{name}table {table}"));
            found.compare(format!("{name}size of table {table}"), s.size, t.size)?;
            table_elements(found, &format!("{name}table {table}"), &s.elements, &t.elements)?;
        }
        found.group(format!("{name}dropped segments")).compare(
            format!("{name}dropped data segments"),
            format!("{:?}", x.dropped_data),
            format!("{:?}", y.dropped_data),
        )?;
        let dropped = [&x.dropped_elements, &y.dropped_elements].map(|list| format!("{list:?}"));
        found.compare(format!("{name}dropped element segments"), &dropped[0], &dropped[1])?;
    }
    Ok(())
}

/// Compares the elements that are not null.
fn table_elements(
    found: &mut Differences<'_>,
    table: &str,
    left: &[(u64, String)],
    right: &[(u64, String)],
) -> Result<()> {
    let find = |list: &[(u64, String)], index: u64| {
        let place = list.binary_search_by_key(&index, |(index, _)| *index).ok();
        place.and_then(|place| list.get(place)).map_or_else(|| "null".to_owned(), |(_, element)| element.clone())
    };
    let mut indices: Vec<u64> = left.iter().chain(right).map(|(index, _)| *index).collect();
    indices.sort_unstable();
    indices.dedup();
    for index in indices {
        found.compare(format!("{table} element {index}"), find(left, index), find(right, index))?;
    }
    Ok(())
}

/// Names the pages that differ, in runs, and the ranges of memories and files that do.
fn spaces(found: &mut Differences<'_>, left: &mut LoadedState, right: &mut LoadedState) -> Result<()> {
    for (number, pages) in left.session_mut().differing_pages(right.session_mut()) {
        // Elements of tables were compared one by one.
        if number.kind == SPACE_TABLE {
            continue;
        }
        let name = format!("{} {}", space_name(number.kind).unwrap_or("space"), number.index);
        found.group(format!("pages of {name}"));
        for run in pages.chunk_by(|page, next| page.checked_add(1) == Some(*next)) {
            let what = match run {
                [page] => format!("page {page} of {name} differs"),
                [first, .., last] => format!("pages {first}-{last} of {name} differ"),
                [] => continue,
            };
            found.differs(what, String::new(), String::new())?;
        }
        if number.kind == SPACE_KEY_VALUE {
            continue;
        }
        found.group(name.as_str());
        for page in pages {
            ranges(found, &name, number, page, left, right)?;
        }
    }
    Ok(())
}

/// Names the ranges of a page that differ.
fn ranges(
    found: &mut Differences<'_>,
    name: &str,
    number: SpaceId,
    page: u64,
    left: &mut LoadedState,
    right: &mut LoadedState,
) -> Result<()> {
    let (a, b) = (left.session_mut().page(number, page), right.session_mut().page(number, page));
    let differing: Vec<usize> = (0..PAGE).filter(|at| a.get(*at) != b.get(*at)).collect();
    for range in differing.chunk_by(|x, y| y - x <= GAP) {
        let (Some(first), Some(last)) = (range.first(), range.last()) else { continue };
        let start = page * PAGE as u64 + *first as u64;
        let end = page * PAGE as u64 + *last as u64 + 1;
        let show = |bytes: &[u8]| {
            let range = bytes.get(*first..=*last).unwrap_or_default();
            let hex: String = range.iter().take(MOST_BYTES).map(|byte| format!("{byte:02x}")).collect();
            format!("{hex}{}", if range.len() > MOST_BYTES { "..." } else { "" })
        };
        found.differs(format!("{name} {start:#x}..{end:#x}"), show(&a), show(&b))?;
    }
    Ok(())
}
