//! What a pipeline is told at its start, and what can be wrong with it.
use crate::capture::{CAPTURE_RULES_MAX, CaptureConfig};
use jiff::tz::TimeZone;
use serde::Deserialize;
use taffrail_model::level::Level;

/// On which side of the wire a pipeline runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// In front of the store: adds the receive time as `created_at` and applies the limit of
    /// fields for a stream and day.
    #[default]
    Server,
    /// At the source (`taffrail ship`): adds host name and process id; leaves receive time and
    /// limits to the server.
    Shipper,
}

/// Configuration of a pipeline; the default is right for a server.
#[derive(Clone, Debug, Default)]
pub struct PipelineConfig {
    /// On which side of the wire it runs.
    pub side: Side,
    /// Becomes `metadata.hostname` where a record has none. Only the shipper knows it.
    pub hostname: Option<String>,
    /// Becomes `metadata.process_id` where a record has none. Only the shipper knows it.
    pub process_id: Option<u32>,
    /// Becomes `source` where a record has none.
    pub source: Option<String>,
    /// How plain lines are read, unless the caller says otherwise.
    pub lines: LineOptions,
    /// What is masked beyond the default rules.
    pub redaction: RedactionConfig,
    /// Which records go to another stream than the one that they were sent to.
    pub routing: RoutingConfig,
    /// Set where the lines are the captured output of a process, each with its origin
    /// (`stdout`, `stderr`, `system`, `http`) in `metadata.type`: they get stream, level and
    /// error fields by these rules and the default ones.
    pub capture: Option<CaptureConfig>,
}

/// How the plain lines of one source are read.
#[derive(Clone, Debug)]
pub struct LineOptions {
    /// Name of the one format to try (a name of the table of line formats, or `plain`);
    /// `None`: every format.
    pub format: Option<String>,
    /// Zone of times that carry none.
    pub zone: TimeZone,
    /// Becomes `source` where a line names none; wins over [`PipelineConfig::source`].
    pub source: Option<String>,
}

impl Default for LineOptions {
    fn default() -> LineOptions {
        LineOptions {
            format: None,
            zone: TimeZone::UTC,
            source: None,
        }
    }
}

/// Redaction beyond the default rules, which cannot be switched off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedactionConfig {
    /// Further field names whose values are masked, at any depth and in any spelling
    /// (`internal_pin` covers `internalPin` and `x-internal-pin`).
    pub field_names: Vec<String>,
    /// Further patterns that are masked wherever they occur in a value.
    pub patterns: Vec<PatternRule>,
}

/// A pattern that is masked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatternRule {
    /// Name in the mask `[REDACTED:name]`: lower-case letters, `_` and `-`.
    pub name: String,
    /// Regular expression.
    pub regex: String,
}

/// The routing table: the first rule that matches decides; without one a record stays where it
/// was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoutingConfig {
    /// The rules in order.
    pub rules: Vec<RouteRule>,
}

/// One row of the routing table. Every condition that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteRule {
    /// Streams that the rule looks at: a name, or a prefix with `*`; empty: all.
    pub streams: Vec<String>,
    /// Conditions on fields.
    pub fields: Vec<FieldCondition>,
    /// Lowest level that matches.
    pub level_min: Option<Level>,
    /// Name of the stream that matching records go to.
    pub to: String,
}

/// A condition on one field; the text of the value is compared, case counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldCondition {
    /// Canonical name of the field.
    pub field: String,
    /// The whole text.
    pub equals: Option<String>,
    /// How the text begins.
    pub prefix: Option<String>,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A rule's name cannot stand in a mask.
    #[error(
        "redaction rule name {name:?} must be 1-32 characters of a-z, `_` and `-`, beginning with a letter"
    )]
    RuleName {
        /// The name.
        name: String,
    },
    /// Two rules share a name.
    #[error("redaction rule {name:?} is defined twice, or is the name of a default rule")]
    RuleDuplicate {
        /// The name.
        name: String,
    },
    /// A regular expression does not compile.
    #[error("redaction rule {name:?}: the regular expression does not compile")]
    RuleRegex {
        /// The rule.
        name: String,
        /// Why.
        #[source]
        source: Box<regex_automata::meta::BuildError>,
    },
    /// A regular expression would mask the empty text everywhere.
    #[error("redaction rule {name:?}: the regular expression matches the empty text")]
    RuleMatchesEmpty {
        /// The rule.
        name: String,
    },
    /// A field name for redaction without a letter or digit.
    #[error("redaction field name {name:?} has no letter or digit")]
    FieldName {
        /// The name.
        name: String,
    },
    /// More field names for redaction than one search can hold.
    #[error("the field names for redaction are too many or too long")]
    TooManyFieldNames,
    /// A field condition that says nothing, or too much.
    #[error(
        "routing rule {rule}: the condition on field {field:?} needs either `equals` or `prefix`"
    )]
    RouteCondition {
        /// Number of the rule, from 1.
        rule: usize,
        /// The field.
        field: String,
    },
    /// A rule that names no known stream.
    #[error("routing rule {rule}: there is no stream {stream:?}")]
    RouteStream {
        /// Number of the rule, from 1.
        rule: usize,
        /// The stream.
        stream: String,
    },
    /// More rules for captured output than each line can be asked against.
    #[error("{rules} capture rules are more than {CAPTURE_RULES_MAX}")]
    CaptureRuleCount {
        /// How many there are.
        rules: usize,
    },
    /// A rule for captured output that says nothing.
    #[error("capture rule {rule}: needs `to`, `level` or both")]
    CaptureRule {
        /// Number of the rule, from 1.
        rule: usize,
    },
    /// A regular expression of a rule for captured output does not compile.
    #[error("capture rule {rule}: the regular expression does not compile")]
    CaptureRegex {
        /// Number of the rule, from 1; 0 where all rules together are too large.
        rule: usize,
        /// Why.
        #[source]
        source: Box<regex_automata::meta::BuildError>,
    },
    /// A rule for captured output that names no known stream.
    #[error("capture {rule}: there is no stream {stream:?}")]
    CaptureStream {
        /// The rule.
        rule: String,
        /// The stream.
        stream: String,
    },
    /// A line format that does not exist.
    #[error("there is no line format {name:?}; there are: {known}")]
    LineFormat {
        /// The name.
        name: String,
        /// All names.
        known: String,
    },
}
