//! What a stranger reads in a data directory that is not encrypted: containers are opened with
//! the key that everybody knows, log frames and segments are unpacked. Written from the pages of
//! `docs/formats/` alone.
use ring::{aead, digest, hkdf};
use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

const WELL_KNOWN_KEY: &[u8; 32] = b"taffrail: everybody knows this.\n";
const CONTAINER_HEADER_BYTES: usize = 48;
const CHUNK_BYTES: usize = 64 << 10;
const PAGE_BYTES: usize = 4_096;
const FRAME_HEADER_BYTES: usize = 80;
const FRAME_OF_ROWS: u8 = 1;

/// Everything of a data directory, by what it is.
#[derive(Default)]
pub struct Contents {
    /// Plain bytes of the write-ahead log: payloads, and their rows decompressed; answers of
    /// idempotency keys, those of the manifest too.
    pub log: Vec<u8>,
    /// Plain bytes of the segments: sections, and every compressed frame in them decompressed.
    pub segments: Vec<u8>,
    /// All files as they are.
    pub raw: Vec<u8>,
}

impl Contents {
    /// Reads a directory whose server has ended.
    pub fn read(data: &Path) -> Contents {
        let files = files(data);
        let mut contents = Contents::default();
        for path in files.values() {
            contents.raw.extend(std::fs::read(path).unwrap());
        }
        let of = |kind: &'static str| {
            let is_of = move |name: &&String| name.ends_with(kind);
            files.iter().filter(move |(name, _)| is_of(name))
        };
        for (_, path) in of(".wal") {
            read_log(path, &mut contents.log);
        }
        let (_, newest) = of(".snapshot").next_back().unwrap();
        let sections = read_manifest(newest, &mut contents.log);
        read_segments(&sections, data, &mut contents.segments);
        contents
    }
}

/// Files by their path within the directory.
fn files(directory: &Path) -> BTreeMap<String, PathBuf> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert(path.to_str().unwrap().to_owned(), path);
        }
    }
    files
}

fn number(path: &Path) -> u64 {
    let name = path.file_stem().unwrap().to_str().unwrap();
    u64::from_str_radix(name, 16).unwrap()
}

fn object(name: &[u8; 8], number: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(name);
    id[8..].copy_from_slice(&number.to_le_bytes());
    id
}

struct KeyLength;

impl hkdf::KeyType for KeyLength {
    fn len(&self) -> usize {
        32
    }
}

/// Opens a container.
fn open(sealed: &[u8], object: [u8; 16], tenant: u32, context: &[u8]) -> Vec<u8> {
    let (header, mut rest) = sealed.split_at(CONTAINER_HEADER_BYTES);
    assert_eq!(&header[..4], b"TFC1");
    assert_eq!(header[8..16], [0; 8], "not sealed with the well-known key");
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &header[16..48]);
    let pseudo_random_key = salt.extract(WELL_KNOWN_KEY);
    let info: [&[u8]; 1] = [b"taffrail container 1"];
    let mut key = [0; 32];
    let expanded = pseudo_random_key.expand(&info, KeyLength).unwrap();
    expanded.fill(&mut key).unwrap();
    let key = aead::UnboundKey::new(&aead::AES_256_GCM, &key).unwrap();
    let key = aead::LessSafeKey::new(key);
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(header);
    hash.update(context);
    let additional = [&object[..], &tenant.to_le_bytes(), hash.finish().as_ref()].concat();
    let mut plain = Vec::new();
    for chunk in 0_u64.. {
        let stored = rest.len().min(CHUNK_BYTES + key.algorithm().tag_len());
        let (this, after) = rest.split_at(stored);
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&chunk.to_le_bytes());
        nonce[11] = u8::from(after.is_empty());
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let mut bytes = this.to_vec();
        let opened = key.open_in_place(nonce, aead::Aad::from(&additional), &mut bytes);
        plain.extend_from_slice(opened.unwrap());
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    plain
}

/// Reads numbers and bytes one after the other.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (these, rest) = self.0.split_at(count);
        self.0 = rest;
        these
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes(4).try_into().unwrap())
    }

    fn varint(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.bytes(1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
        }
        panic!("a varint does not end");
    }

    fn counted(&mut self) -> &'a [u8] {
        let count = self.varint();
        self.bytes(count as usize)
    }
}

/// Payloads of all frames of a log file, each followed by its rows.
fn read_log(path: &Path, out: &mut Vec<u8>) {
    let file = std::fs::read(path).unwrap();
    let header_bytes = PAGE_BYTES * Input(&file[12..]).u32() as usize;
    let id = object(b"wal file", number(path));
    let header = open(&file[16..header_bytes], id, 0, &file[..16]);
    let id_of_frames: [u8; 16] = header[..16].try_into().unwrap();
    let mut rest = Input(&file[2 * header_bytes..]);
    while rest.0.starts_with(b"TFWF") {
        let header = rest.bytes(FRAME_HEADER_BYTES);
        let sealed = rest.bytes(Input(&header[12..]).u32() as usize);
        let tenant = Input(&header[56..]).u32();
        let payload = open(sealed, id_of_frames, tenant, header);
        out.extend_from_slice(&payload);
        if header[8] == FRAME_OF_ROWS {
            read_rows(&payload, out);
        }
    }
}

fn read_rows(payload: &[u8], out: &mut Vec<u8>) {
    let mut input = Input(payload);
    if input.bytes(1)[0] != 0 {
        let _tenant = input.u32();
        let _hashes_of_key_and_body = (input.bytes(16), input.bytes(16));
        out.extend(unpack_answer(input.counted()));
        let _time = input.varint();
    }
    out.extend(unpack_block(input));
}

/// A section of a bundle.
struct Section {
    file: String,
    id: [u8; 16],
    tenant: u32,
    offset: usize,
    bytes: usize,
}

/// A plain length and one lz4 block.
fn unpack_block(mut input: Input<'_>) -> Vec<u8> {
    let plain_bytes = input.u32() as usize;
    lz4_flex::block::decompress(input.0, plain_bytes).unwrap()
}

fn unpack_answer(packed: &[u8]) -> Vec<u8> {
    match packed.split_first() {
        Some((0, answer)) => answer.to_vec(),
        Some((1, block)) => unpack_block(Input(block)),
        _ => panic!("an answer of no known form"),
    }
}

/// The answers of idempotency keys.
fn read_keys(mut input: Input<'_>, out: &mut Vec<u8>) {
    for _ in 0..input.varint() {
        let _tenant = input.u32();
        let answers = input.varint();
        for _ in 0..answers {
            out.extend(unpack_answer(input.counted()));
        }
        while read_run_of_keys(&mut input, answers, out) {}
    }
    assert!(input.0.is_empty(), "the keys are the end of a snapshot");
}

/// Whether another run may follow.
fn read_run_of_keys(input: &mut Input<'_>, answers: u64, out: &mut Vec<u8>) -> bool {
    let keys = input.varint();
    for _ in 0..keys {
        let _hashes_of_key_and_body = (input.bytes(16), input.bytes(16));
        let code = input.varint();
        match code % 2 {
            0 => out.extend(input.bytes(code as usize / 2)),
            _ => assert!(code / 2 < answers),
        }
        let _time = input.varint();
    }
    keys > 0
}

fn read_manifest(path: &Path, answers: &mut Vec<u8>) -> Vec<Section> {
    let sealed = std::fs::read(path).unwrap();
    let plain = open(&sealed, object(b"manifest", number(path)), 0, b"");
    let mut plain = Input(&plain);
    assert_eq!(plain.u32(), 3, "version of the snapshot");
    let packed_bytes = plain.u32() as usize;
    let head = unpack_block(Input(plain.bytes(packed_bytes)));
    read_keys(plain, answers);
    let mut input = Input(&head);
    for _ in [
        "frame",
        "position",
        "log file",
        "generation",
        "epoch",
        "oldest log file",
    ] {
        input.varint();
    }
    assert_eq!(input.varint(), 0, "the store names losses");
    let mut sections = Vec::new();
    for _ in 0..input.varint() {
        let bundle = input.varint();
        let bundle_id = input.bytes(16);
        let _bytes = input.varint();
        for _ in 0..input.varint() {
            let mut id: [u8; 16] = bundle_id.try_into().unwrap();
            let tenant = Input(input.bytes(8)).u32();
            let number = input.varint() as u32;
            for (byte, number) in id[12..].iter_mut().zip(number.to_le_bytes()) {
                *byte ^= number;
            }
            let (offset, bytes) = (input.varint() as usize, input.varint() as usize);
            let _rows = input.varint();
            let _times = input.bytes(16);
            let _positions = (input.varint(), input.varint());
            let _what_was_removed = (input.varint(), input.bytes(8));
            sections.push(Section {
                file: format!("store/segments/{:02x}/{bundle:016x}.bundle", bundle % 64),
                id,
                tenant,
                offset,
                bytes,
            });
        }
    }
    sections
}

fn read_segments(sections: &[Section], data: &Path, out: &mut Vec<u8>) {
    for section in sections {
        let file = std::fs::read(data.join(&section.file)).unwrap();
        let sealed = &file[section.offset..section.offset + section.bytes];
        let plain = open(sealed, section.id, section.tenant, b"");
        unpack_frames(&plain, out);
        out.extend(plain);
    }
}

/// Everything that is compressed in `bytes`, wherever it begins.
fn unpack_frames(bytes: &[u8], out: &mut Vec<u8>) {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(&MAGIC) {
            let decoder = zstd::stream::read::Decoder::with_buffer(&bytes[at..]).unwrap();
            // What only looks like a frame ends in an error; what it gave until then is looked at.
            let _ = decoder.single_frame().read_to_end(out);
        }
    }
}
