//! The program `taffrail`: one file a subcommand. The only crate that knows the terminal.
//!
//! Data goes to stdout and everything else to stderr. Exit codes: 0, 1 failure, 2 usage, 3 server
//! unreachable, 4 not allowed, 5 partial result, 130 interrupted ([`failure`]).
mod allocator;
mod client;
mod completions;
mod delivery;
mod demo;
mod failure;
mod instances;
mod keys;
mod logs;
mod output;
mod password;
mod record;
mod run;
mod serve;
mod ship;
mod table;
mod users;

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;
use taffrail_model::shown;
use tokio::runtime::Builder;

const EXAMPLES: &str = "\
Examples:
  taffrail demo                                   see it work on the logs of this machine
  taffrail serve --data-dir /var/lib/taffrail     run a server
  taffrail logs search 'level:error' --since 24h
  taffrail logs tail 'level>=warn'
  taffrail ship --stream app.backend /var/log/app/*.log
  taffrail run --instance 7f3a -- npx -y @modelcontextprotocol/server-everything
";

const EXIT_CODES: &str = "\
Exit codes: 0 success, 1 failure, 2 wrong usage, 3 server unreachable, 4 not allowed,
5 partial result, 130 interrupted.";

/// A log platform for AI agents and MCP servers
#[derive(Parser, Debug)]
#[command(name = "taffrail", version, before_help = EXAMPLES, after_help = EXIT_CODES)]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run a server on the logs of this machine, to try things out
    Demo(demo::DemoArguments),
    /// Run a server
    Serve(serve::ServeArguments),
    /// Send files to a server and follow them
    Ship(Box<ship::ShipArgs>),
    /// Run a program, such as an MCP server, and record what it says and does
    Run(Box<run::RunArguments>),
    /// Search and follow logs
    Logs(logs::LogsArguments),
    /// List, add and change accounts
    Users(users::UsersArguments),
    /// List, create and revoke API keys
    Keys(keys::KeysArguments),
    /// List, create, change and delete MCP instances, and create their keys
    Instances(instances::InstancesArguments),
    /// Print completions for a shell
    Completions(completions::CompletionsArguments),
}

fn main() -> ExitCode {
    if let Some(code) = run::stage() {
        return code;
    }
    let command_line = CommandLine::parse();
    failure::report(run(command_line.command))
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo(arguments) => server_runtime()?.block_on(demo::run(arguments)),
        Command::Serve(arguments) => {
            let arenas = allocator::have_few_arenas();
            server_runtime()?.block_on(serve::run(arguments, arenas))
        }
        Command::Ship(arguments) => ship::run(*arguments),
        Command::Run(arguments) => run::run(*arguments),
        Command::Logs(arguments) => client_runtime()?.block_on(logs::run(arguments)),
        Command::Users(arguments) => client_runtime()?.block_on(users::run(arguments)),
        Command::Keys(arguments) => client_runtime()?.block_on(keys::run(arguments)),
        Command::Instances(arguments) => client_runtime()?.block_on(instances::run(arguments)),
        Command::Completions(arguments) => completions::run(&arguments, CommandLine::command()),
    }
}

/// One thread is enough for a client.
fn client_runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().context("starting the runtime")
}

/// A server uses all cores.
fn server_runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all().build().context("starting the runtime")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    /// The help of every command, as on a terminal of 100 columns.
    #[test]
    fn help() {
        let mut root = CommandLine::command().term_width(100);
        root.build();
        check_help(&mut root, "taffrail", false);
    }

    fn check_help(command: &mut clap::Command, path: &str, has_examples: bool) {
        let help = command.render_long_help().to_string();
        insta::assert_snapshot!(path.replace(' ', "_"), help);
        // Those of a small command are with its parent's.
        let has_examples = has_examples || help.starts_with("Examples:");
        assert!(has_examples, "{path}: examples come first");
        let names: Vec<String> = command
            .get_subcommands()
            .map(|sub| sub.get_name().to_string())
            .filter(|name| name != "help")
            .collect();
        for name in names {
            if let Some(sub) = command.find_subcommand_mut(&name) {
                check_help(
                    sub,
                    &format!("{path} {name}"),
                    has_examples && path != "taffrail",
                );
            }
        }
    }
}
