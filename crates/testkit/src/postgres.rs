//! A PostgreSQL server of a test's own, for tests that take the database away.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Front;

/// How long a server may take until it answers.
const LIMIT: Duration = Duration::from_secs(60);

/// A server that the test can stop and start again on the same data. It is reached through a [`Front`], so that its
/// address stays while its port, which somebody else could take in between, does not.
///
/// Its methods block.
#[derive(Debug)]
pub struct Postgres {
    /// Tests may cut its connections.
    pub front: Front,
    bin: PathBuf,
    folder: TempDir,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    server: Child,
    port: u16,
}

impl Postgres {
    /// A new one, answering.
    ///
    /// Panics where PostgreSQL is not installed.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let postgres = Self { front: Front::new(), bin: programs(), folder, running: None };
        if as_root() {
            succeed(Command::new("chown").arg("postgres").arg(postgres.folder.path()));
        }
        succeed(
            postgres
                .program("initdb")
                .args(["--username=dunghan", "--auth=trust", "--encoding=UTF8", "--no-sync"])
                // As scripts/with-postgres: texts sort as Vietnamese ones do.
                .args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=vi"]),
        );
        let mut postgres = postgres;
        postgres.start();
        postgres
    }

    /// Its address, as `postgres://…`, of the database in which others are made.
    pub fn url(&self) -> String {
        format!("postgres://dunghan@{}/postgres", self.front.address)
    }

    /// Starts it on the data that there is, and waits until it answers.
    pub fn start(&mut self) {
        let begun = Instant::now();
        while self.running.is_none() {
            assert!(begun.elapsed() < LIMIT, "PostgreSQL does not start: {}", self.log());
            self.running = self.try_start();
        }
        let running = self.running.as_ref().expect("a server that was just started");
        self.front.add(([127, 0, 0, 1], running.port).into());
    }

    /// None: it ended, because the port was taken in between, or because the server before it has not quite gone.
    fn try_start(&self) -> Option<Running> {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a log");
        let mut server = self
            .program("postgres")
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories=", "-c", "max_connections=300"])
            // The machine goes on when the server is killed; but what was committed has to have left the server.
            .args(["-c", "fsync=off"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the server's program");
        loop {
            // Its own word, not an answer on the port: that could be another server's.
            let file = self.folder.path().join("data/postmaster.pid");
            let said = std::fs::read_to_string(file).unwrap_or_default();
            let mut lines = said.lines();
            let own = lines.next() == Some(&server.id().to_string());
            if own && said.lines().any(|line| line.trim_end() == "ready") {
                return Some(Running { server, port });
            }
            if server.try_wait().expect("a child").is_some() {
                return None;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops it at once, as after a failure of the machine: no connection is asked, and the next start recovers.
    pub fn stop(&mut self) {
        self.end("-QUIT");
    }

    /// Ends its first process with SIGKILL; the others notice.
    pub fn kill(&mut self) {
        self.end("-KILL");
    }

    fn end(&mut self, signal: &str) {
        let Some(Running { mut server, port }) = self.running.take() else { return };
        self.front.remove(([127, 0, 0, 1], port).into());
        // It may have ended by itself.
        let _ = Command::new("kill").args([signal, &server.id().to_string()]).status();
        let _ = server.wait();
        self.front.cut();
    }

    /// A program of the server's on its data, as the user that may run it.
    fn program(&self, name: &str) -> Command {
        let program = self.bin.join(name);
        let mut command = if as_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.arg("-D").arg(self.folder.path().join("data")).current_dir(self.folder.path());
        command
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Default for Postgres {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The server refuses to run as root.
fn as_root() -> bool {
    let id = succeed(Command::new("id").arg("-u"));
    id.stdout.trim_ascii() == b"0"
}

/// The folder of the server's programs, which Debian keeps out of PATH.
fn programs() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres-bin");
    let output = succeed(&mut Command::new(script));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

#[cfg(test)]
mod tests {
    use dunghan_store::Location;
    use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};

    use super::*;
    use crate::Place;

    async fn count(connection: &DatabaseConnection) -> Option<i64> {
        let statement = Statement::from_string(DbBackend::Postgres, "SELECT count(*) FROM said");
        let row = connection.query_one_raw(statement).await.ok()??;
        row.try_get_by_index(0).ok()
    }

    #[tokio::test]
    async fn what_was_committed_outlives_the_server_at_the_same_address() {
        let mut server = Postgres::new();
        let place = Place::on(&server).await;
        let Location::Postgres(url) = &place.location else { unreachable!("{place:?}") };
        let connection = Database::connect(url).await.unwrap();
        connection.execute_unprepared("CREATE TABLE said (word text)").await.unwrap();
        for (round, end) in [Postgres::stop, Postgres::kill].into_iter().enumerate() {
            connection.execute_unprepared("INSERT INTO said VALUES ('x')").await.unwrap();
            end(&mut server);
            assert_eq!(count(&connection).await, None);
            server.start();
            assert_eq!(count(&connection).await, i64::try_from(round + 1).ok());
        }
    }
}
