//! What a frame with rows holds: the idempotency record of its request and the compressed rows.
use super::columns;
use crate::{
    encoding::{Input, Malformed},
    idempotency::IdempotencyRecord,
};
use taffrail_model::column::ColumnSet;

/// A payload whose rows are still compressed.
pub(crate) struct Payload<'a> {
    pub(crate) idempotency: Option<IdempotencyRecord>,
    rows_bytes: usize,
    compressed: &'a [u8],
}

impl<'a> Payload<'a> {
    /// The bytes to seal. No rows: `None`.
    pub(crate) fn encode(
        idempotency: Option<&IdempotencyRecord>,
        rows: Option<(&[i64], &ColumnSet)>,
    ) -> Vec<u8> {
        let mut raw = Vec::new();
        if let Some((timestamps, columns)) = rows {
            columns::encode(timestamps, columns, &mut raw);
        }
        let bound = lz4_flex::block::get_maximum_output_size(raw.len());
        let mut out = Vec::new();
        out.push(u8::from(idempotency.is_some()));
        if let Some(record) = idempotency {
            record.encode(&mut out);
        }
        out.extend_from_slice(&(raw.len() as u32).to_le_bytes());
        let start = out.len();
        out.resize(start + bound, 0);
        let written = lz4_flex::block::compress_into(&raw, &mut out[start..])
            .unwrap_or_else(|_| unreachable!("the output has the greatest size there is"));
        out.truncate(start + written);
        out.shrink_to_fit();
        out
    }

    /// Puts the record of its request into a payload that has none.
    pub(crate) fn add_record(payload: &mut Vec<u8>, record: &IdempotencyRecord) {
        debug_assert_eq!(payload.first(), Some(&0));
        let mut front = vec![1];
        record.encode(&mut front);
        payload.splice(..1, front);
    }

    pub(crate) fn decode(plain: &'a [u8]) -> Result<Payload<'a>, Malformed> {
        let mut input = Input::new(plain);
        let idempotency = match input.u8()? {
            0 => None,
            _ => Some(IdempotencyRecord::decode(&mut input)?),
        };
        let rows_bytes = input.lz4_length()?;
        Ok(Payload {
            idempotency,
            rows_bytes,
            compressed: input.rest(),
        })
    }

    /// The rows.
    pub(crate) fn rows(&self) -> Result<(Vec<i64>, ColumnSet), Malformed> {
        let raw = lz4_flex::block::decompress(self.compressed, self.rows_bytes);
        let raw = raw.map_err(|_| Malformed {
            at: 0,
            expected: "an lz4 block",
        })?;
        columns::decode(&raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idempotency::{PackedAnswer, RequestKey};
    use proptest::prelude::*;
    use taffrail_model::tenant::TenantNumber;
    use taffrail_model::time::Timestamp;

    proptest! {
        #[test]
        fn payloads_round_trip(
            (timestamps, columns) in columns::tests::rows(),
            with_key: bool,
            answer: Vec<u8>,
        ) {
            let record = with_key.then(|| IdempotencyRecord {
                key: RequestKey::new(TenantNumber(7), "key 7", "a-b"),
                body: [3; 16],
                answer: PackedAnswer::new(&answer),
                time: Timestamp(-5),
            });
            let plain = Payload::encode(record.as_ref(), Some((&timestamps, &columns)));
            let mut late = Payload::encode(None, Some((&timestamps, &columns)));
            if let Some(record) = &record {
                Payload::add_record(&mut late, record);
            }
            prop_assert_eq!(&late, &plain);
            let payload = Payload::decode(&plain).unwrap();
            prop_assert_eq!(&payload.idempotency, &record);
            prop_assert_eq!(payload.rows().unwrap(), (timestamps, columns));
            let empty = Payload::encode(record.as_ref(), None);
            prop_assert_eq!(&Payload::decode(&empty).unwrap().idempotency, &record);
        }

        #[test]
        fn damaged_payloads_do_not_panic(bytes: Vec<u8>) {
            if let Ok(payload) = Payload::decode(&bytes) {
                let _ = payload.rows();
            }
        }
    }
}
