//! Recovery of the log: what is on disk becomes frames to replay, faults and a torn tail.
//!
//! What is told apart
//! - Damage at or below the durable watermark is corruption: a fault with the missing range, and
//!   what follows is served. The watermark is the highest that any authentic frame, header or
//!   manifest snapshot carries.
//! - Authentic frames above it are replayed, a request with all of its frames or not at all: they
//!   may have been acknowledged, since the next frame would have carried the news.
//! - The first bad frame above it, and what follows in the file, is a torn tail.
//!
//! A request below the watermark of which one frame is damaged was acknowledged: its other frames
//! are served, as whatever else can still be read.
use super::{
    FrameKind, LiveFile, MARK_NAME, Mark, NewFrame, WAL_DIRECTORY, WalOptions,
    file_header::{self, ChainEntry, FileHeader, ReadHeader},
    file_name, file_number,
    frame::{FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, open_frame},
    mark,
};
use crate::{container::KeySource, keys::read_whole};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
};
use taffrail_model::position::{PartitionKey, Position};

/// Positions that are passed over where an unknown number of rows is lost: ids are not reused.
const POSITIONS_SKIPPED_AFTER_LOSS: u64 = 1 << 24;

/// Positions that the frames of one file are taken to use at the most: far more than a file has
/// rows, and a small part of the 48 bits.
const POSITIONS_IN_FILE_MAX: u64 = 1 << 32;

/// What is damaged in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFault {
    /// Name within the data directory.
    pub(crate) file: String,
    pub(crate) partition: Option<PartitionKey>,
    pub(crate) detail: String,
    /// Whether rows or edits may be lost by it.
    pub(crate) is_loss: bool,
}

/// Bytes at the end of the last file that were never known to be durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

/// An authentic frame.
#[derive(Clone, Debug)]
pub(crate) struct ScannedFrame {
    pub(crate) header: FrameHeader,
    offset: u64,
    pub(crate) plain: Vec<u8>,
}

impl ScannedFrame {
    /// Number of its file's place in the order of frames.
    pub(crate) fn sequence(&self) -> u64 {
        self.header.sequence
    }

    /// The same, to be written again.
    pub(crate) fn to_new(&self) -> NewFrame {
        NewFrame {
            kind: self.header.kind,
            request: self.header.request,
            part: self.header.part,
            parts: self.header.parts,
            partition: self.header.partition,
            rows: self.header.rows,
            first_position: self.header.first_position,
            plain: self.plain.clone(),
        }
    }
}

/// What is known of the log from the manifest.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ScanBase {
    /// Edits and idempotency records up to this frame are in the manifest.
    pub(crate) covered_sequence: u64,
    /// Every frame up to this one is durable.
    pub(crate) durable_sequence: u64,
    /// Number of the file that was appended when the manifest was written; 0: none.
    pub(crate) current_number: u64,
    /// No position below is free.
    pub(crate) next_position: Position,
}

/// What the manifest has of the log: of frames whose edits, keys and rows are all in it, the header
/// alone is kept, so that a start holds what is replayed and not the whole log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    /// As in [`ScanBase`].
    pub(crate) covered_sequence: u64,
    pub(crate) flushed_through: imbl::OrdMap<PartitionKey, Position>,
}

impl Taken {
    fn has(&self, header: &FrameHeader) -> bool {
        let through = self.flushed_through.get(&header.partition);
        let are_rows_flushed =
            header.rows == 0 || through.is_some_and(|through| header.last_position() <= *through);
        header.sequence <= self.covered_sequence && are_rows_flushed
    }
}

/// The log as it was found.
#[derive(Debug, Default)]
pub(crate) struct RecoveredLog {
    taken: Taken,
    /// Durable frames, in order.
    pub(crate) frames: Vec<ScannedFrame>,
    /// Frames above the watermark, in order, to be replayed and written again.
    pub(crate) relogged: Vec<ScannedFrame>,
    pub(crate) faults: Vec<LogFault>,
    pub(crate) torn: Option<Torn>,
    pub(crate) live: VecDeque<LiveFile>,
    /// Files that are not there; whether they are needed, the replayed edits tell.
    pub(crate) missing: Vec<ChainEntry>,
    /// Names in the log's directory that hold nothing valid.
    pub(crate) void: Vec<String>,
    /// Names in the log's directory whose header is damaged.
    pub(crate) damaged: Vec<String>,
    pub(crate) next_number: u64,
    pub(crate) next_sequence: u64,
    pub(crate) next_position: Position,
    /// What the mark says.
    pub(crate) mark: Mark,
    /// Number of the first frame that the log had, if it has any file.
    pub(crate) first_sequence: Option<u64>,
}

/// A piece of a file, in order.
enum Piece {
    Good(ScannedFrame),
    Bad {
        offset: u64,
        /// If the header can be read.
        header: Option<FrameHeader>,
    },
}

/// Reads the log.
///
/// # Errors
/// Of the operating system; damage is no error.
pub(crate) fn recover(
    options: &WalOptions,
    mut base: ScanBase,
    taken: Taken,
) -> io::Result<RecoveredLog> {
    let (mark, mark_fault) = mark::read(&*options.files, &options.root, &*options.keys)?;
    base.durable_sequence = base.durable_sequence.max(mark.sequence);
    base.current_number = base.current_number.max(mark.newest_number);
    base.next_position = base.next_position.max(mark.next_position);
    let mut log = RecoveredLog {
        taken,
        next_number: base.current_number + 1,
        next_sequence: base.covered_sequence.max(base.durable_sequence) + 1,
        next_position: base.next_position.max(Position(1)),
        ..RecoveredLog::default()
    };
    let mut headers = read_headers(options, &mut log)?;
    log.mark = mark;
    let is_used = !headers.is_empty() || !log.damaged.is_empty();
    if let Some(detail) = mark_fault.filter(|_| is_used) {
        log.faults.push(LogFault {
            file: MARK_NAME.into(),
            partition: None,
            detail: detail.into(),
            is_loss: false,
        });
    }
    let newest_damaged = log.damaged.last().and_then(|name| file_number(name));
    let Some((_, newest)) = headers.pop_last() else {
        if base.current_number > 0 {
            log.report_lost_end(base.current_number, base.next_position);
        }
        return Ok(log);
    };
    let end_number = newest_damaged.unwrap_or(0).max(base.current_number);
    let mut watermark = base.durable_sequence;
    if end_number > newest.header.number {
        log.report_lost_end(end_number, newest.header.next_position);
        // The frames that the manifest knows to be durable may be those of the lost file.
        watermark = 0;
    }
    log.next_sequence = log.next_sequence.max(newest.header.first_sequence);
    log.next_position = log.next_position.max(newest.header.next_position);
    let oldest = newest.header.chain.first();
    log.first_sequence =
        Some(oldest.map_or(newest.header.first_sequence, |entry| entry.first_sequence));
    for entry in &newest.header.chain {
        watermark = watermark.max(entry.last_sequence);
        match headers.remove(&entry.number) {
            Some(header) => {
                let pieces = read_pieces(options, &header, &mut log)?;
                watermark = watermark.max(highest_watermark(&pieces));
                log.take_closed(entry, pieces);
            }
            None => log.missing.push(*entry),
        }
    }
    // What the newest header does not list is void.
    log.void.extend(headers.into_keys().map(base_name));
    let pieces = read_pieces(options, &newest, &mut log)?;
    watermark = watermark.max(highest_watermark(&pieces));
    log.take_newest(options, &newest, pieces, watermark)?;
    log.next_sequence = log.next_sequence.max(watermark.saturating_add(1));
    Ok(log)
}

fn base_name(number: u64) -> String {
    format!("{number:016x}.wal")
}

fn read_headers(
    options: &WalOptions,
    log: &mut RecoveredLog,
) -> io::Result<BTreeMap<u64, ReadHeader>> {
    let directory = options.root.join(WAL_DIRECTORY);
    let mut headers = BTreeMap::new();
    for entry in options.files.list(&directory)? {
        if entry.name.ends_with(".new") {
            log.void.push(entry.name);
            continue;
        }
        let Some(number) = file_number(&entry.name) else {
            continue;
        };
        log.next_number = log.next_number.max(number.saturating_add(1));
        let file = options.files.open(&directory.join(&entry.name))?;
        let bytes = file.len()?.min(file_header::HEADERS_BYTES_MAX as u64);
        let mut start = vec![0; bytes as usize];
        file.read_at(0, &mut start)?;
        let Some(header) = file_header::read(number, &start, &*options.keys) else {
            log.faults.push(LogFault {
                file: file_name(number),
                partition: None,
                detail: "both copies of its header are damaged".into(),
                is_loss: false,
            });
            log.damaged.push(entry.name);
            continue;
        };
        if let Some(copy) = header.damaged_copy {
            log.faults.push(LogFault {
                file: file_name(number),
                partition: None,
                detail: format!("copy {copy} of its header is damaged; nothing is lost by it"),
                is_loss: false,
            });
        }
        headers.insert(number, header);
    }
    Ok(headers)
}

fn read_pieces(
    options: &WalOptions,
    header: &ReadHeader,
    log: &mut RecoveredLog,
) -> io::Result<Vec<Piece>> {
    let number = header.header.number;
    let name = file_name(number);
    let bytes = read_whole(&*options.files, &options.root.join(&name))?;
    let pieces = cut(&bytes, header, &*options.keys, &name);
    for piece in &pieces {
        let header = match piece {
            Piece::Good(frame) => frame.header,
            Piece::Bad {
                header: Some(unproved),
                ..
            } if is_plausible(unproved, &header.header, bytes.len()) => *unproved,
            Piece::Bad { .. } => continue,
        };
        log.next_sequence = log.next_sequence.max(header.sequence.saturating_add(1));
        let after = Position(header.last_position().0.saturating_add(1));
        log.next_position = log.next_position.max(after);
    }
    Ok(pieces)
}

/// Whether the numbers of a header that nothing authenticates may be taken for used: a file has
/// room for so many frames, and the rows of so few requests. Forged ones would use up all numbers.
fn is_plausible(unproved: &FrameHeader, file: &FileHeader, file_bytes: usize) -> bool {
    let frames_max = (file_bytes / FRAME_HEADER_BYTES) as u64;
    unproved.sequence <= file.first_sequence.saturating_add(frames_max)
        && unproved.last_position().0 <= file.next_position.0.saturating_add(POSITIONS_IN_FILE_MAX)
}

/// Cuts a file into frames and what lies between them.
fn cut(bytes: &[u8], header: &ReadHeader, keys: &dyn KeySource, name: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = header.frames_offset;
    let finder = memchr::memmem::Finder::new(&FRAME_MAGIC);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let offset = at as u64;
        let Some(frame) = FrameHeader::decode(rest) else {
            pieces.push(Piece::Bad {
                offset,
                header: None,
            });
            let mut next = 1;
            at = loop {
                match finder.find(&rest[next..]) {
                    None => break bytes.len(),
                    Some(found) if FrameHeader::decode(&rest[next + found..]).is_some() => {
                        break at + next + found;
                    }
                    Some(found) => next += found + 1,
                }
            };
            continue;
        };
        let opened = open_frame(&frame, rest, keys, &header.header.identity, offset, name);
        pieces.push(match opened {
            Ok(plain) => Piece::Good(ScannedFrame {
                header: frame,
                offset,
                plain,
            }),
            Err(_) => Piece::Bad {
                offset,
                header: Some(frame),
            },
        });
        at += FRAME_HEADER_BYTES + frame.sealed_bytes as usize;
    }
    pieces
}

fn highest_watermark(pieces: &[Piece]) -> u64 {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Good(frame) => frame.header.durable_sequence,
            Piece::Bad { .. } => 0,
        })
        .max()
        .unwrap_or(0)
}

/// Frames that are missing between two that are not.
struct Gap {
    first_sequence: u64,
    last_sequence: u64,
    first_position: Position,
    /// Position before which the missing rows end.
    end_position: Position,
}

/// Walks over the pieces of a file and finds what is missing by its number.
struct Walk {
    file: String,
    expected: u64,
    next_position: Position,
    /// Bad pieces since the last good one.
    bad: Vec<(u64, Option<FrameHeader>)>,
}

impl Walk {
    /// The fault of a gap before the frames that follow.
    fn fault(&mut self, gap: &Gap) -> LogFault {
        let bad = std::mem::take(&mut self.bad);
        let place = match bad.first() {
            Some((offset, _)) => format!("damaged at byte {offset}"),
            None => "cut".to_string(),
        };
        let partition = match &bad[..] {
            [(_, Some(header))] if header.kind == FrameKind::Rows && header.rows > 0 => {
                Some(header.partition)
            }
            _ => None,
        };
        let rows = if gap.first_position < gap.end_position {
            let last = gap.end_position.0 - 1;
            format!(
                "rows at positions {} to {last} are lost",
                gap.first_position.0
            )
        } else {
            "no rows are lost".to_string()
        };
        LogFault {
            file: self.file.clone(),
            partition,
            detail: format!(
                "{place}: frames {} to {} cannot be read; {rows}",
                gap.first_sequence, gap.last_sequence
            ),
            is_loss: true,
        }
    }

    fn gap_to(&self, sequence: u64, position: Position) -> Gap {
        Gap {
            first_sequence: self.expected,
            last_sequence: sequence,
            first_position: self.next_position,
            end_position: position,
        }
    }

    fn pass(&mut self, header: &FrameHeader) {
        self.bad.clear();
        self.expected = header.sequence.saturating_add(1);
        let after = Position(header.last_position().0.saturating_add(1));
        self.next_position = self.next_position.max(after);
    }
}

impl RecoveredLog {
    fn report_lost_end(&mut self, number: u64, from: Position) {
        self.next_number = self.next_number.max(number.saturating_add(1));
        let base = self.next_position.max(from);
        self.next_position = Position(base.0 + POSITIONS_SKIPPED_AFTER_LOSS);
        self.faults.push(LogFault {
            file: file_name(number),
            partition: None,
            detail: format!(
                "missing, or its header is damaged: rows from position {} on may be lost",
                from.0
            ),
            is_loss: true,
        });
    }

    /// Takes the frames of a file that a later one says the end of.
    fn take_closed(&mut self, entry: &ChainEntry, pieces: Vec<Piece>) {
        let mut walk = Walk {
            file: file_name(entry.number),
            expected: entry.first_sequence,
            next_position: entry.first_position,
            bad: Vec::new(),
        };
        let mut file = live_file(entry, &pieces);
        for piece in pieces {
            match piece {
                Piece::Good(frame) if frame.header.sequence > entry.last_sequence => break,
                Piece::Good(frame) => {
                    if frame.header.sequence > walk.expected {
                        let before = frame.header.sequence.saturating_sub(1);
                        let gap = walk.gap_to(before, frame.header.first_position);
                        self.faults.push(walk.fault(&gap));
                    }
                    walk.pass(&frame.header);
                    self.take_durable(frame, &mut file);
                }
                Piece::Bad { offset, header } => walk.bad.push((offset, header)),
            }
        }
        if walk.expected <= entry.last_sequence {
            let end = Position(entry.last_position.0 + 1);
            let gap = walk.gap_to(entry.last_sequence, end);
            self.faults.push(walk.fault(&gap));
        }
        self.live.push_back(file);
    }

    fn take_durable(&mut self, mut frame: ScannedFrame, file: &mut LiveFile) {
        if frame.header.rows > 0 {
            let last = frame.header.last_position();
            let pin = file.pins.entry(frame.header.partition).or_default();
            *pin = last.max(*pin);
            file.last_position = last.max(file.last_position);
        }
        if self.taken.has(&frame.header) {
            frame.plain = Vec::new();
        }
        self.frames.push(frame);
    }

    /// Takes the frames of the file that was appended last.
    fn take_newest(
        &mut self,
        options: &WalOptions,
        newest: &ReadHeader,
        pieces: Vec<Piece>,
        watermark: u64,
    ) -> io::Result<()> {
        let header = &newest.header;
        let mut walk = Walk {
            file: file_name(header.number),
            expected: header.first_sequence,
            next_position: header.first_position,
            bad: Vec::new(),
        };
        let mut file = LiveFile {
            number: header.number,
            bytes: 0,
            first_sequence: header.first_sequence,
            last_sequence: header.first_sequence - 1,
            first_position: header.first_position,
            last_position: Position::ZERO,
            pins: HashMap::new(),
        };
        let mut candidates = Vec::new();
        let mut torn_offset = None;
        for piece in pieces {
            let frame = match piece {
                Piece::Good(frame) => frame,
                Piece::Bad { offset, header } => {
                    walk.bad.push((offset, header));
                    continue;
                }
            };
            let before = frame.header.sequence.saturating_sub(1);
            if before >= walk.expected {
                if before > watermark {
                    break;
                }
                let gap = walk.gap_to(before, frame.header.first_position);
                self.faults.push(walk.fault(&gap));
            }
            walk.pass(&frame.header);
            if frame.header.sequence <= watermark {
                self.take_durable(frame, &mut file);
            } else {
                candidates.push(frame);
            }
        }
        if walk.expected <= watermark {
            let first_bad = walk.bad.clone();
            let gap = walk.gap_to(watermark, self.next_position);
            self.faults.push(walk.fault(&gap));
            walk.bad = first_bad;
        }
        if let Some((offset, _)) = walk.bad.first() {
            torn_offset = Some(*offset);
        }
        if let Some(incomplete) = first_incomplete(&candidates) {
            torn_offset = Some(candidates[incomplete].offset);
            candidates.truncate(incomplete);
        }
        // Watermarks need not be written again.
        candidates.retain(|frame| frame.header.kind != FrameKind::Watermark);
        self.relogged = candidates;
        let bytes = read_whole(
            &*options.files,
            &options.root.join(file_name(header.number)),
        )?;
        file.bytes = bytes.len() as u64;
        if let Some(offset) = torn_offset {
            self.torn = Some(Torn {
                number: header.number,
                offset,
                bytes: bytes[offset as usize..].to_vec(),
            });
        }
        file.last_sequence = watermark
            .min(self.next_sequence - 1)
            .max(file.last_sequence);
        if file.last_sequence >= file.first_sequence {
            self.live.push_back(file);
        } else {
            self.void.push(base_name(header.number));
        }
        Ok(())
    }
}

fn live_file(entry: &ChainEntry, pieces: &[Piece]) -> LiveFile {
    let bytes = pieces.last().map_or(0, |piece| match piece {
        Piece::Good(frame) => frame.offset + u64::from(frame.header.sealed_bytes),
        Piece::Bad { offset, .. } => *offset,
    });
    LiveFile {
        number: entry.number,
        bytes,
        first_sequence: entry.first_sequence,
        last_sequence: entry.last_sequence,
        first_position: entry.first_position,
        last_position: entry.last_position,
        pins: HashMap::new(),
    }
}

/// Index of the first frame of a request that is not whole.
fn first_incomplete(frames: &[ScannedFrame]) -> Option<usize> {
    let mut at = 0;
    while at < frames.len() {
        let header = &frames[at].header;
        let parts = match header.kind {
            FrameKind::Rows => header.parts.max(1) as usize,
            FrameKind::Edit | FrameKind::Watermark => 1,
        };
        let is_part = |(part, frame): (u32, &ScannedFrame)| {
            header.kind != FrameKind::Rows
                || (frame.header.request == header.request && frame.header.part == part)
        };
        let is_whole = frames
            .get(at..at + parts)
            .is_some_and(|request| (0u32..).zip(request).all(is_part));
        if !is_whole {
            return Some(at);
        }
        at += parts;
    }
    None
}
