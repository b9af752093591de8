//! `taffrail demo`: a server on the logs of this machine, with commands to paste.
//!
//! It is the server that `serve` runs and the shipping that `ship` does, in one process and one
//! folder. Nothing of it is simulated: the records are the machine's own, and those of a real MCP
//! server that a real client uses ([`live`]).
mod folder;
mod live;
mod machine_logs;

use crate::{
    client::{Client, ServerOptions as ClientOptions},
    serve::{configuration, start_log},
    ship::{ShipperOptions, Shipping},
    shown::shown,
};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use folder::DemoFolder;
use live::{LiveCalls, Place};
use std::{
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use taffrail_engine::{
    Engine,
    meta::{Meta, NewKey},
};
use taffrail_model::access::Scope;
use taffrail_server::{
    Server, ServerOptions,
    config::{Config, Sources},
};
use tokio::signal::unix::{SignalKind, signal};

const EXAMPLES: &str = "\
Examples:
  taffrail demo
  taffrail demo --data-dir /tmp/taffrail-demo --listen 127.0.0.1:4700
";

/// Name of the first account.
const ADMIN: &str = "admin";
/// Stream of the machine's logs, which the demonstration's configuration defines.
const STREAM: &str = "machine";

/// Arguments of `demo`.
#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub struct DemoArguments {
    /// Folder of the demonstration; made if it is not there [default: ~/.taffrail/demo]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address and port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4600")]
    listen: SocketAddr,
    /// Folder of an MCP server and a client, to show live calls; `make run` installs and names one
    #[arg(long, value_name = "DIR")]
    mcp: Option<PathBuf>,
}

/// Runs the command.
pub async fn run(arguments: DemoArguments) -> Result<()> {
    let home = home()?;
    let root = arguments.data_dir;
    let folder = DemoFolder::open(root.unwrap_or_else(|| home.join(".taffrail/demo")))?;
    if is_running(&folder, arguments.listen).await? {
        eprintln!("taffrail: the demonstration is running already\n");
        eprintln!("{}", welcome(arguments.listen, None));
        eprint!("{}", what_next(&folder, arguments.listen));
        return Ok(());
    }
    start_log();
    let stop = stop_signal()?;
    let first_password = folder.first_password()?;
    let config = config(&folder, arguments.listen, first_password.as_deref())?;
    let options = ServerOptions {
        config,
        ..ServerOptions::default()
    };
    let server = Server::start(options)
        .await
        .context("the demonstration did not start")?;
    let mcp = arguments.mcp.as_deref();
    let outcome = run_server(&folder, &home, &server, first_password, mcp, stop).await;
    server.stop().await.context("stopping the server")?;
    outcome
}

/// Everything between start and stop of the server.
async fn run_server(
    folder: &DemoFolder,
    home: &Path,
    server: &Server,
    first_password: Option<String>,
    mcp: Option<&Path>,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let token = keep_token(folder, server.engine()).await?;
    let address = server.address();
    eprintln!("{}", welcome(address, first_password.as_deref()));
    if first_password.is_some() {
        folder.forget_first_password()?;
    }
    let shipping = ship_machine_logs(folder, home, address, token).await?;
    let mut calls = start_calls(folder, server, mcp).await;
    eprint!("{}", what_next(folder, address));
    let mut stop = std::pin::pin!(stop);
    if let Some(running) = &mut calls {
        tokio::select! {
            () = &mut stop => {}
            why = running.ended() => {
                let why = shown(&why);
                eprintln!("taffrail: the MCP client has ended, no more calls are made: {why}");
                calls = None;
                stop.await;
            }
        }
    } else {
        stop.await;
    }
    eprintln!("\ntaffrail: stopping; what was acknowledged is kept");
    if let Some(calls) = calls {
        calls.stop().await;
    }
    if let Some(shipping) = shipping {
        shipping.stop().await;
    }
    Ok(())
}

/// Starts the live calls; what keeps them from it is said and keeps nothing else.
async fn start_calls(
    folder: &DemoFolder,
    server: &Server,
    packages: Option<&Path>,
) -> Option<LiveCalls> {
    let start = async {
        let client = own_client(folder, server.address())?;
        let place = Place {
            folder,
            packages,
            address: server.address(),
            client: &client,
            engine: server.engine(),
        };
        LiveCalls::start(&place).await
    };
    match start.await {
        Ok(calls) => {
            let instance = live::SERVER;
            eprintln!(
                "An MCP server runs as the instance `{instance}`, with calls all the time.\n"
            );
            Some(calls)
        }
        Err(error) => {
            eprintln!("No live calls: {}.\n", shown(&format!("{error:#}")));
            None
        }
    }
}

/// What is said first: where to look, and as whom.
fn welcome(address: SocketAddr, first_password: Option<&str>) -> String {
    match first_password {
        Some(password) => format!(
            "Open http://{address} and log in\n\n  as    {ADMIN}\n  with  {password}   (shown this once)\n"
        ),
        None => format!(
            "Open http://{address} and log in as {ADMIN}, with the password of the first start\n"
        ),
    }
}

/// Ships the machine's logs as `taffrail ship` would, on a thread of its own; `None` if there are
/// none that we may read.
async fn ship_machine_logs(
    folder: &DemoFolder,
    home: &Path,
    server: SocketAddr,
    token: String,
) -> Result<Option<Shipping>> {
    let files = machine_logs::find(home);
    let patterns = machine_logs::patterns(home, &files);
    if files.is_empty() {
        eprintln!("No log files of this machine are readable.\n");
        return Ok(None);
    }
    let count = files.len();
    eprintln!("Reading {count} log files of this machine into the stream `{STREAM}`.\n");
    let options = ShipperOptions::new(STREAM, folder.ship(), patterns);
    let start = move || {
        let say = |text: &str| eprintln!("taffrail: {}", shown(text));
        Shipping::start(options, &format!("http://{server}"), Some(token), say)
    };
    let started = tokio::task::spawn_blocking(start).await;
    started
        .context("starting to read the machine's logs")?
        .map(Some)
}

fn home() -> Result<PathBuf> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    home.map(PathBuf::from)
        .ok_or_else(|| anyhow!("HOME is not set: name a folder with --data-dir"))
}

/// Whether a demonstration of this folder answers at the address already.
async fn is_running(folder: &DemoFolder, listen: SocketAddr) -> Result<bool> {
    if folder.read_token()?.is_none() || listen.port() == 0 {
        return Ok(false);
    }
    let client = own_client(folder, listen)?;
    // Nobody there, or somebody who does not know our key: starting will say what is wrong.
    let streams: Result<serde_json::Value> = client.get("/api/v1/streams", &[]).await;
    Ok(streams.is_ok())
}

/// The demonstration's server, with the API key of the pasted commands.
fn own_client(folder: &DemoFolder, address: SocketAddr) -> Result<Client> {
    Client::new(&ClientOptions {
        server: format!("http://{address}"),
        token_file: Some(folder.token()),
        own_token: None,
    })
}

/// The demonstration's own configuration alone: what the user has configured for a real server
/// is no part of it.
fn config(folder: &DemoFolder, listen: SocketAddr, password: Option<&str>) -> Result<Config> {
    let variable = |name: &str, value: &str| (name.to_string(), value.to_string());
    let environment = match password {
        Some(password) => vec![
            variable("TAFFRAIL_ADMIN_USER", ADMIN),
            variable("TAFFRAIL_ADMIN_PASSWORD", password),
        ],
        None => Vec::new(),
    };
    configuration(&Sources {
        config_file: Some(folder.config()),
        environment,
        listen: Some(listen.to_string()),
        data_dir: Some(folder.data()),
        ..Sources::default()
    })
}

/// Sees to the API key of the pasted commands: the one of an earlier run if it still holds, or a new one.
async fn keep_token(folder: &DemoFolder, engine: &Engine) -> Result<String> {
    let meta = engine.meta();
    if let Some(token) = folder.read_token()?
        && meta.find_key(&token).await?.is_some()
    {
        return Ok(token);
    }
    let accounts = meta.accounts(0, 1_000).await?;
    let admin = accounts
        .iter()
        .find(|account| &*account.name == ADMIN)
        .with_context(|| format!("the account {ADMIN} is gone: name another --data-dir"))?;
    let made = meta
        .create_key(NewKey {
            account: admin.id,
            name: "demonstration".into(),
            scope: Scope::Full,
            expires: None,
        })
        .await?;
    folder.write_token(&made.secret)?;
    Ok(made.secret)
}

/// Commands that work when pasted, with the program as it can be called here.
fn what_next(folder: &DemoFolder, address: SocketAddr) -> String {
    let token = quoted(&folder.token());
    let curl = quoted(&folder.curl());
    let alias = match program_elsewhere() {
        Some(program) => format!("  alias taffrail={}\n", quoted(&program)),
        None => String::new(),
    };
    let calls = match folder.read_instance_token(live::SERVER) {
        // There are none, and never were.
        Ok(None) | Err(_) => String::new(),
        Ok(Some(_)) => what_next_of_calls(&curl, address),
    };
    format!(
        "\
In another terminal:

{alias}  export TAFFRAIL_URL=http://{address} TAFFRAIL_TOKEN_FILE={token}

  taffrail logs search --since all --stream {STREAM} 'install OR upgrade'
  taffrail logs search --since all --stream {STREAM} --count
  taffrail logs search --stream 'system.*'
  taffrail logs tail

{calls}Records of your own:

  curl -K {curl} $TAFFRAIL_URL/api/v1/ingest/app.backend \\
       --data '{{\"level\":\"error\",\"message\":\"hello from curl\"}}'
  curl -K {curl} \"$TAFFRAIL_URL/api/v1/search?query=hello\"

Ctrl-C ends it. What was acknowledged is on disk: kill -9 loses nothing.
"
    )
}

/// Where the live calls are to be seen.
fn what_next_of_calls(curl: &str, address: SocketAddr) -> String {
    let instance = live::SERVER;
    format!(
        "\
The MCP server: in the web UI, its calls as they come, and its records for a program:

  http://{address}/logs?q=instance_id%3A{instance}
  taffrail logs tail 'mcp.method.name:\"tools/call\"'
  taffrail logs search --since all 'mcp.outcome:tool_error OR mcp.outcome:cancelled'
  curl -K {curl} \"$TAFFRAIL_URL/api/v1/mcps/{instance}/logs?limit=3\"

"
    )
}

/// Our own path, if `taffrail` alone would not run it.
fn program_elsewhere() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let first = in_path("taffrail").and_then(|program| program.canonicalize().ok());
    let is_first = first.is_some() && first == own.canonicalize().ok();
    (!is_first).then_some(own)
}

/// The file that a shell would run for a name.
fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(name));
    files.find(|file| file.is_file())
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Resolves with the first Ctrl-C or SIGTERM; from now on they do not end the program themselves.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_one_word() {
        assert_eq!(quoted(Path::new("/a/b-c.1")), "/a/b-c.1");
        assert_eq!(quoted(Path::new("/a b/it's")), "'/a b/it'\\''s'");
    }

    #[test]
    fn the_configuration_of_the_demonstration_is_valid() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DemoFolder::open(parent.path().join("demo")).unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let config = config(&folder, listen, Some("a password")).unwrap();
        assert_eq!(config.data_dir, folder.data());
        assert_eq!(config.streams[STREAM].retention_days, Some(3_650));
        assert_eq!(config.first_admin.unwrap().name, ADMIN);
    }

    #[test]
    fn secrets_are_in_no_argument() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DemoFolder::open(parent.path().to_path_buf()).unwrap();
        folder.write_token("tfr_secret").unwrap();
        let what_next = || what_next(&folder, "127.0.0.1:4600".parse().unwrap());
        assert!(
            !what_next().contains("/mcps/"),
            "no calls, no words of them"
        );
        folder
            .write_instance_token(live::SERVER, "tfr_secret")
            .unwrap();
        let text = what_next();
        assert!(text.contains("/api/v1/mcps/everything/logs"));
        assert!(!text.contains("tfr_secret"));
        assert!(text.contains("TAFFRAIL_TOKEN_FILE="));
    }
}
