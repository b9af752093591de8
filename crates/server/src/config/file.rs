//! One file of the configuration: its keys and types. Impossible values are found while reading,
//! because only then their line is known.
use super::{MemorySettings, StreamSettings, TAILS_BYTES_MAX, TAILS_BYTES_MIN, size::parse_bytes};
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, Unexpected},
};
use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf};
use taffrail_engine::pipeline::{CaptureConfig, config::RedactionConfig};
use taffrail_model::stream::AccessClass;

/// The keys of a file; what is missing is left to the layers below.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ConfigFile {
    #[serde(deserialize_with = "listen")]
    pub listen: Option<SocketAddr>,
    pub data_dir: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub encryption: Option<bool>,
    #[serde(deserialize_with = "tails_bytes")]
    pub tails_bytes: Option<usize>,
    pub memory: Memory,
    #[serde(deserialize_with = "streams")]
    pub streams: BTreeMap<String, StreamSettings>,
    pub redaction: Option<RedactionConfig>,
    pub capture: CaptureConfig,
    pub metrics: Option<Metrics>,
    pub logging: Option<Logging>,
}

/// What of a file concerns those who record programs. The rest is passed over, whatever it says:
/// neither its faults nor its values are theirs.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CaptureFile {
    #[serde(deserialize_with = "streams")]
    streams: BTreeMap<String, StreamSettings>,
    capture: CaptureConfig,
}

impl From<CaptureFile> for ConfigFile {
    fn from(file: CaptureFile) -> ConfigFile {
        ConfigFile {
            streams: file.streams,
            capture: file.capture,
            ..ConfigFile::default()
        }
    }
}

/// Sizes; that of the tails is a key of its own.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Memory {
    #[serde(deserialize_with = "size")]
    pub total: Option<usize>,
    #[serde(deserialize_with = "size")]
    pub in_flight: Option<usize>,
    #[serde(deserialize_with = "size")]
    pub block_cache: Option<usize>,
    #[serde(deserialize_with = "size")]
    pub query_state: Option<usize>,
    #[serde(deserialize_with = "size")]
    pub answers: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Metrics {
    pub public: Option<bool>,
}

/// The keys of the log management policy.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Logging {
    pub centralized: Option<bool>,
    pub aggregator: Option<Aggregator>,
    pub automation: Option<Automation>,
    pub monitoring: Option<Monitoring>,
    pub alerting: Option<Alerting>,
    pub access_control: Option<AccessControl>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aggregator {
    #[serde(rename = "type")]
    pub kind: AggregatorKind,
    pub endpoint: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AggregatorKind {
    Local,
    Elasticsearch,
    Splunk,
    Datadog,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Automation {
    pub rotation: Option<Rotation>,
    pub compression: Option<bool>,
    pub alerting: Option<bool>,
    pub cleanup: Option<Cleanup>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rotation {
    Daily,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cleanup {
    Auto,
    Manual,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Monitoring {
    #[serde(deserialize_with = "ratio")]
    pub error_threshold: Option<f64>,
    #[serde(deserialize_with = "ratio")]
    pub disk_warning: Option<f64>,
    #[serde(deserialize_with = "ratio")]
    pub disk_critical: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Alerting {
    pub channels: Vec<Channel>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Channel {
    pub email: Option<String>,
    pub slack: Option<String>,
    pub pagerduty: Option<String>,
    pub webhook: Option<String>,
}

/// Roles that may read a policy stream.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AccessControl {
    pub framework: Option<Vec<PolicyRole>>,
    pub governance: Option<Vec<PolicyRole>>,
    pub runtime: Option<Vec<PolicyRole>>,
    pub security: Option<Vec<PolicyRole>>,
    pub errors: Option<Vec<PolicyRole>>,
    pub api_access: Option<Vec<PolicyRole>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PolicyRole {
    #[serde(alias = "dev")]
    Developer,
    Ops,
    Security,
    Auditor,
    Admin,
}

impl ConfigFile {
    /// What the file says of memory.
    pub(crate) fn memory_settings(&self) -> MemorySettings {
        MemorySettings {
            total: self.memory.total.map(|bytes| bytes as u64),
            tails: self.tails_bytes,
            in_flight: self.memory.in_flight,
            block_cache: self.memory.block_cache,
            query_state: self.memory.query_state,
            answers: self.memory.answers,
        }
    }

    /// Keys that are accepted and have no effect in this version.
    pub(crate) fn without_effect(&self) -> Vec<&'static str> {
        let Some(logging) = &self.logging else {
            return Vec::new();
        };
        let aggregator = logging.aggregator.as_ref();
        let is_forwarded = aggregator.is_some_and(|to| to.kind != AggregatorKind::Local);
        let has_endpoint = aggregator.is_some_and(|to| to.endpoint.is_some());
        let automation = logging.automation.as_ref();
        let is_alerting = automation.is_some_and(|keys| keys.alerting == Some(true));
        let is_manual =
            automation.is_some_and(|keys| matches!(keys.cleanup, Some(Cleanup::Manual)));
        let is_raw = automation.is_some_and(|keys| keys.compression == Some(false));
        [
            (
                "logging.centralized: false",
                logging.centralized == Some(false),
            ),
            ("logging.aggregator.type", is_forwarded),
            ("logging.aggregator.endpoint", has_endpoint),
            ("logging.automation.alerting", is_alerting),
            ("logging.automation.cleanup: manual", is_manual),
            ("logging.automation.compression: false", is_raw),
            ("logging.monitoring", logging.monitoring.is_some()),
            ("logging.alerting", logging.alerting.is_some()),
            ("logging.access_control", logging.access_control.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, is_set)| is_set.then_some(key))
        .collect()
    }
}

fn listen<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    Option::<String>::deserialize(from)?
        .map(|text| parse_listen(&text).map_err(D::Error::custom))
        .transpose()
}

/// Reads an address to listen on: `127.0.0.1:4600`, `[::1]:4600`, `:4600`, `4600`, `localhost:4600`.
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let trimmed = text.trim();
    let fault = || {
        format!(
            "listen {text:?} must be an address and a port, such as 127.0.0.1:4600 or [::]:4600"
        )
    };
    if let Ok(address) = trimmed.parse() {
        return Ok(address);
    }
    if let Some(port) = trimmed.strip_prefix("localhost:") {
        let port: u16 = port.parse().map_err(|_| fault())?;
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    Err(fault())
}

/// Reads the bytes of the tails.
pub(crate) fn parse_tails_bytes(text: &str) -> Result<usize, String> {
    parse_bytes(text)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|bytes| (TAILS_BYTES_MIN..=TAILS_BYTES_MAX).contains(bytes))
        .ok_or_else(|| format!("tails_bytes {text:?} must be from 8MiB to 2GiB"))
}

/// Reads `true` or `false`.
pub(crate) fn parse_switch(name: &str, text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("{name} {text:?} must be true or false")),
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

fn number_or_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let given = Option::<NumberOrText>::deserialize(from)?;
    Ok(given.map(|given| match given {
        NumberOrText::Number(number) => number.to_string(),
        NumberOrText::Text(text) => text,
    }))
}

fn tails_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    let text = number_or_text(from)?;
    text.map(|text| parse_tails_bytes(&text).map_err(D::Error::custom))
        .transpose()
}

fn size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    let text = number_or_text(from)?;
    text.map(|text| parse_size("a size", &text).map_err(D::Error::custom))
        .transpose()
}

/// Reads a size of memory.
pub(crate) fn parse_size(name: &str, text: &str) -> Result<usize, String> {
    parse_bytes(text)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or_else(|| format!("{name} {text:?} must be a number of bytes, such as 64MiB"))
}

fn ratio<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    match Option::<f64>::deserialize(from)? {
        Some(ratio) if !(0.0..=1.0).contains(&ratio) => Err(D::Error::invalid_value(
            Unexpected::Float(ratio),
            &"a share from 0 to 1",
        )),
        other => Ok(other),
    }
}

/// A stream as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamEntry {
    retention_days: RetentionDays,
    #[serde(default = "restricted")]
    access: AccessClass,
}

fn restricted() -> AccessClass {
    AccessClass::Restricted
}

/// A number of days, or `forever`.
struct RetentionDays(Option<u32>);

impl<'de> Deserialize<'de> for RetentionDays {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<RetentionDays, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = RetentionDays;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("days from 1 to 36500, or `forever`")
            }
            fn visit_u64<E: Error>(self, days: u64) -> Result<RetentionDays, E> {
                match u32::try_from(days) {
                    Ok(days @ 1..=36_500) => Ok(RetentionDays(Some(days))),
                    _ => Err(E::invalid_value(Unexpected::Unsigned(days), &self)),
                }
            }
            fn visit_i64<E: Error>(self, days: i64) -> Result<RetentionDays, E> {
                match u64::try_from(days) {
                    Ok(days) => self.visit_u64(days),
                    Err(_) => Err(E::invalid_value(Unexpected::Signed(days), &self)),
                }
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<RetentionDays, E> {
                match text {
                    "forever" => Ok(RetentionDays(None)),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        from.deserialize_any(Visitor)
    }
}

fn streams<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, StreamSettings>, D::Error> {
    struct Visitor;
    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = BTreeMap<String, StreamSettings>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("streams by name, such as `machine: {retention_days: 3650}`")
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
            let mut streams = BTreeMap::new();
            while let Some(name) = map.next_key::<String>()? {
                // Checked here, while the reader still stands on the line of the name.
                if let Err(fault) = check_stream_name(&name) {
                    let _: IgnoredAny = map.next_value()?;
                    return Err(A::Error::custom(fault));
                }
                let entry: StreamEntry = map.next_value()?;
                let settings = StreamSettings {
                    retention_days: entry.retention_days.0,
                    access: entry.access,
                };
                if streams.insert(name.clone(), settings).is_some() {
                    return Err(A::Error::custom(format!(
                        "stream {name:?} is defined twice"
                    )));
                }
            }
            Ok(streams)
        }
    }
    from.deserialize_any(Visitor)
}

fn check_stream_name(name: &str) -> Result<(), String> {
    use taffrail_model::stream::{StreamCatalogue, StreamDefinition, StreamNumber};
    let mut catalogue = StreamCatalogue::built_in();
    // The catalogue alone knows what a name may be: it is asked with a stream of that name.
    let Some(template) = catalogue
        .iter()
        .next()
        .map(|stream| StreamDefinition::clone(stream))
    else {
        return Ok(());
    };
    catalogue
        .add(StreamDefinition {
            name: name.into(),
            number: StreamNumber::FIRST_CUSTOM,
            ..template
        })
        .map_err(|fault| match fault {
            taffrail_model::stream::StreamError::Duplicate(name) => {
                format!("stream {name:?} is built in and cannot be defined again")
            }
            other => other.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_tails_at_and_past_their_limits() {
        assert_eq!(parse_tails_bytes("8MiB"), Ok(TAILS_BYTES_MIN));
        assert_eq!(parse_tails_bytes("2GiB"), Ok(TAILS_BYTES_MAX));
        for past in [TAILS_BYTES_MIN - 1, TAILS_BYTES_MAX + 1] {
            assert!(parse_tails_bytes(&past.to_string()).is_err(), "{past}");
        }
    }
}
