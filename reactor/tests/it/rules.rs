//! The table of rules is true: what it names exists, and what the tests cite is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The ids that each test's doc comment cites, by the test's path. Those of the library's own files of tests are there with `unit:` in
/// front.
fn cited() -> BTreeMap<String, BTreeSet<String>> {
    let mut tests = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    collect(&root.join("tests/it"), "", &mut tests);
    collect(&root.join("src"), "unit:", &mut tests);
    tests
}

fn collect(folder: &Path, prefix: &str, tests: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let module = format!("{prefix}{}", path.file_stem().unwrap().to_str().unwrap());
        if path.is_dir() {
            collect(&path, &format!("{module}::"), tests);
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let (mut docs, mut is_test) = (String::new(), false);
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            if let Some(doc) = line.strip_prefix("///") {
                docs.push_str(doc);
            } else if line == "#[test]" {
                is_test = true;
            } else if !line.starts_with("#[") {
                if let (true, Some(rest)) = (is_test, line.strip_prefix("fn ")) {
                    let name = rest.split('(').next().unwrap();
                    tests.insert(format!("{module}::{name}"), ids(&docs));
                }
                docs.clear();
                is_test = false;
            }
        }
    }
}

/// Words such as `LOOP-15`.
fn ids(text: &str) -> BTreeSet<String> {
    let is_id = |word: &&str| {
        word.split_once('-').is_some_and(|(chapter, number)| {
            chapter.len() >= 2
                && chapter.bytes().all(|byte| byte.is_ascii_uppercase())
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(is_id)
        .map(str::to_owned)
        .collect()
}

/// Every test in the table exists and cites its rule; every rule that a test cites is in the table, with that test.
#[test]
fn table_and_tests_agree() {
    let cited = cited();
    let mut table: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in include_str!("rules.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let mut words = line.split_whitespace();
        let id = words.next().unwrap();
        assert!(words.next().is_some(), "{id} has no tag");
        let tests = words
            .filter(|word| *word != "-" && *word != "better:")
            .collect();
        assert!(table.insert(id, tests).is_none(), "{id} is there twice");
    }
    for (id, tests) in &table {
        for test in tests {
            let ids = cited
                .get(*test)
                .unwrap_or_else(|| panic!("{id} names {test}, which does not exist"));
            assert!(ids.contains(*id), "{test} does not cite {id}");
        }
    }
    // Unit tests cite what they like.
    for (test, ids) in cited.iter().filter(|(test, _)| !test.starts_with("unit:")) {
        for id in ids {
            let tests = table
                .get(id.as_str())
                .unwrap_or_else(|| panic!("{test} cites {id}, which is no rule"));
            assert!(
                tests.contains(test.as_str()),
                "the table does not name {test} for {id}"
            );
        }
    }
}
