//! `taffrail logs …`: search, tail, context, benchmark. All but the last are clients of a server,
//! which for a data directory that no server works on is one of their own.
mod benchmark;
mod context;
mod directory;
mod filter;
mod format;
mod search;
mod table;
mod tail;

use crate::failure::Failure;
use anyhow::Result;
use clap::{Args, Subcommand};
use directory::DirectoryOptions;

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
    #[command(flatten)]
    directory: DirectoryOptions,
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
    /// Measure speed, size and memory on this machine
    Benchmark(Box<benchmark::BenchmarkArguments>),
}

/// Runs the command.
pub async fn run(arguments: LogsArguments) -> Result<()> {
    let mut command = arguments.command;
    let Some(own) = arguments.directory.serve().await? else {
        return on_server(command).await;
    };
    match &mut command {
        LogsCommand::Search(arguments) => arguments.server = own.client_options(),
        LogsCommand::Context(arguments) => arguments.server = own.client_options(),
        LogsCommand::Tail(_) => {
            own.stop().await?;
            let reason = "nothing arrives in a directory without a server: tail needs --server";
            return Err(Failure::Usage(reason.into()).into());
        }
        LogsCommand::Benchmark(_) => {
            own.stop().await?;
            let reason = "benchmark makes its own data: give its --data-dir after `benchmark`";
            return Err(Failure::Usage(reason.into()).into());
        }
    }
    let outcome = on_server(command).await;
    own.stop().await?;
    outcome
}

async fn on_server(command: LogsCommand) -> Result<()> {
    match command {
        LogsCommand::Search(arguments) => search::run(arguments).await,
        LogsCommand::Tail(arguments) => tail::run(arguments).await,
        LogsCommand::Context(arguments) => context::run(arguments).await,
        LogsCommand::Benchmark(arguments) => benchmark::run(*arguments).await,
    }
}
