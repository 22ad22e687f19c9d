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
    /// The path is not valid UTF-8.
    Ilseq = 25,
    /// An argument has no meaning here.
    Inval = 28,
    /// A directory where a file is needed.
    Isdir = 31,
    /// No descriptor number is left.
    Mfile = 33,
    /// A path or a name is too long, or a name does not fit the buffer.
    Nametoolong = 37,
    /// There is no such file or directory.
    Noent = 44,
    /// A file where a directory is needed.
    Notdir = 54,
    /// The descriptor is not a socket.
    Notsock = 57,
    /// The file system is read-only.
    Rofs = 69,
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
