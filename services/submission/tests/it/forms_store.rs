//! What the store keeps of forms and of earlier reports, on both engines.

use chrono::TimeDelta;
use dunghan_calendar::{Family, Period};
use dunghan_proto::submission as pb;
use dunghan_store::{Answered, Database, RequestKey};
use dunghan_submission::domain::form::{Form, Forms, Published, Retired};
use dunghan_submission::domain::report::{Asked, Content, Report, ReportName};
use dunghan_submission::domain::value::{Figure, Key, Qualifier, Role, Value};
use dunghan_submission::store::{Error, KeptForm, Migrations, Reply, Store};
use dunghan_testkit::{ENGINES, Place};
use uuid::Uuid;

use crate::world::{date, dinh_to, now, tri_qua};

async fn on_both_engines(test: impl AsyncFn(Store)) {
    for engine in ENGINES {
        let place = Place::new(engine).await;
        let database = Database::open(&place.location, "submission").await.unwrap();
        database.migrate::<Migrations>().await.unwrap();
        test(Store::new(database)).await;
    }
}

fn form(key: &str) -> Form {
    let text = format!(
        "key = '{key}'\ndisplay_name = 'Tổng hợp'\nlegal_basis = 'Công văn 12'\n\
         [[indicator]]\nkey = 'a'\ndisplay_name = 'Số lượng'\nkind = 'choice'\nchoices = ['Có', 'Không']\n\
         [[rule]]\nkey = 'r'\nmessage = 'Sai.'\nexpression = 'has(v.a)'\nseverity = 'blocking'\n"
    );
    Form::read(&text).unwrap()
}

fn published() -> Published {
    Published { at: now(), author: "lan".to_owned() }
}

const NO_REPLY: Option<Reply<'_, pb::Form>> = None;

#[tokio::test]
async fn a_form_is_kept_once_as_it_was_published() {
    on_both_engines(async |store: Store| {
        assert_eq!(
            (store.form_version().await.unwrap(), store.form_all().await.unwrap()),
            (0, (0, vec![]))
        );
        let form = form("x-1");
        store.form_insert(form.text(), &published(), NO_REPLY).await.unwrap();
        let again = store.form_insert(form.text(), &published(), NO_REPLY).await.unwrap_err();
        assert!(matches!(&again, Error::FormExists(key) if key == "x-1"), "{again}");
        let kept = KeptForm {
            key: "x-1".to_owned(),
            published: Some((form.text().clone(), published())),
            retired: None,
        };
        assert_eq!(store.form_version().await.unwrap(), 1);
        assert_eq!(store.form_all().await.unwrap(), (1, vec![kept]));
    })
    .await;
}

#[tokio::test]
async fn a_form_is_retired_once_whether_it_was_published_or_came_with_the_program() {
    on_both_engines(async |store: Store| {
        store.form_insert(form("x-1").text(), &published(), NO_REPLY).await.unwrap();
        let first = Retired { at: now(), reason: "Có phiên bản mới.".to_owned() };
        let later = Retired { at: now() + TimeDelta::hours(1), reason: "Khác.".to_owned() };
        let answer = |kept: KeptForm| pb::Form {
            name: kept.key,
            retire_reason: kept.retired.unwrap().reason,
            ..pb::Form::default()
        };
        let request = pb::RetireFormRequest::default();
        let id = Uuid::new_v4();
        for (key, version) in [("x-1", 2), ("cds-1", 4)] {
            let asked = RequestKey::new("lan", "RetireForm", id, &request);
            let asked = Some(&asked).filter(|_| key == "x-1");
            for retired in [&first, &later] {
                let done = store.form_retire(
                    key,
                    "lan",
                    retired,
                    asked.filter(|_| *retired == first),
                    answer,
                );
                let done = done.await.unwrap();
                assert_eq!(
                    (done.name.as_str(), done.retire_reason.as_str()),
                    (key, "Có phiên bản mới.")
                );
            }
            assert_eq!(store.form_version().await.unwrap(), version);
            if let Some(asked) = asked {
                let answered = store.request_answered::<pb::Form>(asked).await.unwrap();
                assert!(matches!(answered, Answered::Yes(form) if form.name == key));
            }
        }
        let (version, mut kept) = store.form_all().await.unwrap();
        kept.sort_by(|one, two| one.key.cmp(&two.key));
        assert_eq!(version, 4);
        assert_eq!((kept[0].published.as_ref(), kept[0].retired.as_ref()), (None, Some(&first)));
        assert_eq!(kept[1].published.as_ref().map(|(text, _)| text), Some(form("x-1").text()));
        assert_eq!(kept[1].retired.as_ref(), Some(&first));
    })
    .await;
}

#[tokio::test]
async fn of_earlier_reports_those_count_that_are_handed_over_and_not_sent_back() {
    on_both_engines(async |store: Store| {
        let forms = Forms::compiled_in().unwrap();
        let form = forms.get("cds-1").unwrap();
        let period = |name: &str| name.parse::<Period>().unwrap();
        let draft = |unit, regime: &str, name: &str, nil: bool| {
            let asked = Asked {
                regime: regime.to_owned(),
                period: period(name),
                form: "cds-1".to_owned(),
                window: period(name).window(Family::Nd09),
                cut_off_as_declared: false,
                review_levels: 0,
                receivers: Vec::new(),
            };
            let key = Key {
                indicator: "portal_posts".to_owned(),
                category: String::new(),
                role: Role::Actual,
                start: None,
                end: None,
            };
            let value = Value {
                key,
                figure: Figure::Count(7),
                qualifier: Qualifier::Exact,
                stated_percent: None,
                quote: String::new(),
                discrepancy: None,
            };
            let values = if nil { Vec::new() } else { vec![value] };
            let content = Content { values, nil, ..Content::default() };
            let name = ReportName { unit, report: Uuid::new_v4() };
            Report::begin(name, asked, content, form, now())
        };
        let keep = async |report: &Report| {
            store.report_insert(report, None, NO_REPLY).await.unwrap();
        };
        let submitted = |report: Report| report.submit(form, None, "lan", now()).unwrap();
        let handed_over = submitted(draft(tri_qua(), "cds", "202603", false));
        keep(&handed_over).await;
        keep(&submitted(draft(tri_qua(), "cds", "202602", true))).await;
        keep(&draft(tri_qua(), "cds", "202601", false)).await;
        let sent_back = submitted(draft(tri_qua(), "cds", "202512", false));
        let (sent_back, _) =
            sent_back.send_back("minh", String::new(), date("2026-12-01"), now()).unwrap();
        keep(&sent_back).await;
        keep(&submitted(draft(tri_qua(), "other", "202601", false))).await;
        keep(&submitted(draft(dinh_to(), "cds", "202601", false))).await;

        let asked: Vec<_> = ["202512", "202601", "202602", "202603"].map(period).into();
        let found = store.report_earlier(&[tri_qua()], "cds", &asked).await.unwrap();
        let mut found = found.get(&tri_qua()).cloned().unwrap_or_default();
        found.sort_by_key(|one| one.period);
        let found: Vec<_> = found.into_iter().map(|one| (one.period, one.values)).collect();
        let values = handed_over.content.values.clone();
        assert_eq!(found, [(period("202602"), None), (period("202603"), Some(values))]);
        let none = store.report_earlier(&[tri_qua()], "cds", &asked[..1]).await.unwrap();
        assert!(none.is_empty(), "{none:?}");
        let both = store.report_earlier(&[tri_qua(), dinh_to()], "cds", &asked).await.unwrap();
        let of = |unit| both[&unit].iter().map(|one| one.period).collect::<Vec<_>>();
        assert_eq!((both.len(), of(tri_qua()).len()), (2, 2));
        assert_eq!(of(dinh_to()), [period("202601")]);
    })
    .await;
}
