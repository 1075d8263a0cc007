//! Arrows between crates point downward only, and the crates look as they should.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The crates from the ground up. One may stand on those in the layers below its own, and on nothing beside or above.
const LAYERS: [&[&str]; 9] = [
    &["dunghan-calendar", "dunghan-proto"],
    &["dunghan-hierarchy", "dunghan-documents"],
    &["dunghan-rpc", "dunghan-store", "dunghan-telemetry"],
    &["dunghan-events"],
    &["dunghan-host"],
    &["dunghan-testkit"],
    &SERVICES,
    &["dunghan-benches"],
    &["dunghan", "dunghan-tests"],
];

const SERVICES: [&str; 4] =
    ["dunghan-aggregation", "dunghan-compliance", "dunghan-registry", "dunghan-submission"];

/// No I/O, and nothing of ours but the calendar.
const PURE: [&str; 3] = ["dunghan-calendar", "dunghan-documents", "dunghan-hierarchy"];
const IO: [&str; 7] = ["axum", "http", "sea-orm", "tokio", "tonic", "tower", "tracing"];

/// Starts services for tests: whatever is not below it in the pure layers may use it there, and only there.
const TESTKIT: &str = "dunghan-testkit";

/// What a service is made of. `x.rs` may have a folder `x/` beside it; a name may be absent, and none is added.
/// `data` reads the product's own tables, which stand in the service's folder `data/`.
const IN_SRC: [&str; 10] =
    ["blobs", "config", "convert", "data", "domain", "error", "jobs", "lib", "service", "store"];
const IN_SERVICE: [&str; 4] = ["Cargo.toml", "data", "src", "tests"];

/// What rules may not know: the wire, the database, the clock, the disk, and the layers around them.
const NOT_IN_DOMAIN: [&str; 13] = [
    "Utc::now",
    "crate::convert",
    "crate::jobs",
    "crate::service",
    "crate::store",
    "dunghan_events",
    "dunghan_proto",
    "dunghan_rpc",
    "dunghan_store",
    "sea_orm",
    "std::fs",
    "tokio",
    "tonic",
];

struct Package {
    folder: PathBuf,
    /// Name and kind: normal, build or dev.
    dependencies: Vec<(String, String)>,
}

fn packages() -> BTreeMap<String, Package> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("normal").to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let dependencies = dependencies.map(|one| (text(&one["name"]), text(&one["kind"])));
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let folder = manifest.parent().unwrap().to_owned();
        (text(&package["name"]), Package { folder, dependencies: dependencies.collect() })
    });
    packages.collect()
}

fn layer(package: &str) -> usize {
    let layer = LAYERS.iter().position(|layer| layer.contains(&package));
    layer.unwrap_or_else(|| panic!("{package} has no place among the layers: give it one"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn arrows_point_downward_only() {
    let packages = packages();
    for (name, package) in &packages {
        let ours = package.dependencies.iter().filter(|(other, _)| packages.contains_key(other));
        for (other, kind) in ours {
            let arrow = format!("{name} → {other} ({kind})");
            if other == TESTKIT {
                assert_eq!(kind, "dev", "{arrow}");
                assert!(!PURE.contains(&name.as_str()), "{arrow}");
            } else {
                assert!(layer(other) < layer(name), "{arrow} does not point downward");
            }
        }
    }
}

#[test]
fn the_pure_crates_touch_nothing() {
    for (name, package) in packages().iter().filter(|(name, _)| PURE.contains(&name.as_str())) {
        for (other, kind) in &package.dependencies {
            let ours = other.starts_with("dunghan-") && other != "dunghan-calendar";
            assert!(!ours && !IO.contains(&other.as_str()), "{name} → {other} ({kind})");
        }
    }
}

#[test]
fn every_crate_is_held_to_the_same_lints() {
    for (name, package) in packages() {
        let manifest = std::fs::read_to_string(package.folder.join("Cargo.toml")).unwrap();
        let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]");
        assert_eq!(lines.nth(1), Some("workspace = true"), "{name} has lints of its own, or none");
    }
}

#[test]
fn every_service_is_laid_out_alike() {
    let packages = packages();
    for name in SERVICES {
        let folder = &packages[name].folder;
        for entry in names(folder) {
            assert!(IN_SERVICE.contains(&entry.as_str()), "{name}: {entry}");
        }
        for entry in names(&folder.join("src")) {
            let module = entry.strip_suffix(".rs").unwrap_or(&entry);
            assert!(IN_SRC.contains(&module), "{name}: src/{entry}");
        }
    }
}

#[test]
fn the_rules_of_a_service_know_nothing_around_them() {
    let packages = packages();
    for name in SERVICES {
        let source = packages[name].folder.join("src");
        let mut rules = files(&source.join("domain"));
        rules.push(source.join("domain.rs"));
        for file in rules.iter().filter(|file| file.extension().is_some_and(|end| end == "rs")) {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            for word in NOT_IN_DOMAIN {
                assert!(!text.contains(word), "{} knows {word}", file.display());
            }
        }
    }
}
