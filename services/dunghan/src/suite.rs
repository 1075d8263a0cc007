//! The list of the services that this binary runs. Nothing else here names them together.

use dunghan_aggregation::Aggregation;
use dunghan_compliance::Compliance;
use dunghan_host::Suite;
use dunghan_registry::Registry;
use dunghan_submission::Submission;

/// All four, owners of events before their consumers.
pub(crate) fn suite() -> Suite {
    Suite::new().with::<Registry>().with::<Submission>().with::<Compliance>().with::<Aggregation>()
}
