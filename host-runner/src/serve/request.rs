//! What a browser asks for: a method, a path and the name that it has for this server. Everything else of a request is passed over.

use std::io::Read;

/// Bytes that a request may have before its empty line.
const MOST: usize = 16 << 10;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no request.
    Malformed,
    /// It is meant for another host: a page elsewhere may have let a name of its own lead here.
    OtherHost,
    /// There is nothing.
    NotFound,
    /// Nothing here can be written.
    ReadOnly,
    /// It does not end.
    TooLong,
}

impl Refusal {
    /// The status, and a header that belongs to it.
    pub(super) fn status(self) -> (&'static str, &'static str) {
        match self {
            Self::Malformed => ("400 Bad Request", ""),
            Self::OtherHost => ("403 Forbidden", ""),
            Self::NotFound => ("404 Not Found", ""),
            Self::ReadOnly => ("405 Method Not Allowed", "Allow: GET, HEAD\r\n"),
            Self::TooLong => ("431 Request Header Fields Too Large", ""),
        }
    }
}

/// A request that can be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageRequest {
    /// What it names, without query, and with its escapes resolved.
    pub(super) path: String,
    /// Whether it wants more than the head.
    pub(super) wants_body: bool,
}

impl PageRequest {
    /// Reads a request that must be meant for `port` of this machine.
    pub(super) fn read(stream: &mut impl Read, port: u16) -> Result<Self, Refusal> {
        let head = head(stream)?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (method, target, version) = (words.next(), words.next(), words.next());
        let is_http = version.is_some_and(|version| version.starts_with("HTTP/1.")) && words.next().is_none();
        let target = target.filter(|target| is_http && target.starts_with('/')).ok_or(Refusal::Malformed)?;
        let wants_body = match method {
            Some("GET") => true,
            Some("HEAD") => false,
            _ => return Err(Refusal::ReadOnly),
        };
        let host = lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let is_here = |(_, host): (&str, &str)| {
            ["127.0.0.1", "localhost"].map(|name| format!("{name}:{port}")).iter().any(|here| host.trim() == here)
        };
        if !host.is_some_and(is_here) {
            return Err(Refusal::OtherHost);
        }
        let path = target.split(['?', '#']).next().unwrap_or_default();
        Ok(Self { path: unescaped(path).ok_or(Refusal::Malformed)?, wants_body })
    }
}

/// A request up to its empty line.
fn head(stream: &mut impl Read) -> Result<String, Refusal> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 1024]);
    loop {
        let read = stream.read(&mut chunk).map_err(|_| Refusal::Malformed)?;
        let searched = bytes.len().saturating_sub(3);
        bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
        let is_end = |four: &[u8]| four == b"\r\n\r\n";
        let end = bytes.get(searched..).and_then(|new| new.windows(4).position(is_end));
        if let Some(end) = end {
            bytes.truncate(searched.saturating_add(end));
            return String::from_utf8(bytes).map_err(|_| Refusal::Malformed);
        }
        if bytes.len() > MOST {
            return Err(Refusal::TooLong);
        }
        if read == 0 {
            return Err(Refusal::Malformed);
        }
    }
}

/// A path with its escapes resolved; none where one is none, or what comes out is not UTF-8.
fn unescaped(path: &str) -> Option<String> {
    let mut pieces = path.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PageRequest, Refusal> {
        PageRequest::read(&mut text.as_bytes(), 80)
    }

    #[test]
    fn a_path_is_read_without_its_query_and_with_its_escapes_resolved() {
        let request = read("GET /a%20b/%C3%A4?x=%zz HTTP/1.1\r\nAccept: *\r\nhOST: localhost:80\r\n\r\nrest");
        assert_eq!(request, Ok(PageRequest { path: "/a b/ä".to_owned(), wants_body: true }));
    }

    #[test]
    fn escapes_that_are_none_are_refused() {
        for path in ["/%", "/%4", "/%+1", "/%zz", "/%ff", "/%é"] {
            let request = read(&format!("GET {path} HTTP/1.1\r\nHost: localhost:80\r\n\r\n"));
            assert_eq!(request, Err(Refusal::Malformed), "{path}");
        }
    }

    #[test]
    fn a_request_that_is_cut_off_is_none() {
        assert_eq!(read("GET / HTTP/1.1\r\nHost: localhost:80\r\n"), Err(Refusal::Malformed));
        assert_eq!(read(""), Err(Refusal::Malformed));
    }
}
