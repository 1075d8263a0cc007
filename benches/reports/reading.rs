//! GetReport, beside a handler behind the same layers that asks the database for the same row, through sqlx alone, and answers the
//! same.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use dunghan_calendar::ManualClock;
use dunghan_host::{Running, Spec, Start, Suite};
use dunghan_proto::submission as pb;
use dunghan_proto::submission::submission_service_client::SubmissionServiceClient;
use dunghan_rpc::{Peer, internal};
use dunghan_store::Database;
use futures::future::BoxFuture;
use sea_orm_migration::sea_orm::DbBackend;
use sea_orm_migration::sea_orm::sqlx::{self, Row as _};
use tonic::body::Body;
use tonic::server::{NamedService, UnaryService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::made_up::MadeUp;
use super::submission::{Receiving, submit};
use super::{Size, TURNS};
use crate::peers::{NoConfig, NoTables, unary};
use crate::served::Served;
use crate::{Figure, Ground, median, now};

pub(super) async fn measure(ground: &Ground, size: Size) -> anyhow::Result<Vec<Figure>> {
    let made_up = MadeUp::large()?;
    let receiving = Receiving::start(ground.place().await?, 1).await?;
    receiving.publish(&made_up).await?;
    let name = receiving.begin(1, &made_up).await?.concat();
    let report = submit(&mut receiving.client(), name.clone()).await?;
    ensure!(report.values.len() == 100, "{} figures are stated", report.values.len());
    let database = receiving.served.database("submission").await?;
    *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) =
        Some(Known { database: database.clone(), report: Arc::new(report.clone()) });
    let suite = Suite::new().with::<Bare>();
    let clock = ManualClock::at(now());
    let bare = Served::start(ground.place().await?, suite, &clock, &[]).await?;
    let mut bare_client = SubmissionServiceClient::new(bare.peer());
    let mut client = receiving.client();
    for client in [&mut bare_client, &mut client] {
        let request = pb::GetReportRequest { name: name.clone() };
        let answer = client.get_report(request).await?.into_inner();
        ensure!(answer == report, "another report is answered than was handed over");
    }
    let (mut millis, mut ratios) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let bare = time(&mut bare_client, &name, size.reads).await?;
        let read = time(&mut client, &name, size.reads).await?;
        // The first turn warms both up.
        if turn > 0 {
            millis.push(read * 1e3);
            ratios.push(read / bare);
        }
    }
    *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
    bare.stop(ground).await?;
    database.close().await?;
    receiving.stop(ground).await?;
    Ok(vec![
        Figure::of("GetReport, 100 figures".to_owned(), median(millis), "ms"),
        // No less than 0.7 of what the bare one answers.
        Figure::below(
            "GetReport ÷ bare SQL behind its layers".to_owned(),
            median(ratios),
            1.43,
            "×",
        ),
    ])
}

/// The seconds that one of so many calls takes.
async fn time(
    client: &mut SubmissionServiceClient<Peer>,
    name: &str,
    calls: usize,
) -> anyhow::Result<f64> {
    let begun = Instant::now();
    for _ in 0..calls {
        let request = pb::GetReportRequest { name: name.to_owned() };
        black_box(client.get_report(request).await?);
    }
    Ok(begun.elapsed().as_secs_f64() / f64::from(u32::try_from(calls)?))
}

/// Where the report is, and what is to be answered.
#[derive(Clone)]
struct Known {
    database: Database,
    report: Arc<pb::Report>,
}

/// For the handler, which is started without being told anything.
static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

/// Reads a report's row whatever it says, and answers as the service did.
#[derive(Clone)]
struct Bare(Known);

impl Bare {
    /// As the service asks for it, on connections like its own.
    async fn read(&self, name: &str) -> anyhow::Result<()> {
        const SQL: &str = "SELECT * FROM report WHERE id = $1 AND unit_id = $2 LIMIT 1";
        let (unit, id) = name
            .strip_prefix("units/")
            .and_then(|name| name.split_once("/reports/"))
            .context("is no name of a report")?;
        let (unit, id): (Uuid, Uuid) = (unit.parse()?, id.parse()?);
        let database = &self.0.database;
        match database.engine() {
            DbBackend::Postgres => {
                let pool = database.reader().get_postgres_connection_pool();
                let row = sqlx::query(SQL).bind(id).bind(unit).fetch_one(pool).await?;
                for column in 0..row.len() {
                    black_box(row.try_get_raw(column)?);
                }
            }
            _ => {
                let pool = database.reader().get_sqlite_connection_pool();
                let row = sqlx::query(SQL).bind(id).bind(unit).fetch_one(pool).await?;
                for column in 0..row.len() {
                    black_box(row.try_get_raw(column)?);
                }
            }
        }
        Ok(())
    }
}

impl NamedService for Bare {
    const NAME: &'static str = "dunghan.submission.v1.SubmissionService";
}

impl UnaryService<pb::GetReportRequest> for Bare {
    type Response = pb::Report;
    type Future = BoxFuture<'static, Result<Response<pb::Report>, Status>>;

    fn call(&mut self, request: Request<pb::GetReportRequest>) -> Self::Future {
        let bare = self.clone();
        Box::pin(async move {
            let read = bare.read(&request.get_ref().name).await;
            read.map_err(|error| internal("reading a row", &std::io::Error::other(error)))?;
            Ok(Response::new(pb::Report::clone(&bare.0.report)))
        })
    }
}

impl tower::Service<http::Request<Body>> for Bare {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        unary(self.clone(), request)
    }
}

impl Spec for Bare {
    const NAME: &'static str = "submission";
    type Migrations = NoTables;
    type Config = NoConfig;

    async fn start(_: Start, _: NoConfig) -> anyhow::Result<Running> {
        let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Running::new().service(Self(known.context("there is no report to be read")?)))
    }
}
