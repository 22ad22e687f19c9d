//! Where the command face takes answers from outside: the records of a run that somebody else has made, or an export of the
//! store.

use guest_interp::files;
use stepmark_hosts::external::{ExternalCall, ExternalReply, decode_calls};
use stepmark_hosts::store::StoreExport;
use stepmark_session::Session;
use stepmark_session::spec::JobSpec;
use stepmark_state::error::JobError;

/// Bytes of a file of answers, or of an export.
const MOST: u64 = 1 << 30;

/// What answers.
#[derive(Default)]
pub(crate) struct ReplySource {
    export: Option<StoreExport>,
    /// Directory of the records.
    calls: Option<String>,
    /// The records of a segment, by its id.
    segment: Option<(u64, Vec<ExternalReply>)>,
}

impl ReplySource {
    /// What the options name. The version of an export is that of the run, unless a snapshot says what that is.
    ///
    /// # Errors
    /// The export cannot be read.
    pub(crate) fn new(options: &mut JobSpec) -> Result<Self, JobError> {
        let mut source = Self { calls: options.calls.clone(), ..Self::default() };
        if let Some(path) = &options.store {
            let bytes = read(path)?;
            let export = StoreExport::decode(&bytes).map_err(|error| error.context(path))?;
            if options.resume.is_none() && options.store_version.is_none() {
                options.store_version = Some(export.version);
            }
            source.export = Some(export);
        }
        Ok(source)
    }

    /// Answers what the session asks.
    ///
    /// # Errors
    /// Nothing here knows the answer.
    pub(crate) fn answer(&mut self, session: &mut Session) -> Result<(), JobError> {
        let Some(question) = session.question().cloned() else { return Ok(()) };
        let answer = match (&self.calls, &self.export) {
            (Some(dir), _) => {
                let dir = dir.clone();
                self.recorded(&dir, session)?
            }
            (None, Some(export)) => export.answer(&question),
            (None, None) => None,
        };
        let asked = match question {
            ExternalCall::Call { module, name, .. } => format!("a call of {module}.{name}"),
            _ => "what the store holds".to_owned(),
        };
        let nobody = || JobError::usage(format!("nobody answers {asked}: give --calls, or --store for the store"));
        session.answer(answer.ok_or_else(nobody)?)
    }

    /// The answer that is next in the records of the segment.
    fn recorded(&mut self, dir: &str, session: &Session) -> Result<Option<ExternalReply>, JobError> {
        let progress = session.progress();
        let id = progress.snapshot_id.saturating_add(1);
        let path = format!("{dir}/{id}.calls");
        if self.segment.as_ref().is_none_or(|(of, _)| *of != id) {
            let decoded = decode_calls(&read(&path)?).map_err(|error| error.context(&path))?;
            if (decoded.0.id, decoded.0.paused, decoded.0.job_hash) != (id, false, session.job_hash()) {
                return Err(JobError::snapshot(format!("{path}: is of another segment or job")));
            }
            self.segment = Some((id, decoded.1));
        }
        let answers = self.segment.as_ref().map_or(&[][..], |(_, answers)| answers);
        let next = usize::try_from(progress.answers).ok().and_then(|at| answers.get(at));
        next.cloned()
            .map(Some)
            .ok_or_else(|| JobError::snapshot(format!("{path}: the run asks for more answers than it has")))
    }
}

fn read(path: &str) -> Result<Vec<u8>, JobError> {
    let mut bytes = Vec::new();
    let found = files::read(path, MOST, &mut |chunk| {
        bytes.extend_from_slice(chunk);
        Ok(())
    })?;
    found.map(|_| bytes).ok_or_else(|| JobError::usage(format!("{path}: no such file")))
}
