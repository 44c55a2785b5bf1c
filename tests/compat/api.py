#!/usr/bin/env python3
"""Compares the public interface of async-io, async-net, async-process and smol with what stands for it here.

    tests/compat/api.py [--work DIR]

rustdoc describes both sides as JSON, by the same compiler. Of every public type, trait, function and method of the original there has to be one of the same name
and signature here, and of every trait implementation, auto traits included, one for the same type. What we have beyond that is our own. Names of parameters, lifetimes, and whether an
`async fn` is written as one are of no account. Exceptions are in interface.txt, each with its reason.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

# The original, and where its names are here: packages, whose names are taken together.
PAIRS = {
    "async-io": ("2.6.0", ["levent-async-io", "levent-io", "levent-timer", "levent-executor", "levent-reactor"]),
    "async-net": ("2.0.0", ["levent-io"]),
    "async-process": ("2.5.0", ["levent-io"]),
    "smol": ("2.0.2", ["levent-smol"]),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=pathlib.Path, default=REPOSITORY / "target" / "compat", help="where to build")
    work = parser.parse_args().work
    excepted = read_exceptions()
    used, wrong, total = set(), 0, 0
    for original, (version, packages) in PAIRS.items():
        theirs = Interface(describe(scratch(work, original, version), f"{original}@{version}", work))
        ours = set()
        for package in packages:
            ours |= Interface(describe(REPOSITORY, package, work)).lines
        missing = sorted(theirs.lines - ours)
        total += len(theirs.lines)
        print(f"{original} {version}: {len(theirs.lines)} items, {len(missing)} missing")
        for line in missing:
            key = next((key for key in excepted if key[0] == original and matches(line, key[1])), None)
            if key:
                used.add(key)
                print(f"    excepted: {line}: {excepted[key]}")
            else:
                wrong += 1
                print(f"    MISSING: {line}")
    for key in excepted.keys() - used:
        wrong += 1
        print(f"no longer an exception: {' '.join(key)}")
    print(f"{total} items compared, {wrong} differences that nobody argues")
    sys.exit(1 if wrong or not total else 0)


def read_exceptions():
    """`crate | item | reason` per line; an item that ends with a star is all that begin so."""
    found = {}
    for line in (HERE / "interface.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            crate, item, reason = line.split(" | ")
            found[crate, item] = reason
    return found


def matches(line, item):
    return line.startswith(item[:-1]) if item.endswith("*") else line == item


def scratch(work, crate, version):
    folder = work / "api" / crate
    (folder / "src").mkdir(parents=True, exist_ok=True)
    (folder / "src/lib.rs").write_text("")
    text = f'[package]\nname = "original"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n[dependencies]\n{crate} = "={version}"\n'
    (folder / "Cargo.toml").write_text(text)
    return folder


def describe(folder, package, work):
    environment = {**os.environ, "RUSTC_BOOTSTRAP": "1", "CARGO_TARGET_DIR": str(work / "api" / "target")}
    command = ["cargo", "rustdoc", "--quiet", "--lib", "--manifest-path", folder / "Cargo.toml", "-p", package]
    subprocess.run([*command, "--", "-Zunstable-options", "--output-format=json", "--cap-lints=allow"], check=True, env=environment)
    name = package.split("@")[0].replace("-", "_")
    return json.loads((work / "api" / "target" / "doc" / f"{name}.json").read_text())


# Every item that the crate mentions, of other crates too.
PATHS = {}
# Of the compiler's own; and what is done at the end is nobody's business.
UNNAMED = ("Freeze", "Drop", "StructuralPartialEq")


class Interface:
    """The public items of a crate, a line each."""

    def __init__(self, crate):
        self.index, self.lines = crate["index"], set()
        PATHS.clear()
        PATHS.update(crate["paths"])
        self.module(self.item(crate["root"]), set())

    def item(self, number):
        return self.index.get(str(number))

    def module(self, module, seen):
        for number in module["inner"]["module"]["items"]:
            item = self.item(number)
            if item is None or number in seen:
                continue
            seen.add(number)
            [(kind, inner)] = item["inner"].items()
            if kind == "use":
                self.use(item, inner, seen)
            elif item["visibility"] == "public":
                self.visit(item, kind, inner, seen)

    def use(self, item, inner, seen):
        if item["visibility"] != "public":
            return
        target = self.item(inner["id"]) if inner["id"] is not None else None
        if not inner["is_glob"]:
            self.lines.add(f"name {inner['name']}")
        if target is None or target["id"] in seen:
            return
        seen.add(target["id"])
        [(kind, content)] = target["inner"].items()
        if kind == "module" and inner["is_glob"]:
            self.module(target, seen)
        else:
            self.visit(target, kind, content, seen)

    def visit(self, item, kind, inner, seen):
        self.lines.add(f"name {item['name']}")
        if kind == "module":
            self.module(item, seen)
        elif kind == "function":
            self.lines.add(f"fn {item['name']}{signature(inner, '')}")
        elif kind == "trait":
            for number in inner["implementations"]:
                implementation = self.item(number)
                if implementation:
                    self.implementation(item["name"], implementation["inner"]["impl"])
            for number in inner["items"]:
                method = self.item(number)
                if "function" in method["inner"]:
                    self.lines.add(f"{item['name']}: fn {method['name']}{signature(method['inner']['function'], 'Self')}")
        elif kind in ("struct", "enum"):
            for number in inner["impls"]:
                implementation = self.item(number)
                if implementation:
                    self.implementation(item["name"], implementation["inner"]["impl"])
            for number in inner.get("kind", {}).get("plain", {}).get("fields", []) if kind == "struct" and isinstance(inner["kind"], dict) else []:
                field = self.item(number)
                if field and field["visibility"] == "public":
                    self.lines.add(f"{item['name']}: field {field['name']}: {show(field['inner']['struct_field'], '')}")

    def implementation(self, name, inner):
        subject = show(inner["for"], "")
        if inner["blanket_impl"] is not None:
            return
        if inner["trait"] is not None:
            if inner["is_negative"] or inner["trait"]["path"].split("::")[-1] in UNNAMED:
                return
            trait = inner["trait"]["path"].split("::")[-1] + arguments(inner["trait"]["args"], subject)
            # Whether it is there is compared; the bounds of auto traits are the crates' own tests' affair.
            self.lines.add(f"{name}: impl {trait} for {subject}")
            return
        for number in inner["items"]:
            method = self.item(number)
            if method and method["visibility"] == "public" and "function" in method["inner"]:
                self.lines.add(f"{subject}: fn {method['name']}{signature(method['inner']['function'], subject)}")


def signature(function, subject):
    header, parts = function["header"], function["sig"]
    inputs = ", ".join(show(kind, subject) for _, kind in parts["inputs"])
    output = show(parts["output"], subject) if parts["output"] else "()"
    unsafe = "unsafe " if header["is_unsafe"] else ""
    # An `async fn`, a function that returns a future, and one whose future has bounds besides.
    if header["is_async"]:
        output = f"Future<{output}>"
    elif output.startswith("impl Future<Output = "):
        output = "Future<" + output.removeprefix("impl Future<Output = ").rsplit(">", 1)[0] + ">"
    return f"({unsafe}{inputs}) -> {output}"


def arguments(args, subject):
    if not args or "angle_bracketed" not in args:
        if args and "parenthesized" in args:
            inner = args["parenthesized"]
            output = f" -> {show(inner['output'], subject)}" if inner["output"] else ""
            return "(" + ", ".join(show(kind, subject) for kind in inner["inputs"]) + ")" + output
        return ""
    inner = args["angle_bracketed"]
    words = [show(next(iter(a.values())), subject) for a in inner["args"] if isinstance(a, dict) and "type" in a]
    for constraint in inner["constraints"]:
        bound = constraint["binding"]
        if "equality" in bound:
            words.append(f"{constraint['name']} = {show(bound['equality']['type'], subject)}")
    return f"<{', '.join(words)}>" if words else ""


def bounds(items, subject):
    words = []
    for bound in items:
        if isinstance(bound, dict) and "trait_bound" in bound:
            trait = bound["trait_bound"]["trait"]
            words.append(trait["path"].split("::")[-1] + arguments(trait["args"], subject))
    # The future first, and what it must have besides in one order.
    words = [w for w in words if w != "Sized"]
    return " + ".join(sorted(words, key=lambda w: (not w.startswith("Future"), w)))


def show(kind, subject):
    """A type as text, without lifetimes and without the way to its name."""
    if kind is None:
        return "()"
    if isinstance(kind, str):
        return kind
    [(what, inner)] = kind.items()
    if what == "resolved_path":
        # `io::Result<T>` and `Result<T, io::Error>` are written either way.
        # By its own name, whatever the file that mentions it calls it.
        known = PATHS.get(str(inner["id"]))
        name = known["path"][-1] if known else inner["path"].split("::")[-1]
        text = name + arguments(inner["args"], subject)
        return text.replace(", Error>", ">") if name == "Result" else text
    if what == "generic":
        return subject if inner == "Self" and subject else inner
    if what == "primitive":
        return inner
    if what == "tuple":
        return "(" + ", ".join(show(part, subject) for part in inner) + ")"
    if what == "slice":
        return f"[{show(inner, subject)}]"
    if what == "array":
        return f"[{show(inner['type'], subject)}; {inner['len']}]"
    if what == "borrowed_ref":
        return "&" + ("mut " if inner["is_mutable"] else "") + show(inner["type"], subject)
    if what == "impl_trait":
        return "impl " + bounds(inner, subject)
    if what == "dyn_trait":
        return "dyn " + " + ".join(t["trait"]["path"] for t in inner["traits"])
    if what == "qualified_path":
        return f"{show(inner['self_type'], subject)}::{inner['name']}"
    if what == "function_pointer":
        return "fn" + signature(inner, subject)
    return what


if __name__ == "__main__":
    main()
