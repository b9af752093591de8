//! The parts of edits and snapshots as bytes.
use super::{BundleMeta, SectionMeta};
use crate::{
    container::ObjectId,
    deletion::{Deletion, DeletionState},
    encoding::{Input, Malformed, put_bytes, put_varint},
    read::Extent,
    snapshot::Fault,
};
use taffrail_model::{
    position::{PartitionKey, Position},
    stream::StreamNumber,
    tenant::TenantNumber,
    time::{Day, TimeRange, Timestamp},
};

pub(super) fn put_key(out: &mut Vec<u8>, key: &PartitionKey) {
    out.extend_from_slice(&key.tenant.0.to_le_bytes());
    out.extend_from_slice(&key.stream.0.to_le_bytes());
    out.extend_from_slice(&key.day.0.to_le_bytes());
}

pub(super) fn key(input: &mut Input<'_>) -> Result<PartitionKey, Malformed> {
    Ok(PartitionKey {
        tenant: TenantNumber(input.u32()?),
        stream: StreamNumber(input.u16()?),
        day: Day(input.u16()?),
    })
}

pub(super) fn put_bundle(out: &mut Vec<u8>, bundle: &BundleMeta) {
    put_varint(out, bundle.number);
    out.extend_from_slice(&bundle.object.0);
    put_varint(out, bundle.bytes);
    put_varint(out, bundle.sections.len() as u64);
    for section in &bundle.sections {
        put_key(out, &section.key);
        put_varint(out, u64::from(section.index));
        put_varint(out, section.offset);
        put_varint(out, section.bytes);
        let extent = &section.extent;
        put_varint(out, u64::from(extent.rows));
        out.extend_from_slice(&extent.time_min.0.to_le_bytes());
        out.extend_from_slice(&extent.time_max.0.to_le_bytes());
        put_varint(out, extent.position_min.0);
        put_varint(out, extent.position_max.0);
        put_varint(out, section.applied);
        out.extend_from_slice(&section.rules.to_le_bytes());
    }
}

pub(super) fn bundle(input: &mut Input<'_>) -> Result<BundleMeta, Malformed> {
    let mut bundle = BundleMeta {
        number: input.varint()?,
        object: ObjectId(input.fixed()?),
        bytes: input.varint()?,
        sections: Vec::new(),
    };
    for _ in 0..input.count(39)? {
        bundle.sections.push(SectionMeta {
            key: key(input)?,
            index: input.varint_u32()?,
            offset: input.varint()?,
            bytes: input.varint()?,
            extent: Extent {
                rows: input.varint_u32()?,
                time_min: Timestamp(input.u64()? as i64),
                time_max: Timestamp(input.u64()? as i64),
                position_min: Position(input.varint()?),
                position_max: Position(input.varint()?),
            },
            applied: input.varint()?,
            rules: input.u64()?,
        });
    }
    Ok(bundle)
}

pub(super) fn put_faults(out: &mut Vec<u8>, faults: &[Fault]) {
    put_varint(out, faults.len() as u64);
    for fault in faults {
        out.push(u8::from(fault.partition.is_some()));
        if let Some(key) = &fault.partition {
            put_key(out, key);
        }
        put_bytes(out, fault.file.as_bytes());
        put_bytes(out, fault.detail.as_bytes());
    }
}

pub(super) fn faults(input: &mut Input<'_>) -> Result<Vec<Fault>, Malformed> {
    let mut faults = Vec::new();
    for _ in 0..input.count(3)? {
        let partition = match input.u8()? {
            0 => None,
            _ => Some(key(input)?),
        };
        faults.push(Fault {
            partition,
            file: input.text()?.to_owned(),
            detail: input.text()?.to_owned(),
            is_transient: false,
        });
    }
    Ok(faults)
}

pub(super) fn put_deletions<'a>(
    out: &mut Vec<u8>,
    deletions: impl ExactSizeIterator<Item = &'a Deletion>,
) {
    put_varint(out, deletions.len() as u64);
    for deletion in deletions {
        put_varint(out, deletion.sequence);
        out.extend_from_slice(&deletion.tenant.0.to_le_bytes());
        put_varint(out, deletion.streams.len() as u64);
        for stream in &deletion.streams {
            out.extend_from_slice(&stream.0.to_le_bytes());
        }
        let times = [deletion.range.start, deletion.range.end, deletion.created];
        for time in times {
            out.extend_from_slice(&time.0.to_le_bytes());
        }
        put_varint(out, deletion.through.0);
        put_bytes(out, deletion.predicate.as_bytes());
        put_bytes(out, deletion.note.as_bytes());
        put_varint(out, deletion.rows_matched);
        put_varint(out, deletion.rows_removed);
        put_varint(out, deletion.sections_total);
        let (state, ended) = match deletion.state {
            DeletionState::Active => (0, Timestamp::default()),
            DeletionState::Done(ended) => (1, ended),
            DeletionState::Cancelled(ended) => (2, ended),
        };
        out.push(state);
        out.extend_from_slice(&ended.0.to_le_bytes());
    }
}

pub(super) fn deletions(input: &mut Input<'_>) -> Result<Vec<Deletion>, Malformed> {
    let mut all = Vec::new();
    for _ in 0..input.count(45)? {
        all.push(deletion(input)?);
    }
    Ok(all)
}

fn deletion(input: &mut Input<'_>) -> Result<Deletion, Malformed> {
    let time = |input: &mut Input<'_>| Ok::<_, Malformed>(Timestamp(input.u64()? as i64));
    let sequence = input.varint()?;
    let tenant = TenantNumber(input.u32()?);
    let mut streams = Vec::new();
    for _ in 0..input.count(2)? {
        streams.push(StreamNumber(input.u16()?));
    }
    let range = TimeRange {
        start: time(input)?,
        end: time(input)?,
    };
    let mut deletion = Deletion {
        sequence,
        tenant,
        streams,
        range,
        created: time(input)?,
        through: Position(input.varint()?),
        predicate: input.text()?.to_owned(),
        note: input.text()?.to_owned(),
        rows_matched: input.varint()?,
        rows_removed: input.varint()?,
        sections_total: input.varint()?,
        state: DeletionState::Active,
    };
    let state = input.u8()?;
    let ended = time(input)?;
    deletion.state = match state {
        0 => DeletionState::Active,
        1 => DeletionState::Done(ended),
        2 => DeletionState::Cancelled(ended),
        _ => return Err(input.malformed("the state of a deletion")),
    };
    Ok(deletion)
}
