//! `taffrail serve`: a server until Ctrl-C or SIGTERM.
use crate::failure::Failure;
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use std::{io::IsTerminal, path::PathBuf};
use taffrail_server::{
    Server, ServerOptions,
    config::{Config, Sources, load},
    serve,
};
use tracing_subscriber::EnvFilter;

const EXAMPLES: &str = "\
Examples:
  taffrail serve --data-dir /var/lib/taffrail
  taffrail serve --config /etc/taffrail/mine.yaml --listen 0.0.0.0:4600
  taffrail serve --data-dir DIR --listen 127.0.0.1:0 --port-file FILE
";

/// What is said on stderr when TAFFRAIL_LOG does not choose.
const DEFAULT_LOG: &str = "warn";

/// Arguments of `serve`.
#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub struct ServeArguments {
    /// Where everything is kept; made if it is not there [default: ~/.taffrail/data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address and port; port 0 takes a free one [default: 127.0.0.1:4600]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Write the address to this file once the server is ready
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// Configuration file, read after those in the usual places
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Key that protects the data keys [default: ~/.taffrail/keys/<id of the data>.key]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Whether records are encrypted on disk [default: on]
    #[arg(long, value_enum)]
    encryption: Option<Encryption>,
}

/// Encryption on disk.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Encryption {
    /// Encrypted and authenticated
    On,
    /// Authenticated only: corruption is still detected
    Off,
}

/// Runs the command; `arenas` is what became of those of the allocator.
pub async fn run(arguments: ServeArguments, arenas: Result<()>) -> Result<()> {
    let config = configuration(&sources(&arguments))?;
    start_log();
    if let Err(reason) = arenas {
        tracing::warn!("{reason:#}");
    }
    let ready = |server: &Server| {
        eprintln!("taffrail: listening on http://{}", server.address());
    };
    let options = ServerOptions {
        config,
        port_file: arguments.port_file,
        ..ServerOptions::default()
    };
    serve(options, ready).await.context("the server failed")
}

fn sources(arguments: &ServeArguments) -> Sources {
    let mut sources = Sources::standard();
    if let Some(encryption) = arguments.encryption {
        let name = "TAFFRAIL_ENCRYPTION";
        let value = match encryption {
            Encryption::On => "on",
            Encryption::Off => "off",
        };
        // A flag wins over the variable, which is the layer below.
        sources.environment.retain(|(have, _)| have != name);
        sources.environment.push((name.into(), value.into()));
    }
    Sources {
        config_file: arguments.config.clone(),
        listen: arguments.listen.clone(),
        data_dir: arguments.data_dir.clone(),
        key_file: arguments.key_file.clone(),
        ..sources
    }
}

/// The configuration, with what is noteworthy said on stderr; a fault is wrong usage.
pub fn configuration(sources: &Sources) -> Result<Config> {
    let loaded = load(sources).map_err(|faults| Failure::Usage(faults.to_string()))?;
    for note in &loaded.notes {
        eprintln!("taffrail: {note}");
    }
    Ok(loaded.config)
}

/// What the server has to say to its operator goes to stderr.
pub fn start_log() {
    let filter = EnvFilter::try_from_env("TAFFRAIL_LOG");
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        serve: ServeArguments,
    }

    #[test]
    fn flags_win_over_the_environment() {
        let words = ["serve", "--encryption", "off", "--listen", "127.0.0.1:0"];
        let command_line = CommandLine::parse_from(words);
        let sources = sources(&command_line.serve);
        let encryption: Vec<_> = sources
            .environment
            .iter()
            .filter(|(name, _)| name == "TAFFRAIL_ENCRYPTION")
            .collect();
        assert_eq!(encryption, [&("TAFFRAIL_ENCRYPTION".into(), "off".into())]);
        assert_eq!(sources.listen.as_deref(), Some("127.0.0.1:0"));
        assert!(!configuration(&sources).unwrap().encryption);
    }

    #[test]
    fn a_faulty_configuration_is_wrong_usage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.yaml");
        std::fs::write(&path, "listne: 1\n").unwrap();
        let sources = Sources {
            config_file: Some(path),
            ..Sources::default()
        };
        let error = configuration(&sources).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(Failure::Usage(_))));
        assert!(error.to_string().contains("listen"), "{error}");
    }
}
