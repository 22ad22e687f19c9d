//! Receipts: every member dropped, given twice, moved and replaced, at whatever depth, and every way in which a text can say
//! two things, or one in another spelling.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::beside::answered;
use super::folder::{Changed, Folder, by_name};
use super::{Proof, witness};
use crate::session::{Drive, End, Files};

/// The receipts: of a run that ends, of one that stops at its limit, of one with a store.
///
/// # Errors
/// A program does not run as it should.
pub fn receipts(all: bool) -> Result<Vec<Box<dyn Proof>>> {
    let mut proofs: Vec<Box<dyn Proof>> = Vec::new();
    for (name, job, limit) in witness::programs()?.into_iter().filter(|(name, ..)| all || name == "tables") {
        for refill in ["--enable-gas-refill ", ""] {
            let run = job.start(&format!("{refill}--gas-limit {limit}"), Drive::WHOLE)?;
            ensure!(run.id > 0 && run.end == End::Finished, "{name}: {} snapshots, {:?}", run.id, run.end);
            let files = by_name(&run.files);
            let changes = changes(&files["receipt.json"])?;
            let name = format!("{name} {refill}");
            proofs.push(Box::new(Folder::new(name, job.clone(), files, &["receipt.json"], &[], changes)?));
        }
    }
    let (job, files) = answered()?;
    let changes = changes(&files["receipt.json"])?;
    proofs.push(Box::new(Folder::new("contracts".to_owned(), job, files, &["receipt.json"], &[], changes)?));
    Ok(proofs)
}

/// A JSON text as it is written down: members can be there twice, names and values have a spelling.
#[derive(Clone)]
enum Text {
    /// A value that has no parts, as it is spelled.
    Plain(String),
    List(Vec<Text>),
    /// Names as they are spelled, and values.
    Members(Vec<(String, Text)>),
}

impl Text {
    fn of(value: &Value) -> Text {
        match value {
            Value::Array(items) => Text::List(items.iter().map(Text::of).collect()),
            Value::Object(members) => {
                Text::Members(members.iter().map(|(name, value)| (format!("{name:?}"), Text::of(value))).collect())
            }
            plain => Text::Plain(plain.to_string()),
        }
    }

    fn written(&self) -> String {
        let listed = |parts: Vec<String>| parts.join(", ");
        match self {
            Text::Plain(text) => text.clone(),
            Text::List(items) => format!("[{}]", listed(items.iter().map(Text::written).collect())),
            Text::Members(members) => {
                let member = |(name, value): &(String, Text)| format!("{name}: {}", value.written());
                format!("{{{}}}", listed(members.iter().map(member).collect()))
            }
        }
    }

    /// Every text that differs by one thing, and what that is.
    fn changes(&self) -> Vec<(String, Text)> {
        match self {
            Text::Plain(text) => {
                spellings(text).into_iter().map(|new| (format!("{text} is {new}"), Text::Plain(new))).collect()
            }
            Text::List(items) => {
                let whole = lists(items).into_iter().map(|(what, items)| (format!("item {what}"), Text::List(items)));
                let inner = items.iter().enumerate().flat_map(|(at, item)| {
                    item.changes().into_iter().map(move |(what, item)| {
                        let mut items = items.clone();
                        items[at] = item;
                        (format!("[{at}] {what}"), Text::List(items))
                    })
                });
                whole.chain(inner).collect()
            }
            Text::Members(members) => {
                let whole = lists(members).into_iter().chain(doubles(members));
                let whole = whole.map(|(what, members)| (format!("member {what}"), Text::Members(members)));
                let inner = members.iter().enumerate().flat_map(|(at, (name, value))| {
                    value.changes().into_iter().map(move |(what, value)| {
                        let mut members = members.clone();
                        members[at].1 = value;
                        (format!("{name}: {what}"), Text::Members(members))
                    })
                });
                whole.chain(inner).collect()
            }
        }
    }
}

/// Every list that differs by one item.
fn lists<T: Clone>(items: &[T]) -> Vec<(String, Vec<T>)> {
    let mut found = Vec::new();
    for at in 0..items.len() {
        let (before, rest) = items.split_at(at);
        found.push((format!("{at} is left out"), [before, &rest[1..]].concat()));
        found.push((format!("{at} is there twice"), [before, &rest[..1], rest].concat()));
        if let [item, next, after @ ..] = rest {
            found.push((format!("{at} is behind the next"), [before, &[next.clone(), item.clone()], after].concat()));
        }
    }
    found
}

/// A member given once more, first or last, with another value, its name spelled otherwise; one that is called otherwise; one
/// that no receipt has.
fn doubles(members: &[(String, Text)]) -> Vec<(String, Vec<(String, Text)>)> {
    let mut found = Vec::new();
    let other = |name: &str| (name.to_owned(), Text::Plain("1".to_owned()));
    for (at, (name, _)) in members.iter().enumerate() {
        let first = name.as_bytes().get(1).copied().unwrap_or_default();
        let escaped = format!("\"\\u{first:04x}{}", &name[2..]);
        for name in [name, &escaped] {
            found.push((format!("{name} is 1 before"), [&[other(name)], members].concat()));
            found.push((format!("{name} is 1 behind"), [members, &[other(name)]].concat()));
        }
        for name in
            [escaped.clone(), name.to_uppercase(), name.replacen('"', "\" ", 1), name.replacen('"', "\"\\u0000", 1)]
        {
            let mut members = members.to_vec();
            members[at].0.clone_from(&name);
            found.push((format!("{at} is called {name}"), members));
        }
    }
    found.push(("\"more\" is there".to_owned(), [members, &[other("\"more\"")]].concat()));
    found
}

/// Other values, and others ways to write this one.
fn spellings(text: &str) -> Vec<String> {
    let mut found: Vec<String> = ["null", "true", "0", "-0", "0.0", "1e3", "18446744073709551616", "\"\"", "[]", "{}"]
        .map(str::to_owned)
        .to_vec();
    found.push(format!("[{text}]"));
    match text.strip_prefix('"') {
        Some(rest) => {
            let first = rest.as_bytes().first().copied().unwrap_or_default();
            found.push(format!("\"\\u{first:04x}{}", &rest[usize::from(rest.len() > 1)..]));
            found.push(format!("\" {rest}"));
            found.push(text.to_uppercase());
            found.push(text[..text.len() - 1].to_owned() + "\\u0000\"");
        }
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            found.extend([".0", "e0", "0"].map(|more| format!("{text}{more}")));
            found.extend(["-", "0", "+", "\""].map(|more| format!("{more}{text}")));
            found.push(format!("\"{text}\""));
            found.extend(text.parse::<u64>().ok().map(|number| (number ^ 1).to_string()));
        }
        None => {}
    }
    found.retain(|new| new != text);
    found
}

fn changes(receipt: &[u8]) -> Result<Vec<Changed>> {
    let text = String::from_utf8(receipt.to_vec())?;
    let value: Value = serde_json::from_slice(receipt)?;
    let one = |text: Vec<u8>| Files::from([("receipt.json".to_owned(), text)]);
    let mut found: Vec<Changed> = Vec::new();
    for (what, changed) in Text::of(&value).changes() {
        found.push((what, one(changed.written().into_bytes())));
    }
    let deep = |open: &str, close: &str| [open.repeat(100_000), close.repeat(100_000)].concat();
    let nested = |inner: String| text.replacen('{', &format!("{{\"node\": {inner}, "), 1);
    let wholes = [
        ("as it is, in another order of spaces", Text::of(&value).written()),
        ("behind a mark of the byte order", format!("\u{feff}{text}")),
        ("there twice", text.repeat(2)),
        ("before more", format!("{text}x")),
        ("before zeros", format!("{text}\0")),
        ("in a list", format!("[{text}]")),
        ("empty", String::new()),
        ("deep lists", deep("[", "]")),
        ("deep objects", deep("{\"a\":", "}")),
        ("with deep lists", nested(deep("[", "]"))),
        ("with a comment", format!("/* */{text}")),
        ("with a comma more", text.replacen('}', ",}", 1)),
    ];
    found.extend(wholes.map(|(what, text)| (what.to_owned(), one(text.into_bytes()))));
    found.push(("not UTF-8".to_owned(), one([receipt, &[0xff]].concat())));
    found.push(("UTF-16".to_owned(), one(text.encode_utf16().flat_map(u16::to_le_bytes).collect())));
    found.push(("not there".to_owned(), Files::new()));
    Ok(found)
}
