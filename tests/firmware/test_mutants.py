"""Mutants of the core: reasons are about changes that are made, and a function holds all of its changes."""

import pytest
from tests.firmware import mutants as run
from tests.firmware.mutants import ALL_IN_IT, HEADERS, SAME, Judged, all_mutants, faults, main, page
from tests.firmware.mutations import mutants, schemata
from tests.firmware.toolchain import CORE

SOURCE = """#define MOST 3u
/* a == b && 1 */
static bool each(int a)
{
\tif ((a < 3) && !is(a)) {
\t\tput(a, "text"); /* why */
\t\treturn true;
\t}
\treturn a == MOST;
}
"""


def test_each_reason_is_about_a_mutant_of_the_core() -> None:
    assert set(SAME) <= {each.key for path in (*CORE, *HEADERS) for each in mutants(path)}
    assert all(SAME.values())


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.c"
    path.write_text(SOURCE)
    return path


def test_every_comparison_constant_text_and_statement_is_changed_and_no_comment(source) -> None:
    assert [each.told for each in mutants(source)] == [
        "#define MOST [[3 -> 4]]u",
        "if ((a [[< -> <=]] 3) && !is(a)) {",
        "if ((a < [[3 -> 4]]) && !is(a)) {",
        "if ((a < 3) [[&& -> ||]] !is(a)) {",
        "if ((a < 3) && [[! -> ]]is(a)) {",
        '[[put(a, "text") -> ]];',
        'put(a, "[[t -> ?]]ext");',
        "return [[true -> false]];",
        "return a [[== -> !=]] MOST;",
    ]


def test_a_function_holds_all_of_its_mutants_by_number(source) -> None:
    numbered = dict(enumerate(mutants(source), 1))
    text, inside = schemata(source, numbered)
    assert inside == set(numbered) - {1}
    assert [f"case {number}:" in text for number in numbered] == [False] + [True] * 8
    assert "if ((a <= 3) && !is(a)) {" in text
    assert text.endswith(SOURCE[SOURCE.index("\tif (") :])


def test_a_mutant_is_the_source_with_one_change(source) -> None:
    by_told = {each.told: each for each in mutants(source)}
    assert by_told["return [[true -> false]];"].changed == SOURCE.replace("true", "false")
    assert by_told["return [[true -> false]];"].line == 7


def test_a_change_is_known_by_its_function_and_line_and_by_how_often_it_stands_before(source) -> None:
    body = "\tif (a == 1) {\n\t\treturn;\n\t}\n\tput(a);\n\treturn;\n"
    source.write_text(f"void one(int a)\n{{\n{body}}}\n\nstatic void other(int a)\n{{\n\n{body}}}\n#define LAST 7\n")
    keys = [each.key for each in mutants(source)]
    assert len(set(keys)) == len(keys)
    for function in ("one", "other"):
        assert [told for _, where, told in keys if where == function] == [
            "if (a [[== -> !=]] 1) {",
            "if (a == [[1 -> 2]]) {",
            "[[return -> ]];",
            "[[put(a) -> ]];",
            "[[return -> ]]; (2)",
        ]
    assert keys[-1] == ("source.c", "", "#define LAST [[7 -> 8]]")


def test_a_survivor_needs_a_reason_and_a_reason_a_survivor(monkeypatch) -> None:
    of = all_mutants(["ks_unit.c"])
    explained, left, same, *rest = of
    judged = Judged(of, same={same}, noticed=dict.fromkeys(rest, ("proofs", ALL_IN_IT)))
    shown = {number: ": ".join((each.source.name, each.function or "-", each.told)) for number, each in of.items()}
    monkeypatch.setattr(run, "SAME", {of[explained].key: "for a reason"})
    assert faults(judged) == [f"line {of[left].line} survives: {shown[left]}"]
    reasons = [of[each].key for each in (explained, left, same, rest[0])]
    monkeypatch.setattr(run, "SAME", dict.fromkeys([*reasons, ("ks_unit.c", "", "gone")], "for a reason"))
    assert faults(judged) == [
        f"same.toml: noticed all the same: {shown[same]}",
        f"same.toml: noticed all the same: {shown[rest[0]]}",
        "same.toml: the core has no such line: ks_unit.c: -: gone",
    ]
    told = page(judged)
    counts = f"**{len(of)} faults: {len(rest)} noticed, 0 do not compile, 1 are the same program once compiled,"
    assert f"{counts}\n2 are the same for a reason" in told
    for row in (f"`ks_unit.c` | {len(of)} | {len(rest)} | 0 | 1 | 2", f"proofs | {len(rest)}", "for a reason | 2"):
        assert f"\n| {row} |\n" in told


def test_one_function_can_be_judged_by_itself() -> None:
    assert {each.function for each in all_mutants(["ks_proof.c:put_part"]).values()} == {"put_part"}


def test_a_file_or_function_that_the_core_does_not_have_is_said(capsys) -> None:
    assert main(["ks_proof.c:nothing", "ks_proof.c", "other.c"]) == 2
    assert capsys.readouterr().err == "mutants: the core has no ks_proof.c:nothing, other.c\n"
