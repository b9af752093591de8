//! Live calls: a real MCP server under `taffrail run`, used by a real client, which runs under
//! `taffrail run` too.
//!
//! ```text
//! demo ── taffrail run ── client ── taffrail run ── server
//! ```
//!
//! Invariants
//! - Each process is killed by the kernel when the one before it ends, so `kill -9` of any of them
//!   leaves none behind it. SIGTERM to the first ends all in order, and the last records arrive.
//! - They are in a process group of their own: Ctrl-C is for the demonstration alone, which ends
//!   them before its server.
//! - Without Node.js, without the packages or without its instances the demonstration goes on, and
//!   one line says why no calls are to be seen.
use super::{folder::DemoFolder, in_path};
use crate::client::Client;
use anyhow::{Context, Result, bail};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::VecDeque,
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use taffrail_engine::{Engine, meta::Meta};
use taffrail_ingest::listen::process::stage;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStderr, Command},
    task::JoinHandle,
};

/// Instance and service of the server.
pub const SERVER: &str = "everything";
/// Instance and service of the client.
const CLIENT: &str = "everything-client";
/// Whom both work for.
const USER: &str = "demo";
/// The client, in the folder of the packages.
const CLIENT_FILE: &str = "client.mjs";
/// The server's program there.
const SERVER_FILE: &str = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
/// The word for which the client puts the id of its own process.
const OWN_ID_OF_CLIENT: &str = "{pid}";
/// KiB of arguments and results that are recorded: nothing in them is anybody's.
const CONTENTS_KIB: &str = "4";
/// How long the client and the server may take to end, until they are killed: the client waits two
/// seconds for a server that is at work, and two more after it has asked it.
const STOP_PATIENCE: Duration = Duration::from_secs(6);
/// Lines of stderr that are kept to say why it has ended, and bytes of each.
const SAID_LINES: usize = 3;
const SAID_LINE_BYTES_MAX: u64 = 1 << 10;

/// Where the programs are.
#[derive(Debug)]
struct Programs {
    node: PathBuf,
    client: PathBuf,
    server: PathBuf,
}

impl Programs {
    fn find(folder: Option<&Path>) -> Result<Programs> {
        let folder = folder.context("`make run` shows them, or name the folder with --mcp")?;
        let node =
            in_path("node").context("Node.js is missing: install it from https://nodejs.org")?;
        let folder = folder
            .canonicalize()
            .with_context(|| format!("looking at {}", folder.display()))?;
        let programs = Programs {
            node,
            client: folder.join(CLIENT_FILE),
            server: folder.join(SERVER_FILE),
        };
        for path in [&programs.client, &programs.server] {
            if !path.is_file() {
                bail!(
                    "{} is missing: scripts/setup.sh run installs it",
                    path.display()
                );
            }
        }
        Ok(programs)
    }
}

/// Where records go to, and what the calls run in.
pub struct Place<'a> {
    /// Secrets, and what waits to be sent.
    pub folder: &'a DemoFolder,
    /// Folder of the packages, if there is one.
    pub packages: Option<&'a Path>,
    /// Our own server.
    pub address: SocketAddr,
    /// It again, as the administrator.
    pub client: &'a Client,
    /// It again, to see which keys hold.
    pub engine: &'a Engine,
}

/// The running calls.
#[derive(Debug)]
pub struct LiveCalls {
    child: Child,
    said: JoinHandle<VecDeque<String>>,
}

impl LiveCalls {
    /// Starts them. To be called on a thread that lives as long as the demonstration: the kernel
    /// kills them when it ends.
    pub async fn start(place: &Place<'_>) -> Result<LiveCalls> {
        let programs = Programs::find(place.packages)?;
        let inner = place.run(SERVER, OWN_ID_OF_CLIENT).await?;
        let outer = place.run(CLIENT, &std::process::id().to_string()).await?;
        let mut words = outer.into_iter();
        let program = words.next().unwrap_or_default();
        let mut command = Command::new(program);
        command
            .args(words)
            .args([&programs.node, &programs.client])
            .args(inner)
            .args([&programs.node, &programs.server])
            .arg("stdio")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().context("starting the MCP client")?;
        let stderr = child.stderr.take().context("no stderr of the MCP client")?;
        let said = tokio::spawn(last_lines(stderr));
        Ok(LiveCalls { child, said })
    }

    /// Waits until they end by themselves, which they should not; why they did.
    pub async fn ended(&mut self) -> String {
        let how = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let said = (&mut self.said).await.unwrap_or_default();
        match said.is_empty() {
            true => how,
            false => format!("{how}: {}", Vec::from(said).join(" / ")),
        }
    }

    /// Ends them; their last records are with the server then.
    pub async fn stop(mut self) {
        let process = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()));
        let Some(process) = process else {
            return;
        };
        // If it ends at this moment, that is what is wanted.
        let _ = kill_process(process, Signal::TERM);
        if tokio::time::timeout(STOP_PATIENCE, self.child.wait())
            .await
            .is_err()
        {
            // The kernel kills the others with it.
            let _ = self.child.kill().await;
        }
    }
}

impl Place<'_> {
    /// The words of `taffrail run` as an instance, up to the program, ended with its parent.
    async fn run(&self, instance: &str, parent: &str) -> Result<Vec<OsString>> {
        let token = self.instance_token(instance).await?;
        let program = std::env::current_exe().context("looking for our own program")?;
        let mut words = Vec::from(stage::bound_to(&program, parent));
        let flags = [
            "run",
            "--instance",
            instance,
            "--user",
            USER,
            "--service",
            instance,
            "--restart",
            "on-failure",
            "--contents-kib",
            CONTENTS_KIB,
            "--server",
        ];
        words.push(program.into());
        words.extend(flags.map(OsString::from));
        words.push(format!("http://{}", self.address).into());
        words.extend(["--token-file".into(), token.into()]);
        words.extend(["--state".into(), self.folder.run(instance).into()]);
        words.push("--".into());
        Ok(words)
    }

    /// The file with the key of an instance, which is made if it is not there.
    async fn instance_token(&self, instance: &str) -> Result<PathBuf> {
        let meta = self.engine.meta();
        if let Some(token) = self.folder.read_instance_token(instance)?
            && meta.find_key(&token).await?.is_some()
        {
            return Ok(self.folder.instance_token(instance));
        }
        if !self.has_instance(instance).await? {
            let body = json!({ "id": instance, "service": instance, "user_id": USER });
            let made: Result<serde_json::Value> = self
                .client
                .send_json(Method::POST, "/api/v1/mcps", &body)
                .await;
            made.with_context(|| format!("making the instance {instance}"))?;
        }
        let path = format!("/api/v1/mcps/{instance}/keys");
        let body = json!({ "name": "demonstration" });
        let made: Result<MadeKey> = self.client.send_json(Method::POST, &path, &body).await;
        let made = made.with_context(|| format!("making a key of the instance {instance}"))?;
        self.folder.write_instance_token(instance, &made.secret)?;
        Ok(self.folder.instance_token(instance))
    }

    async fn has_instance(&self, instance: &str) -> Result<bool> {
        let all: Instances = self
            .client
            .get("/api/v1/mcps", &[("user_id", USER.to_string())])
            .await?;
        Ok(all.instances.iter().any(|have| have.id == instance))
    }
}

#[derive(Deserialize)]
struct Instances {
    instances: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    id: String,
}

#[derive(Deserialize)]
struct MadeKey {
    secret: String,
}

/// Reads all, so that nobody waits for us; the last lines, each up to a limit.
async fn last_lines(stderr: ChildStderr) -> VecDeque<String> {
    let mut lines = VecDeque::new();
    let mut reader = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut reader).take(SAID_LINE_BYTES_MAX);
        match limited.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return lines,
            Ok(_) => {}
        }
        if lines.len() == SAID_LINES {
            lines.pop_front();
        }
        lines.push_back(String::from_utf8_lossy(&line).trim_end().to_string());
    }
}
