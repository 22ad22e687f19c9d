//! The Merkle root of a space. Every 4 KiB page is a leaf of a binary tree of fixed height 36; pages that are not there
//! count as zero pages, so the root depends on the contents only: not on the size, not on the order of writes, and growing
//! costs nothing. The tree keeps its nodes, so that a new root costs one hash for each node above a page that changed.

use std::sync::LazyLock;

use crate::pages::{MAX_PAGES, PAGE};

/// Height of the tree: 2^36 pages, 2^48 bytes.
pub const HEIGHT: usize = 36;

/// Key of the hash of a page.
pub const LEAF_KEY: [u8; 32] = *b"guest-interp 2026 merkle leaf v1";
/// Key of the hash of two nodes; another one, so that no page can pose as a node.
pub const NODE_KEY: [u8; 32] = *b"guest-interp 2026 merkle node v1";

/// Hash of a subtree of zero pages, by level; level 0 is a page, level 36 the root of an empty space.
static ZERO: LazyLock<[[u8; 32]; HEIGHT + 1]> = LazyLock::new(|| {
    let mut hashes = [[0; 32]; HEIGHT + 1];
    let mut hash = leaf_hash(&[0; PAGE]);
    for slot in &mut hashes {
        *slot = hash;
        hash = node_hash(&hash, &hash);
    }
    hashes
});

fn leaf_hash(page: &[u8; PAGE]) -> [u8; 32] {
    *blake3::keyed_hash(&LEAF_KEY, page).as_bytes()
}

fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut both = [0; 64];
    let (first, second) = both.split_at_mut(32);
    first.copy_from_slice(left);
    second.copy_from_slice(right);
    *blake3::keyed_hash(&NODE_KEY, &both).as_bytes()
}

/// The leaf of `page`. A zero page costs a comparison, no hash.
pub fn page_hash(page: &[u8; PAGE]) -> [u8; 32] {
    if crate::encoding::is_zero(page) { zero_page() } else { leaf_hash(page) }
}

/// The leaf of a zero page, and so of a page that is not there.
pub fn zero_page() -> [u8; 32] {
    subtree(0)
}

/// The root of a space without contents.
pub fn empty_root() -> [u8; 32] {
    subtree(HEIGHT)
}

/// Hash of 2^`level` zero pages.
pub fn subtree(level: usize) -> [u8; 32] {
    ZERO.get(level).copied().unwrap_or_default()
}

/// Nodes of a level that are stored together, so that a page far out costs no memory for those before it.
const GROUP: usize = 64;

/// Nodes of one level, in groups; a group that is not stored has only subtrees of zero pages.
type Level = Vec<Option<Box<[[u8; 32]; GROUP]>>>;

/// The Merkle tree of one space, kept up to date page by page. It takes 64 bytes for each page that was ever not zero, in
/// groups of 64, and little for the others up to the highest one.
#[derive(Clone, Debug, Default)]
pub struct PageTree {
    /// Nodes by level, pages first.
    levels: Vec<Level>,
    /// One bit a page: changed since the nodes above it were computed.
    stale: Vec<u64>,
    pages: u64,
}

impl PageTree {
    /// The tree of a space of zero pages.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree of a space of `count` pages of which only some are known: these, and the subtrees beside them (as
    /// [`siblings`] orders them). Beyond its end it is zero, and nothing is kept of what lies there alone.
    pub fn of_some(pages: &[(u64, [u8; 32])], beside: &[[u8; 32]], count: u64) -> PageTree {
        let mut tree = PageTree { pages: count, ..PageTree::default() };
        let mut keep = |(level, index): (usize, u64), hash| {
            if index << level < count || level == HEIGHT {
                tree.set_node(level, index, hash);
            }
        };
        node_of((HEIGHT, 0), pages, &mut beside.iter(), &mut keep);
        tree
    }

    /// One more than the index of the highest page that was ever not zero.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// The hash of page `index`.
    pub fn leaf(&self, index: u64) -> [u8; 32] {
        self.node(0, index)
    }

    /// Node `index` of `level`, as it was last computed or set.
    pub fn node(&self, level: usize, index: u64) -> [u8; 32] {
        let at = usize::try_from(index).ok();
        let group = self.levels.get(level).zip(at).and_then(|(nodes, at)| nodes.get(at / GROUP)?.as_ref());
        group.zip(at).and_then(|(group, at)| group.get(at % GROUP)).copied().unwrap_or_else(|| subtree(level))
    }

    /// Puts node `index` of `level`: of a subtree whose pages are not known, but its hash.
    ///
    /// # Panics
    /// When there is no such node, which is a bug of the caller.
    pub fn set_node(&mut self, level: usize, index: u64, hash: [u8; 32]) {
        assert!(level <= HEIGHT && index < MAX_PAGES >> level, "BUG: node {index} of level {level}");
        let at = usize::try_from(index).unwrap_or_else(|_| unreachable!("BUG: node {index} is beyond this machine"));
        if self.levels.len() <= level {
            self.levels.resize_with(HEIGHT.saturating_add(1), Level::new);
        }
        let Some(nodes) = self.levels.get_mut(level) else { return };
        if nodes.len() <= at / GROUP {
            nodes.resize_with((at / GROUP).saturating_add(1), || None);
        }
        let group = nodes.get_mut(at / GROUP);
        let group = group.map(|group| group.get_or_insert_with(|| Box::new([subtree(level); GROUP])));
        if let Some(node) = group.and_then(|group| group.get_mut(at % GROUP)) {
            *node = hash;
        }
    }

    /// Takes the contents of page `index` into the tree and says whether they differ from what was there.
    ///
    /// # Panics
    /// As [`set_leaf`](Self::set_leaf).
    pub fn update(&mut self, index: u64, page: &[u8; PAGE]) -> bool {
        self.set_leaf(index, page_hash(page))
    }

    /// Puts the hash of page `index` and says whether it differs from what was there. The memory needed grows with `index`:
    /// the caller has checked it against the size of the space.
    ///
    /// # Panics
    /// When `index` is not below [`MAX_PAGES`], which is a bug of the caller.
    pub fn set_leaf(&mut self, index: u64, hash: [u8; 32]) -> bool {
        assert!(index < MAX_PAGES, "BUG: page {index} of a space of at most {MAX_PAGES} pages");
        let differs = self.leaf(index) != hash;
        if differs {
            self.place_leaf(index, hash);
        }
        differs
    }

    /// Sets a leaf, and the nodes above are computed in any case: they may have been set, for subtrees beside this page.
    ///
    /// # Panics
    /// As [`set_leaf`](Self::set_leaf).
    pub fn place_leaf(&mut self, index: u64, hash: [u8; 32]) {
        self.set_node(0, index, hash);
        self.pages = self.pages.max(index.saturating_add(1));
        let place = usize::try_from(index / 64).unwrap_or_else(|_| unreachable!("BUG: page {index} has a place"));
        if self.stale.len() <= place {
            self.stale.resize(place.saturating_add(1), 0);
        }
        if let Some(word) = self.stale.get_mut(place) {
            *word |= 1 << (index % 64);
        }
    }

    /// The root, computing each node above a changed page once.
    pub fn root(&mut self) -> [u8; 32] {
        let mut stale = self.take_stale();
        for level in 1..=HEIGHT {
            if stale.is_empty() {
                break;
            }
            for index in &mut stale {
                *index >>= 1;
            }
            stale.dedup();
            let below = level.saturating_sub(1);
            for index in &stale {
                let [left, right] = [index << 1, (index << 1) | 1].map(|child| self.node(below, child));
                self.set_node(level, *index, node_hash(&left, &right));
            }
        }
        self.node(HEIGHT, 0)
    }

    /// The changed pages, ascending; they count as unchanged from now on.
    fn take_stale(&mut self) -> Vec<u64> {
        let mut changed = Vec::new();
        for (index, word) in (0u64..).zip(self.stale.iter_mut()) {
            let mut bits = std::mem::take(word);
            while bits != 0 {
                changed.push((index << 6) | u64::from(bits.trailing_zeros()));
                bits &= bits.wrapping_sub(1);
            }
        }
        changed
    }
}

/// The subtrees beside the paths from `pages` (ascending) to the root, as level and index, from left to right: with their
/// hashes and those of the pages the root follows. The root itself where there are no pages.
pub fn siblings(pages: &[u64]) -> Vec<(usize, u64)> {
    let mut found = Vec::new();
    let taken: Result<(), std::convert::Infallible> = each_sibling(pages, |level, index| {
        found.push((level, index));
        Ok(())
    });
    match taken {
        Ok(()) => found,
    }
}

/// Gives each of the [`siblings`] to `take`, which may end this before they are all found.
///
/// # Errors
/// That of `take`.
pub fn each_sibling<E>(pages: &[u64], mut take: impl FnMut(usize, u64) -> Result<(), E>) -> Result<(), E> {
    // From the left: of two children the right one waits.
    let mut waiting = vec![(HEIGHT, 0u64, pages)];
    while let Some((level, index, pages)) = waiting.pop() {
        match level.checked_sub(1) {
            _ if pages.is_empty() => take(level, index)?,
            None => {}
            Some(below) => {
                let right = (index << 1) | 1;
                let (before, after) = pages.split_at(pages.partition_point(|page| page >> below < right));
                waiting.extend([(below, right, after), (below, index << 1, before)]);
            }
        }
    }
    Ok(())
}

/// The root that follows from some pages (ascending indices, with their hashes) and the subtrees beside them (as
/// [`siblings`] orders them); none where there are too few or too many of these. What it takes of memory does not grow with
/// an index.
pub fn root_of(pages: &[(u64, [u8; 32])], beside: &[[u8; 32]]) -> Option<[u8; 32]> {
    let mut beside = beside.iter();
    let root = node_of((HEIGHT, 0), pages, &mut beside, &mut |_, _| ())?;
    beside.next().is_none().then_some(root)
}

/// A node (level and index) above these pages; it and all below it are given to `found`. As deep as the tree is high.
fn node_of(
    (level, index): (usize, u64),
    pages: &[(u64, [u8; 32])],
    beside: &mut std::slice::Iter<'_, [u8; 32]>,
    found: &mut impl FnMut((usize, u64), [u8; 32]),
) -> Option<[u8; 32]> {
    let hash = match (pages.first(), level.checked_sub(1)) {
        (None, _) => *beside.next()?,
        (Some((_, page)), None) => *page,
        (Some(_), Some(below)) => {
            let right = (index << 1) | 1;
            let (before, after) = pages.split_at(pages.partition_point(|(page, _)| page >> below < right));
            let left_hash = node_of((below, index << 1), before, beside, found)?;
            node_hash(&left_hash, &node_of((below, right), after, beside, found)?)
        }
    };
    found((level, index), hash);
    Some(hash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The root by the definition: all leaves, all levels, nothing kept.
    fn naive_root(pages: &[[u8; PAGE]]) -> [u8; 32] {
        let mut nodes: Vec<[u8; 32]> = pages.iter().map(leaf_hash).collect();
        let mut zero = leaf_hash(&[0; PAGE]);
        for _ in 0..HEIGHT {
            let next = nodes.chunks(2).map(|pair| node_hash(&pair[0], pair.get(1).unwrap_or(&zero)));
            nodes = next.collect();
            zero = node_hash(&zero, &zero);
        }
        nodes.first().copied().unwrap_or(zero)
    }

    fn page(seed: u8) -> [u8; PAGE] {
        let mut page = [0; PAGE];
        page[usize::from(seed)] = seed;
        page
    }

    #[test]
    fn sizes_around_powers_of_two_equal_the_definition() {
        for count in [0usize, 1, 2, 3, 4, 5, 8, 9, 63, 64, 65, 128, 129] {
            let pages: Vec<_> = (0..count).map(|index| page(index as u8 + 1)).collect();
            let mut tree = PageTree::new();
            for (index, page) in pages.iter().enumerate() {
                assert!(tree.update(index as u64, page));
            }
            assert_eq!(tree.root(), naive_root(&pages), "{count} pages");
            assert_eq!(tree.pages(), count as u64);
        }
    }

    #[test]
    fn zero_pages_count_as_absent() {
        let mut tree = PageTree::new();
        assert_eq!(tree.root(), empty_root());
        assert!(!tree.update(5, &[0; PAGE]));
        assert_eq!(tree.pages(), 0);
        assert!(tree.update(5, &page(3)));
        assert_ne!(tree.root(), empty_root());
        assert!(tree.update(5, &[0; PAGE]));
        assert_eq!(tree.root(), empty_root());
        assert_eq!(tree.leaf(1 << 35), zero_page());
    }

    #[test]
    fn an_unchanged_page_changes_nothing() {
        let mut tree = PageTree::new();
        assert!(tree.update(1, &page(1)));
        let root = tree.root();
        assert!(!tree.update(1, &page(1)));
        assert_eq!(tree.root(), root);
    }

    #[test]
    fn the_place_of_a_page_counts() {
        let mut roots: Vec<_> = (0..4)
            .map(|index| {
                let mut tree = PageTree::new();
                tree.update(index, &page(1));
                tree.root()
            })
            .collect();
        roots.sort_unstable();
        roots.dedup();
        assert_eq!(roots.len(), 4);
    }

    #[test]
    fn the_root_follows_from_some_pages_and_the_subtrees_beside_them() {
        let mut whole = PageTree::new();
        for index in [0, 3, 9, 200, 1 << 30] {
            whole.update(index, &page(index as u8 | 1));
        }
        let root = whole.root();
        for pages in [&[][..], &[0], &[3, 9], &[5, 200, 1 << 30]] {
            let mut part = PageTree::new();
            for (level, index) in siblings(pages) {
                part.set_node(level, index, whole.node(level, index));
            }
            for index in pages {
                part.place_leaf(*index, whole.leaf(*index));
            }
            assert_eq!(part.root(), root, "{pages:?}");
            let leaves: Vec<_> = pages.iter().map(|page| (*page, whole.leaf(*page))).collect();
            let mut beside: Vec<_> =
                siblings(pages).into_iter().map(|(level, index)| whole.node(level, index)).collect();
            assert_eq!(root_of(&leaves, &beside), Some(root), "{pages:?}");
            assert_eq!(PageTree::of_some(&leaves, &beside, (1 << 30) + 1).root(), root, "{pages:?}");
            beside.push(root);
            assert_eq!(root_of(&leaves, &beside), None, "{pages:?}: one too many");
            beside.truncate(beside.len() - 2);
            assert_eq!(root_of(&leaves, &beside), None, "{pages:?}: one too few");
        }
        assert_eq!(siblings(&[]), [(HEIGHT, 0)]);
        assert_eq!(siblings(&[0]).len(), HEIGHT);
    }

    #[test]
    fn a_page_of_a_tree_of_some_can_change_wherever_the_end_is() {
        for count in 1..70u64 {
            let mut whole = PageTree::new();
            for index in 0..count {
                whole.update(index, &page(1));
            }
            let root = whole.root();
            for some in [&[][..], &[0], &[count - 1], &[count], &[0, count], &[count / 2, count + 1, count + 40]] {
                let some: Vec<u64> =
                    some.iter().copied().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
                let leaves: Vec<_> = some.iter().map(|index| (*index, whole.leaf(*index))).collect();
                let beside: Vec<_> = siblings(&some).into_iter().map(|(level, at)| whole.node(level, at)).collect();
                assert_eq!(PageTree::of_some(&leaves, &beside, count).root(), root, "{some:?} of {count}");
                for change in &some {
                    let [mut whole, mut part] = [whole.clone(), PageTree::of_some(&leaves, &beside, count)];
                    assert!(whole.update(*change, &page(2)) && part.update(*change, &page(2)));
                    assert_eq!(part.root(), whole.root(), "page {change} of {some:?} of {count}");
                }
            }
        }
    }

    #[test]
    fn page_hashes_are_keyed_blake3() {
        let keyed = |page: &[u8]| *blake3::keyed_hash(b"guest-interp 2026 merkle leaf v1", page).as_bytes();
        assert_eq!(page_hash(&page(1)), keyed(&page(1)));
        assert_eq!(zero_page(), keyed(&[0; PAGE]));
    }

    #[test]
    fn the_vectors_of_the_documentation_hold() {
        let mut tree = PageTree::new();
        let show = crate::encoding::hex;
        assert_eq!(show(&zero_page()), "220c84e70dd50a2fbbc88cc1da46b4ced4d2a314de68e8519d8daec349aa7446");
        assert_eq!(show(&tree.root()), "4962869f6f816fc9503837f88beaac17250c0e7e41379019d4ac8ad57084673a");
        tree.update(0, &[1; PAGE]);
        assert_eq!(show(&tree.root()), "24b6d64fae988493378599593a9804b0e8928ff494a73c96acf99166774b4592");
        tree.update(5, &[2; PAGE]);
        assert_eq!(show(&tree.root()), "9c825d8b734624496d72c2bf3b032f35e0193fb841a451067c2ce5fb358881c5");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn random_updates_equal_the_definition(steps in prop::collection::vec((0usize..70, 0u8..4, any::<bool>()), 0..60)) {
            let mut pages: Vec<[u8; PAGE]> = Vec::new();
            let mut tree = PageTree::new();
            for (index, seed, look) in steps {
                pages.resize(pages.len().max(index + 1), [0; PAGE]);
                prop_assert_eq!(tree.update(index as u64, &page(seed)), pages[index] != page(seed));
                pages[index] = page(seed);
                if look {
                    prop_assert_eq!(tree.root(), naive_root(&pages));
                }
            }
            prop_assert_eq!(tree.root(), naive_root(&pages));
        }

        #[test]
        fn the_order_of_writes_does_not_count(
            set in prop::collection::btree_map(0u64..300, 1u8..9, 0..20).prop_map(|map| map.into_iter().collect::<Vec<_>>()),
            pivot in any::<prop::sample::Index>(),
        ) {
            let root = |order: &[(u64, u8)]| {
                let mut tree = PageTree::new();
                for (index, seed) in order {
                    tree.update(*index, &page(*seed));
                }
                tree.root()
            };
            let mut turned = set.clone();
            if !turned.is_empty() {
                turned.rotate_left(pivot.index(set.len()));
                turned[1..].reverse();
            }
            prop_assert_eq!(root(&set), root(&turned));
        }
    }
}
