//! A store that speaks S3, of a test's own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Front;

/// How long the server may take until it listens.
const LIMIT: Duration = Duration::from_secs(60);
const BUCKET: &str = "bao-cao";

/// A server with one bucket, which is gone with the value. It is reached through a [`Front`], so that a test can take it away
/// and have it back as it was.
///
/// Its methods block.
#[derive(Debug)]
pub struct S3 {
    front: Front,
    address: SocketAddr,
    server: Child,
    folder: TempDir,
}

impl S3 {
    /// A new one, with an empty bucket.
    ///
    /// Panics where moto is not installed.
    pub fn new() -> Self {
        let python =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/test-venv/bin/python");
        assert!(python.exists(), "there is no server that speaks S3: run `scripts/setup test`");
        let folder = TempDir::new().expect("a temporary folder");
        let log = folder.path().join("log");
        let said = fs::File::create(&log).expect("a log");
        let server = Command::new(python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .expect("the server's program");
        let begun = Instant::now();
        let address = loop {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let found = said.lines().find_map(|line| line.split_once("Running on http://"));
            if let Some(address) = found.and_then(|(_, address)| address.trim().parse().ok()) {
                break address;
            }
            assert!(begun.elapsed() < LIMIT, "the server does not start: {said}");
            thread::sleep(Duration::from_millis(10));
        };
        let front = Front::new();
        front.add(address);
        for key in ["access_key", "secret_key"] {
            fs::write(folder.path().join(key), format!("{key}-of-a-test\n")).expect("a key");
        }
        let s3 = Self { front, address, server, folder };
        s3.ask("PUT", BUCKET, b"");
        s3
    }

    /// The keys of the configuration by which attached files are in its bucket, below `prefix`.
    pub fn keys(&self, prefix: &str) -> Vec<(&'static str, String)> {
        let file = |name| self.folder.path().join(name).display().to_string();
        vec![
            ("submission.attachments.location", format!("s3://{BUCKET}/{prefix}")),
            ("submission.attachments.endpoint", self.front.url()),
            ("submission.attachments.access_key_file", file("access_key")),
            ("submission.attachments.secret_key_file", file("secret_key")),
        ]
    }

    /// Takes it away: connections are cut, and new ones get nowhere.
    pub fn go_away(&self) {
        self.front.remove(self.address);
        self.front.cut();
    }

    /// Has it back, with all that it held.
    pub fn come_back(&self) {
        self.front.add(self.address);
    }

    /// The keys of all objects in the bucket.
    pub fn objects(&self) -> Vec<String> {
        let listed = String::from_utf8(self.ask("GET", BUCKET, b"")).expect("XML");
        let keys = listed.split("<Key>").skip(1);
        keys.map(|rest| rest.split("</Key>").next().unwrap_or_default().to_owned()).collect()
    }

    /// Uploads in parts that were begun, and neither completed nor given up.
    pub fn unfinished(&self) -> usize {
        let listed = self.ask("GET", &format!("{BUCKET}?uploads"), b"");
        String::from_utf8(listed).expect("XML").matches("<UploadId>").count()
    }

    /// Writes an object over what is there.
    pub fn put(&self, key: &str, body: &[u8]) {
        self.ask("PUT", &format!("{BUCKET}/{key}"), body);
    }

    /// The body of the answer to a request.
    ///
    /// Panics where that is a refusal.
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let mut connection = TcpStream::connect(self.address).expect("a connection");
        let length = body.len();
        // It looks at whether a request is signed, and not at the signature.
        let signed = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
                      SignedHeaders=host, Signature=test";
        let head = format!(
            "{method} /{path} HTTP/1.0\r\nHost: {}\r\nAuthorization: {signed}\r\n\
             Content-Length: {length}\r\n\r\n",
            self.address
        );
        let mut answer = Vec::new();
        connection.write_all(head.as_bytes()).expect("a request");
        connection.write_all(body).expect("a request");
        connection.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        assert_eq!(head.split(' ').nth(1), Some("200"), "{method} {path}: {head}");
        answer.split_off(end + 4)
    }
}

impl Default for S3 {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
