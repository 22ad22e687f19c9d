//! Names that would be obeyed where they are shown.

use std::fs;

use crate::util::Dir;

/// Clears a screen, rings, turns a line around, begins a tag and a line.
const NAME: &str = "\u{1b}[2J\u{7}\u{202e}<b>\n";

/// What may not reach a terminal.
fn is_obeyed(byte: u8) -> bool {
    byte < b' ' && byte != b'\n' || byte == 0x7f
}

#[track_caller]
fn assert_harmless(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(!bytes.iter().copied().any(is_obeyed) && !text.contains('\u{202e}'), "{what}: {text:?}");
}

#[test]
fn a_name_in_a_program_reaches_no_terminal_and_no_page_as_it_is() {
    let dir = Dir::new();
    let escaped: String = NAME.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!(
        "(module (func $f (export \"{escaped}\") (param i32)) (func (export \"run\") (loop (br 0)))
           (@custom \"name\" \"\\00\\{:02x}{escaped}\"))",
        NAME.len() + 1
    );
    let imports = format!("(module (import \"{escaped}\" \"{escaped}\" (func)))");
    dir.add("program.wasm", &text);
    dir.add("imports.wasm", &imports);
    fs::copy(dir.path("program.wasm"), dir.path(&format!("{NAME}.wasm"))).expect("copied");
    let lines: [&[&str]; 14] = [
        &["--engine", "native", "program.wasm", "no such function"],
        &["--engine", "native", "imports.wasm"],
        &["reference", "imports.wasm"],
        &["--engine", "native", "program.wasm", NAME],
        &["--engine", "native", "--gas-limit", "1000", "--snapshot-output", "out", &format!("{NAME}.wasm"), "run"],
        &["inspect", "out"],
        &["inspect", "--json", "out"],
        &["debug", "out", "-x", "state", "-x", "stack", "-x", NAME],
        &["estimate", "--static", "program.wasm"],
        &["estimate", "--static", "--json", "program.wasm"],
        &["--engine", "native", &format!("no{NAME}"), "run"],
        &["verify", "program.wasm", "out", NAME],
        &["--wait", NAME, "program.wasm"],
        &["completions", NAME],
    ];
    for words in lines {
        let ran = dir.command("").args(words).output().expect("starts");
        assert_harmless(&format!("{words:?}, standard error"), &ran.stderr);
        assert_harmless(&format!("{words:?}, standard output"), &ran.stdout);
        if words.contains(&"--json") {
            serde_json::from_slice::<serde_json::Value>(&ran.stdout).expect("JSON still");
        }
    }
    // A page about a directory of such a name.
    let name = format!("out{NAME}");
    let chain = ["--engine", "native", "--gas-limit", "1000", "--snapshot-output", &name, "program.wasm", "run"];
    assert_eq!(dir.command("").args(chain).output().expect("starts").status.code(), Some(75));
    let verify = ["verify", "program.wasm", &name, "--engine", "native", "--report", "page.html"];
    let ran = dir.command("").args(verify).output().expect("starts");
    assert_eq!(ran.status.code(), Some(75), "{}", String::from_utf8_lossy(&ran.stderr));
    let page = dir.text("page.html");
    assert_harmless("the page", page.as_bytes());
    assert!(!page.contains("<b>") && page.contains("\\u001b[2J\\u0007\\u202e&lt;b&gt;\\n"), "{page}");
}
