//! Routing: which stream each record goes to.
//!
//! The first rule of the table that matches decides; a record that no rule matches stays where
//! it was sent. Without rules nothing is looked at.
use crate::{
    config::{ConfigError, RouteRule, RoutingConfig},
    rows::Targets,
};
use taffrail_model::{
    column::{Column, ColumnSet},
    field,
    level::Level,
    stream::{StreamCatalogue, StreamDefinition},
};

/// The routing table, checked.
#[derive(Debug)]
pub(crate) struct Router {
    rules: Vec<RouteRule>,
}

impl Router {
    pub(crate) fn new(config: &RoutingConfig) -> Result<Router, ConfigError> {
        for (index, rule) in config.rules.iter().enumerate() {
            let fault = rule
                .fields
                .iter()
                .find(|condition| condition.equals.is_some() == condition.prefix.is_some());
            if let Some(condition) = fault {
                return Err(ConfigError::RouteCondition {
                    rule: index + 1,
                    field: condition.field.clone(),
                });
            }
        }
        Ok(Router {
            rules: config.rules.clone(),
        })
    }

    /// Whether every stream that the rules send to exists.
    pub(crate) fn check(&self, catalogue: &StreamCatalogue) -> Result<(), ConfigError> {
        for (index, rule) in self.rules.iter().enumerate() {
            if catalogue.by_name(&rule.to).is_none() {
                return Err(ConfigError::RouteStream {
                    rule: index + 1,
                    stream: rule.to.clone(),
                });
            }
        }
        Ok(())
    }

    /// For each row the stream that a rule sends it to; `None` for all that stay. A rule whose
    /// stream is not in the catalogue sends nothing.
    pub(crate) fn route(
        &self,
        columns: &ColumnSet,
        sent_to: &StreamDefinition,
        catalogue: &StreamCatalogue,
    ) -> Option<Targets> {
        let rules: Vec<_> = self
            .rules
            .iter()
            .filter(|rule| looks_at(rule, &sent_to.name))
            .filter_map(|rule| Some((rule, catalogue.by_name(&rule.to)?)))
            .collect();
        if rules.is_empty() {
            return None;
        }
        let mut targets = vec![None; columns.rows() as usize];
        for (rule, stream) in rules {
            let conditions = Conditions::of(rule, columns);
            for (row, target) in (0u32..).zip(&mut targets) {
                if target.is_none() && conditions.hold(row) {
                    *target = Some(stream.clone());
                }
            }
        }
        Some(targets)
    }
}

fn looks_at(rule: &RouteRule, stream: &str) -> bool {
    rule.streams.is_empty()
        || rule
            .streams
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => stream.starts_with(prefix),
                None => pattern == stream,
            })
}

/// The conditions of a rule with the columns that they look at.
struct Conditions<'a> {
    fields: Vec<(&'a crate::config::FieldCondition, Option<&'a Column>)>,
    level: Option<(Level, Option<&'a Column>)>,
}

impl<'a> Conditions<'a> {
    fn of(rule: &'a RouteRule, columns: &'a ColumnSet) -> Conditions<'a> {
        Conditions {
            fields: rule
                .fields
                .iter()
                .map(|condition| {
                    let name = field::canonical_name(&condition.field);
                    (condition, columns.get(name))
                })
                .collect(),
            level: rule
                .level_min
                .map(|level| (level, columns.get(field::LEVEL))),
        }
    }

    fn hold(&self, row: u32) -> bool {
        let level_holds = self.level.is_none_or(|(least, column)| {
            column
                .and_then(|column| Level::from_name(column.get(row)?.text))
                .is_some_and(|level| level >= least)
        });
        level_holds
            && self.fields.iter().all(|(condition, column)| {
                let Some(value) = column.and_then(|column| column.get(row)) else {
                    return false;
                };
                match (&condition.equals, &condition.prefix) {
                    (Some(text), _) => value.text == text,
                    (None, Some(prefix)) => value.text.starts_with(prefix.as_str()),
                    (None, None) => false,
                }
            })
    }
}
