//! The folder of the demonstration: data, configuration, and the secrets that make its commands
//! work when pasted. Only its owner may look into it.
//!
//! Invariants
//! - The password of the first account is in the file `first-password` until it was shown, so a
//!   crash in between does not lose it; afterwards it is nowhere.
use anyhow::{Context, Result};
use ring::rand::{SecureRandom, SystemRandom};
use std::{
    fs::{DirBuilder, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Letters and digits that nobody takes for another: no `l` and `1`, no `o` and `0`.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The stream of the machine's logs: old package logs are interesting, so it keeps ten years.
const CONFIGURATION: &str = "\
# Configuration of `taffrail demo`; yours to change.
streams:
  machine:
    retention_days: 3650
";

/// Paths in the folder.
#[derive(Clone, Debug)]
pub struct DemoFolder {
    root: PathBuf,
}

impl DemoFolder {
    /// Makes the folder and its configuration if they are not there.
    pub fn open(root: PathBuf) -> Result<DemoFolder> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&root)
            .with_context(|| format!("making {}", root.display()))?;
        let root = root
            .canonicalize()
            .with_context(|| format!("looking at {}", root.display()))?;
        let folder = DemoFolder { root };
        if !folder.config().exists() {
            write_private(&folder.config(), CONFIGURATION)?;
        }
        Ok(folder)
    }

    /// Data directory of the server.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Configuration of the server.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.yaml")
    }

    /// Where shipping keeps its checkpoints and what was not acknowledged yet.
    pub fn ship(&self) -> PathBuf {
        self.root.join("ship")
    }

    /// File with the API key.
    pub fn token(&self) -> PathBuf {
        self.root.join("token")
    }

    /// Options for curl, with the API key in a header.
    pub fn curl(&self) -> PathBuf {
        self.root.join("curl")
    }

    /// Where the recorder of an instance keeps what was not acknowledged yet.
    pub fn run(&self, instance: &str) -> PathBuf {
        self.root.join("run").join(instance)
    }

    /// File with the key of an instance.
    pub fn instance_token(&self, instance: &str) -> PathBuf {
        self.root.join(format!("token-of-{instance}"))
    }

    /// The key of an instance, of an earlier run.
    pub fn read_instance_token(&self, instance: &str) -> Result<Option<String>> {
        read_line(&self.instance_token(instance))
    }

    /// Keeps the key of an instance for its recorder.
    pub fn write_instance_token(&self, instance: &str, token: &str) -> Result<()> {
        write_private(&self.instance_token(instance), &format!("{token}\n"))
    }

    /// The API key of an earlier run.
    pub fn read_token(&self) -> Result<Option<String>> {
        read_line(&self.token())
    }

    /// Keeps the API key for commands and curl.
    pub fn write_token(&self, token: &str) -> Result<()> {
        write_private(&self.token(), &format!("{token}\n"))?;
        let options = format!("header = \"Authorization: Bearer {token}\"\n");
        write_private(&self.curl(), &options)
    }

    /// The password for the first account, if it has not been shown yet: that of an interrupted
    /// first run, or a new one if there is no data yet.
    pub fn first_password(&self) -> Result<Option<String>> {
        let path = self.first_password_file();
        if let Some(password) = read_line(&path)? {
            return Ok(Some(password));
        }
        if self.data().exists() {
            return Ok(None);
        }
        let password = random_password()?;
        write_private(&path, &format!("{password}\n"))?;
        Ok(Some(password))
    }

    /// The password was shown: forgets it.
    pub fn forget_first_password(&self) -> Result<()> {
        match std::fs::remove_file(self.first_password_file()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).context("removing the file of the first password")
            }
            _ => Ok(()),
        }
    }

    fn first_password_file(&self) -> PathBuf {
        self.root.join("first-password")
    }
}

/// 20 random characters in groups, 100 bits.
fn random_password() -> Result<String> {
    let groups: Vec<String> = random_characters(20)?
        .as_bytes()
        .chunks(5)
        .map(|group| String::from_utf8_lossy(group).into_owned())
        .collect();
    Ok(groups.join("-"))
}

/// Random characters of the alphabet, five bits each.
pub fn random_characters(count: usize) -> Result<String> {
    let mut bytes = vec![0; count];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    let characters = bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    Ok(characters.collect())
}

fn read_line(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_string()).filter(|text| !text.is_empty())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// Replaces a file in one step; only its owner may read it.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, os::unix::fs::PermissionsExt};

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn secrets_are_private() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DemoFolder::open(parent.path().join("a/demo")).unwrap();
        folder.write_token("tfr_x").unwrap();
        folder.first_password().unwrap();
        folder.write_instance_token("i1", "tfr_y").unwrap();
        assert_eq!(mode(&folder.root), 0o700);
        for path in [
            folder.token(),
            folder.curl(),
            folder.first_password_file(),
            folder.instance_token("i1"),
        ] {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        assert_eq!(folder.read_token().unwrap().as_deref(), Some("tfr_x"));
        let of_instance = folder.read_instance_token("i1").unwrap();
        assert_eq!(of_instance.as_deref(), Some("tfr_y"));
    }

    #[test]
    fn the_first_password_survives_a_crash_and_is_then_forgotten() {
        let parent = tempfile::tempdir().unwrap();
        let open = || DemoFolder::open(parent.path().join("demo")).unwrap();
        let first = open().first_password().unwrap().expect("a password");
        assert_eq!(first.len(), 23);
        std::fs::create_dir(open().data()).unwrap();
        assert_eq!(open().first_password().unwrap(), Some(first));
        open().forget_first_password().unwrap();
        open().forget_first_password().unwrap();
        assert_eq!(open().first_password().unwrap(), None);
    }

    #[test]
    fn changes_to_the_configuration_stay() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DemoFolder::open(parent.path().to_path_buf()).unwrap();
        std::fs::write(folder.config(), "# mine\n").unwrap();
        let folder = DemoFolder::open(parent.path().to_path_buf()).unwrap();
        assert_eq!(
            std::fs::read_to_string(folder.config()).unwrap(),
            "# mine\n"
        );
    }

    #[test]
    fn characters_are_distinct_and_passwords_differ() {
        assert_eq!(ALPHABET.iter().collect::<HashSet<_>>().len(), 32);
        assert_ne!(random_password().unwrap(), random_password().unwrap());
    }
}
