//! The manifests for Kubernetes, as far as the binary reads them: a key that is renamed here must not be left there.

use std::path::{Path, PathBuf};

use dunghan_testkit::binary;
use tempfile::TempDir;

/// Where the manifests put what is secret.
const DATABASE: &str = "/run/secrets/dunghan/database/uri";

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// The variables that pods are given, from lines `- name: DUNGHAN_…` and `value: …` below them.
fn variables(manifests: &Path) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for file in files_below(manifests) {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2) {
            if let Some(name) = pair[0].strip_prefix("- name: DUNGHAN_") {
                let value = pair[1].strip_prefix("value: ").unwrap_or_else(|| panic!("{pair:?}"));
                variables.push((format!("DUNGHAN_{name}"), value.to_owned()));
            }
        }
    }
    variables
}

#[test]
fn the_binary_knows_every_key_that_the_manifests_set() {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s");
    let folder = TempDir::new().unwrap();
    let uri = folder.path().join("uri");
    std::fs::write(&uri, "postgresql://lan:hoasen@dunghan-db-rw:5432/dunghan\n").unwrap();
    let variables = variables(&manifests);
    assert!(variables.iter().any(|(name, _)| name == "DUNGHAN_STORAGE__LOCATION"), "{variables:?}");
    assert!(variables.iter().any(|(name, _)| name == "DUNGHAN_PEERS__REGISTRY"), "{variables:?}");
    let mut command = binary();
    for (name, value) in variables {
        let value = match name.as_str() {
            "DUNGHAN_CONFIG" => manifests.join("base/dunghan.toml").display().to_string(),
            _ => value.replace(DATABASE, &uri.display().to_string()),
        };
        command.env(name, value);
    }
    let output = command.arg("config").current_dir(folder.path()).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr));
    assert!(output.status.success(), "{err:?}");
    for expected in [
        r#"location = "postgres://…@dunghan-db-rw:5432/dunghan""#,
        r#"migrations = "check""#,
        r#"registry = "http://dunghan-registry:7878""#,
        r#"listen = "0.0.0.0:9090""#,
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
}
