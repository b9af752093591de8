//! Compressed bodies, within limits.
//!
//! Invariants
//! - Output grows by at most one chunk before each limit is looked at: a bomb costs no more
//!   memory than the limit, and no more time than writing that much.
//! - A truncated or padded stream is an error, never a shorter body.
use flate2::{Decompress, FlushDecompress, Status};
use std::{
    borrow::Cow,
    io::{self, Read},
};
use taffrail_model::limits::{DECOMPRESSION_RATIO_FLOOR_BYTES, DECOMPRESSION_RATIO_MAX};

/// How much is decompressed between two looks at the limits.
const CHUNK_BYTES: usize = 64 << 10;
/// Window that a zstd stream may ask for, as a power of two: the 8 MiB of RFC 9659 for HTTP.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// gzip, of one or several members.
    Gzip,
    /// Zstandard, of one or several frames.
    Zstd,
    /// zlib, or raw deflate, which some clients send under the same name.
    Deflate,
}

/// A body that cannot be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// An encoding that is not known, or more than one.
    #[error("content encoding {name:?} is not supported: one of identity, gzip, zstd, deflate is")]
    UnknownEncoding {
        /// What the header said.
        name: String,
    },
    /// Past the absolute limit.
    #[error("the body has more than {bytes_max} bytes decompressed, which is the limit")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Past the ratio limit.
    #[error(
        "the body of {bytes} bytes decompresses to more than {DECOMPRESSION_RATIO_MAX} times as \
         many, which is the limit"
    )]
    RatioTooHigh {
        /// Compressed bytes.
        bytes: usize,
    },
    /// Not a whole stream of the encoding.
    #[error("the body is not valid {}", encoding.name())]
    Corrupt {
        /// What it should be.
        encoding: Encoding,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Encoding {
    /// The encoding of a `Content-Encoding` header; an empty one is none.
    ///
    /// # Errors
    /// [`DecompressError::UnknownEncoding`], for a chain of several too.
    pub fn from_header(value: &str) -> Result<Encoding, DecompressError> {
        match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Encoding::Identity),
            "gzip" | "x-gzip" => Ok(Encoding::Gzip),
            "zstd" => Ok(Encoding::Zstd),
            "deflate" => Ok(Encoding::Deflate),
            _ => Err(DecompressError::UnknownEncoding {
                name: value.chars().take(64).collect(),
            }),
        }
    }

    /// The name in a `Content-Encoding` header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Gzip => "gzip",
            Encoding::Zstd => "zstd",
            Encoding::Deflate => "deflate",
        }
    }
}

/// The body decompressed, at most `bytes_max` bytes of it.
///
/// # Errors
/// [`DecompressError`]: too large, suspiciously well compressed, or no whole stream.
pub fn decompress(
    encoding: Encoding,
    body: &[u8],
    bytes_max: usize,
) -> Result<Cow<'_, [u8]>, DecompressError> {
    let mut output = Output {
        bytes: Vec::new(),
        body_bytes: body.len(),
        bytes_max,
    };
    let corrupt = |source| DecompressError::Corrupt { encoding, source };
    match encoding {
        Encoding::Identity if body.len() > bytes_max => {
            return Err(DecompressError::TooLarge { bytes_max });
        }
        Encoding::Identity => return Ok(Cow::Borrowed(body)),
        Encoding::Gzip => output.read(encoding, flate2::bufread::MultiGzDecoder::new(body))?,
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(corrupt)?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG_MAX)
                .map_err(corrupt)?;
            output.read(encoding, decoder)?;
        }
        Encoding::Deflate => output.inflate(body)?,
    }
    Ok(Cow::Owned(output.bytes))
}

struct Output {
    bytes: Vec<u8>,
    body_bytes: usize,
    bytes_max: usize,
}

impl Output {
    fn read(&mut self, encoding: Encoding, mut from: impl Read) -> Result<(), DecompressError> {
        loop {
            let chunk = (&mut from)
                .take(CHUNK_BYTES as u64)
                .read_to_end(&mut self.bytes)
                .map_err(|source| DecompressError::Corrupt { encoding, source })?;
            self.check()?;
            if chunk == 0 {
                return Ok(());
            }
        }
    }

    /// zlib where the header says so and it holds, else raw deflate.
    fn inflate(&mut self, body: &[u8]) -> Result<(), DecompressError> {
        let is_zlib = matches!(body, [cmf, flags, ..]
            if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flags)) % 31 == 0);
        if !is_zlib {
            return self.inflate_as(body, false);
        }
        match self.inflate_as(body, true) {
            // Two bytes of raw deflate may look like a header of zlib.
            Err(error @ DecompressError::Corrupt { .. }) => {
                self.bytes.clear();
                self.inflate_as(body, false).map_err(|_| error)
            }
            outcome => outcome,
        }
    }

    fn inflate_as(&mut self, body: &[u8], is_zlib: bool) -> Result<(), DecompressError> {
        let corrupt = |source| DecompressError::Corrupt {
            encoding: Encoding::Deflate,
            source,
        };
        let mut state = Decompress::new(is_zlib);
        loop {
            self.bytes.reserve(CHUNK_BYTES);
            let before = (state.total_in(), state.total_out());
            let rest = body.get(before.0 as usize..).unwrap_or_default();
            let status = state
                .decompress_vec(rest, &mut self.bytes, FlushDecompress::None)
                .map_err(|error| corrupt(error.into()))?;
            self.check()?;
            if status == Status::StreamEnd {
                break;
            }
            if before == (state.total_in(), state.total_out()) {
                return Err(corrupt(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        if (state.total_in() as usize) < body.len() {
            let message = "bytes follow the end of the stream";
            return Err(corrupt(io::Error::new(io::ErrorKind::InvalidData, message)));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), DecompressError> {
        if self.bytes.len() > self.bytes_max {
            return Err(DecompressError::TooLarge {
                bytes_max: self.bytes_max,
            });
        }
        let allowed = self.body_bytes.saturating_mul(DECOMPRESSION_RATIO_MAX);
        if self.bytes.len() > allowed.max(DECOMPRESSION_RATIO_FLOOR_BYTES) {
            return Err(DecompressError::RatioTooHigh {
                bytes: self.body_bytes,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{
        Compression,
        write::{DeflateEncoder, GzEncoder, ZlibEncoder},
    };
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 3).unwrap()
    }

    type Compress = fn(&[u8]) -> Vec<u8>;

    /// Every form of every encoding.
    const FORMS: [(Encoding, Compress); 4] = [
        (Encoding::Gzip, gzip),
        (Encoding::Zstd, zstd),
        (Encoding::Deflate, zlib),
        (Encoding::Deflate, raw),
    ];

    fn text(bytes: usize) -> Vec<u8> {
        (0..)
            .flat_map(|n: u64| {
                (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20)
                    .to_string()
                    .into_bytes()
            })
            .take(bytes)
            .collect()
    }

    #[test]
    fn every_encoding_round_trips() {
        for bytes in [0, 1, 100, CHUNK_BYTES, 300_000] {
            let plain = text(bytes);
            for (encoding, form) in FORMS {
                let body = form(&plain);
                assert_eq!(*decompress(encoding, &body, bytes).unwrap(), *plain);
            }
            assert_eq!(
                *decompress(Encoding::Identity, &plain, bytes).unwrap(),
                *plain
            );
        }
    }

    #[test]
    fn members_and_frames_are_joined() {
        let two = |form: Compress| [form(b"ab"), form(b""), form(b"cd")].concat();
        assert_eq!(
            *decompress(Encoding::Gzip, &two(gzip), 4).unwrap(),
            *b"abcd"
        );
        assert_eq!(
            *decompress(Encoding::Zstd, &two(zstd), 4).unwrap(),
            *b"abcd"
        );
    }

    #[test]
    fn the_absolute_limit_holds_exactly() {
        let plain = text(200_000);
        for (encoding, form) in FORMS {
            let body = form(&plain);
            assert!(decompress(encoding, &body, 200_000).is_ok());
            let error = decompress(encoding, &body, 199_999).unwrap_err();
            assert!(
                matches!(error, DecompressError::TooLarge { bytes_max: 199_999 }),
                "{error}"
            );
        }
        assert!(decompress(Encoding::Identity, b"abc", 2).is_err());
    }

    #[test]
    fn a_bomb_is_refused_by_its_ratio() {
        let blanks = vec![b' '; 32 << 20];
        for (encoding, form) in FORMS {
            let body = form(&blanks);
            let error = decompress(encoding, &body, 64 << 20).unwrap_err();
            assert!(
                matches!(error, DecompressError::RatioTooHigh { .. }),
                "{encoding:?} {error}"
            );
            // Small bodies of blanks are harmless.
            let harmless = form(&blanks[..DECOMPRESSION_RATIO_FLOOR_BYTES]);
            assert!(decompress(encoding, &harmless, 64 << 20).is_ok());
        }
    }

    #[test]
    fn a_body_that_is_no_whole_stream_is_an_error() {
        let plain = text(5_000);
        for (encoding, form) in FORMS {
            let body = form(&plain);
            for end in [0, 1, 2, 5, body.len() / 2, body.len() - 1] {
                let outcome = decompress(encoding, &body[..end], 1 << 20);
                // No bytes at all are no frames of zstd.
                if !(end == 0 && encoding == Encoding::Zstd) {
                    assert!(
                        matches!(outcome, Err(DecompressError::Corrupt { .. })),
                        "{encoding:?} {end}"
                    );
                }
            }
            let padded = [&body[..], b"xx"].concat();
            assert!(
                decompress(encoding, &padded, 1 << 20).is_err(),
                "{encoding:?}"
            );
        }
        for (encoding, form) in FORMS {
            let body = form(&plain);
            for at in 0..body.len().min(300) {
                for bit in 0..8 {
                    let mut body = body.clone();
                    body[at] ^= 1 << bit;
                    let _ = decompress(encoding, &body, 1 << 20);
                }
            }
        }
    }

    #[test]
    fn a_zstd_window_past_the_limit_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(24).unwrap();
        encoder.write_all(&text(100)).unwrap();
        let body = encoder.finish().unwrap();
        assert!(matches!(
            decompress(Encoding::Zstd, &body, 1 << 20),
            Err(DecompressError::Corrupt { .. })
        ));
    }

    #[test]
    fn headers() {
        for (value, expected) in [
            ("", Encoding::Identity),
            (" GZIP ", Encoding::Gzip),
            ("zstd", Encoding::Zstd),
            ("deflate", Encoding::Deflate),
            ("identity", Encoding::Identity),
        ] {
            assert_eq!(Encoding::from_header(value).unwrap(), expected);
        }
        for bad in ["br", "gzip, gzip", "snappy"] {
            let error = Encoding::from_header(bad).unwrap_err().to_string();
            assert!(
                error.contains(bad) && error.contains("identity, gzip, zstd, deflate"),
                "{error}"
            );
        }
    }
}
