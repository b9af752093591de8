//! Batches that cannot be read any more: what is known of them, and what goes on without them.
//!
//! Invariants
//! - One damaged or missing file never keeps the batches behind it from being sent.
//! - Every loss is told before it is noted as settled: a crash between the two tells it again.
//! - Nothing comes twice. A batch is only sent when the one before it is acknowledged, durably. So
//!   of the pending batches only the oldest can have been sent before the spool was opened. What is
//!   behind it never was, and may be read from its source again. The oldest is not read again under
//!   another key: the server may have it.
use super::{BatchHeader, Place, REJECTED_BYTES_MAX, Spool, SpoolError, State, file};
use std::path::PathBuf;

/// Batches that are lost to this spool: they are never sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// Number of records, if it can still be read.
    pub records: Option<u64>,
    /// Why.
    pub cause: LossCause,
    /// Whether the first may have been sent before: then the server may have its records.
    pub may_be_stored: bool,
    /// Checkpoint of the source before what is lost; `None`: its beginning.
    pub before: Option<serde_json::Value>,
    /// Checkpoint of the source behind it; `None` if that is not known.
    pub after: Option<serde_json::Value>,
    /// Whether nothing but what is lost lies between the two. Else a later batch does too, which
    /// is not lost.
    pub is_exact: bool,
}

/// Why a batch is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LossCause {
    /// Its file is not what was written; it was renamed.
    Damaged {
        /// Its file now.
        file: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// There is no such file.
    Missing,
}

/// The newest batches, which cannot be read: their source is read again behind the one before
/// them, and nothing is lost as long as it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAgain {
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// Their files, renamed.
    pub files: Vec<PathBuf>,
    /// Whether the first may have been sent before. What is read again is sent under its key: a
    /// server that has it refuses the other body, and what it refuses is kept.
    pub may_be_stored: bool,
    /// Checkpoint from which the source is read again; `None`: its beginning.
    pub before: Option<serde_json::Value>,
}

/// A damaged file, as far as it can be read.
struct Remains {
    cause: LossCause,
    header: Option<BatchHeader>,
}

impl Remains {
    fn none() -> Remains {
        Remains {
            cause: LossCause::Missing,
            header: None,
        }
    }

    fn records(&self) -> Option<u64> {
        let parts = &self.header.as_ref()?.parts;
        Some(parts.iter().map(|part| u64::from(part.records)).sum())
    }
}

impl Spool {
    /// Removes what is acknowledged, and puts the newest batches aside, as far as they cannot be
    /// read. Afterwards the last pending batch can be.
    pub(super) fn find_pending(&mut self) -> Result<Option<ReadAgain>, SpoolError> {
        for (number, bytes) in self.sealed.batches()? {
            match number <= self.state.acknowledged {
                true => self.sealed.remove(Place::Batch(number))?,
                false => self.pending.push_back((number, bytes)),
            }
        }
        let mut unreadable = Vec::new();
        while let Some((number, _)) = self.pending.back().copied() {
            match self.read_batch(number) {
                Ok(batch) => {
                    self.newest = Some(batch.header.checkpoint);
                    break;
                }
                Err(error) if error.is_of_one_batch() => {
                    self.put_aside(number)?;
                    self.pending.pop_back();
                    unreadable.push(number);
                }
                Err(error) => return Err(error),
            }
        }
        self.next_number = self.last_pending() + 1;
        match unreadable.first() {
            Some(last) if self.has_source => self.go_back(*last),
            _ if self.has_source => Ok(None),
            // Nothing can be read again: what is aside stays a gap, and is told as lost.
            _ => {
                let aside = self.sealed.aside()?.last().map_or(0, |(number, _)| *number);
                self.next_number = self.next_number.max(aside + 1);
                Ok(None)
            }
        }
    }

    fn last_pending(&self) -> u64 {
        let last = self.pending.back().map(|(number, _)| *number);
        last.unwrap_or(self.state.acknowledged)
    }

    /// Behind which checkpoint the source is read again, if the batches up to `last` are unreadable.
    fn go_back(&mut self, last: u64) -> Result<Option<ReadAgain>, SpoolError> {
        if self.may_be_stored(self.next_number) {
            // Where it ended is enough: what the server may have is not read again.
            if let Some(header) = self.remains(self.next_number)?.header {
                self.newest = Some(header.checkpoint);
                self.next_number += 1;
            }
        }
        let first = self.next_number;
        Ok((first <= last).then(|| ReadAgain {
            first,
            last,
            files: (first..=last)
                .map(|number| self.sealed.path(Place::Aside(number)))
                .collect(),
            may_be_stored: self.may_be_stored(first),
            before: self.newest.clone(),
        }))
    }

    /// Whether a batch may have been sent before the spool was opened.
    fn may_be_stored(&self, number: u64) -> bool {
        number == self.opened_acknowledged + 1
    }

    /// Renames the file of a batch.
    fn put_aside(&self, number: u64) -> Result<(), SpoolError> {
        self.sealed.put_aside(number)?;
        self.sealed
            .trim(file::Numbered::Aside, REJECTED_BYTES_MAX)?;
        Ok(())
    }

    /// Takes the oldest batch out if it cannot be read; else it is the head.
    pub(super) fn read_head(&mut self) -> Result<(), SpoolError> {
        let Some((number, _)) = self.pending.front().copied() else {
            return Ok(());
        };
        if number != self.state.acknowledged + 1 {
            return Ok(());
        }
        match self.read_batch(number) {
            Ok(batch) => self.head = Some(super::Head::new(number, batch)),
            Err(error) if error.is_of_one_batch() => {
                self.put_aside(number)?;
                self.pending.pop_front();
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Whether batches are missing before the next one that can be read.
    pub(super) fn has_lost(&self) -> bool {
        let next = self.pending.front().map(|(number, _)| *number);
        self.state.acknowledged + 1 < next.unwrap_or(self.next_number)
    }

    /// What is lost before the next batch that can be read. It is told again until
    /// [`Spool::settle_lost`].
    pub(super) fn find_lost(&mut self) -> Result<Option<Lost>, SpoolError> {
        let first = self.state.acknowledged + 1;
        let next = self.pending.front().map(|(number, _)| *number);
        let end = next.unwrap_or(self.next_number);
        if !self.has_lost() {
            return Ok(None);
        }
        let aside = self.sealed.aside()?;
        let aside = aside.iter().map(|(number, _)| *number);
        let (last, remains) = match aside.filter(|number| (first..end).contains(number)).min() {
            Some(number) if number == first => (first, self.remains(first)?),
            other => (other.unwrap_or(end) - 1, Remains::none()),
        };
        let exact = remains.header.as_ref().map(|header| &header.checkpoint);
        // Nobody reads a source on behind what is not settled: the newest is behind the last.
        let newest = match next {
            Some(_) => None,
            None => self.newest.as_ref().filter(|_| last + 1 == end),
        };
        let settled = exact.or(newest).cloned();
        let after = match (&settled, next) {
            (None, Some(next)) => self.read_batch(next).ok().map(|it| it.header.checkpoint),
            _ => settled.clone(),
        };
        let lost = Lost {
            first,
            last,
            records: remains.records(),
            may_be_stored: self.may_be_stored(first),
            before: self.state.checkpoint.clone(),
            is_exact: settled.is_some(),
            after,
            cause: remains.cause,
        };
        self.told = Some(State {
            acknowledged: last,
            checkpoint: settled.or_else(|| self.state.checkpoint.clone()),
            ..self.state.clone()
        });
        Ok(Some(lost))
    }

    /// Notes what was told as lost: it is not looked for again.
    pub(super) fn settle_lost(&mut self) -> Result<(), SpoolError> {
        if let Some(state) = &self.told {
            let bytes = self.sealed.encode(Place::State, state)?;
            self.sealed
                .replace(Place::State, &bytes, self.clock.now())?;
        }
        if let Some(state) = self.told.take() {
            self.state = state;
        }
        Ok(())
    }

    /// What is known of a batch that was put aside.
    fn remains(&self, number: u64) -> Result<Remains, SpoolError> {
        let (detail, line) = self.sealed.salvage(number)?;
        let cause = LossCause::Damaged {
            file: self.sealed.path(Place::Aside(number)),
            detail,
        };
        let header = line.and_then(|line| serde_json::from_slice(&line).ok());
        Ok(Remains { cause, header })
    }
}
