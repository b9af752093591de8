//! The rules by which what a program prints is sorted, from the configuration files.
//!
//! Invariants
//! - Only what concerns these rules is read of the files ([`config::capture`]).
//! - A fault in a file of the usual places does not keep the program from being run: the default
//!   rules hold then, which is said before the start and recorded. Only where a file was asked for
//!   with `--config` everything must be right.
//! - The record of a fault goes to a server: it has file, line and key, and no value. What is said
//!   here says more.
//!
//! [`config::capture`]: taffrail_server::config::capture
use crate::failure::Failure;
use anyhow::Result;
use std::path::PathBuf;
use taffrail_engine::pipeline::CaptureConfig;
use taffrail_model::stream::StreamCatalogue;
use taffrail_server::config::{
    ConfigFaults, Sources,
    capture::{CaptureSettings, load_capture},
};

/// How what is printed is sorted.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Rules that come before the default ones.
    pub rules: CaptureConfig,
    /// The streams that they may name.
    pub catalogue: StreamCatalogue,
    /// Why the rules of the configuration do not hold.
    pub fault: Option<CaptureFault>,
}

/// Why the rules of the configuration do not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureFault {
    /// For who runs the program.
    pub said: String,
    /// For a record.
    pub recorded: String,
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
            ..Sources::standard()
        };
        match load_capture(&sources) {
            Ok(CaptureSettings { rules, catalogue }) => Ok(Capture {
                rules,
                catalogue,
                fault: None,
            }),
            Err(faults) if is_asked_for => Err(Failure::Usage(faults.to_string()).into()),
            Err(faults) => Ok(Capture {
                fault: Some(CaptureFault::of(&faults)),
                ..Capture::default()
            }),
        }
    }
}

impl CaptureFault {
    fn of(faults: &ConfigFaults) -> CaptureFault {
        let places: Vec<String> = faults.0.iter().map(|it| it.whereabouts()).collect();
        let what = "what is printed is sorted by the default rules";
        CaptureFault {
            said: format!("{what}: {faults}"),
            recorded: format!(
                "{what}: the configuration is not valid at {}",
                places.join(", ")
            ),
        }
    }
}
