//! Invokes contracts over a store: each in a context of its own, committed if nothing came between.

use std::sync::Arc;

use node_sdk::{Config, Contexts, MemoryStore, StoreSource};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Arc::new(MemoryStore::new());
    let mut contexts = Contexts::new(Config::new(), store.clone());
    for name in ["counter", "router"] {
        let path = format!("{}/../wasmfiles/contracts/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
        contexts.add_contract(name, std::fs::read(path)?)?;
    }
    for (contract, args) in [("counter", "add 40"), ("counter", ""), ("router", "counter 1000000 add 1")] {
        let id = contexts.new_context(contract, args.as_bytes(), "alice", 10_000_000)?;
        contexts.invoke(id)?;
        let invocation = contexts.result(id)?;
        let version = store.commit(&contexts.read_write_set(id)?)?;
        contexts.release(id)?;
        println!("{id}: {contract} {args:?} -> {:?}, store at version {version}", invocation.result);
        println!("{}", invocation.audit.to_json());
    }
    // Two that have read the same version: the first to be committed wins, and the other one has to be made again.
    let mut rivals = Vec::new();
    for caller in ["bob", "eve"] {
        let id = contexts.new_context("counter", b"", caller, 1_000_000)?;
        contexts.invoke(id)?;
        rivals.push(id);
    }
    for id in rivals {
        match store.commit(&contexts.read_write_set(id)?) {
            Ok(version) => println!("{id}: committed as version {version}"),
            Err(conflict) => println!("{id}: {conflict}"),
        }
    }
    println!("{} entries at version {}", store.entries().len(), store.version());
    Ok(())
}
