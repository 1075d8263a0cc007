//! Calls: a span and a duration for each, on either side.
//!
//! They are made with OpenTelemetry itself rather than through `tracing`: names and attributes are static then, and a
//! call costs a few hundred nanoseconds. What happens inside sees the call as the current span all the same.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context as Task, Poll};
use std::time::Instant;

use dunghan_proto::FILES;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::Histogram;
use opentelemetry::trace::{FutureExt as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_semantic_conventions::attribute::{
    ERROR_TYPE, RPC_METHOD, RPC_RESPONSE_STATUS_CODE, RPC_SYSTEM_NAME, SERVER_ADDRESS, SERVER_PORT,
};
use opentelemetry_semantic_conventions::metric::{
    RPC_CLIENT_CALL_DURATION, RPC_SERVER_CALL_DURATION,
};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;
use tower::{Layer, Service};

use crate::{metric, trace};

/// What a method is called that the contract does not have: names that callers make up are not to fill the metrics.
const OTHER: &str = "_OTHER";
/// Health and reflection: asked all the time, and of no interest.
const NOT_TRACED: &str = "/grpc.";

/// The contract's methods by their paths, without the leading slash.
static METHODS: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(FILES).unwrap_or_default();
    let mut methods = HashMap::new();
    for file in &files.file {
        for service in &file.service {
            for method in &service.method {
                let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                // As long as the process lives, as the contract does.
                let name: &'static str = name.leak();
                methods.insert(name, name);
            }
        }
    }
    methods
});

fn method(path: &str) -> &'static str {
    METHODS.get(path.trim_start_matches('/')).copied().unwrap_or(OTHER)
}

/// A span and a duration for each call that is answered here. The outermost layer.
#[derive(Clone, Debug)]
pub struct ServerLayer(Arc<Side>);

/// A span and a duration for each call that is made, and the trace passed on with it.
#[derive(Clone, Debug)]
pub struct ClientLayer(Arc<Side>);

struct Side {
    kind: SpanKind,
    tracer: BoxedTracer,
    duration: Histogram<f64>,
    /// Where calls go, as far as that is known.
    server: Vec<KeyValue>,
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Side").field("kind", &self.kind).field("server", &self.server).finish()
    }
}

impl Side {
    fn new(kind: SpanKind, name: &'static str, description: &'static str) -> Self {
        let meter = metric::meter();
        let duration = meter.f64_histogram(name).with_unit("s").with_description(description);
        let duration = duration.build();
        Self { kind, tracer: global::tracer("dunghan"), duration, server: Vec::new() }
    }

    fn begin(self: &Arc<Self>, parent: &Context, method: &'static str) -> Call {
        let mut attributes = Vec::with_capacity(5 + self.server.len());
        attributes.push(KeyValue::new(RPC_SYSTEM_NAME, "grpc"));
        attributes.push(KeyValue::new(RPC_METHOD, method));
        attributes.extend(self.server.iter().cloned());
        let span = self.tracer.span_builder(method).with_kind(self.kind.clone());
        let span = span.with_attributes(attributes);
        let span = span.start_with_context(&self.tracer, parent);
        Call {
            side: self.clone(),
            method,
            began: Instant::now(),
            context: parent.with_span(span),
            ended: false,
        }
    }
}

impl Default for ServerLayer {
    fn default() -> Self {
        let description = "How long calls took to answer";
        Self(Arc::new(Side::new(SpanKind::Server, RPC_SERVER_CALL_DURATION, description)))
    }
}

impl ServerLayer {
    /// Reports to where [`init`](crate::init) said; to nobody where it was not called yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Default for ClientLayer {
    fn default() -> Self {
        let description = "How long calls to other services took, retries among it";
        Self(Arc::new(Side::new(SpanKind::Client, RPC_CLIENT_CALL_DURATION, description)))
    }
}

impl ClientLayer {
    /// Reports to where [`init`](crate::init) said; to nobody where it was not called yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// For calls to a server outside of this process.
    #[must_use]
    pub fn to(uri: &http::Uri) -> Self {
        let Self(side) = Self::new();
        let Some(mut side) = Arc::into_inner(side) else { return Self::new() };
        if let Some(host) = uri.host() {
            side.server.push(KeyValue::new(SERVER_ADDRESS, host.to_owned()));
        }
        if let Some(port) = uri.port_u16() {
            side.server.push(KeyValue::new(SERVER_PORT, i64::from(port)));
        }
        Self(Arc::new(side))
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls { inner, side: self.0.clone() }
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls { inner, side: self.0.clone() }
    }
}

/// A service whose calls are watched.
#[derive(Clone, Debug)]
pub struct Calls<S> {
    inner: S,
    side: Arc<Side>,
}

type Answering<B, E> = Pin<Box<dyn Future<Output = Result<Response<Watched<B>>, E>> + Send>>;

impl<S, A, B> Service<Request<A>> for Calls<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    B: Body,
{
    type Response = Response<Watched<B>>;
    type Error = S::Error;
    type Future = Answering<B, S::Error>;

    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let path = request.uri().path();
        if path.starts_with(NOT_TRACED) {
            let answering = self.inner.call(request);
            return Box::pin(async move {
                Ok(answering.await?.map(|inner| Watched { inner, call: None }))
            });
        }
        let method = method(path);
        let call = match self.side.kind {
            SpanKind::Server => {
                let parent = request.headers().get(trace::HEADER);
                let parent = parent.and_then(|value| value.to_str().ok());
                self.side.begin(&trace::remote(parent), method)
            }
            _ => {
                let call = Context::map_current(|parent| self.side.begin(parent, method));
                let here = trace::written(call.context.span().span_context());
                if let Some(value) = here.and_then(|here| HeaderValue::try_from(here).ok()) {
                    request.headers_mut().insert(trace::HEADER, value);
                }
                call
            }
        };
        let answering = {
            let _inside = call.context.clone().attach();
            self.inner.call(request)
        };
        let answering = answering.with_context(call.context.clone());
        Box::pin(async move {
            match answering.await {
                Ok(response) => {
                    let mut call = call;
                    // A refusal, and an answer without a body, say it in their head.
                    if let Some(code) = code(response.headers()) {
                        call.end(code);
                    }
                    Ok(response.map(|inner| Watched { inner, call: Some(call) }))
                }
                Err(error) => {
                    let mut call = call;
                    let status = (&error as &dyn std::any::Any).downcast_ref::<tonic::Status>();
                    call.end(status.map_or(Code::Unavailable, tonic::Status::code));
                    Err(error)
                }
            }
        })
    }
}

/// The status in an answer's headers or trailers.
fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get(tonic::Status::GRPC_STATUS).map(|value| Code::from_bytes(value.as_bytes()))
}

/// A call under way. One that is dropped before it has ended was cancelled.
#[derive(Debug)]
struct Call {
    side: Arc<Side>,
    method: &'static str,
    began: Instant,
    context: Context,
    ended: bool,
}

impl Call {
    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let name = code_name(code);
        if self.side.kind == SpanKind::Server && tracing::event_enabled!(tracing::Level::DEBUG) {
            // The line says which trace.
            let _inside = self.context.clone().attach();
            tracing::debug!(method = self.method, status = name, "a call was answered");
        }
        let status = KeyValue::new(RPC_RESPONSE_STATUS_CODE, name);
        let span = self.context.span();
        if span.is_recording() {
            span.set_attribute(status.clone());
            if self.failed(code) {
                span.set_attribute(KeyValue::new(ERROR_TYPE, name));
                span.set_status(Status::error(""));
            }
        }
        span.end();
        let attributes = [
            KeyValue::new(RPC_SYSTEM_NAME, "grpc"),
            KeyValue::new(RPC_METHOD, self.method),
            status,
        ];
        self.side.duration.record(self.began.elapsed().as_secs_f64(), &attributes);
    }

    /// For whoever called every refusal is an error; for whoever answered only what is not the caller's doing.
    fn failed(&self, code: Code) -> bool {
        match code {
            Code::Ok => false,
            Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => true,
            _ => self.side.kind == SpanKind::Client,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// The body of an answer: the call ends with it.
#[derive(Debug)]
pub struct Watched<B> {
    inner: B,
    call: Option<Call>,
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        let Some(call) = &mut this.call else { return Pin::new(&mut this.inner).poll_frame(cx) };
        let polled = {
            let _inside = call.context.clone().attach();
            Pin::new(&mut this.inner).poll_frame(cx)
        };
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    call.end(code(trailers).unwrap_or(Code::Unknown));
                }
            }
            // Without trailers the answer was cut off.
            Poll::Ready(Some(Err(_)) | None) => call.end(Code::Unknown),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// As the gRPC specification writes it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
