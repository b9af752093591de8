//! Lists the files of the built web UI (`web/dist`) as a table in the program.
//!
//! Without a built UI the table is empty and the program says so at `/`: a build of the Rust parts
//! alone needs no Node.js. The folder itself is always there (`web/dist/.gitkeep`), so that cargo
//! can watch it.
use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// Files of one asset by encoding: empty, `gz`, `br`.
type Encodings = BTreeMap<&'static str, PathBuf>;

fn main() -> Result<(), io::Error> {
    let root = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    let dist = Path::new(&root).join("../../web/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=build.rs");
    fs::write(Path::new(&out).join("ui_files.rs"), table(&dist)?)
}

/// The table as Rust source: `PAGE` and `ASSETS`.
fn table(dist: &Path) -> Result<String, io::Error> {
    let page = dist.join("index.html");
    if !page.is_file() {
        return Ok("const PAGE: Option<&str> = None;\nconst ASSETS: &[Asset] = &[];\n".into());
    }
    let mut text = format!("const PAGE: Option<&str> = Some(include_str!({page:?}));\n");
    text.push_str("const ASSETS: &[Asset] = &[\n");
    for (name, encodings) in assets(&dist.join("assets"))? {
        let bytes = |kind: &str| match encodings.get(kind) {
            Some(path) => format!("Some(include_bytes!({path:?}))"),
            None => "None".into(),
        };
        let Some(plain) = encodings.get("") else {
            continue;
        };
        // Writing to a text cannot fail.
        let _ = writeln!(
            text,
            "Asset {{ name: {name:?}, plain: include_bytes!({plain:?}), gzip: {}, brotli: {} }},",
            bytes("gz"),
            bytes("br"),
        );
    }
    text.push_str("];\n");
    Ok(text)
}

/// The assets by name; the manifest is for the check of sizes alone.
fn assets(folder: &Path) -> Result<BTreeMap<String, Encodings>, io::Error> {
    let mut found = BTreeMap::<String, Encodings>::new();
    for entry in fs::read_dir(folder)? {
        let path = fs::canonicalize(entry?.path())?;
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let (name, kind) = match name.rsplit_once('.') {
            Some((name, "gz")) => (name, "gz"),
            Some((name, "br")) => (name, "br"),
            _ => (name, ""),
        };
        if name != "manifest.json" {
            found
                .entry(name.into())
                .or_default()
                .insert(kind, path.clone());
        }
    }
    Ok(found)
}
