//! Passwords: Argon2id with 19 MiB, two passes, one lane (the OWASP minimum that also bounds the
//! memory of many logins at once), as PHC text, so that the parameters can grow later.
//!
//! A hash takes tens of milliseconds of a core. It runs on a blocking thread, and only
//! [`HASHES_AT_ONCE`] run at a time: logins alone cannot take the machine.
use crate::{error::MetaError, secret::random_bytes};
use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version,
    password_hash::SaltString,
};
use std::sync::Arc;
use tokio::sync::Semaphore;

const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes that run at once: 19 MiB each.
const HASHES_AT_ONCE: usize = 2;

/// Hashes and verifies passwords.
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    /// Verified for names that do not exist, so that they take as long as those that do.
    dummy: String,
}

impl Passwords {
    pub(crate) async fn new() -> Result<Passwords, MetaError> {
        let turns = Arc::new(Semaphore::new(HASHES_AT_ONCE));
        let nobody: [u8; 16] = random_bytes()?;
        let dummy = blocking(&turns, move || hash_now(&nobody)).await?;
        Ok(Passwords { turns, dummy })
    }

    /// PHC text of a password.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, MetaError> {
        let password = password.to_owned();
        blocking(&self.turns, move || hash_now(password.as_bytes())).await
    }

    /// Whether the password belongs to the hash; `None` (no such account) takes as long and is
    /// always false.
    pub(crate) async fn verify(
        &self,
        password: &str,
        stored: Option<&str>,
    ) -> Result<bool, MetaError> {
        let password = password.to_owned();
        let exists = stored.is_some();
        let phc = stored.unwrap_or(&self.dummy).to_owned();
        blocking(&self.turns, move || {
            let hash =
                PasswordHash::new(&phc).map_err(|fault| MetaError::Hash(fault.to_string()))?;
            let fits = argon2()?
                .verify_password(password.as_bytes(), &hash)
                .is_ok();
            Ok(fits && exists)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, MetaError> + Send + 'static,
) -> Result<T, MetaError> {
    // The permit goes along: it is held until the work ends, even if the caller goes away.
    let permit = turns
        .clone()
        .acquire_owned()
        .await
        .map_err(|fault| MetaError::Hash(fault.to_string()))?;
    tokio::task::spawn_blocking(move || {
        let out = work();
        drop(permit);
        out
    })
    .await
    .map_err(|fault| MetaError::Hash(fault.to_string()))?
}

fn argon2() -> Result<Argon2<'static>, MetaError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|fault| MetaError::Hash(fault.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_now(password: &[u8]) -> Result<String, MetaError> {
    let salt: [u8; 16] = random_bytes()?;
    let salt = SaltString::encode_b64(&salt).map_err(|fault| MetaError::Hash(fault.to_string()))?;
    argon2()?
        .hash_password(password, &salt)
        .map(|hash| hash.to_string())
        .map_err(|fault| MetaError::Hash(fault.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hashes_are_salted_and_say_their_parameters() {
        let passwords = Passwords::new().await.unwrap();
        let a = passwords.hash("correct horse").await.unwrap();
        let b = passwords.hash("correct horse").await.unwrap();
        assert_ne!(a, b);
        assert!(a.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{a}");
        for (password, stored, expected) in [
            ("correct horse", Some(a.as_str()), true),
            ("correct horse", Some(b.as_str()), true),
            ("correct horsf", Some(a.as_str()), false),
            ("", Some(a.as_str()), false),
            ("correct horse", None, false),
        ] {
            assert_eq!(passwords.verify(password, stored).await.unwrap(), expected);
        }
        assert!(passwords.verify("x", Some("no hash")).await.is_err());
    }

    #[tokio::test]
    async fn a_published_vector_verifies() {
        // From the reference implementation's tests (argon2id, version 19).
        let passwords = Passwords::new().await.unwrap();
        let phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(passwords.verify("password", Some(phc)).await.unwrap());
        assert!(!passwords.verify("passwore", Some(phc)).await.unwrap());
    }
}
