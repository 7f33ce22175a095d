"""Records on a PostgreSQL, whose writers and collations aren't SQLite's: the empty one that the environment names.

It needs psycopg, and a database whose collation isn't C, as most have: `createdb`, then
GENESIS_TEST_DATABASE_URL=postgresql://… python -m pytest tests/services/records.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from services.records import Records
from tests.services.records.test_records import START, opened, story

URL = os.environ.get("GENESIS_TEST_DATABASE_URL", "")

pytestmark = pytest.mark.skipif(
    not URL.startswith("postgresql"), reason="GENESIS_TEST_DATABASE_URL names no PostgreSQL"
)


@pytest.fixture
def records() -> Iterator[Records]:
    found = Records(URL)
    found.migrate()
    yield found
    found.close()


@pytest.fixture
def name() -> str:
    """An experiment's; what other tests wrote stays where it is, as the audit must."""
    return f"RSI_Reversal-{uuid4().hex}"


def test_a_story_is_kept_and_found(records: Records, name: str) -> None:
    assert records.write(story(name)) == 10
    assert records.write(story(name)) == 0
    row = records.experiment(name)
    assert row is not None
    assert row.status == "merged"
    assert [event.sequence for event in records.audit(experiment=name)] == list(range(10))
    assert records.verify_audit().ok


def test_the_beginning_of_an_id_finds_it(records: Records, name: str) -> None:
    records.write([opened(name)])
    for beginning in (name, name[:-1], name[:20]):
        assert records.find(beginning) == [name]
    assert records.find(name.lower()) == []


def test_writers_of_the_same_events_at_once_write_them_once(records: Records, name: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        written = list(threads.map(lambda _: records.write(story(name)), range(16)))
    assert sorted(written) == [0] * 15 + [10]
    assert records.verify_audit().ok


def test_a_lease_that_several_open_at_once_is_one(records: Records, name: str) -> None:
    def lease(_: int) -> str:
        return records.open_lease("sandbox", name, name, "host", START).name

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lease, range(16))) == {name}
    assert len(records.leases(experiment=name)) == 1
