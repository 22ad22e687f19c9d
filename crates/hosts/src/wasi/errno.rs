//! Error numbers of WASI preview 1, as its witx file numbers them. Only those that this implementation answers.

/// Why a call failed. The number is what the program gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Errno {
    /// The descriptor is not open, or not open for this kind of use (reading, writing, or data of a directory).
    Badf = 8,
    /// The name exists already.
    Exist = 20,
    /// A pointer leaves the program's memory.
    Fault = 21,
    /// A position or size that no file can have.
    Fbig = 22,
    /// The path is not valid UTF-8.
    Ilseq = 25,
    /// An argument has no meaning here.
    Inval = 28,
    /// A directory where a file is needed.
    Isdir = 31,
    /// A path leads through too many links, or ends at one that is not to be followed.
    Loop = 32,
    /// No descriptor number is left.
    Mfile = 33,
    /// A file has as many names as it can have.
    Mlink = 34,
    /// A path or a name is too long, or a name does not fit the buffer.
    Nametoolong = 37,
    /// There is no such file or directory.
    Noent = 44,
    /// The job's limit of files is reached.
    Nospc = 51,
    /// A file where a directory is needed.
    Notdir = 54,
    /// The directory has entries.
    Notempty = 55,
    /// The descriptor is not a socket.
    Notsock = 57,
    /// There are no signals.
    Notsup = 58,
    /// A directory cannot have a second name.
    Perm = 63,
    /// The descriptor is a stream and has no position.
    Spipe = 70,
    /// The descriptor lacks a right, or the path would leave its directory.
    Notcapable = 76,
}

impl Errno {
    /// The number of the witx file.
    pub fn code(self) -> u16 {
        self as u16
    }
}
