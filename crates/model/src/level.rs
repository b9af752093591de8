//! The six levels and every word and number that other systems use for them.
use serde::{Deserialize, Serialize};

/// Severity of a record, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Finest detail.
    Trace,
    /// For developers.
    Debug,
    /// Normal work.
    Info,
    /// Unexpected, and handled.
    Warn,
    /// Something failed.
    Error,
    /// The program or system is in danger.
    Critical,
}

impl Level {
    /// All levels, ascending.
    pub const ALL: [Level; 6] = [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
        Level::Critical,
    ];

    /// The canonical name, lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Critical => "critical",
        }
    }

    /// The name on the MCP routes, which have four levels.
    ///
    /// Source: the table "Levels" of the data model, "MCP routes print".
    #[must_use]
    pub fn mcp_name(self) -> &'static str {
        match self {
            Level::Trace | Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error | Level::Critical => "error",
        }
    }

    /// The level of a canonical name, exactly.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }

    /// The level that a foreign word or number (as text) means; case does not matter.
    ///
    /// Source: the table "Levels" of the data model.
    #[must_use]
    pub fn from_foreign(word: &str) -> Option<Level> {
        const WORDS: &[(&str, Level)] = &[
            ("info", Level::Info),
            ("error", Level::Error),
            ("warn", Level::Warn),
            ("debug", Level::Debug),
            ("warning", Level::Warn),
            ("critical", Level::Critical),
            ("trace", Level::Trace),
            ("verbose", Level::Trace),
            ("silly", Level::Trace),
            ("10", Level::Trace),
            ("20", Level::Debug),
            ("information", Level::Info),
            ("notice", Level::Info),
            ("log", Level::Info),
            ("30", Level::Info),
            ("40", Level::Warn),
            ("err", Level::Error),
            ("severe", Level::Error),
            ("50", Level::Error),
            ("fatal", Level::Critical),
            ("panic", Level::Critical),
            ("alert", Level::Critical),
            ("emergency", Level::Critical),
            ("emerg", Level::Critical),
            ("crit", Level::Critical),
            ("60", Level::Critical),
        ];
        WORDS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(word))
            .map(|(_, level)| *level)
    }

    /// The level of an OpenTelemetry severity number (1-24).
    #[must_use]
    pub fn from_otel(number: i64) -> Option<Level> {
        let index = usize::try_from(number.checked_sub(1)?).ok()? / 4;
        Level::ALL.get(index).copied()
    }

    /// The level of a syslog severity (0-7).
    #[must_use]
    pub fn from_syslog(severity: u8) -> Option<Level> {
        match severity {
            0..=2 => Some(Level::Critical),
            3 => Some(Level::Error),
            4 => Some(Level::Warn),
            5 | 6 => Some(Level::Info),
            7 => Some(Level::Debug),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_table_has_its_level() {
        let table = [
            (Level::Trace, "trace verbose silly 10"),
            (Level::Debug, "debug 20"),
            (Level::Info, "info information notice log 30"),
            (Level::Warn, "warn warning 40"),
            (Level::Error, "error err severe 50"),
            (
                Level::Critical,
                "critical fatal panic alert emergency emerg crit 60",
            ),
        ];
        for (level, words) in table {
            for word in words.split(' ') {
                assert_eq!(Level::from_foreign(word), Some(level), "{word}");
                assert_eq!(
                    Level::from_foreign(&word.to_uppercase()),
                    Some(level),
                    "{word}"
                );
            }
        }
        assert_eq!(Level::from_foreign("loud"), None);
        assert_eq!(Level::from_foreign("35"), None);
    }

    #[test]
    fn mcp_routes_print_four_levels() {
        let names = Level::ALL.map(Level::mcp_name);
        assert_eq!(names, ["debug", "debug", "info", "warn", "error", "error"]);
    }

    #[test]
    fn numbers_of_otel_and_syslog_have_their_level() {
        let otel: Vec<_> = (0..=25).map(Level::from_otel).collect();
        assert_eq!(otel[0], None);
        assert_eq!(otel[1], Some(Level::Trace));
        assert_eq!(otel[4], Some(Level::Trace));
        assert_eq!(otel[5], Some(Level::Debug));
        assert_eq!(otel[17], Some(Level::Error));
        assert_eq!(otel[24], Some(Level::Critical));
        assert_eq!(otel[25], None);
        let syslog: Vec<_> = (0..=8)
            .map(|n| Level::from_syslog(n).map(Level::name))
            .collect();
        assert_eq!(
            syslog,
            [
                Some("critical"),
                Some("critical"),
                Some("critical"),
                Some("error"),
                Some("warn"),
                Some("info"),
                Some("info"),
                Some("debug"),
                None
            ]
        );
    }
}
