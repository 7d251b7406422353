"""Leases: a transaction keeps other hosts out between its commands, for a limited time."""

from edgewright_agent import clock, shapes
from edgewright_agent.protocol import AgentError, Code

MAX_SECONDS = 3600.0


def live(state: "shapes.State") -> "shapes.Lease | None":
    """The lease that has not expired, or None."""
    lease = state["lease"]
    return lease if lease and clock.left(lease["deadline"]) > 0 else None


def free(state: "shapes.State", txn: "str" = "") -> "None":
    """Raise AgentError `busy` while another transaction has a lease."""
    other = live(state)
    if other and other["txn"] != txn:
        raise AgentError(
            Code.BUSY,
            "another deployment is at work here: %s from %s" % (other["model"], other["host"]),
            left_s=clock.left(other["deadline"]),
        )


def begin(state: "shapes.State", model: "str", txn: "str", host: "str", ttl_s: "float") -> "None":
    """Take the lease, or take it again with the same txn. Raises AgentError `busy`."""
    free(state, txn)
    ttl_s = min(float(ttl_s), MAX_SECONDS)
    state["lease"] = {
        "txn": txn,
        "model": model,
        "host": host,
        "ttl_s": ttl_s,
        "deadline": clock.in_seconds(ttl_s),
    }


def require(state: "shapes.State", txn: "str", model: "str") -> "None":
    """Raise AgentError `busy` unless this txn holds the lease for this model. Renews it (the caller saves)."""
    lease = live(state)
    if not lease or lease["txn"] != txn:
        holder = "none holds it" if not lease else "%s holds it" % lease["host"]
        raise AgentError(Code.BUSY, "this transaction does not hold the board's lease: %s" % holder)
    if lease["model"] != model:
        raise AgentError(Code.BAD_ARGUMENT, "the lease is for another model: %s" % lease["model"])
    lease["deadline"] = clock.in_seconds(lease["ttl_s"])


def renew(state: "shapes.State", txn: "str") -> "bool":
    """Prolong the lease of a txn. Returns whether the state changed."""
    lease = live(state)
    if not lease or lease["txn"] != txn or clock.left(lease["deadline"]) > lease["ttl_s"] / 2:
        return False
    lease["deadline"] = clock.in_seconds(lease["ttl_s"])
    return True


def end(state: "shapes.State", txn: "str") -> "None":
    """Release the lease, if this txn has it."""
    if state["lease"] and state["lease"]["txn"] == txn:
        state["lease"] = None
