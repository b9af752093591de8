//! Random secrets and how they are kept: 256 bits from the operating system, of which only the
//! SHA-256 is stored. A lookup is by hash, so no comparison of secrets takes a time that tells
//! something about them.
use crate::error::MetaError;
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of randomness in a token.
const SECRET_BYTES: usize = 32;

/// A new secret: the prefix and 43 characters of base64url.
pub(crate) fn new_secret(prefix: &str) -> Result<String, MetaError> {
    let bytes: [u8; SECRET_BYTES] = random_bytes()?;
    let mut text = prefix.to_owned();
    push_base64url(&mut text, &bytes);
    Ok(text)
}

pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], MetaError> {
    let mut bytes = [0u8; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| MetaError::Random)?;
    Ok(bytes)
}

/// SHA-256 of a secret: what is stored and looked up.
pub(crate) fn hash(secret: &str) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, secret.as_bytes()).as_ref());
    out
}

/// Whether two secrets are equal, in a time that does not depend on where they differ: their
/// hashes are compared.
#[must_use]
pub fn secrets_equal(a: &str, b: &str) -> bool {
    let (a, b) = (hash(a), hash(b));
    a.iter().zip(&b).fold(0u8, |acc, (a, b)| acc | (a ^ b)) == 0
}

fn push_base64url(out: &mut String, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..=chunk.len() {
            let index = (bits >> (18 - 6 * at)) & 63;
            out.push(char::from(ALPHABET[index as usize]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_vectors() {
        // RFC 4648, section 10, without padding, and the two characters that differ.
        for (bytes, expected) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"fooba", "Zm9vYmE"),
            (b"foobar", "Zm9vYmFy"),
            (&[0xfb, 0xff, 0xfe], "-__-"),
        ] {
            let mut out = String::new();
            push_base64url(&mut out, bytes);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn secrets_are_long_and_differ() {
        let (a, b) = (new_secret("tfr_").unwrap(), new_secret("tfr_").unwrap());
        assert_eq!(a.len(), 4 + 43);
        assert!(a.starts_with("tfr_"));
        assert_ne!(a, b);
        assert!(secrets_equal(&a, &a.clone()));
        assert!(!secrets_equal(&a, &b));
        assert!(!secrets_equal(&a, &a[..46]));
    }
}
