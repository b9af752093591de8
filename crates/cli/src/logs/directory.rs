//! `taffrail logs --data-dir DIR`: reads a data directory that no server works on.
//!
//! The command starts a server of its own on a free loopback port, with a random key that lives as
//! long as the command, so that there is one way to read. Recovery runs as at any start; the lock
//! of the directory keeps a second server out.
use crate::{client::ServerOptions as ClientOptions, failure::Failure, serve::configuration};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use ring::rand::{SecureRandom, SystemRandom};
use std::path::PathBuf;
use taffrail_server::{Server, ServerOptions, config::Sources};

const BOOTSTRAP_KEY: &str = "TAFFRAIL_BOOTSTRAP_KEY";

/// Which directory is read instead of a server.
#[derive(Args, Clone, Debug, Default)]
pub struct DirectoryOptions {
    /// Read this data directory, on which no server may be running
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Its key file [default: ~/.taffrail/keys/<id of the data>.key]
    #[arg(long, value_name = "FILE", requires = "data_dir")]
    key_file: Option<PathBuf>,
    /// Configuration of its server, which defines its own streams
    #[arg(long, value_name = "FILE", requires = "data_dir")]
    config: Option<PathBuf>,
}

/// A server that runs for one command.
pub struct OwnServer {
    server: Server,
    key: String,
}

impl DirectoryOptions {
    /// Starts a server on the directory, if one is named.
    pub async fn serve(self) -> Result<Option<OwnServer>> {
        let Some(directory) = self.data_dir else {
            return Ok(None);
        };
        if !directory.join("store").is_dir() {
            let reason = format!("{} is no data directory", directory.display());
            return Err(Failure::Usage(reason).into());
        }
        let mut secret = [0; 32];
        let random = SystemRandom::new().fill(&mut secret);
        random.map_err(|_| anyhow!("the system gives no random numbers"))?;
        let key: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut sources = Sources::standard();
        sources
            .environment
            .retain(|(name, _)| name != BOOTSTRAP_KEY);
        sources
            .environment
            .push((BOOTSTRAP_KEY.into(), key.clone()));
        let config = configuration(&Sources {
            listen: Some("127.0.0.1:0".into()),
            data_dir: Some(directory.clone()),
            key_file: self.key_file,
            config_file: self.config,
            ..sources
        })?;
        let options = ServerOptions {
            config,
            ..ServerOptions::default()
        };
        let server = Server::start(options)
            .await
            .with_context(|| format!("opening {}", directory.display()))?;
        Ok(Some(OwnServer { server, key }))
    }
}

impl OwnServer {
    /// How a client reaches it.
    pub fn client_options(&self) -> ClientOptions {
        ClientOptions {
            server: format!("http://{}", self.server.address()),
            token_file: None,
            own_token: Some(self.key.clone()),
        }
    }

    /// Ends it.
    pub async fn stop(self) -> Result<()> {
        self.server
            .stop()
            .await
            .context("closing the data directory")
    }
}
