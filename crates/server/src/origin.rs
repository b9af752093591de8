//! Whether a request comes from a page of this server, of another website, or from no page.
//!
//! `Sec-Fetch-Site` and `Origin` are written by the browser; a page cannot set them. The cookie is
//! `SameSite=Strict` besides, so this is the second lock on the same door, and the only one for a
//! WebSocket.
use axum::http::{HeaderMap, header};

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A page of this server.
    Same,
    /// Another website.
    Foreign,
    /// Not said: no browser, or an old one.
    Unsaid,
}

pub(crate) fn of(headers: &HeaderMap) -> Origin {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match text("sec-fetch-site") {
        Some("same-origin") => return Origin::Same,
        // Typed into the address bar or opened from a bookmark.
        Some("none") => return Origin::Unsaid,
        Some(_) => return Origin::Foreign,
        None => {}
    }
    let Some(origin) = text(header::ORIGIN.as_str()) else {
        return Origin::Unsaid;
    };
    let host = origin.split_once("://").map(|(_, host)| host);
    let is_same = host.is_some() && host == text(header::HOST.as_str());
    if is_same {
        Origin::Same
    } else {
        Origin::Foreign
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (headers, expected) in [
            (&[][..], Origin::Unsaid),
            (&[("host", "h:1")], Origin::Unsaid),
            (&[("host", "h:1"), ("origin", "http://h:1")], Origin::Same),
            (
                &[("host", "h:1"), ("origin", "http://h:2")],
                Origin::Foreign,
            ),
            (&[("host", "h:1"), ("origin", "http://h")], Origin::Foreign),
            (&[("host", "h:1"), ("origin", "null")], Origin::Foreign),
            (&[("host", "h:1"), ("origin", "")], Origin::Foreign),
            (&[("origin", "http://h:1")], Origin::Foreign),
            (&[("sec-fetch-site", "same-origin")], Origin::Same),
            (&[("sec-fetch-site", "same-site")], Origin::Foreign),
            (&[("sec-fetch-site", "cross-site")], Origin::Foreign),
            (&[("sec-fetch-site", "none")], Origin::Unsaid),
        ] {
            let map = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect();
            assert_eq!(of(&map), expected, "{headers:?}");
        }
    }
}
