//! The spans and durations of calls.

use std::convert::Infallible;

use dunghan_telemetry::{ClientLayer, ServerLayer, trace_parent};
use http::{HeaderMap, Request, Response};
use opentelemetry::global;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, InMemorySpanExporterBuilder, SdkTracerProvider, SpanData,
};
use tower::{Layer as _, Service, ServiceExt as _};

use crate::{Frames, GET_UNIT, ending_with, status};

/// Keeps every span from here on.
fn kept() -> InMemorySpanExporter {
    let exporter = InMemorySpanExporterBuilder::new().build();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    global::set_tracer_provider(provider);
    exporter
}

fn one(exporter: &InMemorySpanExporter) -> SpanData {
    let mut spans = exporter.get_finished_spans().unwrap();
    assert_eq!(spans.len(), 1, "{spans:?}");
    exporter.reset();
    spans.pop().unwrap()
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|one| one.key.as_str() == key);
    found.map(|one| one.value.as_str().into_owned())
}

fn request(path: &str) -> Request<()> {
    Request::builder().uri(format!("/{path}")).body(()).unwrap()
}

/// A service that answers with these headers and this body.
fn answering(
    headers: HeaderMap,
    body: fn() -> Frames,
) -> impl Service<Request<()>, Response = Response<Frames>, Error = Infallible, Future: Send> + Clone
{
    tower::service_fn(move |_| {
        let headers = headers.clone();
        async move {
            let mut response = Response::new(body());
            *response.headers_mut() = headers;
            Ok(response)
        }
    })
}

async fn read(body: &mut (impl http_body::Body + Unpin)) {
    while std::future::poll_fn(|cx| std::pin::Pin::new(&mut *body).poll_frame(cx)).await.is_some() {
    }
}

#[tokio::test]
async fn a_call_is_named_by_its_method_and_ends_as_its_trailers_say() {
    let exporter = kept();
    let server = ServerLayer::new().layer(answering(HeaderMap::new(), || ending_with("0")));
    let mut response = server.clone().oneshot(request(GET_UNIT)).await.unwrap();
    assert!(exporter.get_finished_spans().unwrap().is_empty(), "its body has not been sent yet");
    read(response.body_mut()).await;
    let span = one(&exporter);
    assert_eq!((span.name.as_ref(), &span.span_kind), (GET_UNIT, &SpanKind::Server));
    assert_eq!(attribute(&span, "rpc.system.name").unwrap(), "grpc");
    assert_eq!(attribute(&span, "rpc.method").unwrap(), GET_UNIT);
    assert_eq!(attribute(&span, "rpc.response.status_code").unwrap(), "OK");
    assert_eq!((attribute(&span, "error.type"), span.status), (None, Status::Unset));
}

#[tokio::test]
async fn a_refusal_is_an_error_to_its_caller_and_what_fails_here_is_one_to_both() {
    let exporter = kept();
    for (code, name, server_fails) in [("5", "NOT_FOUND", false), ("14", "UNAVAILABLE", true)] {
        // Without a body, as refusals are sent.
        let inner = answering(status(code), Frames::default);
        drop(ServerLayer::new().layer(inner.clone()).oneshot(request(GET_UNIT)).await.unwrap());
        let server = one(&exporter);
        assert_eq!(attribute(&server, "rpc.response.status_code").unwrap(), name);
        assert_eq!(attribute(&server, "error.type"), server_fails.then(|| name.to_owned()));
        drop(ClientLayer::new().layer(inner).oneshot(request(GET_UNIT)).await.unwrap());
        let client = one(&exporter);
        assert_eq!(client.span_kind, SpanKind::Client);
        assert_eq!(attribute(&client, "error.type").unwrap(), name);
        assert_eq!(client.status, Status::error(""));
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_was_cancelled() {
    let exporter = kept();
    let server = ServerLayer::new().layer(answering(HeaderMap::new(), || ending_with("0")));
    drop(server.clone().oneshot(request(GET_UNIT)).await.unwrap());
    assert_eq!(attribute(&one(&exporter), "rpc.response.status_code").unwrap(), "CANCELLED");
    let never = tower::service_fn(|_: Request<()>| {
        std::future::pending::<Result<Response<Frames>, Infallible>>()
    });
    let mut call = Box::pin(ServerLayer::new().layer(never).oneshot(request(GET_UNIT)));
    assert!(futures_poll(&mut call).await.is_none());
    drop(call);
    assert_eq!(attribute(&one(&exporter), "rpc.response.status_code").unwrap(), "CANCELLED");
}

/// What a future gives when it is looked at once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
        std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn the_server_goes_on_with_the_trace_of_its_client_and_takes_nothing_else_from_it() {
    let exporter = kept();
    let (seen, headers) = std::sync::mpsc::channel();
    let inner = tower::service_fn(move |request: Request<()>| {
        seen.send((request.headers().clone(), trace_parent())).unwrap();
        async { Ok::<_, Infallible>(Response::new(ending_with("0"))) }
    });
    let server = ServerLayer::new().layer(inner);
    let client = ClientLayer::new().layer(server);
    let mut request = request(GET_UNIT);
    request.headers_mut().insert("baggage", "who=me".parse().unwrap());
    let mut response = client.oneshot(request).await.unwrap();
    read(response.body_mut()).await;
    let spans = exporter.get_finished_spans().unwrap();
    let of = |kind| spans.iter().find(|span| span.span_kind == kind).unwrap();
    let (client, server) = (of(SpanKind::Client), of(SpanKind::Server));
    assert_eq!(client.span_context.trace_id(), server.span_context.trace_id());
    assert_eq!(server.parent_span_id, client.span_context.span_id());
    assert!(server.parent_span_is_remote);
    let (headers, inside) = headers.recv().unwrap();
    let trace = client.span_context.trace_id();
    let passed_on = format!("00-{trace}-{}-01", client.span_context.span_id());
    assert_eq!(headers["traceparent"], passed_on);
    // The handler is in the server's span.
    assert_eq!(inside.unwrap(), format!("00-{trace}-{}-01", server.span_context.span_id()));
    assert!(trace_parent().is_none(), "and nobody is after the call");
}

#[tokio::test]
async fn a_traceparent_that_does_not_read_begins_a_new_trace() {
    let exporter = kept();
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    for header in [
        "",
        "00-1-2-01",
        "00-00000000000000000000000000000000-0000000000000000-01",
        &format!("00-{trace}-{span}-01-more"),
        &format!("ff-{trace}-{span}-01"),
        &format!("00-{}-{span}-01", trace.to_uppercase()),
    ] {
        let mut request = request(GET_UNIT);
        request.headers_mut().insert("traceparent", header.parse().unwrap());
        let server = ServerLayer::new().layer(answering(status("0"), Frames::default));
        drop(server.oneshot(request).await.unwrap());
        let span = one(&exporter);
        assert_eq!(span.parent_span_id, opentelemetry::SpanId::INVALID, "{header}");
    }
}

#[tokio::test]
async fn health_is_not_traced_and_names_that_callers_make_up_are_not_kept() {
    let exporter = kept();
    let server = ServerLayer::new().layer(answering(status("12"), Frames::default));
    drop(server.clone().oneshot(request("grpc.health.v1.Health/Check")).await.unwrap());
    assert!(exporter.get_finished_spans().unwrap().is_empty());
    drop(server.oneshot(request("made.up/ByACaller")).await.unwrap());
    assert_eq!(one(&exporter).name, "_OTHER");
}

#[tokio::test]
async fn a_client_says_where_it_calls_where_that_is_known() {
    let exporter = kept();
    let to = ClientLayer::to(&"http://registry.dunghan.svc:7400".parse().unwrap());
    drop(
        to.layer(answering(status("0"), Frames::default)).oneshot(request(GET_UNIT)).await.unwrap(),
    );
    let span = one(&exporter);
    assert_eq!(attribute(&span, "server.address").unwrap(), "registry.dunghan.svc");
    assert_eq!(attribute(&span, "server.port").unwrap(), "7400");
}
