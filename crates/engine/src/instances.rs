//! MCP instances: made, changed and deleted through here alone, so that what every write and read
//! is checked against (this directory, in memory) is what the database says.
//!
//! Invariants
//! - A change is in the directory once it is in the database, even if its client has gone
//!   meanwhile; changes are made one after the other.
//! - The records of an instance are hidden from every reader from the moment on at which it has
//!   been deleted for seven days: its id is in the policy of every scan ([`GoneInstances`]).
//! - The id of a deleted instance is not given again until the days that may hold its records have
//!   left the streams of instances.
//!
//! Cost: some 300 bytes an instance; a look-up is two of a map, under a lock that is held no
//! longer.
use crate::Engine;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use taffrail_meta::{
    AnyMeta, ApiKey, ChangedInstance, CreatedKey, InstanceChange, Meta, MetaError, NewInstance,
    NewKey,
};
use taffrail_model::{
    access::{Principal, Scope},
    instance::{
        GoneInstances, INSTANCE_STREAMS, Instance, InstanceLookup, InstanceStatus, is_gone,
    },
    limits::TIMESTAMP_AHEAD_MAX_S,
    stream::StreamCatalogue,
    tenant::TenantNumber,
    time::{NS_PER_DAY, NS_PER_S, Timestamp},
};

/// Every instance, deleted ones too.
#[derive(Default)]
pub(crate) struct Instances {
    directory: RwLock<Directory>,
    /// Held while a change is made.
    changing: Arc<tokio::sync::Mutex<()>>,
    /// The latest answer of [`Instances::gone`], and of how many instances it is.
    gone: Mutex<(usize, GoneInstances)>,
}

#[derive(Default)]
struct Directory {
    by_number: BTreeMap<i64, Arc<Instance>>,
    by_tenant: HashMap<TenantNumber, HashMap<Arc<str>, Arc<Instance>>>,
    /// Deleted ones, the first deleted first.
    deleted: BTreeSet<(Timestamp, i64)>,
}

impl Directory {
    fn put(&mut self, instance: Arc<Instance>) {
        self.remove(instance.number);
        if let Some(deleted) = instance.deleted {
            self.deleted.insert((deleted, instance.number));
        }
        self.by_tenant
            .entry(instance.tenant)
            .or_default()
            .insert(instance.id.clone(), instance.clone());
        self.by_number.insert(instance.number, instance);
    }

    fn remove(&mut self, number: i64) {
        let Some(old) = self.by_number.remove(&number) else {
            return;
        };
        if let Some(deleted) = old.deleted {
            self.deleted.remove(&(deleted, number));
        }
        if let Some(of_tenant) = self.by_tenant.get_mut(&old.tenant) {
            of_tenant.remove(&old.id);
        }
    }

    /// Those that nobody may see at `now`, the first deleted first.
    fn gone(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Instance>> {
        let gone = self.deleted.iter();
        gone.take_while(move |(deleted, _)| is_gone(*deleted, now))
            .filter_map(|(_, number)| self.by_number.get(number))
    }
}

impl Instances {
    pub(crate) async fn load(meta: &AnyMeta) -> Result<Instances, MetaError> {
        let mut directory = Directory::default();
        for instance in meta.instances().await? {
            directory.put(Arc::new(instance));
        }
        Ok(Instances {
            directory: RwLock::new(directory),
            changing: Arc::default(),
            gone: Mutex::default(),
        })
    }

    /// The instances whose records nobody may read at `now`.
    pub(crate) fn gone(&self, now: Timestamp) -> GoneInstances {
        let directory = self.directory.read();
        let count = directory.gone(now).count();
        let mut latest = self.gone.lock();
        if latest.0 != count {
            let ids = directory.gone(now);
            let ids = ids.map(|instance| (instance.tenant, instance.id.clone()));
            *latest = (count, ids.collect());
        }
        latest.1.clone()
    }

    /// Whether an instance was deleted before a time.
    fn any_deleted_before(&self, time: Timestamp) -> bool {
        let directory = self.directory.read();
        let first = directory.deleted.first();
        first.is_some_and(|(deleted, _)| *deleted < time)
    }

    /// Takes over what the database says now.
    fn update(&self, change: impl FnOnce(&mut Directory)) {
        let mut directory = self.directory.write();
        change(&mut directory);
        // As many as before may be others.
        *self.gone.lock() = Default::default();
    }
}

impl InstanceLookup for Instances {
    fn instance(&self, tenant: TenantNumber, id: &str) -> Option<Arc<Instance>> {
        let directory = self.directory.read();
        directory.by_tenant.get(&tenant)?.get(id).cloned()
    }
}

/// Which instances are listed.
#[derive(Clone, Debug, Default)]
pub struct InstanceFilter {
    /// Of this status.
    pub status: Option<InstanceStatus>,
    /// Of this service.
    pub service: Option<String>,
    /// Of this owner.
    pub user_id: Option<String>,
    /// Deleted ones too.
    pub with_deleted: bool,
}

impl InstanceFilter {
    fn admits(&self, instance: &Instance) -> bool {
        let is_of = |wanted: &Option<String>, have: Option<&str>| match wanted {
            Some(wanted) => have == Some(wanted),
            None => true,
        };
        self.status.is_none_or(|status| instance.status == status)
            && is_of(&self.service, instance.service.as_deref())
            && is_of(&self.user_id, Some(&instance.user_id))
            && (self.with_deleted || instance.deleted.is_none())
    }
}

/// What a new key of an instance is made of.
#[derive(Clone, Debug)]
pub struct NewInstanceKey {
    /// Account that it acts for: it must own the instance as long as the key is used.
    pub account: i64,
    /// Name, for people.
    pub name: String,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

impl Engine {
    /// The instance of an id, if the principal owns it; a deleted one as long as its records can
    /// be read. Where several tenants of the principal have the id: that of the first of them.
    #[must_use]
    pub fn instance(&self, principal: &Principal, id: &str) -> Option<Arc<Instance>> {
        let now = self.now();
        let mut tenants = principal.tenants.iter();
        tenants.find_map(|tenant| {
            let found = self.inner.instances.instance(*tenant, id);
            found.filter(|instance| principal.owns(instance) && !instance.is_gone(now))
        })
    }

    /// Up to `limit` instances that the principal owns and whose number is above `after`.
    #[must_use]
    pub fn instances(
        &self,
        principal: &Principal,
        filter: &InstanceFilter,
        after: i64,
        limit: usize,
    ) -> Vec<Arc<Instance>> {
        let now = self.now();
        let directory = self.inner.instances.directory.read();
        directory
            .by_number
            .range(after.saturating_add(1)..)
            .map(|(_, instance)| instance)
            .filter(|instance| principal.owns(instance) && !instance.is_gone(now))
            .filter(|instance| filter.admits(instance))
            .take(limit)
            .cloned()
            .collect()
    }

    /// Makes an instance.
    ///
    /// # Errors
    /// As [`Meta::create_instance`].
    pub async fn create_instance(&self, new: NewInstance) -> Result<Arc<Instance>, MetaError> {
        self.change(|engine| async move {
            let instance = Arc::new(engine.meta().create_instance(new).await?);
            engine
                .inner
                .instances
                .update(|directory| directory.put(instance.clone()));
            Ok(instance)
        })
        .await
    }

    /// Changes an instance.
    ///
    /// # Errors
    /// As [`Meta::change_instance`].
    pub async fn change_instance(
        &self,
        number: i64,
        change: InstanceChange,
    ) -> Result<ChangedInstance, MetaError> {
        self.change(move |engine| async move {
            let changed = engine.meta().change_instance(number, change).await?;
            engine.put(&changed);
            Ok(changed)
        })
        .await
    }

    /// Deletes an instance: it takes no records from now on, its keys are revoked, and seven days
    /// later its records are hidden. Fine if it was deleted.
    ///
    /// # Errors
    /// As [`Meta::delete_instance`].
    pub async fn delete_instance(&self, number: i64) -> Result<ChangedInstance, MetaError> {
        self.change(move |engine| async move {
            let changed = engine.meta().delete_instance(number).await?;
            engine.put(&changed);
            Ok(changed)
        })
        .await
    }

    /// Makes an API key that writes the records of an instance and nothing else.
    ///
    /// # Errors
    /// As [`Meta::create_key`].
    pub async fn create_instance_key(
        &self,
        instance: &Instance,
        new: NewInstanceKey,
    ) -> Result<CreatedKey, MetaError> {
        let scope = Scope::Instance {
            tenant: instance.tenant,
            instance: instance.id.to_string(),
        };
        let NewInstanceKey {
            account,
            name,
            expires,
        } = new;
        self.meta()
            .create_key(NewKey {
                account,
                name,
                scope,
                expires,
            })
            .await
    }

    /// Up to `limit` keys of an instance whose number is above `after`.
    ///
    /// # Errors
    /// As [`Meta::instance_keys`].
    pub async fn instance_keys(
        &self,
        instance: &Instance,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ApiKey>, MetaError> {
        self.meta()
            .instance_keys(instance.tenant, &instance.id, after, limit)
            .await
    }

    /// Forgets the deleted instances of which no record can be there any more; how many. Their ids
    /// can be given again.
    ///
    /// # Errors
    /// As [`Meta::purge_instances`].
    pub async fn purge_instances(&self) -> Result<usize, MetaError> {
        let Some(before) = empty_before(&self.catalogue(), self.now()) else {
            return Ok(0);
        };
        if !self.inner.instances.any_deleted_before(before) {
            return Ok(0);
        }
        self.change(move |engine| async move {
            let numbers = engine.meta().purge_instances(before).await?;
            engine.inner.instances.update(|directory| {
                for number in &numbers {
                    directory.remove(*number);
                }
            });
            Ok(numbers.len())
        })
        .await
    }

    fn put(&self, changed: &ChangedInstance) {
        let after = changed.after.clone();
        self.inner
            .instances
            .update(|directory| directory.put(after));
    }

    /// Makes a change to its end once it has begun, whether or not somebody waits for it: what is
    /// in the database must come into the directory. Changes begin in the order in which they are
    /// asked for: a task of its own that waited for its turn could be overtaken before it ran. One
    /// that nobody waits for when its turn comes is not made.
    async fn change<T, F>(
        &self,
        change: impl FnOnce(Engine) -> F + Send + 'static,
    ) -> Result<T, MetaError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, MetaError>> + Send + 'static,
    {
        let engine = self.clone();
        let turn = self.inner.instances.changing.clone().lock_owned().await;
        let running = self.inner.running.subscribe();
        let task = tokio::spawn(async move {
            let (_one_at_a_time, _running) = (turn, running);
            change(engine).await
        });
        match task.await {
            Ok(outcome) => outcome,
            Err(_) => Err(MetaError::Interrupted),
        }
    }
}

/// The time before which an instance must have been deleted so that no stream of instances still
/// has a day that may hold a record of it; `None`: a stream keeps its days for ever.
fn empty_before(catalogue: &StreamCatalogue, now: Timestamp) -> Option<Timestamp> {
    let today = now.0.div_euclid(NS_PER_DAY);
    let mut oldest = today;
    for stream in catalogue.iter() {
        if stream.name.starts_with(INSTANCE_STREAMS) {
            oldest = oldest.min(stream.oldest_day_kept(today)?);
        }
    }
    // A record may be of a time somewhat ahead of its receipt.
    let ahead_ns = TIMESTAMP_AHEAD_MAX_S * NS_PER_S;
    Some(Timestamp(oldest * NS_PER_DAY - ahead_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_free_when_the_last_day_of_its_records_has_left() {
        let catalogue = StreamCatalogue::built_in();
        let noon = |day: i64| Timestamp(day * NS_PER_DAY + NS_PER_DAY / 2);
        // Deleted at noon of day 100: its records are of that day at the latest, which is kept
        // through day 130.
        assert!(empty_before(&catalogue, noon(130)).unwrap() <= noon(100));
        assert!(empty_before(&catalogue, noon(131)).unwrap() > noon(100));
        // Deleted half an hour before midnight: a record may be of the next day.
        let late = Timestamp(101 * NS_PER_DAY - NS_PER_DAY / 48);
        assert!(empty_before(&catalogue, noon(131)).unwrap() <= late);
        assert!(empty_before(&catalogue, noon(132)).unwrap() > late);
    }
}
