"""Lists and watches put together: nothing lost, no ghosts, no echoes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from onair_core.kube.store import Change, Key, Store

A, B = Key("events", "a"), Key("events", "b")


def pod(key: Key, version: int, uid: str = "1", **more: Any) -> dict[str, Any]:
    metadata = {"namespace": key.namespace, "name": key.name, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata | {"managedFields": [{"manager": "kubelet"}]}, **more}


def told(changes: Any) -> list[tuple[Key, int | None, int | None]]:
    def version(found: dict[str, Any] | None) -> int | None:
        return None if found is None else int(found["metadata"]["resourceVersion"])

    return [(change.key, version(change.old), version(change.new)) for change in changes]


def listed(store: Store, version: int, *objects: dict[str, Any]) -> list[tuple[Key, int | None, int | None]]:
    store.begin(version)
    return told([*store.listed(objects), *store.end()])


def test_a_list_then_a_watch() -> None:
    store = Store()
    assert listed(store, 10, pod(A, 3), pod(B, 7)) == [(A, None, 3), (B, None, 7)]
    assert told(store.watched("MODIFIED", pod(A, 11))) == [(A, 3, 11)]
    assert told(store.watched("DELETED", pod(B, 12))) == [(B, 7, None)]
    assert told(store.watched("BOOKMARK", {"metadata": {"resourceVersion": "40"}})) == []
    assert store.position == 40 and len(store) == 1


def test_a_second_list_tells_what_vanished_and_only_what_changed() -> None:
    store = Store()
    listed(store, 10, pod(A, 3), pod(B, 7))
    assert listed(store, 20, pod(A, 3)) == [(B, 7, None)]


def test_an_object_made_again_unseen_is_two_changes() -> None:
    store = Store()
    listed(store, 10, pod(A, 3))
    assert listed(store, 20, pod(A, 15, uid="2")) == [(A, 3, None), (A, None, 15)]


def test_managed_fields_are_not_kept_and_the_event_is_not_changed() -> None:
    store, found = Store(), pod(A, 3, spec={})
    listed(store, 10, found)
    kept = store.get(A)
    assert kept is not None and "managedFields" not in kept["metadata"] and kept["spec"] == {}
    assert "managedFields" in found["metadata"]


def test_metadata_only_keeps_nothing_else_of_what_is_learned() -> None:
    store = Store(metadata_only=True)
    listed(store, 10)
    list(store.learn(pod(A, 11, spec={})))
    assert set(store.get(A) or {}) == {"metadata"}


def test_the_echo_of_what_was_learned_is_no_news() -> None:
    store = Store()
    listed(store, 10, pod(A, 3))
    assert told(store.learn(pod(A, 12))) == [(A, 3, 12)]
    assert told(store.watched("MODIFIED", pod(A, 11))) == []  # somebody else's, before ours
    assert told(store.watched("MODIFIED", pod(A, 12))) == []


def test_what_was_deleted_before_the_answer_came_is_not_learned() -> None:
    store = Store()
    listed(store, 10)
    list(store.watched("ADDED", pod(A, 11)))
    list(store.watched("DELETED", pod(A, 12)))
    assert told(store.learn(pod(A, 11))) == [] and store.get(A) is None


def test_a_list_from_before_what_was_learned_does_not_remove_it() -> None:
    store = Store()
    listed(store, 10)
    list(store.learn(pod(A, 12)))
    assert listed(store, 11) == [] and store.get(A)
    assert told(store.watched("DELETED", pod(A, 13))) == [(A, 12, None)]


def test_a_deletion_seen_late_does_not_remove_the_next_object_of_that_name() -> None:
    store = Store()
    listed(store, 10, pod(A, 3))
    list(store.learn(pod(A, 15, uid="2")))
    assert told(store.watched("DELETED", pod(A, 12, uid="1"))) == []
    assert store.get(A)


def test_an_etcd_restored_from_a_backup_counts() -> None:
    store = Store()
    listed(store, 100, pod(A, 90), pod(B, 95))
    assert listed(store, 50, pod(A, 40)) == [(A, 90, 40), (B, 95, None)]
    assert store.position == 50


def test_a_list_that_was_cut_off_is_forgotten() -> None:
    store = Store()
    listed(store, 10, pod(A, 3), pod(B, 7))
    store.begin(20)
    list(store.listed([pod(A, 15)]))
    assert listed(store, 21, pod(B, 7)) == [(A, 15, None)]


KEYS = st.sampled_from([A, B, Key("", "c")])
STEP = st.tuples(st.sampled_from(["make", "change", "delete", "learn", "cut", "relist"]), KEYS)


@given(st.lists(STEP, max_size=60))
def test_whatever_happens_the_store_ends_as_the_server_and_the_changes_add_up(steps: list[tuple[str, Key]]) -> None:
    """A server with a history, a watch that is cut now and then, a writer whose answers come before or after the watch."""
    store, version = Store(), 1
    there: dict[Key, dict[str, Any]] = {}
    history: list[tuple[str, dict[str, Any]]] = []
    answers: list[dict[str, Any]] = []
    mirror: dict[Key, dict[str, Any]] = {}
    connected, told_until = True, 0

    def apply(changes: list[Change]) -> None:
        for key, old, new in changes:
            assert mirror.get(key) == old and not (old is None and new is None)
            mirror.pop(key, None) if new is None else mirror.__setitem__(key, new)

    def relist() -> None:
        nonlocal told_until
        store.begin(version)
        apply([*store.listed(list(there.values())), *store.end()])
        told_until = len(history)

    relist()
    for step, key in steps:
        if step in ("make", "change") and (step == "make") == (key not in there):
            version += 1
            uid = str(version) if step == "make" else there[key]["metadata"]["uid"]
            there[key] = pod(key, version, uid)
            history.append(("ADDED" if step == "make" else "MODIFIED", there[key]))
            answers.append(there[key])
        elif step == "delete" and key in there:
            version += 1
            history.append(("DELETED", pod(key, version, there.pop(key)["metadata"]["uid"])))
        elif step == "learn" and answers:
            apply(list(store.learn(answers.pop())))
            continue
        elif step == "cut":
            connected = not connected
        elif step == "relist":
            relist()
        if connected and step != "make":  # sometimes the answer is here before the event
            for kind, found in history[told_until:]:
                apply(list(store.watched(kind, found)))
            told_until = len(history)
    for kind, found in history[told_until:]:
        apply(list(store.watched(kind, found)))

    def versions(objects: dict[Key, dict[str, Any]]) -> dict[Key, str]:
        return {key: found["metadata"]["resourceVersion"] for key, found in objects.items()}

    assert versions(dict(store.items())) == versions(there) == versions(mirror)
