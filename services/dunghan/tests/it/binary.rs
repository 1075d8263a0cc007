//! Runs the built binary, and a server of it, in a folder of their own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

/// What a run of the binary left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The one JSON value that was printed.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }

    /// What was printed for people: not wider than 80 columns.
    pub(crate) fn table(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        for line in self.out.lines() {
            assert!(line.chars().count() <= 80, "{line}\n{}", self.out);
        }
        &self.out
    }
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dunghan"));
    // What is set around the test is no business of it.
    let variables = std::env::vars().map(|(name, _)| name);
    variables.filter(|name| name.starts_with("DUNGHAN_")).for_each(|name| {
        command.env_remove(name);
    });
    command
}

/// Runs the binary in `folder` to its end.
pub(crate) fn run_in(folder: &Path, args: &[&str]) -> Ran {
    let output = command().args(args).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A server of the binary, and the folder that it keeps its data in. Dropped, it is killed with SIGKILL.
#[derive(Debug)]
pub(crate) struct Serving {
    child: Child,
    /// Where it listens, as `http://127.0.0.1:PORT`; empty until it says so.
    pub(crate) address: String,
    folder: Arc<TempDir>,
}

impl Serving {
    /// Starts it in a new folder, and waits until it serves.
    pub(crate) fn start() -> Self {
        Self::over(&Arc::new(TempDir::new().unwrap()), &[])
    }

    /// As [`Self::start`], in a folder in which one may have run before, with further arguments.
    pub(crate) fn over(folder: &Arc<TempDir>, args: &[&str]) -> Self {
        Self::begin(folder, args).ready()
    }

    /// As [`Self::over`], without waiting.
    pub(crate) fn begin(folder: &Arc<TempDir>, args: &[&str]) -> Self {
        let child = command()
            .args(["serve", "--listen", "127.0.0.1:0", "--set", "log.format=json"])
            .args(args)
            .current_dir(folder.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, address: String::new(), folder: folder.clone() }
    }

    /// Waits until it says where it listens.
    pub(crate) fn ready(mut self) -> Self {
        let stderr = BufReader::new(self.child.stderr.take().unwrap());
        let mut lines = stderr.lines().map(Result::unwrap);
        let mut said = String::new();
        let address = lines.by_ref().find_map(|line| {
            said.push_str(&line);
            let event: Value = serde_json::from_str(&line).ok()?;
            Some(event.get("address")?.as_str()?.to_owned())
        });
        let address = address.unwrap_or_else(|| panic!("it does not serve: {said}"));
        self.address = format!("http://{address}");
        // Read on, or the server would wait for room in the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        self
    }

    /// Runs the binary against it.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let address = ["--address", self.address.as_str()];
        run_in(self.folder.path(), &[args, address.as_slice()].concat())
    }

    /// A file in its folder.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        file
    }

    /// Stops it as an operator does.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
