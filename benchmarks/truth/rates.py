"""Tables of artifacts without a planted fault: refused or not, right or not. And the aims, next to the measured rates."""

from __future__ import annotations

from collections.abc import Callable

from measuring import clopper_pearson, markdown

from truth.counts import real, right
from truth.store import Fault, Key, Made, Sound
from truth.tables import Pair, Rows, pairs, real_models, share

_LEAST = 300  # right conversions of which none may be refused
_CAUGHT, _COST = 0.99, 0.1


def aims(rows: Rows) -> str:
    """The verdict's aims and the measured rates."""
    bad = [(key, row) for key, row in pairs(rows, Fault) if real(row)]
    trained = [row for key, row in bad if key.model in real_models(rows)]
    lines: list[list[object]] = []
    for name, some in (("all models", [row for _, row in bad]), ("trained weights, real data", trained)):
        for who, caught in (("host", [bool(row.host) for row in some]), ("board", [bool(row.board) for row in some]),
                            ("host or board", [bool(row.host or row.board) for row in some])):  # fmt: skip
            met = bool(some) and sum(caught) >= _CAUGHT * len(some)
            lines.append(
                [
                    f"at least 99 % of real faults refused: {name}, {who}",
                    _of(sum(caught), len(some)),
                    _met(met),
                ]
            )
    good = [row for key, row in _conversions(rows) if right(key, row)]
    wrong = sum(bool(row.refused) for row in good)
    lines.append([f"0 of at least {_LEAST} right conversions refused", _of(wrong, len(good)), _met(not wrong and len(good) >= _LEAST)])  # fmt: skip
    every = [(key, row) for key, row in pairs(rows, Sound) if right(key, row)]
    artifacts, wronged = _artifacts(every), _artifacts([pair for pair in every if pair[1].refused])
    lines.append(["the same, judged by other goldens as well: artifacts refused at least once", _of(len(wronged), len(artifacts)), _met(not wronged and len(artifacts) >= _LEAST)])  # fmt: skip
    parts = [row.verdict_s / row.seconds for _, row in pairs(rows, Made) if row.seconds]
    within = sum(part <= _COST for part in parts)
    lines.append(["the verdict takes at most 10 % of a conversion", f"{within} of {len(parts)} conversions", _met(bool(parts) and within == len(parts))])  # fmt: skip
    return markdown(["aim", "measured: share in % (interval)", "met"], lines)


def sound(rows: Rows) -> str:
    """Right artifacts that are refused, each named, and wrong ones that are accepted."""
    found = [(key, row) for key, row in pairs(rows, Sound) if row.changed >= 0]
    good = [pair for pair in found if right(*pair)]
    own = [pair for pair in good if pair[1].goldens == "own"]
    trained = real_models(rows)
    lines = [
        _line("**conversions**", own),
        _line("of them: trained weights, real data", [pair for pair in own if pair[0].model in trained]),
    ]
    groups: tuple[Callable[[Pair], str], ...] = (
        lambda pair: pair[0].precision, lambda pair: pair[0].target, lambda pair: _part(pair[1].data)
    )  # fmt: skip
    for of in groups:
        for name in dict.fromkeys(map(of, own)):
            lines.append(_line(name, [pair for pair in own if of(pair) == name]))
    for title, name in (("**judged again, by goldens from other data**", "other"), ("**judged again, by random goldens**", "random")):  # fmt: skip
        lines.append(_line(title, [pair for pair in good if pair[1].goldens.startswith(name)]))
    lines.append(_line("**all verdicts**", good))
    text = markdown(["", "verdicts on right artifacts", "refused", "% (interval)", "artifacts", "of them refused", "% (interval)", "least SQNR, dB"], lines)  # fmt: skip
    text += _named("Right artifacts that are refused:", [pair for pair in good if pair[1].refused])
    bad = [pair for pair in found if pair[1].goldens == "own" and not right(*pair)]
    refused = [pair for pair in bad if pair[1].refused]
    text += (
        f"\n{len(bad)} conversions are not right: they change more than 5 % of the decisions, and where labels cover all decisions lose more than 2 points of accuracy. "
        f"{len(refused)} of them are refused.\n"
    )
    text += _named("Not right, and accepted:", [pair for pair in bad if not pair[1].refused])
    text += _named("Not right, and refused:", refused)
    unknown = [[" ".join(key), row.refused] for key, row in _unknown(rows)]
    if unknown:
        text += f"\nRefused before there was an artifact to run:\n\n{markdown(['conversion', 'refused, for'], unknown)}"
    return text


def _conversions(rows: Rows) -> list[Pair]:
    return [(key, row) for key, row in pairs(rows, Sound) if row.goldens == "own" and row.changed >= 0]


def _unknown(rows: Rows) -> list[Pair]:
    """Conversions that the verdict's codes refused and whose decisions were not counted."""
    counted = {key for key, row in _conversions(rows) if row.data == "all"}
    found = [(key, row) for key, row in pairs(rows, Made) if row.refused.startswith(("parity", "levels")) and key not in counted]  # fmt: skip
    return found + [(key, row) for key, row in pairs(rows, Sound) if row.changed < 0]


def _line(name: str, found: list[Pair]) -> list[object]:
    refused = sum(bool(row.refused) for _, row in found)
    artifacts, wronged = _artifacts(found), _artifacts([pair for pair in found if pair[1].refused])
    least = min(((row.sqnr_db, " ".join(key)) for key, row in found), default=None)
    return [
        name, len(found), refused, share(refused, len(found)), len(artifacts), len(wronged), share(len(wronged), len(artifacts)),
        "-" if least is None else f"{least[0]:.1f} ({least[1]})",
    ]  # fmt: skip


def _artifacts(found: list[Pair]) -> set[tuple[Key, str]]:
    return {(key, row.data) for key, row in found}


def _named(title: str, found: list[Pair]) -> str:
    if not found:
        return f"\n{title} none.\n"
    lines = [
        [" ".join(key), row.goldens, row.data, f"{row.changed / 10:.1f}", "-" if row.lost is None else f"{row.lost / 10:.1f}", f"{row.sqnr_db:.1f}",
         row.refused or "-", "yes" if row.outweighed else "no"]
        for key, row in sorted(found, key=lambda pair: (pair[1].lost is None, -pair[1].changed))
    ]  # fmt: skip
    heads = ["artifact", "goldens", "calibrated on", "other decisions %", "accuracy lost, points", "SQNR dB", "refused, for", "an evaluation set may outweigh it"]  # fmt: skip
    return f"\n{title}\n\n{markdown(heads, lines)}"


def _part(data: str) -> str:
    return "calibrated on all data, or not calibrated" if data == "all" else "calibrated on half of the data"


def _of(hits: int, of: int) -> str:
    if not of:
        return "-"
    low, high = clopper_pearson(hits, of)
    return f"{hits} of {of}: {100 * hits / of:.2f} ({100 * low:.2f}-{100 * high:.2f})"


def _met(yes: bool) -> str:
    return "yes" if yes else "**no**"
