//! What it costs to take reports in, on both engines. Run by `make bench`; as `dunghan bench submission` measures it where the
//! program runs. Arguments name the parts to measure.

use std::process::ExitCode;

use dunghan_benches::reports::{Part, Size, measure};
use dunghan_benches::{Ground, Table, wanted};
use dunghan_store::Location;
use dunghan_testkit::{ENGINES, Engine, POSTGRES_VARIABLE};

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut table = Table::default();
    runtime.block_on(async {
        for engine in ENGINES {
            let location = (engine == Engine::Postgres).then(|| {
                let server = std::env::var(POSTGRES_VARIABLE).expect("a server: run `make bench`");
                Location::Postgres(server)
            });
            let ground = Ground::new(location).expect("a place");
            for part in Part::ALL.into_iter().filter(|part| wanted(part.as_str())) {
                let measured =
                    measure(&[part], &ground, Size::of(Size::WHOLE), &|says| eprintln!("{says}"))
                        .await;
                for figure in measured.expect("figures") {
                    let what = format!("{}, {engine:?}", figure.what);
                    table.row(&what, figure.value, figure.ceiling, figure.unit);
                }
            }
            ground.remove().await.expect("nothing left");
        }
    });
    table.verdict()
}
