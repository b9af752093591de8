//! The directory at the end of a section and the directories of its columns: what is where.
//!
//! Both are parsed with every count, length and sum checked, so that whoever uses them may index
//! blocks, pages and frames by the numbers that they hold.
use super::{
    fixed::{Form, Squeeze},
    fixed_dictionary::FixedDictionary,
    gather::may_be_number,
    ints,
    number::DECIMALS_MAX,
    presence::Presence,
    prose::Prose,
    text::{FRAME_PLAIN_BYTES_MAX, unpack},
    wire::{Cursor, Flaw, put_bytes, put_varint},
};
use crate::read::Extent;
use hashbrown::HashMap;
use taffrail_model::{
    column::{FieldName, Kind},
    limits::{BLOCK_ROWS, SEGMENT_ROWS_MAX},
    position::Position,
    time::Timestamp,
};

/// Last bytes of every section.
pub(super) const MAGIC: [u8; 8] = *b"TFSECT\x00\x01";
/// Version of the format.
pub(super) const VERSION: u16 = 4;
/// Bytes of the footer.
pub(super) const FOOTER_BYTES: usize = 24;
/// Columns of one section: attribute columns are bounded far below, this bounds a reader.
pub(crate) const COLUMNS_MAX: usize = 16_384;
/// Bytes of a directory before compression: a full section of [`COLUMNS_MAX`] columns with long
/// names fits; this bounds what a reader allocates.
pub(super) const DIRECTORY_BYTES_MAX: usize = 64 << 20;

/// The end of a section: how long the directory before it is.
pub(super) struct Footer {
    pub directory_bytes: u32,
    pub rows: u32,
}

impl Footer {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.directory_bytes.to_le_bytes());
        out.extend_from_slice(&self.rows.to_le_bytes());
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(BLOCK_ROWS as u16).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&MAGIC);
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Footer, Flaw> {
        let mut cursor = Cursor::new(bytes);
        let directory_bytes = u32::from_le_bytes(cursor.array()?);
        let rows = u32::from_le_bytes(cursor.array()?);
        let version = u16::from_le_bytes(cursor.array()?);
        let block_rows = u16::from_le_bytes(cursor.array()?);
        let reserved: [u8; 4] = cursor.array()?;
        let magic: [u8; 8] = cursor.array()?;
        cursor.finish()?;
        if magic != MAGIC {
            return Err(Flaw("the end is not that of a section"));
        }
        if version != VERSION || usize::from(block_rows) != BLOCK_ROWS || reserved != [0; 4] {
            return Err(Flaw("the section has a version that is not known"));
        }
        if rows == 0 || rows as usize > SEGMENT_ROWS_MAX {
            return Err(Flaw("the number of rows is out of bounds"));
        }
        Ok(Footer {
            directory_bytes,
            rows,
        })
    }
}

/// Neighbouring parts of a section, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pages {
    start: u64,
    /// End of each part, from `start` on.
    ends: Vec<u64>,
}

impl Pages {
    pub(super) fn new(start: u64, lengths: &[usize]) -> Pages {
        let mut end = 0;
        let ends = lengths.iter().map(|length| {
            end += *length as u64;
            end
        });
        Pages {
            start,
            ends: ends.collect(),
        }
    }

    /// The same parts from another place on.
    #[cfg(test)]
    pub(super) fn moved(&self, start: u64) -> Pages {
        let ends = self.ends.clone();
        Pages { start, ends }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where all parts end.
    pub(super) fn end(&self) -> u64 {
        self.start + self.ends.last().copied().unwrap_or(0)
    }

    /// Offset and length of a part; empty if there is none of this number.
    pub(super) fn span(&self, index: usize) -> (u64, usize) {
        let end = self.ends.get(index).copied().unwrap_or(0);
        let before = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(end),
            None => 0,
        };
        (self.start + before, end.saturating_sub(before) as usize)
    }

    /// The parts (first, end) that are read together with one: those that begin in the same
    /// window of `window_bytes`.
    pub(super) fn run_of(&self, index: usize, window_bytes: u64) -> (usize, usize) {
        let (at, _) = self.span(index);
        let window = (at - self.start) / window_bytes;
        // Part n begins where part n - 1 ends.
        let begins_before = |limit: u64| match limit {
            0 => 0,
            _ => 1 + self.ends.partition_point(|end| *end < limit),
        };
        let first = begins_before(window * window_bytes);
        let end = begins_before((window + 1) * window_bytes).min(self.len());
        (first.min(index), end.max(index + 1))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let lengths: Vec<usize> = (0..self.len()).map(|index| self.span(index).1).collect();
        ints::encode_lengths(&lengths, out);
    }

    /// Reads the lengths of `count` parts, the first of which begins at `start`; all end by `bytes`.
    pub(super) fn parse(
        cursor: &mut Cursor<'_>,
        count: usize,
        start: u64,
        bytes: u64,
    ) -> Result<Pages, Flaw> {
        let length_max = usize::try_from(bytes).unwrap_or(usize::MAX);
        let lengths = ints::decode_lengths(cursor, count, length_max)?;
        let total = lengths
            .iter()
            .try_fold(start, |sum, length| sum.checked_add(*length as u64));
        if total.is_none_or(|total| total > bytes) {
            return Err(Flaw("pages reach past their area"));
        }
        Ok(Pages::new(start, &lengths))
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.ends.len() * 8
    }
}

/// A column in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnEntry {
    pub name: FieldName,
    /// 0 if every row has a value, else a presence's number, from 1.
    pub presence: usize,
    pub encoding: u8,
    pub area: (u64, u64),
    pub directory: (u64, usize),
}

/// What is where in a section.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub rows: usize,
    pub blocks: Vec<Extent>,
    pub timestamps: Pages,
    pub positions: Pages,
    pub presences: Vec<(u64, usize)>,
    pub columns: Vec<ColumnEntry>,
    /// Number of each name's column; built when the directory is read.
    pub index: HashMap<FieldName, u32>,
}

impl Directory {
    /// Number of the column of a name.
    pub(super) fn column(&self, name: &str) -> Option<u32> {
        self.index.get(name).copied()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.blocks.len() * (size_of::<Extent>() + 16)
            + self.presences.len() * 16
            + self.columns.len() * 200
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let of_blocks = |number: fn(&Extent) -> i64, out: &mut Vec<u8>| {
            let numbers: Vec<i64> = self.blocks.iter().map(number).collect();
            ints::encode(&numbers, out);
        };
        of_blocks(|block| block.time_min.0, out);
        of_blocks(|block| block.time_max.0, out);
        of_blocks(|block| block.position_min.0 as i64, out);
        of_blocks(|block| block.position_max.0 as i64, out);
        self.timestamps.write(out);
        self.positions.write(out);
        put_varint(out, self.presences.len() as u64);
        for (at, bytes) in &self.presences {
            put_varint(out, *at);
            put_varint(out, *bytes as u64);
        }
        put_varint(out, self.columns.len() as u64);
        for column in &self.columns {
            put_bytes(out, column.name.as_bytes());
            put_varint(out, column.presence as u64);
            out.push(column.encoding);
            for number in [
                column.area.0,
                column.area.1,
                column.directory.0,
                column.directory.1 as u64,
            ] {
                put_varint(out, number);
            }
        }
    }

    /// Reads the directory of a section of `rows` rows, of which `bytes` precede it.
    pub(super) fn parse(plain: &[u8], rows: usize, bytes: u64) -> Result<Directory, Flaw> {
        let mut cursor = Cursor::new(plain);
        let count = rows.div_ceil(BLOCK_ROWS);
        let mut of_blocks = || ints::decode(&mut cursor, count);
        let (time_min, time_max) = (of_blocks()?, of_blocks()?);
        let (position_min, position_max) = (of_blocks()?, of_blocks()?);
        let blocks = (0..count).map(|block| Extent {
            rows: super::presence::rows_of_block(rows, block) as u32,
            time_min: Timestamp(time_min[block]),
            time_max: Timestamp(time_max[block]),
            position_min: Position(position_min[block] as u64),
            position_max: Position(position_max[block] as u64),
        });
        let blocks: Vec<Extent> = blocks.collect();
        let timestamps = Pages::parse(&mut cursor, count, 0, bytes)?;
        let positions = Pages::parse(&mut cursor, count, timestamps.end(), bytes)?;
        let span = |cursor: &mut Cursor<'_>| {
            let (at, length) = (cursor.varint()?, cursor.varint()?);
            match at.checked_add(length) {
                Some(end) if end <= bytes => Ok((at, length)),
                _ => Err(Flaw("a part lies outside of the section")),
            }
        };
        let mut presences = Vec::new();
        for _ in 0..cursor.count(COLUMNS_MAX)? {
            let (at, length) = span(&mut cursor)?;
            presences.push((at, length as usize));
        }
        let mut columns = Vec::new();
        let mut index = HashMap::new();
        for number in 0..cursor.count(COLUMNS_MAX)? as u32 {
            let name = std::str::from_utf8(cursor.bytes()?)
                .map_err(|_| Flaw("a column's name is not UTF-8"))?;
            let name: FieldName = name.into();
            let presence = cursor.count(presences.len())?;
            let encoding = cursor.byte()?;
            let area = span(&mut cursor)?;
            let (at, length) = span(&mut cursor)?;
            if index.insert(name.clone(), number).is_some() {
                return Err(Flaw("two columns have the same name"));
            }
            columns.push(ColumnEntry {
                name,
                presence,
                encoding,
                area,
                directory: (at, length as usize),
            });
        }
        cursor.finish()?;
        Ok(Directory {
            rows,
            blocks,
            timestamps,
            positions,
            presences,
            columns,
            index,
        })
    }
}

/// How many decimals the values of a scaled column show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decimals {
    /// All of the scale.
    All,
    /// Zeros at the end are cut, down to this number.
    Trimmed(u8),
    /// A number for each value.
    PerValue,
}

/// Blocks of a text column that share a filter, and whose frames no other block shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub block_end: usize,
    pub frame_end: usize,
}

/// One compressed run of values of a text column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub first_value: usize,
    pub value_end: usize,
    pub plain_bytes: usize,
}

/// A run of different texts, at the begin of the area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TextDictionary {
    pub entries: usize,
    pub bytes: usize,
    pub plain_bytes: usize,
}

/// How the values of a column are stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Layout {
    Constant {
        text: String,
    },
    Integer,
    Decimal {
        scale: u8,
        decimals: Decimals,
    },
    Fixed {
        form: Form,
        squeeze: Squeeze,
    },
    FixedDictionary(FixedDictionary),
    Dictionary(TextDictionary),
    Template {
        head_bytes: usize,
    },
    Text {
        groups: Vec<Group>,
        frames: Vec<Frame>,
        pages: Pages,
        filters: Pages,
    },
    Prose(Prose),
}

/// Numbers of the encodings.
const CONSTANT: u8 = 1;
const INTEGER: u8 = 2;
const DECIMAL: u8 = 3;
const FIXED: u8 = 4;
const FIXED_DICTIONARY: u8 = 5;
const DICTIONARY: u8 = 6;
const TEXT: u8 = 7;
const TEMPLATE: u8 = 8;
const PROSE: u8 = 9;

/// What is where in a column, relative to its area.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ColumnDirectory {
    /// The kind of all values; `None` if they differ.
    pub kind: Option<Kind>,
    pub layout: Layout,
    /// One page for each block.
    pub pages: Pages,
    /// Least and greatest number of each block.
    pub numbers: Vec<Option<(f64, f64)>>,
}

impl ColumnDirectory {
    pub(super) fn encoding(&self) -> u8 {
        match self.layout {
            Layout::Constant { .. } => CONSTANT,
            Layout::Integer => INTEGER,
            Layout::Decimal { .. } => DECIMAL,
            Layout::Fixed { .. } => FIXED,
            Layout::FixedDictionary(_) => FIXED_DICTIONARY,
            Layout::Dictionary(_) => DICTIONARY,
            Layout::Text { .. } => TEXT,
            Layout::Template { .. } => TEMPLATE,
            Layout::Prose(_) => PROSE,
        }
    }

    /// Whether the blocks have pages: not if there is neither a value nor a kind to keep in them.
    fn has_pages(kind: Option<Kind>, layout: &Layout) -> bool {
        let has_values = !matches!(
            layout,
            Layout::Constant { .. } | Layout::Text { .. } | Layout::Prose(_)
        );
        kind.is_none() || has_values
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let layout = match &self.layout {
            Layout::Constant { text } => text.len(),
            Layout::FixedDictionary(dictionary) => dictionary.memory_bytes(),
            Layout::Text {
                groups,
                frames,
                pages,
                filters,
            } => {
                groups.len() * 16
                    + frames.len() * 24
                    + pages.memory_bytes()
                    + filters.memory_bytes()
            }
            Layout::Prose(prose) => prose.memory_bytes(),
            _ => 0,
        };
        200 + layout + self.pages.memory_bytes() + self.numbers.len() * 24
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.kind.map_or(0, |kind| kind as u8));
        match &self.layout {
            Layout::Constant { text } => put_bytes(out, text.as_bytes()),
            Layout::Integer => {}
            Layout::Decimal { scale, decimals } => {
                let (tag, least) = match decimals {
                    Decimals::All => (0, 0),
                    Decimals::Trimmed(least) => (1, *least),
                    Decimals::PerValue => (2, 0),
                };
                out.extend_from_slice(&[*scale, tag, least]);
            }
            Layout::Fixed { form, squeeze } => write_form(*form, squeeze, out),
            Layout::FixedDictionary(dictionary) => dictionary.write(out),
            Layout::Dictionary(dictionary) => {
                put_varint(out, dictionary.entries as u64);
                put_varint(out, dictionary.bytes as u64);
                put_varint(out, dictionary.plain_bytes as u64);
            }
            Layout::Template { head_bytes } => put_varint(out, *head_bytes as u64),
            Layout::Text {
                groups,
                frames,
                pages,
                filters,
            } => write_text(groups, frames, pages, filters, out),
            Layout::Prose(prose) => prose.write(out),
        }
        if Self::has_pages(self.kind, &self.layout) {
            self.pages.write(out);
        }
        write_numbers(&self.numbers, out);
    }

    /// Reads the directory of a column whose area has `area_bytes` bytes.
    pub(super) fn parse(
        plain: &[u8],
        encoding: u8,
        area_bytes: u64,
        presence: &Presence,
        blocks: usize,
    ) -> Result<ColumnDirectory, Flaw> {
        let mut cursor = Cursor::new(plain);
        let kind = match cursor.byte()? {
            0 => None,
            tag => Some(Kind::from_tag(tag).ok_or(Flaw("a kind is unknown"))?),
        };
        let (layout, head_bytes) =
            parse_layout(&mut cursor, encoding, area_bytes, presence, blocks)?;
        let is_number = matches!(layout, Layout::Integer | Layout::Decimal { .. });
        if is_number && !kind.is_none_or(may_be_number) {
            return Err(Flaw("numbers are of a kind that is none"));
        }
        let pages = if Self::has_pages(kind, &layout) {
            Pages::parse(&mut cursor, blocks, head_bytes, area_bytes)?
        } else {
            Pages::new(head_bytes, &[])
        };
        let layout = match layout {
            Layout::Text {
                groups,
                frames,
                pages: frame_pages,
                filters,
            } => {
                // Filters come after the pages of the blocks.
                let lengths: Vec<usize> = (0..filters.len()).map(|at| filters.span(at).1).collect();
                let filters = Pages::new(pages.end(), &lengths);
                if filters.end() > area_bytes {
                    return Err(Flaw("filters reach past their area"));
                }
                Layout::Text {
                    groups,
                    frames,
                    pages: frame_pages,
                    filters,
                }
            }
            other => other,
        };
        let numbers = parse_numbers(&mut cursor, blocks)?;
        cursor.finish()?;
        Ok(ColumnDirectory {
            kind,
            layout,
            pages,
            numbers,
        })
    }
}

/// The layout, and the bytes of the area that come before the blocks' pages.
fn parse_layout(
    cursor: &mut Cursor<'_>,
    encoding: u8,
    area_bytes: u64,
    presence: &Presence,
    blocks: usize,
) -> Result<(Layout, u64), Flaw> {
    let layout = match encoding {
        CONSTANT => {
            let text = std::str::from_utf8(cursor.bytes()?)
                .map_err(|_| Flaw("a constant is not UTF-8"))?;
            Layout::Constant { text: text.into() }
        }
        INTEGER => Layout::Integer,
        DECIMAL => {
            let [scale, tag, least] = cursor.array()?;
            let decimals = match tag {
                0 => Decimals::All,
                1 => Decimals::Trimmed(least),
                2 => Decimals::PerValue,
                _ => return Err(Flaw("a form of decimals is unknown")),
            };
            if scale > DECIMALS_MAX {
                return Err(Flaw("a scale is out of bounds"));
            }
            Layout::Decimal { scale, decimals }
        }
        FIXED => {
            let (form, squeeze) = parse_form(cursor)?;
            Layout::Fixed { form, squeeze }
        }
        FIXED_DICTIONARY => {
            let dictionary = FixedDictionary::parse(cursor, area_bytes, presence.values())?;
            let end = dictionary.end();
            return Ok((Layout::FixedDictionary(dictionary), end));
        }
        DICTIONARY => {
            let dictionary = TextDictionary {
                entries: cursor.count(presence.values())?,
                bytes: cursor.count(usize::try_from(area_bytes).unwrap_or(usize::MAX))?,
                plain_bytes: cursor.count(super::text::DICTIONARY_PLAIN_BYTES_MAX)?,
            };
            let end = dictionary.bytes as u64;
            return Ok((Layout::Dictionary(dictionary), end));
        }
        TEMPLATE => {
            let head_bytes = cursor.count(usize::try_from(area_bytes).unwrap_or(usize::MAX))?;
            return Ok((Layout::Template { head_bytes }, head_bytes as u64));
        }
        TEXT => return parse_text(cursor, area_bytes, presence, blocks),
        PROSE => {
            let prose = Prose::parse(cursor, area_bytes, presence.values())?;
            let end = prose.end();
            return Ok((Layout::Prose(prose), end));
        }
        _ => return Err(Flaw("an encoding is unknown")),
    };
    Ok((layout, 0))
}

pub(super) fn write_form(form: Form, squeeze: &Squeeze, out: &mut Vec<u8>) {
    let (tag, digits) = form.tag();
    out.push(tag);
    put_varint(out, digits as u64);
    out.extend_from_slice(&squeeze.varying.to_le_bytes());
    out.extend_from_slice(&squeeze.constant.to_le_bytes());
}

pub(super) fn parse_form(cursor: &mut Cursor<'_>) -> Result<(Form, Squeeze), Flaw> {
    let tag = cursor.byte()?;
    let form = Form::from_tag(tag, cursor.count(u16::MAX.into())?)?;
    let varying = u128::from_le_bytes(cursor.array()?);
    let constant = u128::from_le_bytes(cursor.array()?);
    Ok((form, Squeeze::new(varying, constant)))
}

fn write_text(
    groups: &[Group],
    frames: &[Frame],
    pages: &Pages,
    filters: &Pages,
    out: &mut Vec<u8>,
) {
    put_varint(out, groups.len() as u64);
    write_differences(groups.iter().map(|group| group.block_end), out);
    write_differences(groups.iter().map(|group| group.frame_end), out);
    write_frames(frames, pages, out);
    filters.write(out);
}

fn write_differences(ends: impl Iterator<Item = usize>, out: &mut Vec<u8>) {
    let mut last = 0;
    let lengths: Vec<usize> = ends
        .map(|end| end - std::mem::replace(&mut last, end))
        .collect();
    ints::encode_lengths(&lengths, out);
}

/// Appends frames of texts, which follow one another, and where they are.
pub(super) fn write_frames(frames: &[Frame], pages: &Pages, out: &mut Vec<u8>) {
    put_varint(out, frames.len() as u64);
    write_differences(frames.iter().map(|frame| frame.value_end), out);
    let plain: Vec<usize> = frames.iter().map(|frame| frame.plain_bytes).collect();
    ints::encode_lengths(&plain, out);
    pages.write(out);
}

/// Reads frames of at most `values` values, at the begin of an area.
pub(super) fn parse_frames(
    cursor: &mut Cursor<'_>,
    area_bytes: u64,
    values: usize,
) -> Result<(Vec<Frame>, Pages), Flaw> {
    let frame_count = cursor.count(values)?;
    let value_counts = ints::decode_lengths(cursor, frame_count, values)?;
    let plain = ints::decode_lengths(cursor, frame_count, FRAME_PLAIN_BYTES_MAX)?;
    let pages = Pages::parse(cursor, frame_count, 0, area_bytes)?;
    let mut frames = Vec::with_capacity(frame_count);
    let mut value_end = 0usize;
    for (count, plain_bytes) in value_counts.into_iter().zip(plain) {
        let first_value = value_end;
        value_end = value_end.saturating_add(count);
        frames.push(Frame {
            first_value,
            value_end,
            plain_bytes,
        });
    }
    Ok((frames, pages))
}

fn parse_text(
    cursor: &mut Cursor<'_>,
    area_bytes: u64,
    presence: &Presence,
    blocks: usize,
) -> Result<(Layout, u64), Flaw> {
    let values = presence.values();
    let group_count = cursor.count(blocks)?;
    let block_counts = ints::decode_lengths(cursor, group_count, blocks)?;
    let frame_counts = ints::decode_lengths(cursor, group_count, values)?;
    let (frames, pages) = parse_frames(cursor, area_bytes, values)?;
    let frame_count = frames.len();
    let filters = Pages::parse(cursor, group_count, 0, area_bytes)?;
    let mut groups = Vec::with_capacity(group_count);
    let (mut block_end, mut frame_end) = (0usize, 0usize);
    for (block_count, frame_count) in block_counts.into_iter().zip(frame_counts) {
        block_end = block_end.saturating_add(block_count);
        frame_end = frame_end.saturating_add(frame_count);
        let value_end = match frame_end.checked_sub(1) {
            Some(last) => frames.get(last).map(|frame| frame.value_end),
            None => Some(0),
        };
        let of_blocks = match block_end.checked_sub(1) {
            Some(last) if last < blocks => Some(presence.values_of(last).1),
            _ => None,
        };
        if value_end.is_none() || value_end != of_blocks {
            return Err(Flaw("frames of a text do not fit its blocks"));
        }
        groups.push(Group {
            block_end,
            frame_end,
        });
    }
    if block_end != blocks || frame_end != frame_count {
        return Err(Flaw("frames of a text do not fit its blocks"));
    }
    let end = pages.end();
    let layout = Layout::Text {
        groups,
        frames,
        pages,
        filters,
    };
    Ok((layout, end))
}

fn write_numbers(numbers: &[Option<(f64, f64)>], out: &mut Vec<u8>) {
    if numbers.iter().all(Option::is_none) {
        return out.push(0);
    }
    out.push(1);
    let start = out.len();
    out.resize(start + numbers.len().div_ceil(8), 0);
    for (block, _) in numbers
        .iter()
        .enumerate()
        .filter(|(_, range)| range.is_some())
    {
        out[start + block / 8] |= 1 << (block % 8);
    }
    for (least, greatest) in numbers.iter().flatten() {
        out.extend_from_slice(&least.to_le_bytes());
        out.extend_from_slice(&greatest.to_le_bytes());
    }
}

fn parse_numbers(cursor: &mut Cursor<'_>, blocks: usize) -> Result<Vec<Option<(f64, f64)>>, Flaw> {
    match cursor.byte()? {
        0 => return Ok(vec![None; blocks]),
        1 => {}
        _ => return Err(Flaw("a form of statistics is unknown")),
    }
    let bitmap = cursor.take(blocks.div_ceil(8))?;
    (0..blocks)
        .map(|block| {
            if bitmap[block / 8] >> (block % 8) & 1 == 0 {
                return Ok(None);
            }
            let least = f64::from_le_bytes(cursor.array()?);
            let greatest = f64::from_le_bytes(cursor.array()?);
            if least <= greatest {
                Ok(Some((least, greatest)))
            } else {
                Err(Flaw("statistics are out of order"))
            }
        })
        .collect()
}

/// Decompresses and reads a directory that was written with [`super::text::pack`].
pub(super) fn unpack_directory(bytes: &[u8]) -> Result<Vec<u8>, Flaw> {
    let mut cursor = Cursor::new(bytes);
    let plain_bytes = cursor.count(DIRECTORY_BYTES_MAX)?;
    unpack(cursor.rest(), plain_bytes)
}
