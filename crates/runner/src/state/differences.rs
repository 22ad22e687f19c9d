//! How two states differ, in the terms of the program.

use serde::Serialize;
use stepmark_state::canonical::FrameState;
use stepmark_state::pages::SpaceId;
use stepmark_state::pages::{PAGE, SPACE_MEMORY, space_name};

use super::view::{FrameView, FrameViews, phase};
use super::{LoadedState, StateView};

/// Most ranges of a space that are named one by one.
const MOST_RANGES: usize = 64;
/// Most bytes of a range that are shown.
const MOST_BYTES: usize = 32;
/// Equal bytes between two differing ones that do not end a range.
const GAP: usize = 8;

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What.
    pub what: String,
    /// As the first state has it.
    pub left: String,
    /// As the second one has it.
    pub right: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} | {}", self.what, self.left, self.right)
    }
}

/// Collects what differs.
#[derive(Default)]
struct Differences(Vec<Difference>);

impl Differences {
    fn compare(&mut self, what: impl Into<String>, left: impl ToString, right: impl ToString) {
        let (left, right) = (left.to_string(), right.to_string());
        if left != right {
            self.0.push(Difference { what: what.into(), left, right });
        }
    }

    /// Compares two lists item by item.
    fn lists(&mut self, what: &str, left: &[String], right: &[String]) {
        self.compare(format!("number of {what}s"), left.len(), right.len());
        for (number, (left, right)) in left.iter().zip(right).enumerate() {
            self.compare(format!("{what} {number}"), left, right);
        }
    }
}

/// What differs between two states of one job: nothing where they are the same state.
pub fn differences(left: &mut LoadedState, right: &mut LoadedState) -> Vec<Difference> {
    let mut found = Differences::default();
    let (a, b) = (left.view(), right.view());
    found.compare("job", &a.job_hash, &b.job_hash);
    found.compare("gas in total", a.gas_total, b.gas_total);
    found.compare("phase", phase(left.raw.state.phase), phase(right.raw.state.phase));
    frames(&mut found, left, right);
    found.lists("result", &a.results, &b.results);
    instances(&mut found, &a, &b);
    found.lists("exception", &a.exceptions, &b.exceptions);
    let descriptors = |view: &StateView| {
        let line =
            |d: &super::view::DescriptorInfo| format!("{} {} offset {} flags {:#x}", d.fd, d.target, d.offset, d.flags);
        view.descriptors.iter().map(line).collect::<Vec<_>>()
    };
    found.lists("descriptor", &descriptors(&a), &descriptors(&b));
    found.compare("bytes written to standard output", a.stdout_bytes, b.stdout_bytes);
    found.compare("bytes written to standard error", a.stderr_bytes, b.stderr_bytes);
    spaces(&mut found, left, right);
    let hosts = |state: &LoadedState| {
        state.raw.state.hosts.iter().map(|host| blake3::hash(&host.bytes).to_string()).collect::<Vec<_>>()
    };
    if found.0.is_empty() {
        // Whatever has no words of its own.
        found.lists("hash of the saved state of host module", &hosts(left), &hosts(right));
        found.compare("state hash", &a.state_hash, &b.state_hash);
    }
    found.0
}

fn frames(found: &mut Differences, left: &LoadedState, right: &LoadedState) {
    let (a, b) = (&left.raw.state.frames, &right.raw.state.frames);
    found.compare("call depth", a.len(), b.len());
    let (Some(of_left), Some(of_right)) = (frame_views(left), frame_views(right)) else { return };
    for (number, (x, y)) in a.iter().zip(b).enumerate().filter(|(_, (x, y))| x != y) {
        let is_last = |frames: &[FrameState]| number.saturating_add(1) == frames.len();
        frame(found, number, &of_left.view(x, is_last(a)), &of_right.view(y, is_last(b)));
    }
}

fn frame_views(state: &LoadedState) -> Option<FrameViews<'_>> {
    state.session().machine().map(|machine| FrameViews::new(machine, &state.raw.state.frames))
}

fn frame(found: &mut Differences, number: usize, a: &FrameView, b: &FrameView) {
    let name = format!("frame {number} (outermost is 0)");
    found.compare(format!("{name}: place"), a.place(), b.place());
    found.lists(&format!("{name}: local"), &a.locals, &b.locals);
    found.lists(&format!("{name}: operand"), &a.operands, &b.operands);
}

fn instances(found: &mut Differences, a: &StateView, b: &StateView) {
    for (number, (x, y)) in a.instances.iter().zip(&b.instances).enumerate() {
        let name = format!("instance {number}: ");
        found.lists(&format!("{name}global slot"), &x.globals, &y.globals);
        let sizes = |sizes: &[u64]| sizes.iter().map(u64::to_string).collect::<Vec<_>>();
        found.lists(&format!("{name}size of memory"), &sizes(&x.memories), &sizes(&y.memories));
        for (table, (s, t)) in x.tables.iter().zip(&y.tables).enumerate() {
            found.compare(format!("{name}size of table {table}"), s.size, t.size);
            table_elements(found, &format!("{name}table {table}"), &s.elements, &t.elements);
        }
        found.compare(
            format!("{name}dropped data segments"),
            format!("{:?}", x.dropped_data),
            format!("{:?}", y.dropped_data),
        );
        let dropped = [&x.dropped_elements, &y.dropped_elements].map(|list| format!("{list:?}"));
        found.compare(format!("{name}dropped element segments"), &dropped[0], &dropped[1]);
    }
}

/// Compares the elements that are not null.
fn table_elements(found: &mut Differences, table: &str, left: &[(u64, String)], right: &[(u64, String)]) {
    let find = |list: &[(u64, String)], index: u64| {
        let place = list.binary_search_by_key(&index, |(index, _)| *index).ok();
        place.and_then(|place| list.get(place)).map_or_else(|| "null".to_owned(), |(_, element)| element.clone())
    };
    let mut indices: Vec<u64> = left.iter().chain(right).map(|(index, _)| *index).collect();
    indices.sort_unstable();
    indices.dedup();
    for index in indices {
        found.compare(format!("{table} element {index}"), find(left, index), find(right, index));
    }
}

/// Compares contents page by page, and names the ranges of memories and files that differ.
fn spaces(found: &mut Differences, left: &mut LoadedState, right: &mut LoadedState) {
    for (number, pages) in left.session_mut().differing_pages(right.session_mut()) {
        let name = format!("{} {}", space_name(number.kind).unwrap_or("space"), number.index);
        if number.kind != SPACE_MEMORY && number.kind != stepmark_state::pages::SPACE_FILE {
            continue;
        }
        let mut named = 0;
        for page in &pages {
            if named >= MOST_RANGES {
                found.compare(format!("{name}: pages that differ, of which the first were named"), pages.len(), "");
                break;
            }
            named += ranges(found, &name, number, *page, left, right);
        }
    }
}

/// Names the ranges of a page that differ; how many.
fn ranges(
    found: &mut Differences,
    name: &str,
    number: SpaceId,
    page: u64,
    left: &mut LoadedState,
    right: &mut LoadedState,
) -> usize {
    let (a, b) = (left.session_mut().page(number, page), right.session_mut().page(number, page));
    let differing: Vec<usize> = (0..PAGE).filter(|at| a.get(*at) != b.get(*at)).collect();
    let mut count = 0;
    for range in differing.chunk_by(|x, y| y - x <= GAP) {
        let (Some(first), Some(last)) = (range.first(), range.last()) else { continue };
        let start = page * PAGE as u64 + *first as u64;
        let end = page * PAGE as u64 + *last as u64 + 1;
        let show = |bytes: &[u8]| {
            let range = bytes.get(*first..=*last).unwrap_or_default();
            let hex: String = range.iter().take(MOST_BYTES).map(|byte| format!("{byte:02x}")).collect();
            format!("{hex}{}", if range.len() > MOST_BYTES { "..." } else { "" })
        };
        found.compare(format!("{name} {start:#x}..{end:#x}"), show(&a), show(&b));
        count += 1;
    }
    count
}
