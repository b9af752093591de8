//! Bodies: read as they come, within a limit of bytes and of time.
use crate::{
    parameters::{Parameters, QUESTION_BYTES_MAX},
    problem::{Kind, Problem},
};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{FromRequest, Request},
    http::{HeaderMap, Method, header},
};
use futures_util::StreamExt;
use std::time::Duration;
use tokio::time::Instant;

/// How long a client may pause within a body.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long a body may take beside the time that its bytes get: two pauses.
const BODY_GRACE: Duration = Duration::from_secs(60);
/// Bytes a second that a client sends at least once that time is over, as few as one that reads an
/// answer takes ([`crate::stall`]): who sends a byte now and then would hold a connection for days.
const BODY_BYTES_PER_S_MIN: u64 = 1 << 10;

/// Bytes that the body is said to have.
pub(crate) fn said_bytes(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

/// Reads a body. `admit` is asked before bytes are kept.
///
/// # Errors
/// 413 past `bytes_max`, 408 after a pause or if it comes too slowly, 400 if the client breaks off,
/// or what `admit` says.
pub(crate) async fn read_body(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    admit: impl FnMut(usize) -> Result<(), Problem>,
) -> Result<Bytes, Problem> {
    let mut kept = Vec::new();
    let keep = |frame: &[u8]| kept.extend_from_slice(frame);
    read_frames(headers, body, bytes_max, admit, keep).await?;
    Ok(kept.into())
}

/// Reads a body that `keep` gets bit by bit, each after `admit` was asked for it.
///
/// # Errors
/// As [`read_body`].
pub(crate) async fn read_frames(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    mut admit: impl FnMut(usize) -> Result<(), Problem>,
    mut keep: impl FnMut(&[u8]),
) -> Result<(), Problem> {
    let too_large = || {
        Problem::new(
            Kind::TooLarge,
            format!("a body here may have at most {bytes_max} bytes: send it in parts"),
        )
    };
    let said = said_bytes(headers);
    if said.is_some_and(|said| said > bytes_max as u64) {
        return Err(too_large());
    }
    // No more is asked for than will come.
    let expected = said.map_or(bytes_max, |said| said as usize);
    // Only bytes that came are kept and counted: a length that lies costs nothing.
    let mut kept = 0;
    let mut admitted = 0;
    let is_short = body.size_hint().upper().is_some_and(|most| most < 64 << 10);
    let mut frames = body.into_data_stream();
    let began = Instant::now();
    loop {
        let frame = match is_short {
            // Most bodies are there already: no timer for them.
            true => futures_util::FutureExt::now_or_never(frames.next()),
            false => None,
        };
        let frame = match frame {
            Some(frame) => frame,
            None => {
                let until = (Instant::now() + PAUSE_MAX).min(began + time_of(kept));
                tokio::time::timeout_at(until, frames.next())
                    .await
                    .map_err(|_| Problem::new(Kind::Timeout, "the body stopped coming"))?
            }
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|fault| {
            Problem::new(Kind::Unreadable, format!("the body broke off: {fault}"))
        })?;
        if kept + frame.len() > bytes_max {
            return Err(too_large());
        }
        let needed = kept + frame.len();
        if needed > admitted {
            // In steps, so that the gate is not asked for each frame.
            let step = admitted.clamp(64 << 10, 4 << 20);
            let step = step.min(expected.saturating_sub(admitted));
            let step = step.max(needed - admitted);
            admit(step)?;
            admitted += step;
        }
        keep(&frame);
        kept = needed;
    }
    Ok(())
}

/// How long a body may have taken of which so many bytes are there.
fn time_of(bytes: usize) -> Duration {
    BODY_GRACE + Duration::from_secs(bytes as u64 / BODY_BYTES_PER_S_MIN)
}

/// Parameters of a `GET` from the query string, of anything else from the JSON body.
pub(crate) struct Asked(pub Parameters);

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Asked, Problem> {
        let (parts, body) = request.into_parts();
        if matches!(parts.method, Method::GET | Method::HEAD) {
            return Parameters::from_uri(&parts.uri).map(Asked);
        }
        let kind = parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        let is_json = essence.is_empty()
            || essence.eq_ignore_ascii_case("application/json")
            || essence.to_ascii_lowercase().ends_with("+json");
        let body = read_body(&parts.headers, body, QUESTION_BYTES_MAX, |_| Ok(())).await?;
        if !is_json && !body.is_empty() {
            return Err(Problem::new(
                Kind::UnsupportedMediaType,
                "send the body as application/json",
            ));
        }
        Parameters::from_json(&body).map(Asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    async fn read(frames: &[&'static [u8]], said: Option<&str>) -> Result<usize, Kind> {
        let frames: Vec<_> = frames
            .iter()
            .map(|frame| Ok::<_, Infallible>(Bytes::from_static(frame)))
            .collect();
        let body = Body::from_stream(futures_util::stream::iter(frames));
        let mut headers = HeaderMap::new();
        if let Some(said) = said {
            headers.insert(header::CONTENT_LENGTH, said.parse().unwrap());
        }
        read_body(&headers, body, 10, |_| Ok(()))
            .await
            .map(|body| body.len())
            .map_err(|problem| problem.kind())
    }

    #[tokio::test]
    async fn bodies_at_and_past_the_limit() {
        assert_eq!(read(&[b"01234", b"56789"], None).await, Ok(10));
        assert_eq!(
            read(&[b"01234", b"567890"], None).await,
            Err(Kind::TooLarge)
        );
        assert_eq!(read(&[], Some("11")).await, Err(Kind::TooLarge));
        assert_eq!(read(&[b"0"], Some("10")).await, Ok(1));
        assert_eq!(read(&[], None).await, Ok(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_coming_ends() {
        let never = futures_util::stream::pending::<Result<Bytes, Infallible>>();
        let body = Body::from_stream(never);
        let outcome = read_body(&HeaderMap::new(), body, 10, |_| Ok(())).await;
        assert_eq!(outcome.unwrap_err().kind(), Kind::Timeout);
    }

    /// The outcome of a body of so many pieces, before each of which the client pauses, and when.
    async fn read_slowly(
        piece: &'static [u8],
        pieces: usize,
        pause: Duration,
    ) -> (Result<usize, Kind>, Duration) {
        let frames = futures_util::stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, Infallible>(Bytes::from_static(piece))
        });
        let began = Instant::now();
        let body = Body::from_stream(frames);
        let outcome = read_body(&HeaderMap::new(), body, 1 << 20, |_| Ok(())).await;
        let outcome = outcome.map(|body| body.len());
        (outcome.map_err(|problem| problem.kind()), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_ends_and_one_that_comes_slowly_does_not() {
        let pause = PAUSE_MAX - Duration::from_secs(1);
        let (outcome, took) = read_slowly(b"x", 1_000, pause).await;
        assert_eq!(outcome, Err(Kind::Timeout));
        assert!(took <= BODY_GRACE + Duration::from_secs(1), "{took:?}");
        // A few bytes after a pause or two.
        let (outcome, _) = read_slowly(b"x", 2, pause).await;
        assert_eq!(outcome, Ok(2));
        // The least rate, for ten minutes.
        let (outcome, _) = read_slowly(&[b'x'; 1 << 10], 600, Duration::from_secs(1)).await;
        assert_eq!(outcome, Ok(600 << 10));
    }

    #[tokio::test]
    async fn what_is_not_admitted_is_not_kept() {
        let body = Body::from("x");
        let refuse = |_| Err(Problem::new(Kind::Overloaded, ""));
        let outcome = read_body(&HeaderMap::new(), body, 10, refuse).await;
        assert_eq!(outcome.unwrap_err().kind(), Kind::Overloaded);
    }
}
