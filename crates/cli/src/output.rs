//! Where data goes: stdout, a pager in front of a terminal, or a file. Everything else that the
//! program says goes to stderr.
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};
use tokio::signal::unix::{SignalKind, signal};

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// An open destination.
pub struct Output {
    sink: Sink,
    /// Whether a person reads it: align, local times.
    pub is_terminal: bool,
    /// Whether to colour.
    pub has_color: bool,
}

enum Sink {
    Stdout(BufWriter<io::Stdout>),
    Pager(Child, BufWriter<ChildStdin>),
    File(BufWriter<File>, PathBuf),
}

impl Output {
    /// Opens a file, or stdout without a pager.
    pub fn open(file: Option<&Path>, color: Color) -> Result<Output> {
        let Some(path) = file.filter(|path| *path != Path::new("-")) else {
            let is_terminal = io::stdout().is_terminal();
            return Ok(Output {
                sink: Sink::Stdout(BufWriter::new(io::stdout())),
                is_terminal,
                has_color: has_color(color, is_terminal),
            });
        };
        let opened = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Output {
            sink: Sink::File(BufWriter::new(opened), path.to_path_buf()),
            is_terminal: false,
            has_color: has_color(color, false),
        })
    }

    /// Puts a pager in front of a terminal: `$PAGER`, else `less -RF`. Without one, or with
    /// `PAGER` empty or `cat`, the terminal itself.
    pub fn paged(self) -> Output {
        if !self.is_terminal || !matches!(self.sink, Sink::Stdout(_)) {
            return self;
        }
        let Some(mut child) = start_pager() else {
            return self;
        };
        match child.stdin.take() {
            Some(stdin) => Output {
                sink: Sink::Pager(child, BufWriter::new(stdin)),
                ..self
            },
            None => self,
        }
    }

    /// Writes what is buffered and waits for the pager to be closed.
    pub fn finish(self) -> Result<()> {
        match self.sink {
            Sink::Stdout(mut out) => out.flush().context("writing to stdout"),
            Sink::File(mut out, path) => {
                let written = out.flush();
                written.with_context(|| format!("writing {}", path.display()))
            }
            Sink::Pager(mut child, mut out) => {
                let flushed = out.flush();
                drop(out);
                child.wait().context("waiting for the pager")?;
                flushed.context("writing to the pager")
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Stdout(out) => out.write(bytes),
            Sink::Pager(_, out) => out.write(bytes),
            Sink::File(out, _) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Stdout(out) => out.flush(),
            Sink::Pager(_, out) => out.flush(),
            Sink::File(out, _) => out.flush(),
        }
    }
}

fn has_color(color: Color, is_terminal: bool) -> bool {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => is_terminal && !is_refused,
    }
}

fn start_pager() -> Option<Child> {
    let wanted = std::env::var("PAGER").ok();
    let mut command = match wanted.as_deref().map(str::trim) {
        Some("" | "cat") => return None,
        Some(wanted) => {
            let mut command = Command::new("sh");
            command.args(["-c", wanted]);
            command
        }
        None => {
            let mut command = Command::new("less");
            command.arg("-RF");
            command
        }
    };
    if std::env::var_os("LESS").is_none() {
        // A plain `less` of PAGER should colour and end on one screen as ours does.
        command.env("LESS", "RF");
    }
    let child = command.stdin(Stdio::piped()).spawn().ok()?;
    // Ctrl-C is the pager's now: if we ended, it would be left fighting the shell for the
    // terminal. We end when it does, at the next write. Without a handler we would only end early.
    let _ = signal(SignalKind::interrupt());
    Some(child)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_follows_flag_then_terminal() {
        assert!(has_color(Color::Always, false));
        assert!(!has_color(Color::Never, true));
        assert!(!has_color(Color::Auto, false));
    }

    #[test]
    fn a_file_gets_everything_and_no_colour() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.txt");
        let mut output = Output::open(Some(&path), Color::Auto).unwrap().paged();
        assert!(!output.is_terminal && !output.has_color);
        output.write_all(b"data\n").unwrap();
        output.finish().unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"data\n");
    }
}
