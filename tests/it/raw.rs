//! Calls any rpc of the contract with messages made from its descriptors.

use std::time::Duration;

use dunghan_rpc::Peer;
use dunghan_testkit::refusal;
use prost::Message as _;
use prost::bytes::{Buf as _, BufMut as _};
use prost_reflect::{
    DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, ReflectMessage as _, Value,
};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status, Streaming};

use crate::contract::{has_behavior, ours, path};

/// Hands messages through as the bytes they are.
#[derive(Clone, Copy, Debug, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

/// Calls a path with one message, whether or not more could follow. Ok: the call was let through, and its answers, of
/// which there may be none for a while, follow.
pub(crate) async fn call_path(
    peer: &Peer,
    token: Option<&str>,
    path: &str,
    message: Vec<u8>,
) -> Result<Streaming<Vec<u8>>, Status> {
    let mut client = tonic::client::Grpc::new(peer.clone());
    client.ready().await?;
    let mut messages = Request::new(tokio_stream::once(message));
    if let Some(token) = token {
        let bearer = format!("Bearer {token}").parse().unwrap();
        messages.metadata_mut().insert("authorization", bearer);
    }
    Ok(client.streaming(messages, path.parse().unwrap(), Bytes).await?.into_inner())
}

/// Calls an rpc with one message.
pub(crate) async fn call(
    peer: &Peer,
    token: Option<&str>,
    method: &MethodDescriptor,
    message: &DynamicMessage,
) -> Result<Streaming<Vec<u8>>, Status> {
    call_path(peer, token, &path(method), message.encode_to_vec()).await
}

/// The code and the reason with which a call was refused, at once or as the first thing that it was answered.
pub(crate) async fn refused(
    answer: Result<Streaming<Vec<u8>>, Status>,
    what: &str,
) -> (Code, String) {
    let status = match answer {
        Err(status) => status,
        Ok(mut answers) => {
            let first = tokio::time::timeout(Duration::from_secs(10), answers.message()).await;
            first.expect(what).expect_err(what)
        }
    };
    refusal(&status)
}

/// A message whose required fields all read, though what they name may not exist.
pub(crate) fn filled(message: &MessageDescriptor) -> DynamicMessage {
    let mut made = DynamicMessage::new(message.clone());
    for field in message.fields().filter(|field| has_behavior(field, "REQUIRED")) {
        let value = match (field.name(), field.kind()) {
            ("regime", Kind::String) => Value::String("regimes/none".to_owned()),
            ("form", Kind::String) => Value::String("forms/none-1".to_owned()),
            ("period" | "first_period" | "last_period", Kind::String) => {
                Value::String("202605".to_owned())
            }
            ("sha256", Kind::String) => Value::String("0".repeat(64)),
            (_, Kind::String) => Value::String("x".to_owned()),
            (_, Kind::Int32) => Value::I32(1),
            (_, Kind::Int64) => Value::I64(1),
            (_, Kind::Enum(_)) => Value::EnumNumber(1),
            (_, Kind::Message(part)) if ours(part.package_name()) => Value::Message(filled(&part)),
            (_, Kind::Message(part)) if part.full_name() == "google.type.Date" => {
                let mut date = DynamicMessage::new(part);
                for (field, value) in [("year", 2026), ("month", 5), ("day", 14)] {
                    date.set_field_by_name(field, Value::I32(value));
                }
                Value::Message(date)
            }
            (_, Kind::Message(part)) => Value::Message(DynamicMessage::new(part)),
            (name, kind) => panic!("{name}: nothing to fill {kind:?} with"),
        };
        let value = if field.is_list() { Value::List(vec![value]) } else { value };
        made.set_field(&field, value);
    }
    made
}

/// Sets the field at a dotted path, making the messages on the way.
pub(crate) fn set(message: &mut DynamicMessage, path: &str, value: Value) {
    match path.split_once('.') {
        None => message.set_field_by_name(path, value),
        Some((first, rest)) => {
            let field = message.descriptor().get_field_by_name(first).unwrap();
            let Kind::Message(part) = field.kind() else { panic!("{first} is no message") };
            let mut inner = match message.get_field(&field).into_owned() {
                Value::Message(inner) if message.has_field(&field) => inner,
                _ => filled(&part),
            };
            set(&mut inner, rest, value);
            message.set_field(&field, Value::Message(inner));
        }
    }
}
