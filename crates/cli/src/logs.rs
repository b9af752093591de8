//! `taffrail logs …`: search, tail, context. All of them are clients of a server.
mod context;
mod filter;
mod format;
mod search;
mod tail;

use anyhow::Result;
use clap::Subcommand;

/// What to do with logs.
#[derive(Debug, Subcommand)]
pub enum LogsCommand {
    /// Search records
    Search(search::SearchArguments),
    /// Follow new records as they arrive
    Tail(tail::TailArguments),
    /// Show what happened around a record
    Context(context::ContextArguments),
}

/// Runs the command.
pub async fn run(command: LogsCommand) -> Result<()> {
    match command {
        LogsCommand::Search(arguments) => search::run(arguments).await,
        LogsCommand::Tail(arguments) => tail::run(arguments).await,
        LogsCommand::Context(arguments) => context::run(arguments).await,
    }
}
