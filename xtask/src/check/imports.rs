//! Who may import whom. Data flows down the list of crates and never up; this table is the law,
//! ARCHITECTURE.md its explanation.
//!
//! The second table keeps a technology in one place: only `server` knows HTTP, only `meta` SQL
//! databases, only the binary the terminal.
use crate::{
    steps::{Outcome, Step},
    workspace::{Package, Workspace},
};
use anyhow::Result;

/// Each crate with the crates of the workspace that it may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("taffrail-model", &[]),
    ("taffrail-ingest", &["taffrail-model"]),
    ("taffrail-pipeline", &["taffrail-model"]),
    ("taffrail-storage", &["taffrail-model", "taffrail-pipeline"]),
    ("taffrail-testkit", &["taffrail-model"]),
    ("taffrail-meta", &["taffrail-model"]),
    ("taffrail-query", &["taffrail-model", "taffrail-storage"]),
    (
        "taffrail-sql",
        &["taffrail-model", "taffrail-storage", "taffrail-query"],
    ),
    (
        "taffrail-features",
        &[
            "taffrail-model",
            "taffrail-storage",
            "taffrail-meta",
            "taffrail-query",
        ],
    ),
    (
        "taffrail-engine",
        &[
            "taffrail-model",
            "taffrail-pipeline",
            "taffrail-storage",
            "taffrail-meta",
            "taffrail-query",
            "taffrail-features",
        ],
    ),
    (
        "taffrail-server",
        &[
            "taffrail-model",
            "taffrail-ingest",
            "taffrail-engine",
            "taffrail-sql",
        ],
    ),
    (
        "taffrail-cli",
        &[
            "taffrail-model",
            "taffrail-ingest",
            "taffrail-engine",
            "taffrail-sql",
            "taffrail-server",
        ],
    ),
    // No part of the product: the kernels whose instructions are counted.
    (
        "taffrail-instructions",
        &[
            "taffrail-model",
            "taffrail-ingest",
            "taffrail-pipeline",
            "taffrail-storage",
            "taffrail-query",
        ],
    ),
    ("xtask", &[]),
];

/// May be imported by anyone, in tests only.
const TEST_ONLY: &str = "taffrail-testkit";

/// Foreign crates that one place alone may depend on, outside tests.
const ONLY_PLACE_FOR: &[(&str, &[&str])] = &[
    ("sqlx", &["taffrail-meta"]),
    ("datafusion", &["taffrail-sql"]),
    ("arrow", &["taffrail-sql"]),
    ("parquet", &["taffrail-sql"]),
    ("axum", &["taffrail-server"]),
    ("tower-http", &["taffrail-server"]),
    ("tonic", &["taffrail-server"]),
    ("utoipa", &["taffrail-server"]),
    ("clap", &["taffrail-cli"]),
    ("indicatif", &["taffrail-cli"]),
    ("anyhow", &["taffrail-cli", "xtask"]),
];

/// The step.
pub fn step() -> Step {
    Step {
        name: "imports",
        run: |workspace| run(workspace),
    }
}

fn run(workspace: &Workspace) -> Result<Outcome> {
    Ok(Outcome {
        note: format!("{} crates", workspace.packages.len()),
        faults: faults(&workspace.packages),
    })
}

fn faults(packages: &[Package]) -> Vec<String> {
    let mut faults = Vec::new();
    for package in packages {
        let Some(allowed) = lookup(MAY_IMPORT, &package.name) else {
            faults.push(format!(
                "{} is not in the table of xtask/src/check/imports.rs: say there whom it may import",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let is_ours = packages.iter().any(|other| other.name == dependency.name);
            let is_test_only = dependency.kind.as_deref() == Some("dev");
            let fault = if is_ours {
                internal_fault(package, &dependency.name, allowed, is_test_only)
            } else {
                foreign_fault(package, &dependency.name, is_test_only)
            };
            faults.extend(fault);
        }
    }
    faults
}

fn internal_fault(
    package: &Package,
    imported: &str,
    allowed: &[&str],
    is_test_only: bool,
) -> Option<String> {
    let is_allowed = allowed.contains(&imported) || (is_test_only && imported == TEST_ONLY);
    (!is_allowed).then(|| {
        let allowed = match allowed {
            [] => "no crate of the workspace".into(),
            _ => allowed.join(", "),
        };
        format!(
            "{} imports {imported}, but may import only: {allowed}",
            package.name
        )
    })
}

fn foreign_fault(package: &Package, imported: &str, is_test_only: bool) -> Option<String> {
    let places = lookup(ONLY_PLACE_FOR, imported)?;
    let is_allowed = is_test_only || places.contains(&package.name.as_str());
    (!is_allowed).then(|| {
        format!(
            "{} depends on {imported}, whose only place is {}",
            package.name,
            places.join(", ")
        )
    })
}

fn lookup<'a>(table: &[(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    table
        .iter()
        .find_map(|(key, value)| (*key == name).then_some(*value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    /// A workspace of packages and their dependencies; a dependency may begin with `dev:`.
    #[track_caller]
    fn check(packages: &[(&str, &[&str])], expected: &[&str]) {
        let packages: Vec<Package> = packages
            .iter()
            .map(|(name, dependencies)| Package {
                name: (*name).into(),
                dependencies: dependencies.iter().map(|text| dependency(text)).collect(),
                targets: Vec::new(),
            })
            .collect();
        assert_eq!(faults(&packages), expected);
    }

    fn dependency(text: &str) -> Dependency {
        match text.strip_prefix("dev:") {
            Some(name) => Dependency {
                name: name.into(),
                kind: Some("dev".into()),
            },
            None => Dependency {
                name: text.into(),
                kind: None,
            },
        }
    }

    #[test]
    fn data_flows_down_only() {
        let model: (&str, &[&str]) = ("taffrail-model", &["serde"]);
        check(&[model, ("taffrail-ingest", &["taffrail-model"])], &[]);
        check(
            &[
                ("taffrail-model", &["taffrail-storage"]),
                ("taffrail-storage", &[]),
            ],
            &[
                "taffrail-model imports taffrail-storage, but may import only: no crate of the workspace",
            ],
        );
        check(
            &[
                ("taffrail-query", &["taffrail-storage", "taffrail-engine"]),
                ("taffrail-storage", &[]),
                ("taffrail-engine", &[]),
            ],
            &[
                "taffrail-query imports taffrail-engine, but may import only: taffrail-model, taffrail-storage",
            ],
        );
    }

    #[test]
    fn the_testkit_is_for_tests() {
        let testkit: (&str, &[&str]) = ("taffrail-testkit", &[]);
        check(
            &[testkit, ("taffrail-query", &["dev:taffrail-testkit"])],
            &[],
        );
        check(
            &[testkit, ("taffrail-pipeline", &["taffrail-testkit"])],
            &["taffrail-pipeline imports taffrail-testkit, but may import only: taffrail-model"],
        );
    }

    #[test]
    fn tests_follow_the_table_too() {
        check(
            &[
                ("taffrail-pipeline", &["dev:taffrail-server"]),
                ("taffrail-server", &[]),
            ],
            &["taffrail-pipeline imports taffrail-server, but may import only: taffrail-model"],
        );
    }

    #[test]
    fn a_new_crate_must_be_in_the_table() {
        check(
            &[("taffrail-extras", &[])],
            &[
                "taffrail-extras is not in the table of xtask/src/check/imports.rs: say there whom it may import",
            ],
        );
    }

    #[test]
    fn a_technology_has_one_place() {
        check(&[("taffrail-meta", &["sqlx"])], &[]);
        check(&[("taffrail-query", &["dev:anyhow"])], &[]);
        check(
            &[("taffrail-engine", &["sqlx"])],
            &["taffrail-engine depends on sqlx, whose only place is taffrail-meta"],
        );
    }

    #[test]
    fn the_table_has_no_circle() {
        let mut done: Vec<&str> = Vec::new();
        while done.len() < MAY_IMPORT.len() {
            let next = MAY_IMPORT.iter().find(|(name, allowed)| {
                !done.contains(name) && allowed.iter().all(|other| done.contains(other))
            });
            let (name, _) = next.expect("a circle among the rest");
            done.push(name);
        }
    }
}
