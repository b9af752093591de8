//! Reads the layers and lays them over each other.
use super::{
    BOOTSTRAP_KEY_CHARS_MIN, BootstrapKey, Config, ConfigFault, ConfigFaults, FirstAdmin, Loaded,
    Place,
    file::{CaptureFile, ConfigFile, parse_listen, parse_size, parse_switch, parse_tails_bytes},
};
use std::path::{Path, PathBuf};
use taffrail_engine::pipeline::{CaptureConfig, Pipeline, PipelineConfig};

/// Bytes of a configuration file: a larger one is no configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Variables that belong to the client and the scripts, not to the server.
const OTHER_VARIABLES: &[&str] = &[
    "TAFFRAIL_URL",
    "TAFFRAIL_TOKEN",
    "TAFFRAIL_TOKEN_FILE",
    "TAFFRAIL_LOG",
];
const VARIABLES: &[&str] = &[
    "TAFFRAIL_LISTEN",
    "TAFFRAIL_DATA_DIR",
    "TAFFRAIL_KEY_FILE",
    "TAFFRAIL_ENCRYPTION",
    "TAFFRAIL_TAILS_BYTES",
    "TAFFRAIL_MEMORY_TOTAL",
    "TAFFRAIL_METRICS_PUBLIC",
    "TAFFRAIL_ADMIN_USER",
    "TAFFRAIL_ADMIN_PASSWORD",
    "TAFFRAIL_BOOTSTRAP_KEY",
];

/// Where the layers come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Files in order that are read if they exist.
    pub optional_files: Vec<PathBuf>,
    /// The file of `--config`, which must exist.
    pub config_file: Option<PathBuf>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--key-file`.
    pub key_file: Option<PathBuf>,
}

impl Sources {
    /// The standard places and the environment of the process; flags are added by the caller.
    #[must_use]
    pub fn standard() -> Sources {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let optional_files = [
            Some(PathBuf::from("/etc/taffrail/config.yaml")),
            home.map(|home| home.join(".taffrail/config.yaml")),
            Some(PathBuf::from(".taffrail/project.yaml")),
        ];
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("TAFFRAIL_"))
            .collect();
        Sources {
            optional_files: optional_files.into_iter().flatten().collect(),
            environment,
            ..Sources::default()
        }
    }
}

/// Loads the layers.
///
/// # Errors
/// All faults of all layers.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigFaults> {
    let mut loading = Loading::of_files(sources, Sections::All);
    loading.environment(&sources.environment);
    loading.flags(sources);
    loading.check_whole();
    loading.loaded()
}

/// What of a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sections {
    All,
    /// Those of [`CaptureFile`].
    Capture,
}

pub(super) struct Loading {
    sections: Sections,
    config: Config,
    files: Vec<PathBuf>,
    notes: Vec<String>,
    faults: Vec<ConfigFault>,
    /// Where memory was spoken of last.
    memory_place: Place,
    /// The rules for captured output of each file, and where they stand.
    captures: Vec<(Place, CaptureConfig)>,
}

impl Loading {
    /// What the files say.
    pub(super) fn of_files(sources: &Sources, sections: Sections) -> Loading {
        let mut loading = Loading {
            sections,
            config: Config::default(),
            files: Vec::new(),
            notes: Vec::new(),
            faults: Vec::new(),
            memory_place: Place::Whole,
            captures: Vec::new(),
        };
        for path in &sources.optional_files {
            loading.file(path, false);
        }
        if let Some(path) = &sources.config_file {
            loading.file(path, true);
        }
        loading
    }

    /// What was loaded, unless something is wrong.
    pub(super) fn loaded(self) -> Result<Loaded, ConfigFaults> {
        match self.faults.is_empty() {
            true => Ok(Loaded {
                config: self.config,
                files: self.files,
                notes: self.notes,
            }),
            false => Err(ConfigFaults(self.faults)),
        }
    }

    fn parse(&self, text: &str) -> Result<ConfigFile, serde_yaml_ng::Error> {
        // A file of comments alone is null.
        Ok(match self.sections {
            Sections::All => serde_yaml_ng::from_str::<Option<ConfigFile>>(text)?,
            Sections::Capture => {
                serde_yaml_ng::from_str::<Option<CaptureFile>>(text)?.map(ConfigFile::from)
            }
        }
        .unwrap_or_default())
    }

    fn file(&mut self, path: &Path, is_required: bool) {
        let place = |line| Place::File {
            path: path.to_owned(),
            line,
        };
        let text = match read(path) {
            Ok(text) => text,
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound && !is_required => return,
            Err(fault) => {
                self.fault(place(None), format!("cannot be read: {fault}"), None);
                return;
            }
        };
        self.files.push(path.to_owned());
        match self.parse(&text) {
            Ok(mut file) => {
                if let Some(line) = line_of(&text, &["memory:", "tails_bytes:"]) {
                    self.memory_place = place(Some(line));
                }
                let capture = std::mem::take(&mut file.capture);
                let line = line_of(&text, &["capture:"]);
                self.captures.push((place(line), capture));
                self.lay(path, file);
            }
            Err(fault) => {
                let line = fault.location().map(|location| location.line());
                let (detail, hint) = explain(&fault.to_string());
                let key = key_of(&detail).or_else(|| section_at(&text, line?));
                self.faults.push(ConfigFault {
                    place: place(line),
                    key: key.map(str::to_owned),
                    detail,
                    hint,
                });
            }
        }
    }

    fn lay(&mut self, path: &Path, file: ConfigFile) {
        for key in file.without_effect() {
            let note = format!("{}: `{key}` has no effect in this version", path.display());
            self.notes.push(note);
        }
        let config = &mut self.config;
        config.memory = file.memory_settings().over(config.memory);
        config.listen = file.listen.unwrap_or(config.listen);
        config.data_dir = file
            .data_dir
            .unwrap_or(std::mem::take(&mut config.data_dir));
        config.key_file = file.key_file.or(config.key_file.take());
        config.encryption = file.encryption.unwrap_or(config.encryption);
        config.streams.extend(file.streams);
        if let Some(redaction) = file.redaction {
            // Redaction only grows: a later file cannot take a rule of an earlier one away.
            config.redaction.field_names.extend(redaction.field_names);
            config.redaction.patterns.extend(redaction.patterns);
        }
        if let Some(is_public) = file.metrics.and_then(|metrics| metrics.public) {
            config.metrics_are_public = is_public;
        }
    }

    fn environment(&mut self, environment: &[(String, String)]) {
        let (mut admin_user, mut admin_password) = (None, None);
        for (name, value) in environment {
            let outcome = match name.as_str() {
                "TAFFRAIL_LISTEN" => parse_listen(value).map(|at| self.config.listen = at),
                "TAFFRAIL_DATA_DIR" => {
                    self.config.data_dir = value.into();
                    Ok(())
                }
                "TAFFRAIL_KEY_FILE" => {
                    self.config.key_file = Some(value.into());
                    Ok(())
                }
                "TAFFRAIL_ENCRYPTION" => {
                    parse_switch("encryption", value).map(|is| self.config.encryption = is)
                }
                "TAFFRAIL_TAILS_BYTES" => {
                    self.memory_place = Place::Variable(name.clone());
                    parse_tails_bytes(value).map(|bytes| self.config.memory.tails = Some(bytes))
                }
                "TAFFRAIL_MEMORY_TOTAL" => {
                    self.memory_place = Place::Variable(name.clone());
                    parse_size("memory.total", value)
                        .map(|bytes| self.config.memory.total = Some(bytes as u64))
                }
                "TAFFRAIL_METRICS_PUBLIC" => parse_switch("metrics.public", value)
                    .map(|is| self.config.metrics_are_public = is),
                "TAFFRAIL_ADMIN_USER" => {
                    admin_user = Some(value.clone());
                    Ok(())
                }
                "TAFFRAIL_ADMIN_PASSWORD" => {
                    admin_password = Some(value.clone());
                    Ok(())
                }
                "TAFFRAIL_BOOTSTRAP_KEY" => {
                    bootstrap_key(value).map(|key| self.config.bootstrap_key = Some(key))
                }
                other => {
                    self.unknown_variable(other);
                    Ok(())
                }
            };
            if let Err(detail) = outcome {
                self.fault(Place::Variable(name.clone()), detail, None);
            }
        }
        match (admin_user, admin_password) {
            (Some(name), Some(password)) => {
                self.config.first_admin = Some(FirstAdmin { name, password });
            }
            (None, None) => {}
            (have, _) => {
                let missing = match have {
                    Some(_) => "TAFFRAIL_ADMIN_PASSWORD",
                    None => "TAFFRAIL_ADMIN_USER",
                };
                let detail = "must be set together with its counterpart".to_owned();
                self.fault(Place::Variable(missing.into()), detail, None);
            }
        }
    }

    /// Only a note: Kubernetes sets variables of this prefix for a service of this name.
    fn unknown_variable(&mut self, name: &str) {
        if !name.starts_with("TAFFRAIL_") || OTHER_VARIABLES.contains(&name) {
            return;
        }
        let near = nearest(name, VARIABLES.iter().copied());
        let hint = near
            .map(|near| format!("; did you mean {near}?"))
            .unwrap_or_default();
        self.notes.push(format!("{name}: unknown variable{hint}"));
    }

    fn flags(&mut self, sources: &Sources) {
        if let Some(text) = &sources.listen {
            match parse_listen(text) {
                Ok(listen) => self.config.listen = listen,
                Err(detail) => self.fault(Place::Flag("--listen"), detail, None),
            }
        }
        if let Some(path) = &sources.data_dir {
            self.config.data_dir = path.clone();
        }
        if let Some(path) = &sources.key_file {
            self.config.key_file = Some(path.clone());
        }
    }

    /// The rules of later layers come first, since the first that holds decides.
    pub(super) fn lay_captures(&mut self) {
        let catalogue = self.config.catalogue();
        for (place, capture) in std::mem::take(&mut self.captures) {
            if capture.rules.is_empty() {
                continue;
            }
            let capture = self.config.capture.below(capture);
            let pipeline = Pipeline::new(PipelineConfig {
                capture: Some(capture.clone()),
                ..PipelineConfig::default()
            });
            match pipeline.and_then(|pipeline| pipeline.check(&catalogue)) {
                Ok(()) => self.config.capture = capture,
                Err(fault) => self.faults.push(ConfigFault {
                    place,
                    key: Some("capture.rules".to_owned()),
                    detail: fault.to_string(),
                    hint: None,
                }),
            }
        }
    }

    fn check_whole(&mut self) {
        self.lay_captures();
        let options = self.config.engine_options();
        if let Err(fault) = Pipeline::new(options.pipeline) {
            self.fault(Place::Whole, fault.to_string(), None);
        }
        let memory = &self.config.memory;
        if let Err((detail, hint)) = memory.pools().check(memory.total_bytes()) {
            self.fault(self.memory_place.clone(), detail, Some(hint));
        }
        let key = self.config.key_file.as_deref();
        if key.is_some_and(|key| key.starts_with(&self.config.data_dir)) {
            let detail =
                "key_file must not lie in data_dir: who copies the data would have the key";
            self.fault(Place::Whole, detail.into(), None);
        }
    }

    fn fault(&mut self, place: Place, detail: String, hint: Option<String>) {
        self.faults.push(ConfigFault {
            place,
            key: None,
            detail,
            hint,
        });
    }
}

/// The key that serde begins its text with, such as `capture.rules[1].level`. Its own words have
/// blanks before the first colon, and so have values.
fn key_of(detail: &str) -> Option<&str> {
    let (key, _) = detail.split_once(": ")?;
    let is_of_keys = |c: char| c.is_ascii_alphanumeric() || "_-.[]".contains(c);
    let is_key = key.starts_with(|c: char| c.is_ascii_lowercase()) && key.chars().all(is_of_keys);
    is_key.then_some(key)
}

/// The key of a file, at the margin, that a line from 1 belongs to.
fn section_at(text: &str, line: usize) -> Option<&str> {
    let is_of_keys = |c: char| c.is_ascii_lowercase() || c == '_';
    let keys = text.lines().take(line).filter_map(|line| {
        let (key, _) = line.split_once(':')?;
        (!key.is_empty() && key.chars().all(is_of_keys)).then_some(key)
    });
    keys.last()
}

/// The line of a file, from 1, that has one of these keys first.
fn line_of(text: &str, keys: &[&str]) -> Option<usize> {
    let is_key = |line: &str| keys.iter().any(|key| line.starts_with(key));
    text.lines().position(is_key).map(|index| index + 1)
}

fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
        let detail = "the file is larger than 1 MiB";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, detail));
    }
    std::fs::read_to_string(path)
}

fn bootstrap_key(value: &str) -> Result<BootstrapKey, String> {
    BootstrapKey::new(value).ok_or_else(|| {
        format!(
            "must be {BOOTSTRAP_KEY_CHARS_MIN} to 1,024 printable ASCII characters without blanks"
        )
    })
}

/// What serde says, and for an unknown key or word the nearest that is valid.
fn explain(message: &str) -> (String, Option<String>) {
    // The line is in the place of the fault.
    let detail = match message.rfind(" at line ") {
        Some(at) => &message[..at],
        None => message,
    };
    let is_unknown = detail.contains("unknown field `") || detail.contains("unknown variant `");
    if !is_unknown {
        return (detail.to_owned(), None);
    }
    let mut words = detail.split('`').skip(1).step_by(2);
    let Some(unknown) = words.next() else {
        return (detail.to_owned(), None);
    };
    let near = nearest(unknown, words);
    let said = detail.split(", expected").next().unwrap_or(detail);
    let said = said
        .replace("unknown field", "unknown key")
        .replace("unknown variant", "unknown value");
    (said, near.map(|near| format!("did you mean `{near}`?")))
}

fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known.min_by_key(|have| edit_distance(word, have))
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(80).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use taffrail_model::stream::AccessClass;

    fn from_files(files: &[&str], environment: &[(&str, &str)]) -> Result<Loaded, Vec<String>> {
        let directory = tempfile::tempdir().unwrap();
        let paths: Vec<_> = files
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let path = directory.path().join(format!("{index}.yaml"));
                std::fs::write(&path, text).unwrap();
                path
            })
            .collect();
        let sources = Sources {
            optional_files: paths,
            environment: environment
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            ..Sources::default()
        };
        load(&sources).map_err(|faults| {
            let prefix = format!("{}/", directory.path().display());
            let texts = faults
                .0
                .iter()
                .map(|fault| fault.to_string().replace(&prefix, ""));
            texts.collect()
        })
    }

    fn check_fault(text: &str, expected: &str) {
        match from_files(&[text], &[]) {
            Err(faults) => assert_eq!(faults, [expected], "{text}"),
            Ok(loaded) => panic!("{text}: no fault in {loaded:?}"),
        }
    }

    #[test]
    fn later_layers_win() {
        let loaded = from_files(
            &[
                "listen: 10.0.0.1:1\nencryption: false\nstreams:\n  machine: {retention_days: 10}\n",
                "# only a comment\n",
                "listen: \"[::1]:2\"\ntails_bytes: 64MiB\nstreams:\n  app.web:\n    retention_days: forever\n    access: own_records\n",
            ],
            &[("TAFFRAIL_TAILS_BYTES", "134217728")],
        )
        .unwrap();
        let config = loaded.config;
        assert_eq!(config.listen.to_string(), "[::1]:2");
        assert!(!config.encryption);
        assert_eq!(config.memory.tails, Some(128 << 20));
        assert_eq!(config.streams["machine"].retention_days, Some(10));
        assert_eq!(config.streams["machine"].access, AccessClass::Restricted);
        assert_eq!(config.streams["app.web"].retention_days, None);
        assert_eq!(config.streams["app.web"].access, AccessClass::OwnRecords);
        assert_eq!(loaded.files.len(), 3);
        assert_eq!(loaded.notes, [] as [String; 0]);
    }

    #[test]
    fn flags_win_over_everything() {
        let sources = Sources {
            environment: vec![("TAFFRAIL_LISTEN".into(), "127.0.0.1:1".into())],
            listen: Some("localhost:7".into()),
            data_dir: Some("/d".into()),
            key_file: Some("/k".into()),
            ..Sources::default()
        };
        let config = load(&sources).unwrap().config;
        assert_eq!(config.listen.to_string(), "127.0.0.1:7");
        assert_eq!(config.data_dir, Path::new("/d"));
        assert_eq!(config.key_file.as_deref(), Some(Path::new("/k")));
    }

    #[test]
    fn faults_name_file_line_and_nearest_key() {
        check_fault(
            "encryption: true\nlisten_adress: 127.0.0.1:1\n",
            "0.yaml:2: unknown key `listen_adress` (did you mean `listen`?)",
        );
        check_fault(
            "logging:\n  automation:\n    rotatoin: daily\n",
            "0.yaml:3: logging.automation: unknown key `rotatoin` (did you mean `rotation`?)",
        );
        check_fault(
            "logging:\n  automation:\n    rotation: hourly\n",
            "0.yaml:3: logging.automation.rotation: unknown value `hourly` (did you mean `daily`?)",
        );
        for (text, line, part) in [
            ("encryption: 7\n", 1, "expected a boolean"),
            ("\nlisten: here\n", 2, "must be an address and a port"),
            ("tails_bytes: 1KiB\n", 1, "8MiB"),
            (
                "streams:\n  machine:\n    retention_days: 0\n",
                3,
                "days from 1 to 36500",
            ),
            ("streams:\n  machine: {}\n", 2, "retention_days"),
            (
                "streams:\n  Machine: {retention_days: 1}\n",
                2,
                "must be 1-64 characters",
            ),
            ("streams:\n  runtime: {retention_days: 1}\n", 2, "built in"),
            (
                "logging:\n  monitoring:\n    disk_warning: 80\n",
                3,
                "share from 0 to 1",
            ),
            ("listen: 'a\n", 2, ""),
            ("- a\n", 1, "expected"),
        ] {
            let faults = from_files(&[text], &[]).unwrap_err();
            let is_placed = faults[0].starts_with(&format!("0.yaml:{line}: "));
            assert!(is_placed && faults[0].contains(part), "{text}: {faults:?}");
        }
    }

    #[test]
    fn memory_is_shared_out_and_checked() {
        let loaded = from_files(
            &[
                "memory: {total: 512MiB, answers: 32MiB}\n",
                "tails_bytes: 16MiB\nmemory:\n  block_cache: 8388608\n",
            ],
            &[],
        );
        let memory = loaded.unwrap().config.memory;
        let mib = memory.pools().named().map(|(_, bytes)| bytes >> 20);
        assert_eq!(mib, [16, 76, 8, 38, 32]);
        for (texts, variables, expected) in [
            (
                vec!["encryption: true\nmemory:\n  total: 512MiB\n  in_flight: 1GiB\n"],
                vec![],
                "0.yaml:2: the memory pools have 1",
            ),
            (
                vec!["memory: {total: 512MiB}\n", "\ntails_bytes: 512MiB\n"],
                vec![],
                "1.yaml:2: the memory pools have 703 MiB together (tails 512 MiB, ",
            ),
            (
                vec!["memory: {total: 4GiB, answers: 31MiB}\n"],
                vec![],
                "0.yaml:1: the memory pool answers has 31 MiB (it needs at least 32 MiB)",
            ),
            (
                vec!["tails_bytes: 256MiB\n"],
                vec![("TAFFRAIL_MEMORY_TOTAL", "300MiB")],
                "TAFFRAIL_MEMORY_TOTAL: the memory pools have ",
            ),
            (
                vec!["memory:\n  query_state: much\n"],
                vec![],
                "0.yaml:2: memory: a size \"much\" must be",
            ),
        ] {
            let faults = from_files(&texts, &variables).unwrap_err();
            assert!(faults[0].contains(expected), "{expected}: {faults:?}");
        }
    }

    #[test]
    fn faults_of_all_layers_come_together() {
        let faults = from_files(&["a: 1\n", "b: 1\n"], &[("TAFFRAIL_LISTEN", "x")]).unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
        let missing = Sources {
            config_file: Some("/nowhere/config.yaml".into()),
            ..Sources::default()
        };
        assert_eq!(load(&missing).unwrap_err().0.len(), 1);
    }

    #[test]
    fn variables() {
        let of = |name: &str, value: &str| from_files(&[], &[(name, value)]);
        let key = "k".repeat(32);
        assert!(
            of("TAFFRAIL_BOOTSTRAP_KEY", &key)
                .unwrap()
                .config
                .bootstrap_key
                .is_some()
        );
        for (name, value) in [
            ("TAFFRAIL_BOOTSTRAP_KEY", &key[..31]),
            ("TAFFRAIL_BOOTSTRAP_KEY", &format!("{key} x")),
            ("TAFFRAIL_ADMIN_USER", "root"),
            ("TAFFRAIL_ADMIN_PASSWORD", "secret123"),
            ("TAFFRAIL_ENCRYPTION", "maybe"),
        ] {
            assert!(of(name, value).is_err(), "{name}={value}");
        }
        let loaded = of("TAFFRAIL_LISTN", "x").unwrap();
        assert!(
            loaded.notes[0].contains("TAFFRAIL_LISTEN"),
            "{:?}",
            loaded.notes
        );
        assert!(of("TAFFRAIL_URL", "x").unwrap().notes.is_empty());
        let both = [
            ("TAFFRAIL_ADMIN_USER", "root"),
            ("TAFFRAIL_ADMIN_PASSWORD", "secret123"),
        ];
        let admin = from_files(&[], &both).unwrap().config.first_admin.unwrap();
        assert_eq!(admin.name, "root");
        assert!(!format!("{admin:?}").contains("secret123"));
    }

    #[test]
    fn policy_keys_are_accepted_and_what_has_no_effect_is_said() {
        let loaded = from_files(
            &["logging:\n  centralized: true\n  aggregator: {type: local, endpoint: \"http://localhost:9200\"}\n  automation: {rotation: daily, compression: true, alerting: true, cleanup: auto}\n  monitoring: {error_threshold: 0.05, disk_warning: 0.80, disk_critical: 0.90}\n  alerting:\n    channels:\n      - email: ops@example.com\n      - slack: \"#alerts\"\n      - pagerduty: high_priority\n  access_control:\n    framework: [dev, ops, security, auditor]\n"],
            &[],
        )
        .unwrap();
        assert_eq!(loaded.notes.len(), 5, "{:?}", loaded.notes);
    }

    #[test]
    fn the_example_of_the_guide_is_valid() {
        let guide = include_str!("../../../../docs/guide/configuration.md");
        let (_, rest) = guide.split_once("```yaml\n").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        let loaded = from_files(&[example], &[]).unwrap();
        assert_eq!(loaded.notes, [] as [String; 0]);
        assert!(loaded.config.streams.contains_key("machine"));
    }

    #[test]
    fn redaction_grows_and_is_checked() {
        let loaded = from_files(
            &[
                "redaction: {field_names: [internal_pin]}\n",
                "redaction:\n  patterns:\n    - {name: ticket, regex: 'T-[0-9]{8}'}\n",
            ],
            &[],
        )
        .unwrap();
        assert_eq!(loaded.config.redaction.field_names, ["internal_pin"]);
        assert_eq!(loaded.config.redaction.patterns[0].name, "ticket");
        let bad = "redaction:\n  patterns:\n    - {name: ticket, regex: '('}\n";
        assert!(from_files(&[bad], &[]).is_err());
    }

    #[test]
    fn rules_for_captured_output_of_later_layers_come_first_and_are_checked() {
        let loaded = from_files(
            &[
                "capture: {rules: [{pattern: ^a, level: warn}, {pattern: ^b, level: debug}]}\n",
                "streams: {mine: {retention_days: 1}}\ncapture:\n  rules:\n    - {origins: [stderr], fields: [job], level_min: warn, to: mine}\n",
            ],
            &[],
        );
        let config = loaded.unwrap().config;
        let patterns = config.capture.rules.iter().map(|rule| &rule.pattern);
        assert_eq!(
            patterns.map(Option::as_deref).collect::<Vec<_>>(),
            [None, Some("^a"), Some("^b")]
        );
        assert_eq!(config.capture.rules[0].to.as_deref(), Some("mine"));
        for (rule, line, part) in [
            (
                "{pattern: ^a}",
                2,
                "capture rule 2: needs `to`, `level` or both",
            ),
            (
                "{pattern: '(', level: warn}",
                2,
                "capture rule 2: the regular expression",
            ),
            (
                "{to: nowhere}",
                2,
                "capture rule 2: there is no stream \"nowhere\"",
            ),
            (
                "{to: errors, levl_min: warn}",
                4,
                "did you mean `level_min`?",
            ),
            (
                "{origins: [stdot], to: errors}",
                4,
                "did you mean `stdout`?",
            ),
            ("{level: loud}", 4, "unknown value `loud`"),
        ] {
            let text = format!(
                "encryption: true\ncapture: {{rules: [\n  {{pattern: ^first, level: info}},\n  {rule}]}}\n"
            );
            let faults = from_files(&["capture: {rules: [{level: info}]}", &text], &[]);
            let faults = faults.unwrap_err();
            let is_placed = faults[0].starts_with(&format!("1.yaml:{line}: "));
            assert!(is_placed && faults[0].contains(part), "{rule}: {faults:?}");
        }
    }

    #[test]
    fn the_key_stays_out_of_the_data() {
        let sources = Sources {
            data_dir: Some("/d".into()),
            key_file: Some("/d/key".into()),
            ..Sources::default()
        };
        assert!(load(&sources).is_err());
    }
}
