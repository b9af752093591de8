//! The simulated disk and the machine's file system answer the same calls in the same way, errors
//! included: what storage is tested on is what it runs on.
#![allow(
    clippy::unwrap_used,
    reason = "a harness ends where the ground is gone that it stands on"
)]

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use taffrail_model::files::{Entry, File, Files};
use taffrail_storage::local_files::LocalFiles;
use taffrail_testkit::{Random, SimulatedDisk};

/// One call.
#[derive(Clone, Debug)]
enum Call {
    Create(&'static str),
    Open(&'static str),
    Rename(&'static str, &'static str),
    Remove(&'static str),
    MakeDirectory(&'static str),
    List(&'static str),
    SyncDirectory(&'static str),
    Append(&'static str, usize),
    WriteAt(&'static str, u64, usize),
    ReadAt(&'static str, u64, usize),
    Sync(&'static str),
    Len(&'static str),
}

const FILES: [&str; 6] = ["a", "b", "d/a", "d/c", "d/e/f", "missing/f"];
const DIRECTORIES: [&str; 4] = ["", "d", "d/e", "missing"];

fn call(random: &mut Random) -> Call {
    let file = random.pick(&FILES);
    let directory = random.pick(&DIRECTORIES);
    let offset = random.below(2_000);
    let bytes = random.index(1_500);
    match random.below(14) {
        0 | 1 => Call::Create(file),
        2 => Call::Open(file),
        3 => Call::Rename(file, random.pick(&FILES)),
        4 => Call::Remove(file),
        5 => Call::MakeDirectory(random.pick(&DIRECTORIES[1..3])),
        6 => Call::List(directory),
        7 => Call::SyncDirectory(directory),
        8 | 9 => Call::Append(file, bytes),
        10 => Call::WriteAt(file, offset, bytes),
        11 => Call::ReadAt(file, offset, bytes),
        12 => Call::Sync(file),
        _ => Call::Len(file),
    }
}

/// What a call answered.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Done,
    Number(u64),
    Bytes(Vec<u8>),
    Entries(Vec<Entry>),
    Failed(io::ErrorKind),
    NoHandle,
}

struct Tried {
    files: Arc<dyn Files>,
    root: PathBuf,
    /// Handles stay open over renames and removals; a file has one, since one owner appends.
    handles: BTreeMap<&'static str, Arc<dyn File>>,
}

impl Tried {
    fn new(files: Arc<dyn Files>, root: &Path) -> Tried {
        files.make_directory(root).unwrap();
        Tried {
            files,
            root: root.to_path_buf(),
            handles: BTreeMap::new(),
        }
    }

    fn run(&mut self, call: &Call) -> Answer {
        self.answer(call)
            .unwrap_or_else(|error| Answer::Failed(error.kind()))
    }

    fn answer(&mut self, call: &Call) -> io::Result<Answer> {
        let at = |path: &str| self.root.join(path);
        let content = |length: usize| (0..length).map(|at| at as u8).collect::<Vec<u8>>();
        let done = |()| Answer::Done;
        let handle = |name: &str| self.handles.get(name).cloned();
        Ok(match *call {
            Call::Create(name) => {
                let file = self.files.create(&at(name))?;
                self.handles.insert(name, file);
                Answer::Done
            }
            Call::Open(name) => {
                let file = self.files.open_for_overwrite(&at(name))?;
                self.handles.insert(name, file);
                Answer::Done
            }
            Call::Rename(from, to) => {
                self.files.rename(&at(from), &at(to))?;
                if let Some(file) = self.handles.remove(from) {
                    self.handles.insert(to, file);
                }
                Answer::Done
            }
            Call::Remove(name) => done(self.files.remove(&at(name))?),
            Call::MakeDirectory(name) => done(self.files.make_directory(&at(name))?),
            Call::List(name) => Answer::Entries(self.files.list(&at(name))?),
            Call::SyncDirectory(name) => done(self.files.sync_directory(&at(name))?),
            Call::Append(name, length) => match handle(name) {
                Some(file) => Answer::Number(file.append(&content(length))?),
                None => Answer::NoHandle,
            },
            Call::WriteAt(name, offset, length) => match handle(name) {
                Some(file) => done(file.write_at(offset, &content(length))?),
                None => Answer::NoHandle,
            },
            Call::ReadAt(name, offset, length) => match handle(name) {
                Some(file) => {
                    let mut buffer = vec![0; length];
                    file.read_at(offset, &mut buffer)?;
                    Answer::Bytes(buffer)
                }
                None => Answer::NoHandle,
            },
            Call::Sync(name) => match handle(name) {
                Some(file) => done(file.sync()?),
                None => Answer::NoHandle,
            },
            Call::Len(name) => match handle(name) {
                Some(file) => Answer::Number(file.len()?),
                None => Answer::NoHandle,
            },
        })
    }
}

#[test]
fn the_simulated_disk_behaves_as_the_machine_does() {
    for seed in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let mut real = Tried::new(Arc::new(LocalFiles), directory.path());
        let mut simulated = Tried::new(SimulatedDisk::new(seed).files(), Path::new("/data"));
        let mut random = Random::from_seeds(&[seed]);
        for number in 0..300 {
            let call = call(&mut random);
            let (expected, found) = (real.run(&call), simulated.run(&call));
            assert_eq!(expected, found, "seed {seed}, call {number}: {call:?}");
        }
    }
}
