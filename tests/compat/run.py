#!/usr/bin/env python3
"""Runs the tests, examples and documentation of the packages of smol's family against levent, and against the originals.

    tests/compat/run.py [--ours-only] [--work DIR] [SUITE…]

For each suite of suites.toml the published source is taken from cargo's registry into two generated workspaces, `original` and `ours`, which differ in
one line per package: where the crate under test, or the async-io below it, comes from. Nothing of it is kept in the repository.

    registry ──▶ DIR/original/SUITE/{tests,examples,docs}   async-io = "=2.6.0"
             └─▶ DIR/ours/SUITE/{tests,examples,docs}       async-io = { package = "levent-async-io", … }, or [patch]

Prints passed, failed and not compiled per file. What passes on the original and not on ours has to be in exceptions.txt, with its reason; anything else,
and an exception that has become unnecessary, is an error. With --ours-only the originals are not built, and everything but the exceptions has to pass:
half the time, for every change.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
FENCE = re.compile(r"^\s*(```+|~~~+)")
VERDICT = re.compile(r"^test (.+?)(?: - should panic)?(?: - compile(?: fail)?)? \.\.\. (?:.*\W)?(ok|FAILED|ignored)$")
# How long one test binary may take, and an example that stays.
PATIENCE, SECONDS = 300, 3


def main():
    arguments = parse()
    suites = {name: suite for name, suite in read("suites.toml").items() if not arguments.suite or name in arguments.suite}
    work = pathlib.Path(arguments.work)
    sides = ["ours"] if arguments.ours_only else ["original", "ours"]
    sources = locate(work / "sources", suites)
    results = {}
    for side in sides:
        generate(work / side, side, suites, sources)
        for name, suite in suites.items():
            results[side, name] = try_all(work / side, work / "target", name, suite)
    sys.exit(report(results, suites, sides, exceptions()))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours-only", action="store_true", help="do not build the originals")
    parser.add_argument("--work", default=REPOSITORY / "target" / "compat", help="where to generate and build")
    parser.add_argument("suite", nargs="*", help="a table of suites.toml; all without it")
    return parser.parse_args()


def read(name):
    return tomllib.loads((HERE / name).read_text())


def exceptions():
    """`suite file test: reason` per line; a test of `*` is the whole file."""
    found = {}
    for line in (HERE / "exceptions.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            what, reason = line.split(": ", 1)
            suite, file, test = what.split(" ", 2)
            found[suite, file, test] = reason
    return found


# ---- the published sources -------------------------------------------------------------------------------------------------------------------------


def locate(folder, suites):
    """Has cargo fetch the packages, and asks where they lie."""
    (folder / "src").mkdir(parents=True, exist_ok=True)
    (folder / "src/lib.rs").write_text("")
    wanted = {suite.get("crate", name): suite["version"] for name, suite in suites.items()}
    lines = ["[package]", 'name = "sources"', 'version = "0.0.0"', 'edition = "2021"', "[workspace]", "[dependencies]"]
    lines += [f'{crate} = "={version}"' for crate, version in wanted.items()]
    (folder / "Cargo.toml").write_text("\n".join(lines))
    metadata = subprocess.run(["cargo", "metadata", "--format-version=1", "--manifest-path", folder / "Cargo.toml"], check=True, stdout=subprocess.PIPE)
    packages = json.loads(metadata.stdout)["packages"]
    return {p["name"]: pathlib.Path(p["manifest_path"]).parent for p in packages if wanted.get(p["name"]) == p["version"]}


# ---- the generated workspaces ----------------------------------------------------------------------------------------------------------------------


def generate(root, side, suites, sources):
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for name, suite in suites.items():
        crate = suite.get("crate", name)
        source, target = sources[crate], root / name
        for kind in ["tests", "examples"]:
            if (source / kind).is_dir():
                shutil.copytree(source / kind, target / kind)
        documentation(source, target, suite)
        (target / "Cargo.toml").write_text(manifest(root, side, name, suite, source))
    lines = ["[workspace]", 'resolver = "2"', "members = [" + ", ".join(f'"{name}"' for name in suites) + "]"]
    if side == "ours":
        lines += ["[patch.crates-io]", f'async-io = {{ path = "{REPOSITORY}/compat/patch/async-io" }}']
    (root / "Cargo.toml").write_text("\n".join(lines) + "\n")


def documentation(source, target, suite):
    """Every example of the documentation as a page of a library without code, so that rustdoc tests it under another crate's roof."""
    (target / "src").mkdir(parents=True)
    (target / "docs").mkdir()
    items = []
    for file in [*sorted(source.glob("src/**/*.rs")), *([source / "README.md"] if suite.get("readme") else [])]:
        relative = file.relative_to(source).as_posix()
        if relative not in suite.get("skip", []):
            page = file.read_text() if file.suffix == ".md" else "\n".join(fenced(file.read_text()))
            if page:
                name = relative.removeprefix("src/").removesuffix(".rs").removesuffix(".md").lower().replace("/", "_").replace("-", "_")
                (target / "docs" / f"{name}.md").write_text(page + "\n")
                items.append(f'#[doc = include_str!("../docs/{name}.md")]\npub mod {name}_page {{}}')
    (target / "src/lib.rs").write_text("\n".join(items) + "\n")


def fenced(text):
    """The fenced blocks of documentation comments."""
    inside = False
    for line in text.splitlines():
        comment = re.match(r"\s*//[/!] ?(.*)$", line)
        if not comment:
            if inside:
                yield "```"
            inside = False
            continue
        if FENCE.match(comment[1]):
            inside = not inside
            yield comment[1].strip()
        elif inside:
            yield comment[1]


def manifest(root, side, name, suite, source):
    crate = suite.get("crate", name)
    original = tomllib.loads((source / "Cargo.toml").read_text())
    needs = {}
    for table in [original] + [t for cfg, t in original.get("target", {}).items() if "linux" in cfg or "unix" in cfg or "espidf" in cfg]:
        for kind in ["dependencies", "dev-dependencies"]:
            for dependency, spec in table.get(kind, {}).items():
                merge(needs, dependency, dict(spec))
    needs.pop("criterion", None)
    own = {"version": f"={suite['version']}"}
    if side == "ours" and suite["swap"] == "rename":
        own = {"path": shim(root, crate, suite)}
        own["package"] = tomllib.loads((pathlib.Path(own["path"]) / "Cargo.toml").read_text())["package"]["name"]
    elif "features" in suite:
        own["features"] = suite["features"]
    needs[crate] = own
    lines = ["[package]", f'name = "compat-{name}"', 'version = "0.0.0"', f'edition = "{original["package"]["edition"]}"', "[lib]", "test = false"]
    for dependency, spec in needs.items():
        lines.append(f"[dependencies.{dependency}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in spec.items() if key != "optional"]
    return "\n".join(lines) + "\n"


def merge(needs, dependency, spec):
    """One entry per dependency: with the features of all its tables, and the default ones if any of them has those."""
    known = needs.setdefault(dependency, spec)
    if known is not spec:
        known["features"] = sorted({*known.get("features", []), *spec.get("features", [])})
        if spec.get("default-features", True):
            known.pop("default-features", None)


def shim(root, crate, suite):
    """The folder of the package with the crate's root: ours, or one generated for a module that stands for a crate."""
    if "package" in suite:
        return str(REPOSITORY / suite["package"])
    folder = root / "roots" / crate
    (folder / "src").mkdir(parents=True)
    library, module = suite["root"].split("::")
    (folder / "src/lib.rs").write_text(f"pub use {library}::{module}::*;\n")
    package = library.replace("_", "-")
    path = REPOSITORY / package.removeprefix("levent-")
    text = f'[package]\nname = "root-of-{crate}"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n{package} = {{ path = "{path}" }}\n'
    (folder / "Cargo.toml").write_text(text)
    return str(folder)


# ---- building and running --------------------------------------------------------------------------------------------------------------------------


def try_all(root, target, name, suite):
    """{(file, test): verdict}, of everything that the package has."""
    cargo = Cargo(root, target, f"compat-{name}")
    found = {}
    for test in sorted((root / name / "tests").glob("*.rs")):
        cargo.test(found, f"tests/{test.name}", ["--test", test.stem])
    for page in sorted((root / name / "docs").glob("*.md")):
        cargo.test(found, f"docs/{page.stem}", ["--doc", "--", f"docs/{page.name}", f"{page.stem}_page"])
    for example in sorted((root / name / "examples").glob("*.rs")):
        file = f"examples/{example.name}"
        binary = cargo.build(example.stem)
        found[file, "compiles"] = "ok" if binary else "not compiled"
        if binary and example.stem in suite.get("run", []):
            found[file, "runs"] = outcome(binary)
    return found


class Cargo:
    def __init__(self, root, target, package):
        self.root, self.package = root, package
        self.environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "CARGO_TERM_COLOR": "never", "CARGO_PROFILE_DEV_DEBUG": "0", "RUSTFLAGS": "--cap-lints=allow"}

    def command(self, *words):
        return ["cargo", *words, "--quiet", "--manifest-path", str(self.root / "Cargo.toml"), "-p", self.package]

    def test(self, found, file, selection):
        cargo, extra = (selection, []) if "--" not in selection else (selection[: selection.index("--")], selection[selection.index("--") :])
        if "--doc" not in cargo:
            built = subprocess.run([*self.command("test", "--no-run"), *cargo], env=self.environment, capture_output=True, text=True)
            if built.returncode:
                keep(self.root, self.package, file, built.stdout + built.stderr)
                found[file, "*"] = "not compiled"
                return
        # rustdoc's filter is a part of the name, which ends with the page's module.
        extra = ["--", f"{file.removeprefix('docs/')}_page"] if "--doc" in cargo else ["--"]
        command = [*self.command("test"), *cargo, *extra, "--format=pretty"]
        code, output = limited(command, PATIENCE, env=self.environment)
        verdicts = [VERDICT.match(line) for line in output.splitlines()]
        verdicts = {v[1]: v[2] for v in verdicts if v}
        for test, verdict in verdicts.items():
            if verdict != "ignored":
                found[file, short(test)] = {"ok": "ok", "FAILED": "failed"}[verdict]
        if "FAILED" in verdicts.values() or code:
            keep(self.root, self.package, file, output)
        if code is None:
            found[file, "*"] = f"hung for {PATIENCE} s"
        elif code and "FAILED" not in verdicts.values():
            found[file, "*"] = f"ended with {code}"

    def build(self, example):
        built = subprocess.run([*self.command("build"), "--example", example], env=self.environment, capture_output=True, text=True)
        if built.returncode:
            keep(self.root, self.package, f"examples/{example}", built.stdout + built.stderr)
            return None
        binary = pathlib.Path(self.environment["CARGO_TARGET_DIR"]) / "debug" / "examples" / example
        own = binary.with_name(f"{example}-{self.root.name}-{self.package}")
        shutil.copy(binary, own)
        return own


def keep(root, package, file, output):
    """The output of what went wrong, for whoever wants to know why."""
    log = root / "logs" / package / (file.replace("/", "-") + ".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(output)


def short(test):
    """The name of a documentation test without its way to the page."""
    return re.sub(r"^.*docs/\S+ - \S+ ", "", test)


def limited(command, seconds, **keywords):
    """The exit code, None if time ran out, and what was printed. The whole group is ended, so that no child is left."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True, **keywords) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
            return process.returncode, output
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return None, output


def outcome(binary):
    """How an example ends: what it prints is its own business, and has times and addresses in it."""
    code, _ = limited([str(binary)], SECONDS)
    return "stays" if code is None else f"ends with {code}"


# ---- the report ------------------------------------------------------------------------------------------------------------------------------------


def report(results, suites, sides, excepted):
    wrong, same, compared, used = [], 0, 0, set()
    for name in suites:
        ours = results["ours", name]
        original = results.get(("original", name))
        expected = {key: verdict for key, verdict in (original or ours).items() if good(verdict) or original is None}
        print(f"\n{name} {suites[name]['version']} ({suites[name]['swap']})")
        for file in sorted({file for file, _ in ours} | {file for file, _ in expected}):
            line = [f"  {file:<34}"]
            for side in sides:
                line.append(f"{side}: {counts(results[side, name], file):<42}")
            print(" ".join(line).rstrip())
        for (file, test), verdict in sorted(expected.items()):
            compared += 1
            got = ours.get((file, test), ours.get((file, "*"), "missing"))
            if got == verdict and good(got):
                same += 1
                continue
            key = next((k for k in [(name, file, test), (name, file, "*")] if k in excepted), None)
            used.add(key)
            if key is None:
                wrong.append(f"{name} {file} {test}: {got}")
            else:
                print(f"    excepted: {file} {test}: {got}: {excepted[key]}")
    stale = [key for key in excepted if key[0] in suites and key not in used]
    print(f"\n{same} of {compared} " + ("that pass on the originals pass on levent" if "original" in sides else "pass") + f": {100 * same / max(compared, 1):.1f} %")
    for line in wrong:
        print(f"FAILED: {line}")
    for key in stale:
        print(f"no longer an exception: {' '.join(key)}")
    return 1 if wrong or stale or not compared else 0


def good(verdict):
    return verdict == "ok" or verdict == "stays" or verdict == "ends with 0"


def counts(found, file):
    verdicts = [verdict for (f, _), verdict in found.items() if f == file]
    named = {"passed": sum(map(good, verdicts)), "not compiled": verdicts.count("not compiled")}
    named["failed"] = len(verdicts) - sum(named.values())
    return ", ".join(f"{number} {what}" for what, number in named.items() if number) or "nothing"


if __name__ == "__main__":
    main()
