//! The same questions without HTTP: the engine's façade over the data directory, after the server
//! has ended.
use super::{
    process,
    questions::Ask,
    server::{Ground, STREAMS},
    tally::Range,
};
use anyhow::{Context, Result, anyhow};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use taffrail_engine::{
    Engine,
    meta::Meta,
    options::{CustomStream, EngineOptions},
    query::Order,
    read::{PageQuestion, Question},
};
use taffrail_model::{
    access::{Principal, Role, Scope},
    column::Kind,
    limits::PAGE_RECORDS_MAX,
    stream::AccessClass,
    time::{TimeRange, Timestamp},
};
use tokio::runtime::Runtime;

/// Most records of an answer that is to have all of them.
const ALL_RECORDS_MAX: usize = 10_000;
/// How often it is looked whether work in the background has ended.
const SETTLE_EVERY: Duration = Duration::from_millis(500);
/// Processor time that an idle engine may use between two looks.
const IDLE: Duration = Duration::from_millis(20);

/// An engine in this process.
pub struct Library {
    engine: Engine,
    runtime: Runtime,
    principal: Principal,
    /// How long opening took.
    pub opened: Duration,
}

impl Library {
    /// Opens a data directory as the server does.
    pub fn open(ground: &Ground) -> Result<Library> {
        let runtime = Runtime::new().context("starting the runtime")?;
        let stream = |name: &str| CustomStream {
            name: name.into(),
            retention_days: None,
            access: AccessClass::Restricted,
        };
        let options = EngineOptions {
            key_file: Some(ground.key_file()),
            streams: STREAMS.iter().map(|name| stream(name)).collect(),
            ..EngineOptions::new(ground.data())
        };
        let begun = Instant::now();
        let engine = runtime
            .block_on(Engine::open(options))
            .context("opening the data")?;
        let opened = begun.elapsed();
        let tenants = runtime
            .block_on(engine.meta().tenants())
            .context("reading the tenants")?;
        let principal = Principal {
            account: 0,
            name: "benchmark".into(),
            role: Role::Admin,
            tenants: tenants.iter().map(|tenant| tenant.number).collect(),
            own_user_ids: Arc::default(),
            scope: Scope::Full,
            credential: "benchmark".into(),
        };
        Ok(Library {
            engine,
            runtime,
            principal,
            opened,
        })
    }

    /// Makes tenants, so that there are so many; the names of all.
    pub fn make_tenants(&self, tenants: usize) -> Result<Vec<String>> {
        let have = self.principal.tenants.len();
        for number in have..tenants {
            let name = format!("tenant-{number}");
            let made = self
                .runtime
                .block_on(self.engine.meta().create_tenant(&name));
            made.context("making a tenant")?;
        }
        let all = self.runtime.block_on(self.engine.meta().tenants());
        let names = all
            .context("reading the tenants")?
            .into_iter()
            .map(|tenant| tenant.name);
        Ok(names.take(tenants).collect())
    }

    /// A question of a stream.
    pub fn question(&self, query: &str, stream: &str, range: Option<Range>) -> Question {
        let range = range.map(|(start, end)| TimeRange {
            start: Timestamp(start),
            end: Timestamp(end),
        });
        Question {
            query: query.into(),
            streams: vec![stream.into()],
            range: range.unwrap_or(TimeRange::ALL),
            ..Question::default()
        }
    }

    /// Asks; how many records the answer counts or has, or rows of a table.
    pub fn ask(&self, question: &Question, ask: Ask, width_ns: i64) -> Result<u64> {
        let page = |limit, order| {
            let page = PageQuestion {
                order,
                limit,
                offset: 0,
                cursor: None,
                fields: None,
                is_counted: false,
            };
            let answer = self.engine.search(&self.principal, question, &page);
            Ok::<_, anyhow::Error>(answer.context("searching")?.value.rows.len() as u64)
        };
        Ok(match ask {
            Ask::Count => {
                self.engine
                    .count(&self.principal, question)
                    .context("counting")?
                    .value
            }
            Ask::Latest(limit) => page(limit, Order::Descending)?,
            Ask::All => page(ALL_RECORDS_MAX, Order::Ascending)?,
            Ask::Histogram => {
                let by = Some("level".into());
                let answer = self
                    .engine
                    .histogram(&self.principal, question, width_ns, by);
                answer.context("counting by time")?.value.total()
            }
            Ask::Rows(_) => {
                let answer = self.engine.table(&self.principal, question);
                answer.context("making a table")?.value.rows.len() as u64
            }
        })
    }

    /// Gives `take` every stored value of a stream: time of its record in ns, name, kind and text.
    pub fn read_all(
        &self,
        stream: &str,
        take: &mut dyn FnMut(i64, &str, &str, &str),
    ) -> Result<()> {
        let question = self.question("", stream, None);
        let mut page = PageQuestion {
            order: Order::Arrival,
            limit: PAGE_RECORDS_MAX,
            offset: 0,
            cursor: None,
            fields: None,
            is_counted: false,
        };
        loop {
            let answer = self.engine.search(&self.principal, &question, &page);
            let answer = answer.context("reading everything")?;
            for row in &answer.value.rows {
                for (name, value) in &row.fields {
                    let kind = match value.kind {
                        Kind::String => "string",
                        Kind::Integer | Kind::Float => "number",
                        Kind::Bool => "boolean",
                        Kind::Json => "json",
                    };
                    take(row.key.timestamp.0, name, kind, &value.text);
                }
            }
            page.cursor = answer.value.cursor.map(|cursor| cursor.to_string());
            if page.cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Writes everything that is in memory into segments and waits for what follows in the
    /// background; the processor time that it took.
    pub fn drain(&self) -> Result<Duration> {
        let pid = rustix::process::getpid();
        let begun = process::cpu(pid)?;
        self.runtime
            .block_on(self.engine.flush())
            .context("flushing")?;
        let state = || Ok::<_, anyhow::Error>((process::cpu(pid)?, self.engine.status().store));
        let mut before = state()?;
        loop {
            std::thread::sleep(SETTLE_EVERY);
            let now = state()?;
            let used = now.0.total().saturating_sub(before.0.total());
            let is_same = now.1.segments == before.1.segments
                && now.1.segment_bytes_total == before.1.segment_bytes_total;
            if used <= IDLE && is_same {
                return Ok(now.0.since(begun).total());
            }
            before = now;
        }
    }

    /// Closes the data directory.
    pub fn close(self) -> Result<()> {
        let closed = self.runtime.block_on(self.engine.close());
        closed.map_err(|error| anyhow!(error).context("closing the data"))
    }
}
