"""Tables of the results, with exact intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from statistics import median
from typing import Any

from measuring import clopper_pearson, markdown, number

from edgewright.precisions import PRECISIONS
from truth.counts import COSTS, REAL, real, right, slight
from truth.store import Before, Done, Fault, Kernel, Key, Made, Origin, Row, Sound

NAMED = 50  # permille of the decisions from which on a miss is listed
_MANY = 200
_BANDS = ((20, 50), (50, 200), (200, 1001))
RULES = {"n": "not finite", "l": "levels", "w": "whole", "f": "following", "s": "slices", "c": "choices"}
_LIMITS = (0, 3, 6, 9, 12, 15, 18)  # dB
Rows = Mapping[Key, list[Any]]
Pair = tuple[Key, Any]


def pairs(rows: Rows, kind: type[Row]) -> Iterator[Pair]:
    """(artifact, row) of one kind."""
    return ((key, row) for key, found in rows.items() for row in found if isinstance(row, kind))


def share(hits: int, of: int) -> str:
    """A share in percent with its interval."""
    if not of:
        return "-"
    low, high = clopper_pearson(hits, of)
    return f"{100 * hits / of:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def origins(rows: Rows) -> dict[str, Origin]:
    """Where each model's weights and data are from."""
    return {key.model: row for key, row in pairs(rows, Origin)}


def real_models(rows: Rows) -> set[str]:
    """Models with trained weights and real data."""
    return {name for name, one in origins(rows).items() if one.trained and one.data == "real"}


def models(rows: Rows) -> str:
    """The conversions that worked and those that did not."""
    lines, known = [], origins(rows)
    for model in dict.fromkeys(key.model for key in rows):
        made = [(key, row) for key, row in pairs(rows, Made) if key.model == model]
        absent = [row.refused for key, row in made if not key.target]
        good = [key for key, row in made if key.target and not row.refused]
        why = absent or [f"{key.target} {key.precision}: {row.refused}" for key, row in made if row.refused]
        lines.append(
            [model, _from(known.get(model)), len(good), "; ".join(_short(one) for one in why) or "-"]
        )
    return markdown(["model", "weights, data", "artifacts", "no artifact, for"], lines)


def coverage(rows: Rows, there: Iterable[str]) -> str:
    """The models that were tried with other draws of data, and those that a run did not start or finish."""
    halves = sorted({key.model for key, row in pairs(rows, Sound) if row.data != "all"})
    text = f"Calibrated on half of the data as well, and judged by other goldens: {', '.join(halves) or 'none'}.\n"
    done = [key for key, _ in pairs(rows, Done)]
    each = {key[1:] for key in done}
    absent = {key.model for key, _ in pairs(rows, Made) if not key.target}
    found = {name: {key[1:] for key in done if key.model == name} for name in there if name not in absent}
    missing = [f"{name} ({len(some)} of {len(each)} ways)" for name, some in found.items() if some != each]
    return text + (f"\nNot tried, or not to the end: {', '.join(missing)}.\n" if missing else "")


def _from(origin: Origin | None) -> str:
    return "-" if origin is None else f"{'trained' if origin.trained else 'drawn'}, {origin.data}"


def faults(rows: Rows) -> str:
    """By damage, origin of the model, kind, precision, target and model."""
    found = [(key, row) for key, row in pairs(rows, Fault) if row.changed >= 0]
    trained = real_models(rows)
    lines = [
        _fault_line("**all**", found),
        _fault_line("**trained weights, real data**", [pair for pair in found if pair[0].model in trained]),
        _fault_line("other weights or data", [pair for pair in found if pair[0].model not in trained]),
    ]
    for low, high in _BANDS:
        some = [pair for pair in found if low < pair[1].changed <= high]
        lines.append(_fault_line(f"other decisions: {low / 10:.0f} to {min(high, 1000) / 10:.0f} %", some))
    costly = [pair for pair in found if (pair[1].lost or 0) > COSTS]
    lines.append(_fault_line(f"costs more than {COSTS / 10:.0f} point of accuracy", costly))
    groups: tuple[Callable[[Pair], str], ...] = (
        lambda pair: pair[1].kind, lambda pair: pair[0].precision, lambda pair: pair[0].target, lambda pair: pair[0].model
    )  # fmt: skip
    for of in groups:
        for name in dict.fromkeys(map(of, found)):
            lines.append(_fault_line(name, [pair for pair in found if of(pair) == name]))
    return markdown(["", "planted", "real", "host %", "board %", "either %", "slight", "host refuses", "board", "change nothing", "host refuses", "board"], lines)  # fmt: skip


def _fault_line(name: str, found: list[Pair]) -> list[object]:
    every = [row for _, row in found]
    counted = list(filter(real, every))
    shares = [
        share(sum(map(refuses, counted)), len(counted))
        for refuses in (_host, _board, lambda row: _host(row) or _board(row))
    ]
    cells = [name, len(found), len(counted), *shares]
    for others in (list(filter(slight, every)), [row for row in every if not real(row) and not slight(row)]):
        cells += [len(others), sum(map(_host, others)), sum(map(_board, others))]
    return cells


def _host(row: Any) -> bool:
    return bool(row.host)


def _board(row: Any) -> bool:
    return bool(row.board)


def rules(rows: Rows) -> str:
    """The faults that each rule of the host finds."""
    caught = [row for _, row in pairs(rows, Fault) if real(row) and row.host]
    lines = [
        [name, sum(letter in row.host for row in caught), sum(row.host == letter for row in caught)]
        for letter, name in RULES.items()
    ]
    return markdown(["rule", "real faults that it refuses", "that no other does"], lines)


def missed(rows: Rows) -> str:
    """Real faults that matter and pass on the host; those that a board accepts too come first."""
    every = [(key, row) for key, row in pairs(rows, Fault) if real(row) and not (row.host and row.board)]
    found = sorted(
        (pair for pair in every if pair[1].changed > NAMED or (pair[1].lost or 0) > COSTS),
        key=lambda pair: (pair[1].board, -pair[1].changed),
    )
    lines = [
        [" ".join(key), row.kind, row.detail, _percent(row.changed), _points(row.lost), f"{row.sqnr_db:.1f}", _yes(row.host), _yes(row.board)]
        for key, row in found
    ]  # fmt: skip
    if not lines:
        return "None.\n"
    table = markdown(
        ["artifact", "fault", "which", "other decisions %", "accuracy lost, points", "SQNR dB", "host refuses", "board"],
        lines,
    )  # fmt: skip
    return f"{table}\n{len(every) - len(found)} more change 2 to 5 % of the decisions.\n"


def where(rows: Rows) -> str:
    """By precision: the faults that the host misses, next to its limit."""
    lines = []
    for precision in PRECISIONS.own():
        name = precision.name
        some = [row for key, row in pairs(rows, Fault) if key.precision == name and real(row)]
        lost = [row for row in some if not row.host]
        if some:
            lines.append([name, f"{precision.tolerance.sqnr_db:g} dB", len(some), len(lost), sum(row.changed > _MANY for row in lost),
                          sum((row.lost or 0) > COSTS for row in lost), sum(map(_board, lost))])  # fmt: skip
    return markdown(
        ["precision", "SQNR at least", "real faults", "missed by the host", "of them: above 20 % of the decisions", "cost a point of accuracy", "refused by a board"],
        lines,
    )  # fmt: skip


def classes(rows: Rows) -> str:
    """What became of classes that were zeroed, by model: slices are the rule that looks at a class by itself."""
    found = [(key, row) for key, row in pairs(rows, Fault) if row.kind == "class zeroed" and real(row)]
    lines = []
    for model in dict.fromkeys(key.model for key, _ in found):
        mine = [row for key, row in found if key.model == model]
        lines.append([model, len(mine), sum(map(_host, mine)), sum("s" in row.host for row in mine), sum(map(_board, mine))])  # fmt: skip
    return markdown(
        ["model", "class zeroed: real faults", "host refuses", "by slices", "board refuses"], lines
    )


def sharper(rows: Rows) -> str:
    """What other limits would refuse on the host, for goldens from data."""
    lines = []
    for precision in ("int8", "int16x8", "int8-dynamic", "int8-weights"):
        bad = [row for key, row in pairs(rows, Fault) if key.precision == precision and real(row)]
        good = [row for key, row in pairs(rows, Sound) if key.precision == precision and right(key, row) and row.goldens != "random"]  # fmt: skip
        for least in _LIMITS if bad and good else ():
            cells: list[object] = [precision, f"{least} dB" if least else "as it is"]
            for figure in ("sqnr_db", "following_db"):
                caught = sum(bool(row.host) or getattr(row, figure) < least for row in bad)
                lost = sum(bool(row.refused) or getattr(row, figure) < least for row in good)
                cells += [share(caught, len(bad)), f"{lost} of {len(good)}"]
            lines.append(cells)
    return markdown(
        [
            "precision",
            "limit",
            "on SQNR: real faults refused %",
            "right ones",
            "on following: real faults refused %",
            "right ones",
        ],
        lines,
    )


def kernels(rows: Rows) -> str:
    """Artifacts on kernels and versions that the host does not use, judged by the limits of their manifests."""
    found = list(pairs(rows, Kernel))
    lines, refused = [], []
    for target, name in dict.fromkeys((key.target, row.kernels) for key, row in found):
        mine = [(key, row) for key, row in found if (key.target, row.kernels) == (target, name)]
        ran = [(key, row) for key, row in mine if not row.failed]
        same = [pair for pair in ran if pair[1].changed <= REAL]
        other = [pair for pair in ran if pair[1].changed > REAL]
        near = [pair for pair in same if pair[0].precision not in ("fp32", "fp16")]
        worst = max(near, key=lambda pair: pair[1].loss_db, default=None)
        loss = "-" if worst is None else f"{worst[1].loss_db:.1f} ({' '.join(worst[0])}, {worst[1].sqnr_db + worst[1].loss_db:.1f} dB on the host)"  # fmt: skip
        lines.append([f"{target}, {_plain(name)}", len(same), share(sum(row.board for _, row in same), len(same)),
                      len(other), sum(row.board for _, row in other), len(mine) - len(ran), loss])  # fmt: skip
        refused += [pair for pair in ran if (pair[1].changed <= REAL) == bool(pair[1].board)]
    text = markdown(["", "decide the same", "board refuses % (interval)", "decide otherwise", "board refuses", "do not run",
                     "greatest loss of integers, dB"], lines)  # fmt: skip
    if refused:
        text += "\nWrong either way:\n\n" + markdown(
            ["artifact", "kernels", "other decisions %", "SQNR dB", "loss dB", "board"],
            [[" ".join(key), _plain(row.kernels), f"{row.changed / 10:.1f}", f"{row.sqnr_db:.1f}", f"{row.loss_db:.1f}",
              "refuses" if row.board else "accepts"] for key, row in refused],
        )  # fmt: skip
    return text


def before(rows: Rows) -> str:
    """Mistakes in the calibration data."""
    found = list(pairs(rows, Before))
    lines = []
    for kind in dict.fromkeys(row.kind for _, row in found):
        mine = [row for _, row in found if row.kind == kind]
        harmful = [row for row in mine if row.changed > REAL or row.host]
        lines.append([kind, len(mine), len(harmful), sum(bool(row.host) for row in harmful),
                      sum(row.noted for row in harmful), sum(row.evaluation for row in harmful)])  # fmt: skip
    return (
        "Both sides get the same wrong data, so answers to the goldens agree: `--evaluation` and the notes on ranges are what shows it.\n\n"
        + markdown(["mistake", "tried", "changes decisions, or no artifact", "host refuses", "range is noted", "evaluation refuses"], lines)
    )  # fmt: skip


def cost(rows: Rows) -> str:
    """The verdict's seconds, and its share of a conversion."""
    lines = []
    made = [(key, row) for key, row in pairs(rows, Made) if row.seconds]
    for model in dict.fromkeys(key.model for key, _ in made):
        mine = [row for key, row in made if key.model == model]
        parts = [row.verdict_s / row.seconds for row in mine]
        lines.append([model, len(mine), f"{number(median(row.seconds for row in mine))} s", f"{1000 * median(row.verdict_s for row in mine):.0f} ms",
                      f"{100 * median(parts):.1f}", f"{100 * max(parts):.1f}"])  # fmt: skip
    return markdown(["model", "conversions", "conversion", "verdict", "% of it", "at most"], lines)


def _short(words: str) -> str:
    return words if len(words) <= 160 else f"{words[:157]}..."


def _plain(name: str) -> str:
    return name.lower().replace("_", " ")


def _percent(permille: int) -> str:
    return f"{permille / 10:.1f}"


def _points(permille: int | None) -> str:
    return "-" if permille is None else f"{permille / 10:.1f}"


def _yes(value: Any) -> str:
    return "yes" if value else "no"
