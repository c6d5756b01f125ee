"""`recloop demo`: the demonstration, with a report of each step."""

import os
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from job import demo as steps
from job import demo_page
from job.cluster import RunningCluster
from job.cluster.running import Progress
from job.commands.options import fail, stop_on_errors
from job.commands.output import Screen
from job.commands.tables_output import show_result
from job.demo import DemoError, Folders
from model.bundles.bundle import Bundle
from model.datasets.prepared import Dataset

_console = Screen()
_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")

_QUERIES = (
    "SELECT action, count(*) AS behaviors, count(DISTINCT user_id) AS users FROM user_behavior"
    " WHERE outcome = 'applied' GROUP BY action ORDER BY behaviors DESC",
    "SELECT item_id, count(*) AS lists FROM (SELECT unnest(items) AS item_id FROM latest_recommendation_lists)"
    " GROUP BY item_id ORDER BY lists DESC, item_id LIMIT 5",
)

_NEXT = """\
  make demo ARGS=--page      the same, and then the page, on which a click changes a list
  make demo ARGS=--keep      leave job and page running, then:
  recloop status --dir .recloop/demo/cluster
  recloop lists {user} --tables-dir .recloop/demo/tables --bundle .recloop/demo/bundle
  recloop sql --tables-dir .recloop/demo/tables "SELECT * FROM feedback_metrics"
  recloop cluster stop --dir .recloop/demo/cluster      end job and page
  recloop drill --smoke --out drill      kill a TaskManager, and see that nothing is lost"""


def demo(
    keep: Annotated[bool, typer.Option(help="Leave cluster, job and page running.")] = False,
    page: Annotated[bool, typer.Option("--page", help="At the end open the page, until Ctrl-C.")] = False,
    root: Annotated[Path, typer.Option(help="Folder for all that it makes.")] = Path(".recloop"),
) -> None:
    """Run the whole loop on MovieLens-100K: cluster, data, model, job, 100,000 behaviours, fresh lists.

    It takes minutes, ends by itself, and leaves nothing running unless --keep is given. With --page it ends with a page
    in the browser, on which a click changes a list, and runs until Ctrl-C. With --keep job and page run on until
    `recloop cluster stop`.
    """
    folders = Folders(root.absolute())
    began = time.monotonic()
    with stop_on_errors(), ExitStack() as stack:
        try:
            with _step("cluster") as report:
                cluster = stack.enter_context(steps.demo_cluster(folders, report, keep=keep))
            with _step("data") as report:
                dataset = steps.prepare_data(folders, lambda done: report(f"{done:,} behaviours"))
            with _step("model") as report:
                bundle = steps.train_bundle(dataset, folders, report)
            metrics = bundle.manifest.metrics
            table = Table("on behaviours after the cut-off", "HR@10", "NDCG@10")
            for name, prefix in (("SASRec", ""), ("popularity", "popularity_")):
                hr, ndcg = (metrics[f"{prefix}{measure}_10_everyone"] for measure in ("hr", "ndcg"))
                table.add_row(name, f"{hr:.3f}", f"{ndcg:.3f}")
            _console.print(table)
            _run(cluster, folders, dataset, bundle)
            if keep:
                _keep_page(cluster, folders, open_it=page)
            elif page:
                demo_page.serve_page(folders, lambda address: _show(address, "Ctrl-C ends it.", open_it=True))
        except DemoError as error:
            fail(error)
        except KeyboardInterrupt:
            _console.print("Stopped.")
            raise typer.Exit(130) from None
    _console.print(
        f"\nDone in {time.monotonic() - began:.0f} s; " + ("the job runs on." if keep else "nothing runs on.")
    )


def _keep_page(cluster: RunningCluster, folders: Folders, *, open_it: bool) -> None:
    """Leave the page running beside the job; without the extra that it needs say how to have it."""
    try:
        with _step("page"):
            address = demo_page.keep_page(cluster, folders)
    except DemoError as error:
        _console.print(f"\nThere is no page: {error}")
        return
    _show(address, f"recloop cluster stop --dir {folders.cluster} ends it and the job.", open_it=open_it)


def _show(address: str, end: str, *, open_it: bool) -> None:
    """Name the page and what ends it, and open it if asked, where there is a screen."""
    _console.print(f"\nThe page is {address}", style="bold", highlight=False)
    _console.print(end, highlight=False, soft_wrap=True)
    if open_it and (any(os.environ.get(name) for name in _SCREENS) or sys.platform == "darwin"):
        webbrowser.open(address)


def _run(cluster: RunningCluster, folders: Folders, dataset: Dataset, bundle: Bundle) -> None:
    with _step("job") as report:
        done = steps.deploy_job(cluster, folders, report)
    _console.print(f"job {done.job_id} runs; Flink's page is {cluster.rest_url}")
    with _bar("replay", dataset.info.behaviors - steps.SAMPLES) as count:
        steps.replay_through(dataset, folders, count)
    with _bar("10 a second", steps.SAMPLES) as count:
        steps.measure_freshness(dataset, folders, count)
    _print_counts(folders)
    _print_users(folders, bundle)
    for query in _QUERIES:
        _console.print(f'\nrecloop sql "{query}"', highlight=False)
        show_result(steps.ask(folders, query), _console)
    _console.print(f"\nthe tables are {steps.count_files(folders):,} files; a compactor beside the job keeps them few")
    newest = steps.ask(folders, "SELECT user_id FROM user_behavior ORDER BY written_at DESC LIMIT 1").rows[0][0]
    _console.print("\nWhat to try next", style="bold")
    _console.print(_NEXT.format(user=newest), highlight=False)


def _print_counts(folders: Folders) -> None:
    """Print the account of all offsets, the rate of lists and their freshness."""
    (applied, duplicates), *_ = steps.ask(
        folders,
        "SELECT count(*) FILTER (outcome = 'applied'), count(*) FILTER (outcome = 'duplicate') FROM user_behavior",
    ).rows
    letters = steps.ask(folders, "SELECT count(*) FROM dead_letters").rows[0][0]
    _console.print(
        f"\n{steps.offsets(folders):,} offsets = {applied:,} applied + {duplicates:,} duplicates"
        f" + {letters:,} dead letters",
        style="bold",
    )
    bulk = f"""
        WITH slow AS (SELECT appended_at FROM recommendation_lists ORDER BY appended_at DESC LIMIT {steps.SAMPLES}),
        bulk AS (SELECT * FROM recommendation_lists WHERE appended_at < (SELECT min(appended_at) FROM slow))
        SELECT count(*), 1000.0 * count(*) / (max(written_at) - min(written_at)),
               count(*) FILTER (source = 'fallback') FROM bulk"""
    lists, rate, fallbacks = steps.ask(folders, bulk).rows[0]
    _console.print(f"{lists:,} lists at {rate:,.0f} events a second, {fallbacks:,} of them fallback lists")
    fresh = f"""
        SELECT count(*), quantile_cont(ms, 0.5), quantile_cont(ms, 0.95), quantile_cont(ms, 0.99), max(ms)
        FROM (SELECT written_at - appended_at AS ms FROM recommendation_lists
              ORDER BY appended_at DESC LIMIT {steps.SAMPLES})"""
    count, p50, p95, p99, longest = steps.ask(folders, fresh).rows[0]
    _console.print(
        f"freshness of {count:,} behaviours at {steps.SAMPLES_PER_S:g} a second, from append to new list:"
        f" p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms, longest {longest:.0f} ms"
    )


def _print_users(folders: Folders, bundle: Bundle) -> None:
    """Print the lists of three users before and after their newest behaviour, a favorite."""
    rows = steps.ask(
        folders,
        """
        SELECT after.user_id, after.action, after.item_id, before.items, after.items, after.reasons
        FROM recommendation_lists AS after JOIN recommendation_lists AS before
          ON before.user_id = after.user_id AND before.list_version = after.list_version - 1
        JOIN latest_recommendation_lists AS latest
          ON latest.user_id = after.user_id AND latest.list_version = after.list_version
        WHERE after.action = 'favorite'
        ORDER BY after.written_at DESC LIMIT 3""",
    ).rows
    titles = dict(zip(bundle.vocabulary, bundle.titles, strict=True))
    for user, action, item, before, after, reasons in rows:
        title = titles.get(str(item), str(item))
        table = Table("before", "after", "why", title=f"user {user}: {action} {title}", title_justify="left")
        because = []
        for reason in list(reasons)[:5] if isinstance(reasons, list) else []:
            kind, _, cause = str(reason).partition(":")
            because.append(f"because of {titles.get(cause, cause)}" if cause else kind)
        for row in zip(_names(before, titles), _names(after, titles), because, strict=False):
            table.add_row(*row)
        _console.print(table)


def _names(items: object, titles: dict[str, str]) -> list[str]:
    return [titles.get(item, item) for item in list(items)[:5]] if isinstance(items, list) else []


@contextmanager
def _step(name: str) -> Iterator[Progress]:
    """Show the progress of a step, and its duration at the end."""
    began = time.monotonic()
    with _console.status(name) as spinner:
        yield lambda news: spinner.update(f"{name}: {news}")
    _console.print(f"{name}: {time.monotonic() - began:.1f} s", style="dim")


@contextmanager
def _bar(name: str, total: int) -> Iterator[steps.Count]:
    """Show a progress bar for counted work, and yield its update function."""
    with _console.bar() as bar:
        task = bar.add_task(name, total=total)
        yield lambda done: bar.update(task, completed=done)
