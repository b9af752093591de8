//! The live tail over a WebSocket.
use super::{
    Opened,
    feed::{End, Message, Outlet, last_word, run},
    open,
};
use crate::{auth::Caller, http::schema, parameters::Parameters, problem::Problem, state::App};
use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{
            CloseFrame, Message as Frame, WebSocket, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    http::Uri,
    response::{IntoResponse, Response},
};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use std::time::Duration;
use taffrail_model::limits::TAIL_BUFFER_BYTES_MAX;

/// Bytes of a frame that a client may send: it has nothing to say.
const FRAME_BYTES_MAX: usize = 4 << 10;
/// Bytes that are handed to the connection at once.
const WRITE_BYTES: usize = 64 << 10;
/// How long the farewell may take.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Live tail (WebSocket)
///
/// The latest `backlog` records, then every matching new record once and in order of arrival, as
/// text frames: `{"type":"log_entry","data":{…},"cursor":"…"}`, `{"type":"dropped","count":…,"cursor":"…"}`
/// if the client is too slow, `{"type":"cursor","cursor":"…"}` every second, `{"type":"error",…}`.
/// A cursor resumes after a reconnect.
#[utoipa::path(
    get, path = "/ws/logs", tag = "tail", params(schema::TailParameters),
    responses(
        (status = 101, description = "Upgraded"),
        (status = 400, description = "No WebSocket handshake, or the query cannot be read", body = schema::ProblemDocument),
        (status = 401, description = "No accepted credential", body = schema::ProblemDocument),
        (status = 403, description = "A page of another website", body = schema::ProblemDocument),
        (status = 404, description = "No such stream", body = schema::ProblemDocument),
        (status = 422, description = "Values that are not valid", body = schema::ProblemDocument),
        (status = 503, description = "Too many tails", body = schema::ProblemDocument),
    )
)]
pub(crate) async fn tail_socket(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
    upgrade: Upgrade,
) -> Result<Response, Problem> {
    let parameters = Parameters::from_uri(&uri)?;
    let opened = open(&app, &caller, parameters, None)?;
    Ok(serve(app, caller, opened, upgrade))
}

/// What comes of the handshake.
pub(super) type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// Serves a tail over the connection, or answers what is wrong with the handshake.
pub(super) fn serve(app: App, caller: Caller, opened: Opened, upgrade: Upgrade) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(fault) => return fault.into_response(),
    };
    upgrade
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .write_buffer_size(WRITE_BYTES)
        .max_write_buffer_size(TAIL_BUFFER_BYTES_MAX.max(4 * WRITE_BYTES))
        .on_upgrade(move |socket| async move {
            let (sink, stream) = socket.split();
            run(app, caller, opened, Socket(sink), gone(stream)).await;
        })
}

struct Socket(SplitSink<WebSocket, Frame>);

impl Outlet for Socket {
    async fn send(&mut self, message: Message) -> bool {
        self.0.feed(Frame::Text(message.json.into())).await.is_ok()
    }

    async fn flush(&mut self) -> bool {
        self.0.flush().await.is_ok()
    }

    async fn close(mut self, why: End) {
        let (code, reason) = match why {
            End::Gone => return,
            End::Revoked => (close_code::POLICY, "credential ended"),
            End::Stopping => (close_code::AWAY, "server stops"),
            End::Failed => (close_code::ERROR, "tail failed"),
        };
        let farewell = async {
            if let Some(message) = last_word(why) {
                self.send(message).await;
            }
            let frame = CloseFrame {
                code,
                reason: reason.into(),
            };
            // A client that has gone meanwhile hears nothing.
            drop(self.0.send(Frame::Close(Some(frame))).await);
        };
        // A client that does not read is cut off without it.
        drop(tokio::time::timeout(CLOSE_WAIT, farewell).await);
    }
}

/// Reads what the client sends, which answers pings, until it goes.
async fn gone(mut stream: SplitStream<WebSocket>) {
    while let Some(Ok(frame)) = stream.next().await {
        if matches!(frame, Frame::Close(_)) {
            return;
        }
    }
}
