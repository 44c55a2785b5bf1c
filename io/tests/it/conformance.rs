//! `CONFORMANCE.md` is true: every rule is in it once, what it names exists and runs, and cites the rule, and what tests cite is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The chapters on the page, in its order, and the highest number of each; none has a gap.
const CHAPTERS: &[(&str, usize)] = &[
    ("EB", 115),
    ("BE", 77),
    ("PA", 12),
    ("FI", 19),
    ("RL", 24),
    ("TL", 24),
    ("LI", 21),
];

/// A row of the page.
struct Row {
    id: String,
    class: String,
    verdict: String,
    tests: Vec<String>,
    remark: String,
}

fn rows() -> Vec<Row> {
    let page = include_str!("../../CONFORMANCE.md");
    page.lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter(|line| ids(line.split(' ').next().unwrap()).len() == 1)
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            // The last is what follows the closing bar.
            assert_eq!(cells.len(), 6, "five cells: {line}");
            Row {
                id: cells[0].to_owned(),
                class: cells[1].to_owned(),
                verdict: cells[2].to_owned(),
                tests: cells[3]
                    .split(", ")
                    .filter(|test| !test.is_empty())
                    .map(|test| {
                        let name = test
                            .strip_prefix('`')
                            .and_then(|rest| rest.strip_suffix('`'));
                        name.unwrap_or_else(|| panic!("a test stands in backticks: {line}"))
                            .to_owned()
                    })
                    .collect(),
                remark: cells[4].to_owned(),
            }
        })
        .collect()
}

/// Words such as `EB-15`, of the chapters on the page.
fn ids(text: &str) -> BTreeSet<String> {
    let is_id = |word: &&str| {
        word.split_once('-').is_some_and(|(chapter, number)| {
            CHAPTERS.iter().any(|(known, _)| *known == chapter)
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(is_id)
        .map(str::to_owned)
        .collect()
}

/// The tests in a folder, by path, with the ids that the doc comment of each cites.
fn collect(folder: &Path, module: &str, tests: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let inner = match (name, module) {
            ("mod" | "main", _) => module.to_owned(),
            (_, "") => name.to_owned(),
            _ => format!("{module}::{name}"),
        };
        if path.is_dir() {
            collect(&path, &inner, tests);
            continue;
        }
        let (mut docs, mut is_test) = (String::new(), false);
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let line = line.trim_start();
            if let Some(doc) = line.strip_prefix("///") {
                docs.push_str(doc);
            } else if line == "#[test]" {
                is_test = true;
            } else if !line.starts_with("#[") {
                if let (true, Some(rest)) = (is_test, line.strip_prefix("fn ")) {
                    let name = rest.split('(').next().unwrap();
                    tests.insert(format!("{inner}::{name}"), ids(&docs));
                }
                docs.clear();
                is_test = false;
            }
        }
    }
}

/// What this binary says it would run.
fn listed(flags: &[&str]) -> BTreeSet<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .arg("--list")
        .args(flags)
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
        .collect()
}

/// Every rule has one row, in order; the verdict is one of the four, and all but "holds" say why.
#[test]
fn every_rule_is_there_once() {
    let rows = rows();
    let expected: Vec<_> = CHAPTERS
        .iter()
        .flat_map(|(chapter, highest)| {
            (1..=*highest).map(move |number| format!("{chapter}-{number}"))
        })
        .collect();
    let found: Vec<_> = rows.iter().map(|row| row.id.clone()).collect();
    assert_eq!(found, expected);
    for row in &rows {
        let (id, class) = (&row.id, &row.class);
        let is_class = |letter: &str| ["T", "D", "I", "X"].contains(&letter);
        assert!(class.split('/').all(is_class), "{id}: class {class:?}");
        match row.verdict.as_str() {
            // A mistake that is repeated here would be none.
            "holds" => assert_ne!(class, "X", "{id}"),
            "better" | "no counterpart" | "differs" => {
                assert!(!row.remark.is_empty(), "{id} does not say why");
            }
            other => panic!("{id}: no such verdict: {other:?}"),
        }
    }
}

/// Every test in the table is in the sources and cites its rule; every rule that a test cites is in the table, with that test.
#[test]
fn table_and_tests_agree() {
    let mut cited = BTreeMap::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    collect(&folder, "", &mut cited);
    let table: BTreeMap<_, _> = rows()
        .into_iter()
        .map(|row| (row.id.clone(), row))
        .collect();
    for (id, row) in &table {
        for test in &row.tests {
            let ids = cited
                .get(test)
                .unwrap_or_else(|| panic!("{id} names {test}, which does not exist"));
            assert!(ids.contains(id), "{test} does not cite {id}");
        }
    }
    for (test, ids) in &cited {
        for id in ids {
            let row = table
                .get(id)
                .unwrap_or_else(|| panic!("{test} cites {id}, which is no rule"));
            assert!(
                row.tests.contains(test),
                "the table does not name {test} for {id}"
            );
        }
    }
}

/// Is the test compiled in? Those of TLS need the feature, and a system where their provider is built.
fn is_built(test: &str) -> bool {
    !test.starts_with("tls::") || cfg!(all(feature = "tls", target_os = "linux"))
}

/// Every test in the table is compiled in and would run.
#[test]
fn named_tests_run() {
    let (all, ignored) = (listed(&[]), listed(&["--ignored"]));
    assert!(
        all.contains("conformance::named_tests_run"),
        "the list is read right"
    );
    for row in rows() {
        for test in row.tests.iter().filter(|test| is_built(test)) {
            assert!(
                all.contains(test) && !ignored.contains(test),
                "{} names {test}, which does not run",
                row.id
            );
        }
    }
}

/// Every claim is tested: what holds, and what is better.
#[test]
fn what_holds_is_tested() {
    for row in rows() {
        let is_claim = matches!(row.verdict.as_str(), "holds" | "better");
        assert!(
            !is_claim || !row.tests.is_empty(),
            "{}: {}, and no test",
            row.id,
            row.verdict
        );
    }
}
