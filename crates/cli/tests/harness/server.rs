//! The program as a server in a process of its own, and what a client asks of it.
use super::PROGRAM;
use reqwest::blocking::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

pub const KEY: &str = "bootstrap-key-of-the-tests-of-the-program";
/// Longer than anything here takes on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The fewest bytes of records in memory that can be set: the server flushes soonest.
pub const TAILS_BYTES_LEAST: (&str, &str) = ("TAFFRAIL_TAILS_BYTES", "8MiB");
/// Records of a page when everything is read.
const PAGE_RECORDS: usize = 10_000;

/// A client that waits for long.
pub fn http_client() -> Client {
    // An error only says that a provider is there already: the libraries are built without.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(PATIENCE).build().unwrap()
}

/// An address of the loopback network that no other server of the tests has, and any port: one that is
/// killed finds its port free when it comes back, and nobody else has answered there meanwhile.
pub fn own_address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(number < 255, "too many servers");
    format!("127.{number}.{high}.{low}:0")
}

/// How a server is started.
#[derive(Clone)]
pub struct Start {
    /// Where its key and its home are; the data too, unless `data` says otherwise.
    pub folder: PathBuf,
    /// The data directory.
    pub data: PathBuf,
    /// Address and port.
    pub listen: String,
    /// Further arguments of `serve`.
    pub arguments: Vec<OsString>,
    /// Further variables.
    pub environment: Vec<(&'static str, String)>,
    /// A command that starts the program given to it, such as `nsenter`.
    pub through: Vec<OsString>,
}

impl Start {
    pub fn in_folder(folder: &Path) -> Start {
        Start {
            folder: folder.to_owned(),
            data: folder.join("data"),
            listen: "127.0.0.1:0".to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            through: Vec::new(),
        }
    }

    fn command(&self) -> Command {
        let mut words = self.through.clone();
        words.push(PROGRAM.into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command.args(["serve", "--listen", &self.listen, "--data-dir"]);
        command.arg(&self.data);
        command.arg("--key-file").arg(self.folder.join("main.key"));
        command.args(&self.arguments);
        // Nothing of whoever runs the tests.
        command.env_clear().env("HOME", &self.folder);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TAFFRAIL_BOOTSTRAP_KEY", KEY);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.folder);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

/// A running server; ends with the test.
pub struct Server {
    child: Child,
    /// What it says on standard error.
    said: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    address: String,
    http: Client,
}

impl Server {
    /// Starts it and waits until it answers. Where the port of a server that is gone is taken for
    /// the moment, it is started again.
    #[track_caller]
    pub fn start(start: &Start) -> Server {
        let begun = Instant::now();
        loop {
            match Server::start_once(start) {
                Ok(server) => return server,
                Err(said) if said.contains("in use") && begun.elapsed() < PATIENCE => {}
                Err(said) => panic!("the server is not ready: {said}"),
            }
        }
    }

    /// Starts it; what it said if it does not answer.
    fn start_once(start: &Start) -> Result<Server, String> {
        let mut child = start.command().spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let said = Arc::new(Mutex::new(String::new()));
        let (ready, is_ready) = mpsc::channel();
        let to = said.clone();
        // Read to the end, so that the server never waits for its reader.
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut said = to.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
                if let Some((_, address)) = line.split_once("listening on http://") {
                    // Nobody waits for a second one.
                    let _ = ready.send(address.trim().to_owned());
                }
            }
        });
        let address = is_ready.recv_timeout(PATIENCE);
        let words = said.lock().unwrap().clone();
        let Ok(address) = address else {
            let _ = child.kill();
            let status = child.wait();
            return Err(format!("{status:?}\n{words}"));
        };
        // A setting that is misspelt is only a note to it, and a test that proves nothing here.
        assert!(!words.contains("unknown variable"), "{words}");
        Ok(Server {
            child,
            said,
            reader: Some(reader),
            address,
            http: http_client(),
        })
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on standard error.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// SIGKILL: nothing of the program runs after it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGKILL, and a new start in its place.
    #[track_caller]
    pub fn kill_and_restart(&mut self, start: &Start) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        *self = Server::start(start);
    }

    /// SIGTERM and a clean end; what the server has said.
    #[track_caller]
    pub fn stop(mut self) -> String {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        // The last words come after the end.
        self.reader.take().unwrap().join().unwrap();
        let said = self.said();
        assert!(status.success(), "{status}: {said}");
        said
    }

    /// Most memory that the process has had, in bytes.
    pub fn memory_peak_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process_id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let number = line.unwrap().split_ascii_whitespace().nth(1).unwrap();
        number.parse::<u64>().unwrap() << 10
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        Answer::of(self.http.get(format!("http://{}{path}", self.address)))
    }

    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        Answer::of(self.http.delete(format!("http://{}{path}", self.address)))
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("http://{}{path}", self.address))
    }

    #[track_caller]
    pub fn ingest(&self, stream: &str, body: impl Into<reqwest::blocking::Body>) -> Answer {
        let request = self.post(&format!("/api/v1/ingest/{stream}"));
        Answer::of(request.body(body))
    }

    /// The `data` of a search.
    #[track_caller]
    pub fn search(&self, question: Value) -> Value {
        let answer = Answer::of(self.post("/api/v1/search").json(&question));
        let data = answer.data();
        assert_eq!(data["partial"], false, "{data}");
        data
    }

    /// How many records of a stream match.
    #[track_caller]
    pub fn count(&self, stream: &str, query: &str) -> u64 {
        let data = self.search(json!({ "query": query, "streams": [stream], "limit": 0 }));
        data["total"].as_u64().unwrap()
    }

    /// All records of a stream in order of arrival, with these fields.
    #[track_caller]
    pub fn all(&self, stream: &str, fields: &[&str]) -> Vec<Value> {
        let mut records = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let mut data = self.search(json!({
                "streams": [stream], "fields": fields, "order": "arrival",
                "limit": PAGE_RECORDS, "count": false, "cursor": cursor,
            }));
            let Value::Array(page) = data["records"].take() else {
                panic!("no records: {data}");
            };
            records.extend(page);
            cursor = data["cursor"].take();
            if cursor.is_null() {
                return records;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    /// Sends the request as the admin.
    #[track_caller]
    pub fn of(request: RequestBuilder) -> Answer {
        let response = request.bearer_auth(KEY).send().unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().unwrap(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// What a success says.
    #[track_caller]
    pub fn data(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["data"].take()
    }

    /// The document of a problem, which must have the documented form, and its kind.
    #[track_caller]
    pub fn problem(&self) -> (u16, String, Value) {
        let document = self.json();
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        assert_eq!(document["status"], self.status, "{self:?}");
        assert_eq!(
            document["request_id"].as_str(),
            self.header("x-request-id"),
            "{self:?}"
        );
        for member in ["title", "detail"] {
            let text = document[member].as_str();
            assert!(text.is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        let kind = document["type"].as_str().unwrap_or_default();
        let word = kind.strip_prefix("urn:taffrail:problem:");
        let word = word.unwrap_or_else(|| panic!("no problem: {self:?}"));
        (self.status, word.to_owned(), document)
    }
}
