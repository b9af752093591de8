//! Ownership: in the streams of instances the credential says whose a record is.
//!
//! Invariants
//! - A record that belongs to an instance has the instance's id and its owner's `user_id`,
//!   whatever the sender wrote; what it wrote is kept as `labels.instance_id`, `labels.user_id`.
//! - A record that its sender may not write is rejected by itself, with the reason.
//!
//! The rule is not here but in [`Principal::instance_of_record`]. A batch of other streams costs
//! one look at its stream; each instance of a batch is asked for once.
use crate::{
    parse::alias::keep_under,
    rows::{Rows, Streams},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use taffrail_model::{
    access::{Principal, WriteRule},
    batch::RejectKind,
    column::{Column, ColumnSet, Kind},
    field,
    instance::{Instance, InstanceLookup},
    stream::StreamNumber,
};

/// Where the format of the requirements has the id of the instance.
const DOCUMENT_INSTANCE_ID: &str = "metadata.instanceId";
/// Where it has the service.
const DOCUMENT_SERVICE: &str = "metadata.service";
/// Name of the process that a record is of, such as `npx`. A source that is only that says nothing
/// of the service.
pub const PROCESS_NAME: &str = "metadata.process_name";

/// Who writes, and what there is to write for.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    /// Whose credential it is.
    pub principal: &'a Principal,
    /// All instances.
    pub instances: &'a dyn InstanceLookup,
}

/// Whose a row is.
#[derive(Clone)]
enum Owner {
    /// What it says, if it says something.
    AsSent,
    /// Of an instance that nobody has made here, named as the format of the requirements does.
    Named(Arc<str>),
    Instance(Arc<Instance>),
}

impl Owner {
    fn instance_id(&self) -> Option<&str> {
        match self {
            Owner::AsSent => None,
            Owner::Named(id) => Some(id),
            Owner::Instance(instance) => Some(&instance.id),
        }
    }

    fn user_id(&self) -> Option<&str> {
        match self {
            Owner::AsSent | Owner::Named(_) => None,
            Owner::Instance(instance) => Some(&instance.user_id),
        }
    }

    fn service(&self) -> Option<&str> {
        match self {
            Owner::AsSent | Owner::Named(_) => None,
            Owner::Instance(instance) => instance.service.as_deref(),
        }
    }
}

/// Gives every record of an instance its owner, or rejects it.
pub(crate) fn apply(
    columns: &mut ColumnSet,
    streams: &Streams<'_>,
    writer: &Writer<'_>,
    rows: &mut Rows,
) {
    let principal = writer.principal;
    if !streams.any(|stream| principal.write_rule(stream) == Some(WriteRule::ByInstance)) {
        return;
    }
    let owners = owners(columns, streams, writer, rows);
    let sent = force(columns, field::INSTANCE_ID, &owners, Owner::instance_id);
    keep_under(columns, "labels.instance_id", sent);
    let sent = force(columns, field::USER_ID, &owners, Owner::user_id);
    keep_under(columns, "labels.user_id", sent);
    name_sources(columns, &owners);
}

fn owners(
    columns: &ColumnSet,
    streams: &Streams<'_>,
    writer: &Writer<'_>,
    rows: &mut Rows,
) -> Vec<Owner> {
    let principal = writer.principal;
    let own = columns.get(field::INSTANCE_ID);
    let document = columns.get(DOCUMENT_INSTANCE_ID);
    let mut rules: BTreeMap<StreamNumber, Option<WriteRule>> = BTreeMap::new();
    let mut found: HashMap<Option<&str>, Result<Owner, String>> = HashMap::new();
    let mut owners = vec![Owner::AsSent; rows.count() as usize];
    for (row, owner) in (0u32..).zip(&mut owners) {
        let stream = streams.of(row);
        let rule = *rules
            .entry(stream.number)
            .or_insert_with(|| principal.write_rule(stream));
        if rule != Some(WriteRule::ByInstance) || !rows.is_in(row) {
            continue;
        }
        let sent = id_of(own, row).or_else(|| id_of(document, row));
        let outcome = found.entry(sent).or_insert_with(|| {
            let instance = principal.instance_of_record(sent, writer.instances);
            match instance.map_err(|refusal| refusal.to_string())? {
                Some(instance) => Ok(Owner::Instance(instance)),
                None => Ok(sent.map_or(Owner::AsSent, |id| Owner::Named(id.into()))),
            }
        });
        match outcome {
            Ok(of) => owner.clone_from(of),
            Err(detail) => rows.reject(row, RejectKind::NotAllowed, detail.clone()),
        }
    }
    owners
}

/// An id may be a text or a number; a list is none.
fn id_of(column: Option<&Column>, row: u32) -> Option<&str> {
    let value = column?.get(row)?;
    (value.kind != Kind::Json).then_some(value.text)
}

/// Sets the field to what follows from the owner; gives back what was sent and is not that.
fn force(
    columns: &mut ColumnSet,
    name: &str,
    owners: &[Owner],
    value: fn(&Owner) -> Option<&str>,
) -> Column {
    let existing = columns.remove(name).unwrap_or_default();
    let (mut forced, mut displaced) = (Column::default(), Column::default());
    for (row, owner) in (0u32..).zip(owners) {
        let sent = existing.get(row);
        match (value(owner), sent) {
            (Some(text), Some(sent)) if sent.text != text => {
                forced.push(row, Kind::String, text);
                displaced.push(row, sent.kind, sent.text);
            }
            (None, Some(sent)) => forced.push(row, sent.kind, sent.text),
            (Some(text), _) => forced.push(row, Kind::String, text),
            (None, None) => {}
        }
    }
    if !forced.is_empty() {
        columns.insert(name, forced);
    }
    displaced
}

/// Names the service as the source of records that name none, or only their process: that of the
/// record, or the instance's.
fn name_sources(columns: &mut ColumnSet, owners: &[Owner]) {
    let existing = columns.remove(field::SOURCE).unwrap_or_default();
    let text_of = |name: &str, row| columns.get(name).and_then(|all| all.get(row));
    let mut named = Column::default();
    for (row, owner) in (0u32..).zip(owners) {
        let sent = existing.get(row);
        let process = text_of(PROCESS_NAME, row).map(|value| value.text);
        let is_service = sent.is_some_and(|sent| process != Some(sent.text));
        let of_document = || text_of(DOCUMENT_SERVICE, row);
        if let Some(sent) = sent.filter(|_| is_service) {
            named.push(row, sent.kind, sent.text);
        } else if let Some(service) = owner.instance_id().and_then(|_| of_document()) {
            named.push(row, service.kind, service.text);
        } else if let Some(service) = owner.service() {
            named.push(row, Kind::String, service);
        } else if let Some(sent) = sent {
            named.push(row, sent.kind, sent.text);
        }
    }
    if !named.is_empty() {
        columns.insert(field::SOURCE, named);
    }
}
