//! Configuration in layers, later ones win: built-in defaults, `/etc/taffrail/config.yaml`,
//! `~/.taffrail/config.yaml`, `./.taffrail/project.yaml`, the file of `--config`, `TAFFRAIL_*`
//! variables, flags.
//!
//! Invariants
//! - An unknown key, a wrong type or an impossible value is a [`ConfigFault`] with file, line and,
//!   for a key, the nearest valid one. The faults of all layers are reported together.
//! - Who records programs reads what concerns it and nothing else ([`capture`]).
//! - A setting that is accepted but has no effect in this version is said in the notes.
//!
//! Guide: docs/guide/configuration.md.
pub mod capture;
mod file;
mod load;
mod size;

pub use load::{Sources, load};

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};
use taffrail_engine::{
    memory::{self, Pools},
    options::{CustomStream, EngineOptions},
    pipeline::{CaptureConfig, PipelineConfig, config::RedactionConfig},
};
use taffrail_model::stream::{AccessClass, StreamCatalogue, StreamNumber};

/// Where the server listens when nothing else is said.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4600);
/// Least bytes of all tails together: below it every commit would make a segment.
pub const TAILS_BYTES_MIN: usize = 8 << 20;
/// Most bytes of all tails together.
///
/// A column of a tail has 32-bit offsets into its text: far below 4 GiB for all tails together, none
/// can pass them.
pub const TAILS_BYTES_MAX: usize = 2 << 30;
/// Characters of a bootstrap key at least: 32 random characters cannot be guessed.
pub const BOOTSTRAP_KEY_CHARS_MIN: usize = 32;

/// The configuration after all layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Data directory.
    pub data_dir: PathBuf,
    /// File of the key-encryption key; `None`: below the home directory.
    pub key_file: Option<PathBuf>,
    /// Whether records are encrypted at rest.
    pub encryption: bool,
    /// Bounds of memory.
    pub memory: MemorySettings,
    /// Streams beside the built-in ones, by name.
    pub streams: BTreeMap<String, StreamSettings>,
    /// Redaction beyond the default rules.
    pub redaction: RedactionConfig,
    /// Rules for the output of programs that `taffrail run` records; the server takes what it is
    /// sent.
    pub capture: CaptureConfig,
    /// Whether `/metrics` needs no credential.
    pub metrics_are_public: bool,
    /// The first admin, made if there is no account yet.
    pub first_admin: Option<FirstAdmin>,
    /// Key that acts as an admin while it is set.
    pub bootstrap_key: Option<BootstrapKey>,
}

/// Bounds of memory; what is not set follows from the memory that the process may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemorySettings {
    /// Memory that the process may use; `None`: what machine and control group give.
    pub total: Option<u64>,
    /// Bytes of all tails together.
    pub tails: Option<usize>,
    /// Bytes of requests in flight.
    pub in_flight: Option<usize>,
    /// Bytes of decoded parts of segments.
    pub block_cache: Option<usize>,
    /// Bytes of the state of running aggregates.
    pub query_state: Option<usize>,
    /// Bytes of answers that clients have not read.
    pub answers: Option<usize>,
}

impl MemorySettings {
    /// What is set here, and the rest as it is below.
    #[must_use]
    pub(crate) fn over(self, below: MemorySettings) -> MemorySettings {
        MemorySettings {
            total: self.total.or(below.total),
            tails: self.tails.or(below.tails),
            in_flight: self.in_flight.or(below.in_flight),
            block_cache: self.block_cache.or(below.block_cache),
            query_state: self.query_state.or(below.query_state),
            answers: self.answers.or(below.answers),
        }
    }

    /// Memory that the process may use, in bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total.unwrap_or_else(memory::available_bytes)
    }

    /// The bounds of all pools.
    #[must_use]
    pub fn pools(&self) -> Pools {
        let default = Pools::for_memory(self.total_bytes());
        Pools {
            tails: self.tails.unwrap_or(default.tails),
            in_flight: self.in_flight.unwrap_or(default.in_flight),
            block_cache: self.block_cache.unwrap_or(default.block_cache),
            query_state: self.query_state.unwrap_or(default.query_state),
            answers: self.answers.unwrap_or(default.answers),
        }
    }
}

/// A stream that the configuration adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// Days that a record is kept; `None`: for ever.
    pub retention_days: Option<u32>,
    /// Who owns its records.
    pub access: AccessClass,
}

/// Name and password of the first admin.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstAdmin {
    /// Login name.
    pub name: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for FirstAdmin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FirstAdmin({:?})", self.name)
    }
}

/// A secret from the environment.
#[derive(Clone, PartialEq, Eq)]
pub struct BootstrapKey(pub(crate) String);

impl BootstrapKey {
    /// A key, if it is long and plain enough.
    #[must_use]
    pub fn new(text: &str) -> Option<BootstrapKey> {
        let is_usable = text.chars().count() >= BOOTSTRAP_KEY_CHARS_MIN
            && text.len() <= 1_024
            && text.bytes().all(|b| b.is_ascii_graphic());
        is_usable.then(|| BootstrapKey(text.to_owned()))
    }
}

impl std::fmt::Debug for BootstrapKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BootstrapKey")
    }
}

impl Default for Config {
    fn default() -> Config {
        let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
        Config {
            listen: DEFAULT_LISTEN,
            data_dir: home.join(".taffrail/data"),
            key_file: None,
            encryption: true,
            memory: MemorySettings::default(),
            streams: BTreeMap::new(),
            redaction: RedactionConfig::default(),
            capture: CaptureConfig::default(),
            metrics_are_public: false,
            first_admin: None,
            bootstrap_key: None,
        }
    }
}

impl Config {
    /// The streams by name, for who sends to them: numbers of those that are configured are given
    /// by a server.
    #[must_use]
    pub fn catalogue(&self) -> StreamCatalogue {
        let mut catalogue = StreamCatalogue::built_in();
        let numbers = StreamNumber::FIRST_CUSTOM.0..;
        for (stream, number) in self.custom_streams().iter().zip(numbers) {
            // Names were checked when they were read.
            let _ = catalogue.add(stream.definition(StreamNumber(number)));
        }
        catalogue
    }

    fn custom_streams(&self) -> Vec<CustomStream> {
        let streams = self.streams.iter();
        streams
            .map(|(name, settings)| CustomStream {
                name: name.clone(),
                retention_days: settings.retention_days,
                access: settings.access,
            })
            .collect()
    }

    /// What the engine is opened with.
    #[must_use]
    pub fn engine_options(&self) -> EngineOptions {
        EngineOptions {
            key_file: self.key_file.clone(),
            is_encrypted: self.encryption,
            memory: self.memory.pools(),
            streams: self.custom_streams(),
            pipeline: PipelineConfig {
                redaction: self.redaction.clone(),
                ..PipelineConfig::default()
            },
            ..EngineOptions::new(self.data_dir.clone())
        }
    }
}

/// What was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Files that were read, in order.
    pub files: Vec<PathBuf>,
    /// What the user should know though nothing is wrong.
    pub notes: Vec<String>,
}

/// Something wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {detail}{}", hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
pub struct ConfigFault {
    /// Where.
    pub place: Place,
    /// Under which key of a file, if that is known.
    pub key: Option<String>,
    /// What is wrong; may show values.
    pub detail: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl ConfigFault {
    /// File, line and key: what may be said elsewhere than on the machine of the file.
    #[must_use]
    pub fn whereabouts(&self) -> String {
        match &self.key {
            Some(key) => format!("{} ({key})", self.place),
            None => self.place.to_string(),
        }
    }
}

/// Where a fault of the configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File {
        /// Which.
        path: PathBuf,
        /// Line from 1, if it is known.
        line: Option<usize>,
    },
    /// In a variable of the environment.
    Variable(String),
    /// In a flag.
    Flag(&'static str),
    /// In what the layers give together.
    Whole,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::File {
                path,
                line: Some(line),
            } => write!(f, "{}:{line}", path.display()),
            Place::File { path, line: None } => write!(f, "{}", path.display()),
            Place::Variable(name) => f.write_str(name),
            Place::Flag(name) => f.write_str(name),
            Place::Whole => f.write_str("configuration"),
        }
    }
}

/// All faults of a configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is not valid:\n{}", .0.iter().map(|fault| format!("  {fault}")).collect::<Vec<_>>().join("\n"))]
pub struct ConfigFaults(pub Vec<ConfigFault>);

/// Loads the layers and checks everything that can be checked without starting: what
/// `validate-config` says.
///
/// # Errors
/// All faults.
pub fn validate(sources: &Sources) -> Result<Loaded, ConfigFaults> {
    load(sources)
}
