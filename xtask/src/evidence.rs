//! `cargo xtask evidence`: docs/evidence.md, in which nothing is typed. Each section is written by the command whose figure it
//! holds, with the day, the commit and the module that were measured; a section of another module than today's says so.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use stepmark_runner::node::embedded_module::node_hash;

/// What stands in front of a section that was measured with another module.
const STALE: &str = "**Not measured in this version.**\n\n";
/// Digits of a hash that are shown.
const DIGITS: usize = 12;

/// A section: its name, and the command that prints its figure on its last line.
struct Figure {
    name: &'static str,
    command: &'static str,
    table: Table,
}

/// Where the table of a section comes from.
#[derive(Clone, Copy)]
enum Table {
    /// There is none.
    None,
    /// The command writes the section itself, told to by `--evidence`.
    Section,
    /// The command writes it to the file that follows these arguments.
    File(&'static [&'static str]),
}

const fn figure(name: &'static str, command: &'static str) -> Figure {
    Figure { name, command, table: Table::None }
}

const fn section_of(name: &'static str, command: &'static str) -> Figure {
    Figure { name, command, table: Table::Section }
}

const fn file_of(name: &'static str, command: &'static str, arguments: &'static [&'static str]) -> Figure {
    Figure { name, command, table: Table::File(arguments) }
}

impl Figure {
    /// The arguments for this command of xtask, with the table to `file` if it goes to one.
    fn arguments(&self, file: &str) -> Vec<String> {
        let more: Vec<&str> = match self.table {
            Table::None => Vec::new(),
            Table::Section => vec!["--evidence"],
            Table::File(arguments) => arguments.iter().copied().chain([file]).collect(),
        };
        self.command.split_whitespace().chain(more).map(str::to_owned).collect()
    }
}

/// What `.ci/run` runs too: minutes each at most.
const QUICK: [Figure; 24] = [
    figure("Specification suites", "spec --config fast"),
    figure("Specification suites on the stepper", "spec --config stepper"),
    figure("Specification suites inside wasm", "spec --in-node"),
    figure("Specification suites, restored every 7 gas", "spec --config restored --every 7 --most 40"),
    figure("Every operator at special values", "determinism"),
    figure("Sample and benchmark programs", "wasmfiles"),
    figure("WASI programs", "wasi-testsuite"),
    figure("Real programs", "apps"),
    figure("Random modules", "differential --modules 20000 --linked 2000"),
    section_of("Changed modules", "mutate --what module --cases 100000"),
    section_of("Changed snapshots", "mutate --what snapshot --cases 100000"),
    figure("Kills, power loss, faults", "crash"),
    figure("Contracts at once on one store", "store"),
    figure("Running modules that move", "migration"),
    file_of("One module, every runtime", "portability --runtimes target/runtimes", &["--markdown"]),
    figure("The module in the module", "self-hosting"),
    figure("What the module takes of the machine", "footprint --runtimes target/runtimes"),
    figure("Two clean builds", "reproducible"),
    figure("Instructions beside the last version", "perf-check"),
    section_of("Allocations that fail", "allocations"),
    section_of("Price", "price"),
    section_of("Modules made to be dear", "bombs"),
    section_of("Omissions", "omissions --every 4"),
    section_of("Oracles from outside", "oracles"),
];

/// What takes longer, or needs what is not everywhere.
const LONG: [Figure; 9] = [
    section_of("Miri", "miri"),
    section_of("AddressSanitizer", "asan"),
    section_of("Fuzzing with coverage", "fuzz --seconds 60"),
    section_of("Changed checks", "mutants"),
    figure("Linked modules", "differential --modules 0 --linked 100000"),
    file_of("Beside other runtimes", "peers", &["--", "--v8", "--markdown"]),
    section_of("What compiled code costs", "ingredients"),
    figure("Start, size, memory, snapshots", "overheads"),
    section_of("The first run", "first-run"),
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only sections whose command begins with this
    #[arg(long)]
    only: Option<String>,
    /// The long ones too: hours
    #[arg(long)]
    long: bool,
    /// Print the commands, and run none
    #[arg(long)]
    list: bool,
    /// Run none: mark the sections that were measured with another module
    #[arg(long)]
    mark: bool,
    /// Change nothing: is every section of another module marked
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    if args.check || args.mark {
        let page = read()?;
        let marked = marked(&page, node_hash());
        let stale = marked.matches(STALE).count();
        if args.mark {
            write(&marked)?;
        } else if page != marked {
            println!(
                "evidence: the page does not say which sections are of another module: cargo xtask evidence --mark"
            );
            return Ok(false);
        }
        println!("evidence: {stale} sections were not measured in this version, and say so");
        return Ok(true);
    }
    let wanted = |figure: &&Figure| args.only.as_ref().is_none_or(|only| figure.command.starts_with(only.as_str()));
    let long = LONG.iter().filter(|_| args.long || args.only.is_some());
    let chosen: Vec<&Figure> = QUICK.iter().chain(long).filter(wanted).collect();
    if args.list {
        chosen.iter().for_each(|figure| println!("cargo xtask {}", figure.command));
        return Ok(true);
    }
    let mut failed = Vec::new();
    for figure in &chosen {
        println!("== {}", figure.command);
        if !measure(figure)? {
            failed.push(figure.command);
        }
    }
    println!("evidence: {} of {} sections written, failed: {failed:?}", chosen.len() - failed.len(), chosen.len());
    Ok(failed.is_empty())
}

/// Runs a command and writes its section; `false` when the command fails: then the page is as it was, unless it has a table and a
/// figure that say what is not good enough.
fn measure(figure: &Figure) -> Result<bool> {
    let xtask = std::env::current_exe().context("where this command is")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("table.md");
    let page = read()?;
    let mut command = Command::new(xtask);
    command.args(figure.arguments(&file.display().to_string())).current_dir(crate::workspace());
    let output = command.stderr(Stdio::inherit()).output().context(figure.command)?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let last = printed.trim_end().lines().last().unwrap_or_default();
    println!("{last}");
    let passed = output.status.success();
    if !passed && !file.exists() {
        // A command that writes its section itself has written a figure that is not good enough.
        write(&page)?;
    } else if !matches!(figure.table, Table::Section) {
        let table = if file.exists() { std::fs::read_to_string(&file)? } else { String::new() };
        record(figure.name, &format!("cargo xtask {}", figure.command), &table, last)?;
    }
    Ok(passed)
}

/// Replaces the section `name` of docs/evidence.md: how its command was called, on which day, with which commit and module, its
/// `table` (Markdown, may be empty) and `figure`, its last line. A section that is not there yet is added at the end.
///
/// # Errors
/// When the page cannot be read or written.
pub(crate) fn record(name: &str, command: &str, table: &str, figure: &str) -> Result<()> {
    let measured = Measured { day: today()?, commit: commit()?, module: node_hash().to_owned() };
    let page = replaced(&read()?, name, &section(command, &measured, table, figure));
    write(&marked(&page, node_hash()))
}

/// How this process was called, as a user would call it.
pub(crate) fn command_line() -> String {
    let args = std::env::args().skip(1).filter(|arg| arg != "--evidence");
    std::iter::once("cargo xtask".to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}

/// When a figure was measured, and of what.
struct Measured {
    day: String,
    commit: String,
    module: String,
}

fn page_path() -> std::path::PathBuf {
    crate::workspace().join("docs/evidence.md")
}

fn read() -> Result<String> {
    let path = page_path();
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn write(page: &str) -> Result<()> {
    let path = page_path();
    std::fs::write(&path, page).with_context(|| path.display().to_string())
}

fn today() -> Result<String> {
    printed_by(Command::new("date").args(["-u", "+%Y-%m-%d"]))
}

fn commit() -> Result<String> {
    printed_by(Command::new("git").args(["rev-parse", "--short=10", "HEAD"]).current_dir(crate::workspace()))
}

fn printed_by(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn section(command: &str, measured: &Measured, table: &str, figure: &str) -> String {
    let table = table.trim_end();
    let table = if table.is_empty() { String::new() } else { format!("{table}\n\n") };
    let Measured { day, commit, module } = measured;
    let module = module.get(..DIGITS).unwrap_or(module);
    format!("`{command}`, {day}, commit `{commit}`, module `{module}`:\n\n{table}> {figure}\n")
}

/// The page with this section's text between its marks.
fn replaced(page: &str, name: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->\n"));
    let found = page.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    match found {
        Some((before, after)) => format!("{before}{begin}{text}{end}{after}"),
        None => format!("{}\n\n## {name}\n\n{begin}{text}{end}", page.trim_end()),
    }
}

/// The page with a note in front of every section that does not name `module` as what was measured.
fn marked(page: &str, module: &str) -> String {
    let current = format!(", module `{}`:", module.get(..DIGITS).unwrap_or(module));
    let mut out = String::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("<!-- begin ") {
        let Some((name, section)) = after.split_once(" -->\n") else { break };
        let section = section.strip_prefix(STALE).unwrap_or(section);
        let is_current = section.lines().next().is_some_and(|line| line.ends_with(&current));
        let note = if is_current { "" } else { STALE };
        out.push_str(&format!("{before}<!-- begin {name} -->\n{note}"));
        rest = section;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn measured(module: &str) -> Measured {
        Measured { day: "2026-11-29".into(), commit: "0123456789".into(), module: module.into() }
    }

    #[test]
    fn a_section_is_replaced_and_a_new_one_is_added_at_the_end() {
        let page = "# Evidence\n";
        let first = replaced(page, "price", "a\n");
        assert_eq!(first, "# Evidence\n\n## price\n\n<!-- begin price -->\na\n<!-- end price -->\n");
        let both = replaced(&first, "bombs", "b\n");
        assert_eq!(replaced(&both, "price", "c\n"), both.replace("-->\na\n", "-->\nc\n"));
    }

    #[test]
    fn a_section_says_the_command_the_day_what_was_measured_the_table_and_the_figure() {
        let module = "0123456789abcdef";
        assert_eq!(
            section("cargo xtask price", &measured(module), "| a |\n| --- |\n", "price: 12"),
            "`cargo xtask price`, 2026-11-29, commit `0123456789`, module `0123456789ab`:\n\n| a |\n| --- |\n\n> price: 12\n"
        );
    }

    #[test]
    fn sections_of_another_module_say_so_until_they_are_measured_again() {
        let of = |module: &str| section("cargo xtask price", &measured(module), "", "price: 12");
        let page = replaced(&replaced("# Evidence\n", "price", &of("aaaaaaaaaaaaaa")), "bombs", &of("bbbbbbbbbbbbbb"));
        let at_a = marked(&page, "aaaaaaaaaaaaaa");
        assert_eq!(at_a, page.replace("<!-- begin bombs -->\n", &format!("<!-- begin bombs -->\n{STALE}")));
        assert_eq!(marked(&at_a, "aaaaaaaaaaaaaa"), at_a);
        assert_eq!(marked(&at_a, "bbbbbbbbbbbbbb").matches(STALE).count(), 1);
        assert_eq!(marked(&at_a, "cccccccccccccc").matches(STALE).count(), 2);
    }

    #[test]
    fn every_figure_is_of_a_command_of_xtask() {
        for figure in QUICK.iter().chain(&LONG) {
            let words = std::iter::once("xtask".to_owned()).chain(figure.arguments("table.md"));
            crate::Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{}: {error}", figure.command));
        }
    }
}
