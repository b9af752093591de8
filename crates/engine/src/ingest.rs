//! The way in: a decoded batch goes through the pipeline and is committed.
//!
//! A large body may come in pieces, prepared where and when there is room for it, so that its sender
//! waits for less. It stays one request: one commit, one key, one answer, positions in the order of
//! the body, indexes of rejects counted over all of it. Where a piece alone cannot tell what the
//! whole body would give, the body is prepared as a whole.
use crate::{
    Engine,
    admission::{Permit, Refused},
};
use std::{collections::BTreeMap, sync::Arc};
use taffrail_model::{
    access::{InstanceRefusal, Principal},
    batch::{RawBatch, Reject, RejectKind},
    limits::{
        IDEMPOTENCY_KEY_BYTES_MAX, PARTITIONS_PER_BATCH_MAX, RECORDS_PER_BATCH_MAX,
        REJECTS_PER_BATCH_MAX,
    },
    position::Position,
    stream::StreamDefinition,
    tenant::TenantNumber,
    time::Timestamp,
};
use taffrail_pipeline::{Arrival, Writer};
use taffrail_storage::{
    Recall,
    encoded::EncodedBatch,
    store_core::{CommitError, CommitRequest, IdempotencyKey as StoredKey},
};
use tokio::sync::oneshot;

/// Bytes of rows up to which a request is handed to the store without a thread for it: well below a
/// millisecond.
const QUICK_BYTES_MAX: usize = 16 << 20;
/// The same for the answer that a key keeps.
const QUICK_ANSWER_BYTES_MAX: usize = 64 << 10;

/// What a sender is told.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IngestAnswer {
    /// Records that are durable.
    pub accepted: u32,
    /// Records that were not taken, and why.
    pub rejected: Vec<Reject>,
    /// Records that were left out on purpose, by reason.
    pub dropped: BTreeMap<String, u32>,
}

/// An `Idempotency-Key` and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key as the sender gave it.
    pub key: String,
    /// SHA-256 of the request (stream and body, unpacked).
    pub body_hash: [u8; 32],
}

/// A batch, or a piece of one, that has been through the pipeline and waits for its commit.
pub struct Prepared {
    rows: EncodedBatch,
    rejects: Vec<Reject>,
    /// Records that could be decoded.
    taken: usize,
    /// Records that could not.
    rejected: usize,
}

impl Prepared {
    /// Whether the body had no record that could be stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.rows() == 0
    }

    /// Takes in the piece that follows in the same body. Its indexes begin at 0.
    pub fn append(&mut self, following: Prepared) {
        // Past what 32 bits hold it is past the limits, too.
        let first_index = u32::try_from(self.taken + self.rejected).unwrap_or(u32::MAX);
        let rejects = following.rejects.into_iter().map(|reject| Reject {
            index: reject.index.saturating_add(first_index),
            ..reject
        });
        self.rejects.extend(rejects);
        self.rows.append(following.rows);
        self.taken += following.taken;
        self.rejected += following.rejected;
    }

    /// Whether the pieces together are what their body would have given as a whole. Past any limit
    /// of a batch they may not be: a piece cannot tell what the others have.
    #[must_use]
    pub fn is_within_limits(&self) -> bool {
        let is_cut = |reject: &Reject| reject.kind == RejectKind::TooManyDays;
        self.taken <= RECORDS_PER_BATCH_MAX
            && self.rejected <= REJECTS_PER_BATCH_MAX
            && self.rows.parts() <= PARTITIONS_PER_BATCH_MAX
            && !self.rejects.iter().any(is_cut)
    }
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// No such stream, or none that the sender may know of.
    #[error("no stream is named {name:?}; the nearest names are {}", nearest.join(", "))]
    UnknownStream {
        /// The name.
        name: String,
        /// Names that are near.
        nearest: Vec<String>,
    },
    /// The credential may not write to the stream.
    #[error("this credential may not write to stream {0:?}")]
    NotAllowed(String),
    /// The instance that the credential is bound to takes no records.
    #[error(transparent)]
    Instance(#[from] InstanceRefusal),
    /// The idempotency key is malformed.
    #[error("an idempotency key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes")]
    KeyLength,
    /// The idempotency key stood for another body.
    #[error("this idempotency key was used for another request within the last 24 hours")]
    KeyReused,
    /// The answer of an idempotency key cannot be written down or read back.
    #[error("the answer of the idempotency key cannot be kept")]
    Answer(#[source] serde_json::Error),
    /// Too much in flight.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store did not take it.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// What a repeat of a request finds.
enum Reserved {
    /// The first of its key: the key is held until its commit ends.
    First,
    Repeat(IngestAnswer),
}

/// Whose the keys of a batch are. A credential may write to several tenants, one a request: what one
/// of them has stored is not stored in the others.
fn scope(principal: &Principal, tenant: TenantNumber) -> Arc<str> {
    format!("{}/{}", tenant.0, principal.credential).into()
}

/// An answer as the store keeps it for its key. Nearly all requests are accepted as a whole: of them
/// the number is kept, which the store has room for beside the key.
fn kept_answer(answer: &IngestAnswer) -> Result<Vec<u8>, serde_json::Error> {
    match answer.rejected.is_empty() && answer.dropped.is_empty() {
        true => serde_json::to_vec(&answer.accepted),
        false => serde_json::to_vec(answer),
    }
}

fn recalled_answer(kept: &[u8]) -> Result<IngestAnswer, serde_json::Error> {
    if kept.first() == Some(&b'{') {
        return serde_json::from_slice(kept);
    }
    Ok(IngestAnswer {
        accepted: serde_json::from_slice(kept)?,
        rejected: Vec::new(),
        dropped: BTreeMap::new(),
    })
}

impl Engine {
    /// Lets the bytes of a request in; the permit is kept until the request is answered.
    ///
    /// # Errors
    /// [`Refused`] if too much is in flight.
    pub fn admit(&self, principal: &Principal, bytes: usize) -> Result<Permit, Refused> {
        let tenant = principal
            .write_tenant()
            .unwrap_or(taffrail_model::tenant::DEFAULT_TENANT);
        self.inner.admission.admit(tenant, bytes)
    }

    /// The stream of a name, if the principal may write to it.
    ///
    /// # Errors
    /// [`IngestError::UnknownStream`] with the nearest names, [`IngestError::NotAllowed`],
    /// [`IngestError::Instance`] if the credential is bound to one that takes no records.
    pub fn writable_stream(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<Arc<StreamDefinition>, IngestError> {
        let catalogue = self.catalogue();
        let Some(stream) = catalogue.by_name(name) else {
            let nearest = catalogue
                .nearest(name)
                .into_iter()
                .filter(|near| {
                    catalogue
                        .by_name(near)
                        .is_some_and(|stream| principal.may_write(stream))
                })
                .map(|near| near.to_string())
                .collect();
            return Err(IngestError::UnknownStream {
                name: name.to_owned(),
                nearest,
            });
        };
        if !principal.may_write(stream) {
            return Err(IngestError::NotAllowed(name.to_owned()));
        }
        if principal.bound_instance().is_some() {
            principal.instance_of_record(None, &*self.inner.instances)?;
        }
        Ok(stream.clone())
    }

    /// Runs the pipeline over a decoded batch and encodes it for the log. Works on the CPU for
    /// milliseconds: call it from a thread that may block.
    ///
    /// # Errors
    /// As [`Engine::writable_stream`].
    pub fn prepare(
        &self,
        principal: &Principal,
        stream: &str,
        raw: RawBatch,
    ) -> Result<Prepared, IngestError> {
        self.prepare_received(principal, stream, raw, self.now())
    }

    /// As [`Engine::prepare`], for what was received at a time: it is one for all pieces of a body,
    /// whose records without a time get it, and keep their order.
    ///
    /// # Errors
    /// As [`Engine::writable_stream`].
    pub fn prepare_received(
        &self,
        principal: &Principal,
        stream: &str,
        raw: RawBatch,
        received: Timestamp,
    ) -> Result<Prepared, IngestError> {
        let definition = self.writable_stream(principal, stream)?;
        let tenant = principal
            .write_tenant()
            .ok_or_else(|| IngestError::NotAllowed(stream.to_owned()))?;
        let catalogue = self.catalogue();
        let arrival = Arrival {
            tenant,
            stream: &definition,
            received,
            catalogue: &catalogue,
            may_write: &|stream| principal.may_write(stream),
        };
        let writer = Writer {
            principal,
            instances: &*self.inner.instances,
        };
        let (taken, rejected) = (raw.indexes.len(), raw.rejects.len());
        let mut batch = self.inner.pipeline.process_as(raw, &arrival, &writer);
        Ok(Prepared {
            rejects: batch.take_rejects(),
            rows: batch.into(),
            taken,
            rejected,
        })
    }

    /// Commits a prepared batch: returns after the write-ahead log was synced. A repeat of an
    /// idempotency key stores nothing and returns the first answer.
    ///
    /// # Errors
    /// [`IngestError`]; nothing of the batch is stored then.
    pub async fn commit(
        &self,
        principal: &Principal,
        prepared: Prepared,
        key: Option<IdempotencyKey>,
    ) -> Result<IngestAnswer, IngestError> {
        let batch = prepared.rows;
        let answer = IngestAnswer {
            accepted: u32::try_from(batch.rows()).unwrap_or(u32::MAX),
            rejected: prepared.rejects,
            dropped: BTreeMap::new(),
        };
        if batch.rows() == 0 {
            // A key stands for records that were stored: a corrected body may use it.
            return Ok(answer);
        }
        let idempotency = match key {
            None => None,
            Some(key) => {
                // Before the key is reserved: from there on nothing may fail but the commit.
                let kept = kept_answer(&answer).map_err(IngestError::Answer)?;
                let tenant = batch.tenant();
                let scope = scope(principal, tenant);
                if let Reserved::Repeat(answer) = self.reserve(tenant, &scope, &key).await? {
                    return Ok(answer);
                }
                Some(StoredKey {
                    scope,
                    key: key.key,
                    body_hash: key.body_hash,
                    answer: kept,
                })
            }
        };
        self.commit_to_store(CommitRequest { batch, idempotency })
            .await?;
        Ok(answer)
    }

    async fn reserve(
        &self,
        tenant: TenantNumber,
        scope: &str,
        key: &IdempotencyKey,
    ) -> Result<Reserved, IngestError> {
        if key.key.is_empty() || key.key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
            return Err(IngestError::KeyLength);
        }
        loop {
            let store = &self.inner.store;
            match store.recall(tenant, scope, &key.key, &key.body_hash) {
                Recall::New => return Ok(Reserved::First),
                Recall::Conflict => return Err(IngestError::KeyReused),
                Recall::Answer(bytes) => {
                    let answer = recalled_answer(&bytes).map_err(IngestError::Answer)?;
                    return Ok(Reserved::Repeat(answer));
                }
                // The first of the two is being committed: its outcome decides.
                Recall::InFlight(waiter) => {
                    let (done_in, done) = oneshot::channel();
                    waiter.notify(Box::new(move || {
                        // The other end is gone if its client is: nobody to tell.
                        let _ = done_in.send(());
                    }));
                    drop(done.await);
                }
            }
        }
    }

    async fn commit_to_store(&self, request: CommitRequest) -> Result<Position, CommitError> {
        let (reply_in, reply) = oneshot::channel();
        let is_quick = request.batch.memory_bytes() <= QUICK_BYTES_MAX
            && (request.idempotency.as_ref())
                .is_none_or(|key| key.answer.len() <= QUICK_ANSWER_BYTES_MAX);
        let store = self.inner.store.clone();
        let commit = move || {
            let reply = move |outcome| drop(reply_in.send(outcome));
            store.commit(request, Box::new(reply));
        };
        if is_quick {
            commit();
        } else {
            // The key's record is put in front of the rows, and its answer is compressed.
            tokio::task::spawn_blocking(commit);
        }
        match reply.await {
            Ok(outcome) => outcome.map(|committed| committed.last),
            Err(_) => Err(CommitError::Closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_an_answer_gives_it_back() {
        let reject = Reject {
            index: 3,
            kind: RejectKind::TooManyDays,
            detail: "a day too many".into(),
        };
        let mut answer = IngestAnswer {
            accepted: 1_000_000,
            rejected: Vec::new(),
            dropped: BTreeMap::new(),
        };
        let kept = kept_answer(&answer).unwrap();
        assert_eq!(kept, b"1000000");
        assert_eq!(recalled_answer(&kept).unwrap(), answer);
        answer.rejected.push(reject);
        let kept = kept_answer(&answer).unwrap();
        assert_eq!(recalled_answer(&kept).unwrap(), answer);
        answer.rejected.clear();
        answer.dropped.insert("sampled".into(), 2);
        let kept = kept_answer(&answer).unwrap();
        assert_eq!(recalled_answer(&kept).unwrap(), answer);
        for kept in ["", "x", "-1", "{", "1 2"] {
            assert!(recalled_answer(kept.as_bytes()).is_err(), "{kept}");
        }
    }
}
