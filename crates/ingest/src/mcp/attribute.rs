//! Names of attributes. Source: OpenTelemetry semantic conventions for MCP (the repository
//! `semantic-conventions-genai`, page `docs/gen-ai/mcp.md`); what they do not name comes after
//! them and has its unit last.

/// Method of a request or notification.
pub const METHOD_NAME: &str = "mcp.method.name";
/// Id of a request, as text.
pub const REQUEST_ID: &str = "jsonrpc.request.id";
/// Version of JSON-RPC; written only if it is not `2.0`.
pub const JSONRPC_VERSION: &str = "jsonrpc.protocol.version";
/// Tool that was called.
pub const TOOL_NAME: &str = "gen_ai.tool.name";
/// `execute_tool` for a call of a tool, absent otherwise.
pub const OPERATION_NAME: &str = "gen_ai.operation.name";
/// Arguments of a tool call as JSON text, if contents are kept.
pub const TOOL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";
/// Result of a tool call as JSON text, if contents are kept.
pub const TOOL_RESULT: &str = "gen_ai.tool.call.result";
/// Prompt that was asked for.
pub const PROMPT_NAME: &str = "gen_ai.prompt.name";
/// Resource that was read, subscribed to or updated.
pub const RESOURCE_URI: &str = "mcp.resource.uri";
/// Session of the HTTP transport until 2025-11-25.
pub const SESSION_ID: &str = "mcp.session.id";
/// Version of the protocol.
pub const PROTOCOL_VERSION: &str = "mcp.protocol.version";
/// Code of a JSON-RPC error, as text.
pub const STATUS_CODE: &str = "rpc.response.status_code";
/// Class of an error: the JSON-RPC code, `tool_error`, `cancelled`, `timeout`, an HTTP status.
pub const ERROR_TYPE: &str = "error.type";
/// Text of an error.
pub const ERROR_MESSAGE: &str = "error.message";
/// `pipe` or `tcp`.
pub const TRANSPORT: &str = "network.transport";
/// `http`.
pub const NETWORK_PROTOCOL_NAME: &str = "network.protocol.name";
/// `1.1`, `2`.
pub const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
/// Method of an HTTP request.
pub const HTTP_METHOD: &str = "http.request.method";
/// Status of an HTTP answer.
pub const HTTP_STATUS: &str = "http.response.status_code";
/// Path of an HTTP request.
pub const URL_PATH: &str = "url.path";
/// Host of the server that a proxy stands before.
pub const SERVER_ADDRESS: &str = "server.address";
/// Port of that server.
pub const SERVER_PORT: &str = "server.port";

/// Who sent a request: `client` or `server`.
pub const SENDER: &str = "mcp.request.sender";
/// How a request ended: see [`crate::mcp::told::Outcome`].
pub const OUTCOME: &str = "mcp.outcome";
/// Bytes of the whole request message.
pub const REQUEST_BYTES: &str = "mcp.request.bytes";
/// Bytes of the whole answer message.
pub const RESPONSE_BYTES: &str = "mcp.response.bytes";
/// Bytes of a call's arguments (of all parameters where a method has no arguments).
pub const ARGUMENTS_BYTES: &str = "mcp.arguments.bytes";
/// Bytes of the result.
pub const RESULT_BYTES: &str = "mcp.result.bytes";
/// `resultType` of a result, 2026-07-28.
pub const RESULT_TYPE: &str = "mcp.result.type";
/// Parameters of a request other than a tool call as JSON text, if contents are kept.
pub const REQUEST_PARAMS: &str = "mcp.request.params";
/// Result of a request other than a tool call as JSON text, if contents are kept.
pub const RESPONSE_RESULT: &str = "mcp.response.result";
/// Contents were cut.
pub const CONTENTS_TRUNCATED: &str = "mcp.contents.truncated";
/// Why a request was cancelled.
pub const CANCEL_REASON: &str = "mcp.cancel.reason";
/// Progress notifications that came.
pub const PROGRESS_COUNT: &str = "mcp.progress.count";
/// The last progress.
pub const PROGRESS_LAST: &str = "mcp.progress.last";
/// Its total.
pub const PROGRESS_TOTAL: &str = "mcp.progress.total";
/// Notifications that a `subscriptions/listen` received.
pub const SUBSCRIPTION_COUNT: &str = "mcp.subscription.notifications";
/// `subscriptions/listen` that a notification belongs to.
pub const SUBSCRIPTION_ID: &str = "mcp.subscription.id";
/// Events of a stream of an HTTP answer.
pub const STREAM_EVENTS: &str = "mcp.stream.events";
/// Name of the client software, as it says.
pub const CLIENT_NAME: &str = "mcp.client.name";
/// Version of the client software, as it says.
pub const CLIENT_VERSION: &str = "mcp.client.version";
/// Name of the server software, as it says.
pub const SERVER_NAME: &str = "mcp.server.name";
/// Version of the server software, as it says.
pub const SERVER_VERSION: &str = "mcp.server.version";
/// Kind of a breach of the protocol.
pub const VIOLATION: &str = "mcp.violation";
/// How many of the kind there have been.
pub const VIOLATION_COUNT: &str = "mcp.violation.count";
/// The first bytes of what was said, control characters and all.
pub const EXCERPT: &str = "mcp.excerpt";
/// Bytes that were not recorded.
pub const LOST_BYTES: &str = "mcp.recording.lost_bytes";
/// HTTP exchanges that were not recorded.
pub const LOST_EXCHANGES: &str = "mcp.recording.lost_exchanges";
/// The recording has gaps, so an answer may have passed unseen.
pub const INCOMPLETE: &str = "mcp.recording.incomplete";
