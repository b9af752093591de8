//! `taffrail run --http`: a reverse proxy before an MCP server that speaks HTTP, which records
//! what passes as `taffrail run` records what passes through pipes.
//!
//! Invariants
//! - Passing and recording share nothing but the [`tap`], which never blocks: a disk that is full
//!   or a server that is away is not felt by those who talk.
//! - One answer of the server behind is one answer to the client: no retries, no redirects
//!   followed, nothing from a store.
mod pass;
mod recorder;
mod tap;

use super::{
    recorder::{RecorderOptions, Summary},
    say,
    writer::Writer,
};
use crate::failure::Failure;
use anyhow::{Context, Result};
use clap::Args;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use pass::Gateway;
use recorder::Sink;
use reqwest::Url;
use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use taffrail_ingest::mcp::{http::Recorder, record::Record, session::Options as SessionOptions};
use taffrail_model::time::Timestamp;
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};

/// Connections of clients at once; further ones wait in the kernel's queue. Each may hold a
/// stream open for hours, and costs two descriptors.
const CONNECTIONS_MAX: usize = 1_024;
/// How long the head of a request may take, and a connection may rest between two.
const HEAD_MAX: Duration = Duration::from_secs(60);
/// How long a pause is after the system has no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// At the end: how long exchanges that are under way may take.
const DRAIN_MAX: Duration = Duration::from_secs(3);
/// At the end: how long the last records may take to be sent. They are durable before.
const SEND_MAX: Duration = Duration::from_secs(2);
/// The longest wait while records are gathered or sent.
const BUSY: Duration = Duration::from_millis(25);
/// The longest wait otherwise.
const IDLE: Duration = Duration::from_secs(1);

/// Arguments of the proxy.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Before a server that speaks HTTP")]
pub struct ProxyArguments {
    /// Address to listen at, in place of running a program
    #[arg(long, value_name = "ADDRESS", requires = "to", conflicts_with_all = ["command", "restart", "max_restarts", "memory_limit_mib", "cpu_limit_percent"])]
    pub http: Option<SocketAddr>,
    /// Address of the MCP server that requests are passed to
    #[arg(long, value_name = "URL", requires = "http")]
    to: Option<Url>,
    /// Further host name by which clients may call a loopback address; may be repeated
    #[arg(long, value_name = "NAME", requires = "http")]
    allow_host: Vec<String>,
}

impl ProxyArguments {
    /// The name of the server behind, as the default name of the service.
    pub fn host(&self) -> Option<String> {
        self.to.as_ref()?.host_str().map(str::to_string)
    }

    /// Where requests go.
    fn target(&self) -> Result<Url> {
        let is_usable = |to: &&Url| {
            let is_http = matches!(to.scheme(), "http" | "https") && to.has_host();
            is_http && to.username().is_empty() && to.password().is_none()
        };
        let text = "the address of the MCP server (--to) must be like https://example.com/mcp";
        let fault = || Failure::Usage(text.to_string());
        Ok(self
            .to
            .as_ref()
            .filter(is_usable)
            .ok_or_else(fault)?
            .clone())
    }
}

/// What the proxy does besides.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is recorded and how.
    pub recorder: RecorderOptions,
    /// Say nothing.
    pub is_quiet: bool,
    /// Say at the end how much was recorded.
    pub has_summary: bool,
}

/// Passes and records until a signal ends it.
///
/// # Errors
/// The addresses cannot be used, or recording cannot begin.
pub fn run(arguments: &ProxyArguments, listen: SocketAddr, options: &Options) -> Result<()> {
    let to = arguments.target()?;
    let (tap, tapped) = tap::tap();
    let writer = Writer::new(&options.recorder, tapped.clock().now())?;
    let mcp = session_recorder(&to, options.recorder.contents_bytes_max);
    let gateway = Gateway::new(to.clone(), listen.ip(), arguments.allow_host.clone(), tap)?;
    let recording = std::thread::Builder::new()
        .name("record".into())
        .spawn(move || recorder::run(&tapped, mcp, writer, SEND_MAX))
        .context("starting the thread that records")?;
    let is_quiet = options.is_quiet;
    let ready = |address: SocketAddr| {
        if !is_quiet {
            say(&format!("recording http://{address} before {to}"));
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting to pass requests")?;
    let served = runtime.block_on(serve(gateway, listen, ready));
    // What is not over by now ends here, and with it the last tap.
    runtime.shutdown_timeout(Duration::ZERO);
    let summary = recording.join();
    served?;
    if let Ok(summary) = summary {
        tell(options, &summary);
    }
    Ok(())
}

fn tell(options: &Options, summary: &Summary) {
    if !options.is_quiet {
        for trouble in summary.troubles() {
            say(&trouble);
        }
    }
    if options.has_summary {
        say(&summary.to_string());
    }
}

/// What makes records of exchanges with a server.
fn session_recorder(to: &Url, contents_bytes_max: usize) -> Recorder {
    let options = SessionOptions {
        contents_bytes_max,
        ..SessionOptions::default()
    };
    let host = to.host_str().unwrap_or_default();
    Recorder::new(
        options,
        host,
        to.port_or_known_default().unwrap_or_default(),
    )
}

async fn serve(gateway: Gateway, listen: SocketAddr, ready: impl FnOnce(SocketAddr)) -> Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listening at {listen}"))?;
    let mut interrupt = signal(SignalKind::interrupt()).context("taking signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("taking signals")?;
    ready(listener.local_addr().context("listening")?);
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    accept(listener, Arc::new(gateway), stop).await;
    Ok(())
}

/// Serves connections until `stop`, and then those that are under way, for a while.
async fn accept(listener: TcpListener, gateway: Arc<Gateway>, stop: impl Future<Output = ()>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (stopping, stopped) = watch::channel(false);
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            let permit = permits.clone().acquire_owned().await.ok()?;
            Some((permit, listener.accept().await))
        };
        tokio::select! {
            () = &mut stop => break,
            next = next => match next {
                Some((permit, Ok((stream, peer)))) => {
                    let gateway = gateway.clone();
                    tokio::spawn(connection(stream, peer, gateway, permit, stopped.clone()));
                }
                Some((_, Err(error))) => pause(&error).await,
                None => break,
            },
        }
    }
    drop((listener, stopped));
    // Nobody listens if there is no connection.
    let _ = stopping.send(true);
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    // Streams that stay open are broken off.
    let _ = tokio::time::timeout(DRAIN_MAX, permits.acquire_many(all)).await;
}

/// A connection that was gone before it was taken is nothing; without descriptors, some end soon.
async fn pause(error: &io::Error) {
    if error.kind() != io::ErrorKind::ConnectionAborted {
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    gateway: Arc<Gateway>,
    permit: OwnedSemaphorePermit,
    mut stopped: watch::Receiver<bool>,
) {
    // Small events must not wait for each other; where it cannot be said, they do.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| pass::serve(gateway.clone(), request, peer));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // How a connection ends is the client's to know; the exchange's end is recorded.
    let is_over = tokio::select! {
        _ = connection.as_mut() => true,
        () = until(&mut stopped) => false,
    };
    if !is_over {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
    drop(permit);
}

async fn until(stopped: &mut watch::Receiver<bool>) {
    // Whoever says it is gone: that says it too.
    let _ = stopped.wait_for(|is| *is).await;
}

impl Sink for Writer {
    type Rest = Summary;

    fn record(&mut self, stream: &str, record: Record) {
        Writer::record(self, stream, record);
    }

    fn tend(&mut self, at: Timestamp) -> Duration {
        let now = Instant::now();
        Writer::tend(self, now, at);
        let wait = if self.is_open() { BUSY } else { IDLE };
        self.buffer
            .due(now)
            .map_or(wait, |due| due.clamp(BUSY, wait.max(BUSY)))
    }

    fn finish(mut self, at: Timestamp, until: Instant) -> Summary {
        self.close(Instant::now(), at);
        let (fate, unsent_batches) = self.buffer.finish(until);
        Summary {
            fate,
            lost_bytes: [0; 3],
            unsent_batches,
        }
    }
}

#[cfg(test)]
mod tests;
