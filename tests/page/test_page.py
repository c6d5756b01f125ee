"""The page's answers without a browser: headers, bounds, refusals, and what the SQL box and Live do not do."""

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from job.deployment.shipping import PROJECT
from job.page import sql_routes
from model.bundles.bundle import Bundle
from model.datasets.prepared import Dataset
from tests.page.conftest import KEY, Site, recent, site_in

pytestmark = pytest.mark.heavy
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.page, timeout=60) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/", "/users", "/users/1", "/what-if", "/tables", "/models", "/nothing", "/sign-in"])
def test_every_page_lets_a_browser_run_its_own_scripts_alone(client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers=HTML)
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == (404 if path == "/nothing" else 200)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert " style=" not in answer.text
    assert " onclick" not in answer.text
    scripts = answer.text.split("<script")[1:]
    assert all("src=" in each.partition(">")[0] or 'type="application/json"' in each for each in scripts)
    assert "http://" not in answer.text.replace("http://www.w3.org", "")
    assert "https://" not in answer.text


def test_no_script_and_no_template_makes_markup_of_a_text() -> None:
    page = PROJECT / "job/page"
    ways = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc")
    for script in (page / "static").glob("*.js"):
        assert not [each for each in ways if each in script.read_text()], script.name
    for template in (page / "templates").glob("*.html"):
        assert not [each for each in ("|safe", "| safe", "autoescape") if each in template.read_text()], template.name


def test_the_licence_of_what_others_wrote_is_there(client: httpx.Client) -> None:
    assert "Leon Sorokin" in client.get("/static/vendor/uplot/LICENSE").text


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM read_json('http://127.0.0.1/x.json')",
        "COPY user_behavior TO '/tmp/out.csv'",
        "INSTALL httpfs",
        "ATTACH '/tmp/x.db'",
        "SET enable_external_access = true",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1; SELECT 2",
        "WITH x AS (SELECT 1) INSERT INTO user_behavior SELECT * FROM x",
        "SELECT glob FROM glob('/etc/*')",
        "SELECT * FROM read_blob('/etc/passwd')",
        "SELECT * FROM read_csv('https://example.com/x.csv')",
        "SELECT * FROM parquet_scan('s3://bucket/x.parquet')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM read_json('/proc/self/cmdline')",
        "LOAD httpfs",
        "EXPORT DATABASE '/tmp/x'",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "COPY user_behavior FROM '/etc/passwd'",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "RESET lock_configuration",
        "PREPARE x AS SELECT 1",
        "SELECT * FROM sqlite_scan('/tmp/x.db', 't')",
    ],
)
def test_the_sql_box_reads_tables_and_nothing_else(client: httpx.Client, statement: str) -> None:
    answer = client.post("/sql", json={"statement": statement})
    assert answer.status_code == 422, answer.text
    assert len(answer.json()["detail"]) > 10
    assert "root:" not in answer.text


def test_a_query_is_answered_with_its_first_rows(client: httpx.Client) -> None:
    answer = client.post("/sql", json={"statement": "SELECT range AS n FROM range(5000) ORDER BY n"}).json()
    assert answer["columns"] == ["n"]
    assert answer["rows"] == [[n] for n in range(sql_routes.ROWS)]
    assert answer["more"]
    file = client.post("/sql/file", json={"statement": "SELECT 1 AS a, 'x,y' AS b", "form": "csv"}).json()
    assert file["text"].splitlines() == ["a,b", '1,"x,y"']


def test_a_query_that_would_never_end_ends_and_the_next_is_answered(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_routes, "SECONDS", 1)
    endless = "SELECT count(*) FROM range(90000) a, range(90000) b, range(90000) c"
    endless += " WHERE hash(a.range + b.range * c.range) = 7"
    answer = client.post("/sql", json={"statement": endless})
    assert answer.status_code == 422
    assert "no answer within" in answer.json()["detail"]
    monkeypatch.undo()
    assert client.post("/sql", json={"statement": "SELECT 7"}).json()["rows"] == [[7]]


def test_a_query_that_needs_too_much_memory_is_refused_and_the_next_is_answered(client: httpx.Client) -> None:
    sorted_rows = "SELECT hash(range) AS h, range FROM range(100000000) ORDER BY h"
    for big in ("SELECT string_agg(repeat('x', 1000000), ',') FROM range(5000)", sorted_rows):
        assert client.post("/sql", json={"statement": big}).status_code == 422
    assert not (PROJECT / ".tmp").exists()  # where DuckDB goes on, unless told otherwise
    assert client.post("/sql", json={"statement": "SELECT 7"}).json()["rows"] == [[7]]


def test_a_behaviour_is_appended_and_its_list_is_streamed(site: Site, client: httpx.Client) -> None:
    user = next(site.serving.store.users())
    listed = site.serving.store.list_of(user)
    assert listed is not None
    with client.stream("GET", "/events", params={"user": user}) as stream:
        lines = stream.iter_lines()
        sent = client.post("/behaviors", json={"user_id": user, "action": "click", "item_id": listed.items[0]})
        assert sent.status_code == 202
        name = ""
        for line in lines:
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data" and name == "list":
                made = json.loads(value)
                break
    assert (made["log_partition"], made["log_offset"]) == (sent.json()["log_partition"], sent.json()["log_offset"])
    assert made["version"] == listed.list_version + 1
    assert listed.items[0] not in [entry["item_id"] for entry in made["entries"]]
    assert made["freshness_ms"] >= 0


def test_live_counts_what_happens_and_says_that_no_job_runs(site: Site, client: httpx.Client) -> None:
    said: dict[str, object] = {}
    counted = 0
    user = next(site.serving.store.users())
    deadline = time.monotonic() + 60
    with client.stream("GET", "/events") as stream:
        client.post("/behaviors", json={"user_id": user, "action": "view", "item_id": "50"})
        name = ""
        for line in stream.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = json.loads(value)
                said[name] = data
                if name == "tick":
                    counted += sum(point[1] for point in data["points"])
            if counted and {"job", "facts", "ab", "drill"} <= said.keys():
                break
            assert time.monotonic() < deadline, said
    assert said["job"]["state"] == "missing"  # type: ignore[index]
    assert said["facts"]["models"]["served"][0]["scorers"] == 1  # type: ignore[index]
    assert said["ab"] == {"test": None}


ACTS = [{"action": "click", "item_id": "1"}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/behaviors", {"user_id": "", "action": "click", "item_id": "1"}),
        ("/behaviors", {"user_id": "1", "action": "gaze", "item_id": "1"}),
        ("/behaviors", {"user_id": "1", "action": "click"}),
        ("/behaviors", {"user_id": "1", "action": "click", "item_id": "x" * 300}),
        ("/sql", {"statement": ""}),
        ("/what-if", {"bundle": "../..", "history": ACTS}),
        (
            "/what-if",
            {"bundle": '{"model": "../..", "version": "x"}', "history": ACTS},
        ),
        ("/what-if", {"bundle": "{}", "history": []}),
    ],
)
def test_what_is_no_question_is_refused_in_a_sentence(client: httpx.Client, path: str, body: object) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in answer.text


def test_other_sites_and_too_long_bodies_are_refused(client: httpx.Client) -> None:
    body = {"user_id": "1", "action": "click", "item_id": "1"}
    assert client.post("/behaviors", json=body, headers={"origin": "http://there"}).status_code == 403
    assert client.post("/behaviors", content=json.dumps(body)).status_code == 415
    assert client.post("/sql", json={"statement": "x" * 100_000}).status_code in {413, 422}
    assert client.get("/users/" + "x" * 300, headers=HTML).status_code == 404
    assert client.get("/static/../page.py").status_code == 404


def test_nobody_moves_pointers_where_there_is_no_key(client: httpx.Client) -> None:
    answer = client.post("/models/rollback", json={"model": "ml-100k"}, headers={"x-recloop-key": ""})
    assert answer.status_code == 403


def test_with_a_key_nothing_is_shown_before_it_is_given(
    ml_100k: Dataset, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("keyed")
    with site_in(folder, bundle, recent(ml_100k, 50), keys=KEY) as site:
        user = next(site.serving.store.users())
        with httpx.Client(base_url=site.page, timeout=60) as stranger:
            for path in ("/", f"/users/{user}", "/tables", "/models"):
                assert stranger.get(path, headers=HTML).headers["location"].endswith("/page/sign-in")
            for path in (f"/user?id={user}", "/events", "/items?text=a"):
                assert stranger.get(path).status_code == 401
            assert stranger.post("/sql", json={"statement": "select 1"}).status_code == 401
            assert stranger.post("/sign-in", data={"key": "another key of 24 letters"}).status_code == 401
            signed = stranger.post("/sign-in", data={"key": KEY})
            cookie = signed.headers["set-cookie"].lower()
            assert {"httponly", "samesite=strict", "path=/page"} <= set(cookie.split("; "))
            assert KEY not in signed.headers["set-cookie"]
            assert stranger.get(f"/user?id={user}").json()["list"]["entries"]
            assert "Sign out" in stranger.get("/", headers=HTML).text
            stranger.post("/sign-out")
            assert stranger.get(f"/user?id={user}").status_code == 401
