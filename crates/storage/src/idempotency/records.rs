//! All keys at a moment, for a manifest snapshot.
use super::{
    IdempotencyRecord, RequestKey,
    answers::PackedAnswer,
    place::Place,
    queue::{Entry, Queue},
};
use hashbrown::HashMap;
use taffrail_model::{tenant::TenantNumber, time::Timestamp};

/// The keys of every tenant, each tenant's oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    tenants: Vec<TenantRecords>,
}

/// The keys of one tenant. It shares them with the table that it was cut from.
#[derive(Clone, Debug)]
pub(crate) struct TenantRecords {
    tenant: TenantNumber,
    queue: Queue,
    /// By the number that entries have. A number that is not here is of a key that was let go.
    answers: HashMap<u32, PackedAnswer>,
}

/// A key as it is written: without its tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyRecord {
    pub(crate) hash: [u8; 16],
    pub(crate) body: [u8; 16],
    pub(crate) time: Timestamp,
    pub(crate) answer: Place,
}

impl Records {
    pub(super) fn of(tenants: Vec<TenantRecords>) -> Records {
        Records { tenants }
    }

    pub(crate) fn tenants(&self) -> &[TenantRecords] {
        &self.tenants
    }

    /// Appends the keys of a tenant.
    pub(crate) fn push(&mut self, tenant: TenantRecords) {
        self.tenants.push(tenant);
    }

    /// All keys with their answers. What was given out is freed on the way.
    pub(super) fn into_records(self) -> impl Iterator<Item = IdempotencyRecord> {
        self.tenants
            .into_iter()
            .flat_map(TenantRecords::into_records)
    }
}

impl TenantRecords {
    pub(crate) fn new(tenant: TenantNumber) -> TenantRecords {
        TenantRecords::cut(tenant, Queue::default(), HashMap::new())
    }

    pub(super) fn cut(
        tenant: TenantNumber,
        queue: Queue,
        answers: HashMap<u32, PackedAnswer>,
    ) -> TenantRecords {
        TenantRecords {
            tenant,
            queue,
            answers,
        }
    }

    pub(crate) fn tenant(&self) -> TenantNumber {
        self.tenant
    }

    /// Answers with their numbers.
    pub(crate) fn answers(&self) -> impl ExactSizeIterator<Item = (u32, &PackedAnswer)> + '_ {
        self.answers
            .iter()
            .map(|(number, answer)| (*number, answer))
    }

    /// Keeps an answer under a number, for the entries that name it.
    pub(crate) fn add_answer(&mut self, number: u32, answer: PackedAnswer) {
        self.answers.insert(number, answer);
    }

    /// Appends a key; if its answer is in the table, it must be there.
    pub(crate) fn push(&mut self, key: KeyRecord) {
        self.queue.push(Entry {
            key: key.hash,
            body: key.body,
            time: key.time,
            answer: key.answer,
        });
    }

    /// The keys, oldest first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = KeyRecord> + '_ {
        let is_held = |entry: &&Entry| {
            let number = entry.answer.number();
            number.is_none_or(|number| self.answers.contains_key(&number))
        };
        self.queue.iter().filter(is_held).map(|entry| KeyRecord {
            hash: entry.key,
            body: entry.body,
            time: entry.time,
            answer: entry.answer,
        })
    }

    fn into_records(mut self) -> impl Iterator<Item = IdempotencyRecord> {
        std::iter::from_fn(move || {
            loop {
                let (_, entry) = self.queue.pop()?;
                let answer = match entry.answer.number() {
                    None => entry.answer.answer(),
                    Some(number) => self.answers.get(&number).cloned(),
                };
                if let Some(answer) = answer {
                    return Some(IdempotencyRecord {
                        key: RequestKey {
                            tenant: self.tenant,
                            hash: entry.key,
                        },
                        body: entry.body,
                        answer,
                        time: entry.time,
                    });
                }
            }
        })
    }
}

#[cfg(test)]
impl PartialEq for Records {
    fn eq(&self, other: &Records) -> bool {
        self.clone().into_records().eq(other.clone().into_records())
    }
}
