//! The page in `web/`, and a folder as its data, for the browsers of this machine: over loopback, read-only, one answer a connection.
//! What a browser sends is hostile like every file of others: a request is short, names a file below the folder, or is refused.

mod folder;
mod request;
mod site;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use stepmark_runner::failure::{Failure, IO, Result};

use folder::ServedFile;
use request::{PageRequest, Refusal};

/// Connections that are answered at once; more are closed.
const MOST_CONNECTIONS: usize = 64;
/// How long a browser may take to ask, and to take a part of the answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it may take to end the connection, and the bytes of a request that are passed over then.
const PARTING: Duration = Duration::from_secs(1);
const MOST_UNREAD: u64 = 1 << 20;
/// Bytes that are passed on at once.
const CHUNK: usize = 64 << 10;
/// Where the page finds the folder.
const DATA: &str = "chain/";

/// Headers of every answer. The policy is the page's own, for its workers and for those who open a file by itself.
const HEADERS: &str = "Content-Security-Policy: default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; \
style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\nReferrer-Policy: no-referrer\r\n\
Cache-Control: no-store\r\nConnection: close\r\n";

/// What is answered with.
enum PageAnswer {
    /// Bytes of ours.
    Bytes(&'static str, Vec<u8>),
    /// A file of the folder.
    File(&'static str, ServedFile),
    /// Nothing but why.
    Refused(Refusal),
}

/// The page, and a folder if there is one.
pub(crate) struct PageServer {
    listener: TcpListener,
    address: SocketAddr,
    folder: Option<PathBuf>,
}

impl PageServer {
    /// Listens on a port of this machine, 0 for any that is free.
    ///
    /// # Errors
    /// Exit code 2 when the folder is none, 74 when the port cannot be had.
    pub(crate) fn listen(port: u16, folder: Option<&Path>) -> Result<Self> {
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Failure::usage(format!("{}: no such directory", folder.display())));
        }
        let failed = |error: io::Error| Failure::new(IO, format!("port {port} cannot be had")).caused_by(error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, folder: folder.map(Path::to_path_buf) })
    }

    /// Where the page is.
    pub(crate) fn url(&self) -> String {
        let query = if self.folder.is_some() { format!("?chain={DATA}") } else { String::new() };
        format!("http://{}/{query}", self.address)
    }

    /// Answers until the process ends.
    pub(crate) fn run(self) {
        let (server, open) = (Arc::new(self), Arc::new(AtomicUsize::new(0)));
        for stream in server.listener.incoming().flatten() {
            if open.fetch_add(1, Ordering::Relaxed) >= MOST_CONNECTIONS {
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (server, open) = (Arc::clone(&server), Arc::clone(&open));
            thread::spawn(move || {
                // A browser that went away is nobody's fault.
                drop(server.serve(stream));
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let (answer, wants_body) = match PageRequest::read(&mut stream, self.address.port()) {
            Err(refusal) => (PageAnswer::Refused(refusal), false),
            Ok(request) => (self.answer(&request.path), request.wants_body),
        };
        send(&mut stream, answer, wants_body)?;
        part(stream)
    }

    /// What there is at a path.
    fn answer(&self, path: &str) -> PageAnswer {
        let inside = path.strip_prefix('/').unwrap_or_default();
        if let Some((kind, bytes)) = site::file(if inside.is_empty() { "index.html" } else { inside }) {
            return PageAnswer::Bytes(kind, bytes.to_vec());
        }
        let (Some(folder), Some(name)) = (&self.folder, inside.strip_prefix(DATA)) else {
            return PageAnswer::Refused(Refusal::NotFound);
        };
        if name.is_empty() {
            return PageAnswer::Bytes("application/json", folder::list(folder).into_bytes());
        }
        folder::open(folder, name)
            .map_or(PageAnswer::Refused(Refusal::NotFound), |file| PageAnswer::File(site::kind_of(name), file))
    }
}

fn send(stream: &mut TcpStream, answer: PageAnswer, wants_body: bool) -> io::Result<()> {
    let mut head = |status: &str, kind: &str, length: u64, more: &str| {
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}{HEADERS}\r\n");
        stream.write_all(head.as_bytes())
    };
    match answer {
        PageAnswer::Bytes(kind, bytes) => {
            head("200 OK", kind, bytes.len() as u64, "")?;
            if wants_body { stream.write_all(&bytes) } else { Ok(()) }
        }
        PageAnswer::File(kind, file) => {
            head("200 OK", kind, file.length(), "")?;
            if wants_body { pass_on(file, stream) } else { Ok(()) }
        }
        PageAnswer::Refused(refusal) => {
            let (status, more) = refusal.status();
            head(status, "text/plain; charset=utf-8", 0, more)
        }
    }
}

/// Ends a connection when the browser has read the answer: of one with bytes that nobody reads the answer would be lost.
fn part(stream: TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(PARTING))?;
    io::copy(&mut stream.take(MOST_UNREAD), &mut io::sink()).map(drop)
}

/// Sends as many bytes as were announced, and no more where the file has grown.
fn pass_on(file: ServedFile, stream: &mut TcpStream) -> io::Result<()> {
    let mut left = file.take_announced();
    let mut chunk = vec![0; CHUNK];
    loop {
        match left.read(&mut chunk)? {
            0 => return Ok(()),
            length => stream.write_all(chunk.get(..length).unwrap_or_default())?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What a server of this folder answers to a request.
    fn ask(folder: Option<&Path>, request: &str) -> (String, Vec<u8>) {
        let server = PageServer::listen(0, folder).expect("a free port");
        let address = server.address;
        thread::spawn(move || server.run());
        let mut stream = TcpStream::connect(address).expect("it listens");
        let request = request.replace("HOST", &address.to_string());
        stream.write_all(request.as_bytes()).expect("it takes the request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let body = answer.split_off(end + 4);
        (String::from_utf8(answer).expect("a head is text"), body)
    }

    fn get(folder: &Path, path: &str) -> (String, Vec<u8>) {
        ask(Some(folder), &format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n\r\n"))
    }

    fn status(folder: &Path, path: &str) -> u16 {
        get(folder, path).0.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
    }

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("files")).expect("a folder");
        for name in ["1.snap", "files/a b.wasm", ".hidden"] {
            fs::write(dir.path().join(name), name).expect("a file");
        }
        dir
    }

    #[test]
    fn the_page_and_the_module_have_their_types_and_the_policy() {
        let dir = folder();
        for (path, kind) in [
            ("/", "text/html; charset=utf-8"),
            ("/main.js", "text/javascript; charset=utf-8"),
            ("/style.css", "text/css; charset=utf-8"),
            ("/stepmark/stepmark.wasm", "application/wasm"),
            ("/?chain=chain/", "text/html; charset=utf-8"),
        ] {
            let (head, body) = get(dir.path(), path);
            assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {head}");
            assert!(
                head.contains(&format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len())),
                "{path}: {head}"
            );
            assert!(head.contains("Content-Security-Policy: default-src 'none';"), "{path}: {head}");
            assert!(!body.is_empty(), "{path}");
        }
    }

    #[test]
    fn the_folder_is_listed_and_its_files_are_handed_out() {
        let dir = folder();
        let (_, list) = get(dir.path(), "/chain/");
        assert_eq!(String::from_utf8(list).expect("JSON"), r#"[".hidden","1.snap","files/a b.wasm"]"#);
        assert_eq!(get(dir.path(), "/chain/1.snap").1, b"1.snap");
        assert_eq!(get(dir.path(), "/chain/files/a%20b.wasm").1, b"files/a b.wasm");
        let (head, body) = ask(Some(dir.path()), "HEAD /chain/1.snap HTTP/1.1\r\nHost: HOST\r\n\r\n");
        assert!(head.contains("Content-Length: 6\r\n") && body.is_empty(), "{head}");
    }

    #[test]
    fn nothing_outside_the_folder_is_handed_out() {
        let dir = folder();
        let inside = dir.path().join("chain");
        fs::create_dir_all(inside.join("files")).expect("a folder");
        for path in [
            "/chain/../1.snap",
            "/chain/%2e%2e/1.snap",
            "/chain/..%2f1.snap",
            "/chain//etc/hostname",
            "/chain/files",
            "/chain/files/",
            "/chain/./1.snap",
            "/chain/none",
            "/chain/a%00b",
            "/none",
            "/../Cargo.toml",
        ] {
            assert_eq!(status(&inside, path), 404, "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn no_link_is_followed() {
        let dir = folder();
        std::os::unix::fs::symlink("1.snap", dir.path().join("2.snap")).expect("a link");
        std::os::unix::fs::symlink("files", dir.path().join("linked")).expect("a link");
        for path in ["/chain/2.snap", "/chain/linked/a%20b.wasm"] {
            assert_eq!(status(dir.path(), path), 404, "{path}");
        }
        assert!(!String::from_utf8(get(dir.path(), "/chain/").1).expect("JSON").contains("linked"));
    }

    #[test]
    fn what_is_no_plain_request_is_refused() {
        for (request, code) in [
            ("POST / HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(), "405"),
            ("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n".to_owned(), "403"),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), "403"),
            ("GET /%zz HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(), "400"),
            ("nonsense\r\n\r\n".to_owned(), "400"),
            (format!("GET / HTTP/1.1\r\nHost: HOST\r\nX: {}\r\n\r\n", "x".repeat(20_000)), "431"),
        ] {
            let (head, body) = ask(None, &request);
            assert!(head.starts_with(&format!("HTTP/1.1 {code} ")), "{request:.60}: {head}");
            assert!(body.is_empty(), "{request:.60}");
        }
    }

    #[test]
    fn a_folder_that_is_none_is_refused_at_once() {
        let dir = folder();
        let failure = PageServer::listen(0, Some(&dir.path().join("1.snap"))).err().expect("it is a file");
        assert_eq!(failure.code(), 2);
    }
}
