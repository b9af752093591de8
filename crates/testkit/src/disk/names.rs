//! Names: what is found under which path now, what is on the medium, and the changes in between.
//!
//! Changes of one name keep their order; changes of different names are kept or lost each for
//! itself. A rename is one change: old or new, never both, never neither. A file whose directory
//! is lost is lost with it.
use crate::random::Random;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Directory,
    File(u64),
}

#[derive(Clone, Debug)]
enum Change {
    Put { path: PathBuf, node: Node },
    Remove { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
}

impl Change {
    fn paths(&self) -> [Option<&Path>; 2] {
        match self {
            Change::Put { path, .. } | Change::Remove { path } => [Some(path), None],
            Change::Rename { from, to } => [Some(from), Some(to)],
        }
    }

    fn shares_a_name(&self, other: &Change) -> bool {
        self.paths()
            .iter()
            .flatten()
            .any(|path| other.paths().contains(&Some(path)))
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Change::Put { path, node } => {
                names.insert(path.clone(), *node);
            }
            Change::Remove { path } => {
                names.remove(path);
            }
            Change::Rename { from, to } => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Pending {
    change: Change,
    /// Directories that are still to be synced.
    unsynced: BTreeSet<PathBuf>,
}

/// What a power loss finds.
#[derive(Clone, Debug, Default)]
pub(super) struct MediumNames {
    durable: Arc<BTreeMap<PathBuf, Node>>,
    pending: Vec<Pending>,
}

/// The name space.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    live: BTreeMap<PathBuf, Node>,
    medium: MediumNames,
}

/// The path without `.` and double slashes.
pub(super) fn clean(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| !matches!(part, std::path::Component::CurDir))
        .collect()
}

/// Root directories are there from the beginning.
fn is_root(path: &Path) -> bool {
    path.parent().is_none() || path.as_os_str().is_empty()
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

impl Names {
    pub(super) fn durable(names: BTreeMap<PathBuf, Node>) -> Names {
        Names {
            live: names.clone(),
            medium: MediumNames {
                durable: Arc::new(names),
                pending: Vec::new(),
            },
        }
    }

    /// What a new process finds: every change, durable or not.
    pub(super) fn in_cache(medium: &MediumNames) -> Names {
        let mut live = medium.durable.as_ref().clone();
        for pending in &medium.pending {
            pending.change.apply(&mut live);
        }
        Names {
            live,
            medium: medium.clone(),
        }
    }

    pub(super) fn medium(&self) -> &MediumNames {
        &self.medium
    }

    pub(super) fn get(&self, path: &Path) -> Option<Node> {
        if is_root(path) {
            return Some(Node::Directory);
        }
        self.live.get(path).copied()
    }

    pub(super) fn is_directory(&self, path: &Path) -> bool {
        self.get(path) == Some(Node::Directory)
    }

    pub(super) fn parent_exists(&self, path: &Path) -> bool {
        self.is_directory(&parent(path))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&PathBuf, Node)> {
        self.live.iter().map(|(path, node)| (path, *node))
    }

    pub(super) fn children<'a>(
        &'a self,
        directory: &'a Path,
    ) -> impl Iterator<Item = (&'a PathBuf, Node)> {
        self.iter()
            .filter(move |(path, _)| parent(path) == directory)
    }

    pub(super) fn put(&mut self, path: PathBuf, node: Node) {
        self.change(Change::Put { path, node });
    }

    pub(super) fn remove(&mut self, path: PathBuf) {
        self.change(Change::Remove { path });
    }

    pub(super) fn rename(&mut self, from: PathBuf, to: PathBuf) {
        self.change(Change::Rename { from, to });
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        let unsynced = change
            .paths()
            .into_iter()
            .flatten()
            .map(parent)
            .collect::<BTreeSet<_>>();
        self.medium.pending.push(Pending { change, unsynced });
    }

    pub(super) fn sync(&mut self, directory: &Path) {
        let mut settled = vec![false; self.medium.pending.len()];
        for (index, pending) in self.medium.pending.iter_mut().enumerate() {
            pending.unsynced.remove(directory);
            settled[index] = pending.unsynced.is_empty();
        }
        let settled = self.medium.with_earlier(settled);
        let durable = Arc::make_mut(&mut self.medium.durable);
        for (pending, _) in self
            .medium
            .pending
            .iter()
            .zip(&settled)
            .filter(|(_, s)| **s)
        {
            pending.change.apply(durable);
        }
        let mut settled = settled.into_iter();
        self.medium
            .pending
            .retain(|_| !settled.next().unwrap_or_default());
    }
}

impl MediumNames {
    /// Marks what an earlier change of the same name needs.
    fn with_earlier(&self, mut chosen: Vec<bool>) -> Vec<bool> {
        for late in (0..chosen.len()).rev().filter(|at| *at > 0) {
            if chosen[late] {
                let change = &self.pending[late].change;
                for (early, is_chosen) in chosen.iter_mut().enumerate().take(late) {
                    *is_chosen |= self.pending[early].change.shares_a_name(change);
                }
            }
        }
        chosen
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Files that a power loss may leave a name for.
    pub(super) fn files(&self) -> BTreeSet<u64> {
        let pending = self.pending.iter().filter_map(|p| match &p.change {
            Change::Put { node, .. } => Some(*node),
            _ => None,
        });
        self.durable
            .values()
            .copied()
            .chain(pending)
            .filter_map(|node| match node {
                Node::File(number) => Some(number),
                Node::Directory => None,
            })
            .collect()
    }

    /// The names as found after a power loss; each unsynced change is kept in `keep_percent` of
    /// 100 cases.
    pub(super) fn after_power_loss(
        &self,
        keep_percent: u64,
        random: &mut Random,
    ) -> BTreeMap<PathBuf, Node> {
        let chosen = self
            .pending
            .iter()
            .map(|_| random.percent(keep_percent))
            .collect();
        let mut names = self.durable.as_ref().clone();
        for (pending, _) in self
            .pending
            .iter()
            .zip(self.with_earlier(chosen))
            .filter(|(_, chosen)| *chosen)
        {
            pending.change.apply(&mut names);
        }
        let found = names.clone();
        names.retain(|path, _| {
            path.ancestors()
                .skip(1)
                .all(|above| is_root(above) || found.get(above) == Some(&Node::Directory))
        });
        names
    }
}
