//! The workspace as cargo sees it: packages, their dependencies and targets.
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// What `cargo metadata` says, as far as the checks need it.
#[derive(Debug, Deserialize)]
pub struct Workspace {
    /// Root of the repository.
    #[serde(rename = "workspace_root")]
    pub root: PathBuf,
    /// Where cargo puts what it builds.
    #[serde(rename = "target_directory")]
    pub target: PathBuf,
    /// The members.
    pub packages: Vec<Package>,
}

/// A member of the workspace.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Its name in its manifest.
    pub name: String,
    /// Direct dependencies as declared.
    pub dependencies: Vec<Dependency>,
    /// Libraries, binaries, tests, benches, examples.
    pub targets: Vec<Target>,
}

/// A declared dependency.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    /// Name of the package that is depended on.
    pub name: String,
    /// `None`: normal; else `dev` or `build`.
    pub kind: Option<String>,
}

/// A compilation target.
#[derive(Debug, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// `lib`, `bin`, `test`, `bench`, `example`, `custom-build`, `proc-macro`.
    pub kind: Vec<String>,
    /// Its root file.
    pub src_path: PathBuf,
    /// Whether `cargo test` builds and runs its tests.
    pub test: bool,
    /// Features without which cargo silently leaves the target out.
    #[serde(rename = "required-features", default)]
    pub required_features: Vec<String>,
}

impl Workspace {
    /// Asks cargo. Fails if `Cargo.lock` is not up to date.
    pub fn load() -> Result<Workspace> {
        let output = Command::new(cargo())
            .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
            .output()
            .context("starting cargo metadata")?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            bail!("cargo metadata: {}", reason.trim());
        }
        serde_json::from_slice(&output.stdout).context("reading cargo metadata")
    }

    /// A path as a person would name it from the root.
    pub fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// Every file of the repository below `folder` but what is built or downloaded, sorted.
    pub fn files(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut open = vec![folder.to_path_buf()];
        while let Some(folder) = open.pop() {
            let entries = std::fs::read_dir(&folder)
                .with_context(|| format!("listing {}", folder.display()))?;
            for entry in entries {
                let entry = entry.with_context(|| format!("listing {}", folder.display()))?;
                let name = entry.file_name();
                let is_ours = !["target", "node_modules", "dist", ".git", ".taffrail"]
                    .iter()
                    .any(|other| name == *other);
                let kind = entry.file_type()?;
                if kind.is_dir() && is_ours {
                    open.push(entry.path());
                } else if kind.is_file() {
                    found.push(entry.path());
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// The cargo that runs us, so that its version is the same.
pub fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
