//! `CONFORMANCE.md` is true: every rule is in it once, what it names exists and runs, and cites the rule, and what tests cite is in it.
//!
//! That the tests named also passed is seen from outside, in a log of them: `.ci/conformance`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The chapters of the specification and the highest number of each; none has a gap. 392 rules, and 36 misuses.
const CHAPTERS: [(&str, usize); 32] = [
    ("BASE", 30),
    ("EV", 22),
    ("FLG", 12),
    ("ONCE", 6),
    ("FIN", 15),
    ("ADD", 21),
    ("DEL", 17),
    ("PER", 16),
    ("FD", 9),
    ("ACT", 23),
    ("LOOP", 28),
    ("EXIT", 16),
    ("TIME", 18),
    ("HEAP", 6),
    ("CT", 11),
    ("SIG", 23),
    ("THR", 18),
    ("FORK", 9),
    ("INT", 19),
    ("WAT", 12),
    ("BK", 6),
    ("EP", 17),
    ("CL", 5),
    ("PO", 5),
    ("SE", 5),
    ("KQ", 5),
    ("DP", 2),
    ("PT", 2),
    ("WN", 1),
    ("DBG", 9),
    ("MISC", 4),
    ("ERR", 36),
];

/// A row of the page.
struct Row {
    id: String,
    tags: String,
    verdict: String,
    tests: Vec<String>,
    remark: String,
}

impl Row {
    fn has(&self, tag: char) -> bool {
        self.tags.contains(tag)
    }
}

fn rows() -> Vec<Row> {
    // Below stands what was broken on purpose, in a table of another form.
    let page = include_str!("../../CONFORMANCE.md");
    page.lines()
        .take_while(|line| *line != "## Broken on purpose")
        .filter_map(|line| line.strip_prefix("| "))
        .filter(|line| ids(line.split(' ').next().unwrap()).len() == 1)
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            // The last is what follows the closing bar.
            assert_eq!(cells.len(), 6, "five cells: {line}");
            Row {
                id: cells[0].to_owned(),
                tags: cells[1].to_owned(),
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

/// The ids that the doc comment of each test in `text` cites, by the test's path within `module`.
fn collect(text: &str, module: &str, tests: &mut BTreeMap<String, BTreeSet<String>>) {
    let (mut inner, mut docs, mut is_test) = (String::new(), String::new(), false);
    let (mut kind, mut before) = ("lib ", "");
    for line in text.lines() {
        if let Some(rest) = line
            .strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(" {"))
        {
            inner = format!("::{rest}");
            // Models of threads, and what needs libkqueue, are built and run apart.
            kind = match before {
                "#[cfg(all(test, loom))]" => "loom ",
                "#[cfg(all(test, levent_libkqueue))]" => "libkqueue ",
                _ => "lib ",
            };
        } else if line == "}" && !inner.is_empty() {
            inner.clear();
        }
        before = line;
        let line = line.trim_start();
        if let Some(doc) = line.strip_prefix("///") {
            docs.push_str(doc);
        } else if line == "#[test]" {
            is_test = true;
        } else if !line.starts_with("#[") {
            if let (true, Some(rest)) = (is_test, line.strip_prefix("fn ")) {
                let name = rest.split('(').next().unwrap();
                let kind = if module.is_empty() { "" } else { kind };
                let path = format!("{kind}{module}{inner}::{name}");
                let path = path.replace(" ::", " ");
                tests.insert(path, ids(&docs));
            }
            docs.clear();
            is_test = false;
        }
    }
}

/// The integration tests in the sources, with what they cite.
fn integration_tests() -> BTreeMap<String, BTreeSet<String>> {
    fn visit(folder: &Path, module: &str, tests: &mut BTreeMap<String, BTreeSet<String>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{module}{}", path.file_stem().unwrap().to_str().unwrap());
            if path.is_dir() {
                visit(&path, &format!("{name}::"), tests);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let mut found = BTreeMap::new();
                collect(&std::fs::read_to_string(&path).unwrap(), "", &mut found);
                let found = found.into_iter();
                tests.extend(found.map(|(test, ids)| (format!("{name}{test}"), ids)));
            }
        }
    }
    let mut tests = BTreeMap::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    visit(&folder, "", &mut tests);
    tests
}

/// The unit tests, with what they cite.
fn unit_tests(folder: &Path, module: &str, tests: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let inner = match name {
            "mod" | "lib" => module.to_owned(),
            _ => format!("{module}::{name}"),
        };
        if path.is_dir() {
            unit_tests(&path, &inner, tests);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            // Never empty, or they would be taken for integration tests.
            let inner = if inner.is_empty() { "::" } else { &inner };
            collect(&text, inner, tests);
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

/// Every rule and every misuse has one row, in order; the verdict is one of the four, and all but "holds" say why.
#[test]
fn every_rule_is_there_once() {
    let rows = rows();
    let expected: Vec<_> = CHAPTERS
        .iter()
        .flat_map(|(chapter, highest)| {
            (1..=*highest).map(move |number| format!("{chapter}-{number}"))
        })
        .collect();
    assert_eq!(expected.len(), 392 + 36);
    let found: Vec<_> = rows.iter().map(|row| row.id.clone()).collect();
    assert_eq!(found, expected);
    for row in &rows {
        let id = &row.id;
        assert!(
            row.tags == "-"
                || !row.tags.is_empty() && row.tags.chars().all(|tag| "NOQPDC".contains(tag)),
            "{id}: tags {:?}",
            row.tags
        );
        assert_eq!(row.tags == "-", id.starts_with("ERR-"), "{id}: tags");
        match row.verdict.as_str() {
            "holds" => {}
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
    let mut cited = integration_tests();
    unit_tests(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        "",
        &mut cited,
    );
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

/// Every integration test in the table is compiled in and would run.
#[test]
fn named_tests_run() {
    let (all, ignored) = (listed(&[]), listed(&["--ignored"]));
    assert!(
        all.contains("conformance::named_tests_run"),
        "the list is read right"
    );
    for row in rows() {
        for test in row.tests.iter().filter(|test| !test.contains(' ')) {
            assert!(
                all.contains(test),
                "{} names {test}, which is not compiled in",
                row.id
            );
            assert!(
                !ignored.contains(test),
                "{} names {test}, which is ignored",
                row.id
            );
        }
    }
}

/// What is said to hold is tested. So is all that has a counterpart here: every contract, and 95 % of what can be observed.
#[test]
fn what_holds_is_tested() {
    let rows = rows();
    let untagged = |row: &Row| row.tags == "-";
    for row in &rows {
        let is_claim = matches!(row.verdict.as_str(), "holds" | "better");
        if is_claim && (row.has('N') || row.has('O') || row.has('Q') || untagged(row)) {
            assert!(
                !row.tests.is_empty(),
                "{}: {}, and no test",
                row.id,
                row.verdict
            );
        }
    }
    let share = |tag| {
        let of_tag: Vec<_> = rows
            .iter()
            .filter(|row| row.has(tag) && row.verdict != "no counterpart")
            .collect();
        let tested = of_tag.iter().filter(|row| !row.tests.is_empty()).count();
        println!("{tag}: {tested} of {} are tested", of_tag.len());
        (tested, of_tag.len())
    };
    let (tested, all) = share('N');
    assert_eq!(tested, all);
    let (tested, all) = share('O');
    assert!(tested * 100 >= all * 95, "{tested} of {all}");
}

/// The tests that the page of landmark bugs names exist.
#[test]
fn landmarks_are_proved() {
    let mut known: BTreeSet<_> = integration_tests().into_keys().collect();
    let mut units = BTreeMap::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    unit_tests(&sources, "", &mut units);
    known.extend(units.into_keys().map(|name| name.replace("lib ::", "lib ")));
    let text = include_str!("landmarks.rs");
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | B"));
    let (mut bugs, mut own) = (0, 0);
    for row in rows.filter(|row| row.starts_with(|c: char| c.is_ascii_digit())) {
        bugs += 1;
        let (number, _) = row.split_once(',').unwrap();
        for name in row.split('`').skip(1).step_by(2) {
            assert!(known.contains(name), "B{number} names {name}");
        }
        if row.contains("| here") {
            own += 1;
            let name = format!("::b{number}_");
            let mut landmarks = known.iter().filter(|test| test.starts_with("landmarks::"));
            assert!(landmarks.any(|test| test.contains(&name)), "B{number}");
        }
    }
    // Time never goes back in a test of the public interface: a manual clock only advances.
    assert_eq!((bugs, own), (18, 17));
}
