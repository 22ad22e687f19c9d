//! Pages say what is true: the files with `unsafe` that SECURITY.md lists, and the tests that it names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn security() -> String {
    std::fs::read_to_string(workspace().join("SECURITY.md")).unwrap()
}

/// The Rust files in and below these folders of the workspace, by path, with their texts.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| workspace().join(folder)).collect();
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|ending| ending == "rs" || ending == "py") {
            let name = path.strip_prefix(workspace()).unwrap().to_string_lossy().replace('\\', "/");
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// What stands between backticks.
fn quoted(page: &str) -> impl Iterator<Item = &str> {
    page.split('`').skip(1).step_by(2)
}

#[test]
fn unsafe_is_in_the_files_that_the_security_page_lists_and_in_no_other() {
    let page = security();
    let section = page.split("## Unsafe code").nth(1).expect("a section \"Unsafe code\"");
    let section = section.split("\n## ").next().unwrap();
    let listed: BTreeSet<String> =
        quoted(section).filter(|text| text.contains("/src/") && text.ends_with(".rs")).map(str::to_owned).collect();
    // The lint `unsafe_code` is denied everywhere, so a file with such code says so by its name.
    let sources = sources(&["crates", "guest-interp/src", "host-runner/src", "sdk/src", "node-build/src"]);
    let has_unsafe = |text: &str| text.contains("(unsafe_code");
    let found: BTreeSet<String> =
        sources.into_iter().filter(|(_, text)| has_unsafe(text)).map(|(name, _)| name).collect();
    assert_eq!(listed, found);
}

#[test]
fn every_test_that_the_security_page_names_is_there() {
    let folders = ["crates", "guest-interp", "host-runner", "sdk", "tests/src", "tests/tests", "tests/second"];
    let sources = sources(&folders);
    let page = security();
    // Names of tests are sentences; commands, files and types are not.
    let is_test = |text: &&str| {
        text.matches('_').count() >= 3
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c))
    };
    let named: BTreeSet<&str> = quoted(&page).filter(is_test).map(|name| name.rsplit("::").next().unwrap()).collect();
    assert!(named.len() >= 10, "the page names {} tests: {named:?}", named.len());
    let missing: Vec<&&str> = named
        .iter()
        .filter(|name| {
            !sources
                .iter()
                .any(|(_, text)| text.contains(&format!("fn {name}(")) || text.contains(&format!("def {name}(")))
        })
        .collect();
    assert!(missing.is_empty(), "SECURITY.md names tests that are not there: {missing:?}");
}
