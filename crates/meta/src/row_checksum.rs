//! Checksums of the rows that decide access: HMAC-SHA256 under a key that is not in the database.
//! Format: docs/formats/metadata.md.
use crate::{error::MetaError, secret::random_bytes};
use ring::hmac;
use std::{
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// The key of the row checksums. Kept in a file of its own beside the instance's key file.
#[derive(Clone)]
pub struct RowKey(hmac::Key);

impl std::fmt::Debug for RowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RowKey")
    }
}

const FILE_PREFIX: &str = "taffrail-row-key-1 ";

impl RowKey {
    /// Reads the key file (mode 0600, one line).
    ///
    /// # Errors
    /// [`MetaError::RowKeyFile`] if it cannot be read or is no key file.
    pub fn load(path: &Path) -> Result<RowKey, MetaError> {
        let fault = |source| MetaError::RowKeyFile {
            path: path.to_owned(),
            source,
        };
        let text = std::fs::read_to_string(path).map_err(fault)?;
        let bytes = text
            .trim_end()
            .strip_prefix(FILE_PREFIX)
            .and_then(parse_hex)
            .ok_or_else(|| {
                fault(std::io::Error::new(
                    std::io::ErrorKind::InvalidData,
                    "no key of row checksums",
                ))
            })?;
        Ok(RowKey::from_bytes(&bytes))
    }

    /// Writes a new random key to a file that must not exist, and makes it durable.
    ///
    /// # Errors
    /// [`MetaError::RowKeyFile`] if it exists or cannot be written.
    pub fn create(path: &Path) -> Result<RowKey, MetaError> {
        let fault = |source| MetaError::RowKeyFile {
            path: path.to_owned(),
            source,
        };
        let bytes: [u8; 32] = random_bytes()?;
        let mut line = FILE_PREFIX.to_owned();
        for byte in bytes {
            line.push_str(&format!("{byte:02x}"));
        }
        line.push('\n');
        let parent = path.parent().unwrap_or(Path::new("."));
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(fault)?;
        // A crash in between leaves no half of a key: the name appears with the whole content.
        let unfinished = path.with_extension("new");
        match std::fs::remove_file(&unfinished) {
            Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => {}
            other => other.map_err(fault)?,
        }
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(fault)?;
        file.write_all(line.as_bytes()).map_err(fault)?;
        file.sync_all().map_err(fault)?;
        std::fs::hard_link(&unfinished, path).map_err(fault)?;
        std::fs::remove_file(&unfinished).map_err(fault)?;
        std::fs::File::open(parent)
            .and_then(|directory| directory.sync_all())
            .map_err(fault)?;
        Ok(RowKey::from_bytes(&bytes))
    }

    /// The key of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> RowKey {
        RowKey(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The checksum of a row.
    pub(crate) fn sign(&self, table: &str, fields: &[Field<'_>]) -> Vec<u8> {
        hmac::sign(&self.0, &encode(table, fields))
            .as_ref()
            .to_vec()
    }

    /// Checks a row that was read.
    pub(crate) fn verify(
        &self,
        table: &'static str,
        id: i64,
        fields: &[Field<'_>],
        checksum: &[u8],
    ) -> Result<(), MetaError> {
        hmac::verify(&self.0, &encode(table, fields), checksum)
            .map_err(|_| MetaError::RowChecksum { table, id })
    }
}

/// One value under a checksum.
#[derive(Clone, Copy)]
pub(crate) enum Field<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl From<Option<i64>> for Field<'_> {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Field::Null, Field::Integer)
    }
}

/// Each value with its kind and length, so that two different rows never encode alike.
fn encode(table: &str, fields: &[Field<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut put = |kind: u8, bytes: &[u8]| {
        out.push(kind);
        out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        out.extend_from_slice(bytes);
    };
    put(b'T', table.as_bytes());
    for field in fields {
        match field {
            Field::Null => put(b'n', &[]),
            Field::Integer(value) => put(b'i', &value.to_le_bytes()),
            Field::Text(text) => put(b't', text.as_bytes()),
            Field::Bytes(bytes) => put(b'b', bytes),
        }
    }
    out
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect();
    (digits.len() == 64).then(|| bytes.try_into().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn key_file_round_trip() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys/row.key");
        let key = RowKey::create(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let sum = key.sign("t", &[Field::Integer(1)]);
        let again = RowKey::load(&path).unwrap();
        assert!(again.verify("t", 1, &[Field::Integer(1)], &sum).is_ok());
        assert!(again.verify("t", 1, &[Field::Integer(2)], &sum).is_err());
        assert!(again.verify("u", 1, &[Field::Integer(1)], &sum).is_err());
        assert!(
            again
                .verify("t", 1, &[Field::Integer(1)], &sum[..31])
                .is_err()
        );
        assert!(matches!(
            RowKey::create(&path),
            Err(MetaError::RowKeyFile { .. })
        ));
        for bad in ["", "taffrail-row-key-1 12", "0000", &"é".repeat(64)] {
            std::fs::write(&path, bad).unwrap();
            assert!(RowKey::load(&path).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_checksum_is_hmac_sha256_of_the_documented_bytes() {
        // Computed with Python's hmac and struct from docs/formats/metadata.md.
        let key = RowKey::from_bytes(&[7; 32]);
        let sum = key.sign(
            "t",
            &[
                Field::Null,
                Field::Integer(-2),
                Field::Text("ä"),
                Field::Bytes(&[0]),
            ],
        );
        let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "35f31f10e3d6b09f6b2ef8b33979964d8172cd44e1acafbb0b1f5a754c066250"
        );
    }

    #[test]
    fn different_rows_encode_differently() {
        let a = encode("t", &[Field::Text("ab"), Field::Text("c")]);
        let b = encode("t", &[Field::Text("a"), Field::Text("bc")]);
        let c = encode("t", &[Field::Text(""), Field::Null]);
        let d = encode("t", &[Field::Null, Field::Text("")]);
        assert!(a != b && c != d);
    }
}
