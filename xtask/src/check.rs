//! The gate: format, lints, who imports whom, dependency rules, forgotten tests, leftovers.
mod dependencies;
mod format;
mod imports;
mod leftovers;
mod lints;
mod test_files;

use crate::steps::Step;

/// All checks, the quick ones first.
pub fn steps() -> Vec<Step> {
    vec![
        format::step(),
        imports::step(),
        test_files::step(),
        leftovers::step(),
        dependencies::step(),
        lints::step(),
    ]
}
