//! The files of the page: those of `web/`, and in `stepmark/` the JavaScript client, the module and the compiler.

use stepmark_runner::node::embedded_module::{COMPILER_WASM, NODE_WASM};

/// Files of a folder of the project, by their names within it.
macro_rules! files {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../", $folder, "/", $name)))),*]
    };
}

/// The page.
const PAGE: &[(&str, &[u8])] = files!("web":
    "chain/bin.js", "chain/blake3.js", "chain/claim.js", "chain/job.js", "chain/json.js", "chain/names.js", "chain/open.js",
    "chain/program.js", "chain/snap.js", "chain/supply.js", "chain/tar.js", "example.tar", "index.html", "main.js", "run/tasks.js",
    "run/worker.js", "style.css", "ui/claim.js", "ui/dom.js", "ui/module.js", "ui/run.js", "ui/source.js", "ui/timeline.js",
    "ui/verdict.js", "ui/verify.js", "verify/compare.js", "verify/plan.js", "verify/pool.js", "verify/receipt.js",
    "verify/segment.js", "verify/tasks.js", "verify/verify.js", "verify/worker.js",
);
/// The client.
const CLIENT: &[(&str, &[u8])] = files!("js": "compiled.js", "postcard.js", "stepmark.js");
/// Where the page finds the client and the module.
const CLIENT_FOLDER: &str = "stepmark/";

/// A file of the page, with its type.
pub(super) fn file(name: &str) -> Option<(&'static str, &'static [u8])> {
    let in_client = |name: &str| match name {
        "stepmark.wasm" => Some(NODE_WASM),
        "compiler.wasm" => Some(COMPILER_WASM),
        _ => find(CLIENT, name),
    };
    let bytes = name.strip_prefix(CLIENT_FOLDER).map_or_else(|| find(PAGE, name), in_client)?;
    Some((kind_of(name), bytes))
}

fn find(files: &[(&str, &'static [u8])], name: &str) -> Option<&'static [u8]> {
    files.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// The type of a file, by the end of its name. What nobody has named is only bytes: nothing of a folder is ever shown as a page.
pub(super) fn kind_of(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") if find(PAGE, name).is_some() => "text/html; charset=utf-8",
        Some("js") if find(PAGE, name).is_some() || name.starts_with(CLIENT_FOLDER) => "text/javascript; charset=utf-8",
        Some("css") if find(PAGE, name).is_some() => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("wasm") => "application/wasm",
        Some("tar") => "application/x-tar",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn files_below(folder: &Path, within: &str, names: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = format!("{within}{}", entry.file_name().to_str().expect("UTF-8"));
            match entry.path().is_dir() {
                true => files_below(&entry.path(), &format!("{name}/"), names),
                false => drop(names.insert(name)),
            }
        }
    }

    #[test]
    fn every_file_of_the_page_is_embedded() {
        let mut there = BTreeSet::new();
        files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../web"), "", &mut there);
        let embedded: BTreeSet<String> = PAGE.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(embedded, there);
    }

    #[test]
    fn a_file_of_the_folder_is_never_a_page_or_a_script() {
        for name in ["x.html", "chain/x.html", "x.js", "x.svg", "x.css", "index.html.snap"] {
            assert!(!kind_of(name).starts_with("text/") && !kind_of(name).contains("svg"), "{name}");
        }
    }
}
