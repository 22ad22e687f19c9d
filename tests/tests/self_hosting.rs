//! The node runs the node: what the inner one writes is what it writes by itself, in whatever runtime the outer one is,
//! and the outer run is a job like any other.

use node_tests::node_js;
use node_tests::self_hosting::{HOSTED, differences, differences_by_receipt};

#[test]
fn the_node_in_the_node_writes_the_same_files_and_its_outer_chain_verifies_and_goes_on_from_its_middle() {
    for hosted in HOSTED {
        let plain = hosted.plain().unwrap();
        let dir = hosted.directory().unwrap();
        let outer = hosted.run(2, dir.path()).unwrap();
        assert_eq!(differences(&plain.ended, &outer.delivered), Vec::<String>::new(), "{}", hosted.job);
        assert_eq!(hosted.check_chain(&outer, dir.path()).unwrap(), Vec::<String>::new(), "{}", hosted.job);
        assert_eq!(outer.ended.stdout, plain.ended.stdout);
        let (gas, snapshots) = (outer.gas, outer.ended.snapshots());
        println!(
            "{}: {} gas by itself, {gas} gas for the node around it, {snapshots} snapshots",
            hosted.job, plain.gas
        );
    }
}

#[test]
fn the_node_in_the_node_under_node_js_writes_the_files_that_it_writes_under_wasmtime() {
    if node_js::version().unwrap().is_none() {
        return;
    }
    for hosted in HOSTED {
        let plain = hosted.plain().unwrap();
        let there = hosted.in_node_js().unwrap();
        let dir = hosted.directory().unwrap();
        let here = hosted.run(2, dir.path()).unwrap().ended;
        assert_eq!(here.differences(&there).unwrap(), Vec::<String>::new(), "{}", hosted.job);
        let receipt = &there.files["receipt.json"];
        assert_eq!(differences_by_receipt(&plain.ended, receipt).unwrap(), Vec::<String>::new(), "{}", hosted.job);
    }
}
