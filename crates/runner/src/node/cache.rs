//! Where compiled code is kept. Compiling the node takes a moment, so the result is cached for the user. A cached
//! compilation is machine code that will be run unchecked: it is only ever read from the user's own cache folder, never
//! from a working directory or a relative path, and not when others may write there.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::node::embedded_module;

/// A compilation cache for wasmtime, or none where no folder can be trusted. Entries are keyed by the hash of the wasm,
/// the compiler's version and settings; the folder's name holds ours and wasmtime's version, so old ones can be removed.
pub fn compilation_cache() -> Option<wasmtime::Cache> {
    cache_in(folder(|name| std::env::var_os(name))?)
}

/// Where compiled code is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheFolder {
    /// The folder.
    pub path: PathBuf,
    /// Bytes of the files in it.
    pub bytes: u64,
}

/// The folder for compiled code and what is in it; or why there is none.
///
/// # Errors
/// What is wrong and what to do, in words.
pub fn look() -> Result<CacheFolder, String> {
    let Some(path) = folder(|name| std::env::var_os(name)) else {
        return Err("neither XDG_CACHE_HOME nor HOME is an absolute path".to_owned());
    };
    if create_private(&path).is_none() {
        return Err(format!("{}: cannot be made, or others may write there", path.display()));
    }
    let bytes = size_of(&path);
    Ok(CacheFolder { path, bytes })
}

/// Bytes of all files in a folder.
fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => size_of(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.fold(0, u64::saturating_add)
}

fn cache_in(folder: PathBuf) -> Option<wasmtime::Cache> {
    create_private(&folder)?;
    let mut config = wasmtime::CacheConfig::new();
    config.with_directory(folder);
    wasmtime::Cache::new(config).ok()
}

/// The folder for compiled code, by the environment that `variable` reads: absolute, or none.
fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let user = absolute("XDG_CACHE_HOME").or_else(|| {
        if cfg!(windows) {
            absolute("LOCALAPPDATA")
        } else if cfg!(target_os = "macos") {
            absolute("HOME").map(|home| home.join("Library").join("Caches"))
        } else {
            absolute("HOME").map(|home| home.join(".cache"))
        }
    })?;
    Some(user.join("stepmark").join(format!(
        "code-{}-wasmtime-{}",
        embedded_module::VERSION,
        embedded_module::WASMTIME_VERSION
    )))
}

/// Creates `folder` for this user only; none when that fails or when others may write there already.
#[cfg(unix)]
fn create_private(folder: &Path) -> Option<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).ok()?;
    let folders = [Some(folder), folder.parent()];
    let private = folders
        .into_iter()
        .flatten()
        .all(|folder| fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & GROUP_OR_OTHERS_WRITE == 0));
    private.then_some(())
}

/// Creates `folder`, which the system keeps in the user's profile.
#[cfg(not(unix))]
fn create_private(folder: &Path) -> Option<()> {
    fs::create_dir_all(folder).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> impl Fn(&str) -> Option<OsString> {
        move |asked| (asked == name).then(|| value.into())
    }

    #[test]
    fn the_folder_is_below_the_users_cache() {
        let folder = folder(with("XDG_CACHE_HOME", "/caches")).expect("an absolute folder");
        assert!(folder.starts_with("/caches/stepmark"), "{}", folder.display());
        assert!(folder.to_string_lossy().contains(embedded_module::WASMTIME_VERSION));
    }

    #[test]
    fn a_relative_cache_folder_is_never_used() {
        assert_eq!(folder(with("XDG_CACHE_HOME", "cache")), None);
        assert_eq!(folder(with("HOME", ".")), None);
        assert_eq!(folder(|_| None), None);
    }

    #[test]
    fn a_private_folder_makes_a_cache() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        assert!(cache_in(temporary.path().join("stepmark").join("code")).is_some());
    }

    #[test]
    fn the_size_of_a_folder_is_that_of_all_its_files() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(temporary.path().join("deep")).expect("a folder");
        fs::write(temporary.path().join("a"), "12").expect("a file");
        fs::write(temporary.path().join("deep/b"), "345").expect("a file");
        assert_eq!(size_of(temporary.path()), 5);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_may_write_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let folder = temporary.path().join("stepmark").join("code");
        assert_eq!(create_private(&folder), Some(()));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("permissions are set");
        assert_eq!(create_private(&folder), None);
    }
}
