//! How an engine is opened.
use crate::{
    Engine, Inner, admission::Admission, deletions::Selector, events, instances::Instances,
    maintenance, memory::Pools,
};
use parking_lot::RwLock;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use taffrail_meta::{AnyMeta, Meta, MetaError, SqliteMeta};
use taffrail_model::{
    clock::{Clock, SystemClock},
    stream::{AccessClass, StreamCatalogue, StreamDefinition, StreamError, StreamNumber},
};
use taffrail_pipeline::{ConfigError, Pipeline, PipelineConfig};
use taffrail_query::MemoryPool;
use taffrail_storage::{
    deletion::RowSelector,
    durable,
    keys::{KeyFile, KeyFileError},
    local_files::{DirectoryLock, LocalFiles, LockError},
    recovery::{OpenError as StoreOpenError, RecoveryReport},
    store::Store,
    store_core::StoreOptions,
};
use tokio::sync::watch;

/// A stream that the configuration adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomStream {
    /// Its name.
    pub name: String,
    /// Days that a record is kept; `None`: for ever.
    pub retention_days: Option<u32>,
    /// Who owns its records.
    pub access: AccessClass,
}

impl CustomStream {
    /// The stream with its number.
    #[must_use]
    pub fn definition(&self, number: StreamNumber) -> StreamDefinition {
        StreamDefinition {
            number,
            name: self.name.as_str().into(),
            retention_days: self.retention_days,
            debug_retention_days: None,
            compress_after_days: Some(7),
            is_archived: false,
            is_sealed: false,
            is_policy: false,
            is_strict: false,
            is_own_events: false,
            access: self.access,
        }
    }
}

/// What an engine needs to know to be opened.
#[derive(Clone)]
pub struct EngineOptions {
    /// Data directory.
    pub directory: PathBuf,
    /// File of the key-encryption key; `None`: `~/.taffrail/keys/<data directory id>.key`.
    pub key_file: Option<PathBuf>,
    /// Whether records are encrypted at rest.
    pub is_encrypted: bool,
    /// Bounds of memory.
    pub memory: Pools,
    /// Streams beside the built-in ones.
    pub streams: Vec<CustomStream>,
    /// Redaction, routing and enrichment.
    pub pipeline: PipelineConfig,
}

impl EngineOptions {
    /// The defaults for a data directory.
    #[must_use]
    pub fn new(directory: PathBuf) -> EngineOptions {
        EngineOptions {
            directory,
            key_file: None,
            is_encrypted: true,
            memory: Pools::default(),
            streams: Vec::new(),
            pipeline: PipelineConfig::default(),
        }
    }
}

/// Why an engine could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory cannot be made.
    #[error("cannot make the data directory {directory}")]
    Directory {
        /// Which.
        directory: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The metadata database.
    #[error("cannot open the metadata database")]
    Meta(#[source] MetaError),
    /// Another process works on the data directory.
    #[error(transparent)]
    Lock(LockError),
    /// The key-encryption key.
    #[error("cannot use the key file")]
    Key(#[source] KeyFileError),
    /// The log store.
    #[error("cannot open the log store")]
    Store(#[source] StoreOpenError),
    /// A stream of the configuration.
    #[error("stream of the configuration")]
    Stream(#[source] StreamError),
    /// The pipeline's configuration.
    #[error("pipeline configuration")]
    Pipeline(#[source] ConfigError),
    /// The opening thread ended.
    #[error("opening the log store was interrupted")]
    Interrupted,
}

impl Engine {
    /// Opens the engine: metadata, keys, log store with recovery, background tasks.
    ///
    /// # Errors
    /// [`OpenError`] says which part could not be opened.
    pub async fn open(options: EngineOptions) -> Result<Engine, OpenError> {
        Engine::open_with_clock(options, Arc::new(SystemClock)).await
    }

    /// Opens the engine with another clock.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn open_with_clock(
        options: EngineOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Engine, OpenError> {
        let lock = DirectoryLock::acquire(&options.directory).map_err(OpenError::Lock)?;
        let key_file = key_file(&options)?;
        let row_key_file = key_file.with_extension("rows.key");
        let meta: AnyMeta = SqliteMeta::open(
            &options.directory.join("meta.db"),
            &row_key_file,
            clock.clone(),
        )
        .await
        .map_err(OpenError::Meta)?
        .into();
        let catalogue = Arc::new(catalogue(&options, &meta).await?);
        let instances = Instances::load(&meta).await.map_err(OpenError::Meta)?;
        let instances = Arc::new(instances);
        let selector = Arc::new(Selector::new(instances.clone()));
        let pipeline = Pipeline::new(options.pipeline.clone()).map_err(OpenError::Pipeline)?;
        let opened = open_store(
            &options,
            key_file,
            catalogue.clone(),
            clock.clone(),
            selector,
        )
        .await?;
        let store = opened.store;
        let (watermark_in, watermark) = watch::channel(store.snapshot().watermark().0);
        store.subscribe(Box::new(move |position| {
            watermark_in.send_if_modified(|have| {
                let is_newer = position.0 > *have;
                *have = (*have).max(position.0);
                is_newer
            });
        }));
        let admission = Admission::new(options.memory.in_flight);
        let aggregate_memory = Arc::new(MemoryPool::new(options.memory.query_state));
        let (own_events, event_queue) = events::channel();
        let (stopping, _) = watch::channel(false);
        let (running, _) = watch::channel(());
        let engine = Engine {
            inner: Arc::new(Inner {
                options,
                store,
                meta: Arc::new(meta),
                pipeline,
                catalogue: RwLock::new(catalogue),
                clock,
                admission,
                instances,
                own_events,
                aggregate_memory,
                watermark,
                recovery: opened.recovery,
                new_key_file: opened.new_key_file,
                stopping,
                running,
                _lock: lock,
            }),
        };
        events::spawn(&engine, event_queue);
        maintenance::spawn(&engine);
        Ok(engine)
    }
}

async fn catalogue(options: &EngineOptions, meta: &AnyMeta) -> Result<StreamCatalogue, OpenError> {
    let mut catalogue = StreamCatalogue::built_in();
    for stream in &options.streams {
        let number: StreamNumber = meta
            .stream_number(&stream.name)
            .await
            .map_err(OpenError::Meta)?;
        catalogue
            .add(stream.definition(number))
            .map_err(OpenError::Stream)?;
    }
    Ok(catalogue)
}

struct OpenedStore {
    store: Store,
    recovery: RecoveryReport,
    /// The key file, if this start made it.
    new_key_file: Option<PathBuf>,
}

/// Recovery reads and replays files, so it runs where a thread may block.
async fn open_store(
    options: &EngineOptions,
    key_file: PathBuf,
    catalogue: Arc<StreamCatalogue>,
    clock: Arc<dyn Clock>,
    selector: Arc<dyn RowSelector>,
) -> Result<OpenedStore, OpenError> {
    let store_options = StoreOptions {
        tails_bytes_max: options.memory.tails,
        cache_bytes_max: options.memory.block_cache,
        encryption: options.is_encrypted,
        catalogue,
        selector,
        ..StoreOptions::new(options.directory.join("store"))
    };
    let opened = tokio::task::spawn_blocking(move || {
        let (kek, is_new) = KeyFile::load_or_create(&key_file).map_err(OpenError::Key)?;
        let (store, recovery) =
            Store::open(store_options, Arc::new(LocalFiles), clock, Arc::new(kek))
                .map_err(OpenError::Store)?;
        Ok(OpenedStore {
            store,
            recovery,
            new_key_file: is_new.then_some(key_file),
        })
    });
    opened.await.map_err(|_| OpenError::Interrupted)?
}

/// The key file: where the options say, or in the home directory under the data directory's id.
fn key_file(options: &EngineOptions) -> Result<PathBuf, OpenError> {
    match &options.key_file {
        Some(path) => Ok(path.clone()),
        None => default_key_file(&options.directory),
    }
}

/// `~/.taffrail/keys/<data directory id>.key`; the id is made at the first start.
///
/// # Errors
/// [`OpenError::Directory`] if the id can neither be read nor made.
pub fn default_key_file(directory: &Path) -> Result<PathBuf, OpenError> {
    let fault = |source| OpenError::Directory {
        directory: directory.to_owned(),
        source,
    };
    let id_path = directory.join("directory-id");
    let id = match std::fs::read_to_string(&id_path) {
        Ok(id) => uuid::Uuid::parse_str(id.trim()).map_err(|source| {
            fault(std::io::Error::new(std::io::ErrorKind::InvalidData, source))
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id = uuid::Uuid::new_v4();
            durable::replace(&LocalFiles, &id_path, format!("{id}\n").as_bytes()).map_err(fault)?;
            id
        }
        Err(error) => return Err(fault(error)),
    };
    let home = std::env::var_os("HOME")
        .filter(|home| !home.is_empty())
        .ok_or_else(|| {
            fault(std::io::Error::other(
                "HOME is not set: name the key file with --key-file",
            ))
        })?;
    Ok(Path::new(&home)
        .join(".taffrail/keys")
        .join(format!("{id}.key")))
}
