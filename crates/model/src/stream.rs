//! Streams: named classes of records with their own retention, access class and integrity.
use crate::time::NS_PER_DAY;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Number of a stream: fixed for the built-in ones (below [`StreamNumber::FIRST_CUSTOM`]),
/// assigned once by the metadata database for those of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamNumber(pub u16);

impl StreamNumber {
    /// First number of a stream that the configuration adds.
    pub const FIRST_CUSTOM: StreamNumber = StreamNumber(1_000);
}

/// Who owns what in a stream, which decides what an account that is no admin sees there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessClass {
    /// Only roles that the matrix names; nobody's own.
    Restricted,
    /// A user sees the records of the user_ids that an admin has set for the account.
    OwnRecords,
}

/// One stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamDefinition {
    /// Its number.
    pub number: StreamNumber,
    /// Its name: lower-case letters, digits, `_`, `-` and dots.
    pub name: Arc<str>,
    /// Days that a record is kept, counted from the UTC day of its timestamp; `None`: for ever.
    pub retention_days: Option<u32>,
    /// Days after which debug and trace records are hidden, where they leave earlier.
    pub debug_retention_days: Option<u32>,
    /// Age in days at which small segments are merged for good; `None`: never.
    pub compress_after_days: Option<u32>,
    /// Whether expired records go to the archive.
    pub is_archived: bool,
    /// Whether the stream is sealed (tamper-evident).
    pub is_sealed: bool,
    /// Whether it is a policy stream: timestamp, level, logger, correlation id and message are
    /// filled in where missing.
    pub is_policy: bool,
    /// Whether a record without a required field is rejected.
    pub is_strict: bool,
    /// Whether it holds the product's own events, searched only when named.
    pub is_own_events: bool,
    /// Who owns its records.
    pub access: AccessClass,
}

impl StreamDefinition {
    /// Oldest UTC day that is kept when today is `today` (days since 1970).
    #[must_use]
    pub fn oldest_day_kept(&self, today: i64) -> Option<i64> {
        self.retention_days.map(|days| today - i64::from(days))
    }

    /// Whether a record with this time has left the stream at `now`.
    #[must_use]
    pub fn is_expired(&self, time: crate::time::Timestamp, now: crate::time::Timestamp) -> bool {
        self.oldest_day_kept(now.0.div_euclid(NS_PER_DAY))
            .is_some_and(|oldest| time.0.div_euclid(NS_PER_DAY) < oldest)
    }
}

/// A name that is no stream name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Wrong characters or length.
    #[error(
        "stream name {0:?} must be 1-64 characters of a-z, 0-9, `_`, `-` and `.`, beginning with a letter"
    )]
    Name(String),
    /// Defined twice.
    #[error("stream {0:?} is defined twice")]
    Duplicate(String),
}

/// All streams of an instance, by name and by number. Immutable; replaced as a whole.
#[derive(Clone, Debug)]
pub struct StreamCatalogue {
    by_name: BTreeMap<Arc<str>, Arc<StreamDefinition>>,
    by_number: BTreeMap<StreamNumber, Arc<StreamDefinition>>,
}

impl StreamCatalogue {
    /// The built-in streams alone.
    #[must_use]
    pub fn built_in() -> StreamCatalogue {
        let mut catalogue = StreamCatalogue {
            by_name: BTreeMap::new(),
            by_number: BTreeMap::new(),
        };
        for definition in built_in() {
            catalogue.put(definition);
        }
        catalogue
    }

    /// Adds a stream.
    ///
    /// # Errors
    /// [`StreamError`] if the name is malformed or taken, or the number is taken.
    pub fn add(&mut self, definition: StreamDefinition) -> Result<(), StreamError> {
        let name = definition.name.to_string();
        let is_well_formed = (1..=64).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.'));
        if !is_well_formed {
            return Err(StreamError::Name(name));
        }
        if self.by_name.contains_key(&definition.name)
            || self.by_number.contains_key(&definition.number)
        {
            return Err(StreamError::Duplicate(name));
        }
        self.put(definition);
        Ok(())
    }

    fn put(&mut self, definition: StreamDefinition) {
        let definition = Arc::new(definition);
        self.by_name
            .insert(definition.name.clone(), definition.clone());
        self.by_number.insert(definition.number, definition);
    }

    /// The stream of a name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Arc<StreamDefinition>> {
        self.by_name.get(name)
    }

    /// The stream of a number.
    #[must_use]
    pub fn by_number(&self, number: StreamNumber) -> Option<&Arc<StreamDefinition>> {
        self.by_number.get(&number)
    }

    /// All streams, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<StreamDefinition>> + '_ {
        self.by_name.values()
    }

    /// The streams that a pattern names: a name, or a prefix with `*` at its end (`instance.*`).
    pub fn matching<'a>(
        &'a self,
        pattern: &'a str,
    ) -> impl Iterator<Item = &'a Arc<StreamDefinition>> + 'a {
        let prefix = pattern.strip_suffix('*');
        self.iter().filter(move |definition| match prefix {
            Some(prefix) => definition.name.starts_with(prefix),
            None => &*definition.name == pattern,
        })
    }

    /// Up to three names that are nearest to `name` by edit distance.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self
            .by_name
            .keys()
            .map(|have| (edit_distance(name, have), have.clone()))
            .collect();
        names.sort();
        names.into_iter().take(3).map(|(_, name)| name).collect()
    }
}

/// Characters to insert, remove or replace to get from one name to another; of `a` the first 80
/// count.
#[must_use]
pub fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(80).collect(), b.chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The table "Streams" of the data model.
fn built_in() -> Vec<StreamDefinition> {
    use AccessClass::{OwnRecords, Restricted};
    let stream =
        |number, name: &str, retention_days, compress_after_days, access| StreamDefinition {
            number: StreamNumber(number),
            name: name.into(),
            retention_days,
            debug_retention_days: None,
            compress_after_days,
            is_archived: false,
            is_sealed: false,
            is_policy: false,
            is_strict: false,
            is_own_events: false,
            access,
        };
    let policy = |definition: StreamDefinition| StreamDefinition {
        is_policy: true,
        ..definition
    };
    let strict = |definition| StreamDefinition {
        is_strict: true,
        is_sealed: true,
        ..policy(definition)
    };
    let archived = |definition| StreamDefinition {
        is_archived: true,
        ..definition
    };
    let system = |number, name| StreamDefinition {
        debug_retention_days: Some(30),
        is_own_events: true,
        ..stream(number, name, Some(90), Some(7), Restricted)
    };
    vec![
        policy(stream(1, "framework", Some(90), Some(7), Restricted)),
        strict(stream(2, "governance", None, None, Restricted)),
        policy(stream(3, "runtime", Some(30), Some(7), Restricted)),
        archived(StreamDefinition {
            is_own_events: true,
            ..strict(stream(4, "security", Some(365), Some(30), Restricted))
        }),
        policy(stream(5, "errors", Some(90), Some(7), Restricted)),
        policy(stream(6, "api_access", Some(180), Some(30), Restricted)),
        stream(7, "instance.app", Some(30), Some(0), OwnRecords),
        stream(8, "instance.access", Some(30), Some(0), OwnRecords),
        stream(9, "instance.error", Some(30), Some(0), OwnRecords),
        system(10, "system.application"),
        system(11, "system.pm2"),
        system(12, "system.performance"),
        system(13, "system.database"),
        system(14, "system.cache"),
        archived(StreamDefinition {
            is_sealed: true,
            is_strict: true,
            is_own_events: true,
            ..stream(15, "system.audit", Some(365), Some(7), Restricted)
        }),
        archived(stream(16, "app.backend", Some(90), Some(7), OwnRecords)),
        archived(stream(17, "app.frontend", Some(90), Some(7), OwnRecords)),
        archived(stream(18, "exceptions", Some(365), Some(30), Restricted)),
        archived(stream(19, "agent.execution", Some(90), Some(7), OwnRecords)),
        archived(stream(20, "mcp.connections", Some(90), Some(7), OwnRecords)),
        archived(stream(
            21,
            "mcp.server_status",
            Some(30),
            Some(7),
            OwnRecords,
        )),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Day, Timestamp};

    #[test]
    fn patterns_and_nearest_names() {
        let catalogue = StreamCatalogue::built_in();
        let names: Vec<_> = catalogue
            .matching("instance.*")
            .map(|s| s.name.to_string())
            .collect();
        assert_eq!(names, ["instance.access", "instance.app", "instance.error"]);
        assert_eq!(catalogue.matching("runtime").count(), 1);
        assert_eq!(&*catalogue.nearest("app.backed")[0], "app.backend");
    }

    #[test]
    fn retention_counts_whole_days() {
        let catalogue = StreamCatalogue::built_in();
        let runtime = catalogue.by_name("runtime").unwrap();
        let now = Timestamp(Day(100).start().0 + 5);
        assert!(!runtime.is_expired(Day(70).start(), now));
        assert!(runtime.is_expired(Day(69).end(), now));
        assert!(
            !catalogue
                .by_name("governance")
                .unwrap()
                .is_expired(Day(0).start(), now)
        );
    }

    #[test]
    fn names_are_checked() {
        let mut catalogue = StreamCatalogue::built_in();
        let template = StreamDefinition::clone(catalogue.by_name("runtime").unwrap());
        let with = |name: &str, number| StreamDefinition {
            name: name.into(),
            number: StreamNumber(number),
            ..template.clone()
        };
        assert_eq!(catalogue.add(with("machine", 1_000)), Ok(()));
        assert!(matches!(
            catalogue.add(with("machine", 1_001)),
            Err(StreamError::Duplicate(_))
        ));
        for bad in ["", "Bad", "a b", "1a", "ä"] {
            assert!(
                matches!(catalogue.add(with(bad, 1_002)), Err(StreamError::Name(_))),
                "{bad}"
            );
        }
    }
}
