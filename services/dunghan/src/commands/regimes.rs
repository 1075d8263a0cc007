//! `regimes`: the rules by which reports are owed.

use chrono::NaiveDate;
use dunghan_proto::compliance as pb;
use dunghan_proto::compliance::regime::DueRule;
use serde::Serialize;

use crate::cli::{Regimes, RegimesVerb};
use crate::client::{Client, PAGE};
use crate::failure::Failure;
use crate::input::{self, RegimeFile};
use crate::output::{self, Column, Rows, show_date, word};

#[derive(Serialize)]
struct Regime {
    name: String,
    display_name: String,
    legal_basis: String,
    illustrative: bool,
    form: String,
    receiving_unit: String,
    frequency: String,
    once_period: String,
    window_family: String,
    cut_off_as_declared: bool,
    working_days_after_cut_off: Option<i32>,
    day_of_month: Option<DayOfMonth>,
    move_due_date_off_days_off: bool,
    debtors: DebtorsView,
    from_date: Option<NaiveDate>,
    through_date: Option<NaiveDate>,
}

#[derive(Serialize)]
struct DayOfMonth {
    day: i32,
    month: i32,
}

#[derive(Serialize)]
struct DebtorsView {
    subtree: String,
    levels: Vec<String>,
    units: Vec<String>,
}

impl From<pb::Regime> for Regime {
    fn from(regime: pb::Regime) -> Self {
        let (working_days_after_cut_off, day_of_month) = match regime.due_rule {
            None => (None, None),
            Some(DueRule::WorkingDaysAfterCutOff(days)) => (Some(days), None),
            Some(DueRule::DayOfMonth(pb::DayOfMonth { day, month })) => {
                (None, Some(DayOfMonth { day, month }))
            }
        };
        let debtors = regime.debtors.clone().unwrap_or_default();
        Self {
            frequency: word(regime.frequency().as_str_name(), "FREQUENCY_"),
            window_family: word(regime.window_family().as_str_name(), "WINDOW_FAMILY_"),
            from_date: output::date(regime.from_date.as_ref()),
            through_date: output::date(regime.through_date.as_ref()),
            name: regime.name,
            display_name: regime.display_name,
            legal_basis: regime.legal_basis,
            illustrative: regime.illustrative,
            form: regime.form,
            receiving_unit: regime.receiving_unit,
            once_period: regime.once_period,
            cut_off_as_declared: regime.cut_off_as_declared,
            working_days_after_cut_off,
            day_of_month,
            move_due_date_off_days_off: regime.move_due_date_off_days_off,
            debtors: DebtorsView {
                subtree: debtors.subtree,
                levels: debtors.levels,
                units: debtors.units,
            },
        }
    }
}

#[derive(Serialize)]
struct List {
    regimes: Vec<Regime>,
}

#[derive(Serialize)]
struct Imported {
    created: Vec<String>,
    unchanged: Vec<String>,
}

pub(super) async fn regimes(args: Regimes) -> Result<(), Failure> {
    let format = args.client.output;
    match args.verb {
        RegimesVerb::List => {
            let client = Client::of(&args.client)?;
            let mut request = pb::ListRegimesRequest { page_size: PAGE, page_token: String::new() };
            let mut list = List { regimes: Vec::new() };
            loop {
                let page = client.compliance().list_regimes(request.clone()).await?.into_inner();
                list.regimes.extend(page.regimes.into_iter().map(Regime::from));
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
            output::print(format, &list, table)
        }
        RegimesVerb::Import { file } => {
            let regimes = input::in_file(&file, input::regimes(&input::read(&file)?))?;
            let client = Client::of(&args.client)?;
            let mut imported = Imported { created: Vec::new(), unchanged: Vec::new() };
            for regime in regimes {
                let name = regime.regime.name.clone();
                let list = if create(&client, regime).await? {
                    &mut imported.created
                } else {
                    &mut imported.unchanged
                };
                list.push(name);
            }
            output::print(format, &imported, |imported| {
                let put = imported.created.iter().map(|name| format!("{name}: put in force"));
                let there =
                    imported.unchanged.iter().map(|name| format!("{name}: was there, the same"));
                put.chain(there).collect::<Vec<_>>().join("\n")
            })
        }
    }
}

/// Puts a regime in force; `false` where the same one was there already.
pub(crate) async fn create(client: &Client, file: RegimeFile) -> Result<bool, Failure> {
    let regime = contract(client, file).await?;
    let request_id = uuid::Uuid::new_v4().to_string();
    let request = pb::CreateRegimeRequest { regime: Some(regime.clone()), request_id };
    let refused = match client.compliance().create_regime(request).await {
        Ok(_) => return Ok(true),
        Err(status) => Failure::from(status),
    };
    if refused.reason().as_deref() != Some("REGIME_EXISTS") {
        return Err(refused);
    }
    let request = pb::GetRegimeRequest { name: regime.name.clone() };
    let mut there = client.compliance().get_regime(request).await?.into_inner();
    there.create_time = None;
    if there == regime { Ok(false) } else { Err(refused) }
}

/// As the contract has it: the registry is asked for the units that the file gives by code.
pub(crate) async fn contract(client: &Client, file: RegimeFile) -> Result<pb::Regime, Failure> {
    let mut debtors = pb::Debtors {
        subtree: client.unit_name_or_all(file.debtors.subtree.as_ref(), None).await?,
        levels: file.debtors.levels,
        units: Vec::new(),
    };
    for unit in &file.debtors.units {
        debtors.units.push(client.unit_name(unit, None).await?);
    }
    Ok(pb::Regime {
        receiving_unit: client.unit_name(&file.receiving_unit, None).await?,
        debtors: Some(debtors),
        ..file.regime
    })
}

fn table(list: &List) -> String {
    use Column::Text;
    let mut rows =
        Rows::new(&[Text("Regime"), Text("What"), Text("Due"), Text("From"), Text("Through")]);
    for regime in &list.regimes {
        let due = match (regime.working_days_after_cut_off, &regime.day_of_month) {
            (Some(days), _) => format!("cut-off + {days} working days"),
            (None, Some(DayOfMonth { day, month: 0 })) => format!("{day} of the last month"),
            (None, Some(DayOfMonth { day, month })) => format!("{day:02}/{month:02}"),
            (None, None) => "–".to_owned(),
        };
        rows.row([
            regime.name.trim_start_matches("regimes/").to_owned(),
            regime.display_name.clone(),
            due,
            show_date(regime.from_date),
            show_date(regime.through_date),
        ]);
    }
    rows.text()
}
