//! The ways to run the whole system. A rule of the whole holds in each of them.

use dunghan_testkit::{Engine, Mode, Place};

/// One way: how the services live, and where their data is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) mode: Mode,
    pub(crate) engine: Engine,
}

impl Setting {
    pub(crate) async fn place(self) -> Place {
        Place::new(self.engine).await
    }
}

/// Makes of each function a test in every setting, each with a name of its own: they run beside each other, and one that
/// fails says where.
macro_rules! everywhere {
    ($($test:ident),+ $(,)?) => {
        everywhere!(in together_on_sqlite, Together, Sqlite: $($test)+);
        everywhere!(in together_on_postgres, Together, Postgres: $($test)+);
        everywhere!(in apart_on_sqlite, Apart, Sqlite: $($test)+);
        everywhere!(in apart_on_postgres, Apart, Postgres: $($test)+);
    };
    (in $name:ident, $mode:ident, $engine:ident: $($test:ident)+) => {
        mod $name {
            use dunghan_testkit::{Engine, Mode};

            const SETTING: crate::setting::Setting =
                crate::setting::Setting { mode: Mode::$mode, engine: Engine::$engine };

            $(
                #[tokio::test]
                async fn $test() {
                    Box::pin(super::$test(SETTING)).await;
                }
            )+
        }
    };
}
pub(crate) use everywhere;
