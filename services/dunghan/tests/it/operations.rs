//! What docs/OPERATIONS.md says is what there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::binary::run_in;

fn read(file: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// What stands between two texts.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, after) = text.split_once(from).unwrap_or_else(|| panic!("there is no {from:?}"));
    after.split_once(to).unwrap_or_else(|| panic!("no {to:?} after {from:?}")).0
}

#[test]
fn the_keys_are_documented_as_the_program_knows_them() {
    let folder = TempDir::new().unwrap();
    let ran = run_in(folder.path(), &["config", "--reference"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let operations = read("docs/OPERATIONS.md");
    let documented = between(&operations, "<!-- keys -->\n", "<!-- end -->");
    assert!(
        documented.trim() == ran.out.trim(),
        "docs/OPERATIONS.md does not have the keys of `dunghan config --reference`; how to renew it stands there"
    );
}

#[test]
fn every_alert_has_its_heading_and_every_heading_its_alert() {
    let rules = read("k8s/monitoring/alerts.yaml");
    let after = |prefix: &str| -> Vec<String> {
        let lines = rules.lines().filter_map(|line| line.trim().split_once(prefix));
        lines.map(|(_, rest)| rest.trim().to_owned()).collect()
    };
    let (alerts, books) = (after("- alert:"), after("runbook_url:"));
    assert!(!alerts.is_empty());
    // An anchor is its heading in small letters.
    let expected = alerts.iter().map(|one| format!("docs/OPERATIONS.md#{}", one.to_lowercase()));
    assert_eq!(books, expected.collect::<Vec<_>>());
    let operations = read("docs/OPERATIONS.md");
    let headings = between(&operations, "\n## Alerts\n", "\n## ").lines();
    let headings: BTreeSet<_> = headings.filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(headings, alerts.iter().map(String::as_str).collect());
}

#[test]
fn every_link_within_the_documentation_leads_somewhere() {
    let operations = read("docs/OPERATIONS.md");
    let anchors: BTreeSet<_> = operations
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim().to_lowercase())
        .map(|heading| heading.replace(' ', "-").replace(['\'', ':', '`', '[', ']'], ""))
        .collect();
    for link in operations.split("](").skip(1) {
        let target = link.split(')').next().unwrap();
        match target.strip_prefix('#') {
            Some(anchor) => assert!(anchors.contains(anchor), "{target}: {anchors:?}"),
            None => drop(read(&format!("docs/{target}"))),
        }
    }
}
