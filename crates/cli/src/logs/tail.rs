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
use futures_util::{FutureExt, StreamExt};
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

/// Records that are printed before they are made visible, at the most.
const RECORDS_TOGETHER_MAX: usize = 1_000;

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
    LogEntry {
        #[serde(default)]
        cursor: Option<String>,
    },
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
        let waiting = tokio::time::timeout(SILENCE_LONGEST, socket.next());
        let mut next = match waiting.await {
            Err(_) => return Ok("it was silent".into()),
            Ok(next) => next,
        };
        // What is there already is printed together and then made visible.
        let mut records = Vec::new();
        let mut lost = None;
        loop {
            match received(next) {
                Received::Text(text) => match follower.take(&text)? {
                    Taken::Record(record) => records.push(record),
                    Taken::Nothing => {}
                    Taken::Lost(reason) => lost = Some(reason),
                },
                Received::Nothing => {}
                Received::Lost(reason) => lost = lost.or(Some(reason)),
            }
            if lost.is_some() || records.len() >= RECORDS_TOGETHER_MAX {
                break;
            }
            match socket.next().now_or_never() {
                Some(more) => next = more,
                None => break,
            }
        }
        printer.print(&records, None)?;
        printer.flush()?;
        if let Some(reason) = lost {
            return Ok(reason);
        }
    }
}

enum Received {
    Text(String),
    Nothing,
    Lost(String),
}

fn received(next: Option<Result<Message, SocketError>>) -> Received {
    match next {
        None => Received::Lost("closed by the server".into()),
        Some(Err(error)) => Received::Lost(error.to_string()),
        Some(Ok(Message::Text(text))) => Received::Text(text.to_string()),
        Some(Ok(Message::Close(frame))) => {
            let reason = frame.map(|frame| frame.reason.to_string());
            let reason = reason.filter(|reason| !reason.is_empty());
            Received::Lost(reason.unwrap_or_else(|| "closed by the server".into()))
        }
        Some(Ok(_)) => Received::Nothing,
    }
}

/// Where we are in the stream of records.
#[derive(Default)]
struct Follower {
    cursor: Option<String>,
    /// Ids printed since the cursor: a reconnect repeats them.
    since_cursor: HashSet<String>,
}

/// What a message asks us to do.
#[derive(Debug)]
enum Taken {
    Record(Record),
    Nothing,
    /// The server says why it will close the connection.
    Lost(String),
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

    fn take(&mut self, text: &str) -> Result<Taken> {
        let kind: Kind = serde_json::from_str(text)
            .with_context(|| format!("unreadable message from the server: {}", shown(text)))?;
        match kind {
            Kind::LogEntry { cursor } => {
                let entry: Entry = serde_json::from_str(text).context("unreadable record")?;
                let id = entry.data.get("id").map(|id| id.into_owned());
                let is_new = id.is_none_or(|id| self.since_cursor.insert(id));
                self.advance(cursor);
                Ok(match is_new {
                    true => Taken::Record(entry.data),
                    false => Taken::Nothing,
                })
            }
            Kind::Dropped { count } => {
                let why = "because they came faster than they were read";
                eprintln!("taffrail: {count} records dropped, {why}");
                Ok(Taken::Nothing)
            }
            Kind::Cursor { cursor } => {
                self.advance(Some(cursor));
                Ok(Taken::Nothing)
            }
            Kind::Error { detail, status } => match status {
                Some(401 | 403) => Err(Failure::NotAllowed(detail).into()),
                Some(503) => Ok(Taken::Lost(detail)),
                Some(500..) => {
                    eprintln!("taffrail: {}", shown(&detail));
                    Ok(Taken::Nothing)
                }
                _ => Err(anyhow!(detail)),
            },
            Kind::Other => Ok(Taken::Nothing),
        }
    }

    fn advance(&mut self, cursor: Option<String>) {
        if cursor.is_some() {
            self.cursor = cursor;
            self.since_cursor.clear();
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
    #[expect(
        clippy::result_large_err,
        reason = "the callback's type is tungstenite's"
    )]
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
            own_token: None,
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
            own_token: None,
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

    fn id(taken: Taken) -> Option<String> {
        match taken {
            Taken::Record(record) => record.get("id").map(|id| id.into_owned()),
            _ => None,
        }
    }

    #[test]
    fn a_reconnect_repeats_nothing() {
        let mut follower = Follower::default();
        let url = Url::parse("ws://h/ws/logs?backlog=10&query=a+b").unwrap();
        assert_eq!(follower.resumed(&url), url);
        let cursor = r#"{"type":"cursor","cursor":"c1"}"#.to_string();
        let sent = [
            entry("1"),
            cursor,
            entry("2"),
            entry("3"),
            entry("2"),
            entry("4"),
        ];
        let taken = sent.iter().map(|text| follower.take(text).unwrap());
        let printed: Vec<String> = taken.filter_map(id).collect();
        assert_eq!(printed, ["1", "2", "3", "4"]);
        let resumed = follower.resumed(&url);
        assert_eq!(resumed.query(), Some("query=a+b&cursor=c1"));
    }

    #[test]
    fn a_cursor_forgets_the_ids_before_it() {
        let mut follower = Follower::default();
        follower.take(&entry("1")).unwrap();
        let with_cursor = r#"{"type":"log_entry","data":{"id":"2"},"cursor":"c2"}"#;
        assert_eq!(
            id(follower.take(with_cursor).unwrap()).as_deref(),
            Some("2")
        );
        assert!(follower.since_cursor.is_empty());
        assert_eq!(follower.cursor.as_deref(), Some("c2"));
    }

    #[test]
    fn errors_and_strange_messages() {
        let mut follower = Follower::default();
        let mut error = |status: u16| {
            let text = format!(r#"{{"type":"error","status":{status},"detail":"no more"}}"#);
            follower.take(&text)
        };
        let refused = error(403).unwrap_err();
        assert!(matches!(
            refused.downcast_ref(),
            Some(Failure::NotAllowed(_))
        ));
        assert!(matches!(error(503), Ok(Taken::Lost(_))));
        assert!(matches!(error(500), Ok(Taken::Nothing)));
        assert!(error(400).is_err());
        assert!(matches!(
            follower.take(r#"{"type":"news"}"#),
            Ok(Taken::Nothing)
        ));
        assert!(follower.take("hello").is_err());
    }
}
