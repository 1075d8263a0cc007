//! The suite in processes of its own, and what is done to them.

use std::thread;
use std::time::{Duration, Instant};

use dunghan_testkit::{Engine, Mode, Place, Postgres, Testing};
use tokio::task::spawn_blocking;

use super::client::Client;
use super::{SOON, before, set_up};
use crate::setting::Setting;
use crate::suite;
use crate::world::start_over;

/// What happens to the processes while a client works, and how long the client then works on before the next: until so
/// many of its calls were answered since this began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blow {
    pub(super) what: What,
    pub(super) answers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The process of a service is replaced as a cluster does it: the new one first.
    Replace(&'static str),
    /// It is killed, and then there is a new one.
    Kill(&'static str),
    /// The database is killed, and is away for so long.
    Outage(Duration),
}

/// The same for each service.
pub(super) fn each(what: fn(&'static str) -> What, answers: usize) -> Vec<Blow> {
    suite().names().into_iter().map(|service| Blow { what: what(service), answers }).collect()
}

/// The suite, and its database where that is to be taken away.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) testing: Testing,
    database: Option<Postgres>,
}

impl Stage {
    pub(super) async fn new(communes: usize, outages: bool) -> Self {
        let (database, place) = if outages {
            let database = spawn_blocking(Postgres::new).await.unwrap();
            let place = Place::on(&database).await;
            (Some(database), place)
        } else {
            (None, Place::new(Engine::Postgres).await)
        };
        let setting = Setting { mode: Mode::Apart, engine: Engine::Postgres };
        let testing = start_over(setting, place, before()).await;
        set_up(&testing, communes).await;
        Self { testing, database }
    }

    /// Strikes all these blows while `client` works.
    pub(super) async fn disturb(mut self, blows: &[Blow], client: &Client) -> Self {
        let (blows, client) = (blows.to_vec(), client.clone());
        let disturbing = spawn_blocking(move || {
            let (begun, calls) = (Instant::now(), client.ledger().record.calls);
            for blow in blows {
                self.strike(blow, &client);
            }
            let record = &mut client.ledger().record;
            record.disturbed += record.calls - calls;
            record.disturbance += begun.elapsed();
            self
        });
        disturbing.await.unwrap()
    }

    /// Blocks until it is over.
    fn strike(&mut self, Blow { what, answers }: Blow, client: &Client) {
        let before = client.ledger().record.clone();
        let apart = self.testing.apart();
        match what {
            What::Replace(service) => {
                apart.add(&[service]);
                apart.terminate(service);
            }
            What::Kill(service) => {
                apart.kill(service);
                apart.add(&[service]);
            }
            What::Outage(time) => {
                let database = self.database.as_mut().expect("a database of the test's own");
                database.kill();
                thread::sleep(time);
                database.start();
            }
        }
        let begun = Instant::now();
        while client.ledger().record.answered < before.answered + answers {
            assert!(
                begun.elapsed() < SOON,
                "no answers after {what:?}: {}",
                client.ledger().record
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}
