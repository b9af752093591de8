//! Start, connections and stop.
//!
//! Invariants
//! - The port file appears, whole, when the server answers.
//! - A stop takes no new connection, answers what is in flight, and ends within [`STOP_MAX`].
//! - Connections, headers and pauses are bounded: a client that sends nothing holds nothing for
//!   long, and neither does one that takes nothing ([`crate::stall`]).
use crate::{
    answers::{ANSWER_HELD_MIN, CutMark},
    config::Config,
    http,
    live::{TAILS_MAX, is_true},
    request_log::ClientAddress,
    stall::{ANSWER_STALL_MAX, Impatient, LiveTailResponse, Sending},
    state::App,
};
use axum::{Router, body::Body, extract::Request, http::StatusCode};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    future::Future,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};
use taffrail_engine::{
    Engine,
    events::OwnEvent,
    meta::{Meta, MetaError},
    options::OpenError,
};
use taffrail_model::level::Level;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use tower::ServiceExt;

/// How long a stop may take.
pub const STOP_MAX: Duration = Duration::from_secs(10);
/// Of that, how long requests in flight may take.
const DRAIN_MAX: Duration = Duration::from_secs(6);
/// Of that, how long the engine may take: changes of the metadata that have begun, and the store. The
/// store is closed last: if the rest takes longer, the next start recovers it.
const CLOSE_MAX: Duration = Duration::from_millis(3_500);
/// How long the head of a request may take, and a connection may rest between two.
const HEAD_MAX: Duration = Duration::from_secs(60);
/// Connections at once; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 4_096;
/// How long a pause is after the system has no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The engine.
    #[error("cannot open the engine")]
    Engine(#[from] OpenError),
    /// The first admin.
    #[error("cannot make the first admin")]
    FirstAdmin(#[source] MetaError),
    /// The address.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The port file.
    #[error("cannot write the port file {path:?}")]
    PortFile {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store, at the end.
    #[error("cannot put the store in order")]
    Close(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The signals of the process.
    #[error("cannot wait for signals")]
    Signal(#[source] io::Error),
}

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The configuration.
    pub config: Config,
    /// File that gets the bound address once the server answers.
    pub port_file: Option<PathBuf>,
    /// How long a client may take nothing of an answer: [`ANSWER_STALL_MAX`], in tests less.
    pub answer_stall_max: Duration,
    /// How long an answer stays, whoever needs its room: [`ANSWER_HELD_MIN`], in tests other times.
    pub answer_held_min: Duration,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            config: Config::default(),
            port_file: None,
            answer_stall_max: ANSWER_STALL_MAX,
            answer_held_min: ANSWER_HELD_MIN,
        }
    }
}

/// A server that answers.
pub struct Server {
    address: SocketAddr,
    app: App,
    engine: Engine,
    accepting: JoinHandle<()>,
    stopping: watch::Sender<bool>,
    connections: Arc<Semaphore>,
    port_file: Option<PathBuf>,
}

impl Server {
    /// Opens the engine, makes the first admin if the configuration names one and there is no
    /// account yet, and starts to answer requests.
    ///
    /// # Errors
    /// [`ServeError`] says which step failed.
    pub async fn start(options: ServerOptions) -> Result<Server, ServeError> {
        let engine = Engine::open(options.config.engine_options()).await?;
        let started = async {
            make_first_admin(&engine, &options.config).await?;
            Server::over(engine.clone(), options).await
        };
        match started.await {
            Ok(server) => Ok(server),
            Err(fault) => {
                // The first fault is the one to tell; the store recovers from whatever this leaves.
                drop(engine.close().await);
                Err(fault)
            }
        }
    }

    /// Starts to answer requests over an engine that is open.
    ///
    /// # Errors
    /// [`ServeError::Listen`], [`ServeError::PortFile`].
    pub async fn over(engine: Engine, options: ServerOptions) -> Result<Server, ServeError> {
        let config = &options.config;
        let fault = |source| ServeError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        let bootstrap_key = config.bootstrap_key.as_ref().map(|key| key.0.clone());
        let (router, app) = http::router(
            engine.clone(),
            bootstrap_key,
            config.metrics_are_public,
            options.answer_held_min,
        );
        let stopping = watch::Sender::new(false);
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let server = Service {
            router,
            app: app.clone(),
            stall_max: options.answer_stall_max,
            stopping: stopping.subscribe(),
        };
        let accepting = tokio::spawn(accept(listener, server, connections.clone()));
        if let Some(path) = &options.port_file {
            write_port_file(path, address).map_err(|source| ServeError::PortFile {
                path: path.clone(),
                source,
            })?;
        }
        engine.record_own_event(
            OwnEvent::new("system.application", Level::Info, "server started")
                .with("listen", address.to_string())
                .with("version", env!("CARGO_PKG_VERSION")),
        );
        Ok(Server {
            address,
            app,
            engine,
            accepting,
            stopping,
            connections,
            port_file: options.port_file,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The engine behind it.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Stops: takes nothing more in, answers what is in flight, ends the tails, closes the engine.
    /// Takes [`STOP_MAX`] at the most.
    ///
    /// # Errors
    /// [`ServeError::Close`] if the store could not be put in order; what was acknowledged is
    /// durable all the same.
    pub async fn stop(self) -> Result<(), ServeError> {
        let engine = self.engine.clone();
        self.app
            .record("system.application", Level::Info, "server stops");
        self.app.stop();
        self.stopping.send_replace(true);
        if let Some(path) = &self.port_file {
            // Nobody should find a port where nobody listens; if it is gone, so much the better.
            drop(std::fs::remove_file(path));
        }
        let drained = async {
            // The listener is closed when this has ended.
            drop(self.accepting.await);
            let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
            drop(self.connections.acquire_many(all).await);
            let all = u32::try_from(TAILS_MAX).unwrap_or(u32::MAX);
            drop(self.app.tails.acquire_many(all).await);
        };
        if tokio::time::timeout(DRAIN_MAX, drained).await.is_err() {
            tracing::warn!("requests were still in flight at the end of the stop");
            let event = OwnEvent::new(
                "system.application",
                Level::Warn,
                "requests were still in flight at the end of the stop",
            );
            engine.record_own_event(event);
        }
        match tokio::time::timeout(CLOSE_MAX, engine.close()).await {
            Ok(closed) => closed.map_err(|fault| ServeError::Close(fault.into())),
            Err(_) => {
                // What was acknowledged is on disk; the next start recovers the rest.
                tracing::warn!("the engine was not closed in time");
                Ok(())
            }
        }
    }
}

/// Runs a server until SIGTERM or SIGINT; `ready` is told when it answers.
///
/// # Errors
/// [`ServeError`] if it does not start or stop.
pub async fn serve(options: ServerOptions, ready: impl FnOnce(&Server)) -> Result<(), ServeError> {
    // Before anything that takes time: a signal during the start must not be lost.
    let signal = stop_signal().map_err(ServeError::Signal)?;
    let server = Server::start(options).await?;
    ready(&server);
    signal.await;
    server.stop().await
}

/// Makes the admin of `TAFFRAIL_ADMIN_USER` if there is no account yet.
///
/// # Errors
/// [`ServeError::FirstAdmin`] if name or password cannot be used.
async fn make_first_admin(engine: &Engine, config: &Config) -> Result<bool, ServeError> {
    let Some(admin) = &config.first_admin else {
        return Ok(false);
    };
    let made = engine
        .meta()
        .create_first_admin(&admin.name, &admin.password)
        .await
        .map_err(ServeError::FirstAdmin)?;
    if let Some(account) = &made {
        engine.record_own_event(
            OwnEvent::new("system.audit", Level::Info, "first admin made")
                .with("actor", "taffrail")
                .with("account", &*account.name)
                .with_number("account_id", account.id),
        );
    }
    Ok(made.is_some())
}

/// Resolves at SIGTERM or SIGINT. The handlers are there when this returns.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// What all connections are served with.
#[derive(Clone)]
struct Service {
    router: Router,
    app: App,
    stall_max: Duration,
    stopping: watch::Receiver<bool>,
}

async fn accept(listener: TcpListener, mut service: Service, connections: Arc<Semaphore>) {
    loop {
        let accepted = async {
            let permit = connections.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = is_true(&mut service.stopping) => return,
        };
        match (permit, accepted) {
            (Ok(permit), Ok((stream, peer))) => {
                let connection = connect(stream, peer, service.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            (Err(_), _) => return,
            (_, Err(fault)) => {
                tracing::warn!(%fault, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connect(stream: TcpStream, peer: SocketAddr, service: Service) {
    let Service {
        router,
        app,
        stall_max,
        mut stopping,
    } = service;
    // Answers and tail messages are small and should leave at once; if it cannot be set they
    // leave a little later.
    drop(stream.set_nodelay(true));
    let sending = Arc::new(Sending::default());
    let stream = Impatient::new(
        stream,
        sending.clone(),
        stall_max,
        app.connections_cut.clone(),
    );
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ClientAddress(peer.ip()));
        let (router, sending) = (router.clone(), sending.clone());
        async move {
            let answered: Result<_, Infallible> = router.oneshot(request).await;
            if let Ok(response) = &answered {
                let is_tail = response.status() == StatusCode::SWITCHING_PROTOCOLS
                    || response.extensions().get::<LiveTailResponse>().is_some();
                sending.begin(is_tail, response.extensions().get::<CutMark>());
            }
            answered
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = is_true(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(fault) = outcome {
        tracing::debug!(%fault, %peer, "connection ended");
    }
}

/// The file appears with its whole content.
fn write_port_file(path: &Path, address: SocketAddr) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let unfinished = path.with_file_name(name);
    let mut file = std::fs::File::create(&unfinished)?;
    writeln!(file, "{address}")?;
    drop(file);
    std::fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_file_is_written_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("port");
        std::fs::write(&path, "old").unwrap();
        write_port_file(&path, "127.0.0.1:4600".parse().unwrap()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "127.0.0.1:4600\n");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
