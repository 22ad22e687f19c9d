//! Follows the links of the pages: to files, to headings, and from the table of contents.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{fenced, pages, root, text};

/// Returns the lines of a page outside its fenced blocks, with their numbers.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let blocks = fenced(text);
    let is_prose =
        |number: usize| !blocks.iter().any(|block| (block.lines.start - 1..=block.lines.end).contains(&number));
    text.lines().enumerate().filter(|(number, _)| is_prose(*number)).map(|(number, line)| (number + 1, line)).collect()
}

/// Returns where the links of a page lead, with the numbers of their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        // What is in code is no link.
        let line: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let inline = line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        let defined = line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
        found.extend(inline.chain(defined).map(|target| (number, target.trim().to_owned())));
    }
    found
}

/// Returns the anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(text)
        .into_iter()
        .filter_map(|(_, line)| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    let numbered = |heading: &str| {
        let kept = heading.trim().to_lowercase().replace(' ', "-");
        let anchor: String = kept.chars().filter(|c| c.is_alphanumeric() || ['-', '_'].contains(c)).collect();
        let before = seen.entry(anchor.clone()).or_default();
        *before += 1;
        if *before == 1 { anchor } else { format!("{anchor}-{}", *before - 1) }
    };
    headings.map(numbered).collect()
}

/// Returns what is wrong with a link, if anything is.
fn fault(page: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let folder = Path::new(page).parent().expect("a folder");
    let path = if file.is_empty() { Path::new(page).to_owned() } else { folder.join(file) };
    if !root().join(&path).exists() {
        return Some(format!("there is no {file}"));
    }
    let anchor = anchor?;
    let anchors = anchors(&text(path.to_str().expect("UTF-8")));
    (!anchors.iter().any(|found| found == anchor)).then(|| format!("{} has no heading #{anchor}", path.display()))
}

#[test]
fn every_link_of_a_page_leads_to_a_file_and_a_heading() {
    let mut wrong = Vec::new();
    let mut followed = 0;
    for page in pages() {
        for (number, target) in links(&text(&page)) {
            followed += 1;
            wrong.extend(fault(&page, &target).map(|fault| format!("{page}:{number}: ({target}): {fault}")));
        }
    }
    assert!(followed > 100, "only {followed} links were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_page_of_the_book_is_in_its_table_of_contents() {
    let listed: Vec<String> = links(&text("docs/SUMMARY.md")).into_iter().map(|(_, target)| target).collect();
    for page in pages() {
        let Some(name) = page.strip_prefix("docs/").filter(|name| *name != "SUMMARY.md") else { continue };
        let times = listed.iter().filter(|target| *target == name).count();
        assert_eq!(times, 1, "{page} is {times} times in docs/SUMMARY.md");
    }
}

#[test]
fn a_link_to_nowhere_is_found() {
    let page = "# One `word` (two)\n[a](#x) `[b](c)` ![d](e.svg)\n```\n[f](g)\n# no\n```\n# One word two\n[h]: i.md\n";
    let targets: Vec<(usize, String)> =
        [(2, "#x"), (2, "e.svg"), (8, "i.md")].map(|(at, to)| (at, to.to_owned())).into();
    assert_eq!(links(page), targets);
    assert_eq!(anchors(page), ["one-word-two", "one-word-two-1"]);
    assert!(fault("docs/cli.md", "no.md").is_some() && fault("docs/cli.md", "#no").is_some());
    assert_eq!(fault("docs/cli.md", "../README.md#first-run"), None);
}
