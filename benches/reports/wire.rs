//! Between a service and its PostgreSQL server, to write down what the one has the other do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail, ensure};
use chrono::{NaiveDate, TimeDelta};
use sea_orm_migration::sea_orm::sqlx::ConnectOptions as _;
use sea_orm_migration::sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, split};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;

/// A statement as it was carried out.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// With `$1` and so on where values were given.
    pub(super) text: String,
    /// In their order.
    pub(super) values: Vec<Given>,
}

/// A value that came with a statement.
#[derive(Clone, Debug)]
pub(super) enum Given {
    Null,
    Uuid,
    /// Of any other type, as the server reads it.
    Text(String),
}

type Heard = Arc<Mutex<anyhow::Result<Vec<Sent>>>>;

/// A port on which the server answers, and all is written down. Dropped, it is closed.
pub(super) struct Wire {
    url: String,
    heard: Heard,
    listening: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Wire {
    /// Whether the server can be spoken to in the clear, as far as the URL says.
    pub(super) fn reaches(url: &str) -> anyhow::Result<bool> {
        let server: PgConnectOptions = url.parse()?;
        Ok(matches!(
            server.get_ssl_mode(),
            PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer
        ))
    }

    /// In front of that server.
    pub(super) async fn to(url: &str) -> anyhow::Result<Self> {
        let server: PgConnectOptions = url.parse()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut here = server.clone().ssl_mode(PgSslMode::Disable).to_url_lossy();
        here.set_host(Some("127.0.0.1"))?;
        let placed = here.set_port(Some(listener.local_addr()?.port()));
        ensure!(placed.is_ok(), "the URL takes no port");
        let heard: Heard = Arc::new(Mutex::new(Ok(Vec::new())));
        let into = heard.clone();
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, heard) = (server.clone(), into.clone());
                tokio::spawn(async move {
                    // What goes wrong shows where the statements are asked for.
                    if let Err(error) = pass(client, &server, &heard).await {
                        *heard.lock().unwrap_or_else(PoisonError::into_inner) = Err(error);
                    }
                });
            }
        });
        Ok(Self { url: here.to_string(), heard, listening })
    }

    /// Where the server answers now.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What was carried out since this was asked last.
    pub(super) fn take(&self) -> anyhow::Result<Vec<Sent>> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *heard, Ok(Vec::new()))
    }
}

/// Passes on whatever comes, both ways, until the client is gone.
async fn pass(client: TcpStream, server: &PgConnectOptions, heard: &Heard) -> anyhow::Result<()> {
    client.set_nodelay(true)?;
    let (host, port) = (server.get_host(), server.get_port());
    let folder = server.get_socket().cloned();
    match folder.or_else(|| host.starts_with('/').then(|| host.into())) {
        Some(folder) => {
            let socket = folder.join(format!(".s.PGSQL.{port}"));
            pass_on(client, UnixStream::connect(socket).await?, heard).await
        }
        None => {
            let server = TcpStream::connect((host, port)).await?;
            server.set_nodelay(true)?;
            pass_on(client, server, heard).await
        }
    }
}

async fn pass_on(
    client: TcpStream,
    server: impl AsyncRead + AsyncWrite,
    heard: &Heard,
) -> anyhow::Result<()> {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), split(server));
    let asking = async {
        let mut prepared = HashMap::new();
        // The first message has no kind.
        let mut length = [0; 4];
        from_client.read_exact(&mut length).await?;
        let mut message = length.to_vec();
        let rest = read(&mut from_client, length).await?;
        message.extend(rest);
        to_server.write_all(&message).await?;
        loop {
            let mut head = [0; 5];
            if from_client.read_exact(&mut head).await.is_err() {
                return Ok(());
            }
            let [kind, length @ ..] = head;
            let body = read(&mut from_client, length).await?;
            // Before the server can have answered, and anybody asks for it.
            if let Some(sent) = understood(kind, &body, &mut prepared)?
                && let Ok(heard) = &mut *heard.lock().unwrap_or_else(PoisonError::into_inner)
            {
                heard.push(sent);
            }
            to_server.write_all(&head).await?;
            to_server.write_all(&body).await?;
        }
    };
    let answering = copy(&mut from_server, &mut to_client);
    tokio::select! {
        asked = asking => asked,
        // The server is gone: the client learns it by itself.
        _ = answering => Ok(()),
    }
}

/// What follows the length of a message, which counts itself.
async fn read(from: &mut (impl AsyncRead + Unpin), length: [u8; 4]) -> anyhow::Result<Vec<u8>> {
    let length = usize::try_from(u32::from_be_bytes(length))?.checked_sub(4);
    let mut body = vec![0; length.context("a message has no length")?];
    from.read_exact(&mut body).await?;
    Ok(body)
}

/// Statements by the names that their connection has for them, with the types of their values.
type Prepared = HashMap<String, (String, Vec<u32>)>;

/// The statement that a message has the server carry out.
fn understood(kind: u8, body: &[u8], prepared: &mut Prepared) -> anyhow::Result<Option<Sent>> {
    let mut body = Body(body);
    match kind {
        b'Q' => Ok(Some(Sent { text: body.text()?, values: Vec::new() })),
        b'P' => {
            let (name, text) = (body.text()?, body.text()?);
            let types = (0..body.short()?).map(|_| body.long()).collect::<Result<_, _>>()?;
            prepared.insert(name, (text, types));
            Ok(None)
        }
        b'B' => {
            let (_portal, name) = (body.text()?, body.text()?);
            let (text, types) = prepared.get(&name).context("a statement has no text")?.clone();
            let formats =
                (0..body.short()?).map(|_| body.short()).collect::<Result<Vec<_>, _>>()?;
            let binary = |at: usize| match formats.as_slice() {
                [] => false,
                [all] => *all == 1,
                each => each.get(at) == Some(&1),
            };
            let mut values = Vec::new();
            for at in 0..usize::from(body.short()?) {
                let given = body.value()?;
                let of_type = types.get(at).copied().unwrap_or_default();
                values.push(value(given, of_type, binary(at))?);
            }
            Ok(Some(Sent { text, values }))
        }
        _ => Ok(None),
    }
}

/// A value as the server would read it from a text.
fn value(bytes: Option<&[u8]>, of_type: u32, binary: bool) -> anyhow::Result<Given> {
    let Some(bytes) = bytes else { return Ok(Given::Null) };
    Ok(match of_type {
        2950 => Given::Uuid,
        25 | 1043 => Given::Text(std::str::from_utf8(bytes)?.to_owned()),
        _ if !binary => Given::Text(std::str::from_utf8(bytes)?.to_owned()),
        16 => Given::Text((bytes == [1]).to_string()),
        17 => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            Given::Text(format!("\\x{}", digits.collect::<String>()))
        }
        20 => Given::Text(i64::from_be_bytes(bytes.try_into()?).to_string()),
        21 => Given::Text(i16::from_be_bytes(bytes.try_into()?).to_string()),
        23 => Given::Text(i32::from_be_bytes(bytes.try_into()?).to_string()),
        1082 => {
            let days = i32::from_be_bytes(bytes.try_into()?);
            let first = NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or_default();
            Given::Text((first + TimeDelta::days(days.into())).to_string())
        }
        _ => bail!("a value has the type {of_type}, which is not known here"),
    })
}

/// What is left of a message.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn bytes(&mut self, count: usize) -> anyhow::Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count).context("a message ends early")?;
        self.0 = rest;
        Ok(bytes)
    }

    fn short(&mut self) -> anyhow::Result<u16> {
        Ok(u16::from_be_bytes(self.bytes(2)?.try_into()?))
    }

    fn long(&mut self) -> anyhow::Result<u32> {
        Ok(u32::from_be_bytes(self.bytes(4)?.try_into()?))
    }

    /// Up to a zero.
    fn text(&mut self) -> anyhow::Result<String> {
        let end = self.0.iter().position(|byte| *byte == 0).context("a text has no end")?;
        let text = std::str::from_utf8(self.bytes(end)?)?.to_owned();
        self.bytes(1)?;
        Ok(text)
    }

    fn value(&mut self) -> anyhow::Result<Option<&'a [u8]>> {
        match self.long()? {
            u32::MAX => Ok(None),
            length => Ok(Some(self.bytes(usize::try_from(length)?)?)),
        }
    }
}
