//! Contracts on a store of their own: runs that commit, conflicts, and verification without any database.

use std::fs;

use serde_json::json;

use crate::util::{Dir, text};

/// A directory with the contracts and a store in which alice has 100 and bob 1.
fn token() -> Dir {
    let dir = Dir::new();
    for name in ["token", "counter", "router"] {
        dir.sample(&format!("contracts/{name}.wasm"));
    }
    dir.run("store put s.redb balance/alice 0x6400000000000000").code(0);
    dir.run("store put s.redb balance/bob 0x0100000000000000").code(0);
    dir
}

fn hex(text: &str) -> String {
    text.bytes().fold("0x".to_owned(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn transfer(flags: &str) -> String {
    format!(
        "{flags} --store s.redb --call-data {} --snapshot-output out token.wasm invoke",
        hex("transfer alice bob 30")
    )
}

#[test]
fn a_run_that_ends_normally_is_committed_and_others_leave_the_store_alone() {
    let dir = token();
    dir.run(&transfer("--engine native --no-commit")).code(0);
    assert_eq!(dir.run("store get s.redb balance/bob").code(0).stdout(), 1u64.to_le_bytes());
    dir.run(&transfer("--engine native")).code(0).says("committed: the store is at version 3");
    assert_eq!(dir.run("store get s.redb balance/bob").code(0).stdout(), 31u64.to_le_bytes());
    let too_much = format!("--store s.redb --call-data {} token.wasm invoke", hex("transfer bob alice 32"));
    dir.run(&format!("--engine native {too_much}")).code(134);
    let listed = String::from_utf8(dir.run("store list s.redb").code(0).stdout().to_vec()).expect("text");
    let expected =
        "'balance/alice' version 3 0x4600000000000000\n'balance/bob' version 3 0x1f00000000000000\nversion 3\n";
    assert_eq!(listed, expected);
    dir.run("store get s.redb balance/carol").code(1);
}

#[test]
fn what_a_contract_returns_is_printed_as_text_or_in_hexadecimal() {
    let dir = token();
    let returns = |bytes: &str| {
        format!(
            "(module (import \"contract\" \"set_result\" (func $set (param i32 i32))) (memory (export \"memory\") 1)
                (data (i32.const 8) \"{bytes}\")
                (func (export \"invoke\") (call $set (i32.const 8) (i32.const 3))))"
        )
    };
    for (bytes, printed, text) in [
        ("yes", "yes\n", json!("yes")),
        ("\\01\\02\\ff", "0x0102ff\n", json!(null)),
        ("a\\1bb", "0x611b62\n", json!(null)),
    ] {
        dir.add("says.wasm", &returns(bytes));
        let line = "--engine native --overwrite --store s.redb -o says says.wasm invoke";
        assert_eq!(crate::util::text(dir.run(line).code(0).stdout()), printed);
        let said = crate::util::json(dir.run(&format!("--json {line}")).code(0).stdout());
        assert_eq!(said["contract_result"]["text"], text);
    }
    // A call that fails returns nothing.
    let too_much = format!("--store s.redb --call-data {} token.wasm invoke", hex("transfer bob alice 32"));
    assert_eq!(dir.run(&format!("--engine native {too_much}")).code(134).stdout(), b"");
}

#[test]
fn a_run_on_what_has_changed_since_is_a_conflict_by_name() {
    let dir = token();
    dir.run(&transfer("--engine native --no-commit")).code(0);
    dir.run("store put s.redb balance/bob 0x0200000000000000").code(0);
    let conflict = "conflict: key 'balance/bob' has version 3, the run read version 2; nothing was written";
    dir.run("store commit s.redb out/rwset.bin").code(76).says(conflict);
    assert_eq!(dir.run("store get s.redb balance/alice").code(0).stdout(), 100u64.to_le_bytes());
    // A total has read a range: a new key in it is a conflict too.
    let total =
        format!("--store s.redb --no-commit --call-data {} --snapshot-output total token.wasm invoke", hex("total"));
    dir.run(&format!("--engine native {total}")).code(0);
    dir.run("store commit s.redb total/rwset.bin").code(0);
    dir.run("store put s.redb balance/carol 0x0500000000000000").code(0);
    let phantom = "conflict: key 'balance/carol' is new in a range that the run read";
    dir.run("store commit s.redb total/rwset.bin").code(76).says(phantom);
}

#[test]
fn a_chain_verifies_from_its_records_alone_whichever_engine_wrote_it() {
    for (wrote, verifies) in [("wasm", "native"), ("native", "wasm")] {
        let dir = token();
        let flags = format!("--engine {wrote} --gas-limit 5000 --enable-gas-refill");
        dir.run(&transfer(&flags)).code(0);
        assert!(dir.names("out").contains(&"2.calls".to_owned()), "{:?}", dir.names("out"));
        fs::remove_file(dir.path("s.redb")).expect("removed");
        let said = text(dir.run(&format!("verify token.wasm out --engine {verifies}")).code(0).stdout());
        assert!(said.contains("  answers   2 records from outside, "), "{said}");
        assert!(said.contains("On trust: the answers from outside, this machine"), "{said}");
        let calls = dir.names("out").into_iter().rfind(|name| name.ends_with(".calls")).expect("records");
        fs::write(dir.path(&format!("out/{calls}")), dir.read("out/1.calls")).expect("written");
        dir.run(&format!("verify token.wasm out --engine {verifies}")).code(1);
    }
}

#[test]
fn a_run_resumed_on_the_store_commits_what_the_whole_run_would_have() {
    let dir = token();
    dir.run(&transfer("--engine native --gas-limit 5000")).code(75);
    dir.run("resume out@1 --engine native --store s.redb --enable-gas-refill").code(0).says("committed");
    assert_eq!(dir.run("store get s.redb balance/bob").code(0).stdout(), 31u64.to_le_bytes());
    // Started before the commit, resumed after it: what it reads now is newer.
    let dir = token();
    dir.run(&transfer("--engine native --gas-limit 100")).code(75);
    dir.run("store put s.redb balance/alice 0x6500000000000000").code(0);
    dir.run("resume out@1 --engine native --store s.redb --gas-limit 9000 --enable-gas-refill").code(134);
    assert!(dir.text("out/receipt.json").contains("store conflict: key 'balance/alice' has version 3"));
}

#[test]
fn contracts_call_each_other_by_name() {
    let dir = token();
    let data = hex("token 100000 transfer alice bob 1000");
    let line = format!("--store s.redb --contract token=token.wasm --call-data {data} router.wasm invoke");
    dir.run(&format!("--engine native {line}")).code(0);
    // The transfer failed and wrote nothing; the router's own writes stand: it was trap, status 1.
    assert_eq!(dir.run("store get s.redb balance/bob").code(0).stdout(), 1u64.to_le_bytes());
    assert_eq!(dir.run("store get s.redb router/after").code(0).stdout(), b"1");
}

#[test]
fn what_nobody_answers_is_named_and_a_store_that_is_none_refused() {
    let dir = token();
    let line = format!("--engine native --call-data {} token.wasm invoke", hex("total"));
    dir.run(&line).code(65);
    dir.run("store list absent.redb").code(2).says("absent.redb: no such store");
    fs::write(dir.path("text"), "no database").expect("written");
    dir.run("store list text").code(74);
    dir.run("store put s.redb 0x1 v").code(2).says("is not hexadecimal");
}

#[test]
fn an_exported_chain_has_the_contracts_of_its_job_and_verifies_wherever_it_is() {
    let dir = token();
    let data = hex("token 100000 transfer alice bob 30");
    let line = format!(
        "--engine native --gas-limit 30000 --enable-gas-refill --store s.redb --contract token=token.wasm --call-data {data} \
         --snapshot-output out router.wasm invoke"
    );
    dir.run(&line).code(0);
    dir.run("export out -o chain.tar --program router.wasm --contract token=token.wasm").code(0);
    let elsewhere = Dir::new();
    fs::copy(dir.path("chain.tar"), elsewhere.path("chain.tar")).expect("copied");
    elsewhere.run("import chain.tar chain").code(0);
    assert_eq!(elsewhere.names("chain/files"), ["router.wasm", "token.wasm"]);
    elsewhere.run("verify chain/files/router.wasm chain --engine native").code(0);
}
