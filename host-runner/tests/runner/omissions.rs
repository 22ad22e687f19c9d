//! What becomes of a proof of which something was left out, given twice, exchanged or changed, with all hashes made right
//! again: it is refused, or says what the whole one says, or is found by `verify`.

use std::fs;

use stepmark_hosts::external::{ExternalReply, decode_calls};
use stepmark_snapshot::PREFIX_LEN;

use crate::util::{Dir, FIB, text};

/// The entries of an archive.
fn entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(bytes);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.expect("an entry");
        let name = String::from_utf8(entry.path_bytes().into_owned()).expect("a name");
        let mut contents = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut contents).expect("read");
        (name, contents)
    };
    archive.entries().expect("entries").map(read).collect()
}

fn archive(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes.as_slice()).expect("appended");
    }
    builder.into_inner().expect("an archive")
}

#[test]
fn an_archive_without_a_part_is_refused_or_the_chain_in_it_is_not_right() {
    let dir = Dir::with("fib.wasm", FIB);
    dir.run("--engine native --gas-limit 50000 --enable-gas-refill --snapshot-output out fib.wasm fib 20").code(0);
    dir.run("export out -o good.tar").code(0);
    let good = entries(&dir.read("good.tar"));
    // Nothing but the archive has the program.
    fs::remove_file(dir.path("fib.wasm")).expect("removed");
    // What importing and then verifying comes to.
    let try_it = |entries: &[(String, Vec<u8>)]| {
        fs::write(dir.path("changed.tar"), archive(entries)).expect("written");
        drop(fs::remove_dir_all(dir.path("new")));
        match dir.run("import changed.tar new").exit_code() {
            0 => dir.run("verify new/files/fib.wasm new --engine native -j 1").exit_code(),
            code => code,
        }
    };
    assert_eq!(try_it(&good), 0);
    let (mut refused, mut found) = (0, 0);
    let mut expect_not_right = |what: String, entries: &[(String, Vec<u8>)]| match try_it(entries) {
        65 | 74 => refused += 1,
        1 => found += 1,
        code => panic!("{what}: {code}"),
    };
    for at in 0..good.len() {
        let name = &good[at].0;
        let without: Vec<_> =
            good.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, entry)| entry.clone()).collect();
        expect_not_right(format!("without {name}"), &without);
        let twice = [good.clone(), vec![good[at].clone()]].concat();
        expect_not_right(format!("{name} twice"), &twice);
        for other in (0..good.len()).filter(|other| *other != at) {
            let mut replaced = good.clone();
            replaced[at].1 = good[other].1.clone();
            expect_not_right(format!("{name} with the contents of {}", good[other].0), &replaced);
        }
        // In another order it is the same archive to whoever reads it.
        let mut turned = good.clone();
        turned.rotate_left(at);
        assert_eq!(try_it(&turned), 0, "from {name} on");
    }
    assert!(refused > 20 && found > 10, "{refused} refused, {found} found by verify");
}

#[test]
fn answers_that_are_left_out_repeated_or_exchanged_do_not_lead_to_the_chain() {
    let dir = Dir::new();
    dir.sample("contracts/token.wasm");
    dir.run("store put s.redb balance/alice 0x6400000000000000").code(0);
    dir.run("store put s.redb balance/bob 0x0100000000000000").code(0);
    let data = "transfer alice bob 30".bytes().fold("0x".to_owned(), |hex, byte| hex + &format!("{byte:02x}"));
    let line =
        format!("--engine native --store s.redb --no-commit --gas-limit 5000 --enable-gas-refill --call-data {data}");
    dir.run(&format!("{line} --snapshot-output out token.wasm invoke")).code(0);
    let verify = |code: i32, what: &str| {
        let ran = dir.run("verify token.wasm out --engine native -j 1");
        assert_eq!(ran.exit_code(), code, "{what}: {}", text(ran.stdout()));
    };
    verify(0, "as it is");
    let names: Vec<String> = dir.names("out").into_iter().filter(|name| name.ends_with(".calls")).collect();
    let mut cases = 0;
    for name in names {
        let path = dir.path(&format!("out/{name}"));
        let honest = fs::read(&path).expect("read");
        let (_, answers) = decode_calls(&honest).expect("answers");
        let mut changed: Vec<Vec<ExternalReply>> = Vec::new();
        for at in 0..answers.len() {
            let mut without = answers.clone();
            without.remove(at);
            let mut twice = answers.clone();
            twice.insert(at, answers[at].clone());
            let mut other = answers.clone();
            other[at] = if answers[at] == ExternalReply::Value(None) {
                ExternalReply::Entry(None)
            } else {
                ExternalReply::Value(None)
            };
            let mut turned = answers.clone();
            turned.rotate_left(at);
            changed.extend([without, twice, other].into_iter().chain(Some(turned).filter(|turned| *turned != answers)));
        }
        changed.push([answers.clone(), vec![ExternalReply::Value(None)]].concat());
        for answers in changed {
            let mut bytes = honest[..PREFIX_LEN].to_vec();
            bytes.extend(postcard::to_allocvec(&answers).expect("encodes"));
            let hash = *blake3::hash(&bytes).as_bytes();
            bytes.extend(hash);
            fs::write(&path, bytes).expect("written");
            verify(1, &format!("{name} with {answers:?}"));
            cases += 1;
        }
        fs::remove_file(&path).expect("removed");
        verify(1, &format!("without {name}"));
        fs::write(&path, honest).expect("written");
    }
    // The read and write set that would be committed, one byte after the other.
    let honest = dir.read("out/rwset.bin");
    for at in 0..honest.len() {
        let mut bytes = honest.clone();
        bytes[at] ^= 1;
        fs::write(dir.path("out/rwset.bin"), bytes).expect("written");
        verify(1, &format!("rwset.bin with another byte {at}"));
    }
    fs::write(dir.path("out/rwset.bin"), honest).expect("written");
    verify(0, "as it was");
    assert!(cases > 6, "{cases}");
}
