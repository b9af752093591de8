//! The server that is measured: this program in a process of its own, as a user would run it, with
//! encryption and the default redaction.
use super::process::{self, Cpu};
use crate::client::prepare_tls;
use anyhow::{Context, Result, anyhow, bail};
use parking_lot::Mutex;
use reqwest::blocking::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Streams of the configuration: that of the machine logs, that of the agents, and one more for
/// filling tails.
pub const STREAMS: [&str; 3] = ["machine", "agents", "spare"];
/// Longer than anything takes that is measured.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a start may take: it replays the log.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a clean end may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);
/// How often it is looked whether something has happened. Short where it is measured.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How often it is looked whether work in the background has ended.
const SETTLE_EVERY: Duration = Duration::from_millis(500);
/// Looks in a row that must find nothing done.
const SETTLED_LOOKS: u32 = 3;
/// Processor time that an idle server may use between two looks.
const IDLE: Duration = Duration::from_millis(20);
/// Bytes of the server's log that are shown when it ends by itself.
const LOG_SHOWN_BYTES: usize = 4_000;

/// Folder of one data set, and the server process that runs there, if one does.
#[derive(Clone)]
pub struct Ground {
    folder: Arc<PathBuf>,
    child: Arc<Mutex<Option<Child>>>,
    /// Whether no server may be started any more.
    is_over: Arc<AtomicBool>,
    key: Arc<str>,
}

impl Ground {
    /// Prepares a folder, which must be there.
    pub fn new(folder: PathBuf, key: &str) -> Result<Ground> {
        // For ever: the times of the records may be any.
        let streams = STREAMS.map(|name| format!("  {name}: {{retention_days: forever}}\n"));
        let config = format!("streams:\n{}", streams.concat());
        let path = folder.join("config.yaml");
        std::fs::write(&path, config).with_context(|| format!("writing {}", path.display()))?;
        Ok(Ground {
            folder: Arc::new(folder),
            child: Arc::default(),
            is_over: Arc::default(),
            key: key.into(),
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes the folder.
    pub fn remove(&self) -> Result<()> {
        let folder = self.folder();
        std::fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))
    }

    /// Where the server keeps everything.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Its key.
    pub fn key_file(&self) -> PathBuf {
        self.folder.join("main.key")
    }

    /// Ends the server at once, if it runs, and lets none start any more.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.kill();
    }

    /// Ends the server at once, if it runs.
    fn kill(&self) {
        if let Some(mut child) = self.child.lock().take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn command(&self, port_file: &Path) -> Result<Command> {
        let program = std::env::current_exe().context("finding this program")?;
        let log = self.folder.join("server.log");
        let log = File::options()
            .create(true)
            .append(true)
            .open(log)
            .context("server.log")?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(self.data());
        command.arg("--key-file").arg(self.key_file());
        command.arg("--config").arg(self.folder.join("config.yaml"));
        command.arg("--port-file").arg(port_file);
        // Nothing of whoever runs this but how much is logged.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("TAFFRAIL_") && text != "TAFFRAIL_LOG" {
                command.env_remove(&name);
            }
        }
        command
            .env("HOME", self.folder.as_path())
            .env("TAFFRAIL_BOOTSTRAP_KEY", &*self.key);
        command
            .current_dir(self.folder.as_path())
            .stdin(Stdio::null());
        command
            .stdout(log.try_clone().context("server.log")?)
            .stderr(log);
        Ok(command)
    }

    /// Starts the server and waits until it answers a search.
    pub fn start(&self) -> Result<Server> {
        let port_file = self.folder.join("port");
        if port_file.exists() {
            std::fs::remove_file(&port_file).context("removing the port file")?;
        }
        let mut command = self.command(&port_file)?;
        let begun = Instant::now();
        let pid = self.spawn(&mut command)?;
        let address = loop {
            if let Ok(address) = std::fs::read_to_string(&port_file)
                && !address.is_empty()
            {
                break address.trim().to_string();
            }
            self.check_runs()?;
            if begun.elapsed() > START_TIMEOUT {
                bail!("the server does not start");
            }
            std::thread::sleep(LOOK_EVERY);
        };
        let mut server = Server {
            http: http_client()?,
            url: format!("http://{address}"),
            key: self.key.clone(),
            pid,
            ground: self.clone(),
            ready: Duration::ZERO,
        };
        let question = json!({"query": "", "streams": STREAMS, "limit": 1, "count": false});
        server.ask("/api/v1/search", &question)?.data()?;
        server.ready = begun.elapsed();
        Ok(server)
    }

    /// Starts a process; nobody can end it for ever between the look and the start.
    fn spawn(&self, command: &mut Command) -> Result<Pid> {
        let mut child = self.child.lock();
        if self.is_over.load(Ordering::Relaxed) {
            bail!("the server was ended");
        }
        let started = command.spawn().context("starting the server")?;
        let pid = Pid::from_child(&started);
        *child = Some(started);
        Ok(pid)
    }

    fn check_runs(&self) -> Result<()> {
        let mut child = self.child.lock();
        let ended = match child.as_mut() {
            Some(child) => child.try_wait().context("looking at the server")?,
            None => bail!("the server was ended"),
        };
        let Some(status) = ended else { return Ok(()) };
        let log = std::fs::read(self.folder.join("server.log")).unwrap_or_default();
        let shown = &log[log.len().saturating_sub(LOG_SHOWN_BYTES)..];
        bail!(
            "the server ended ({status}):\n{}",
            String::from_utf8_lossy(shown)
        )
    }
}

/// A client of the server; each has a connection of its own.
pub fn http_client() -> Result<Client> {
    prepare_tls();
    let client = Client::builder()
        .timeout(ANSWER_TIMEOUT)
        .pool_max_idle_per_host(1)
        .build();
    client.context("preparing the HTTP client")
}

/// A running server.
pub struct Server {
    http: Client,
    url: String,
    key: Arc<str>,
    pid: Pid,
    ground: Ground,
    /// From its start until it answered a search.
    pub ready: Duration,
}

/// An answer, fully read.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// What a success says.
    pub fn data(&self) -> Result<Value> {
        let mut value: Value = serde_json::from_slice(&self.body).context("reading an answer")?;
        match self.status {
            200 => Ok(value["data"].take()),
            status => Err(anyhow!("the server answered {status}: {value}")),
        }
    }
}

impl Server {
    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key of its admin.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Posts a question and reads the answer.
    pub fn ask(&self, path: &str, question: &Value) -> Result<Answer> {
        let request = self.http.post(format!("{}{path}", self.url));
        let response = request
            .bearer_auth(&self.key)
            .json(question)
            .send()
            .context("asking")?;
        Ok(Answer {
            status: response.status().as_u16(),
            body: response.bytes().context("reading an answer")?.to_vec(),
        })
    }

    /// How many records of all streams there are.
    pub fn total(&self) -> Result<u64> {
        let question = json!({"query": "", "streams": STREAMS, "limit": 0, "count": true});
        let data = self.ask("/api/v1/search", &question)?.data()?;
        data["total"].as_u64().context("an answer without a total")
    }

    /// One of its measures.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let request = self
            .http
            .get(format!("{}/metrics", self.url))
            .bearer_auth(&self.key);
        let text = request
            .send()
            .and_then(|response| response.text())
            .context("asking")?;
        let mut lines = text
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = lines
            .next()
            .with_context(|| format!("no measure is named {name}"))?;
        value.parse().with_context(|| format!("reading {name}"))
    }

    /// Processor time that it has used.
    pub fn cpu(&self) -> Result<Cpu> {
        process::cpu(self.pid)
    }

    /// The same once nothing is done in the background any more.
    pub fn settled_cpu(&self) -> Result<Cpu> {
        let state =
            || Ok::<_, anyhow::Error>((self.cpu()?, self.metric("taffrail_store_flushes_total")?));
        let mut before = state()?;
        let mut looks = 0;
        while looks < SETTLED_LOOKS {
            std::thread::sleep(SETTLE_EVERY);
            let now = state()?;
            let is_idle =
                now.0.total().saturating_sub(before.0.total()) <= IDLE && now.1 == before.1;
            looks = if is_idle { looks + 1 } else { 0 };
            before = now;
        }
        Ok(before.0)
    }

    /// The most memory that it has had, in bytes.
    pub fn peak_bytes(&self) -> Result<u64> {
        process::peak_bytes(self.pid)
    }

    /// Ends it as an operator would.
    pub fn stop(self) -> Result<()> {
        // One that has ended is noticed below.
        let _ = kill_process(self.pid, Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < STOP_TIMEOUT {
            let mut child = self.ground.child.lock();
            let Some(running) = child.as_mut() else {
                bail!("the server was ended")
            };
            if let Some(status) = running.try_wait().context("waiting for the server")? {
                *child = None;
                drop(child);
                return match status.success() {
                    true => Ok(()),
                    false => Err(anyhow!("the server ended with {status}")),
                };
            }
            drop(child);
            std::thread::sleep(LOOK_EVERY);
        }
        self.ground.kill();
        bail!("the server does not end")
    }

    /// Ends it as a crash would.
    pub fn kill(self) {
        self.ground.kill();
    }
}
