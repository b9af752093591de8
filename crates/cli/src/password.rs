//! Reads a password: from the terminal without echo, twice, or the first line of stdin. Never
//! from an argument, which other users of the machine could read.
use crate::failure::Failure;
use anyhow::{Context, Result};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Write};

/// Asks for a new password of `account`.
pub fn read_new(account: &str) -> Result<String> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return first_line(stdin.lock());
    }
    let first = ask(&format!("New password for {account}: "))?;
    let second = ask("Once more: ")?;
    if first != second {
        return Err(Failure::Usage("the two passwords differ".into()).into());
    }
    not_empty(first)
}

fn first_line(mut input: impl BufRead) -> Result<String> {
    let mut line = String::new();
    input
        .read_line(&mut line)
        .context("reading the password from stdin")?;
    not_empty(line.trim_end_matches(['\r', '\n']).to_string())
}

fn not_empty(password: String) -> Result<String> {
    match password.is_empty() {
        true => Err(Failure::Usage("the password is empty".into()).into()),
        false => Ok(password),
    }
}

fn ask(prompt: &str) -> Result<String> {
    eprint!("{prompt}");
    io::stderr().flush().context("asking for the password")?;
    let typed = {
        let _silence = Silence::begin()?;
        typed_line(io::stdin().lock())
    };
    eprintln!();
    typed
}

/// Reads keys until Enter. The terminal does no editing here, so that Ctrl-C cannot end the
/// program while the echo is off.
fn typed_line(input: impl BufRead) -> Result<String> {
    let mut line = Vec::new();
    for byte in input.bytes() {
        match byte.context("reading the password")? {
            b'\r' | b'\n' | 0x04 => break,
            0x03 => return Err(Failure::Interrupted.into()),
            0x15 => line.clear(),
            0x08 | 0x7f => remove_character(&mut line),
            byte => line.push(byte),
        }
    }
    String::from_utf8(line).context("the password is not UTF-8")
}

fn remove_character(line: &mut Vec<u8>) {
    while let Some(byte) = line.pop() {
        // Bytes 10xxxxxx continue a character.
        if byte & 0xc0 != 0x80 {
            break;
        }
    }
}

/// The terminal without echo and editing, until dropped.
struct Silence {
    before: Termios,
}

impl Silence {
    fn begin() -> Result<Silence> {
        let before = tcgetattr(io::stdin()).context("reading the terminal's settings")?;
        let mut silent = before.clone();
        let visible = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        silent.local_modes.remove(visible);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent).context("hiding the password")?;
        Ok(Silence { before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if tcsetattr(io::stdin(), OptionalActions::Now, &self.before).is_err() {
            eprintln!(
                "\ntaffrail: the terminal's echo could not be turned on again: run `stty sane`"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_stdin() {
        assert_eq!(
            first_line(&b"secret word \r\nmore"[..]).unwrap(),
            "secret word "
        );
        assert_eq!(first_line(&b"secret"[..]).unwrap(), "secret");
        assert!(first_line(&b"\n"[..]).is_err());
    }

    #[test]
    fn keys_that_edit() {
        let typed = |keys: &[u8]| typed_line(keys).unwrap();
        assert_eq!(typed(b"abc\rrest"), "abc");
        assert_eq!(typed("ab\u{e9}\x7fc\n".as_bytes()), "abc");
        assert_eq!(typed(b"wrong\x15right\n"), "right");
        let interrupted = typed_line(&b"ab\x03"[..]).unwrap_err();
        assert!(matches!(
            interrupted.downcast_ref(),
            Some(Failure::Interrupted)
        ));
    }
}
