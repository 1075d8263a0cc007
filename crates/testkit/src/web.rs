//! A client of plain HTTP/1.1, for what is not called but read.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// For example 404.
    pub status: StatusCode,
    /// The head, without the status.
    pub headers: HeaderMap,
    /// The text.
    pub body: String,
}

impl Answer {
    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    fn of(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ")?;
            Some((name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?))
        });
        Some(Self { status, headers: headers.collect::<Option<_>>()?, body: body.to_owned() })
    }
}

/// Asks with a method, for example `GET`, and headers, on a connection of its own.
///
/// Panics where nobody answers.
pub async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut connection = TcpStream::connect(address).await.expect("a connection");
    let headers = [("host", "test"), ("connection", "close")].iter().chain(headers);
    let headers: String = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("{method} {path} HTTP/1.1\r\n{headers}\r\n");
    connection.write_all(request.as_bytes()).await.expect("a request");
    let mut text = String::new();
    connection.read_to_string(&mut text).await.expect("an answer");
    Answer::of(&text).unwrap_or_else(|| panic!("no answer: {text:?}"))
}
