//! Bytes as a `.calls` file without its checksum: what is accepted is encoded again as it is; and its answers are given to a
//! contract that asks for others, which refuses them or goes the same way on both engines.

use std::sync::OnceLock;
use stepmark_core::machine::TierKind;

use stepmark_hosts::external::{Charge, ExternalReply, Versioned, decode_calls};
use stepmark_snapshot::{FileKind, Prefix};

use crate::mutate::{Subject, seal, small_subjects};
use crate::session::{Drive, Run, load, run_answered};

/// Gas of a run: enough for some tens of questions.
const GAS: u64 = 50_000;

pub(super) fn calls(data: &[u8]) {
    let bytes = seal(data.to_vec());
    let Ok((prefix, answers)) = decode_calls(&bytes) else { return };
    assert!(encode(&prefix, &answers) == bytes, "decoding and encoding changes an accepted file");
    let [fast, stepper] = [TierKind::Register, TierKind::Stepper].map(|tier| answered(&answers, tier));
    assert_eq!(fast.end, stepper.end, "the engines end differently");
    assert_eq!((fast.gas, fast.exit_code), (stepper.gas, stepper.exit_code));
    assert!(fast.files == stepper.files, "the engines write different files");
}

/// Runs the contract until nobody answers.
fn answered(answers: &[ExternalReply], tier: TierKind) -> Run {
    static CONTRACT: OnceLock<&Subject> = OnceLock::new();
    let with_store = || small_subjects().iter().find(|subject| subject.name == "contracts").expect("it is a subject");
    let job = &CONTRACT.get_or_init(with_store).job;
    let mut session = load(&job.inputs, &job.argv("--gas-limit 6000 --enable-gas-refill")).expect("the job loads");
    let mut rest = answers.iter().cloned();
    let how = Drive { gas: GAS, tier, ..Drive::WHOLE };
    run_answered(&mut session, how, &mut |_| rest.next())
}

fn encode(prefix: &Prefix, answers: &[ExternalReply]) -> Vec<u8> {
    let answers = postcard::to_allocvec(answers).expect("answers have a form");
    seal([prefix.encode().to_vec(), answers].concat())
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let found = Versioned { version: 2, value: b"value".to_vec() };
    let charges = vec![Charge { descriptor: "work".to_owned(), amount: 5 }];
    let answers = [
        vec![ExternalReply::Value(None), ExternalReply::Value(Some(found.clone())), ExternalReply::Entry(None)],
        vec![ExternalReply::Value(Some(found.clone())), ExternalReply::Entry(Some((b"k".to_vec(), found)))],
        vec![
            ExternalReply::Returned {
                results: vec![7],
                writes: vec![(16, b"text".to_vec())],
                charges: charges.clone(),
                refund: 1,
            },
            ExternalReply::Failed { message: "refused".to_owned(), charges },
            ExternalReply::Unpaid { need: 9 },
        ],
    ];
    let prefix = Prefix { file: FileKind::Calls, paused: false, id: 1, job_hash: [7; 32] };
    let without_checksum = |answers: &Vec<ExternalReply>| {
        let bytes = encode(&prefix, answers);
        bytes[..bytes.len() - 32].to_vec()
    };
    answers.iter().map(without_checksum).collect()
}
