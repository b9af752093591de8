//! Sends a part over HTTP and says what the answer means for it.
use crate::client::prepare_tls;
use crate::failure::Failure;
use anyhow::{Context, Result};
use reqwest::{StatusCode, Url, blocking, header};
use serde::Deserialize;
use std::time::Duration;
use taffrail_engine::spool::{Encoding, Outcome, Part, Sender};
use taffrail_model::batch::Reject;

/// How long connecting may take: a machine that is there answers in less.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take: a part is a few megabytes and one sync.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest wait that a server can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// A server over HTTP.
pub struct HttpSender {
    http: blocking::Client,
    server: Url,
    token: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    data: Taken,
}

#[derive(Deserialize)]
struct Taken {
    accepted: u32,
    #[serde(default)]
    rejected: Vec<Reject>,
}

/// Beginning of the kind of every problem that Taffrail itself answers.
const OWN_PROBLEM: &str = "urn:taffrail:problem:";
/// The credential may not do it, here: write to the stream. Other kinds of 403 hold for every
/// stream, such as that the instance takes no records.
const FORBIDDEN: &str = "urn:taffrail:problem:forbidden";
/// There is no such stream; others may be there.
const UNKNOWN_STREAM: &str = "urn:taffrail:problem:unknown-stream";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    r#type: String,
    title: String,
    detail: String,
}

impl HttpSender {
    /// A sender to a server; does not connect yet. Not on an asynchronous thread.
    pub fn new(server: &str, token: Option<String>) -> Result<HttpSender> {
        prepare_tls();
        let url = Url::parse(server)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(server) = url else {
            let text =
                format!("the server's address {server:?} must be like http://127.0.0.1:4600");
            return Err(Failure::Usage(text).into());
        };
        let http = blocking::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .user_agent(concat!("taffrail/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("preparing the HTTP client")?;
        Ok(HttpSender {
            http,
            server,
            token,
        })
    }

    fn post(&self, stream: &str, part: &Part) -> reqwest::Result<blocking::Response> {
        let mut url = self.server.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "ingest", stream]);
        }
        let request = self
            .http
            .post(url)
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .header("Idempotency-Key", &part.key)
            .body(part.body.to_vec());
        let request = match part.encoding {
            Encoding::Identity => request,
            Encoding::Zstd => request.header(header::CONTENT_ENCODING, "zstd"),
        };
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
        .send()
    }
}

impl Sender for HttpSender {
    fn send(&mut self, stream: &str, part: &Part) -> Outcome {
        let answer = self.post(stream, part).and_then(|response| {
            let status = response.status();
            let after = retry_after(response.headers());
            Ok((status, after, response.bytes()?))
        });
        match answer {
            Ok((status, after, body)) => outcome(status, after, &body),
            Err(error) => Outcome::Later {
                after: None,
                reason: format!("cannot reach {}: {}", self.server, last_cause(&error)),
            },
        }
    }
}

fn last_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let wait = Duration::from_secs(seconds.trim().parse().ok()?);
    Some(wait.min(RETRY_AFTER_MAX))
}

/// What an answer means for the part.
fn outcome(status: StatusCode, after: Option<Duration>, body: &[u8]) -> Outcome {
    if status.is_success() {
        return match serde_json::from_slice::<Answer>(body) {
            Ok(Answer { data }) => Outcome::Taken {
                accepted: data.accepted,
                rejected: data.rejected,
            },
            // Something between us and the server, such as a login page.
            Err(_) => Outcome::Later {
                after,
                reason: "the server does not answer like Taffrail".into(),
            },
        };
    }
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let kind = problem.r#type;
    let is_own = kind.starts_with(OWN_PROBLEM);
    let detail = [problem.detail, problem.title]
        .into_iter()
        .find(|text| !text.is_empty());
    let detail = detail.unwrap_or_else(|| "no reason".to_string());
    let reason = format!("the server answers {}: {detail}", status.as_u16());
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Outcome::Stopped {
            reason,
            is_not_allowed: true,
            is_of_stream: status == StatusCode::FORBIDDEN && kind == FORBIDDEN,
        },
        // No such stream, or no such server behind the address.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Outcome::Stopped {
            reason,
            is_not_allowed: false,
            is_of_stream: status == StatusCode::NOT_FOUND && kind == UNKNOWN_STREAM,
        },
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::CONFLICT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS => Outcome::Later { after, reason },
        status if status.is_client_error() && is_own => Outcome::Refused { reason },
        // A fault of the server, or something before it that takes no such body, such as a proxy
        // with a limit of its own: a person may change that, and the records must be there then.
        _ => Outcome::Later { after, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_model::batch::RejectKind;

    fn answer(status: u16, body: &str) -> Outcome {
        outcome(StatusCode::from_u16(status).unwrap(), None, body.as_bytes())
    }

    #[test]
    fn what_answers_mean() {
        let body = r#"{"data":{"accepted":2,"rejected":[{"index":1,"type":"too_old","detail":"x"}],"dropped":{}}}"#;
        let expected = Outcome::Taken {
            accepted: 2,
            rejected: vec![Reject {
                index: 1,
                kind: RejectKind::TooOld,
                detail: "x".into(),
            }],
        };
        assert_eq!(answer(200, body), expected);
        let is_later = |status| matches!(answer(status, "{}"), Outcome::Later { .. });
        for status in [302, 408, 409, 425, 429, 500, 502, 503, 504] {
            assert!(is_later(status), "{status}");
        }
        assert!(matches!(answer(200, "<html>"), Outcome::Later { .. }));
        let own = r#"{"type":"urn:taffrail:problem:too-large","title":"no"}"#;
        for status in [400, 413, 415, 422] {
            assert!(
                matches!(answer(status, own), Outcome::Refused { .. }),
                "{status}"
            );
            // What a proxy refuses is not lost.
            for foreign in ["<html>", "{}", r#"{"type":"about:blank"}"#] {
                assert!(
                    matches!(answer(status, foreign), Outcome::Later { .. }),
                    "{status}"
                );
            }
        }
        for status in [401, 403] {
            let outcome = answer(status, r#"{"title":"no"}"#);
            assert!(matches!(
                outcome,
                Outcome::Stopped {
                    is_not_allowed: true,
                    ..
                }
            ));
        }
        let expected = Outcome::Stopped {
            reason: "the server answers 404: no stream".into(),
            is_not_allowed: false,
            is_of_stream: false,
        };
        assert_eq!(
            answer(404, r#"{"title":"t","detail":"no stream"}"#),
            expected
        );
    }

    #[test]
    fn one_stream_may_be_refused_alone() {
        let is_of_stream = |status, body: &str| match answer(status, body) {
            Outcome::Stopped { is_of_stream, .. } => is_of_stream,
            other => panic!("{other:?}"),
        };
        // A credential that is none is so for every stream, as is an instance that takes no
        // records and an address that is not the API's; and a proxy knows no streams.
        let cases = [
            (401, "unauthorized", false),
            (401, "forbidden", false),
            (403, "forbidden", true),
            (403, "forbidden-too", false),
            (403, "instance-takes-no-records", false),
            (403, "foreign-origin", false),
            (403, "unknown-stream", false),
            (404, "unknown-stream", true),
            (404, "not-found", false),
            (405, "method-not-allowed", false),
            (405, "forbidden", false),
        ];
        for (status, word, expected) in cases {
            let own = format!(r#"{{"type":"urn:taffrail:problem:{word}","title":"no"}}"#);
            assert_eq!(is_of_stream(status, &own), expected, "{status} {word}");
            assert!(!is_of_stream(status, "<html>"), "{status}");
        }
    }

    #[test]
    fn waits_are_bounded() {
        let wait = |text: &str| {
            let mut headers = header::HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("99999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(wait("soon"), None);
    }
}
