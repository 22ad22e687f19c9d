//! The descriptors of a program in words, for people who look into a state.

use super::Wasi;
use super::fs::ROOT;
use super::state::DescriptorTarget;

/// A descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptorView {
    /// Its number.
    pub fd: u32,
    /// What it leads to: a stream, or the path of a file or directory; `removed` where there is no path any more.
    pub target: String,
    /// Position of the next read or write.
    pub offset: u64,
    /// The flags of preview 1.
    pub flags: u16,
    /// The rights of preview 1.
    pub rights: u64,
}

impl Wasi {
    /// All open descriptors, ascending.
    pub fn descriptors(&self) -> Vec<DescriptorView> {
        let view = |(fd, descriptor): (&u32, &super::state::Descriptor)| DescriptorView {
            fd: *fd,
            target: match descriptor.target {
                DescriptorTarget::Stdin => "standard input".to_owned(),
                DescriptorTarget::Stdout => "standard output".to_owned(),
                DescriptorTarget::Stderr => "standard error".to_owned(),
                DescriptorTarget::Node(node) => self.path_of(node).unwrap_or_else(|| "removed".to_owned()),
            },
            offset: descriptor.offset,
            flags: descriptor.flags,
            rights: descriptor.rights,
        };
        self.state.descriptors.iter().map(view).collect()
    }

    /// A path that leads to a file or directory, from the root.
    fn path_of(&self, node: u32) -> Option<String> {
        let mut waiting = vec![(ROOT, String::new())];
        while let Some((directory, path)) = waiting.pop() {
            if directory == node {
                return Some(if path.is_empty() { "/".to_owned() } else { path });
            }
            for entry in self.fs.directory(directory).into_iter().flat_map(|directory| directory.from(0)) {
                waiting.push((entry.node, format!("{path}/{}", entry.name)));
            }
        }
        None
    }
}
