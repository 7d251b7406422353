"""A prune leaves everything that a release, a trial or another session uses."""


def runtimes(root):
    return sorted(path.name for path in (root / "runtimes").iterdir())


def test_a_runtime_of_another_session_stays_until_it_ends(connect, kit, root):
    first, second = connect(), connect()
    ref = kit.provision(first)
    assert second.call("prune", keep=1)["removed"] == [] and runtimes(root)
    txn = kit.begun(first)
    release = kit.install(first, kit.artifact(), txn, runtime=ref)  # what that session does next still works
    assert first.call("end", txn=txn) == {}
    third = connect()
    third.call("facts")  # names the runtime, so that its host may install for it
    assert first.call("begin", model="digits", txn=txn, host="test", ttl_s=60) == {}
    assert first.call("discard", model="digits", release=release, txn=txn) == {}
    first.call("end", txn=txn)
    first.close()
    assert second.call("prune", keep=1)["removed"] == [] and runtimes(root)
    third.close()
    assert [one.split("/")[0] for one in second.call("prune", keep=1)["removed"]] == ["runtimes", "runners"]
    assert runtimes(root) == []
    assert kit.provision(second) == ref and len(runtimes(root)) == 1


def test_uploads_of_another_session_stay_until_it_ends(connect, kit, root):
    first, second = connect(), connect()
    data = b"a wheel on its way"
    assert not first.call("part", sha256=kit.sha(data), size=len(data))["complete"]
    sha = first.put(data)
    second.call("prune", keep=1)
    assert (root / "incoming" / sha).exists()
    first.close()
    assert second.call("prune", keep=1)["removed"] == ["incoming/" + sha]
    assert not (root / "incoming" / sha).exists()


def test_a_dry_run_says_what_would_go_and_changes_nothing(connect, kit, root):
    wire = connect()
    for number, tag in enumerate("abc", 1):
        kit.deployed(wire, root, tag, str(number))
    kit.provision(wire, kit.wheel({"other/__init__.py": b"x" * 1000}), version="2.0")
    before = sorted(str(path) for path in root.rglob("*"))
    told = wire.call("prune", keep=1, dry_run=True)
    assert sorted(str(path) for path in root.rglob("*")) == before
    assert wire.call("prune", keep=1) == told
    assert len([one for one in told["removed"] if one.startswith("digits ")]) == 2
    assert [one for one in told["removed"] if one.startswith("runtimes/toy-2.0-")]
    assert [name.startswith("toy-1.0") for name in runtimes(root)] == [True]
    assert wire.call("prune", keep=1, dry_run=True)["removed"] == []
    assert wire.get(wire.call("logs", lines=100)["log"]).count(b"pruned") == 1


def test_a_wheel_that_a_runtime_was_made_of_is_told_as_shared(connect, kit, root):
    wire = connect()
    data = kit.wheel()
    assert "shared" not in wire.call("part", sha256=kit.sha(data), size=len(data))
    kit.provision(wire, data)
    told = wire.call("part", sha256=kit.sha(data), size=len(data))
    assert told["complete"] is True and told["shared"] is True


def test_what_a_runtime_shares_with_one_that_stays_is_not_counted(connect, kit, root):
    wire = connect()
    numpy = kit.wheel({"numpy/core.so": b"n" * 50_000})
    for version in ("1.0", "2.0"):
        rows = [numpy, kit.wheel({"toy/__init__.py": version.encode()})]
        wheels = [
            {"file": f"{n}.whl", "sha256": kit.sha(one), "size": len(one)} for n, one in enumerate(rows)
        ]
        for one, row in zip(rows, wheels, strict=True):
            if not wire.call("part", sha256=row["sha256"], size=row["size"])["complete"]:
                wire.put(one)
        ref = wire.call("provision", name="toy", target="tflite", version=version, wheels=wheels)["ref"]
    txn = kit.begun(wire)
    release = kit.install(wire, kit.artifact(), txn, runtime=ref)
    kit.verified(root, release)
    wire.call("activate", model="digits", release=release, expected_current=None, txn=txn, deadline_s=30)
    wire.call("commit", txn=txn)
    wire.call("end", txn=txn)
    told = wire.call("prune", keep=1)  # the one runtime goes, numpy stays with the other
    assert len([one for one in told["removed"] if one.startswith("runtimes/")]) == 1
    assert told["freed_bytes"] < 10_000 and [name[:7] for name in runtimes(root)] == ["toy-2.0"]


def test_what_goes_with_all_its_names_is_freed(connect, kit, root):
    wire = connect()
    numpy = kit.wheel({"numpy/core.so": b"n" * 50_000})
    kit.provision(wire, numpy, version="1.0")
    row = {"file": "0.whl", "sha256": kit.sha(numpy), "size": len(numpy)}
    other = kit.wheel({"toy/__init__.py": b"2"})
    rows = [row, {"file": "1.whl", "sha256": wire.put(other), "size": len(other)}]
    wire.call("provision", name="toy", target="tflite", version="2.0", wheels=rows)
    assert len(runtimes(root)) == 2
    assert 50_000 < wire.call("prune", keep=1)["freed_bytes"] < 60_000
