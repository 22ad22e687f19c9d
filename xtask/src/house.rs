//! `cargo xtask house`: how the code is laid out. Crates with their lines, in the order in which they may use each other; folders of
//! one crate that use each other in a circle; names of types that mean several things; long functions. What is known and not
//! mended yet stands in tests/house.toml: nothing may be added to it, and what is mended must leave it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Packages from the bottom up, by folder: each may use only those of a row above it, and tests may use all.
const RANKS: [&[&str]; 11] = [
    &["crates/op-rules", "crates/state", "node-build"],
    &["crates/core", "crates/snapshot"],
    &["crates/hosts"],
    &["crates/compile", "crates/session", "crates/tools"],
    &["crates/compiler", "guest-interp"],
    &["crates/runner"],
    &["host-runner", "sdk"],
    &["tests/engine", "tests/spec"],
    &["tests/compiled"],
    &["tests"],
    &["xtask", "embedders/rust"],
];
/// Folders of the product, whose types and functions are counted.
const PRODUCT: [&str; 4] = ["crates", "guest-interp/src", "host-runner/src", "sdk/src"];
/// Lines that a function may have.
const LONG: usize = 60;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Print what tests/house.toml would have to say
    #[arg(long)]
    known: bool,
}

/// What is not as it should be.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Faults {
    /// `PACKAGE -> PACKAGE` where the second stands above the first.
    arrows_up: BTreeSet<String>,
    /// Folders and files of one crate that use each other in a circle.
    circles: BTreeSet<String>,
    /// Types of one name, and where.
    names: BTreeSet<String>,
    /// Functions of more than 60 lines.
    long: BTreeSet<String>,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let root = crate::workspace();
    let (mut found, mut crates) = (Faults::default(), Vec::new());
    for (rank, folders) in RANKS.iter().enumerate() {
        for folder in *folders {
            let uses = uses(&root.join(folder))?;
            let above = |used: &&String| rank_of(used).is_none_or(|other| other >= rank);
            found.arrows_up.extend(uses.iter().filter(above).map(|used| format!("{folder} -> {used}")));
            let lines: usize =
                texts(&root.join(folder).join("src"))?.iter().map(|(_, text)| text.lines().count()).sum();
            let line = format!("{lines:>6} lines  {folder:<16} uses {}", uses.join(", "));
            if !args.known {
                println!("{line}");
            }
            crates.push((folder.to_string(), lines));
            if rank <= 6 {
                found.circles.extend(circles(folder, &root.join(folder).join("src"))?);
            }
        }
    }
    let mut types: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, text) in product(&root)? {
        for ty in defined_types(&text) {
            types.entry(ty).or_default().insert(name.clone());
        }
        found.long.extend(long_functions(&text).map(|function| format!("{name}: {function}")));
    }
    let several = types.iter().filter(|(_, places)| places.len() > 1);
    found.names.extend(
        several.map(|(ty, places)| format!("{ty}: {}", Vec::from_iter(places.iter().map(String::as_str)).join(", "))),
    );
    if args.known {
        print!("{}", toml::to_string_pretty(&found)?);
        return Ok(true);
    }
    if let Some(path) = &args.json {
        fs::write(path, format!("{:#}\n", serde_json::json!({ "crates": crates, "faults": found })))?;
    }
    let known = fs::read_to_string(root.join("tests/house.toml")).context("tests/house.toml")?;
    let known: Faults = toml::from_str(&known).context("tests/house.toml")?;
    let differing = differing(&known, &found);
    differing.iter().for_each(|line| println!("{line}"));
    println!(
        "house: {} crates, {} lines; {} arrows that run up, {} circles between folders, {} names with several meanings, {} functions over \
         {LONG} lines; {} not as tests/house.toml knows it",
        crates.len(),
        crates.iter().map(|(_, lines)| lines).sum::<usize>(),
        found.arrows_up.len(),
        found.circles.len(),
        found.names.len(),
        found.long.len(),
        differing.len(),
    );
    Ok(differing.is_empty() && found.arrows_up.is_empty())
}

/// What is new, and what is mended and still listed.
fn differing(known: &Faults, found: &Faults) -> Vec<String> {
    let of = |faults: &Faults| -> BTreeSet<String> {
        let kinds =
            [("circle", &faults.circles), ("name", &faults.names), ("long", &faults.long), ("up", &faults.arrows_up)];
        kinds.into_iter().flat_map(|(kind, all)| all.iter().map(move |fault| format!("{kind}: {fault}"))).collect()
    };
    let (known, found) = (of(known), of(found));
    let new = found.difference(&known).map(|fault| format!("new: {fault}"));
    new.chain(known.difference(&found).map(|fault| format!("mended, take it out of tests/house.toml: {fault}")))
        .collect()
}

fn rank_of(folder: &str) -> Option<usize> {
    RANKS.iter().position(|folders| folders.contains(&folder))
}

/// Folders of the packages of this workspace that a package's library or command depends on.
fn uses(folder: &Path) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Manifest {
        #[serde(default)]
        dependencies: BTreeMap<String, toml::Value>,
    }
    let path = folder.join("Cargo.toml");
    let manifest: Manifest = toml::from_str(&fs::read_to_string(&path).with_context(|| path.display().to_string())?)?;
    let folder_of = |name: &String| {
        let other = |name: &str| rank_of(name).map(|_| name.to_owned());
        match name.strip_prefix("stepmark-") {
            Some(short) => other(&format!("crates/{short}")),
            None => match name.as_str() {
                "compiled-tests" => other("tests/compiled"),
                "engine-tests" => other("tests/engine"),
                "spec-suite" => other("tests/spec"),
                "node-tests" => other("tests"),
                "node-sdk" => other("sdk"),
                name => other(name),
            },
        }
    };
    Ok(manifest.dependencies.keys().filter_map(folder_of).collect())
}

/// Rust files below a folder, without their tests.
fn texts(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !["tests", "target", "examples", "benches"].contains(&name.as_str()) {
            texts.append(&mut self::texts(&path)?);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let text = fs::read_to_string(&path)?;
            let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
            texts.push((path, text[..end].to_owned()));
        }
    }
    texts.sort();
    Ok(texts)
}

/// Files of the product, by their paths in the workspace.
fn product(root: &Path) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for folder in PRODUCT {
        for (path, text) in texts(&root.join(folder))? {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            all.push((name, text));
        }
    }
    Ok(all)
}

/// Names of the types that are defined at the outermost level.
fn defined_types(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().filter_map(|line| {
        let line = if let Some(rest) = line.strip_prefix("pub(") { rest.split_once(") ")?.1 } else { line };
        let line = line.strip_prefix("pub ").unwrap_or(line);
        let kind = ["struct ", "enum ", "trait ", "type "].iter().find_map(|kind| line.strip_prefix(kind))?;
        Some(kind.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
    })
}

/// Names of the functions that are too long, with their lines. Formatted code ends a function where it began.
fn long_functions(text: &str) -> impl Iterator<Item = String> + '_ {
    let lines: Vec<&str> = text.lines().collect();
    let of = move |at: usize| {
        let line = lines[at];
        let (before, after) = line.split_once("fn ")?;
        let indent = before.len() - before.trim_start().len();
        let is_function = before.trim().split(' ').all(|word| {
            word.is_empty() || word.starts_with("pub") || ["const", "unsafe", "extern", "\"C\""].contains(&word)
        });
        // A function of a trait without a body ends in its own line or in one of its arguments.
        let end = lines[at..].iter().position(|line| *line == format!("{}}}", " ".repeat(indent)))?;
        let has_body = lines[at..=at + end]
            .iter()
            .take_while(|line| !line.trim_end().ends_with(';'))
            .any(|line| line.ends_with('{'));
        let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        (is_function && has_body && end + 1 > LONG).then_some(name)
    };
    (0..text.lines().count()).filter_map(of)
}

/// Sets of folders and files at the top of a crate of which each uses the others.
fn circles(package: &str, src: &Path) -> Result<Vec<String>> {
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in texts(src)? {
        let part = path.strip_prefix(src)?.components().next().context("a file")?;
        let part = part.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
        let code: String =
            text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
        let uses = code.split("crate::").skip(1).flat_map(|rest| {
            let names = match rest.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap_or_default(),
                None => rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default(),
            };
            names.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned).collect::<Vec<_>>()
        });
        graph.entry(part).or_default().extend(uses);
    }
    let parts: BTreeSet<String> =
        graph.keys().filter(|part| !["lib", "main"].contains(&part.as_str())).cloned().collect();
    let reach = |from: &String| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(part) = open.pop() {
            for next in graph.get(&part).into_iter().flatten().filter(|next| parts.contains(*next)) {
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = parts.iter().map(|part| (part, reach(part))).collect();
    let circle = |part: &String| -> Vec<String> {
        let is_in =
            |other: &&String| *other == part || reached[part].contains(*other) && reached[*other].contains(part);
        parts.iter().filter(is_in).cloned().collect()
    };
    let all: BTreeSet<Vec<String>> = parts.iter().map(circle).filter(|circle| circle.len() > 1).collect();
    Ok(all.into_iter().map(|circle| format!("{package}: {}", circle.join(", "))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_fault_and_one_that_is_mended_both_differ() {
        let faults = |names: &[&str]| Faults {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Faults::default()
        };
        let said = differing(&faults(&["A: a, b"]), &faults(&["B: a, b"]));
        assert_eq!(said, ["new: name: B: a, b", "mended, take it out of tests/house.toml: name: A: a, b"]);
        assert!(differing(&faults(&["A: a, b"]), &faults(&["A: a, b"])).is_empty());
    }

    #[test]
    fn types_and_long_functions_are_seen() {
        let long = format!("pub(crate) fn long() {{\n{}}}\n", "    x();\n".repeat(59));
        let text = format!(
            "pub struct A<T>(T);\npub(super) enum B {{}}\n    struct Inner;\ntype C = u8;\nfn short() {{\n}}\n{long}"
        );
        assert_eq!(Vec::from_iter(defined_types(&text)), ["A", "B", "C"]);
        assert_eq!(Vec::from_iter(long_functions(&text)), ["long"]);
    }

    #[test]
    fn every_member_of_the_workspace_has_its_place() {
        let manifest = fs::read_to_string(crate::workspace().join("Cargo.toml")).unwrap();
        let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
        for member in
            members.split(',').map(|member| member.trim().trim_matches('"')).filter(|member| *member != "crates/*")
        {
            assert!(rank_of(member).is_some(), "{member}");
        }
        for entry in fs::read_dir(crate::workspace().join("crates")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(rank_of(&format!("crates/{name}")).is_some(), "{name}");
        }
    }
}
