//! Ingest: a body of records becomes durable.
use super::{
    Json,
    body::{read_body, read_frames, said_bytes},
    data, data_text,
    pieces::{Pieces, Work},
    schema::{IngestAnswerBody, ProblemDocument},
};
use crate::{
    answers::Holder,
    auth::Caller,
    problem::{FieldFault, Kind, Problem},
    state::App,
};
use axum::{
    extract::{Path, Request, State},
    http::{HeaderMap, header},
};
use parking_lot::Mutex;
use ring::digest::{Context, SHA256};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use taffrail_engine::{
    admission::Permit,
    ingest::{IdempotencyKey, IngestAnswer, IngestError},
};
use taffrail_ingest::{
    decode::ndjson::DecodeError,
    decompress::{self, DecompressError, Encoding},
};
use taffrail_model::{
    access::Principal,
    limits::{BATCH_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX},
};

/// Rejects that a problem lists: the first ones tell what is wrong with all.
const REJECTS_SHOWN_MAX: usize = 100;
/// Bytes of an unpacked body that are taken at once: pieces are cut where one of these ends.
const UNPACKED_BYTES: usize = 64 << 10;

/// Ingest records
///
/// NDJSON, one JSON array, or one JSON object, optionally compressed (`gzip`, `zstd`, `deflate`).
/// 200 means durable: what was accepted survives a crash from then on. Records that are not taken
/// are listed with their index and the reason; if none is taken the answer is 422. A repeat of an
/// `Idempotency-Key` within 24 hours stores nothing and gets the first answer.
#[utoipa::path(
    post, path = "/api/v1/ingest/{stream}", tag = "ingest",
    params(
        ("stream" = String, Path, description = "Name of the stream"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 bytes, unique for each batch"),
        ("Content-Encoding" = Option<String>, Header, description = "gzip, zstd, deflate or identity"),
    ),
    request_body(content = String, content_type = "application/x-ndjson", description = "Records, at most 64 MiB decompressed"),
    responses(
        (status = 200, description = "What was accepted, rejected and left out", body = IngestAnswerBody),
        (status = 400, description = "A broken JSON array or compressed stream: nothing is stored", body = ProblemDocument),
        (status = 401, description = "No accepted credential", body = ProblemDocument),
        (status = 403, description = "The credential may not write to the stream", body = ProblemDocument),
        (status = 404, description = "No such stream; the nearest names are listed", body = ProblemDocument),
        (status = 408, description = "The body stopped coming", body = ProblemDocument),
        (status = 413, description = "Too many bytes, as they came or decompressed", body = ProblemDocument),
        (status = 415, description = "Content type or encoding is not supported", body = ProblemDocument),
        (status = 422, description = "Every record was rejected, or the idempotency key is not valid or was used for another body", body = ProblemDocument),
        (status = 429, description = "Too much of this tenant is in flight", body = ProblemDocument),
        (status = 503, description = "Overloaded, no space left, or not writable", body = ProblemDocument),
    )
)]
pub(crate) async fn ingest(
    State(app): State<App>,
    caller: Caller,
    Path(stream): Path<String>,
    request: Request,
) -> Result<Json, Problem> {
    let principal = caller.principal;
    let (parts, body) = request.into_parts();
    // What needs no body is answered without reading it.
    app.engine.writable_stream(&principal, &stream)?;
    check_content_type(&parts.headers)?;
    let encoding = encoding(&parts.headers)?;
    let key = idempotency_key(&parts.headers)?;
    let permit = app.engine.admit(&principal, 0)?;
    if let Some(said) = said_bytes(&parts.headers).filter(|said| *said <= BATCH_BYTES_MAX as u64) {
        permit.check(said as usize)?;
    }
    let hash = key.as_ref().map(|_| begun(&stream));
    let work = Work::new(app.clone(), principal.clone(), stream, permit);
    let pieces = Pieces::new(work.clone());
    let mut batch = Batch { hash, pieces };
    let admit = |bytes| work.permit.lock().grow(bytes).map_err(Problem::from);
    let batch = match encoding {
        Encoding::Identity => {
            let keep = |frame: &[u8]| batch.take(frame);
            read_frames(&parts.headers, body, BATCH_BYTES_MAX, admit, keep).await?;
            batch
        }
        _ => {
            let body = read_body(&parts.headers, body, BATCH_BYTES_MAX, admit).await?;
            let permit = work.clone();
            let unpack = move |cancelled: Arc<AtomicBool>| {
                batch.unpack(encoding, &body, &permit.permit, &cancelled)
            };
            app.decodes.run(unpack).await?
        }
    };
    let body_hash = batch.hash.map(finished);
    let prepared = batch.pieces.prepared().await?;
    // A body without a record that can be stored leaves its key to the corrected one.
    let key = key.filter(|_| !prepared.is_empty());
    // The bytes that were meant are hashed: a repeat may be compressed otherwise.
    let key = key.zip(body_hash);
    let key = key.map(|(key, body_hash)| IdempotencyKey { key, body_hash });
    // Of a body that came slowly, pieces were prepared long ago.
    app.engine.writable_stream(&principal, &work.stream)?;
    let answer = app.engine.commit(&principal, prepared, key).await?;
    if answer.accepted == 0 && !answer.rejected.is_empty() {
        return Err(all_rejected(&answer));
    }
    app.requests
        .count_records(answer.accepted, answer.rejected.len());
    Ok(answer_body(&app, &principal, &answer))
}

/// The answer of a batch. It is durable by now, so there is no refusing any more: where answers
/// that wait for their clients leave no room, the list of rejects is cut instead.
fn answer_body(app: &App, principal: &Principal, answer: &IngestAnswer) -> Json {
    let whole = data_text(answer);
    if let Ok(held) = app.answers.hold(&Holder::of(principal), whole) {
        return held.into();
    }
    let count = answer.rejected.len();
    data(&json!({
        "accepted": answer.accepted,
        "rejected": &answer.rejected[..count.min(REJECTS_SHOWN_MAX)],
        "rejected_total": count,
        "dropped": answer.dropped,
    }))
}

/// A body on its way in.
struct Batch {
    /// Of what came, if the request has a key.
    hash: Option<Context>,
    pieces: Pieces,
}

impl Batch {
    /// Takes the bytes that follow.
    fn take(&mut self, bytes: &[u8]) {
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        self.pieces.take(bytes);
    }

    /// Takes a compressed body as a whole. Works on the CPU for milliseconds; ends early if nobody
    /// waits for it.
    fn unpack(
        mut self,
        encoding: Encoding,
        body: &[u8],
        permit: &Mutex<Permit>,
        cancelled: &AtomicBool,
    ) -> Result<Batch, Problem> {
        let plain = decompress::decompress(encoding, body, BATCH_BYTES_MAX)
            .map_err(|fault| decompress_problem(&fault))?;
        permit.lock().grow(plain.len())?;
        for bytes in plain.chunks(UNPACKED_BYTES) {
            if cancelled.load(Ordering::Relaxed) {
                break;
            }
            if let Some(hash) = &mut self.hash {
                hash.update(bytes);
            }
            self.pieces.take_in_turn(bytes);
        }
        Ok(self)
    }
}

/// A hash of the stream, which is part of what a key stands for, and of what follows.
fn begun(stream: &str) -> Context {
    let mut hash = Context::new(&SHA256);
    hash.update(&(stream.len() as u64).to_le_bytes());
    hash.update(stream.as_bytes());
    hash
}

fn finished(hash: Context) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}

/// Senders label JSON in many ways; only what cannot be JSON text is refused.
fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = match headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str())
    {
        None => return Ok(()),
        Some(Ok(kind)) => kind.trim().to_ascii_lowercase(),
        Some(Err(_)) => "?".to_owned(),
    };
    let is_other = ["multipart/", "image/", "audio/", "video/", "font/", "?"]
        .iter()
        .any(|prefix| kind.starts_with(prefix))
        || kind.contains("protobuf")
        || kind.contains("msgpack");
    match is_other {
        false => Ok(()),
        true => Err(Problem::new(
            Kind::UnsupportedMediaType,
            "send NDJSON, a JSON array or one JSON object, such as application/x-ndjson",
        )),
    }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let encoding = match (values.next(), values.next()) {
        (None, _) => return Ok(Encoding::Identity),
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(|text| Encoding::from_header(text).ok()),
        _ => None,
    };
    encoding.ok_or_else(|| {
        Problem::new(
            Kind::UnsupportedMediaType,
            "the content encoding must be gzip, zstd, deflate or identity, and only one",
        )
        .with_header(header::ACCEPT_ENCODING, "gzip, zstd, deflate")
    })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    match headers.get("idempotency-key").map(|value| value.to_str()) {
        None => Ok(None),
        Some(Ok(key)) if (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) => {
            Ok(Some(key.to_owned()))
        }
        Some(Ok(_)) => Err(IngestError::KeyLength.into()),
        Some(Err(_)) => Err(Problem::invalid(vec![FieldFault {
            field: "Idempotency-Key".into(),
            detail: "must be printable ASCII".into(),
        }])),
    }
}

fn decompress_problem(fault: &DecompressError) -> Problem {
    let kind = match fault {
        DecompressError::TooLarge { .. } | DecompressError::RatioTooHigh { .. } => Kind::TooLarge,
        _ => Kind::Unreadable,
    };
    Problem::new(kind, fault.to_string())
}

pub(super) fn decode_problem(fault: &DecodeError) -> Problem {
    match fault {
        DecodeError::TooLarge { .. } | DecodeError::TooManyRecords => {
            Problem::new(Kind::TooLarge, fault.to_string())
        }
        DecodeError::TooManyRejects { first } => {
            Problem::new(Kind::AllRejected, fault.to_string()).with("rejected", json!([first]))
        }
        _ => Problem::new(Kind::Unreadable, fault.to_string()),
    }
}

fn all_rejected(answer: &IngestAnswer) -> Problem {
    let count = answer.rejected.len();
    let shown = &answer.rejected[..count.min(REJECTS_SHOWN_MAX)];
    let first = &answer.rejected[0];
    let detail = format!(
        "all {count} records were rejected; the first, index {}: {}",
        first.index, first.detail
    );
    Problem::new(Kind::AllRejected, detail)
        .with("accepted", json!(0))
        .with("rejected", json!(shown))
        .with("rejected_total", json!(count))
}
