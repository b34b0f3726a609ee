//! The tree over a batch of statements: a Merkle tree as in RFC 9162, 2.1, with SHA-256.

use cofferdam_envelope::{Inclusion, label};

use crate::key::sha256;

pub(crate) type Hash = [u8; 32];

/// The leaf of a statement.
pub(crate) fn leaf(statement: &[u8]) -> Hash {
    sha256(&label::leaf_input(statement))
}

fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&label::node_input(left, right))
}

/// A tree of 1 to 256 leaves, level by level.
pub(crate) struct Tree {
    /// The leaves first, the root last. A node without a sibling goes up as it is: that is the RFC's tree.
    levels: Vec<Vec<Hash>>,
    size: u16,
}

impl Tree {
    /// `None` for no leaves, and for more than a batch has.
    pub(crate) fn new(leaves: Vec<Hash>) -> Option<Self> {
        let size = u16::try_from(leaves.len()).ok()?;
        if !(1..=cofferdam_envelope::BATCH_MAX).contains(&size) {
            return None;
        }
        let mut levels = vec![leaves];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            let above = level.chunks(2).map(|pair| match pair {
                [left, right] => node(left, right),
                alone => alone[0],
            });
            let above = above.collect();
            levels.push(above);
        }
        Some(Self { levels, size })
    }

    pub(crate) fn size(&self) -> u16 {
        self.size
    }

    pub(crate) fn root(&self) -> Hash {
        // The last level is the one with a single node; there is always one.
        self.levels
            .last()
            .and_then(|level| level.first())
            .copied()
            .unwrap_or_default()
    }

    /// A leaf's place; `index` is less than the size.
    pub(crate) fn inclusion(&self, index: u16) -> Inclusion {
        let mut at = usize::from(index);
        let mut path = Vec::new();
        for level in &self.levels {
            path.extend(level.get(at ^ 1));
            at /= 2;
        }
        Inclusion {
            size: self.size,
            index,
            path,
        }
    }
}

/// The root that a leaf and its path lead to (RFC 9162, 2.1.3.2). `None` if no tree of that size has such a path.
pub(crate) fn root_from(leaf: Hash, inclusion: &Inclusion) -> Option<Hash> {
    if inclusion.index >= inclusion.size {
        return None;
    }
    let (mut at, mut last) = (inclusion.index, inclusion.size - 1);
    let mut hash = leaf;
    for sibling in &inclusion.path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MTH(D[n]) as RFC 9162 (2.1.1) writes it.
    fn by_the_rfc(leaves: &[Hash]) -> Hash {
        match leaves {
            [alone] => *alone,
            _ => {
                let left = (1..leaves.len()).rev().find(|k| k.is_power_of_two()).unwrap();
                node(&by_the_rfc(&leaves[..left]), &by_the_rfc(&leaves[left..]))
            }
        }
    }

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|n| leaf(&n.to_be_bytes())).collect()
    }

    #[test]
    fn every_leaf_of_every_tree_leads_to_the_root() {
        for size in 1..=256 {
            let leaves = leaves(size);
            let tree = Tree::new(leaves.clone()).unwrap();
            assert_eq!(tree.root(), by_the_rfc(&leaves), "{size}");
            for (index, leaf) in (0..).zip(&leaves) {
                let inclusion = tree.inclusion(index);
                assert_eq!(inclusion.path.len(), Inclusion::path_len(index, tree.size()));
                assert_eq!(root_from(*leaf, &inclusion), Some(tree.root()), "{index} of {size}");
            }
        }
        assert!(Tree::new(vec![]).is_none() && Tree::new(leaves(257)).is_none());
    }

    #[test]
    fn another_place_leads_elsewhere() {
        let tree = Tree::new(leaves(13)).unwrap();
        let good = tree.inclusion(5);
        let root = |change: &dyn Fn(&mut Inclusion)| {
            let mut changed = good.clone();
            change(&mut changed);
            root_from(leaf(&5usize.to_be_bytes()), &changed)
        };
        assert_eq!(root(&|_| ()), Some(tree.root()));
        for index in (0..13).filter(|&index| index != 5) {
            assert_ne!(root(&|i| i.index = index), Some(tree.root()), "{index}");
        }
        assert_eq!(root(&|i| i.index = 13), None);
        assert_eq!(root(&|i| i.path.truncate(3)), None, "too short");
        assert_eq!(root(&|i| i.path.push([0; 32])), None, "too long");
        for at in 0..good.path.len() {
            assert_ne!(root(&|i| i.path[at][31] ^= 1), Some(tree.root()));
        }
        assert_ne!(root(&|i| i.path.swap(0, 1)), Some(tree.root()));
    }

    /// Inner nodes are no leaves: the two are hashed apart.
    #[test]
    fn a_node_does_not_pass_for_a_leaf() {
        let leaves = leaves(4);
        let tree = Tree::new(leaves.clone()).unwrap();
        let inner = [leaves[0], leaves[1]].concat();
        let above = Inclusion {
            size: 2,
            index: 0,
            path: vec![node(&leaves[2], &leaves[3])],
        };
        assert_ne!(root_from(leaf(&inner), &above), Some(tree.root()));
    }

    /// The empty leaf of RFC 6962's well-known test tree.
    #[test]
    fn hashes_are_the_rfcs() {
        let empty = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(hex::encode(leaf(b"")), empty);
        let two = Tree::new(vec![leaf(b""), leaf(&[0])]).unwrap();
        assert_eq!(
            hex::encode(two.root()),
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
        );
    }
}
