//! Takes records in: bytes of a request or file become columns of a batch.
//!
//! What is where
//! - [`decompress`]: a compressed body, within limits.
//! - [`decode`]: JSON records or plain lines to a [`taffrail_model::batch::RawBatch`].
//! - [`mcp`]: what MCP clients and servers say to each other, as records.
//! - [`listen`]: where bytes come from when nobody sends a request (followed files).
//!
//! This crate knows no field names, redacts nothing and writes nothing: what it returns is what
//! the sender said, in the sender's names.

pub mod decode;
pub mod decompress;
pub mod listen;
pub mod mcp;
