//! `taffrail logs …`: search, tail, context. All of them are clients of a server.
mod context;
mod filter;
mod format;
mod search;
mod tail;

use anyhow::Result;
use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  taffrail logs search 'level:error' --since 24h
  taffrail logs tail 'level>=warn'
  taffrail logs context 0f0c2b1e-1dc0-8001-8000-00000000002a
";

/// Arguments of `logs`.
#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub struct LogsArguments {
    #[command(subcommand)]
    command: LogsCommand,
}

/// What to do with logs.
#[derive(Debug, Subcommand)]
enum LogsCommand {
    /// Search records
    Search(search::SearchArguments),
    /// Follow new records as they arrive
    Tail(tail::TailArguments),
    /// Show what happened around a record
    Context(context::ContextArguments),
}

/// Runs the command.
pub async fn run(arguments: LogsArguments) -> Result<()> {
    match arguments.command {
        LogsCommand::Search(arguments) => search::run(arguments).await,
        LogsCommand::Tail(arguments) => tail::run(arguments).await,
        LogsCommand::Context(arguments) => context::run(arguments).await,
    }
}
