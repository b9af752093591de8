//! Secrets never reach the disk: planted under every default rule in many places of records, they
//! are looked for in everything that the data directory holds, unpacked, and in everything that
//! the server answers and says.
//!
//! Beside each secret stands a witness that is no secret. It must be found wherever the secret is
//! not: so the search itself is proved.
use super::data_directory::Contents;
use crate::harness::server::{Answer, KEY, PATIENCE, Server, Start, TAILS_BYTES_LEAST};
use serde_json::{Value, json};

const STREAM: &str = "app.backend";
/// Attributes of a stream and day; what is beyond is kept in one JSON text.
const FIELDS_MAX: usize = 1_000;
/// More than the tails of this server may hold.
const FILLER_BYTES: usize = 12 << 20;

/// Records with secrets, and the secrets.
#[derive(Default)]
struct Planted {
    records: Vec<Value>,
    secrets: Vec<String>,
}

impl Planted {
    /// A record of each place for a secret of this kind.
    fn plant(&mut self, secret: &str, places: impl Fn(&str) -> Vec<Value>) {
        for place in 0.. {
            // Each place its own secret, so that a find says which.
            let secret = format!("{secret}{place}x{:x}", 0x1_0000_0000_u64 * (place + 7) / 11);
            let all = places(&secret);
            let Some(record) = all.into_iter().nth(usize::try_from(place).unwrap()) else {
                return;
            };
            self.add(record, &[&secret]);
        }
    }

    fn add(&mut self, mut record: Value, secrets: &[&str]) {
        record["witness"] = witness(self.records.len()).into();
        self.records.push(record);
        self.secrets
            .extend(secrets.iter().map(|secret| (*secret).to_owned()));
    }

    /// The records as NDJSON, and one that is rejected: what is said of it is stored too.
    fn body(&self) -> String {
        let mut lines: Vec<String> = self.records.iter().map(Value::to_string).collect();
        lines.push(r#"{"message":"m","timestamp":"password=PlantInRejected7"}"#.into());
        lines.join("\n")
    }
}

fn witness(number: usize) -> String {
    format!("Witness{number:04}")
}

/// Places of a secret whose field is `name`: fields in every nesting and spelling, and texts.
fn places(name: &str, secret: &str) -> Vec<Value> {
    let words: Vec<&str> = name.split('_').collect();
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    let camel: String = words[1..].iter().map(|word| capital(word)).collect();
    let camel = words[0].to_owned() + &camel;
    let pascal = capital(&camel);
    let kebab = name.replace('_', "-");
    let upper = name.to_uppercase();
    let inner = json!({ name: secret, "other": 1 }).to_string();
    vec![
        json!({ name: secret }),
        json!({ camel: secret }),
        json!({ format!("db{pascal}"): secret }),
        json!({ format!("x-{kebab}"): secret }),
        json!({ upper.as_str(): secret }),
        json!({ "context": { "user": { name: secret } } }),
        json!({ "user": { name: { "old": secret } } }),
        json!({ "items": [{ "deep": [{ name: secret }] }] }),
        json!({ name: [secret, "more"] }),
        json!({ "message": format!("login with {name}={secret} failed") }),
        json!({ "message": format!("{upper}: {secret}") }),
        json!({ "message": format!("sent {inner} to it") }),
        json!({ "message": inner }),
        json!({ "note": format!("run --{kebab} {secret} now") }),
        json!({ "error": { "message": format!("bad {name}='{secret}'"),
                           "stack": format!("at f ({name}=\"{secret}\")") } }),
        json!({ "request_path": format!("/login?user=me&{name}={secret}&next=1") }),
        json!({ "user_id": format!("{name}={secret}") }),
    ]
}

fn planted() -> Planted {
    let mut planted = Planted::default();
    for name in [
        "password",
        "token",
        "access_token",
        "refresh_token",
        "secret",
        "api_key",
    ] {
        planted.plant(&format!("Plant{}", name.replace('_', "")), |secret| {
            places(name, secret)
        });
    }
    planted.plant("PlantBearer", |secret| {
        let header = format!("Bearer {secret}");
        vec![
            json!({ "headers": { "authorization": header } }),
            json!({ "message": format!("curl -H 'Authorization: {header}' host") }),
            json!({ "list": [format!("authorization: {header}")] }),
        ]
    });
    // Numbers, each in several places. Valid by prefix, length and check digit.
    for card in [
        "4111111111111111",
        "5555555555554444",
        "378282246310005",
        "6011111111111117",
    ] {
        let grouped = |between: &str| -> String {
            let groups = card.as_bytes().chunks(4).map(String::from_utf8_lossy);
            groups.collect::<Vec<_>>().join(between)
        };
        let (dashes, blanks) = (grouped("-"), grouped(" "));
        let number: u64 = card.parse().unwrap();
        for record in [
            json!({ "message": format!("paid with {card}.") }),
            json!({ "payment": { "pan": card } }),
            json!({ "payment": { "pan": number } }),
            json!({ "cards": [card, number] }),
            json!({ "message": format!("paid with {dashes}, or {blanks}") }),
        ] {
            planted.add(record, &[card, &dashes, &blanks]);
        }
    }
    for ssn in ["123-45-6789", "234-56-7891"] {
        let digits = ssn.replace('-', "");
        planted.add(json!({ "message": format!("ssn is {ssn}") }), &[ssn]);
        planted.add(json!({ "person": { "number": ssn } }), &[ssn]);
        planted.add(json!({ "list": [{ "n": ssn }] }), &[ssn]);
        planted.add(json!({ "person": { "ssn": digits } }), &[ssn, &digits]);
    }
    // Past the number of columns, fields are kept in one text. Its neighbours are already there.
    let mut wide = json!({});
    for field in 0..FIELDS_MAX {
        wide[format!("field_{field:04}")] = 1.into();
    }
    wide["zz"] = json!({ "password": "PlantOverflow7" });
    wide["zz_text"] = "token=PlantOverflowText7".into();
    planted.add(wide, &["PlantOverflow7", "PlantOverflowText7"]);
    planted.secrets.push("PlantInRejected7".into());
    planted
}

/// No secret stands in `bytes`.
#[track_caller]
fn assert_clean(secrets: &[String], bytes: &[u8], place: &str) {
    for secret in secrets {
        if let Some(at) = memchr::memmem::find(bytes, secret.as_bytes()) {
            let around = &bytes[at.saturating_sub(80)..bytes.len().min(at + 80)];
            let around = String::from_utf8_lossy(around);
            panic!("{secret} is in {place}: {around:?}");
        }
    }
}

/// Every witness stands in `bytes`: whoever looks there sees the records.
#[track_caller]
fn assert_witnessed(planted: &Planted, bytes: &[u8], place: &str) {
    for number in 0..planted.records.len() {
        let witness = witness(number);
        let is_there = memchr::memmem::find(bytes, witness.as_bytes()).is_some();
        assert!(
            is_there,
            "{witness} is not seen in {place}: the search is blind"
        );
    }
}

fn check_directory(start: &Start, secrets: &[String]) -> Contents {
    let contents = Contents::read(&start.data);
    assert_clean(secrets, &contents.raw, "the files as they are");
    assert_clean(secrets, &contents.log, "the log");
    assert_clean(secrets, &contents.segments, "the segments");
    contents
}

/// An account, a key and a session; what must not be stored of them.
fn credentials(server: &Server) -> Vec<String> {
    const PASSWORD: &str = "PlantAccountPassword7";
    let account = json!({ "name": "jane", "password": PASSWORD, "role": "user" });
    let made = |path: &str, what: &Value| {
        let answer = Answer::of(server.post(path).json(what));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["data"].take()
    };
    let id = made("/api/v1/users", &account)["id"].take();
    let key = made("/api/v1/keys", &json!({ "account": id, "name": "test" }));
    let login = json!({ "name": "jane", "password": PASSWORD });
    let session = Answer::of(server.post("/api/v1/sessions").json(&login));
    assert_eq!(session.status / 100, 2, "{session:?}");
    let cookie = session.header("set-cookie").unwrap();
    let token = cookie.split([';', '=']).nth(1).unwrap();
    assert!(token.len() >= 16, "{cookie}");
    [PASSWORD, key["secret"].as_str().unwrap(), token, KEY]
        .map(str::to_owned)
        .into()
}

/// What searches give: no secret by any way, every witness, a mask for each secret.
fn check_searches(server: &Server, planted: &Planted) {
    for secret in &planted.secrets {
        let query = format!("\"{secret}\"");
        assert_eq!(server.count(STREAM, &query), 0, "{query}");
    }
    let page = server.search(json!({ "query": "witness:*", "streams": [STREAM], "limit": 10_000 }));
    let records = page["records"].as_array().unwrap();
    assert_eq!(records.len(), planted.records.len());
    for record in records {
        let text = record.to_string();
        assert!(text.contains("[REDACTED:"), "nothing is masked: {text}");
        assert_clean(&planted.secrets, text.as_bytes(), "a search");
    }
    let own = server.get("/api/v1/search?streams=system.*,security&limit=10000");
    assert!(!own.data()["records"].as_array().unwrap().is_empty());
    assert_clean(
        &planted.secrets,
        own.text.as_bytes(),
        "the product's own events",
    );
}

#[test]
fn planted_secrets_are_nowhere_on_disk_and_in_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut start = Start::in_folder(folder.path());
    start.arguments = vec!["--encryption".into(), "off".into()];
    let (name, least) = TAILS_BYTES_LEAST;
    start.environment = vec![(name, least.to_owned())];
    let planted = planted();

    // In the log.
    let server = Server::start(&start);
    let request = server.post(&format!("/api/v1/ingest/{STREAM}"));
    let request = request.header("idempotency-key", "planting");
    let answer = Answer::of(request.body(planted.body()));
    let data = answer.data();
    assert_eq!(data["accepted"], planted.records.len(), "{data}");
    assert_eq!(data["rejected"][0]["type"], "invalid_timestamp", "{data}");
    assert_clean(&planted.secrets, answer.text.as_bytes(), "the answer");
    let mut secrets = credentials(&server);
    secrets.extend(planted.secrets.iter().cloned());
    check_searches(&server, &planted);
    let said = server.stop();
    assert_clean(&secrets, said.as_bytes(), "what the server says");
    let contents = check_directory(&start, &secrets);
    assert_witnessed(&planted, &contents.log, "the log");

    // In segments: more arrives than the tails may hold.
    let server = Server::start(&start);
    let text = "filler ".repeat(8 << 10 >> 3);
    let filler = format!("{{\"message\":\"{text}\"}}\n");
    let batch = filler.repeat((2 << 20) / filler.len());
    for _ in 0..FILLER_BYTES / batch.len() + 1 {
        assert_eq!(server.ingest(STREAM, batch.clone()).status, 200);
    }
    let is_flushed = || {
        let metrics = server.get("/metrics").text;
        !metrics.contains("\ntaffrail_store_sections 0\n")
    };
    let begun = std::time::Instant::now();
    while !is_flushed() {
        assert!(begun.elapsed() < PATIENCE, "nothing becomes a segment");
    }
    check_searches(&server, &planted);
    let said = server.stop();
    assert_clean(&secrets, said.as_bytes(), "what the server says");
    let contents = check_directory(&start, &secrets);
    assert_witnessed(&planted, &contents.segments, "the segments");
    println!(
        "{} secrets are in none of {} bytes of files, {} of the log, {} of segments, unpacked",
        secrets.len(),
        contents.raw.len(),
        contents.log.len(),
        contents.segments.len()
    );
}
