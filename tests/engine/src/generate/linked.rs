//! Two to four modules of [`program`](super::program)'s kind that are linked: what one defines, those after it import or
//! define themselves, memories, tables, globals, tags and functions alike. Later modules name functions of earlier ones;
//! earlier ones call later ones through tables that they share, so that calls and tail calls go in circles. Some have start
//! functions, some have segments that do not fit.

use super::Rng;
use super::program::{Signature, Surroundings, TYPES, random_function};

/// Modules by the names that they are linked under, in order.
pub type Linked = Vec<(String, Vec<u8>)>;

/// What a module imports or defines beside functions: its name in the text and as an export, its kind, its type.
struct Item {
    name: String,
    kind: &'static str,
    ty: String,
    /// What follows its type where it is defined.
    value: String,
}

impl Item {
    fn new(name: &str, kind: &'static str, ty: &str, value: &str) -> Self {
        Self { name: name.to_owned(), kind, ty: ty.to_owned(), value: value.to_owned() }
    }

    fn text(&self, source: Option<usize>) -> String {
        let Self { name, kind, ty, value } = self;
        match source {
            Some(module) => format!("(import \"m{module}\" \"{name}\" ({kind} ${name} {ty}))\n"),
            None => format!("({kind} ${name} {ty} {value})\n"),
        }
    }
}

fn items(newest: bool, elements: usize) -> Vec<Item> {
    let mut items = vec![
        Item::new("memory", "memory", "1 3", ""),
        Item::new("big", "memory", "i64 1 2", ""),
        Item::new("table", "table", &format!("{elements} {} funcref", elements + 4), ""),
        Item::new("other", "table", "4 9 funcref", ""),
        Item::new("gv128", "global", "(mut v128)", "(v128.const i64x2 7 -7)"),
        Item::new("gref", "global", "(mut funcref)", "(ref.null func)"),
    ];
    for ty in TYPES {
        items.push(Item::new(&format!("g{ty}"), "global", &format!("(mut {ty})"), &format!("({ty}.const 7)")));
    }
    if newest {
        items.push(Item::new("e0", "tag", "(param i32)", ""));
        items.push(Item::new("e1", "tag", "(param v128 i64)", ""));
    }
    items
}

/// All functions of all modules, and which of them a module owns.
struct Plan {
    funcs: Vec<Signature>,
    /// The module of each function.
    owners: Vec<usize>,
    items: Vec<Item>,
    newest: bool,
}

impl Plan {
    fn random(rng: &mut Rng) -> Self {
        let newest = rng.once_in(2);
        let modules = 2 + rng.below(3);
        // Functions call later ones most of the time: those of the modules before.
        let owners: Vec<usize> = (0..modules).rev().flat_map(|module| vec![module; 2 + rng.below(2)]).collect();
        let funcs = owners.iter().map(|_| Signature::random(rng)).collect();
        let items = items(newest, owners.len() + 1);
        Self { funcs, owners, items, newest }
    }

    fn own(&self, module: usize) -> Vec<usize> {
        (0..self.owners.len()).filter(|func| self.owners[*func] == module).collect()
    }
}

/// The texts of random modules, `m0` first.
pub fn random_linked_texts(seed: u64) -> Vec<String> {
    let mut rng = Rng::new(seed ^ 0x11_4ced);
    let plan = Plan::random(&mut rng);
    (0..=plan.owners[0]).map(|module| text(&mut rng, &plan, module)).collect()
}

/// Random modules.
///
/// # Panics
/// If the generator makes a text that is no module.
pub fn random_linked(seed: u64) -> Linked {
    let assembled = |text: &String| wat::parse_str(text).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    random_linked_texts(seed).iter().enumerate().map(|(module, text)| (format!("m{module}"), assembled(text))).collect()
}

fn text(rng: &mut Rng, plan: &Plan, module: usize) -> String {
    let mut text = String::from("(module\n");
    for (i, func) in plan.funcs.iter().enumerate() {
        text.push_str(&format!("(type $t{i} (func {}))\n", func.text()));
    }
    let is_seen = |owner: &usize| *owner == module || (*owner < module && !rng.once_in(4));
    let seen: Vec<bool> = plan.owners.iter().map(is_seen).collect();
    for (func, owner) in plan.owners.iter().enumerate().filter(|(func, owner)| seen[*func] && **owner != module) {
        text.push_str(&format!("(import \"m{owner}\" \"f{func}\" (func $f{func} (type $t{func})))\n"));
    }
    let own_table = imports_and_definitions(rng, plan, module, &mut text);
    segments(rng, plan, module, &seen, own_table, &mut text);
    if rng.once_in(3) {
        start(rng, plan, module, &mut text);
    }
    let surroundings = Surroundings { newest: plan.newest, seen, elements: plan.owners.len() + 1 };
    for index in plan.own(module) {
        text.push_str(&random_function(rng, &plan.funcs, index, &surroundings));
    }
    text.push(')');
    text
}

/// Everything but functions, exported too; is the table the module's own.
fn imports_and_definitions(rng: &mut Rng, plan: &Plan, module: usize, text: &mut String) -> bool {
    let mut source = || (module > 0 && !rng.once_in(4)).then(|| rng.below(module));
    let sourced: Vec<(&Item, Option<usize>)> = plan.items.iter().map(|item| (item, source())).collect();
    // Imports come first in a module.
    let (imported, defined): (Vec<_>, Vec<_>) = sourced.iter().partition(|(_, source)| source.is_some());
    for (item, source) in imported.into_iter().chain(defined) {
        text.push_str(&item.text(source));
    }
    for Item { name, kind, .. } in &plan.items {
        text.push_str(&format!("(export \"{name}\" ({kind} ${name}))\n"));
    }
    sourced.iter().any(|(item, source)| item.name == "table" && source.is_none())
}

/// Each function that the module owns at its place in the table, in a table of its own all that it sees; a few segments that
/// do not fit, or only where a memory has grown, after some that do.
fn segments(rng: &mut Rng, plan: &Plan, module: usize, seen: &[bool], own_table: bool, text: &mut String) {
    let seen = |func: &usize| seen[*func];
    for func in (0..plan.funcs.len()).filter(seen).filter(|func| own_table || plan.owners[*func] == module) {
        text.push_str(&format!("(elem (table $table) (i32.const {}) func $f{func})\n", func + 1));
    }
    let names: Vec<String> = (0..plan.funcs.len()).filter(seen).map(|func| format!("$f{func}")).collect();
    text.push_str(&format!("(elem $segment func {})\n", [names.as_slice(), &names, &names].concat().join(" ")));
    if rng.once_in(10) {
        text.push_str(&format!("(elem (table $table) (i32.const {}) func {})\n", plan.funcs.len(), names.join(" ")));
    }
    let bytes = module + 1;
    text.push_str(&format!("(data (memory $memory) (i32.const {}) \"\\0{bytes}\\02\\03\\ff\\fe\")\n", 16 * bytes));
    text.push_str("(data $passive \"the quick brown fox\")\n");
    if rng.once_in(10) {
        text.push_str("(data (memory $memory) (i32.const 65530) \"beyond the first page\")\n");
    }
}

/// A start function that calls one of the module's own.
fn start(rng: &mut Rng, plan: &Plan, module: usize, text: &mut String) {
    let own = plan.own(module);
    let callee = own[rng.below(own.len())];
    let signature = &plan.funcs[callee];
    let constant = |ty: &&str| if *ty == "v128" { "v128.const i64x2 1 2".to_owned() } else { format!("{ty}.const 3") };
    let constants: Vec<String> = signature.params.iter().map(constant).collect();
    let drops = vec!["drop"; signature.results.len()];
    text.push_str(&format!(
        "(func $start {} call $f{callee} {})\n(start $start)\n",
        constants.join(" "),
        drops.join(" ")
    ));
}
