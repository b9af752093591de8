//! The kernels whose instructions are counted: `cargo xtask bench --instructions` runs each under
//! callgrind and compares with `baseline.txt`.
//!
//! What holds
//! - Only what happens inside of [`counted_from_here`] is counted; the preparation before it is
//!   not. callgrind knows the function by its name.
//! - A kernel runs on one thread and its data is the same each time, so that the count differs by
//!   hash seeds and little else. Time is no part of it: the machine may do whatever it likes.
//!
//! `taffrail-instructions` lists the kernels, `taffrail-instructions NAME` runs one.
mod kernels;
mod records;

use std::{hint::black_box, process::ExitCode};

/// A kernel that is ready to run; what it gives is only there to be needed.
pub type Prepared = Box<dyn FnOnce() -> u64>;
/// Why a kernel cannot be prepared.
pub type Fault = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        for (name, _) in kernels::KERNELS {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    let Some((_, prepare)) = kernels::KERNELS.iter().find(|(have, _)| *have == name) else {
        eprintln!("no kernel is named {name}");
        return ExitCode::from(2);
    };
    match prepare() {
        Ok(kernel) => {
            println!("{name}: {}", counted_from_here(kernel));
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("{name}: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a kernel. Its name is what callgrind looks for, so it must stay a function.
#[inline(never)]
fn counted_from_here(kernel: Prepared) -> u64 {
    black_box(kernel())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_finds_something() {
        for (name, prepare) in kernels::KERNELS {
            let kernel = prepare().unwrap_or_else(|fault| panic!("{name}: {fault}"));
            assert!(counted_from_here(kernel) > 0, "{name}");
        }
    }
}
