//! `taffrail completions SHELL`: the script that a shell loads.
use anyhow::{Context, Result};
use clap::{Args, Command};
use clap_complete::Shell;
use std::io::Write;

const EXAMPLES: &str = "\
Examples:
  taffrail completions bash > ~/.local/share/bash-completion/completions/taffrail
  taffrail completions zsh > ~/.zfunc/_taffrail
  taffrail completions fish > ~/.config/fish/completions/taffrail.fish
";

/// Arguments of `completions`.
#[derive(Args, Debug)]
#[command(before_help = EXAMPLES)]
pub struct CompletionsArguments {
    /// Which shell
    shell: Shell,
}

/// Prints the script.
pub fn run(arguments: &CompletionsArguments, mut command: Command) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "taffrail", &mut script);
    let mut out = std::io::stdout().lock();
    out.write_all(&script).context("writing the script")?;
    out.flush().context("writing the script")
}
