//! docs/evidence.md: each section is written by the command whose figures it holds, never typed.

use std::process::Command;

use anyhow::{Context, Result};

/// Replaces the section `name` of docs/evidence.md: how its command was called, on which day, its `table` (Markdown, may be
/// empty) and `figure`, its last line. A section that is not there yet is added at the end.
///
/// # Errors
/// When the page cannot be read or written.
pub(crate) fn record(name: &str, command: &str, table: &str, figure: &str) -> Result<()> {
    let path = crate::workspace().join("docs/evidence.md");
    let page = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    std::fs::write(&path, replaced(&page, name, &section(command, &today()?, table, figure)))
        .with_context(|| path.display().to_string())
}

/// How this process was called, as a user would call it.
pub(crate) fn command_line() -> String {
    let args = std::env::args().skip(1).filter(|arg| arg != "--evidence");
    std::iter::once("cargo xtask".to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}

fn today() -> Result<String> {
    let date = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().context("date")?;
    Ok(String::from_utf8_lossy(&date.stdout).trim().to_owned())
}

fn section(command: &str, day: &str, table: &str, figure: &str) -> String {
    let table = table.trim_end();
    let table = if table.is_empty() { String::new() } else { format!("{table}\n\n") };
    format!("`{command}`, {day}:\n\n{table}> {figure}\n")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_a_new_one_is_added_at_the_end() {
        let page = "# Evidence\n";
        let first = replaced(page, "price", "a\n");
        assert_eq!(first, "# Evidence\n\n## price\n\n<!-- begin price -->\na\n<!-- end price -->\n");
        let both = replaced(&first, "bombs", "b\n");
        assert_eq!(replaced(&both, "price", "c\n"), both.replace("-->\na\n", "-->\nc\n"));
    }

    #[test]
    fn a_section_says_the_command_the_day_the_table_and_the_figure() {
        assert_eq!(
            section("cargo xtask price", "2026-11-29", "| a |\n| --- |\n", "price: 12"),
            "`cargo xtask price`, 2026-11-29:\n\n| a |\n| --- |\n\n> price: 12\n"
        );
    }
}
