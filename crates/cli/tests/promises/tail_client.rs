//! A client of the live tail that reads when it is told to, and not before.
use crate::harness::server::{KEY, PATIENCE, Server};
use std::net::TcpStream;
use tokio_tungstenite::tungstenite::{
    self, Error, HandshakeError, Message, WebSocket, client::IntoClientRequest, http::HeaderValue,
};

/// Bytes that the system keeps for a client: few, so that the server soon feels it when one does
/// not read.
const RECEIVE_BUFFER_BYTES: usize = 32 << 10;

/// What these tests look at of a record.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Seen {
    pub id: String,
    /// Who sent it.
    pub sender: usize,
    /// Its number among those of its sender, from 0.
    pub n: u64,
}

/// What came over a tail.
#[derive(Debug)]
pub enum Event {
    /// A record and its cursor.
    Record(Seen, String),
    /// So many records were passed over.
    Dropped(u64),
}

#[derive(serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Envelope {
    LogEntry { data: Seen, cursor: String },
    Dropped { count: u64 },
    Cursor {},
}

/// One client over a blocking socket.
pub struct TailClient {
    socket: WebSocket<TcpStream>,
}

impl TailClient {
    /// Connects; what is sent to the server after this returned is seen.
    pub fn connect(server: &Server, parameters: &str) -> TailClient {
        TailClient::try_connect(server, parameters).unwrap()
    }

    /// Connects, or gives the status with which the server refuses.
    pub fn try_connect(server: &Server, parameters: &str) -> Result<TailClient, u16> {
        let stream = TcpStream::connect(server.address()).unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&stream, RECEIVE_BUFFER_BYTES).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let url = format!("ws://{}/ws/logs?{parameters}", server.address());
        let mut request = url.into_client_request().unwrap();
        let bearer = HeaderValue::from_str(&format!("Bearer {KEY}")).unwrap();
        request.headers_mut().insert("authorization", bearer);
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(TailClient { socket }),
            Err(HandshakeError::Failure(Error::Http(refused))) => Err(refused.status().as_u16()),
            Err(fault) => panic!("{fault}"),
        }
    }

    /// The next record or loss; waits for it. Anything else but a cursor is a failure.
    pub fn next(&mut self) -> Event {
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else {
                continue;
            };
            match serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{fault}: {text}")) {
                Envelope::LogEntry { data, cursor } => return Event::Record(data, cursor),
                Envelope::Dropped { count } => return Event::Dropped(count),
                Envelope::Cursor {} => {}
            }
        }
    }
}
