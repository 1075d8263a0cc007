//! kill -9 while units are reorganised and lists of them are committed: what another server has that was sent the same and
//! never killed is what is there, or nothing of it.

use std::collections::BTreeSet;
use std::time::Instant;

use dunghan_proto::registry::change::Change;
use dunghan_proto::registry::reorganisation_service_client::ReorganisationServiceClient;
use dunghan_proto::registry::target::Target;
use dunghan_proto::registry::unit_import::State;
use dunghan_proto::registry::unit_reference::Reference;
use tonic::Response;

use super::*;

/// Reorganisations of one batch, each of which merges two communes.
const AT_ONCE: usize = 40;
/// Rows of one list.
const ROWS: usize = 300;
/// A server is killed when so much has passed of the time that it took the other one: most of them while it writes.
const BLOWS: [f64; 4] = [0.9, 0.6, 1.2, 1.6];

fn merged_on(number: usize) -> NaiveDate {
    first_day() + TimeDelta::days(1 + i64::try_from(number % AT_ONCE).unwrap())
}

fn reference(code: &str) -> registry::UnitReference {
    let identifier = registry::Identifier { scheme: NSO.to_owned(), value: code.to_owned() };
    registry::UnitReference { reference: Some(Reference::Identifier(identifier)) }
}

/// Merger number `number`: of two communes that nothing else happens to, into a new one.
fn merger(number: usize) -> registry::CreateReorganisationRequest {
    let pair = [2 * number, 2 * number + 1].map(|number| registry::Share {
        unit: Some(reference(&code(number))),
        ..Default::default()
    });
    let identifier = registry::Identifier { scheme: NSO.to_owned(), value: code(50_000 + number) };
    let new = registry::NewUnit {
        identifier: Some(identifier),
        display_name: format!("Xã Mới {number}"),
        kind: registry::Kind::Xa.into(),
        level: registry::Level::Commune.into(),
        parent: Some(reference("24")),
    };
    let into = Some(registry::Target { target: Some(Target::NewUnit(new)) });
    let merge = Change::Merge(registry::Merge { shares: pair.into(), into });
    stating(&format!("sap-nhap-{number}"), merged_on(number), Some(merge))
}

fn stating(
    id: &str,
    effective: NaiveDate,
    change: Option<Change>,
) -> registry::CreateReorganisationRequest {
    let changes = change.into_iter().map(|change| registry::Change { change: Some(change) });
    let reorganisation = registry::Reorganisation {
        title: "Sắp xếp đơn vị hành chính cấp xã".to_owned(),
        legal_basis: "Nghị quyết minh họa, không do cơ quan nào ban hành".to_owned(),
        effective_date: Some(field::pb_date(effective)),
        changes: changes.collect(),
        ..Default::default()
    };
    registry::CreateReorganisationRequest {
        reorganisation: Some(reorganisation),
        reorganisation_id: id.to_owned(),
        request_id: String::new(),
    }
}

/// The new communes of list number `list`.
fn list(list: usize) -> Vec<registry::UnitRow> {
    let numbers = (0..ROWS).map(|number| 30_000 + list * ROWS + number);
    numbers.map(|number| row(&code(number), "24")).collect()
}

impl Client {
    fn registry(&self) -> RegistryServiceClient<Peer> {
        RegistryServiceClient::new(self.0.clone())
    }

    fn reorganisations(&self) -> ReorganisationServiceClient<Peer> {
        ReorganisationServiceClient::new(self.0.clone())
    }

    /// Sends batch number `batch`; gives how many of it were not there before.
    async fn merge(&self, batch: usize) -> Result<usize, Status> {
        let requests = (batch * AT_ONCE..(batch + 1) * AT_ONCE).map(merger).collect();
        let request = registry::BatchCreateReorganisationsRequest { requests };
        let answer = self.reorganisations().batch_create_reorganisations(request).await?;
        assert_eq!(answer.get_ref().reorganisations.len(), AT_ONCE);
        Ok(usize::try_from(answer.get_ref().created_count).unwrap())
    }

    /// Has list number `number` judged; gives the name of the import.
    async fn stage(&self, number: usize) -> String {
        let mut rows: Vec<_> = list(number).into_iter().map(import_row).collect();
        rows[0].validate_only = true;
        let answer = self.registry().import_units(tokio_stream::iter(rows)).await;
        let answer = answer.unwrap().into_inner();
        assert_eq!(answer.problems, []);
        answer.unit_import
    }

    async fn commit(&self, name: &str) -> Result<registry::UnitImport, Status> {
        let request = registry::CommitUnitImportRequest { name: name.to_owned() };
        self.registry().commit_unit_import(request).await.map(Response::into_inner)
    }

    /// The units through all times, and what passed between them, with the version.
    async fn histories(&self) -> Vec<registry::StreamUnitHistoriesResponse> {
        let request = registry::StreamUnitHistoriesRequest::default();
        let stream = self.registry().stream_unit_histories(request).await.unwrap().into_inner();
        stream.map(Result::unwrap).collect().await
    }

    /// The names of the reorganisations.
    async fn recorded(&self) -> BTreeSet<String> {
        let mut request =
            registry::ListReorganisationsRequest { page_size: PAGE, ..Default::default() };
        let mut recorded = BTreeSet::new();
        loop {
            let page = self.reorganisations().list_reorganisations(request.clone()).await;
            let page = page.unwrap().into_inner();
            recorded.extend(page.reorganisations.into_iter().map(|one| one.name));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return recorded;
            }
        }
    }
}

/// Kills a server at that part of the time that something took elsewhere; gives what it answered, if it did.
async fn cut_off<T: Send + 'static>(
    server: Serving,
    took: Duration,
    blow: f64,
    call: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Option<T> {
    let call = tokio::spawn(call);
    sleep(took.mul_f64(blow)).await;
    drop(server);
    timeout(LIMIT, call).await.expect("an end").unwrap().ok()
}

/// A server's folder, and where its data is.
struct Home {
    folder: Arc<TempDir>,
    place: Option<Place>,
}

impl Home {
    async fn new(engine: Engine) -> Self {
        let place = match engine {
            // In the folder itself.
            Engine::Sqlite => None,
            Engine::Postgres => Some(Place::new(engine).await),
        };
        Self { folder: Arc::new(TempDir::new().unwrap()), place }
    }

    /// Starts a server there, and waits until it serves.
    fn serve(&self) -> (Client, Serving) {
        let location = match self.place.as_ref().map(|place| &place.location) {
            Some(Location::Postgres(url)) => Some(format!("storage.location={url}")),
            _ => None,
        };
        let args: Vec<&str> = location.iter().flat_map(|location| ["--set", location]).collect();
        let server = Serving::over(&self.folder, &args);
        let key = self.folder.path().join("dunghan-data/issuer.pem");
        (Client::of(&server, &key), server)
    }
}

/// Two servers are sent the same, and one of them is killed again and again.
async fn units_are_whole_whenever_a_server_is_killed(engine: Engine) {
    let [home, home_of_twin] = [Home::new(engine).await, Home::new(engine).await];
    let (twin, _alive) = home_of_twin.serve();
    let (mut client, mut server) = home.serve();
    for client in [&twin, &client] {
        let communes = (0..2 * AT_ONCE * BLOWS.len()).map(|number| row(&code(number), "24"));
        let rows = std::iter::once(row("24", "")).chain(communes).map(import_row);
        let rows = tokio_stream::iter(rows.collect::<Vec<_>>());
        let imported = client.registry().import_units(rows).await.unwrap().into_inner();
        assert_eq!(imported.problems, []);
    }

    for (round, blow) in BLOWS.into_iter().enumerate() {
        let before = (client.histories().await, client.recorded().await);
        assert_eq!(before, (twin.histories().await, twin.recorded().await));
        let began = Instant::now();
        assert_eq!(twin.merge(round).await.unwrap(), AT_ONCE);
        let took = began.elapsed();
        let after = (twin.histories().await, twin.recorded().await);
        let answer = cut_off(server, took, blow, async move { client.merge(round).await }).await;
        (client, server) = home.serve();
        let found = (client.histories().await, client.recorded().await);
        let there = found == after;
        assert!(there || found == before, "some of a batch is there after {blow} of {took:?}");
        assert!(there || answer.is_none(), "an acknowledged batch is lost");
        // Sent again, it is there once.
        let created = client.merge(round).await.unwrap();
        assert_eq!(created, if there { 0 } else { AT_ONCE });
        assert_eq!((client.histories().await, client.recorded().await), after);

        let staged = [twin.stage(round).await, client.stage(round).await];
        let before = after.0;
        let began = Instant::now();
        twin.commit(&staged[0]).await.unwrap();
        let took = began.elapsed();
        let after = twin.histories().await;
        let name = staged[1].clone();
        let answer = cut_off(server, took, blow, async move { client.commit(&name).await }).await;
        (client, server) = home.serve();
        let found = client.histories().await;
        let there = found == after;
        assert!(there || found == before, "some of a list is there after {blow} of {took:?}");
        assert!(there || answer.is_none(), "an acknowledged commit is lost");
        let request = registry::GetUnitImportRequest { name: staged[1].clone() };
        let import = client.registry().get_unit_import(request).await.unwrap().into_inner();
        assert_eq!(import.state(), if there { State::Committed } else { State::Staged });
        let committed = client.commit(&staged[1]).await.unwrap();
        assert_eq!(
            (committed.state(), committed.created_count),
            (State::Committed, i32::try_from(ROWS).unwrap())
        );
        assert!(answer.is_none_or(|answer| answer == committed));
        assert_eq!(client.commit(&staged[1]).await.unwrap(), committed);
        assert_eq!(client.histories().await, after);
    }

    // Killed while nothing is done, it comes back with the same.
    let before = client.histories().await;
    drop(server);
    let (client, _alive) = home.serve();
    assert_eq!(client.histories().await, before);
    must_follow_from_the_record(&client).await;
    must_follow_from_the_record(&twin).await;
    assert_eq!(client.histories().await, twin.histories().await);
}

/// That the units are what the record of imports and reorganisations gives: a correction builds them from it anew, and one
/// that takes back what was said last leaves all as it was before that.
async fn must_follow_from_the_record(client: &Client) {
    let parts = |all: Vec<registry::StreamUnitHistoriesResponse>| -> Vec<_> {
        all.into_iter().map(|part| (part.units, part.edges)).collect()
    };
    let before = parts(client.histories().await);
    let rename =
        registry::Rename { unit: Some(reference("24")), display_name: "Tỉnh Khác".to_owned() };
    let day = "2030-01-01".parse().unwrap();
    let renaming = stating("doi-ten", day, Some(Change::Rename(rename)));
    client.reorganisations().create_reorganisation(renaming).await.unwrap();
    assert_ne!(parts(client.histories().await), before);
    let mut back = stating("thu-hoi", day, None);
    let stated = back.reorganisation.as_mut().unwrap();
    stated.corrects = "reorganisations/doi-ten".to_owned();
    let request = registry::PreviewReorganisationRequest { reorganisation: Some(stated.clone()) };
    let preview = client.reorganisations().preview_reorganisation(request).await;
    let preview = preview.unwrap().into_inner();
    assert_eq!(preview.problems, []);
    let [renamed] = &preview.effects[..] else { panic!("{:#?}", preview.effects) };
    assert_eq!(renamed.after.as_ref().unwrap().name, unit("24"));
    client.reorganisations().create_reorganisation(back).await.unwrap();
    assert_eq!(parts(client.histories().await), before);
}

#[tokio::test]
async fn units_are_whole_whenever_a_server_over_sqlite_is_killed() {
    Box::pin(units_are_whole_whenever_a_server_is_killed(Engine::Sqlite)).await;
}

#[tokio::test]
async fn units_are_whole_whenever_a_server_over_postgres_is_killed() {
    Box::pin(units_are_whole_whenever_a_server_is_killed(Engine::Postgres)).await;
}
