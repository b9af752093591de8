//! The parameters of a request, as far as its record needs them.
use super::{
    TEXT_BYTES_MAX,
    calls::{Call, Software, Target},
    clipped,
    id::Id,
    members::{members, string},
    traceparent::TraceParent,
};

pub(super) const META_PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CLIENT: &str = "io.modelcontextprotocol/clientInfo";

/// Reads what a record needs of a request's parameters.
pub(super) fn read_params(call: &mut Call, params: &str, contents_bytes_max: usize) {
    let parts = members(params, &["name", "uri", "arguments", "_meta", "clientInfo"]);
    let [name, uri, arguments, meta, client] = parts.map_or([None; 5], |parts| parts.values);
    let text = |json: Option<&str>| {
        let text = json.and_then(string)?;
        Some(clipped(&text, TEXT_BYTES_MAX).to_string())
    };
    call.target = match call.method.as_str() {
        "tools/call" => text(name).map(Target::Tool),
        "prompts/get" => text(name).map(Target::Prompt),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            text(uri).map(Target::Resource)
        }
        _ => None,
    };
    let has_arguments = matches!(call.target, Some(Target::Tool(_) | Target::Prompt(_)));
    let contents = if has_arguments {
        arguments.unwrap_or_default()
    } else {
        params
    };
    call.arguments_bytes = contents.len() as u64;
    if contents_bytes_max > 0 && !contents.is_empty() {
        let kept = clipped(contents, contents_bytes_max);
        call.arguments = Some((kept.to_string(), kept.len() < contents.len()));
    }
    if call.method == "initialize" {
        call.client = client.map(read_software);
    }
    let names = [
        "progressToken",
        "traceparent",
        META_PROTOCOL_VERSION,
        META_CLIENT,
    ];
    let Some(found) = meta.and_then(|meta| members(meta, &names)) else {
        return;
    };
    let [token, trace, version, client] = found.values;
    call.token = token.and_then(|token| Id::of(token).ok());
    call.trace = trace
        .and_then(string)
        .and_then(|text| TraceParent::parse(&text));
    call.protocol_version = text(version);
    call.client = client.map(read_software).or(call.client.take());
}

/// Name and version of a client or server.
pub(super) fn read_software(json: &str) -> Software {
    let parts = members(json, &["name", "version"]);
    let [name, version] = parts.map_or([None; 2], |parts| parts.values);
    let text = |json: Option<&str>| {
        let text = json.and_then(string)?;
        Some(clipped(&text, TEXT_BYTES_MAX).to_string())
    };
    Software {
        name: text(name),
        version: text(version),
    }
}
