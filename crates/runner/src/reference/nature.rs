//! Calls of WASI whose answers belong to the system below, not to the program: the node defines each (docs/wasi.md), wasmtime
//! hands on what the machine says. A program that depends on such an answer can differ from the reference by nature.

use wasmtime::Module;

use crate::reference::WASI_MODULES;

/// Names of calls, and what about their answers is the system's.
const BY_NATURE: [(&[&str], &str); 4] = [
    (
        &["fd_readdir"],
        "the order of entries, cookies and inode numbers; entries that come, go or move while a directory is listed, which \
         wasmtime may skip or repeat",
    ),
    (&["path_filestat_get", "fd_filestat_get"], "times, device and inode numbers, links and sizes of directories"),
    (&["fd_filestat_set_times", "path_filestat_set_times"], "how finely times are kept"),
    (&["path_link", "path_symlink", "path_rename", "path_remove_directory"], "which of several errors is told"),
];

/// A sentence for each kind of such calls that the modules import.
pub(super) fn by_nature<'a>(modules: impl Iterator<Item = &'a Module>) -> Vec<String> {
    let imports: Vec<_> = modules.flat_map(Module::imports).collect();
    let imported =
        |name: &&&str| imports.iter().any(|import| WASI_MODULES.contains(&import.module()) && import.name() == **name);
    let sentence = |(names, what): &(&[&str], &str)| {
        let used: Vec<&str> = names.iter().filter(imported).copied().collect();
        (!used.is_empty()).then(|| format!("{}: {what}", used.join(", ")))
    };
    BY_NATURE.iter().filter_map(sentence).collect()
}
