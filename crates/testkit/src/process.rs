//! The built binary, run as a person or a cluster runs it.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

/// How long a process may take until it serves.
const LIMIT: Duration = Duration::from_secs(60);
/// Lines that are kept of what a process says.
const KEPT: usize = 200;

/// The `dunghan` that was built beside the test.
///
/// Panics where there is none.
pub fn binary() -> Command {
    // target/PROFILE/deps/TEST
    let test = std::env::current_exe().expect("the test's own file");
    let folder = test.ancestors().nth(2).expect("a folder of what was built");
    let binary = folder.join("dunghan");
    assert!(binary.exists(), "{} is not there: cargo build -p dunghan", binary.display());
    let mut command = Command::new(binary);
    // What is set around the test is no business of it.
    let variables = std::env::vars().map(|(name, _)| name);
    variables.filter(|name| name.starts_with("DUNGHAN_")).for_each(|name| {
        command.env_remove(name);
    });
    command
}

/// A `dunghan serve`. Dropped, it is killed with SIGKILL; a test that fails prints what it said last.
///
/// Its methods block: a test that has something to do meanwhile runs on more than one thread.
#[derive(Debug)]
pub struct Process {
    child: Child,
    said: Arc<Said>,
}

/// What a process has said, and whoever waits for it to say where it listens.
#[derive(Debug, Default)]
struct Said {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    serving: Option<Line>,
    ended: bool,
}

/// The one line that is looked for.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Line {
    address: SocketAddr,
    feeds: Option<SocketAddr>,
}

impl Process {
    /// Begins one in `folder` with further arguments, and does not wait.
    pub fn begin(folder: &Path, args: &[impl AsRef<std::ffi::OsStr>]) -> Self {
        let mut child = binary()
            .args(["serve", "--listen", "127.0.0.1:0", "--set", "log.format=json"])
            .args(args)
            .current_dir(folder)
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let said = Arc::new(Said::default());
        let stderr = child.stderr.take().expect("its standard error");
        let listening = said.clone();
        // To its end, or the process would wait for room in the pipe.
        thread::spawn(move || listening.listen(stderr));
        Self { child, said }
    }

    /// Where it listens, once it serves.
    ///
    /// Panics when it ends instead.
    pub fn address(&self) -> SocketAddr {
        self.serving().address
    }

    /// Where it has feeds, once it serves; none where it has none.
    ///
    /// Panics when it ends instead.
    pub fn feeds(&self) -> Option<SocketAddr> {
        self.serving().feeds
    }

    fn serving(&self) -> Line {
        let waiting = |state: &mut State| state.serving.is_none() && !state.ended;
        let changed = &self.said.changed;
        let (state, _) = changed
            .wait_timeout_while(self.said.lock(), LIMIT, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        let serving = state.serving;
        drop(state);
        serving.unwrap_or_else(|| panic!("it does not serve: {}", self.said()))
    }

    /// Its number, for asking the system about it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The last that it said.
    pub fn said(&self) -> String {
        self.said.lock().lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Stops it as an operator does, and waits for its end.
    pub fn terminate(self) -> ExitStatus {
        self.signal("-TERM");
        self.wait()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("an end")
    }

    /// Sends a signal, for example `-TERM`.
    pub fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill").success());
    }

    /// Ends it with SIGKILL.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("process {} said last:\n{}", self.child.id(), self.said());
        }
    }
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, stderr: ChildStderr) {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut state = self.lock();
            if state.serving.is_none() {
                state.serving = serde_json::from_str(&line).ok();
            }
            if state.lines.len() == KEPT {
                state.lines.pop_front();
            }
            state.lines.push_back(line);
            self.changed.notify_all();
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }
}
