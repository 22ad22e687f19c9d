//! What is kept beside a chain, where whoever verifies it or goes on from it looks for it: what of the job is in no file.

use std::io::ErrorKind;
use std::path::Path;

use stepmark_runner::chain::durable;
use stepmark_runner::failure::{Failure, IO, Result};
use stepmark_runner::foreign::{Foreign, ForeignKind};
use stepmark_runner::job::search::{FILES, module_name, stdin_name};
use stepmark_session::spec::JobSpec;

/// Keeps the standard input that was piped in, and the modules that were text.
///
/// # Errors
/// Exit code 74 when it cannot be written, and those of reading a module.
pub fn keep(job: &JobSpec, piped: Option<&[u8]>, output: &Path) -> Result<()> {
    if let Some(bytes) = piped {
        write(output, &stdin_name(blake3::hash(bytes).as_bytes()), bytes)?;
    }
    let linked = job.preload.iter().chain(&job.contracts).map(|(_, path)| path);
    for path in std::iter::once(&job.program).chain(linked) {
        let module = Foreign::named(Path::new(path), ForeignKind::Module)?;
        if module.is_text() {
            let bytes = module.bytes()?;
            write(output, &module_name(blake3::hash(&bytes).as_bytes()), &bytes)?;
        }
    }
    Ok(())
}

fn write(output: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let folder = output.join(FILES);
    let failed = |error: &std::io::Error| Failure::io(&folder, error);
    match std::fs::create_dir(&folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(&error)),
        _ => {}
    }
    // What is there may be a link to anywhere.
    if !std::fs::symlink_metadata(&folder).map_err(|error| failed(&error))?.is_dir() {
        return Err(Failure::new(IO, format!("{}: is no directory", folder.display())));
    }
    durable::replace(&folder.join(name), bytes)
}
