//! No test is forgotten: every Rust file is part of a target, and no target or test is left out of
//! `cargo test`.
//!
//! A file is part of a target if it is the target's root or a chain of `mod` items leads to it.
//! The files are parsed, since a regular expression would believe a `mod` in a comment or string.
use crate::{
    steps::{Outcome, Step},
    workspace::{Package, Workspace},
};
use anyhow::{Context, Result};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use syn::{Attribute, Expr, ExprLit, Item, ItemMod, Lit, Meta};

/// The step.
pub fn step() -> Step {
    Step {
        name: "test files",
        run,
    }
}

fn run(workspace: &Workspace) -> Result<Outcome> {
    let mut faults = target_faults(&workspace.packages);
    let mut reached = Reached::default();
    for target in workspace.packages.iter().flat_map(|p| &p.targets) {
        reached.follow_root(&target.src_path)?;
    }
    let mut rust_files = 0;
    for path in workspace.files(&workspace.root)? {
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        if !is_rust || is_data(&path) || is_of_another_workspace(&path, &workspace.root) {
            continue;
        }
        rust_files += 1;
        if !reached.files.contains(&path) {
            let name = workspace.relative(&path).display();
            faults.push(format!("{name}: no target and no `mod` leads here"));
        }
    }
    for (path, test) in &reached.ignored {
        let name = workspace.relative(path).display();
        faults.push(format!(
            "{name}: the test {test} is ignored: mend or remove it"
        ));
    }
    Ok(Outcome {
        note: format!("{rust_files} Rust files"),
        faults,
    })
}

fn is_data(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "fixtures")
}

/// Whether a folder above the file is a workspace of its own, as that of the fuzz targets is: its
/// targets are not ours to run.
fn is_of_another_workspace(path: &Path, root: &Path) -> bool {
    let folders = path.ancestors().skip(1);
    folders.take_while(|folder| *folder != root).any(|folder| {
        std::fs::read_to_string(folder.join("Cargo.toml"))
            .is_ok_and(|manifest| manifest.lines().any(|line| line.trim() == "[workspace]"))
    })
}

/// Targets that `cargo test` would leave out.
fn target_faults(packages: &[Package]) -> Vec<String> {
    let mut faults = Vec::new();
    for package in packages {
        for target in &package.targets {
            let has_tests = target
                .kind
                .iter()
                .any(|kind| matches!(kind.as_str(), "lib" | "bin" | "test" | "proc-macro"));
            let name = format!("{}: target {}", package.name, target.name);
            if has_tests && !target.test {
                faults.push(format!("{name} has `test = false`"));
            }
            if !target.required_features.is_empty() {
                faults.push(format!("{name} is left out without its required-features"));
            }
        }
    }
    faults
}

/// What the `mod` items of the targets lead to.
#[derive(Default)]
struct Reached {
    files: BTreeSet<PathBuf>,
    /// File and name of each test with `#[ignore]`.
    ignored: Vec<(PathBuf, String)>,
}

impl Reached {
    /// A root's modules are beside it.
    fn follow_root(&mut self, root: &Path) -> Result<()> {
        let folder = root.parent().unwrap_or(Path::new("")).to_path_buf();
        self.follow(root, &folder)
    }

    /// `folder` is where the file's modules are.
    fn follow(&mut self, file: &Path, folder: &Path) -> Result<()> {
        if !self.files.insert(file.to_path_buf()) {
            return Ok(());
        }
        let text =
            std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let parsed =
            syn::parse_file(&text).with_context(|| format!("parsing {}", file.display()))?;
        self.items(&parsed.items, file, folder)
    }

    fn items(&mut self, items: &[Item], file: &Path, folder: &Path) -> Result<()> {
        for item in items {
            match item {
                Item::Mod(module) => self.module(module, file, folder)?,
                Item::Fn(function) if function.attrs.iter().any(is_ignore) => {
                    let test = function.sig.ident.to_string();
                    self.ignored.push((file.to_path_buf(), test));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn module(&mut self, module: &ItemMod, file: &Path, folder: &Path) -> Result<()> {
        let name = module.ident.to_string();
        if let Some((_, items)) = &module.content {
            return self.items(items, file, &folder.join(name));
        }
        if let Some(path) = module.attrs.iter().find_map(path_attribute) {
            // A path attribute is relative to the folder of the file that has it.
            let at = file.parent().unwrap_or(Path::new("")).join(path);
            return self.follow_root(&at);
        }
        let flat = folder.join(format!("{name}.rs"));
        let nested = folder.join(&name);
        if flat.exists() {
            self.follow(&flat, &nested)
        } else {
            self.follow(&nested.join("mod.rs"), &nested)
        }
    }
}

fn path_attribute(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else {
        return None;
    };
    let Expr::Lit(ExprLit {
        lit: Lit::Str(path),
        ..
    }) = &pair.value
    else {
        return None;
    };
    pair.path.is_ident("path").then(|| path.value())
}

fn is_ignore(attribute: &Attribute) -> bool {
    attribute.path().is_ident("ignore")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Target;

    /// Writes the files, follows `src/lib.rs`, returns what was reached and which tests are
    /// ignored.
    fn follow(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut reached = Reached::default();
        reached
            .follow_root(&folder.path().join("src/lib.rs"))
            .unwrap();
        let name = |path: &Path| {
            let relative = path.strip_prefix(folder.path()).unwrap();
            relative.display().to_string()
        };
        // Paths compare by component: `src/a` comes before `src/a.rs`.
        let files = reached.files.iter().map(|path| name(path)).collect();
        (
            files,
            reached.ignored.into_iter().map(|(_, test)| test).collect(),
        )
    }

    #[test]
    fn modules_are_followed_in_every_form() {
        let (files, _) = follow(&[
            (
                "src/lib.rs",
                "mod a; mod inner { mod b; } #[path = \"odd/c.rs\"] mod c; mod d;",
            ),
            ("src/a.rs", "#[cfg(test)] mod tests;"),
            ("src/a/tests.rs", ""),
            ("src/inner/b.rs", ""),
            ("src/odd/c.rs", "mod e;"),
            ("src/odd/e.rs", ""),
            ("src/d/mod.rs", "mod f;"),
            ("src/d/f.rs", ""),
            ("src/forgotten.rs", ""),
        ]);
        let expected = [
            "src/a/tests.rs",
            "src/a.rs",
            "src/d/f.rs",
            "src/d/mod.rs",
            "src/inner/b.rs",
            "src/lib.rs",
            "src/odd/c.rs",
            "src/odd/e.rs",
        ];
        assert_eq!(files, expected);
    }

    #[test]
    fn a_mod_in_a_comment_or_string_leads_nowhere() {
        let text = "// mod a;\nconst S: &str = \"\nmod a;\n\";";
        let (files, _) = follow(&[("src/lib.rs", text), ("src/a.rs", "")]);
        assert_eq!(files, ["src/lib.rs"]);
    }

    #[test]
    fn ignored_tests_are_found() {
        let attribute = concat!("#[ign", "ore = \"slow\"]");
        let text =
            format!("mod tests {{ #[test] {attribute} fn slow() {{}} #[test] fn ok() {{}} }}");
        let (_, ignored) = follow(&[("src/lib.rs", &text)]);
        assert_eq!(ignored, ["slow"]);
    }

    #[test]
    fn targets_left_out_are_found() {
        let target = |kind: &str, test, required: &[&str]| Target {
            name: "t".into(),
            kind: vec![kind.into()],
            src_path: PathBuf::new(),
            test,
            required_features: required.iter().map(ToString::to_string).collect(),
        };
        let check = |target: Target, expected: &[&str]| {
            let package = Package {
                name: "p".into(),
                dependencies: Vec::new(),
                targets: vec![target],
            };
            assert_eq!(target_faults(&[package]), expected);
        };
        check(target("test", true, &[]), &[]);
        check(target("bench", false, &[]), &[]);
        check(
            target("lib", false, &[]),
            &["p: target t has `test = false`"],
        );
        check(
            target("test", true, &["extra"]),
            &["p: target t is left out without its required-features"],
        );
    }
}
