//! The keys of all tenants within common bounds.
//!
//! Invariants
//! - Past a bound the tenant that has the most of what is bounded loses its oldest first. Who has
//!   less than others keeps each key for its 24 hours, whatever those do.
//! - What is too old goes with the next key, whoever's it is.
//! - A key that goes before its time is counted, by what it went for.
//!
//! Bounds are for all together, so one tenant alone may use all of them; nothing has to be known of
//! how many tenants there are. A key costs some 60 bytes; a tenant, whatever it has, up to 25 KiB
//! that are not filled.
use super::{
    IdempotencyRecord, RequestKey,
    answers::{LENGTHS, Length},
    records::Records,
    table::{Done, Load, Table},
};
use std::collections::{BTreeSet, HashMap};
use taffrail_model::{tenant::TenantNumber, time::Timestamp};

/// Everything that is bounded, so that a test can do with less.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) keys_max: usize,
    /// Bytes of answers, by [`Length`].
    pub(super) answers_bytes_max: [usize; 2],
}

/// Keys that were forgotten before their 24 hours, by what there was too much of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Too many keys.
    pub keys: u64,
    /// Too many bytes of distinct answers with a few rejects.
    pub answers: u64,
    /// Too many bytes of distinct answers with many rejects.
    pub long_answers: u64,
}

pub(super) struct Tenants {
    tables: HashMap<TenantNumber, Table>,
    bounds: Bounds,
    total: Load,
    by_entries: BTreeSet<(usize, TenantNumber)>,
    by_answers: [BTreeSet<(usize, TenantNumber)>; 2],
    by_oldest: BTreeSet<(Timestamp, TenantNumber)>,
    evicted: Evicted,
}

impl Tenants {
    pub(super) fn bounded(bounds: Bounds) -> Tenants {
        Tenants {
            tables: HashMap::new(),
            bounds,
            total: Load::default(),
            by_entries: BTreeSet::new(),
            by_answers: Default::default(),
            by_oldest: BTreeSet::new(),
            evicted: Evicted::default(),
        }
    }

    pub(super) fn get(&self, key: RequestKey, now: Timestamp) -> Option<Done> {
        self.tables.get(&key.tenant)?.get(key.hash, now)
    }

    /// Keeps a record, and lets go what is too old or too much.
    pub(super) fn put(&mut self, record: IdempotencyRecord, now: Timestamp) {
        self.change(record.key.tenant, |table| table.put(record));
        while let Some((oldest, tenant)) = self.by_oldest.first().copied()
            && super::table::is_expired(oldest, now)
        {
            self.change(tenant, |table| table.expire(now));
        }
        while self.total.entries > self.bounds.keys_max
            && let Some((_, largest)) = self.by_entries.last().copied()
        {
            self.evicted.keys += self.change(largest, Table::let_oldest_go);
        }
        for length in LENGTHS {
            let evicted = self.shrink_answers(length);
            match length {
                Length::Ordinary => self.evicted.answers += evicted,
                Length::Long => self.evicted.long_answers += evicted,
            }
        }
    }

    fn shrink_answers(&mut self, length: Length) -> u64 {
        let kind = length as usize;
        let mut evicted = 0;
        // The last one stays: past the bound alone, it is still the answer of its key.
        while self.total.answers_bytes[kind] > self.bounds.answers_bytes_max[kind]
            && self.total.answers[kind] > 1
            && let Some((_, largest)) = self.by_answers[kind].last().copied()
        {
            evicted += self.change(largest, |table| table.let_answer_go(length));
        }
        evicted
    }

    /// Changes a tenant's table and keeps all sums true.
    fn change<T>(&mut self, tenant: TenantNumber, change: impl FnOnce(&mut Table) -> T) -> T {
        let table = self.tables.entry(tenant).or_default();
        let before = table.load();
        let outcome = change(table);
        let after = table.load();
        self.total.replace(&before, &after);
        rank(&mut self.by_entries, tenant, before.entries, after.entries);
        for (kind, ranking) in self.by_answers.iter_mut().enumerate() {
            let (before, after) = (before.answers_bytes[kind], after.answers_bytes[kind]);
            rank(ranking, tenant, before, after);
        }
        if before.oldest != after.oldest {
            let before = before.oldest.map(|oldest| (oldest, tenant));
            before.map(|before| self.by_oldest.remove(&before));
            self.by_oldest
                .extend(after.oldest.map(|oldest| (oldest, tenant)));
        }
        if after.entries == 0 {
            self.tables.remove(&tenant);
        }
        outcome
    }

    /// How many keys are held.
    pub(super) fn held(&self) -> usize {
        self.total.held
    }

    pub(super) fn evicted(&self) -> Evicted {
        self.evicted
    }

    /// Everything that is held, without a copy of the keys.
    pub(super) fn cut(&self) -> Records {
        let tables = self.tables.iter();
        Records::of(tables.map(|(tenant, table)| table.cut(*tenant)).collect())
    }
}

/// Puts a tenant where its new value says; one without a value is in no ranking.
fn rank(
    ranking: &mut BTreeSet<(usize, TenantNumber)>,
    tenant: TenantNumber,
    before: usize,
    after: usize,
) {
    if before != after {
        ranking.remove(&(before, tenant));
        if after > 0 {
            ranking.insert((after, tenant));
        }
    }
}
