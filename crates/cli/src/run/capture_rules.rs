//! The rules by which what a program prints is sorted, from the configuration files.
//!
//! Invariants
//! - A fault in a file of the usual places does not keep the program from being run: the default
//!   rules hold then, which is said before the start and recorded. Only the file that was asked
//!   for with `--config` must be right.
use crate::failure::Failure;
use anyhow::Result;
use std::path::PathBuf;
use taffrail_engine::pipeline::CaptureConfig;
use taffrail_model::stream::StreamCatalogue;
use taffrail_server::config::{Sources, load};

/// How what is printed is sorted.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Rules that come before the default ones.
    pub rules: CaptureConfig,
    /// The streams that they may name.
    pub catalogue: StreamCatalogue,
    /// Why the rules of the configuration do not hold.
    pub fault: Option<String>,
}

impl Default for Capture {
    fn default() -> Capture {
        Capture {
            rules: CaptureConfig::default(),
            catalogue: StreamCatalogue::built_in(),
            fault: None,
        }
    }
}

impl Capture {
    /// Reads the files in the usual places and the one that was asked for.
    ///
    /// # Errors
    /// [`Failure::Usage`] if one was asked for and something is wrong.
    pub fn load(config_file: Option<PathBuf>) -> Result<Capture> {
        let is_asked_for = config_file.is_some();
        let sources = Sources {
            config_file,
            // Variables set what only a server does.
            environment: Vec::new(),
            ..Sources::standard()
        };
        match load(&sources) {
            Ok(loaded) => Ok(Capture {
                catalogue: loaded.config.catalogue(),
                rules: loaded.config.capture,
                fault: None,
            }),
            Err(faults) if is_asked_for => Err(Failure::Usage(faults.to_string()).into()),
            Err(faults) => Ok(Capture {
                fault: Some(format!(
                    "what is printed is sorted by the default rules: {faults}"
                )),
                ..Capture::default()
            }),
        }
    }
}
