//! Frames: how one sub-frame of a request, one manifest edit or one watermark lies in a file.
//!
//! The header is in the clear, so that recovery can say which rows a damaged frame held; it is
//! authenticated with the frame's container. Its own checksum makes it cheap to find the next
//! frame behind damaged bytes.
use crate::{
    container::{self, Binding, DataKey, KeySource, ObjectId, STORE_TENANT},
    read::ReadError,
};
use taffrail_model::{
    position::{PartitionKey, Position},
    stream::StreamNumber,
    tenant::TenantNumber,
    time::Day,
};

/// Bytes of a frame before its container.
pub(crate) const FRAME_HEADER_BYTES: usize = 80;
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"TFWF";

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// Rows of one request for one partition; or of a request that has no rows.
    Rows = 1,
    /// An edit of the manifest.
    Edit = 2,
    /// Nothing: it carries the watermark.
    Watermark = 3,
}

/// What is known of a frame from its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: FrameKind,
    /// Bytes of the container that follows.
    pub(crate) sealed_bytes: u32,
    /// Number of the frame: ascending by one within a file, and from file to file.
    pub(crate) sequence: u64,
    /// Every frame up to this one was durable when this one was written.
    pub(crate) durable_sequence: u64,
    /// Every position up to this one was durable when this frame was written, or void.
    pub(crate) durable_position: Position,
    /// Frames of one request share this number.
    pub(crate) request: u64,
    /// Number of this frame within the request, from 0.
    pub(crate) part: u32,
    /// Number of frames of the request.
    pub(crate) parts: u32,
    /// The partition of the rows.
    pub(crate) partition: PartitionKey,
    pub(crate) rows: u32,
    /// Position of the first row.
    pub(crate) first_position: Position,
}

impl FrameHeader {
    /// Position of the last row; the one before the first if there is no row.
    pub(crate) fn last_position(&self) -> Position {
        let end = self.first_position.0.saturating_add(u64::from(self.rows));
        Position(end.saturating_sub(1))
    }

    pub(crate) fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut out = [0; FRAME_HEADER_BYTES];
        out[..4].copy_from_slice(&FRAME_MAGIC);
        out[8] = self.kind as u8;
        out[12..16].copy_from_slice(&self.sealed_bytes.to_le_bytes());
        out[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        out[24..32].copy_from_slice(&self.durable_sequence.to_le_bytes());
        out[32..40].copy_from_slice(&self.durable_position.0.to_le_bytes());
        out[40..48].copy_from_slice(&self.request.to_le_bytes());
        out[48..52].copy_from_slice(&self.part.to_le_bytes());
        out[52..56].copy_from_slice(&self.parts.to_le_bytes());
        out[56..60].copy_from_slice(&self.partition.tenant.0.to_le_bytes());
        out[60..62].copy_from_slice(&self.partition.stream.0.to_le_bytes());
        out[62..64].copy_from_slice(&self.partition.day.0.to_le_bytes());
        out[64..68].copy_from_slice(&self.rows.to_le_bytes());
        out[72..80].copy_from_slice(&self.first_position.0.to_le_bytes());
        let checksum = crc32c::crc32c(&out[8..]);
        out[4..8].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    /// The header at the start of `bytes`, if there is one with a good checksum.
    pub(crate) fn decode(bytes: &[u8]) -> Option<FrameHeader> {
        let bytes: &[u8; FRAME_HEADER_BYTES] = bytes.first_chunk()?;
        if bytes[..4] != FRAME_MAGIC {
            return None;
        }
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        if u32_at(4) != crc32c::crc32c(&bytes[8..]) {
            return None;
        }
        let kind = match bytes[8] {
            1 => FrameKind::Rows,
            2 => FrameKind::Edit,
            3 => FrameKind::Watermark,
            _ => return None,
        };
        Some(FrameHeader {
            kind,
            sealed_bytes: u32_at(12),
            sequence: u64_at(16),
            durable_sequence: u64_at(24),
            durable_position: Position(u64_at(32)),
            request: u64_at(40),
            part: u32_at(48),
            parts: u32_at(52),
            partition: PartitionKey {
                tenant: TenantNumber(u32_at(56)),
                stream: StreamNumber(u16_at(60)),
                day: Day(u16_at(62)),
            },
            rows: u32_at(64),
            first_position: Position(u64_at(72)),
        })
    }

    /// Under whose key the frame is sealed.
    fn tenant(&self) -> TenantNumber {
        match self.kind {
            FrameKind::Rows => self.partition.tenant,
            FrameKind::Edit | FrameKind::Watermark => STORE_TENANT,
        }
    }
}

/// The random identity of a file, which no other file shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    pub(crate) object: ObjectId,
    pub(crate) salt: [u8; 24],
}

impl FileIdentity {
    /// Salt of the frame that begins at `offset`: unique, since the file's part is random and an
    /// offset of a file is written once.
    fn salt_at(&self, offset: u64) -> [u8; 32] {
        let mut salt = [0; 32];
        salt[..24].copy_from_slice(&self.salt);
        salt[24..].copy_from_slice(&offset.to_le_bytes());
        salt
    }
}

/// Appends a frame to `out`, which will be written so that the frame begins at `offset`.
pub(crate) fn seal_frame(
    mut header: FrameHeader,
    plain: &[u8],
    key: &DataKey,
    identity: &FileIdentity,
    offset: u64,
    out: &mut Vec<u8>,
) {
    header.sealed_bytes = container::sealed_bytes(plain.len() as u64) as u32;
    let encoded = header.encode();
    let binding = Binding {
        object: identity.object,
        tenant: header.tenant(),
        context: &encoded,
    };
    out.extend_from_slice(&encoded);
    container::seal(key, identity.salt_at(offset), &binding, plain, out);
}

/// The plain bytes of the frame that begins at `offset` of its file, `bytes` being what follows
/// from there.
pub(crate) fn open_frame(
    header: &FrameHeader,
    bytes: &[u8],
    keys: &dyn KeySource,
    identity: &FileIdentity,
    offset: u64,
    name: &str,
) -> Result<Vec<u8>, ReadError> {
    let damaged = |detail: &str| ReadError::Damaged {
        file: name.into(),
        offset,
        detail: detail.into(),
    };
    let end = FRAME_HEADER_BYTES + header.sealed_bytes as usize;
    let frame = bytes.get(..end).ok_or_else(|| damaged("a frame is cut"))?;
    let (context, sealed) = frame.split_at(FRAME_HEADER_BYTES);
    // A frame is accepted only with the salt of its place: what was copied from elsewhere is not.
    if sealed.get(16..48) != Some(&identity.salt_at(offset)[..]) {
        return Err(damaged("a frame of another place"));
    }
    let binding = Binding {
        object: identity.object,
        tenant: header.tenant(),
        context,
    };
    container::open(keys, &binding, sealed, name, offset)
}
