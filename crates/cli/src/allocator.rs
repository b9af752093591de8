//! How the memory of a server is set up.
//!
//! The allocator of glibc gives threads arenas of their own, up to eight for each core, and each
//! keeps much of what was freed in it. A batch is made by one thread and freed by another, so a
//! server that takes in 40,000 records a second on two cores had 348 MB at the most, and after some
//! questions 598 MB. With two arenas it has 231 and 404 MB, and needs as much of the processor.
//!
//! Their number is read from the environment, and only when a process begins: so a server begins
//! once more with the variable set. It keeps its process id, its arguments and what else it has.
//!
//! Invariants
//! - What begins is the file that runs: not what loaded it (`ld.so taffrail serve`), and nothing
//!   that has taken its place.
//! - Where that cannot be had the server goes on, with more memory and otherwise the same, and says
//!   so. A refused start leaves SIGPIPE as it is for programs in C, which would end the server with
//!   the first client that hangs up, so it is caught from then on. No signal is blocked any more,
//!   as in what would have begun.
use anyhow::{Context, Error, Result, bail};
use signal_hook::consts::SIGPIPE;
use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

/// The variable that glibc reads.
const ARENAS: &str = "MALLOC_ARENA_MAX";
/// Another that may say the same.
const TUNABLES: &str = "GLIBC_TUNABLES";
/// One for the threads that work, one for those that meet them.
const ARENAS_MAX: &str = "2";
/// A link to what the kernel has started in this process.
const STARTED: &str = "/proc/self/exe";
/// Which files lie where in the memory of this process.
const MAPS: &str = "/proc/self/maps";

/// Begins the process once more if its allocator would have many arenas. Comes back if that is not
/// needed, or with the reason why it cannot be.
pub fn have_few_arenas() -> Result<()> {
    match are_many(std::env::var_os) {
        true => Err(begin_again()).context("the allocator has many arenas, which takes memory"),
        false => Ok(()),
    }
}

/// Comes back only if it cannot.
fn begin_again() -> Error {
    let program = match own_file() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_else(|| OsString::from("taffrail"));
    let mut again = Command::new(&program);
    again.arg0(name).args(words).env(ARENAS, ARENAS_MAX);
    become_program(&mut again).context(format!("starting {} again", program.display()))
}

/// Comes back only if it cannot, and then as a process that a broken pipe does not end.
fn become_program(command: &mut Command) -> Error {
    let refused = Error::new(command.exec());
    // Writing to a pipe that nobody reads fails again, instead of ending the process. That it was
    // caught is of no interest.
    match signal_hook::flag::register(SIGPIPE, Arc::default()) {
        Ok(_) => refused,
        Err(error) => refused.context(format!("a broken pipe ends the process: {error}")),
    }
}

/// The file of this program, under the name by which it was started.
fn own_file() -> Result<PathBuf> {
    let started = fs::read_link(STARTED).with_context(|| format!("reading {STARTED}"))?;
    let maps = fs::read(MAPS).with_context(|| format!("reading {MAPS}"))?;
    let own = file_at(&maps, begin_again as fn() -> Error as usize);
    if own != Some(started.as_os_str()) {
        bail!("it was started through {}", started.display());
    }
    let file = |path: &Path| {
        let file = fs::metadata(path).with_context(|| format!("reading {}", path.display()))?;
        Ok::<_, Error>((file.dev(), file.ino()))
    };
    if file(&started)? != file(Path::new(STARTED))? {
        bail!("there is another program at {} now", started.display());
    }
    Ok(started)
}

/// The file that lies at an address, by the lines of `/proc/PID/maps`:
/// `from-to permissions offset device inode path`.
fn file_at(maps: &[u8], address: usize) -> Option<&OsStr> {
    let mut lines = maps.split(|byte| *byte == b'\n');
    lines.find_map(|line| {
        let range = line.split(|byte| *byte == b' ').next()?;
        let (from, to) = std::str::from_utf8(range).ok()?.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        let is_there = (number(from)?..number(to)?).contains(&address);
        let path = line.iter().position(|byte| *byte == b'/')?;
        is_there.then(|| OsStr::from_bytes(&line[path..]))
    })
}

/// Whether nobody has chosen a number, this program included.
fn are_many(variable: impl Fn(&'static str) -> Option<OsString>) -> bool {
    let speaks_of_arenas = |tunables: &OsStr| tunables.to_string_lossy().contains("arena_max");
    cfg!(target_env = "gnu")
        && variable(ARENAS).is_none()
        && !variable(TUNABLES).is_some_and(|tunables| speaks_of_arenas(&tunables))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};

    #[track_caller]
    fn check(set: &[(&str, &str)], expected: bool) {
        let variable = |name: &str| {
            let found = set.iter().find(|(have, _)| *have == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let is_glibc = cfg!(target_env = "gnu");
        assert_eq!(are_many(variable), expected && is_glibc, "{set:?}");
    }

    #[test]
    fn a_number_that_was_chosen_stays() {
        check(&[], true);
        check(&[(ARENAS, "8")], false);
        check(&[(ARENAS, "")], false);
        check(&[(TUNABLES, "glibc.malloc.arena_max=1")], false);
        check(&[(TUNABLES, "glibc.malloc.check=3")], true);
    }

    #[test]
    fn the_file_at_an_address() {
        let maps = b"\
55d000-55e000 r--p 00000000 fd:01 262 /opt/a program
55e000-560000 r-xp 00001000 fd:01 262 /opt/a program
7f0000-7f1000 rw-p 00000000 00:00 0
7ff000-800000 r-xp 00000000 00:00 0                          [vdso]
900000-901000 r-xp 00000000 fd:01 9 /lib/\xff.so (deleted)
";
        let check = |address, expected: Option<&[u8]>| {
            let found = file_at(maps, address);
            assert_eq!(found, expected.map(OsStr::from_bytes), "{address:x}");
        };
        check(0x55_cfff, None);
        check(0x55_d000, Some(b"/opt/a program"));
        check(0x55_ffff, Some(b"/opt/a program"));
        check(0x56_0000, None);
        check(0x7f_0000, None);
        check(0x7f_f000, None);
        check(0x90_0fff, Some(b"/lib/\xff.so (deleted)"));
        assert_eq!(file_at(b"no map", 0), None);
    }

    #[test]
    fn a_refused_start_leaves_a_process_that_outlives_its_readers() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let error = become_program(&mut Command::new(missing));
        let source = error.downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.kind(), io::ErrorKind::NotFound);
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        let written = writer.write(b"anybody?");
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn the_tests_are_a_file_of_their_own() {
        assert_eq!(own_file().unwrap(), std::env::current_exe().unwrap());
    }
}
