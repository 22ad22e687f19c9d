//! Bytes as the receipt of a run: with what the runner adds it is JSON if it was, says the same as before, and nothing that
//! reads it gives up.

use std::time::Duration;

use serde_json::Value;
use stepmark_runner::node::engine::Engine;
use stepmark_runner::node::receipt::{Runner, with_runner};

pub(super) fn receipt(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let runner = Runner { engine: Engine::Native, refill: None };
    let more = with_runner(text, &runner, &[], Duration::from_millis(3));
    let Ok(before) = serde_json::from_str::<Value>(text) else { return };
    let after: Value = serde_json::from_str(&more).unwrap_or_else(|error| panic!("no JSON any more: {error}: {more}"));
    let without_runner = |mut value: Value| {
        if let Some(object) = value.as_object_mut() {
            object.remove("runner");
        }
        value
    };
    let added = before.as_object().is_some_and(|object| !object.is_empty());
    assert_eq!(after.get("runner").is_some_and(|runner| runner["engine"] == "native"), added, "{more}");
    assert_eq!(without_runner(after), without_runner(before), "it says something else");
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"result":{"outcome":"finished","gas_limit":18446744073709551615,"values":["i32:7"]}}"#,
        r#"{"result":{"outcome":"trapped","trap":{"message":"unreachable","frames":[{"func":1}]}},"x":[1.50,null]}"#,
        "{}",
        "[{}]",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}
