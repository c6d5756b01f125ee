"""The `recloop` command."""

import typer

from job.commands import (
    ab,
    bench,
    checkpoint,
    cluster,
    compact,
    compress,
    config,
    data,
    demo,
    deploy,
    doctor,
    drill,
    evaluate,
    explain,
    gc,
    kafka,
    learn,
    lists,
    models,
    ope,
    replay,
    savepoint,
    score,
    serve,
    sql,
    status,
    train,
    upgrade,
)
from job.commands.way_out import Root

app = typer.Typer(
    name="recloop",
    cls=Root,
    help="Session-fresh recommendations from a jar-less Python job on Apache Flink. Begin with: recloop demo",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)
app.command()(demo.demo)
app.add_typer(cluster.app, name="cluster")
app.add_typer(kafka.app, name="kafka")
app.add_typer(data.app, name="data")
app.command(epilog=train.EXAMPLES)(train.train)
app.command(epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.add_typer(models.app, name="models")
app.command(epilog=learn.EXAMPLES)(learn.learn)
app.command()(compress.compress)
app.command(epilog=deploy.EPILOG)(deploy.deploy)
app.command(epilog=upgrade.UPGRADE_EXAMPLES)(upgrade.upgrade)
app.command()(upgrade.rollback)
app.add_typer(savepoint.app, name="savepoint")
app.command()(gc.gc)
app.add_typer(config.app, name="config")
app.command()(status.status)
app.command(epilog=doctor.EXAMPLES)(doctor.doctor)
app.command(epilog=replay.EXAMPLES)(replay.replay)
app.command()(sql.sql)
app.command()(lists.lists)
app.command(epilog=explain.EXAMPLES)(explain.explain)
app.add_typer(checkpoint.app, name="checkpoint")
app.command()(score.score)
app.command(epilog=serve.EXAMPLES)(serve.serve)
app.add_typer(ab.app, name="ab")
app.add_typer(ope.app, name="ope")
app.command()(compact.compact)
app.command()(drill.drill)
app.command()(bench.bench)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
