"""Texts of the log: a line for every change, and for every command that was refused."""

from edgewright_agent import shapes

# these change nothing, and their failures concern only the host
QUIET = ("ping", "facts", "part", "get", "outcome", "status", "logs")


def installed(about: "shapes.Arguments") -> "str":
    """The text of an install."""
    return "was there already" if about["existed"] else "installed"


def found(about: "shapes.Found") -> "str":
    """The outputs (by number) and the slices (as output:axis:index) that a verdict names."""
    lost = ["%(output)d:%(axis)d:%(index)d" % one for one in about.get("lost", ())]
    named = (("lost slices", lost), ("wrong outputs", about.get("wrong")), ("low outputs", about.get("low")))
    return "".join("; %s: %s" % (what, ", ".join(map(str, those))) for what, those in named if those)


def wrong(about: "shapes.Found") -> "str":
    """What is wrong with a release's outputs."""
    counts = (len(about["failed"]), about["goldens"])
    return "goldens answered wrongly: %d of %d" % counts + found(about)


def verified(about: "shapes.Arguments") -> "str":
    """The text of a verification."""
    said = "answers rightly" if about["ok"] else "answers wrongly"
    counts = "%d of %d wrong, " % (len(about["failed"]), about["goldens"])
    if about["ok"] and about.get("low"):
        said, counts = "answers less exactly than its precision allows", ""
    text = "%s on %s, %s: %s%.1f dB"
    return text % (said, about["runtime"], about["accelerator"], counts, about["sqnr_db"]) + found(about)


def on_trial(about: "shapes.Arguments") -> "str":
    """The text of an activation."""
    before = about["from"] or "nothing"
    return "on trial for %d s, guard: %s, before it was %s" % (about["deadline_s"], about["guard"], before)


def rolled_back(about: "shapes.Arguments") -> "str":
    """The text of a rollback."""
    return "rolled back, " + on_trial(about)


def pruned(about: "shapes.Arguments") -> "str":
    """The text of a prune."""
    return "pruned, %d bytes: %s" % (about["freed_bytes"], ", ".join(about["removed"]) or "nothing")


TEXTS: "dict[str, str | shapes.Describe]" = {  # command: text, or a function of its arguments and its result together
    "begin": "lease for %(host)s, transaction %(txn)s",
    "runner": "the runner of %(target)s is %(sha256)s",
    "provision": "provisioned %(name)s %(version)s: %(bytes)d bytes",
    "install": installed,
    "verify": verified,
    "evaluate": "answered %(n)d samples",
    "activate": on_trial,
    "rollback": rolled_back,
    "discard": "discarded",
    "prune": pruned,
    "reset": "the state was lost, `current` is the truth now",
    "repair": lambda about: "repaired: " + ("; ".join(about["done"]) or "nothing"),
    "guard": "guard after a reboot: %(guard)s %(why)s",
}


def subject(about: "shapes.Record") -> "str":
    """The model and the release that a command is about, with a colon; empty if it is about neither."""
    words = " ".join(str(about[key]) for key in ("model", "release") if about.get(key))
    return words + ": " if words else ""


def done(do: "str", given: "shapes.Arguments", found: "shapes.Record") -> "str":
    """The line for a command that succeeded; empty if it changed nothing."""
    if do not in TEXTS or given.get("dry_run"):
        return ""
    about, text = dict(given, **found), TEXTS[do]
    return (subject(about) + (text(about) if callable(text) else text % about)).rstrip()


def refused(do: "str", given: "shapes.Arguments", error: "shapes.AgentError") -> "str":
    """The line for a command that was refused or failed; empty if it only queries."""
    if do in QUIET or given.get("dry_run"):
        return ""
    return "%s%s refused, %s: %s" % (subject(given), do, error.code, error.message)
