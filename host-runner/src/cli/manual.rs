//! The page docs/cli-reference.md: one section a subcommand, written from what clap knows of it. A test compares the page with
//! the file, so the file is what `stepmark COMMAND --help` says.

use clap::{Arg, Command};

/// What the page begins with.
const INTRODUCTION: &str = "\
# Reference of the command line

<!-- Written by a test from the command's own help: BLESS=1 cargo test -p host-runner --lib reference -->

This is what `stepmark COMMAND --help` says, for every command. `-h` says less. Every command has both, so they are not repeated.
[The command `stepmark`](cli.md) is the page to begin with: it has exit codes, files, and what the help does not say.

`stepmark PROGRAM ...` is short for `stepmark run PROGRAM ...`. `stepmark --version` prints the hash of the module too.
";

/// Options that every command has.
const EVERYWHERE: [&str; 2] = ["help", "version"];

/// Returns the page of a command line.
fn page(mut command: Command) -> String {
    command = command.disable_help_subcommand(true);
    command.build();
    let rows = command.get_subcommands().map(|sub| {
        let name = sub.get_name();
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        format!("| [`{name}`](#{}) | {} |\n", anchor(sub), cell(&about))
    });
    let contents = format!("\n| command | what it does |\n| --- | --- |\n{}", rows.collect::<String>());
    let sections = command.get_subcommands().map(|sub| section(sub, 2));
    [INTRODUCTION.to_owned(), contents].into_iter().chain(sections).collect()
}

/// Returns the section of a subcommand, and below it those of its own subcommands.
fn section(command: &Command, level: usize) -> String {
    let mut text = format!("\n{} {}\n", "#".repeat(level), title(command));
    if let Some(about) = command.get_long_about().or(command.get_about()) {
        text += &format!("\n{}.\n", about.to_string().trim_end_matches('.'));
    }
    let aliases: Vec<String> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        text += &format!("\nAnother name: {}.\n", aliases.join(", "));
    }
    let usage = command.clone().render_usage().to_string();
    text += &block(usage.trim_start_matches("Usage: "));
    tables(command).iter().for_each(|table| text += table);
    if let Some(examples) = command.get_after_long_help() {
        text += &format!("\nExamples:\n{}", block(examples.to_string().trim_start_matches("Examples:\n")));
    }
    command.get_subcommands().for_each(|sub| text += &section(sub, level + 1));
    text
}

/// Returns the tables of arguments, of options without a heading, and of each heading's options.
fn tables(command: &Command) -> Vec<String> {
    let heading = |arg: &Arg| match arg.is_positional() {
        true => "Arguments".to_owned(),
        false => arg.get_help_heading().unwrap_or("Options").to_owned(),
    };
    let shown = || command.get_arguments().filter(|arg| !is_everywhere(arg) && !arg.is_hide_set());
    let mut headings = vec!["Arguments".to_owned(), "Options".to_owned()];
    for heading in shown().map(heading) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    let table = |of: &String| {
        let rows: String = shown().filter(|arg| heading(arg) == *of).map(row).collect();
        (!rows.is_empty()).then(|| format!("\n| {of} | |\n| --- | --- |\n{rows}"))
    };
    headings.iter().filter_map(table).collect()
}

fn is_everywhere(arg: &Arg) -> bool {
    EVERYWHERE.contains(&arg.get_id().as_str())
}

/// Returns the row of an argument or option: how it is written, what it means, its default and its possible values.
fn row(arg: &Arg) -> String {
    let long = arg.get_long().is_some();
    let short = arg.get_short().filter(|_| long).map(|short| format!("-{short}, ")).unwrap_or_default();
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut parts = vec![help];
    let list = |values: Vec<String>| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    let takes_value = arg.get_action().takes_values();
    let possible: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| value.get_name().to_owned())
        .collect();
    if takes_value && !possible.is_empty() {
        parts.push(format!("one of {}", list(possible)));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if takes_value && !defaults.is_empty() {
        parts.push(format!("default: {}", list(defaults)));
    }
    if arg.is_required_set() && !arg.is_positional() {
        parts.push("required".to_owned());
    }
    format!("| {} | {} |\n", cell(&format!("`{short}{arg}`")), cell(&parts.join("; ")))
}

/// Returns a fenced block of lines, without what indents them.
fn block(lines: &str) -> String {
    let lines: String = lines.trim_end().lines().map(|line| format!("{}\n", line.trim())).collect();
    format!("\n```\n{lines}```\n")
}

/// Returns text as a cell of a table may have it.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

fn title(command: &Command) -> String {
    command.get_bin_name().unwrap_or(command.get_name()).to_owned()
}

/// Returns what a link to the section of a command ends with.
fn anchor(command: &Command) -> String {
    title(command).replace(' ', "-")
}

/// The page in the repository.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli-reference.md");

#[test]
fn the_reference_of_the_command_line_is_what_the_command_says() {
    let page = page(super::help::command());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(FILE, &page).expect("written");
    }
    let kept = std::fs::read_to_string(FILE).unwrap_or_default();
    let differ = kept.lines().zip(page.lines()).find(|(kept, page)| kept != page);
    assert!(kept == page, "docs/cli-reference.md (BLESS=1 writes it anew): kept | now: {differ:#?}");
}

#[test]
fn every_flag_of_every_command_is_in_the_reference() {
    let mut command = super::help::command().disable_help_subcommand(true);
    command.build();
    let page = page(super::help::command());
    let mut commands: Vec<&Command> = command.get_subcommands().collect();
    while let Some(sub) = commands.pop() {
        commands.extend(sub.get_subcommands());
        let (_, section) = page.split_once(&format!("# {}\n", title(sub))).expect("a section");
        let section = section.split("\n## ").next().expect("it has a beginning");
        for arg in sub.get_arguments().filter(|arg| !is_everywhere(arg)) {
            assert!(section.contains(&cell(&arg.to_string())), "{}: {arg}", title(sub));
        }
    }
}
