//! The server: REST, live tail, health and metrics over one HTTP port. The only place that knows
//! HTTP, sessions in cookies, and status codes.
//!
//! Invariants
//! - Every route asks for a [`auth::Caller`] but those for health, login, the banner and the
//!   description of the API; the test of the routes goes through all of them.
//! - Every error is a [`problem::Problem`]; the status is chosen in [`problem`] alone, and its
//!   text never holds what another tenant has.
//! - Nothing that takes long runs on an asynchronous thread: bodies are decoded and records are
//!   read on blocking threads, a bounded number at a time, and a read ends when nobody waits.
//! - What waits for a client takes bounded memory, however slowly it reads
//!   ([`answers`]), and for [`stall::ANSWER_STALL_MAX`] if it does not read at all.
//!
//! What is where: [`config`] the layers of configuration; [`auth`] who asks; [`http`] one file
//! for each area of routes; `ui` the pages; [`live`] the live tail; [`server`] start, connections and stop.

mod answers;
pub mod auth;
pub mod config;
pub mod http;
pub mod live;
mod mcp_entry;
mod origin;
mod parameters;
pub mod problem;
mod reads;
mod record_json;
mod request_log;
pub mod server;
mod stall;
mod state;
mod ui;

pub use answers::ANSWER_HELD_MIN;
pub use server::{ServeError, Server, ServerOptions, serve};
pub use stall::ANSWER_STALL_MAX;
