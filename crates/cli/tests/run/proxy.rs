//! `taffrail run --http` before a server that speaks HTTP: what passes, and that the records are
//! those of the same words on stdio.
use super::{
    programs::{NO_SERVER, Running, Scene, ended, wait_until},
    records::{self, waiting_files},
};
use crate::harness::server::{KEY, Server, http_client};
use axum::{
    Router,
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use reqwest::blocking::Client;
use rustix::process::Signal;
use std::io::{BufRead, BufReader, Write};

const SESSION: &str = "mcp-session-id";
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"greet","arguments":{"who":"me"}}}"#;
const REFUSED: &str =
    r#"{"jsonrpc":"2.0","id":"2","method":"tools/call","params":{"name":"missing"}}"#;
/// What the server answers, and says before an answer.
const WELCOME: &str = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s","version":"3"}}}"#;
const NOTE: &str = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"warning","logger":"greeter","data":"about to greet"}}"#;
const GREETING: &str =
    r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hi"}],"isError":true}}"#;
const REFUSAL: &str =
    r#"{"jsonrpc":"2.0","id":"2","error":{"code":-32602,"message":"no such tool"}}"#;

/// The server behind: streamable HTTP of 2025-06-18 with a session.
async fn mcp(method: Method, headers: HeaderMap, body: String) -> Response {
    let is_known = headers.get(SESSION).is_some_and(|name| name == "s-1");
    match (method, body.as_str()) {
        (Method::POST, INITIALIZE) => {
            let heads = [(SESSION, "s-1"), ("content-type", "application/json")];
            (heads, WELCOME).into_response()
        }
        (Method::POST, INITIALIZED) if is_known => StatusCode::ACCEPTED.into_response(),
        (Method::POST, CALL) if is_known => {
            let events = format!(
                "id: 7\nevent: message\ndata: {NOTE}\n\n: still here\n\ndata: {GREETING}\n\n"
            );
            ([("content-type", "text/event-stream")], events).into_response()
        }
        (Method::POST, REFUSED) if is_known => {
            ([("content-type", "application/json")], REFUSAL).into_response()
        }
        (Method::DELETE, "") if is_known => StatusCode::NO_CONTENT.into_response(),
        (method, body) => panic!("{method} {body:?} {headers:?}"),
    }
}

/// The same server on stdio.
fn script() -> String {
    format!(
        "while read -r line; do case \"$line\" in \
         *initialize\\\"*) echo '{WELCOME}';; \
         *greet*) echo '{NOTE}'; echo '{GREETING}';; \
         *missing*) echo '{REFUSAL}';; esac; done"
    )
}

/// Address of a server behind that lives as long as the test binary.
fn behind() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let router = Router::new().route("/mcp", any(mcp));
            axum::serve(listener, router).await.unwrap();
        });
    });
    url
}

/// A proxy that runs, and where it listens.
fn proxy(scene: &Scene, to: &str) -> (Running, String) {
    let options = ["--service", "s", "--http", "127.0.0.1:0", "--to", to];
    let mut command = scene.run(&options);
    command.env("TAFFRAIL_TOKEN", KEY);
    let mut running = Running::start(command);
    let mut said = String::new();
    let mut stderr = BufReader::new(running.child.stderr.take().unwrap());
    stderr.read_line(&mut said).unwrap();
    let address = said.strip_prefix("taffrail: recording http://");
    let address = address.and_then(|rest| rest.split(' ').next());
    let url = format!("http://{}/mcp", address.unwrap_or_else(|| panic!("{said}")));
    running.child.stderr = Some(stderr.into_inner());
    (running, url)
}

/// Ends it; what it said.
#[track_caller]
fn end(mut running: Running) -> String {
    running.signal(Signal::TERM);
    assert_eq!(ended(running.end()), (Some(0), None));
    running.said()
}

/// Everything that is said over HTTP: status and body of each answer.
fn talk(client: &Client, url: &str) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    for message in [INITIALIZE, INITIALIZED, CALL, REFUSED] {
        let mut request = client.post(url).body(message);
        request = request
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if message != INITIALIZE {
            request = request.header(SESSION, "s-1");
        }
        let answer = request.send().unwrap();
        answers.push((answer.status().as_u16(), answer.text().unwrap()));
    }
    let answer = client.delete(url).header(SESSION, "s-1").send().unwrap();
    answers.push((answer.status().as_u16(), answer.text().unwrap()));
    answers
}

/// What a record says of a message, without what the transport adds and the times.
const FIELDS: [&str; 12] = [
    "message",
    "level",
    "source",
    "mcp.method.name",
    "mcp.outcome",
    "mcp.request.sender",
    "mcp.protocol.version",
    "gen_ai.tool.name",
    "jsonrpc.request.id",
    "error.type",
    "logger",
    "mcp.request.bytes",
];

/// The records of the protocol of an instance, each as a text; the durations are cut out.
fn told(server: &Server, instance: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for stream in ["instance.access", "instance.app", "instance.error"] {
        let fields = [&FIELDS[..], &["instance_id", "http.request.method"]].concat();
        for record in server.all(stream, &fields) {
            let message = record["message"].as_str().unwrap();
            let is_of_http = !record["http.request.method"].is_null();
            if record["instance_id"] != instance || is_of_http {
                continue;
            }
            let message = match message.split_once(" in ") {
                Some((what, rest)) => {
                    format!("{what} … {}", rest.split_once(" (").unwrap_or(("", "")).1)
                }
                None => message.to_string(),
            };
            let others = FIELDS[1..].iter().map(|name| record[*name].to_string());
            let others: Vec<String> = others.collect();
            texts.push(format!("{stream} {message} {}", others.join(" ")));
        }
    }
    texts
}

/// Requests, the message of the server, the notification of the client, the summary.
const RECORDS: usize = 6;

#[test]
fn the_records_of_http_are_those_of_stdio() {
    let (_folder, _, server) = records::server();
    let mut scene = Scene::with_server(&server.url());
    let behind = behind();
    let client = http_client();
    let bare = talk(&client, &behind);
    assert_eq!(bare[2].0, 200);
    let (running, url) = proxy(&scene, &behind);
    assert_eq!(talk(&client, &url), bare);
    wait_until("all of HTTP is there while the proxy runs", || {
        (told(&server, "i1").len() == RECORDS).then_some(())
    });
    assert_eq!(end(running), "");
    scene.instance = "i2".to_string();
    let mut command = scene.run(&["--service", "s"]);
    command
        .args(["sh", "-c", &script()])
        .env("TAFFRAIL_TOKEN", KEY);
    let mut running = Running::start(command);
    let mut stdin = running.child.stdin.take().unwrap();
    for (message, answer) in [
        (INITIALIZE, Some(WELCOME)),
        (INITIALIZED, None),
        (CALL, Some(GREETING)),
        (REFUSED, Some(REFUSAL)),
    ] {
        writeln!(stdin, "{message}").unwrap();
        if let Some(answer) = answer {
            running.expect(answer);
        }
    }
    wait_until("all of stdio but the summary is there", || {
        (told(&server, "i2").len() == RECORDS - 1).then_some(())
    });
    drop(stdin);
    assert_eq!(ended(running.end()), (Some(0), None));
    if waiting_files(&scene) > 0 {
        // A loaded machine: the next run sends it.
        records::send_what_waits(&scene);
    }
    wait_until("the summary is there", || {
        (told(&server, "i2").len() >= RECORDS).then_some(())
    });
    let (mut http, mut stdio) = (told(&server, "i1"), told(&server, "i2"));
    http.sort();
    stdio.sort();
    assert_eq!(http, stdio);
    for (field, count) in [
        ("network.transport:tcp", 1),
        ("http.response.status_code:200", 1),
    ] {
        let query = format!("{field} gen_ai.tool.name:greet instance_id:i1");
        assert_eq!(server.count("instance.access", &query), count, "{field}");
    }
}

#[test]
fn without_a_server_what_passed_the_proxy_waits_for_the_next_run() {
    let behind = behind();
    let client = http_client();
    let mut scene = Scene::with_server(NO_SERVER);
    let (running, url) = proxy(&scene, &behind);
    assert_eq!(talk(&client, &url), talk(&client, &behind));
    end(running);
    assert!(waiting_files(&scene) > 0);
    let (_folder, _, server) = records::server();
    scene.server = server.url();
    let (running, _) = proxy(&scene, &behind);
    wait_until("what waited is sent", || {
        (told(&server, "i1").len() == RECORDS && waiting_files(&scene) == 0).then_some(())
    });
    end(running);
    assert_eq!(told(&server, "i1").len(), RECORDS, "each once");
}
