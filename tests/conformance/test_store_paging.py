"""Ten thousand jobs: each listing goes by an index."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, insert, text
from sqlalchemy.engine import Connection

from sparkscore.state import JobFilter, open_store
from sparkscore.state.job_queries import select_active_jobs, select_jobs
from sparkscore.state.rows import to_row
from sparkscore.state.tables import jobs
from tests.state.records import make_job

JOBS = 10_000
PAGE = 50
ENDPOINTS = 20


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    """The database of a store with many jobs, of which few are active."""
    open_store(store_url).close()
    engine = create_engine(store_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(insert(jobs), [_make_row(number) for number in range(JOBS)])
    if engine.dialect.name == "postgresql":
        # As its autovacuum does sooner or later; SQLite plans without.
        with engine.begin() as connection:
            connection.execute(text("ANALYZE"))
    yield engine
    engine.dispose()


def _make_row(number: int) -> dict[str, object]:
    name = f"endpoint-{number % ENDPOINTS}"
    record = make_job(
        f"job-{number}",
        endpoint_name=name,
        deployment_name=f"v{number % 3}",
        experiment_name=f"trial-{number % 50}",
        status="Running" if number % 1000 == 0 else "Completed",
        sequence=number + 1,
    )
    return {**to_row(record), "endpoint_key": name}


def explain(connection: Connection, query: object) -> str:
    sql = str(query.compile(connection, compile_kwargs={"literal_binds": True}))  # type: ignore[attr-defined]
    keyword = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    rows = connection.exec_driver_sql(f"{keyword} {sql}".replace("%", "%%"))
    return "\n".join(str(row[-1]) for row in rows)


def assert_bounded(plan: str) -> None:
    """No sort of the whole table and no search through it that does not go by ``sequence``."""
    assert "TEMP B-TREE" not in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (JobFilter(), ""),
        (JobFilter(endpoint="endpoint-7"), "sparkscore_jobs_endpoint"),
        (JobFilter(endpoint="endpoint-7", deployment="v1"), "sparkscore_jobs_deployment"),
        (JobFilter(statuses=("Running",)), "sparkscore_jobs_status"),
        (JobFilter(experiment="trial-7"), "sparkscore_jobs_experiment"),
    ],
)
def test_list_jobs__page_goes_by_an_index(
    wanted: JobFilter, index: str, store_url: str, engine: Engine
) -> None:
    with engine.connect() as connection:
        query = select_jobs(wanted, limit=PAGE, before_sequence=JOBS // 2)
        plan = explain(connection, query)
    assert_bounded(plan)
    # PostgreSQL may walk down the primary key where matching jobs are frequent.
    assert index in plan or "sparkscore_jobs_pkey" in plan
    with open_store(store_url) as store, store.reading() as reader:
        page = reader.list_jobs(wanted, limit=PAGE, before_sequence=JOBS // 2)
    assert 0 < len(page) <= PAGE
    assert page[0].sequence < JOBS // 2


def test_list_active_jobs__goes_by_an_index(store_url: str, engine: Engine) -> None:
    with engine.connect() as connection:
        plan = explain(connection, select_active_jobs())
    assert "sparkscore_jobs_status" in plan
    with open_store(store_url) as store, store.reading() as reader:
        assert len(reader.list_active_jobs()) == JOBS // 1000


def test_explain__notices_a_listing_without_index(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX sparkscore_jobs_experiment"))
        query = select_jobs(JobFilter(experiment="trial-7"), limit=PAGE)
        assert "sparkscore_jobs_experiment" not in explain(connection, query)
        unordered = query.order_by(None).order_by(jobs.c.folder)
        plan = explain(connection, unordered)
    with pytest.raises(AssertionError):
        assert_bounded(plan)
