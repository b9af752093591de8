//! Names of fields: the canonical ones, and the aliases that stand for them on input and in
//! queries. Source: the table "Record" of the data model.

use std::borrow::Cow;

/// UTC time of the record; stored as a column of its own, not as text.
pub const TIMESTAMP: &str = "timestamp";
/// Public id; derived, never stored.
pub const ID: &str = "id";
/// Severity.
pub const LEVEL: &str = "level";
/// What happened, for a person.
pub const MESSAGE: &str = "message";
/// Stream; part of the partition, never stored as a column.
pub const STREAM: &str = "stream";
/// Tenant; part of the partition, never stored as a column.
pub const TENANT: &str = "tenant";
/// Which program.
pub const SOURCE: &str = "source";
/// Which module path.
pub const LOGGER: &str = "logger";
/// Trace.
pub const TRACE_ID: &str = "trace_id";
/// Span.
pub const SPAN_ID: &str = "span_id";
/// Correlation id, where it differs from the trace id.
pub const CORRELATION_ID: &str = "correlation_id";
/// Whose record.
pub const USER_ID: &str = "user_id";
/// Which MCP instance.
pub const INSTANCE_ID: &str = "instance_id";
/// Duration in milliseconds.
pub const DURATION_MS: &str = "duration_ms";
/// Level word that the table of levels does not know.
pub const SEVERITY_TEXT: &str = "severity_text";
/// Original timestamp of a record from the future.
pub const TIMESTAMP_ORIGINAL: &str = "timestamp_original";
/// Names of the fields that the server filled in, as a JSON array.
pub const FILLED: &str = "metadata.filled";
/// Receive time; stored so that `created_at` can be answered.
pub const CREATED_AT: &str = "created_at";
/// Attributes past the limit of fields, as one JSON object.
pub const OVERFLOW: &str = "_overflow";

/// A canonical field and the names that stand for it.
#[derive(Clone, Copy, Debug)]
pub struct CanonicalField {
    /// Canonical name.
    pub name: &'static str,
    /// Aliases in order of precedence.
    pub aliases: &'static [&'static str],
}

/// Every canonical field that has aliases, in the order of the data model's table.
pub const CANONICAL: &[CanonicalField] = &[
    CanonicalField {
        name: TIMESTAMP,
        aliases: &["time", "ts", "@timestamp", "_time", "eventTime"],
    },
    CanonicalField {
        name: LEVEL,
        aliases: &["severity", "lvl", "log.level"],
    },
    CanonicalField {
        name: MESSAGE,
        aliases: &["msg", "_msg", "body", "log"],
    },
    CanonicalField {
        name: SOURCE,
        aliases: &["service", "service.name", "app"],
    },
    CanonicalField {
        name: LOGGER,
        aliases: &["module", "logger_name", "target"],
    },
    CanonicalField {
        name: TRACE_ID,
        aliases: &["correlation_id", "x-correlation-id", "traceId"],
    },
    CanonicalField {
        name: SPAN_ID,
        aliases: &["spanId"],
    },
    CanonicalField {
        name: "request_id",
        aliases: &["requestId", "context.request_id"],
    },
    CanonicalField {
        name: "session_id",
        aliases: &["sessionId", "context.session_id"],
    },
    CanonicalField {
        name: "task_id",
        aliases: &["taskId", "context.task_id"],
    },
    CanonicalField {
        name: "workflow_id",
        aliases: &["workflowId", "context.workflow_id"],
    },
    CanonicalField {
        name: "agent_id",
        aliases: &["agentId", "context.agent_id"],
    },
    CanonicalField {
        name: "server_id",
        aliases: &["serverId", "context.server_id"],
    },
    CanonicalField {
        name: "connection_id",
        aliases: &["connectionId", "context.connection_id"],
    },
    CanonicalField {
        name: USER_ID,
        aliases: &["userId", "context.user_id"],
    },
    CanonicalField {
        name: INSTANCE_ID,
        aliases: &["instanceId", "context.instance_id"],
    },
    CanonicalField {
        name: DURATION_MS,
        aliases: &["duration", "latency_ms", "response_time_ms"],
    },
    CanonicalField {
        name: "request_path",
        aliases: &["path", "url.path", "http.path", "http.route"],
    },
    CanonicalField {
        name: "cost_usd",
        aliases: &["cost", "gen_ai.usage.cost"],
    },
    CanonicalField {
        name: "input_tokens",
        aliases: &["gen_ai.usage.input_tokens"],
    },
    CanonicalField {
        name: "output_tokens",
        aliases: &["gen_ai.usage.output_tokens"],
    },
    CanonicalField {
        name: "error.type",
        aliases: &["exception.type", "err.type", "err.name"],
    },
    CanonicalField {
        name: "error.message",
        aliases: &["exception.message", "err.message"],
    },
    CanonicalField {
        name: "error.stack",
        aliases: &[
            "exception.stack",
            "exception.stacktrace",
            "err.stack",
            "stack",
        ],
    },
];

/// The canonical name that `name` stands for in a query; `name` itself if it is no alias.
/// `id` aliases are included here, since a query may use them.
#[must_use]
pub fn canonical_name(name: &str) -> &str {
    if name == "log_id" || name == "_id" {
        return ID;
    }
    CANONICAL
        .iter()
        .find(|field| field.name == name || field.aliases.contains(&name))
        .map_or(name, |field| field.name)
}

/// The value of a field as it is stored: ids of W3C Trace Context (32 hex digits of a trace or
/// correlation, 16 of a span) in lower case, anything else as it came, ULIDs among it.
#[must_use]
pub fn stored_id<'v>(name: &str, value: &'v str) -> Cow<'v, str> {
    let digits = match name {
        TRACE_ID | CORRELATION_ID => 32,
        SPAN_ID => 16,
        _ => return Cow::Borrowed(value),
    };
    let is_upper_hex = value.len() == digits
        && value.bytes().all(|b| b.is_ascii_hexdigit())
        && value.bytes().any(|b| b.is_ascii_uppercase());
    match is_upper_hex {
        true => Cow::Owned(value.to_ascii_lowercase()),
        false => Cow::Borrowed(value),
    }
}

/// Whether a bare word or phrase of a query looks into this column: every text column but level,
/// stream, tenant, id and the server's own notes.
#[must_use]
pub fn is_full_text(name: &str) -> bool {
    !matches!(
        name,
        LEVEL | STREAM | TENANT | ID | TIMESTAMP | CREATED_AT | FILLED
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_alias_stands_for_two_fields() {
        let mut seen = std::collections::HashSet::new();
        for field in CANONICAL {
            assert!(seen.insert(field.name), "{}", field.name);
            for alias in field.aliases {
                assert!(seen.insert(alias), "{alias}");
            }
        }
    }

    #[test]
    fn hex_ids_are_lower_case() {
        let check = |name, value, expected| assert_eq!(stored_id(name, value), expected, "{value}");
        let (upper, lower) = (
            "4BF92F3577B34DA6A3CE929D0E0E4736",
            "4bf92f3577b34da6a3ce929d0e0e4736",
        );
        check(TRACE_ID, upper, lower);
        check(CORRELATION_ID, upper, lower);
        check(TRACE_ID, lower, lower);
        check(SPAN_ID, "00F067AA0BA902B7", "00f067aa0ba902b7");
        check(SPAN_ID, upper, upper);
        check(
            TRACE_ID,
            "01HN7Z4B3C2D1E0F9G8H7J6K5M",
            "01HN7Z4B3C2D1E0F9G8H7J6K5M",
        );
        check(MESSAGE, upper, upper);
    }

    #[test]
    fn aliases_resolve() {
        assert_eq!(canonical_name("msg"), MESSAGE);
        assert_eq!(canonical_name("_id"), ID);
        assert_eq!(canonical_name("metadata.env"), "metadata.env");
    }
}
