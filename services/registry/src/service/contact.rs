//! Contacts of units: whom to turn to, by role and date.

use chrono::NaiveDate;
use dunghan_calendar::zone;
use dunghan_hierarchy::{Hierarchy, UnitHistory, UnitId};
use dunghan_proto::registry as pb;
use dunghan_proto::registry::contact_service_server::ContactService;
use dunghan_rpc::{Caller, Page};
use serde::{Deserialize, Serialize};
use tonic::{Request, Response, Status};

use super::Service;
use crate::convert;
use crate::convert::contact::{new_contact, roles, to_end};
use crate::domain::contact::life;
use crate::domain::ending::Ending;
use crate::error;
use crate::store::{ContactFilter, ContactKey};

/// Where a page ended, and the date for which the first one was answered: a listing that is under way at midnight goes on
/// with that.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct PageKey {
    as_of: NaiveDate,
    contact: ContactKey,
}

/// The history of a unit that there is on some date.
fn history(hierarchy: &Hierarchy, unit: UnitId, today: NaiveDate) -> Result<&UnitHistory, Status> {
    hierarchy.get(unit).ok_or_else(|| error::no_unit(unit, today, None))
}

#[tonic::async_trait]
impl ContactService for Service {
    async fn create_contact(
        &self,
        request: Request<pb::CreateContactRequest>,
    ) -> Result<Response<pb::Contact>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let key = super::request_key(&caller, "CreateContact", &request.request_id, &request)?;
        let now = self.clock.now();
        let contact = new_contact(request, caller.subject(), now)?;
        let (unit, today) = (contact.name.unit, zone::civil_date(now));
        let hierarchy = self.current.get().await?;
        caller.must_write(unit, &hierarchy, today)?;
        let add = async {
            let history = history(&hierarchy, unit, today)?;
            if history.version_on(contact.from).is_none() {
                return Err(error::no_unit(unit, contact.from, Some(history)));
            }
            let answer = convert::contact::contact(&contact, Some(history));
            let reply = key.as_ref().map(|key| (key, &answer));
            self.store.contact_insert(&contact, reply).await?;
            tracing::info!(by = caller.subject(), contact = %contact.name.contact, "a contact was added");
            Ok(answer)
        };
        self.once(key.as_ref(), add).await
    }

    async fn end_contact(
        &self,
        request: Request<pb::EndContactRequest>,
    ) -> Result<Response<pb::Contact>, Status> {
        let caller = Caller::of(&request)?;
        let asked = to_end(request.get_ref())?;
        let now = self.clock.now();
        let (unit, today) = (asked.name.unit, zone::civil_date(now));
        let hierarchy = self.current.get().await?;
        caller.must_write(unit, &hierarchy, today)?;
        let ending =
            Ending { by: caller.subject().to_owned(), at: now, reason: asked.reason.clone() };
        loop {
            let contact = self.store.contact_fetch(asked.name).await?;
            let history = history(&hierarchy, unit, today)?;
            let ended = contact.end(asked.last_day, today, history, ending.clone())?;
            // Where another one came between, what it left is judged anew.
            if ended == contact || self.store.contact_end(&ended).await? {
                let answer = convert::contact::contact(&ended, Some(history));
                return Ok(Response::new(answer));
            }
        }
    }

    async fn list_contacts(
        &self,
        request: Request<pb::ListContactsRequest>,
    ) -> Result<Response<pb::ListContactsResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let unit = convert::unit_name("parent", &request.parent)?;
        let roles = roles(&request.roles)?;
        let filter = ("ListContacts", unit, request.as_of_date, &roles, request.show_ended);
        let page = Page::<PageKey>::new(request.page_size, &request.page_token, &filter)?;
        let as_of = self.as_of(request.as_of_date.as_ref())?;
        let as_of = page.after.map_or(as_of, |after| after.as_of);
        let today = zone::civil_date(self.clock.now());
        let hierarchy = self.current.get().await?;
        caller.must_read(unit, None, &hierarchy, today)?;

        let history = history(&hierarchy, unit, today)?;
        let on = match life(history, as_of) {
            _ if request.show_ended => None,
            Some(life) => Some((life.from, as_of)),
            // What ended with it is not in force; nor is what is there before or after it.
            None => return Ok(Response::new(pb::ListContactsResponse::default())),
        };
        let after = page.after.map(|after| after.contact);
        let filter = ContactFilter { unit, on, roles };
        let found = self.store.contact_page(&filter, after, page.size + 1).await?;
        let key = |last: &_| PageKey { as_of, contact: ContactKey::from(last) };
        let (found, next_page_token) = page.cut(found, key);
        let shown = found.iter().map(|one| convert::contact::contact(one, Some(history)));
        Ok(Response::new(pb::ListContactsResponse { contacts: shown.collect(), next_page_token }))
    }
}
