//! Where a byte of a program's output was written.

use stepmark_tools::moment::Moment;

use super::Timeline;
use crate::failure::Result;

impl Timeline {
    /// Goes to the host call that writes byte `byte`, from 0, of standard output (1) or error (2); the moment before it. It
    /// stays where it is if no such byte is written.
    ///
    /// # Errors
    /// Exit code 65 where the chain does not lead there.
    pub fn run_to_output(&mut self, fd: u32, byte: u64) -> Result<Option<Moment>> {
        let segment = self.segment_that_writes(fd, byte)?;
        let mut high = match self.course.ends(segment) {
            Some(gas) => gas,
            None => self.end()?.gas,
        };
        let mut low = self.reach(self.course.begins(segment), &[])?;
        let mut end = low.fork()?;
        end.go(Moment::last_at_gas(high))?;
        if end.written(fd)? <= byte {
            return Ok(None);
        }
        // What has been written never gets less.
        let mut written_after = low.moment().gas;
        while high - written_after > 1 {
            let middle = written_after + (high - written_after) / 2;
            let mut run = low.fork()?;
            run.go(Moment::last_at_gas(middle))?;
            if run.written(fd)? > byte {
                high = middle;
            } else {
                (low, written_after) = (run, middle);
            }
        }
        self.go_to(Moment::at_gas(high))?;
        self.back(1)?;
        Ok(Some(self.moment()))
    }

    /// The last segment at whose start the byte was not written yet.
    fn segment_that_writes(&self, fd: u32, byte: u64) -> Result<usize> {
        let (mut low, mut high) = (0, self.course.starts().len());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.course.open(middle)?.written(fd)? > byte {
                high = middle;
            } else {
                low = middle;
            }
        }
        Ok(low)
    }
}
