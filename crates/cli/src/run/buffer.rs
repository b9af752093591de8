//! Where records wait for the server: an encrypted spool of this recorder, and what recorders of
//! the same instance left that were killed.
//!
//! Nothing here fails: a spool that cannot be opened or written is tried again, and what came
//! meanwhile is counted.
//!
//! The note of a recorder that was killed stays until what is said of it [is
//! durable](Buffer::note_said): a kill before that has it said twice, and never not at all.
use super::killed::Killed;
use crate::{
    delivery::{Delivery, Event, HttpSender},
    ship::token,
};
use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use taffrail_engine::spool::{Appended, Bodies, Claimed, Spool, SpoolFolder};

/// When a spool that cannot be used is tried again.
const REOPEN_AFTER: Duration = Duration::from_secs(5);
/// How often it is looked for what other recorders have left.
const LEFTOVER_INTERVAL: Duration = Duration::from_secs(60);
/// How often it is looked for an answer that is under way.
const ANSWER_INTERVAL: Duration = Duration::from_millis(20);
/// Stream of records that name none; every record names one.
const STREAM: &str = "instance.app";

/// Where and how records wait.
#[derive(Clone, Debug)]
pub struct BufferOptions {
    /// Folder of the spools of the instance; `None`: in `~/.taffrail/run`.
    pub folder: Option<PathBuf>,
    /// The instance.
    pub instance: String,
    /// File of the key that encrypts them; `None`: in `~/.taffrail/keys`.
    pub key_file: Option<PathBuf>,
    /// Bytes of a spool.
    pub bytes_max: u64,
    /// Address of the server.
    pub server: String,
    /// File with the API key.
    pub token_file: Option<PathBuf>,
}

/// What became of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// Records that were made durable here.
    pub kept: u64,
    /// Records that the server has, those that others left included.
    pub sent: u64,
    /// Records that the server will never take.
    pub rejected: u64,
    /// Records for which there was no room here.
    pub lost: u64,
    /// Why the first of them was lost.
    pub lost_reason: Option<String>,
    /// What a person must change before the server takes records.
    pub stopped: Option<String>,
    /// What the server said of the first record that it will never take.
    pub rejected_reason: Option<String>,
    /// Records that were put aside, by their streams, which the server refuses while it takes
    /// others; with what it said first.
    pub put_aside: BTreeMap<Arc<str>, (u64, String)>,
}

/// The spools of this recorder.
pub struct Buffer {
    options: BufferOptions,
    /// What is said of this recorder if it is killed.
    note: String,
    /// Recorders that were, and that nobody has said yet.
    killed: Vec<Killed>,
    /// Those and the ones that were told, by their directories: a note that stays is told once.
    known: Vec<(PathBuf, Killed)>,
    /// Whether the own spool has another one's note, which ours replaces once that is said.
    begins_when_said: bool,
    /// The same of what is left over, whose note is taken away.
    ends_when_said: bool,
    folder: Option<SpoolFolder>,
    own: Option<Delivery>,
    leftover: Option<Delivery>,
    open_at: Instant,
    leftover_at: Instant,
    trouble: Option<String>,
    fate: Fate,
}

impl Buffer {
    /// A buffer that is not open yet, of a recorder that [notes](super::killed::note) this of
    /// itself.
    pub fn new(options: BufferOptions, note: String) -> Buffer {
        let now = Instant::now();
        Buffer {
            options,
            note,
            killed: Vec::new(),
            known: Vec::new(),
            begins_when_said: false,
            ends_when_said: false,
            folder: None,
            own: None,
            leftover: None,
            open_at: now,
            leftover_at: now,
            trouble: None,
            fate: Fate::default(),
        }
    }

    /// What became of the records so far.
    pub fn fate(&self) -> &Fate {
        &self.fate
    }

    /// Recorders that were killed and have left their spools to this one; told once.
    pub fn take_killed(&mut self) -> Vec<Killed> {
        std::mem::take(&mut self.killed)
    }

    /// What is said of all that were [taken](Buffer::take_killed) is kept: their notes can go.
    pub fn note_said(&mut self) {
        if !self.killed.is_empty() {
            return;
        }
        if let Some(own) = self.own.as_mut().filter(|_| self.begins_when_said) {
            // If the other one's stays, it is said twice.
            let _ = own.spool_mut().begin(&self.note);
        }
        if let Some(leftover) = self.leftover.as_mut().filter(|_| self.ends_when_said) {
            // The same.
            let _ = leftover.spool_mut().end();
        }
        self.begins_when_said = false;
        self.ends_when_said = false;
    }

    /// Where the spools are, once that is known.
    pub fn path(&self) -> Result<PathBuf> {
        if let Some(folder) = &self.options.folder {
            return Ok(folder.clone());
        }
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
        let home = home.context("HOME is not set: name a directory with --state")?;
        Ok(PathBuf::from(home)
            .join(".taffrail/run")
            .join(&self.options.instance))
    }

    /// Makes records durable, or counts them; whether they are durable.
    pub fn keep(&mut self, bodies: &Bodies, now: Instant) -> bool {
        self.open_if_due(now);
        let reason = match &mut self.own {
            None => self.trouble.clone().unwrap_or_default(),
            Some(own) => match own.spool_mut().append(STREAM, bodies) {
                Ok(Appended::Persisted) => {
                    self.fate.kept += bodies.records();
                    return true;
                }
                Ok(Appended::Full) => "the buffer is full (--spool-mib)".to_string(),
                Ok(Appended::NoSpace) => "no space left on the disk of the buffer".to_string(),
                Err(error) => self.close(anyhow::Error::from(error), now),
            },
        };
        self.fate.lost += bodies.records();
        self.fate.lost_reason.get_or_insert(reason);
        false
    }

    fn open_if_due(&mut self, now: Instant) {
        if self.own.is_some() || now < self.open_at {
            return;
        }
        match self.open() {
            Ok(own) => {
                self.own = Some(own);
                self.trouble = None;
            }
            Err(error) => drop(self.close(error, now)),
        }
    }

    fn open(&mut self) -> Result<Delivery> {
        let path = self.path()?;
        let key = self.options.key_file.as_deref();
        let (folder, _) = SpoolFolder::open(&path, key, self.options.bytes_max, true)?;
        let (claimed, unusable) = folder.claim()?;
        self.folder = Some(folder);
        self.note_unusable(&unusable);
        self.begins_when_said = self.note_killed(&claimed);
        let mut spool = claimed.spool;
        if !self.begins_when_said {
            // Without the note nothing is lost but the word that something is, should we be killed.
            let _ = spool.begin(&self.note);
        }
        self.deliver(spool)
    }

    /// Notes who has left a spool; whether it is another one, whose note stays until that is said.
    fn note_killed(&mut self, claimed: &Claimed) -> bool {
        let left_by = claimed.report.left_by.as_ref();
        // Our own is what we have closed for a fault.
        let Some(note) = left_by.filter(|note| **note != self.note) else {
            return false;
        };
        let killed = (claimed.directory.clone(), Killed::by_note(note));
        if !self.known.contains(&killed) {
            self.killed.push(killed.1.clone());
            self.known.push(killed);
        }
        true
    }

    fn note_unusable(&mut self, unusable: &[taffrail_engine::spool::Unusable]) {
        if let Some(first) = unusable.first() {
            let text = format!("{}: {}", first.directory.display(), first.error);
            self.fate.stopped.get_or_insert(text);
        }
    }

    fn deliver(&mut self, spool: Spool) -> Result<Delivery> {
        let key = token(self.options.token_file.as_deref()).unwrap_or_else(|error| {
            self.fate.stopped.get_or_insert(format!("{error:#}"));
            None
        });
        let sender = HttpSender::new(&self.options.server, key)?;
        let delivery = Delivery::start(spool, Box::new(sender))?;
        Ok(delivery.putting_streams_aside())
    }

    /// Gives the spool up for a while; says why.
    fn close(&mut self, error: anyhow::Error, now: Instant) -> String {
        let text = format!("{error:#}");
        if let Some(mut own) = self.own.take() {
            self.end_own(&mut own);
            own.abandon();
        }
        self.trouble = Some(text.clone());
        self.open_at = now + REOPEN_AFTER;
        text
    }

    /// Whoever takes the spool next does not find that we were killed.
    fn end_own(&self, own: &mut Delivery) {
        if !self.begins_when_said {
            // If it stays, the next one says that records may be missing, which none are.
            let _ = own.spool_mut().end();
        }
    }

    /// Sends what is due, without waiting longer than `patience` for an answer.
    pub fn tend(&mut self, now: Instant, patience: Duration) {
        self.open_if_due(now);
        if let Some(own) = &mut self.own {
            match own.proceed(now, patience) {
                Ok(progress) => self.fate.note(progress.events),
                Err(error) => drop(self.close(error, now)),
            }
        }
        self.adopt(now);
        if let Some(leftover) = &mut self.leftover {
            match leftover.proceed(now, Duration::ZERO) {
                Ok(progress) => self.fate.note(progress.events),
                Err(_) => self.give_leftover_up(now),
            }
        }
    }

    /// Takes over what another recorder has left, one at a time.
    fn adopt(&mut self, now: Instant) {
        let is_done = |leftover: &Delivery| leftover.spool().pending() == 0 && !self.ends_when_said;
        if self.leftover.as_ref().is_some_and(is_done) {
            self.leftover = None;
            self.leftover_at = now;
        }
        let is_due = self.leftover.is_none() && now >= self.leftover_at;
        let Some(folder) = self.folder.as_ref().filter(|_| is_due) else {
            return;
        };
        self.leftover_at = now + LEFTOVER_INTERVAL;
        if let Ok((found, unusable)) = folder.claim_leftover() {
            self.note_unusable(&unusable);
            let delivery = found.map(|claimed| {
                self.ends_when_said = self.note_killed(&claimed);
                let mut spool = claimed.spool;
                if !self.ends_when_said {
                    // It has none, or our own. If that stays, it is said.
                    let _ = spool.end();
                }
                self.deliver(spool)
            });
            self.leftover = delivery.and_then(Result::ok);
        }
    }

    fn give_leftover_up(&mut self, now: Instant) {
        if let Some(leftover) = self.leftover.take() {
            leftover.abandon();
        }
        self.ends_when_said = false;
        self.leftover_at = now + LEFTOVER_INTERVAL;
    }

    /// When [`Buffer::tend`] has something to do; `None`: only when records come.
    pub fn due(&self, now: Instant) -> Option<Duration> {
        let of = |delivery: &Delivery| {
            let at = delivery.retry().at;
            match (delivery.is_busy(), delivery.spool().pending()) {
                (true, _) => Some(ANSWER_INTERVAL),
                (false, 0) => None,
                (false, _) => Some(at.map_or(Duration::ZERO, |at| at.duration_since(now))),
            }
        };
        let dues = [self.own.as_ref(), self.leftover.as_ref()].map(|it| it.and_then(of));
        dues.into_iter().flatten().min()
    }

    /// Sends what is kept until then, unless the server is away; the rest stays for the next.
    pub fn finish(mut self, until: Instant) -> (Fate, usize) {
        loop {
            let now = Instant::now();
            let is_done = self
                .own
                .as_ref()
                .is_none_or(|own| own.spool().pending() == 0 || own.retry().failing.is_some());
            if is_done || now >= until {
                break;
            }
            self.tend(now, ANSWER_INTERVAL.min(until - now));
        }
        let unsent = [self.own.as_ref(), self.leftover.as_ref()];
        let unsent = unsent.into_iter().flatten();
        let unsent = unsent.map(|delivery| delivery.spool().pending()).sum();
        let (own, leftover) = (self.own.take(), self.leftover.take());
        let own = own.map(|mut own| {
            self.end_own(&mut own);
            own
        });
        for delivery in [own, leftover].into_iter().flatten() {
            delivery.abandon();
        }
        (self.fate, unsent)
    }
}

impl Fate {
    fn note(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Delivered(delivered) => {
                    self.sent += delivered.accepted;
                    self.rejected += delivered.rejected;
                    if self.rejected_reason.is_none() {
                        self.rejected_reason = delivered.first_reason;
                    }
                    self.stopped = None;
                }
                Event::Stopped { reason, .. } => self.stopped = Some(reason),
                Event::PutAside {
                    stream,
                    records,
                    reason,
                } => {
                    let (count, _) = self.put_aside.entry(stream).or_insert((0, reason));
                    *count += u64::from(records);
                }
                Event::Lost(lost) => {
                    // How many there were is not always known; a batch has one at the least.
                    self.lost += lost.records.unwrap_or(1 + lost.last - lost.first);
                    let text = "a file of the buffer is damaged or missing";
                    self.lost_reason.get_or_insert_with(|| text.to_string());
                }
                Event::Failing { .. } | Event::Recovered | Event::NoSpace => {}
            }
        }
    }
}
