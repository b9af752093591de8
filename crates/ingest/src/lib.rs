//! Takes records in: bytes of a request or file become columns of a batch.
//!
//! What is where
//! - [`decompress`]: a compressed body, within limits.
//! - [`decode`]: JSON records or plain lines to a [`taffrail_model::batch::RawBatch`].
//! - [`mcp`]: what MCP clients and servers say to each other, as records.
//! - [`listen`]: where bytes come from when nobody sends a request (followed files).
//!
//! This crate redacts nothing and writes nothing. What it decodes is what the sender said, in the
//! sender's names; only what it records itself (of MCP, of a process) has names of its own.

pub mod decode;
pub mod decompress;
pub mod listen;
pub mod mcp;
