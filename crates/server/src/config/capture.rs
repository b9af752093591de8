//! What of the configuration concerns those who record programs: `capture` and `streams`.
//!
//! Invariants
//! - Other keys of the files are not read: a fault in one does not keep anybody from recording, and
//!   no value of one is in anything that is said.
//! - Variables and flags set what only a server does, and do not count.
use super::{
    ConfigFaults,
    load::{Loading, Sections, Sources},
};
use taffrail_engine::pipeline::CaptureConfig;
use taffrail_model::stream::StreamCatalogue;

/// How captured output is sorted.
#[derive(Clone, Debug)]
pub struct CaptureSettings {
    /// The rules of all files, those of later ones first.
    pub rules: CaptureConfig,
    /// The streams by name, as [`super::Config::catalogue`] has them.
    pub catalogue: StreamCatalogue,
}

/// Loads the rules from the files.
///
/// # Errors
/// All faults of these keys in all files, and of files that cannot be read at all.
pub fn load_capture(sources: &Sources) -> Result<CaptureSettings, ConfigFaults> {
    let mut loading = Loading::of_files(sources, Sections::Capture);
    loading.lay_captures();
    let config = loading.loaded()?.config;
    Ok(CaptureSettings {
        catalogue: config.catalogue(),
        rules: config.capture,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules of a file as patterns, or where it is wrong.
    fn load(text: &str) -> Result<Vec<String>, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.yaml");
        std::fs::write(&path, text).unwrap();
        let sources = Sources {
            config_file: Some(path.clone()),
            // Neither is ours.
            listen: Some("nowhere".into()),
            environment: vec![("TAFFRAIL_TAILS_BYTES".into(), "none".into())],
            ..Sources::default()
        };
        let prefix = format!("{}/", folder.path().display());
        match load_capture(&sources) {
            Ok(settings) => {
                let patterns = settings.rules.rules.into_iter().map(|rule| rule.pattern);
                Ok(patterns.flatten().collect())
            }
            Err(faults) => {
                let places = faults.0.iter().map(|fault| fault.whereabouts());
                Err(places.map(|place| place.replace(&prefix, "")).collect())
            }
        }
    }

    /// Rules, and a stream that they need.
    const RULES: &str = "\
streams: {mine: {retention_days: 1}}
capture:
  rules: [{pattern: ^a, to: mine}]
";

    #[test]
    fn faults_of_other_keys_are_not_ours() {
        for other in [
            "listen: nowhere",
            "key_file: [1, 2]",
            "data_dir: /d\nkey_file: /d/key",
            "tails_bytes: 1",
            "memory: {total: 1MiB, query_state: 64MiB}",
            "memory: s3cret",
            "redaction: {patterns: [{name: x, regex: '('}]}",
            "logging: {alerting: {channels: [{slack: 5}, s3cret]}}",
            "metrics: {public: perhaps}",
            "of_a_later_version: {s3cret: [1]}",
        ] {
            for text in [format!("{other}\n{RULES}"), format!("{RULES}{other}\n")] {
                assert_eq!(load(&text), Ok(vec!["^a".to_owned()]), "{text}");
            }
        }
        assert_eq!(load("# nothing\n"), Ok(Vec::new()));
    }

    #[test]
    fn a_fault_of_ours_is_named_by_file_line_and_key() {
        for (text, expected) in [
            ("capture: s3cret\n", "c.yaml:1 (capture)"),
            ("capture:\n  rules: s3cret\n", "c.yaml:2 (capture.rules)"),
            (
                "capture:\n  rules:\n    - {level: s3cret}\n",
                "c.yaml:3 (capture.rules[0].level)",
            ),
            (
                "capture: {rules: [{level: info}, {s3cret: 1}]}\n",
                "c.yaml:1 (capture.rules[1])",
            ),
            (
                "listen: x\ncapture: {rules: [{to: s3cret}]}\n",
                "c.yaml:2 (capture.rules)",
            ),
            (
                "capture: {rules: [{pattern: '(s3cret', level: info}]}\n",
                "c.yaml:1 (capture.rules)",
            ),
            (
                "streams: {mine: {retention_days: s3cret}}\n",
                "c.yaml:1 (streams.mine.retention_days)",
            ),
            ("\nstreams: s3cret\n", "c.yaml:2 (streams)"),
            // What is no YAML cannot be read in part.
            ("listen: x\nlogging: {s3cret\n", "c.yaml:3 (logging)"),
            ("s3cret\n", "c.yaml:1"),
        ] {
            let faults = load(text).unwrap_err();
            assert_eq!(faults, [expected], "{text}");
        }
        let missing = Sources {
            config_file: Some("/nowhere/c.yaml".into()),
            ..Sources::default()
        };
        let faults = load_capture(&missing).unwrap_err().0;
        assert_eq!(faults[0].whereabouts(), "/nowhere/c.yaml");
    }
}
