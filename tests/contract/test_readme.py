"""What README.md says of the settings, and docs/recommenders.md of the recommenders, is what they are."""

from job.deployment.shipping import PROJECT
from job.settings.settings_table import settings_table
from model.recommenders.kinds import KINDS


def test_the_settings_table_is_the_one_the_settings_make() -> None:
    assert settings_table() in (PROJECT / "README.md").read_text(), "paste what `recloop config table` prints"


def test_it_is_said_of_every_recommender_when_to_take_it() -> None:
    rows = [line for line in (PROJECT / "docs/recommenders.md").read_text().splitlines() if line.startswith("| `")]
    said = {row.split("`")[1]: row.split("|")[2].strip() for row in rows if row.count("|") == 4}
    assert said.keys() >= KINDS.keys()
    assert all(said.values())
