//! `--selftest`: is this runtime good enough for the node? It tries what the node needs of it, from the numbers and the
//! memory up to the files, and runs a job whose files are known.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

mod disk;
mod golden;
mod machine;

/// What a check says when it fails: what is wrong.
type Check = Result<(), String>;

/// Where the lines go.
struct Report<'a> {
    print: &'a mut dyn FnMut(&str),
    checks: u32,
    failed: u32,
}

impl Report<'_> {
    fn check(&mut self, what: &str, result: Check) {
        self.checks = self.checks.saturating_add(1);
        match result {
            Ok(()) => (self.print)(&format!("ok      {what}")),
            Err(wrong) => {
                self.failed = self.failed.saturating_add(1);
                (self.print)(&format!("FAILED  {what}: {wrong}"));
            }
        }
    }

    /// Prints the verdict; whether all checks passed.
    fn verdict(&mut self, files: bool) -> bool {
        let Self { checks, failed, .. } = *self;
        let used =
            if files { "as a command and through its functions" } else { "through its functions (files: not tried)" };
        (self.print)(&match failed {
            0 => format!("selftest: good enough: {checks} of {checks} checks passed; the module can be used {used}"),
            _ => format!("selftest: NOT good enough: {failed} of {checks} checks failed"),
        });
        failed == 0
    }
}

/// Checks the runtime and prints a line for each check, the verdict last, which is returned too. Files are made in `dir` and
/// removed again; where no directory of that name is open, only what an embedder of the exported functions needs is
/// checked, and the verdict says so.
pub fn run(dir: &str, print: &mut dyn FnMut(&str)) -> bool {
    let mut report = Report { print, checks: 0, failed: 0 };
    machine::check(&mut report);
    golden::check(&mut report);
    let files = disk::is_open(dir);
    if files {
        disk::check(&mut report, dir);
    } else {
        (report.print)(&format!("skipped files: no directory '{dir}' is open"));
    }
    report.verdict(files)
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;

    fn lines(dir: &str) -> (bool, Vec<String>) {
        let mut lines = Vec::new();
        let good = run(dir, &mut |line| lines.push(line.to_owned()));
        (good, lines)
    }

    #[test]
    fn here_everything_is_good_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let (good, lines) = lines(dir.path().to_str().unwrap());
        assert!(good, "{}", lines.join("\n"));
        assert!(lines.last().unwrap().starts_with("selftest: good enough: "), "{lines:?}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn without_a_directory_the_verdict_says_that_files_were_not_tried() {
        let (good, lines) = lines("/no/such/directory");
        assert!(good);
        let [.., skipped, verdict] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(skipped, "skipped files: no directory '/no/such/directory' is open");
        assert!(verdict.contains("files: not tried"), "{verdict}");
    }

    #[test]
    fn what_has_the_name_of_its_folder_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join(disk::FOLDER);
        std::fs::write(&taken, "somebody's").unwrap();
        let (good, lines) = lines(dir.path().to_str().unwrap());
        assert!(good, "{}", lines.join("\n"));
        assert_eq!(std::fs::read(&taken).unwrap(), b"somebody's");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_check_that_fails_makes_the_verdict_not_good_enough() {
        let mut printed = Vec::new();
        let mut print = |line: &str| printed.push(line.to_owned());
        let mut report = Report { print: &mut print, checks: 0, failed: 0 };
        report.check("one", Ok(()));
        report.check("another", Err("it is wrong".to_owned()));
        assert!(!report.verdict(true));
        assert_eq!(
            printed,
            ["ok      one", "FAILED  another: it is wrong", "selftest: NOT good enough: 1 of 2 checks failed"]
        );
    }
}
