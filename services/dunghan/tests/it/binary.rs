//! Runs the built binary, and a server of it, in a folder of their own.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;

use dunghan_testkit::{Process, binary};
use serde_json::Value;
use tempfile::TempDir;
use unicode_width::UnicodeWidthStr as _;

/// A province with two communes.
const UNITS: &str = "code,name,type,parent_code,level\n\
    24,Tỉnh Bắc Ninh,tinh,,province\n09427,Phường Trí Quả,phuong,24,commune\n09430,Xã Đông Cứu,xa,24,commune\n";

/// Communes report to their province each month, three working days after the cut-off.
const REGIME: &str = r#"[{"name": "cds-24", "display_name": "Báo cáo chuyển đổi số", "legal_basis": "Minh họa",
    "illustrative": true, "form": "cds-1", "receiving_level": "province", "frequency": "month",
    "working_days_after_cut_off": 3, "debtors": {"levels": ["commune"]}, "from_date": "2026-05-01"}]"#;

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
            assert!(line.width() <= 80, "{line}\n{}", self.out);
        }
        &self.out
    }
}

/// Runs the binary in `folder` to its end.
pub(crate) fn run_in(folder: &Path, args: &[&str]) -> Ran {
    let output = binary().args(args).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A server of the binary, and the folder that it keeps its data in. Dropped, it is killed with SIGKILL.
#[derive(Debug)]
pub(crate) struct Serving {
    process: Process,
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

    /// As [`Self::start`], at 08:00 on 18/05/2026, with two communes that report to their province by 19/05/2026. The clock stands,
    /// and follows the file `now`.
    pub(crate) fn on_18_may_2026() -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        let clock = folder.path().join("now");
        std::fs::write(&clock, "2026-05-18T08:00:00+07:00").unwrap();
        let server = Self::over(&folder, &["--set", &format!("test.clock={}", clock.display())]);
        for (noun, name, content) in [("units", "units.csv", UNITS), ("regimes", "r.json", REGIME)]
        {
            let file = server.file(name, content);
            server.run(&[noun, "import", file.to_str().unwrap()]).table();
        }
        server
    }

    /// As [`Self::over`], without waiting.
    pub(crate) fn begin(folder: &Arc<TempDir>, args: &[&str]) -> Self {
        let process = Process::begin(folder.path(), args);
        Self { process, address: String::new(), folder: folder.clone() }
    }

    /// Waits until it says where it listens.
    pub(crate) fn ready(mut self) -> Self {
        self.address = format!("http://{}", self.process.address());
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
    pub(crate) fn stop(self) -> ExitStatus {
        self.process.terminate()
    }
}
