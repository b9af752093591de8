//! Who fills a spool: a note that is there from when a producer begins until it ends. Whoever finds
//! one knows that its producer has not ended, and that what that had in memory is missing.
//!
//! A note that cannot be read is one, too, whatever the reason: that it is there is what counts, and
//! it keeps nothing that is in the spool from being sent.
use super::{
    Spool, SpoolError,
    file::{Place, SealedFiles},
};

/// Bytes of a note that are used: a name and a time, several times over.
const NOTE_BYTES_MAX: usize = 256;

impl Spool {
    /// Notes durably that a producer fills the spool from now on; `note` is what it wants known of
    /// itself if it does not [end](Spool::end).
    ///
    /// # Errors
    /// [`SpoolError`]; the spool goes on without the note.
    pub fn begin(&mut self, note: &str) -> Result<(), SpoolError> {
        let now = self.clock.now();
        self.sealed.replace(Place::Producer, note.as_bytes(), now)
    }

    /// Takes the note away: everything that its producer had is in the spool.
    ///
    /// # Errors
    /// [`SpoolError`]; the note may be there.
    pub fn end(&mut self) -> Result<(), SpoolError> {
        self.sealed.remove(Place::Producer)
    }
}

/// The note of a producer that has not ended, empty if it cannot be read.
pub(super) fn left_by(sealed: &SealedFiles) -> Option<String> {
    let bytes = sealed.read(Place::Producer).unwrap_or(Some(Vec::new()))?;
    let cut = &bytes[..bytes.len().min(NOTE_BYTES_MAX)];
    Some(String::from_utf8_lossy(cut).into_owned())
}
