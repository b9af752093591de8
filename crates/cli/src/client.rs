//! Talks to a server: address, credential, and what an answer means for the exit code.
use crate::failure::Failure;
use anyhow::{Context, Result, anyhow};
use clap::Args;
use reqwest::{Method, StatusCode, Url, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{path::PathBuf, sync::Once, time::Duration};
use taffrail_engine::query::ParseError;

/// How long connecting may take: a machine that is there answers in less.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may take: the server gives up a query after a minute.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// Which server, and as whom.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct ServerOptions {
    /// Address of the server
    #[arg(
        long,
        env = "TAFFRAIL_URL",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:4600"
    )]
    pub server: String,
    /// File with the API key; else the key is taken from TAFFRAIL_TOKEN
    #[arg(
        long,
        env = "TAFFRAIL_TOKEN_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub token_file: Option<PathBuf>,
    /// The key of a server that the command itself runs.
    #[arg(skip)]
    pub own_token: Option<String>,
}

/// A server and a credential.
pub struct Client {
    http: reqwest::Client,
    server: Url,
    token: Option<String>,
}

/// What a server says when it refuses (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    title: String,
    detail: String,
    request_id: Option<String>,
    /// Characters of the query that are at fault.
    start: Option<usize>,
    end: Option<usize>,
    hint: Option<String>,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

impl Client {
    /// Reads the credential; does not connect yet.
    pub fn new(options: &ServerOptions) -> Result<Client> {
        prepare_tls();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .user_agent(concat!("taffrail/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("preparing the HTTP client")?;
        Ok(Client {
            http,
            server: server_url(&options.server)?,
            token: token(options)?,
        })
    }

    /// The server's address, for messages.
    pub fn server(&self) -> &str {
        self.server.as_str().trim_end_matches('/')
    }

    /// The credential, if there is one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The address of a path of the server.
    pub fn url(&self, path: &str) -> Result<Url> {
        let base = self.server();
        Url::parse(&format!("{base}{path}")).with_context(|| format!("address of {path}"))
    }

    /// Gets `path` with query parameters.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, String)],
    ) -> Result<T> {
        let mut url = self.url(path)?;
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        self.send(self.http.request(Method::GET, url)).await
    }

    /// Sends a body as JSON.
    pub async fn send_json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        let request = self.http.request(method, self.url(path)?);
        self.send(request.json(body)).await
    }

    /// Deletes what is at `path`.
    pub async fn delete(&self, path: &str) -> Result<()> {
        let request = self.http.request(Method::DELETE, self.url(path)?);
        self.answer(request).await.map(|_| ())
    }

    async fn send<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T> {
        let body = self.answer(request).await?;
        let answer: Answer<T> = serde_json::from_slice(&body)
            .with_context(|| format!("{} does not answer like Taffrail", self.server()))?;
        Ok(answer.data)
    }

    /// The body of an answer of 2xx.
    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>> {
        let request = request.header(header::ACCEPT, "application/json");
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        Err(self.refusal(status, &body))
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        // The last cause says it best (`connection refused`); the others repeat the address.
        let mut cause: &dyn std::error::Error = error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        let reason = if error.is_timeout() {
            "no answer in time".to_string()
        } else {
            cause.to_string()
        };
        Failure::Unreachable {
            server: self.server().to_string(),
            reason,
        }
        .into()
    }

    /// The error of an answer that is no 2xx.
    pub fn refusal(&self, status: StatusCode, body: &[u8]) -> anyhow::Error {
        let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
        let text = problem.text(status);
        match status {
            StatusCode::UNAUTHORIZED if self.token.is_none() => Failure::NotAllowed(format!(
                "{text} (no API key: set TAFFRAIL_TOKEN or --token-file)"
            ))
            .into(),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::NotAllowed(text).into(),
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Failure::Unreachable {
                server: self.server().to_string(),
                reason: text,
            }
            .into(),
            _ => match (problem.start, problem.end) {
                (Some(start), Some(end)) => anyhow::Error::new(QueryFault {
                    text,
                    start,
                    end,
                    hint: problem.hint,
                }),
                _ => anyhow!(text),
            },
        }
    }
}

impl Problem {
    fn text(&self, status: StatusCode) -> String {
        let mut text = if !self.detail.is_empty() {
            self.detail.clone()
        } else if !self.title.is_empty() {
            self.title.clone()
        } else {
            format!("the server answered {status}")
        };
        if status.is_server_error()
            && let Some(request) = &self.request_id
        {
            text.push_str(&format!(" (request {request})"));
        }
        text
    }
}

/// A fault in a query text, with its place in the text that was sent.
#[derive(Debug)]
pub struct QueryFault {
    text: String,
    /// First character at fault.
    pub start: usize,
    /// Character after the last one at fault.
    pub end: usize,
    hint: Option<String>,
}

impl From<ParseError> for QueryFault {
    fn from(fault: ParseError) -> QueryFault {
        QueryFault {
            text: fault.message,
            start: fault.start,
            end: fault.end,
            hint: Some(fault.hint),
        }
    }
}

impl QueryFault {
    /// The fault with the query and a mark below the place. `before` is how many characters were
    /// put before the query when it was sent.
    pub fn marked(&self, query: &str, before: usize) -> String {
        let mut lines = vec![self.text.clone()];
        let length = query.chars().count();
        let start = self.start.saturating_sub(before).min(length);
        let end = self.end.saturating_sub(before).clamp(start, length);
        if self.start >= before && !query.contains('\n') {
            let marks = "^".repeat((end - start).max(1));
            lines.push(format!("  {query}"));
            lines.push(format!("  {}{marks}", " ".repeat(start)));
        }
        lines.extend(self.hint.iter().map(|hint| format!("hint: {hint}")));
        lines.join("\n")
    }
}

impl std::fmt::Display for QueryFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for QueryFault {}

/// Chooses ring for TLS, once; the libraries that use rustls are built without a default.
pub fn prepare_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error only says that a provider is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

fn server_url(text: &str) -> Result<Url> {
    let fault = || {
        Failure::Usage(format!(
            "the server's address {text:?} must be like http://127.0.0.1:4600"
        ))
    };
    let url = Url::parse(text).map_err(|_| fault())?;
    let is_usable = matches!(url.scheme(), "http" | "https") && url.has_host();
    if !is_usable || url.query().is_some() || !url.username().is_empty() {
        return Err(fault().into());
    }
    Ok(url)
}

fn token(options: &ServerOptions) -> Result<Option<String>> {
    if options.own_token.is_some() {
        return Ok(options.own_token.clone());
    }
    if let Some(path) = &options.token_file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading the API key from {}", path.display()))?;
        return Ok(Some(text.trim().to_string()));
    }
    let token = std::env::var("TAFFRAIL_TOKEN").unwrap_or_default();
    Ok(Some(token.trim().to_string()).filter(|token| !token.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(token: Option<&str>) -> Client {
        prepare_tls();
        Client {
            http: reqwest::Client::new(),
            server: server_url("http://h:1").unwrap(),
            token: token.map(Into::into),
        }
    }

    #[test]
    fn refusals_become_exit_codes() {
        let refusal = |status, token| {
            let body = br#"{"title":"Forbidden","detail":"not yours","request_id":"r1"}"#;
            let error = client(token).refusal(status, body);
            let is_not_allowed = matches!(error.downcast_ref(), Some(Failure::NotAllowed(_)));
            (is_not_allowed, error.to_string())
        };
        let expected = (true, "not yours".into());
        assert_eq!(refusal(StatusCode::FORBIDDEN, Some("t")), expected);
        assert!(
            refusal(StatusCode::UNAUTHORIZED, None)
                .1
                .contains("TAFFRAIL_TOKEN")
        );
        let expected = (false, "not yours (request r1)".into());
        assert_eq!(refusal(StatusCode::INTERNAL_SERVER_ERROR, None), expected);
        assert!(!refusal(StatusCode::NOT_FOUND, None).0);
    }

    #[test]
    fn an_answer_without_a_problem_is_named_by_its_status() {
        let error = client(None).refusal(StatusCode::NOT_FOUND, b"<html>");
        assert_eq!(error.to_string(), "the server answered 404 Not Found");
    }

    #[test]
    fn a_fault_in_the_query_is_marked() {
        let fault = QueryFault {
            text: "unclosed group".into(),
            start: 14,
            end: 15,
            hint: Some("add `)`".into()),
        };
        let expected = "unclosed group\n  (a b\n  ^\nhint: add `)`";
        assert_eq!(fault.marked("(a b", 14), expected);
        let expected = "unclosed group\nhint: add `)`";
        assert_eq!(fault.marked("(a b", 20), expected);
    }

    #[test]
    fn addresses_without_scheme_or_with_secrets_are_refused() {
        for bad in [
            "127.0.0.1:4600",
            "ftp://h",
            "http://u:p@h",
            "http://h/?a=1",
            "",
        ] {
            assert!(server_url(bad).is_err(), "{bad}");
        }
        assert!(server_url("https://logs.example/taffrail").is_ok());
    }
}
