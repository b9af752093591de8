//! A server with its own data directory, and a client.
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::sync::{Arc, Once, OnceLock};
use taffrail_engine::Engine;
use taffrail_model::{clock::Clock, stream::AccessClass};
use taffrail_server::{
    Server, ServerOptions,
    config::{BootstrapKey, Config, StreamSettings},
};
use tempfile::TempDir;

pub const BOOTSTRAP_KEY: &str = "bootstrap-0123456789-0123456789-0123";
pub const PASSWORD: &str = "correct horse battery";

pub struct Harness {
    server: Option<Server>,
    pub base: String,
    pub http: reqwest::Client,
    pub directory: TempDir,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn data(&self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        self.json()["data"].take()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is a whole problem document, and gives its word.
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        let document = self.json();
        assert_eq!(document["status"], self.status.as_u16());
        assert_eq!(document["request_id"], self.header("x-request-id"));
        assert!(document["title"].is_string() && document["detail"].is_string());
        let kind = document["type"].as_str().unwrap();
        let word = kind.strip_prefix("urn:taffrail:problem:").unwrap();
        (self.status.as_u16(), word.to_owned())
    }
}

impl Harness {
    pub async fn start() -> Harness {
        Harness::start_with(|_| {}).await
    }

    pub async fn start_with(configure: impl FnOnce(&mut Config)) -> Harness {
        Harness::start_with_options(|options| configure(&mut options.config)).await
    }

    pub async fn start_with_options(configure: impl FnOnce(&mut ServerOptions)) -> Harness {
        Harness::open(configure, None).await
    }

    pub async fn start_with_clock(clock: Arc<dyn Clock>) -> Harness {
        Harness::open(|_| {}, Some(clock)).await
    }

    async fn open(
        configure: impl FnOnce(&mut ServerOptions),
        clock: Option<Arc<dyn Clock>>,
    ) -> Harness {
        static TLS: Once = Once::new();
        TLS.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            data_dir: directory.path().join("data"),
            key_file: Some(directory.path().join("keys/main.key")),
            bootstrap_key: BootstrapKey::new(BOOTSTRAP_KEY),
            ..Config::default()
        };
        let machine = StreamSettings {
            retention_days: Some(3_650),
            access: AccessClass::Restricted,
        };
        config.streams.insert("machine".into(), machine);
        let mut options = ServerOptions {
            config,
            port_file: Some(directory.path().join("port")),
            ..ServerOptions::default()
        };
        configure(&mut options);
        let started = match clock {
            None => Server::start(options).await,
            Some(clock) => {
                let engine = options.config.engine_options();
                let engine = Engine::open_with_clock(engine, clock).await.unwrap();
                Server::over(engine, options).await
            }
        };
        let server = started.unwrap();
        Harness {
            base: format!("http://{}", server.address()),
            server: Some(server),
            http: reqwest::Client::new(),
            directory,
        }
    }

    pub fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub async fn stop(mut self) -> TempDir {
        self.server.take().unwrap().stop().await.unwrap();
        self.directory
    }

    pub fn take_server(&mut self) -> Server {
        self.server.take().unwrap()
    }

    /// A request without a credential.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// A request with the bootstrap key.
    pub fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(BOOTSTRAP_KEY)
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.admin(Method::GET, path)).await
    }

    pub async fn get_as(&self, key: &str, path: &str) -> Answer {
        send(self.bare(Method::GET, path).bearer_auth(key)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.admin(Method::POST, path).json(body)).await
    }

    pub async fn post_as(&self, key: &str, path: &str, body: &Value) -> Answer {
        send(self.bare(Method::POST, path).bearer_auth(key).json(body)).await
    }

    pub async fn ingest(&self, stream: &str, body: impl Into<reqwest::Body>) -> Answer {
        let path = format!("/api/v1/ingest/{stream}");
        send(self.admin(Method::POST, &path).body(body)).await
    }

    /// Stores records that have these messages, in order, a second apart.
    pub async fn store(&self, stream: &str, messages: &[&str]) {
        let lines: Vec<_> = messages
            .iter()
            .enumerate()
            .map(|(index, message)| {
                json!({ "timestamp": recent(index), "message": message }).to_string()
            })
            .collect();
        let answer = self.ingest(stream, lines.join("\n")).await;
        assert_eq!(answer.data()["accepted"], messages.len(), "{}", answer.text);
    }

    /// Messages that a search finds, in its order.
    pub async fn found(&self, body: Value) -> Vec<String> {
        let data = self.post("/api/v1/search", &body).await.data();
        messages(&data["records"])
    }

    /// Makes an account, and an API key of its; gives its number and the key.
    pub async fn account(&self, name: &str, role: &str, own_user_ids: &[&str]) -> (i64, String) {
        let body = json!({
            "name": name, "password": PASSWORD, "role": role, "own_user_ids": own_user_ids,
        });
        let id = self.post("/api/v1/users", &body).await.data()["id"]
            .as_i64()
            .unwrap();
        let body = json!({ "account": id, "name": "test" });
        let made = self.post("/api/v1/keys", &body).await.data();
        (id, made["secret"].as_str().unwrap().to_owned())
    }

    /// The value of a measure without labels.
    pub async fn measure(&self, name: &str) -> u64 {
        let text = self.get("/metrics").await.text;
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap().trim().parse().unwrap()
    }

    /// Logs in; gives the cookie as it is sent back.
    pub async fn login(&self, name: &str, password: &str) -> Result<String, Answer> {
        let body = json!({ "name": name, "password": password });
        let answer = send(self.bare(Method::POST, "/api/v1/sessions").json(&body)).await;
        if !answer.status.is_success() {
            return Err(answer);
        }
        Ok(answer
            .header("set-cookie")
            .split(';')
            .next()
            .unwrap()
            .to_owned())
    }
}

pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

pub fn messages(records: &Value) -> Vec<String> {
    let records = records.as_array().unwrap();
    let message = |record: &Value| record["message"].as_str().unwrap_or("-").to_owned();
    records.iter().map(message).collect()
}

/// A time within the last hours, the later the greater `second`: the same at each call with the
/// same one, whenever the next minute begins.
pub fn recent(second: usize) -> String {
    static START_S: OnceLock<i64> = OnceLock::new();
    let start_s = *START_S.get_or_init(|| (now_s() - 7_200) / 60 * 60);
    time_text(start_s + i64::try_from(second).unwrap())
}

/// The same time of yesterday.
pub fn yesterday() -> String {
    time_text(now_s() - 86_400)
}

fn now_s() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

fn time_text(time_s: i64) -> String {
    taffrail_model::time::Timestamp(time_s * 1_000_000_000).to_rfc3339()
}
