//! `taffrail logs tail`: follows new records over a WebSocket and goes on after a broken
//! connection.
//!
//! Invariants
//! - Every record is printed once, in order of arrival, over reconnects too: the server's last
//!   cursor says where to go on, and the ids printed since that cursor are not printed again.
//! - What the server had to drop for us is said on stderr.
use super::{
    filter::{MatchOptions, SentQuery},
    format::{FormatOptions, Printer},
};
use crate::{
    client::{Client, ServerOptions},
    failure::Failure,
    record::Record,
    shown::shown,
};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use futures_util::StreamExt;
use reqwest::Url;
use serde::Deserialize;
use std::{collections::HashSet, time::Duration};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Error as SocketError, Message, client::IntoClientRequest, http::HeaderValue,
        http::header::AUTHORIZATION,
    },
};

/// First pause before trying again; each one is twice the one before.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// Longest pause before trying again.
const RETRY_LONGEST: Duration = Duration::from_secs(10);
/// How long a connection may take, and how long it may be silent: the server says something every
/// second.
const SILENCE_LONGEST: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "\
Examples:
  taffrail logs tail
  taffrail logs tail 'level>=warn' --backlog 50
  taffrail logs tail --stream 'app.*' --format ndjson | jq .message
";

/// Arguments of `logs tail`.
#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub struct TailArguments {
    #[command(flatten)]
    what: MatchOptions,
    /// Begin with this many earlier records
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    backlog: u32,
    #[command(flatten)]
    form: FormatOptions,
    #[command(flatten)]
    server: ServerOptions,
}

/// What the server sends.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Kind {
    LogEntry,
    Dropped {
        count: u64,
    },
    Cursor {
        cursor: String,
    },
    Error {
        #[serde(default)]
        detail: String,
        #[serde(default)]
        status: Option<u16>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Entry {
    data: Record,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Runs the command until Ctrl-C.
pub async fn run(arguments: TailArguments) -> Result<()> {
    let query = arguments.what.query()?;
    let client = Client::new(&arguments.server)?;
    let url = tail_url(&client, &query, &arguments)?;
    let mut printer = Printer::open(&arguments.form, false)?;
    let followed = tokio::select! {
        followed = follow(&client, &query, url, &mut printer, RETRY_FIRST) => followed,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted.into()),
    };
    match followed {
        // What was printed stays valid in its format: an array is closed.
        Err(error) if matches!(error.downcast_ref(), Some(Failure::Interrupted)) => {
            printer.finish()?;
            Err(error)
        }
        other => other,
    }
}

fn tail_url(client: &Client, query: &SentQuery, arguments: &TailArguments) -> Result<Url> {
    let mut url = client.url("/ws/logs")?;
    let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
    url.set_scheme(scheme)
        .map_err(|()| anyhow!("no WebSocket address for {url}"))?;
    {
        let mut pairs = url.query_pairs_mut();
        pairs.append_pair("backlog", &arguments.backlog.to_string());
        if !query.text.is_empty() {
            pairs.append_pair("query", &query.text);
        }
        if !arguments.what.stream.is_empty() {
            pairs.append_pair("streams", &arguments.what.stream.join(","));
        }
    }
    Ok(url)
}

/// Connects again and again; ends with an error that trying again would not mend.
async fn follow(
    client: &Client,
    query: &SentQuery,
    url: Url,
    printer: &mut Printer,
    retry_first: Duration,
) -> Result<()> {
    let mut follower = Follower::default();
    let mut pause = retry_first;
    let mut was_connected = false;
    loop {
        match connect(client, query, &follower.resumed(&url)).await {
            Ok(socket) => {
                if was_connected {
                    eprintln!("taffrail: connected again");
                }
                was_connected = true;
                pause = retry_first;
                let reason = read(socket, &mut follower, printer).await?;
                eprintln!(
                    "taffrail: connection to {} lost: {}",
                    client.server(),
                    shown(&reason)
                );
            }
            Err(error) => {
                let is_away = matches!(error.downcast_ref(), Some(Failure::Unreachable { .. }));
                if !is_away || !was_connected {
                    return Err(error);
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_LONGEST);
    }
}

async fn connect(client: &Client, query: &SentQuery, url: &Url) -> Result<Socket> {
    crate::client::prepare_tls();
    let mut request = url
        .as_str()
        .into_client_request()
        .context("preparing the request")?;
    if let Some(token) = client.token() {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| anyhow!("the API key has characters that no key has"))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let unreachable = |reason: String| {
        anyhow::Error::new(Failure::Unreachable {
            server: client.server().to_string(),
            reason,
        })
    };
    let connected = tokio::time::timeout(SILENCE_LONGEST, connect_async(request)).await;
    match connected {
        Err(_) => Err(unreachable("no answer in time".into())),
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(SocketError::Http(response))) => {
            let body = response.body().as_deref().unwrap_or_default();
            let status = response.status();
            if status.as_u16() == 429 || status.is_server_error() {
                return Err(unreachable(format!("the server answered {status}")));
            }
            let error = client.refusal(status, body);
            Err(super::search::in_the_query(error, query))
        }
        Ok(Err(error)) => Err(unreachable(error.to_string())),
    }
}

/// Prints what comes until the connection is lost; returns why it was.
async fn read(
    mut socket: Socket,
    follower: &mut Follower,
    printer: &mut Printer,
) -> Result<String> {
    loop {
        // Everything that is there is printed before it is made visible.
        let waiting = tokio::time::timeout(SILENCE_LONGEST, socket.next());
        let message = match waiting.await {
            Err(_) => return Ok("it was silent".into()),
            Ok(None) => return Ok("closed by the server".into()),
            Ok(Some(Err(error))) => return Ok(error.to_string()),
            Ok(Some(Ok(message))) => message,
        };
        match message {
            Message::Text(text) => match follower.take(&text)? {
                Some(record) => {
                    printer.print(&[record], None)?;
                    printer.flush()?;
                }
                None => printer.flush()?,
            },
            Message::Close(frame) => {
                let reason = frame.map(|frame| frame.reason.to_string());
                let reason = reason.filter(|reason| !reason.is_empty());
                return Ok(reason.unwrap_or_else(|| "closed by the server".into()));
            }
            _ => {}
        }
    }
}

/// Where we are in the stream of records.
#[derive(Default)]
struct Follower {
    cursor: Option<String>,
    /// Ids printed since the cursor: a reconnect repeats them.
    since_cursor: HashSet<String>,
}

impl Follower {
    /// The address that goes on where we are.
    fn resumed(&self, url: &Url) -> Url {
        let mut url = url.clone();
        if let Some(cursor) = &self.cursor {
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            let kept = pairs.iter().filter(|(name, _)| name != "backlog");
            let mut changed = url.query_pairs_mut();
            changed
                .clear()
                .extend_pairs(kept)
                .append_pair("cursor", cursor);
        }
        url
    }

    /// Takes a message; the record to print, if it is a new one.
    fn take(&mut self, text: &str) -> Result<Option<Record>> {
        let kind: Kind = serde_json::from_str(text)
            .with_context(|| format!("unreadable message from the server: {}", shown(text)))?;
        match kind {
            Kind::LogEntry => {
                let entry: Entry = serde_json::from_str(text).context("unreadable record")?;
                let id = entry.data.get("id").map(|id| id.into_owned());
                let is_new = id.is_none_or(|id| self.since_cursor.insert(id));
                Ok(is_new.then_some(entry.data))
            }
            Kind::Dropped { count } => {
                eprintln!(
                    "taffrail: {count} records dropped, because they came faster than they were read"
                );
                Ok(None)
            }
            Kind::Cursor { cursor } => {
                self.cursor = Some(cursor);
                self.since_cursor.clear();
                Ok(None)
            }
            Kind::Error { detail, status } => match status {
                Some(401 | 403) => Err(Failure::NotAllowed(detail).into()),
                _ => Err(anyhow!(detail)),
            },
            Kind::Other => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::SinkExt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };
    use tokio_tungstenite::{
        accept_hdr_async,
        tungstenite::handshake::server::{Request, Response},
    };

    fn entry(id: &str) -> String {
        format!(r#"{{"type":"log_entry","data":{{"id":"{id}","message":"m"}}}}"#)
    }

    /// A server that accepts one connection after the other: each sends its messages and ends
    /// abruptly. After the last one it refuses. Returns the addresses asked for.
    async fn serve(listener: TcpListener, connections: Vec<Vec<String>>) -> Vec<String> {
        let mut asked = Vec::new();
        for messages in connections {
            let (stream, _) = listener.accept().await.unwrap();
            let note = |request: &Request, response: Response| {
                asked.push(request.uri().to_string());
                assert_eq!(request.headers()["authorization"], "Bearer secret");
                Ok(response)
            };
            let mut socket = accept_hdr_async(stream, note).await.unwrap();
            for text in messages {
                socket.send(Message::text(text)).await.unwrap();
            }
        }
        let (mut stream, _) = listener.accept().await.unwrap();
        let body = r#"{"status":403,"detail":"no longer"}"#;
        let refusal = format!(
            "HTTP/1.1 403 Forbidden\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut request = [0; 4_096];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(refusal.as_bytes()).await.unwrap();
        asked
    }

    #[tokio::test]
    async fn a_broken_connection_goes_on_where_it_was() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, "secret\n").unwrap();
        let server = ServerOptions {
            server: format!("http://{}", listener.local_addr().unwrap()),
            token_file: Some(token_file),
        };
        let cursor = r#"{"type":"cursor","cursor":"c1"}"#.to_string();
        let first = vec![entry("1"), cursor, entry("2")];
        let second = vec![entry("2"), entry("3")];
        let serving = tokio::spawn(serve(listener, vec![first, second]));
        let path = folder.path().join("out");
        let arguments = TailArguments {
            what: MatchOptions {
                query: vec!["a b".into()],
                stream: vec!["app.*".into()],
                ..MatchOptions::default()
            },
            backlog: 5,
            form: FormatOptions {
                format: crate::logs::format::Format::Ndjson,
                output: Some(path.clone()),
                color: crate::output::Color::Never,
                ids: false,
            },
            server,
        };
        let client = Client::new(&arguments.server).unwrap();
        let query = arguments.what.query().unwrap();
        let url = tail_url(&client, &query, &arguments).unwrap();
        let mut printer = Printer::open(&arguments.form, false).unwrap();
        let pause = Duration::from_millis(1);
        let error = follow(&client, &query, url, &mut printer, pause).await;
        let error = error.unwrap_err();
        assert!(
            matches!(error.downcast_ref(), Some(Failure::NotAllowed(_))),
            "{error:#}"
        );
        printer.finish().unwrap();
        let printed = std::fs::read_to_string(path).unwrap();
        let ids: Vec<serde_json::Value> = printed
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].clone())
            .collect();
        assert_eq!(ids, ["1", "2", "3"]);
        assert_eq!(
            serving.await.unwrap(),
            [
                "/ws/logs?backlog=5&query=a+b&streams=app.*",
                "/ws/logs?query=a+b&streams=app.*&cursor=c1",
            ]
        );
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let server = ServerOptions {
            server: format!("http://{address}"),
            token_file: None,
        };
        let client = Client::new(&server).unwrap();
        let url = Url::parse(&format!("ws://{address}/ws/logs")).unwrap();
        let query = MatchOptions::default().query().unwrap();
        let error = connect(&client, &query, &url).await.unwrap_err();
        assert!(matches!(
            error.downcast_ref(),
            Some(Failure::Unreachable { .. })
        ));
        let get: Result<serde_json::Value> = client.get("/healthz", &[]).await;
        let error = get.unwrap_err();
        assert!(matches!(
            error.downcast_ref(),
            Some(Failure::Unreachable { .. })
        ));
    }

    #[test]
    fn a_reconnect_repeats_nothing() {
        let mut follower = Follower::default();
        let url = Url::parse("ws://h/ws/logs?backlog=10&query=a+b").unwrap();
        assert_eq!(follower.resumed(&url), url);
        let mut printed = Vec::new();
        let cursor = r#"{"type":"cursor","cursor":"c1"}"#.to_string();
        let sent = [
            entry("1"),
            cursor,
            entry("2"),
            entry("3"),
            entry("2"),
            entry("4"),
        ];
        for text in &sent {
            let record = follower.take(text).unwrap();
            printed.extend(record.and_then(|r| r.get("id").map(|id| id.into_owned())));
        }
        assert_eq!(printed, ["1", "2", "3", "4"]);
        let resumed = follower.resumed(&url);
        assert_eq!(resumed.query(), Some("query=a+b&cursor=c1"));
    }

    #[test]
    fn a_cursor_forgets_the_ids_before_it() {
        let mut follower = Follower::default();
        follower.take(&entry("1")).unwrap();
        follower.take(r#"{"type":"cursor","cursor":"c1"}"#).unwrap();
        assert!(follower.since_cursor.is_empty());
    }

    #[test]
    fn errors_and_strange_messages() {
        let mut follower = Follower::default();
        let error = follower.take(r#"{"type":"error","status":403,"detail":"no more"}"#);
        let error = error.unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(Failure::NotAllowed(_))));
        assert!(follower.take(r#"{"type":"news"}"#).unwrap().is_none());
        assert!(follower.take("hello").is_err());
    }
}
