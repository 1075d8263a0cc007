//! Working calendars: read, counted by, amended.

use std::sync::Arc;

use chrono::{Months, NaiveDate};
use dunghan_calendar::zone;
use dunghan_hierarchy::{Level, UnitId};
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::calendar_service_server::CalendarService;
use dunghan_rpc::{Caller, Page, bad_field, field};
use dunghan_store::RequestKey;
use tonic::{Request, Response, Status};

use super::Service;
use crate::convert;
use crate::domain::calendar::{Calendar, CalendarId, Calendars, Change};
use crate::error::{unknown_calendar, unknown_unit};
use crate::store::{Amending, DueChangeKey};

/// A day so many years ago may be amended although nothing of its time is here: what is of that time may yet be loaded.
const LOADABLE_YEARS: u32 = 10;

fn known(calendars: &Calendars, id: CalendarId) -> Result<&Calendar, Status> {
    calendars.get(id).ok_or_else(|| unknown_calendar(&id.to_string()))
}

impl Service {
    /// The calendars as of the last amendment of any process.
    async fn calendars(&self) -> Result<Arc<Calendars>, Status> {
        Ok(self.reconciler.calendars.follow(&self.reconciler.store).await?)
    }

    /// Refuses a calendar of what is no province. One that has ended is: what it left is still counted by its calendar.
    async fn must_be_province(&self, field: &str, unit: UnitId) -> Result<(), Status> {
        let hierarchy = self.reconciler.units.knowing(unit).await?;
        let history = hierarchy.get(unit).ok_or_else(|| unknown_unit(unit))?;
        let province = history.versions.iter().any(|version| version.level == Level::Province);
        let why = "names a unit that is no province: only provinces have calendars of their own";
        if province { Ok(()) } else { Err(bad_field(field, why)) }
    }

    /// Refuses days that lie before all that is or may yet be counted here. Later ones may be amended however long they are
    /// past: a storm day is declared afterwards.
    async fn must_matter(&self, change: &Change) -> Result<(), Status> {
        let loadable = self.today().checked_sub_months(Months::new(12 * LOADABLE_YEARS));
        let loadable = loadable.unwrap_or(NaiveDate::MIN);
        if change.days.iter().all(|day| loadable <= day.date) {
            return Ok(());
        }
        let store = &self.reconciler.store;
        let regimes = store.regime_all().await?;
        let windows = regimes.iter().map(|regime| {
            let first = regime.first_period(regime.from);
            first.map_or(regime.from, |first| regime.window(first).first)
        });
        let dossier = store.dossier_oldest().await?.map(zone::civil_date);
        let first = windows.chain(dossier).fold(loadable, NaiveDate::min);
        match change.days.iter().position(|day| day.date < first) {
            None => Ok(()),
            Some(at) => {
                let why = format!("lies before {first}, and nothing here is counted from before");
                Err(convert::in_the_past(&format!("days[{at}].date"), why))
            }
        }
    }
}

#[tonic::async_trait]
impl CalendarService for Service {
    async fn get_calendar(
        &self,
        request: Request<pb::GetCalendarRequest>,
    ) -> Result<Response<pb::Calendar>, Status> {
        let id = convert::calendar_id("name", &request.get_ref().name)?;
        let calendars = self.calendars().await?;
        Ok(Response::new(convert::calendar(id, known(&calendars, id)?)))
    }

    async fn list_calendars(
        &self,
        _: Request<pb::ListCalendarsRequest>,
    ) -> Result<Response<pb::ListCalendarsResponse>, Status> {
        let calendars = self.calendars().await?;
        let calendars = calendars.all().map(|(id, calendar)| convert::calendar(id, calendar));
        Ok(Response::new(pb::ListCalendarsResponse { calendars: calendars.collect() }))
    }

    async fn list_calendar_days(
        &self,
        request: Request<pb::ListCalendarDaysRequest>,
    ) -> Result<Response<pb::ListCalendarDaysResponse>, Status> {
        let request = request.into_inner();
        let id = convert::calendar_id("parent", &request.parent)?;
        let (from, through) =
            convert::interval(request.from_date.as_ref(), request.through_date.as_ref())?;
        let calendars = self.calendars().await?;
        let calendar = known(&calendars, id)?;
        let days = from.iter_days().take_while(|day| *day <= through);
        let special = days.filter_map(|day| calendar.days.special(day));
        Ok(Response::new(pb::ListCalendarDaysResponse {
            days: special.map(convert::calendar_day).collect(),
            version: calendar.version(),
        }))
    }

    async fn compute_due_date(
        &self,
        request: Request<pb::ComputeDueDateRequest>,
    ) -> Result<Response<pb::ComputeDueDateResponse>, Status> {
        let request = request.into_inner();
        let id = convert::calendar_id("calendar", &request.calendar)?;
        let date = field::required("date", field::date("date", request.date.as_ref())?)?;
        let working_days = convert::working_days(request.working_days)?;
        let calendars = self.calendars().await?;
        let calendar = match id {
            CalendarId::National => known(&calendars, id)?,
            CalendarId::Of(unit) => {
                self.must_be_province("calendar", unit).await?;
                calendars.in_area(unit)
            }
        };
        let due = calendar.days.add_working_days(date, working_days);
        Ok(Response::new(pb::ComputeDueDateResponse {
            due_date: Some(field::pb_date(due)),
            skipped_days: convert::skipped_days(&calendar.days, date, due),
            version: calendar.version(),
        }))
    }

    async fn amend_calendar(
        &self,
        request: Request<pb::AmendCalendarRequest>,
    ) -> Result<Response<pb::CalendarAmendment>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let key = field::request_id(&request.request_id)?
            .map(|id| RequestKey::new(caller.subject(), "AmendCalendar", id, &request));
        let change = convert::change(&request)?;
        if let CalendarId::Of(unit) = change.calendar {
            self.must_be_province("name", unit).await?;
        }
        self.must_matter(&change).await?;
        // What submission has received keeps its due time, so it has to be known first.
        let hierarchy = self.reconciler.catch_up().await?;
        let calendars = self.reconciler.calendars.current();
        let amending = Amending {
            change: &change,
            etag: &request.etag,
            author: caller.subject(),
            at: self.reconciler.believed_now().await?,
            hierarchy: &hierarchy,
        };
        let store = &self.reconciler.store;
        if request.validate_only {
            let amendment = store.calendar_preview(calendars, amending).await?;
            // Nothing has that name.
            let answer = pb::CalendarAmendment { name: String::new(), ..(&amendment).into() };
            return Ok(Response::new(answer));
        }
        let answer =
            store.calendar_amend(calendars, amending, key.as_ref(), |made| made.into()).await?;
        Ok(Response::new(answer))
    }

    async fn list_calendar_amendments(
        &self,
        request: Request<pb::ListCalendarAmendmentsRequest>,
    ) -> Result<Response<pb::ListCalendarAmendmentsResponse>, Status> {
        let request = request.into_inner();
        let id = match request.parent.as_str() {
            "" => None,
            name => Some(convert::calendar_id("parent", name)?),
        };
        let page = Page::<i64>::new(request.page_size, &request.page_token, &request.parent)?;
        if let Some(id) = id {
            known(&*self.calendars().await?, id)?;
        }
        let store = &self.reconciler.store;
        let limit = page.size as u64 + 1;
        let found = store.calendar_amendment_page(id, page.after, limit).await?;
        let (found, next_page_token) = page.cut(found, |last| last.number.cast_signed());
        let amendments = found.iter().map(pb::CalendarAmendment::from).collect();
        Ok(Response::new(pb::ListCalendarAmendmentsResponse { amendments, next_page_token }))
    }

    async fn list_due_changes(
        &self,
        request: Request<pb::ListDueChangesRequest>,
    ) -> Result<Response<pb::ListDueChangesResponse>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let scope = convert::unit("scope", &request.scope)?;
        let asked = (scope, &request.reference);
        let page = Page::<DueChangeKey>::new(request.page_size, &request.page_token, &asked)?;
        self.readable(&caller, scope, None).await?;
        let store = &self.reconciler.store;
        let reference = Some(request.reference.as_str()).filter(|name| !name.is_empty());
        let limit = page.size as u64 + 1;
        let found = store.due_change_page(scope, reference, page.after.as_ref(), limit).await?;
        let (found, next_page_token) = page.cut(found, |last| last.into());
        let due_changes = found.iter().map(pb::DueChange::from).collect();
        Ok(Response::new(pb::ListDueChangesResponse { due_changes, next_page_token }))
    }
}
