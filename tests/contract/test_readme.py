"""What README.md says of the settings is what they are."""

from job.settings_table import settings_table
from job.shipping import PROJECT


def test_the_settings_table_is_the_one_the_settings_make() -> None:
    assert settings_table() in (PROJECT / "README.md").read_text(), "paste what `recloop config table` prints"
