//! Keeps the house as ARCHITECTURE.md draws it: who may depend on whom, and who never sees what.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, fs, path::Path};

/// Of our own crates, what each may name in its manifest, tests included.
const MAY_SEE: [(&str, &[&str]); 7] = [
    ("core", &[]),
    ("api", &["core"]),
    ("store", &["core"]),
    ("enforce", &["core"]),
    ("guard", &["core", "api", "enforce"]),
    ("server", &["core", "api", "store", "enforce"]),
    ("hourgate", &["core", "api", "store", "enforce", "guard", "server"]),
];

/// Libraries that only some may name: what a crate cannot link it cannot do.
const ONLY: [(&str, &[&str]); 7] = [
    ("nlink", &["guard"]),
    ("rusqlite", &["store"]),
    ("hyper", &["server"]),
    ("rcgen", &["server"]),
    ("reqwest", &["hourgate", "server"]),
    ("clap", &["hourgate"]),
    ("tokio", &["store", "enforce", "guard", "server", "hourgate"]),
];

/// Libraries that the rules never see: no IO, no clock of their own, no randomness.
const NEVER_IN_CORE: [&str; 6] = ["tokio", "rustix", "getrandom", "rand", "tracing", "reqwest"];

fn manifests() -> BTreeMap<String, toml::Table> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_dir(crates)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .map(|path| {
            let text = fs::read_to_string(path.join("Cargo.toml")).unwrap();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), text.parse().unwrap())
        })
        .collect()
}

fn names(manifest: &toml::Table, tables: &[&str]) -> Vec<String> {
    tables
        .iter()
        .filter_map(|table| manifest.get(*table)?.as_table())
        .flat_map(|table| table.keys().cloned())
        .collect()
}

#[test]
fn arrows_point_one_way() {
    let manifests = manifests();
    let known: Vec<&str> = MAY_SEE.iter().map(|(name, _)| *name).collect();
    assert_eq!(manifests.keys().map(String::as_str).collect::<Vec<_>>(), {
        let mut known = known.clone();
        known.sort_unstable();
        known
    });
    for (name, may_see) in MAY_SEE {
        let own = names(&manifests[name], &["dependencies", "build-dependencies"]);
        for other in own.iter().filter_map(|own| own.strip_prefix("hourgate-")) {
            assert!(may_see.contains(&other), "{name} must not depend on {other}");
        }
    }
}

#[test]
fn a_crate_cannot_do_what_it_cannot_link() {
    let manifests = manifests();
    for (library, allowed) in ONLY {
        for (name, manifest) in &manifests {
            let own = names(manifest, &["dependencies", "build-dependencies"]);
            assert!(
                !own.iter().any(|own| own == library) || allowed.contains(&name.as_str()),
                "{name} must not depend on {library}"
            );
        }
    }
    let core = names(&manifests["core"], &["dependencies", "build-dependencies"]);
    for library in NEVER_IN_CORE {
        assert!(!core.iter().any(|own| own == library), "core must not depend on {library}");
    }
}

#[test]
fn every_crate_keeps_the_lints_of_the_house() {
    for (name, manifest) in manifests() {
        let lints = manifest["lints"].as_table().and_then(|lints| lints["workspace"].as_bool());
        assert_eq!(lints, Some(true), "{name} must say [lints] workspace = true");
    }
}

/// Whatever the server calls, it calls through the one client that looks at addresses first.
#[test]
fn the_server_calls_others_from_one_place() {
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src");
    let mut open = vec![server.clone()];
    let mut callers = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if fs::read_to_string(&path).unwrap().contains("reqwest") {
                callers.push(path);
            }
        }
    }
    assert!(!callers.is_empty(), "the client is somewhere");
    for path in callers {
        assert!(path.starts_with(server.join("outgoing")), "{} makes calls itself", path.display());
    }
}

/// A path that ARCHITECTURE.md names exists.
#[test]
fn the_map_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for document in ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "docs/promises.md"] {
        let text = fs::read_to_string(root.join(document)).unwrap();
        let named = text.split(['`', '(', ')', ' ', ',', '\n']).filter(|word| {
            (word.starts_with("crates/") || word.starts_with("docs/")) && !word.contains('*')
        });
        for path in named {
            let path = path.trim_end_matches(['.', ':', '/']);
            assert!(root.join(path).exists(), "{document} names {path}, which is not there");
        }
    }
}
