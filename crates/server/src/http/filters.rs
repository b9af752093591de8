//! The filters of the log routes of the requirements, and how they are said in the answer.
use super::question::{QuestionParts, read_as_of, read_words, write_as_of, write_completeness};
use crate::{parameters::Parameters, record_json::write_text};
use serde_json::{Map, Value};
use taffrail_engine::{
    query::{Expr, Order, Page, Row},
    read::{Answer, PageQuestion},
};
use taffrail_model::{
    access::Principal,
    level::Level,
    limits::OFFSET_RECORDS_MAX,
    time::{TimeRange, Timestamp},
};

/// Records of a page, if nothing else is asked for.
const LIMIT: usize = 100;
/// Records of a page at the most, as the requirements say.
const LIMIT_MAX: usize = 1_000;

/// Which words stand for levels.
#[derive(Clone, Copy)]
pub(crate) enum LevelWords {
    /// The six levels and whatever other systems call them.
    Canonical,
    /// The four that the MCP routes print; each stands for all levels that print so.
    Mcp,
}

impl LevelWords {
    fn all(self) -> Vec<&'static str> {
        let name = match self {
            LevelWords::Canonical => Level::name,
            LevelWords::Mcp => Level::mcp_name,
        };
        let mut names: Vec<_> = Level::ALL.into_iter().map(name).collect();
        names.dedup();
        names
    }

    /// The name of a word, and the levels that it stands for.
    fn read(self, word: &str) -> Option<(&'static str, Vec<Level>)> {
        match self {
            LevelWords::Canonical => {
                let level = Level::from_foreign(word)?;
                Some((level.name(), vec![level]))
            }
            LevelWords::Mcp => {
                let is_name = |name: &&str| name.eq_ignore_ascii_case(word);
                let name = self.all().into_iter().find(is_name)?;
                let levels = Level::ALL.into_iter();
                let levels = levels.filter(|level| level.mcp_name() == name);
                Some((name, levels.collect()))
            }
        }
    }
}

/// The filters of a request, and as they are said in the answer.
pub(crate) struct Filters {
    pub(crate) parts: QuestionParts,
    applied: Map<String, Value>,
}

impl Filters {
    /// Reads `level`, `search`, `q`, and a parameter for each of these (name, field).
    pub(crate) fn read(
        asked: &mut Parameters,
        fields: &[(&'static str, &'static str)],
        levels: LevelWords,
    ) -> Filters {
        let mut filters = Filters {
            parts: QuestionParts::default(),
            applied: Map::new(),
        };
        for (name, of_field) in fields {
            if let Some(text) = asked.text(name) {
                let condition = Expr::field_is(of_field, &text);
                filters.parts.conditions.push(condition);
                filters.apply(name, text);
            }
        }
        filters.read_levels(asked, levels);
        let words = read_words(asked);
        if !words.is_empty() {
            filters.apply("search", words.clone());
            filters.parts.words = words;
        }
        if let Some(query) = asked.text("q") {
            filters.apply("q", query.clone());
            filters.parts.query = query;
        }
        filters
    }

    /// Reads `start_time`, `end_time`, `timezone`, `as_of`.
    pub(super) fn read_times(&mut self, asked: &mut Parameters, now: Timestamp) {
        let as_of = read_as_of(asked, now);
        let zone = asked.zone();
        let range = asked.range(as_of.moment, &zone);
        self.parts.as_of = Some(as_of);
        self.parts.zone = Some(zone);
        if range.start != TimeRange::ALL.start {
            self.apply("start_time", range.start.to_rfc3339());
        }
        if range.end != TimeRange::ALL.end {
            self.apply("end_time", range.end.to_rfc3339());
        }
        self.parts.range = Some(range);
    }

    fn apply(&mut self, name: &str, said: impl Into<Value>) {
        self.applied.insert(name.into(), said.into());
    }

    fn read_levels(&mut self, asked: &mut Parameters, words: LevelWords) {
        let Some(texts) = asked.texts("level") else {
            return;
        };
        let mut names: Vec<Value> = Vec::new();
        let mut levels = Vec::new();
        for text in &texts {
            match words.read(text) {
                Some((name, stands_for)) => {
                    names.push(name.into());
                    levels.extend(stands_for);
                }
                None => asked.fault("level", format!("must be of {}", words.all().join(", "))),
            }
        }
        if levels.is_empty() {
            return;
        }
        let said = match <[Value; 1]>::try_from(names) {
            Ok([one]) => one,
            Err(several) => Value::Array(several),
        };
        self.apply("level", said);
        let any = Expr::any_of(levels.into_iter().map(Expr::level_is));
        self.parts.conditions.push(any);
    }

    /// `{"data": {"logs", "pagination", "filters_applied", …}}`.
    pub(super) fn answer(
        self,
        answer: &Answer<Page>,
        page: &PageQuestion,
        principal: &Principal,
        write_rows: impl FnOnce(&mut Vec<u8>, &[Row]),
    ) -> Vec<u8> {
        let found = &answer.value;
        let mut out = br#"{"data":{"logs":"#.to_vec();
        write_rows(&mut out, &found.rows);
        let pagination = format!(
            r#","pagination":{{"total":{},"limit":{},"offset":{},"has_more":{},"cursor":"#,
            found.total.unwrap_or_default(),
            page.limit,
            page.offset,
            found.cursor.is_some(),
        );
        out.extend_from_slice(pagination.as_bytes());
        match &found.cursor {
            Some(cursor) => write_text(&mut out, &cursor.to_string()),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#"},"filters_applied":"#);
        out.extend_from_slice(Value::Object(self.applied).to_string().as_bytes());
        write_as_of(&mut out, &answer.as_of);
        write_completeness(&mut out, &answer.completeness, principal);
        out.extend_from_slice(b"}}");
        out
    }
}

/// Reads `limit`, `offset`, `cursor`; the latest records come first.
pub(super) fn read_page(asked: &mut Parameters) -> PageQuestion {
    PageQuestion {
        order: Order::Descending,
        limit: asked.number("limit", 1..=LIMIT_MAX).unwrap_or(LIMIT),
        offset: asked.number("offset", 0..=OFFSET_RECORDS_MAX).unwrap_or(0),
        cursor: asked.text("cursor").filter(|cursor| !cursor.is_empty()),
        fields: None,
        is_counted: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: LevelWords, word: &str, expected: Option<(&'static str, &[Level])>) {
        let read = words.read(word);
        let read = read.as_ref().map(|(name, levels)| (*name, &levels[..]));
        assert_eq!(read, expected, "{word}");
    }

    #[test]
    fn the_words_of_the_mcp_routes_stand_for_what_prints_so() {
        use Level::{Critical, Debug, Error, Info, Trace, Warn};
        let mcp = LevelWords::Mcp;
        check(mcp, "debug", Some(("debug", &[Trace, Debug])));
        check(mcp, "info", Some(("info", &[Info])));
        check(mcp, "warn", Some(("warn", &[Warn])));
        check(mcp, "ERROR", Some(("error", &[Error, Critical])));
        for other in ["critical", "trace", "warning", ""] {
            check(mcp, other, None);
        }
        let canonical = LevelWords::Canonical;
        check(canonical, "error", Some(("error", &[Error])));
        check(canonical, "FATAL", Some(("critical", &[Critical])));
        check(canonical, "loud", None);
        assert_eq!(mcp.all(), ["debug", "info", "warn", "error"]);
        assert_eq!(canonical.all().len(), 6);
    }
}
