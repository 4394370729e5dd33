//! `hourgate whoami`: who we are to the server, and the address a request without a source is for.

use hourgate_api::paths::Route;

use super::Session;
use crate::{
    exit::Failure,
    output::{Answer, Table},
    view,
};

/// Shows who we are.
pub(crate) async fn run(session: &Session) -> Result<(), Failure> {
    let value = session.client.get(&Route::Whoami(None).uri()).await?.body;
    let mut table = Table::new(["WHAT", "VALUE"]);
    for (key, value) in value.as_object().into_iter().flatten() {
        table.row([key.clone(), view::plain(value)]);
    }
    session.output.show(&Answer::new(value.clone(), table))
}
