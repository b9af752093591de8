//! How the memory of a server is set up.
//!
//! The allocator of glibc gives threads arenas of their own, up to eight for each core, and each
//! keeps much of what was freed in it. A batch is made by one thread and freed by another, so a
//! server that takes in 40,000 records a second on two cores had 348 MB at the most, and after some
//! questions 598 MB. With two arenas it has 231 and 404 MB, and needs as much of the processor.
//!
//! Their number is read from the environment, and only when a process begins: so a server begins
//! once more with the variable set. It keeps its process id, its arguments and what else it has.
use std::{
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt,
    process::Command,
};

/// The variable that glibc reads.
const ARENAS: &str = "MALLOC_ARENA_MAX";
/// Another that may say the same.
const TUNABLES: &str = "GLIBC_TUNABLES";
/// One for the threads that work, one for those that meet them.
const ARENAS_MAX: &str = "2";

/// Begins the process once more if its allocator would have many arenas. Where that fails it goes
/// on: with more memory, and otherwise the same.
pub fn have_few_arenas() {
    if !are_many(std::env::var_os) {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_else(|| OsString::from("taffrail"));
    let mut again = Command::new(program);
    again.arg0(name).args(words).env(ARENAS, ARENAS_MAX);
    // It returns only where it fails.
    let _ = again.exec();
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
}
