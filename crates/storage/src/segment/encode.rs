//! Encoding: rows to the plain bytes of a section, one column after the other.
//!
//! Each column is tried in every encoding that can give its values back exactly; the smallest is
//! taken. Numbers, ids and dictionaries are cheap enough to be encoded in full for that; only text
//! is judged by a sample. Memory is that of the references to one column (16 bytes a row, twice that
//! where few rows have a value), its candidates and the output; the rows themselves are not copied.
use super::{
    EncodeError,
    directory::{
        COLUMNS_MAX, ColumnDirectory, ColumnEntry, Decimals, Directory, Footer, Layout, Pages,
        TextDictionary,
    },
    filter,
    gather::{Gathered, RowsPart, Values},
    ints,
    number::{number_of, parse_decimal, parse_integer, rescale, trimmed_decimals},
    packed, prose, runs,
    template::encode as template,
    text::{
        BLOCK_TEXT_BYTES_MAX, DICTIONARY_PLAIN_BYTES_MAX, FRAME_PLAIN_BYTES_MAX, pack, push_text,
    },
};
use crate::read::Extent;
use hashbrown::{HashMap, HashSet};
use taffrail_model::{
    column::{Column, Kind},
    limits::BLOCK_ROWS,
    position::Position,
    time::Timestamp,
};
use zstd::bulk::Compressor;

/// Level of zstd. Measured on 1,000,000 log records, all columns, bytes a record and us of encoding:
/// level 1 35.0, 1.06; 2 34.5, 1.2; 3 34.4, 1.2; 5 33.7, 1.6; on prose level 1 is 20% larger than 3.
/// While fuzzing the lowest level, at which the bytes of most parts stay what they are: seeds whose
/// bytes can be changed without making a frame of zstd unreadable.
pub(super) const ZSTD_LEVEL: i32 = if cfg!(fuzzing) { -(1 << 17) } else { 3 };
/// Distinct values of a dictionary: beyond it, codes cost as much as text.
const DICTIONARY_ENTRIES_MAX: usize = 1 << 16;
/// Values on which templates are compared with a dictionary before all are encoded by them, in runs
/// of neighbours; and part of the values (one in this many) that a trial may have to be worth it.
const TEMPLATE_TRIAL_VALUES: usize = 8_192;
const TEMPLATE_TRIAL_RUNS: usize = 8;
const TEMPLATE_TRIAL_PART: usize = 4;
/// Values after which a dictionary must have fewer entries than half of the values.
const DICTIONARY_TRIAL_VALUES: usize = 8_192;
/// Bytes of one text in a dictionary or constant: a block decoded from codes stays within 16 MiB.
const DICTIONARY_TEXT_BYTES_MAX: usize = 16 << 10;
/// Runs of neighbouring values by which text is judged, and bytes of each.
const SAMPLE_RUNS: usize = 4;
const SAMPLE_RUN_BYTES: usize = 64 << 10;
/// Text must be smaller than this part (in percent) of what the best other encoding takes: those
/// are opened by block, searched without unpacking and have statistics.
const TEXT_COST_PERCENT: usize = 85;
/// Values for which text must save a byte; less is not worth what a dictionary can do.
const TEXT_GAIN_VALUES: usize = 2;

/// Mean length of texts from which on an index of words is kept: log lines are shorter, prompts,
/// answers and stacks longer.
const PROSE_VALUE_BYTES_MIN: usize = 160;
/// Text of a column from which on an index is kept: less is unpacked in a millisecond.
const PROSE_COLUMN_BYTES_MIN: usize = 256 << 10;

/// A column in one encoding.
pub(super) struct Candidate {
    pub directory: ColumnDirectory,
    pub area: Vec<u8>,
}

impl Candidate {
    /// Bytes in the section.
    pub(super) fn cost(&self) -> usize {
        let firsts = match &self.directory.layout {
            Layout::FixedDictionary(dictionary) => dictionary.first_bytes(),
            _ => 0,
        };
        self.area.len() + firsts
    }
}

/// Encodes the rows of all parts.
pub(super) fn encode_parts(parts: Vec<RowsPart<'_>>) -> Result<Vec<u8>, EncodeError> {
    let rows = Gathered::new(parts)?;
    let names = rows.names();
    encode_loaded(rows, names, &mut |_| Ok(Vec::new()))
}

/// Encodes rows whose columns are brought when their turn comes: `load` gives a column of each
/// part, or none for what the parts have themselves.
pub(super) fn encode_loaded<E: From<EncodeError>>(
    rows: Gathered<'_>,
    names: Vec<&str>,
    load: &mut dyn FnMut(&str) -> Result<Vec<Column>, E>,
) -> Result<Vec<u8>, E> {
    let mut compressor = Compressor::new(ZSTD_LEVEL).map_err(EncodeError::Compress)?;
    let mut out = Vec::new();
    let mut directory = encode_time(&rows, &mut out);

    if names.len() > COLUMNS_MAX {
        let columns = names.len();
        return Err(EncodeError::TooManyColumns { columns }.into());
    }
    let mut presences: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut column_directories = Vec::new();
    for name in names {
        let loaded = load(name)?;
        let (values, presence) = rows.column(name, &loaded);
        if values.len() == 0 {
            continue;
        }
        let presence = if values.len() == rows.rows() {
            0
        } else {
            *presences.entry(presence).or_insert_with_key(|presence| {
                directory.presences.push((out.len() as u64, presence.len()));
                out.extend_from_slice(presence);
                directory.presences.len()
            })
        };
        let start = out.len();
        let column = encode_column(name, &values, &mut compressor, &mut out)?;
        let mut plain = Vec::new();
        column.write(&mut plain);
        let packed = pack(&mut compressor, &plain).map_err(EncodeError::Compress)?;
        directory.columns.push(ColumnEntry {
            name: name.into(),
            presence,
            encoding: column.encoding(),
            area: (start as u64, (out.len() - start) as u64),
            directory: (column_directories.len() as u64, packed.len()),
        });
        column_directories.extend_from_slice(&packed);
    }
    // The directories of the columns stand together: a query reads some of them with one access.
    for column in &mut directory.columns {
        column.directory.0 += out.len() as u64;
    }
    out.append(&mut column_directories);
    let mut plain = Vec::new();
    directory.write(&mut plain);
    let packed = pack(&mut compressor, &plain).map_err(EncodeError::Compress)?;
    out.extend_from_slice(&packed);
    let footer = Footer {
        directory_bytes: packed.len() as u32,
        rows: rows.rows() as u32,
    };
    footer.write(&mut out);
    Ok(out)
}

/// Timestamps and positions, by block, and a directory that knows the blocks.
fn encode_time(rows: &Gathered<'_>, out: &mut Vec<u8>) -> Directory {
    let mut blocks = Vec::new();
    let mut lengths = Vec::new();
    let chunks = || rows.timestamps.chunks(BLOCK_ROWS);
    for timestamps in chunks() {
        let start = out.len();
        ints::encode(timestamps, out);
        lengths.push(out.len() - start);
    }
    let timestamps_pages = Pages::new(0, &lengths);
    lengths.clear();
    for (timestamps, positions) in chunks().zip(rows.positions.chunks(BLOCK_ROWS)) {
        let start = out.len();
        let signed: Vec<i64> = positions.iter().map(|position| *position as i64).collect();
        ints::encode(&signed, out);
        lengths.push(out.len() - start);
        let least = positions.iter().min().copied().unwrap_or_default();
        let greatest = positions.iter().max().copied().unwrap_or_default();
        blocks.push(Extent {
            rows: timestamps.len() as u32,
            time_min: Timestamp(timestamps.first().copied().unwrap_or_default()),
            time_max: Timestamp(timestamps.last().copied().unwrap_or_default()),
            position_min: Position(least),
            position_max: Position(greatest),
        });
    }
    Directory {
        rows: rows.rows(),
        blocks,
        positions: Pages::new(timestamps_pages.end(), &lengths),
        timestamps: timestamps_pages,
        ..Directory::default()
    }
}

/// Appends the area of a column in the encoding that costs least.
fn encode_column(
    name: &str,
    values: &Values<'_>,
    compressor: &mut Compressor<'_>,
    out: &mut Vec<u8>,
) -> Result<ColumnDirectory, EncodeError> {
    let kind = values.kind_of_all();
    let mut best: Option<Candidate> = None;
    let mut consider = |candidate: Option<Candidate>| {
        if let Some(candidate) = candidate
            && best
                .as_ref()
                .is_none_or(|best| candidate.cost() < best.cost())
        {
            best = Some(candidate);
        }
    };
    if let Some(constant) = try_constant(values, kind) {
        consider(Some(constant));
    } else {
        if values.may_be_numbers() {
            match try_integer(values, kind) {
                None => consider(try_decimal(values, kind)),
                integer => consider(integer),
            }
        }
        let fixed = packed::try_fixed(values, kind);
        let is_packed = fixed.as_ref().is_some_and(packed::is_packed);
        consider(fixed);
        if !is_packed {
            consider(try_dictionary(values, kind, compressor).map_err(EncodeError::Compress)?);
        }
    }
    let templated = try_template(values, kind, best.as_ref(), compressor)?;
    // A dictionary of long texts that are nearly all different is text without an index.
    let is_unique = best
        .as_ref()
        .is_some_and(|best| match best.directory.layout {
            Layout::Dictionary(dictionary) => {
                dictionary.entries * 2 > values.len() && is_prose(values)
            }
            _ => false,
        });
    match templated.or(best.filter(|_| !is_unique)) {
        Some(best) if !is_text_smaller(values, best.cost(), compressor)? => {
            out.extend_from_slice(&best.area);
            Ok(best.directory)
        }
        _ => encode_free_text(name, values, kind, compressor, out),
    }
}

/// Appends a column that no encoding of values fits.
fn encode_free_text(
    name: &str,
    values: &Values<'_>,
    kind: Option<Kind>,
    compressor: &mut Compressor<'_>,
    out: &mut Vec<u8>,
) -> Result<ColumnDirectory, EncodeError> {
    check_sizes(name, values)?;
    if is_prose(values)
        && let Some(prose) = prose::encode(values, kind, compressor, out)?
    {
        return Ok(prose);
    }
    runs::encode(values, kind, compressor, out)
}

/// Whether an exact index of words is worth its bytes: texts are long, so that looking at one
/// costs more than looking it up. (Terms that are too many are found while it is built.)
fn is_prose(values: &Values<'_>) -> bool {
    values.text_bytes() >= PROSE_COLUMN_BYTES_MIN
        && values.text_bytes() / values.len().max(1) >= PROSE_VALUE_BYTES_MIN
}

/// Refuses what a reader would.
fn check_sizes(name: &str, values: &Values<'_>) -> Result<(), EncodeError> {
    for block in values.blocks() {
        let mut block_bytes = 0;
        for index in block {
            let bytes = values.text(index).len();
            block_bytes += bytes;
            if block_bytes > BLOCK_TEXT_BYTES_MAX || bytes > FRAME_PLAIN_BYTES_MAX / 2 {
                return Err(EncodeError::ValueTooLarge {
                    column: name.into(),
                    bytes,
                });
            }
        }
    }
    Ok(())
}

/// Builds one page for each block: the kinds if they differ, then what `write` appends for the
/// block's values.
pub(super) fn encode_pages(
    values: &Values<'_>,
    kind: Option<Kind>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(std::ops::Range<usize>, &mut Vec<u8>),
) -> Vec<usize> {
    values
        .blocks()
        .map(|block| {
            let start = out.len();
            if !block.is_empty() {
                if kind.is_none() {
                    let kinds: Vec<i64> = block
                        .clone()
                        .map(|index| values.kind(index) as i64)
                        .collect();
                    ints::encode(&kinds, out);
                }
                write(block, out);
            }
            out.len() - start
        })
        .collect()
}

/// Least and greatest number of each block of which all values are numbers.
pub(super) fn numbers_of_blocks(
    values: &Values<'_>,
    mut number: impl FnMut(usize) -> Option<f64>,
) -> Vec<Option<(f64, f64)>> {
    values
        .blocks()
        .map(|mut block| {
            let first = number(block.next()?)?;
            block.try_fold((first, first), |(least, greatest), index| {
                let number = number(index)?;
                Some((number.min(least), number.max(greatest)))
            })
        })
        .collect()
}

/// The same for decimals: their texts are in the order of their scaled values, so that two of each
/// block need to be read as numbers.
fn decimals_of_blocks(values: &Values<'_>, scaled: &[i64]) -> Vec<Option<(f64, f64)>> {
    values
        .blocks()
        .map(|block| {
            let least = block.clone().min_by_key(|index| scaled[*index])?;
            let greatest = block.max_by_key(|index| scaled[*index])?;
            Some((
                number_of(values.text(least))?,
                number_of(values.text(greatest))?,
            ))
        })
        .collect()
}

fn try_constant(values: &Values<'_>, kind: Option<Kind>) -> Option<Candidate> {
    let text = values.text(0);
    if text.len() > DICTIONARY_TEXT_BYTES_MAX || values.texts().any(|other| other != text) {
        return None;
    }
    let mut area = Vec::new();
    let lengths = encode_pages(values, kind, &mut area, |_, _| {});
    let pages = match kind {
        Some(_) => Pages::default(),
        None => Pages::new(0, &lengths),
    };
    let number = number_of(text);
    Some(Candidate {
        directory: ColumnDirectory {
            kind,
            layout: Layout::Constant { text: text.into() },
            pages,
            numbers: numbers_of_blocks(values, |_| number),
        },
        area,
    })
}

fn try_integer(values: &Values<'_>, kind: Option<Kind>) -> Option<Candidate> {
    let numbers: Vec<i64> = values.texts().map(parse_integer).collect::<Option<_>>()?;
    let mut area = Vec::new();
    let lengths = encode_pages(values, kind, &mut area, |block, out| {
        ints::encode(&numbers[block], out);
    });
    Some(Candidate {
        directory: ColumnDirectory {
            kind,
            layout: Layout::Integer,
            pages: Pages::new(0, &lengths),
            numbers: numbers_of_blocks(values, |index| Some(numbers[index] as f64)),
        },
        area,
    })
}

fn try_decimal(values: &Values<'_>, kind: Option<Kind>) -> Option<Candidate> {
    let numbers = values.texts().map(parse_decimal);
    let numbers: Vec<_> = numbers.collect::<Option<_>>()?;
    let scale = numbers.iter().map(|number| number.decimals).max()?;
    let least = numbers.iter().map(|number| number.decimals).min()?;
    let scaled = numbers.iter().map(|number| rescale(*number, scale));
    let scaled: Vec<i64> = scaled.collect::<Option<_>>()?;
    let is_trimmed = || {
        let mut both = numbers.iter().zip(&scaled);
        both.all(|(number, scaled)| trimmed_decimals(*scaled, scale, least) == number.decimals)
    };
    let decimals = match () {
        () if least == scale => Decimals::All,
        () if is_trimmed() => Decimals::Trimmed(least),
        () => Decimals::PerValue,
    };
    let mut area = Vec::new();
    let lengths = encode_pages(values, kind, &mut area, |block, out| {
        ints::encode(&scaled[block.clone()], out);
        if decimals == Decimals::PerValue {
            let decimals = numbers[block]
                .iter()
                .map(|number| i64::from(number.decimals));
            ints::encode(&decimals.collect::<Vec<_>>(), out);
        }
    });
    Some(Candidate {
        directory: ColumnDirectory {
            kind,
            layout: Layout::Decimal { scale, decimals },
            pages: Pages::new(0, &lengths),
            numbers: decimals_of_blocks(values, &scaled),
        },
        area,
    })
}

fn try_dictionary(
    values: &Values<'_>,
    kind: Option<Kind>,
    compressor: &mut Compressor<'_>,
) -> std::io::Result<Option<Candidate>> {
    let mut entries: HashMap<&str, u32> = HashMap::new();
    let mut codes = Vec::with_capacity(values.len());
    let mut bytes = 0;
    for (index, text) in values.texts().enumerate() {
        let next = entries.len() as u32;
        let code = *entries.entry(text).or_insert_with(|| {
            bytes += text.len() + 1;
            next
        });
        codes.push(code);
        let is_hopeless = index >= DICTIONARY_TRIAL_VALUES && entries.len() * 2 > index;
        if text.len() > DICTIONARY_TEXT_BYTES_MAX
            || bytes > DICTIONARY_PLAIN_BYTES_MAX
            || entries.len() > DICTIONARY_ENTRIES_MAX
            || is_hopeless
        {
            return Ok(None);
        }
    }
    let mut sorted: Vec<(&str, u32)> = entries.into_iter().collect();
    sorted.sort_unstable();
    let mut new_codes = vec![0i64; sorted.len()];
    let mut plain = Vec::with_capacity(bytes);
    let mut entry_numbers = Vec::with_capacity(sorted.len());
    for (new_code, (text, code)) in (0i64..).zip(&sorted) {
        new_codes[*code as usize] = new_code;
        push_text(&mut plain, text);
        entry_numbers.push(number_of(text));
    }
    let mut area = compressor.compress(&plain)?;
    let dictionary_bytes = area.len();
    let codes: Vec<i64> = codes.iter().map(|code| new_codes[*code as usize]).collect();
    let lengths = encode_pages(values, kind, &mut area, |block, out| {
        ints::encode(&codes[block], out);
    });
    Ok(Some(Candidate {
        directory: ColumnDirectory {
            kind,
            layout: Layout::Dictionary(TextDictionary {
                entries: sorted.len(),
                bytes: dictionary_bytes,
                plain_bytes: plain.len(),
            }),
            pages: Pages::new(dictionary_bytes as u64, &lengths),
            numbers: numbers_of_blocks(values, |index| entry_numbers[codes[index] as usize]),
        },
        area,
    }))
}

/// The column by templates, if it has such and they cost less than the best other encoding. Where
/// each value is a number as a whole, its template would be that of one variable and nothing else.
fn try_template(
    values: &Values<'_>,
    kind: Option<Kind>,
    best: Option<&Candidate>,
    compressor: &mut Compressor<'_>,
) -> Result<Option<Candidate>, EncodeError> {
    let cost = best.map_or(usize::MAX, Candidate::cost);
    let is_number = best.is_some_and(|best| {
        matches!(
            best.directory.layout,
            Layout::Integer
                | Layout::Decimal { .. }
                | Layout::Fixed { .. }
                | Layout::FixedDictionary(_)
        )
    });
    if cost <= values.len() || is_number || !template::is_templated(values) {
        return Ok(None);
    }
    let is_dictionary =
        best.is_some_and(|best| matches!(best.directory.layout, Layout::Dictionary(_)));
    if is_dictionary && !do_templates_gain(values, kind, compressor)? {
        return Ok(None);
    }
    let templated = template::encode(values, kind, compressor).map_err(EncodeError::Compress)?;
    Ok(templated.filter(|templated| is_worth(values, templated.cost(), cost)))
}

/// Whether templates cost less than a dictionary on a sample. Identifiers with few distinct values
/// have templates, too, and all that is gained by looking at each value is to know that a
/// dictionary is better.
fn do_templates_gain(
    values: &Values<'_>,
    kind: Option<Kind>,
    compressor: &mut Compressor<'_>,
) -> Result<bool, EncodeError> {
    if values.len() < TEMPLATE_TRIAL_VALUES * TEMPLATE_TRIAL_PART {
        return Ok(true);
    }
    let runs = (0..TEMPLATE_TRIAL_RUNS).flat_map(|run| {
        let start = values.len() * run / TEMPLATE_TRIAL_RUNS;
        start..start + TEMPLATE_TRIAL_VALUES / TEMPLATE_TRIAL_RUNS
    });
    let sample = values.picked(runs);
    let dictionary = try_dictionary(&sample, kind, compressor).map_err(EncodeError::Compress)?;
    let Some(dictionary) = dictionary else {
        return Ok(true);
    };
    let templated = template::encode(&sample, kind, compressor).map_err(EncodeError::Compress)?;
    Ok(templated.is_some_and(|templated| templated.cost() < dictionary.cost()))
}

/// Whether an encoding that is harder to search saves enough against one that costs `cost`.
fn is_worth(values: &Values<'_>, estimate: usize, cost: usize) -> bool {
    let gain = cost - estimate.min(cost);
    (estimate as u128) * 100 < cost as u128 * TEXT_COST_PERCENT as u128
        && gain > values.len() / TEXT_GAIN_VALUES
}

/// Whether text compresses so well that `cost` bytes of another encoding are too many.
fn is_text_smaller(
    values: &Values<'_>,
    cost: usize,
    compressor: &mut Compressor<'_>,
) -> Result<bool, EncodeError> {
    if cost <= values.len() {
        return Ok(false);
    }
    let (mut plain_bytes, mut packed_bytes) = (0, 0);
    let mut plain = Vec::new();
    let mut hashes = HashSet::new();
    let mut filter_tokens = 0;
    for run in 0..SAMPLE_RUNS {
        plain.clear();
        hashes.clear();
        for index in values.len() * run / SAMPLE_RUNS..values.len() * (run + 1) / SAMPLE_RUNS {
            let text = values.text(index);
            push_text(&mut plain, text);
            filter::token_hashes(text, |hash| {
                hashes.insert(hash);
            });
            if plain.len() >= SAMPLE_RUN_BYTES {
                break;
            }
        }
        plain_bytes += plain.len();
        packed_bytes += compressor
            .compress(&plain)
            .map_err(EncodeError::Compress)?
            .len();
        filter_tokens += hashes.len();
    }
    // A token takes about a byte of the filter.
    let sample_cost = packed_bytes + filter_tokens;
    let text_bytes = values.text_bytes() + values.len();
    let estimate = text_bytes as u128 * sample_cost as u128 / plain_bytes.max(1) as u128;
    let estimate = usize::try_from(estimate).unwrap_or(usize::MAX);
    Ok(is_worth(values, estimate, cost))
}
