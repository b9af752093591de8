//! One data set from its making to the last figure.
use super::{
    Settings,
    ask::{Asked, Scene, Verdict},
    data::Source,
    library::Library,
    load::{
        BATCH_RECORDS, FILL_BATCH_RECORDS, FullRate, ORDINARY_BATCH_RECORDS, SMALL_BATCH_RECORDS,
        Target, first_bodies, freshness, percentile_ms,
    },
    needles, process,
    questions::{self, Rule},
    readback::Columns,
    report::{Budget, Row, SetReport, grouped},
    say,
    seen::Seen,
    server::{Ground, Server},
    survey::{Survey, survey},
    tally::{self, Chosen, Range, Tally},
    yardstick::Yardstick,
};
use anyhow::{Result, bail};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use taffrail_model::time::NS_PER_S;

/// Batches that are sent again and again where records are added.
const BODIES_MAX: usize = 20;
const NS_PER_HOUR: i64 = 3_600 * NS_PER_S;

/// What a data set is.
pub struct DataSet {
    pub name: &'static str,
    pub stream: &'static str,
    pub source: Source,
    pub budgets: Option<Budgets>,
    /// A word that is in one of ten thousand records.
    pub rare_word: Option<&'static str>,
    pub rules: fn(&questions::Needles) -> Vec<Rule>,
    /// Times of everything; `None` if the data has any.
    pub day: Option<Range>,
    /// Times of the hour, if they are known.
    pub hour: Option<Range>,
    /// Whether acknowledgements, freshness and restart are measured.
    pub has_latencies: bool,
}

/// What the figures of a data set should be at most.
#[derive(Clone, Copy)]
pub struct Budgets {
    /// Processor time, times that of `zstd -3`.
    pub cpu: f64,
    /// Bytes, times those of `zstd -3`.
    pub size: f64,
    /// Records a second, if there is a budget.
    pub rate: Option<f64>,
    /// Bytes of memory, if there is a budget.
    pub peak_mb: Option<f64>,
}

/// A data set under way.
pub struct Run<'a> {
    set: &'a DataSet,
    settings: &'a Settings,
    ground: Ground,
    survey: Survey,
    chosen: Vec<Chosen>,
    tally: Tally,
    hour: Range,
    tenants: Vec<String>,
    rows: Vec<Row>,
    asked: Vec<Asked>,
    /// Records that were acknowledged so far.
    acknowledged: u64,
    /// Where there are budgets.
    yardstick: Option<Yardstick>,
}

impl<'a> Run<'a> {
    /// Makes the data, draws the needles and counts what must be found.
    pub fn prepare(set: &'a DataSet, settings: &'a Settings, ground: Ground) -> Result<Run<'a>> {
        say(&format!("{}: making the data, and zstd -3 of it", set.name));
        let survey = survey(&set.source, ground.folder(), settings.seed)?;
        if survey.records == 0 {
            bail!("there are no records");
        }
        let drawn = needles::draw(&survey.sample, set.rare_word, settings.seed);
        let mut rules = (set.rules)(&drawn);
        rules.extend(settings.queries.clone());
        let hour = set.hour.unwrap_or_else(|| middle_hour(&survey.sample));
        say(&format!("counting in {} records", grouped(survey.records)));
        let tally = tally::count(&survey.source, &rules, hour, u64::MAX)?;
        let chosen = tally::choose(&rules, &tally);
        Ok(Run {
            tally: Tally {
                found: Vec::new(),
                ..tally
            },
            set,
            settings,
            ground,
            survey,
            chosen,
            hour,
            tenants: Vec::new(),
            rows: Vec::new(),
            asked: Vec::new(),
            acknowledged: 0,
            yardstick: match set.budgets {
                Some(_) => Some(Yardstick::new()?),
                None => None,
            },
        })
    }

    /// Measures everything.
    pub fn measure(mut self) -> Result<SetReport> {
        if self.settings.tenants > 1 {
            let library = Library::open(&self.ground)?;
            self.tenants = library.make_tenants(self.settings.tenants)?;
            library.close()?;
        }
        let server = self.ground.start()?;
        let rate = self.ingest(&server)?;
        let server = match self.settings.reads_back {
            true => self.read_back(server)?,
            false => server,
        };
        self.fill_tail(&server)?;
        self.ask_all(&server, rate.accepted as f64 / rate.took.as_secs_f64())?;
        self.rows.push(Row::new(
            "peak memory with the questions",
            mb(server.peak_bytes()?),
            "MB",
        ));
        server.stop()?;
        self.through_the_library(&rate)?;
        if self.set.has_latencies {
            let server = self.ground.start()?;
            self.latencies(&server, rate.accepted as f64 / rate.took.as_secs_f64())?;
            self.restart(server)?;
        }
        Ok(SetReport {
            name: self.set.name,
            records: self.survey.records,
            bytes: self.survey.bytes,
            reference: self.survey.reference,
            rows: self.rows,
            asked: self.asked,
        })
    }

    fn target<'s>(&'s self, server: &'s Server) -> Target<'s> {
        Target {
            server,
            stream: self.set.stream,
            tenants: &self.tenants,
            connections: self.settings.connections,
        }
    }

    /// How many times as long the machine takes now as that of the budgets.
    fn slowness(&self) -> Result<Option<f64>> {
        self.yardstick.as_ref().map(Yardstick::slowness).transpose()
    }

    fn bodies(&self, records: usize) -> Result<Vec<Vec<u8>>> {
        first_bodies(
            &self.survey.source,
            records,
            BODIES_MAX * BATCH_RECORDS / records,
        )
    }

    fn ingest(&mut self, server: &Server) -> Result<FullRate> {
        say(&format!(
            "ingest over {} connections",
            self.settings.connections
        ));
        let before = self.slowness()?;
        let rate = self.target(server).send_all(&self.survey.source)?;
        let slowness = mean(before, self.slowness()?);
        if rate.accepted != self.tally.records {
            let expected = self.tally.records;
            bail!("{} records were accepted of {expected}", rate.accepted);
        }
        self.acknowledged = rate.accepted;
        if server.total()? != rate.accepted {
            bail!("not every record that was acknowledged is found");
        }
        let budgets = self.set.budgets;
        let per_second = rate.accepted as f64 / rate.took.as_secs_f64();
        let note = format!(
            "over {} connections, which share the cores",
            self.settings.connections
        );
        let least = budgets
            .and_then(|budgets| budgets.rate)
            .map(Budget::AtLeast);
        self.rows.push(
            Row::new("records/s", per_second, "")
                .with_budget(least)
                .with_slowness(slowness)
                .with_note(note),
        );
        let batches = format!("batches of {}", grouped(BATCH_RECORDS as u64));
        for (name, hundredths) in [("p50", 50), ("p99", 99)] {
            let name = format!("acknowledged at full rate, {name}");
            let value = percentile_ms(&rate.latencies, hundredths);
            self.rows
                .push(Row::new(name, value, "ms").with_note(&batches));
        }
        let most = budgets
            .and_then(|budgets| budgets.peak_mb)
            .map(Budget::AtMost);
        let peak = mb(server.peak_bytes()?);
        self.rows
            .push(Row::new("peak memory while ingesting", peak, "MB").with_budget(most));
        Ok(rate)
    }

    /// Compares what the store has with what was sent, once everything is in segments, and starts
    /// the server again.
    fn read_back(&mut self, server: Server) -> Result<Server> {
        say("reading every value again");
        server.stop()?;
        let library = Library::open(&self.ground)?;
        library.drain()?;
        let stored = Columns::of_store(&library, self.set.stream)?;
        library.close()?;
        let sent = Columns::of_source(&self.survey.source)?;
        let (columns, values) = sent.compare(&stored)?;
        let note = format!(
            "{} values, compared by a hash of each column",
            grouped(values)
        );
        let row = Row::new("columns read back as they were sent", columns as f64, "");
        self.rows.push(row.with_note(note));
        self.ground.start()
    }

    /// With `--full-tails`, sends records again until the tail is full, and counts them too.
    fn fill_tail(&mut self, server: &Server) -> Result<()> {
        if !self.settings.has_full_tails {
            return Ok(());
        }
        say("filling the tail");
        let bodies = self.bodies(FILL_BATCH_RECORDS)?;
        // No body twice: what was sent is then the first lines of the data.
        let most = (bodies.len() * FILL_BATCH_RECORDS) as u64;
        let lines = self
            .target(server)
            .fill_tail(&bodies, most.min(self.survey.records))?;
        self.acknowledged += lines;
        let rules: Vec<Rule> = self
            .chosen
            .iter()
            .map(|chosen| chosen.rule.clone())
            .collect();
        let more = tally::count(&self.survey.source, &rules, self.hour, lines)?;
        for (chosen, found) in self.chosen.iter_mut().zip(&more.found) {
            if let (Some(have), Some(found)) = (&mut chosen.found, found.first()) {
                have.merge(found.clone());
            }
        }
        self.tally.merge(Tally {
            found: Vec::new(),
            ..more
        });
        let rows = server.metric("taffrail_store_tails_rows")?;
        self.rows
            .push(Row::new("records in tails while asked", rows, ""));
        Ok(())
    }

    fn ask_all(&mut self, server: &Server, records_a_second: f64) -> Result<()> {
        say(&format!("{} questions over HTTP", self.chosen.len()));
        let before = self.slowness()?;
        match self.settings.is_ingesting {
            true => self.ask_while_ingesting(server, records_a_second / 2.0)?,
            false => self.asked = self.ask_each(server, false)?,
        }
        let slowness = mean(before, self.slowness()?);
        for asked in &mut self.asked {
            asked.slowness = slowness;
        }
        Ok(())
    }

    fn ask_while_ingesting(&mut self, server: &Server, records_a_second: f64) -> Result<()> {
        let bodies = self.bodies(BATCH_RECORDS)?;
        let is_done = AtomicBool::new(false);
        let (asked, sent) = std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                let goes_on = || !is_done.load(Ordering::Relaxed);
                self.target(server)
                    .send_while(&bodies, records_a_second, goes_on)
            });
            let asked = self.ask_each(server, true);
            is_done.store(true, Ordering::Relaxed);
            (asked, sender.join())
        });
        self.asked = asked?;
        let Ok(sent) = sent else {
            bail!("the sender ended")
        };
        let sent = sent?;
        self.acknowledged += sent;
        self.rows
            .push(Row::new("records added while asked", sent as f64, ""));
        Ok(())
    }

    fn ask_each(&self, server: &Server, is_growing: bool) -> Result<Vec<Asked>> {
        let scene = self.scene(is_growing);
        let data = self.ground.data();
        let prepare = || match self.settings.is_cold {
            true => process::drop_cache(&data),
            false => Ok(()),
        };
        self.chosen
            .iter()
            .map(|chosen| scene.ask(server, chosen, prepare))
            .collect()
    }

    fn scene(&self, is_growing: bool) -> Scene<'_> {
        Scene {
            stream: self.set.stream,
            day: self.set.day,
            hour: self.hour,
            days: self.settings.days,
            tally: &self.tally,
            is_growing,
            runs: self.settings.runs,
        }
    }

    /// Asks through the library, then writes what is left into segments and looks at the size.
    fn through_the_library(&mut self, rate: &FullRate) -> Result<()> {
        say("the same questions through the library");
        let library = Library::open(&self.ground)?;
        let mut asked = std::mem::take(&mut self.asked);
        let scene = self.scene(false);
        for asked in &mut asked {
            let mine = |chosen: &&Chosen| chosen.rule.id == asked.id;
            let is_asked = !matches!(asked.verdict, Verdict::NotAvailable(_) | Verdict::Wrong(_));
            // While records were added, answers over HTTP had fewer.
            if self.settings.is_ingesting {
                asked.records = None;
            }
            if let Some(chosen) = self.chosen.iter().find(mine).filter(|_| is_asked) {
                scene.ask_library(&library, chosen, asked)?;
            }
        }
        self.asked = asked;
        say("writing what is in memory into segments");
        let opened = library.opened;
        let drained = library.drain()?;
        library.close()?;
        self.rows.push(Row::new(
            "opening after a clean stop",
            opened.as_secs_f64(),
            "s",
        ));
        self.cpu_and_size(rate, drained)
    }

    fn cpu_and_size(&mut self, rate: &FullRate, drained: Duration) -> Result<()> {
        let is_more = self.acknowledged > rate.accepted;
        // What was added is in the drain too, so the drain is no part of the ingest then.
        let drained = if is_more { Duration::ZERO } else { drained };
        let (cpu, zstd) = (
            (rate.cpu.total() + drained).as_secs_f64(),
            self.survey.reference,
        );
        let budgets = self.set.budgets;
        let note = format!(
            "user {:.2}, system {:.2}, segments of what was left in memory {:.2}",
            rate.cpu.user.as_secs_f64(),
            rate.cpu.system.as_secs_f64(),
            drained.as_secs_f64()
        );
        self.rows
            .push(Row::new("server CPU", cpu, "s").with_note(note));
        let most = budgets.map(|budgets| Budget::AtMost(budgets.cpu));
        let ratio = cpu / zstd.cpu.as_secs_f64().max(f64::EPSILON);
        self.rows
            .push(Row::new("server CPU / zstd -3", ratio, "").with_budget(most));
        let disk = process::bytes_below(&self.ground.data())? as f64;
        let records = self.acknowledged as f64;
        self.rows.push(Row::new(
            "bytes on disk, all files",
            disk / records,
            "a record",
        ));
        // Records that came a second time cost less and are no part of the reference.
        let note = if is_more {
            "with records that were sent again"
        } else {
            ""
        };
        let most = budgets
            .filter(|_| !is_more)
            .map(|budgets| Budget::AtMost(budgets.size));
        let raw = self.survey.records as f64;
        let ratio = disk / records / (zstd.bytes as f64 / raw);
        let row = Row::new("bytes on disk / zstd -3", ratio, "");
        self.rows.push(row.with_budget(most).with_note(note));
        Ok(())
    }

    fn latencies(&mut self, server: &Server, records_a_second: f64) -> Result<()> {
        for records in [BATCH_RECORDS, ORDINARY_BATCH_RECORDS, SMALL_BATCH_RECORDS] {
            say(&format!("half rate, batches of {records}"));
            let bodies = self.bodies(records)?;
            let before = self.slowness()?;
            let target = self.target(server);
            let (accepted, latencies) =
                target.send_paced(&bodies, records_a_second / 2.0, self.survey.records)?;
            let slowness = mean(before, self.slowness()?);
            self.acknowledged += accepted;
            let note = format!("batches of {}", grouped(records as u64));
            // docs/adr/0005: what a large request costs before it is durable is more than 10 ms.
            let median_max = (records <= ORDINARY_BATCH_RECORDS).then_some(10.0);
            for (name, hundredths, most) in [("p50", 50, median_max), ("p99", 99, Some(50.0))] {
                let name = format!("acknowledged at half rate, {name}");
                let value = percentile_ms(&latencies, hundredths);
                let budget = self.set.budgets.and(most).map(Budget::AtMost);
                self.rows.push(
                    Row::new(name, value, "ms")
                        .with_budget(budget)
                        .with_slowness(slowness)
                        .with_note(&note),
                );
            }
        }
        say("freshness");
        let fresh = freshness(&self.target(server))?;
        self.acknowledged += fresh.found.len() as u64;
        for (name, times, most) in [
            ("found by search", &fresh.found, 10.0),
            ("seen by tail", &fresh.seen, 100.0),
        ] {
            for (percentile, hundredths) in [("p50", 50), ("p99", 99)] {
                let name = format!("acknowledged to {name}, {percentile}");
                let budget = self.set.budgets.map(|_| Budget::AtMost(most));
                let value = percentile_ms(times, hundredths);
                self.rows
                    .push(Row::new(name, value, "ms").with_budget(budget));
            }
        }
        Ok(())
    }

    /// Fills the tails, ends the server as a crash would, and starts it again.
    fn restart(&mut self, server: Server) -> Result<()> {
        say("kill -9 with full tails");
        let bodies = self.bodies(FILL_BATCH_RECORDS)?;
        self.acknowledged += self
            .target(&server)
            .fill_tails(&bodies, self.survey.records)?;
        let rows = server.metric("taffrail_store_tails_rows")?;
        let bytes = server.metric("taffrail_store_tails_bytes")?;
        server.kill();
        let server = self.ground.start()?;
        let found = server.total()?;
        if found != self.acknowledged {
            let expected = self.acknowledged;
            bail!("after kill -9, {found} records are found and {expected} were acknowledged");
        }
        let note = format!(
            "tails of {} records, {:.0} MB",
            grouped(rows as u64),
            bytes / 1e6
        );
        let budget = self.set.budgets.map(|_| Budget::AtMost(3.0));
        let row = Row::new("restart after kill -9", server.ready.as_secs_f64(), "s");
        self.rows.push(row.with_budget(budget).with_note(note));
        server.stop()
    }
}

/// The mean of what was measured before and after something.
fn mean(before: Option<f64>, after: Option<f64>) -> Option<f64> {
    before
        .zip(after)
        .map(|(before, after)| f64::midpoint(before, after))
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The hour that most likely has records: that of the middle one of a sample.
fn middle_hour(sample: &[Vec<u8>]) -> Range {
    let times = sample.iter().filter_map(|line| Seen::parse(line)?.time_ns);
    let mut times: Vec<i64> = times.collect();
    times.sort_unstable();
    match times.get(times.len() / 2) {
        Some(time) => {
            let start = time.div_euclid(NS_PER_HOUR) * NS_PER_HOUR;
            (start, start + NS_PER_HOUR - 1)
        }
        None => (0, i64::MAX),
    }
}
