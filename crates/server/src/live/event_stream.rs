//! The live tail as Server-Sent Events, for curl and browsers without script.
use super::{
    feed::{End, Message, Outlet, last_word, run},
    open,
};
use crate::{
    auth::Caller, http::schema, parameters::Parameters, problem::Problem, stall::LiveTailResponse,
    state::App,
};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, Uri},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use std::{convert::Infallible, time::Duration};
use tokio::sync::mpsc;

/// Messages that wait for the connection: the rest waits in the engine.
const QUEUE_MESSAGES: usize = 16;
/// How long the farewell may take.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Live tail (Server-Sent Events)
///
/// The messages of `/ws/logs` as events whose name is the message's `type`. The `id` of an event
/// is its cursor: a browser that reconnects sends it as `Last-Event-ID` and goes on after it.
#[utoipa::path(
    get, path = "/api/v1/tail", tag = "tail", params(schema::TailParameters),
    responses(
        (status = 200, description = "Events", body = String, content_type = "text/event-stream"),
        (status = 400, description = "Query or cursor cannot be read", body = schema::ProblemDocument),
        (status = 401, description = "No accepted credential", body = schema::ProblemDocument),
        (status = 404, description = "No such stream", body = schema::ProblemDocument),
        (status = 422, description = "Values that are not valid", body = schema::ProblemDocument),
        (status = 503, description = "Too many tails", body = schema::ProblemDocument),
    )
)]
pub(crate) async fn tail_sse(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let parameters = Parameters::from_uri(&uri)?;
    let last_event_id = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .filter(|id| !id.is_empty());
    let opened = open(&app, &caller, parameters, last_event_id)?;
    let (queue, messages) = mpsc::channel(QUEUE_MESSAGES);
    let closed = queue.clone();
    tokio::spawn(async move {
        let gone = async move { closed.closed().await };
        run(app, caller, opened, Events(queue), gone).await;
    });
    let events = futures_util::stream::unfold(messages, |mut messages| async move {
        let message: Message = messages.recv().await?;
        Some((Ok::<_, Infallible>(event(message)), messages))
    });
    let sse = Sse::new(events).keep_alive(KeepAlive::default());
    Ok((Extension(LiveTailResponse), sse).into_response())
}

fn event(message: Message) -> Event {
    let event = Event::default().event(message.kind).data(message.json);
    match message.cursor {
        Some(cursor) => event.id(cursor),
        None => event,
    }
}

struct Events(mpsc::Sender<Message>);

impl Outlet for Events {
    async fn send(&mut self, message: Message) -> bool {
        self.0.send(message).await.is_ok()
    }

    async fn flush(&mut self) -> bool {
        true
    }

    async fn close(self, why: End) {
        if let Some(message) = last_word(why) {
            // A client that does not read is cut off without it.
            drop(tokio::time::timeout(CLOSE_WAIT, self.0.send(message)).await);
        }
    }
}
