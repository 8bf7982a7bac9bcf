"""Who ran what and when, of every experiment that has rows."""

import pytest

from book.lab import registry, show, store, words


@pytest.mark.parametrize("experiment", registry.experiments(), ids=lambda one: one.name)
def test_every_table_says_how_long_its_rows_took(experiment):
    records = store.read(experiment.name)[:40]
    told = words.provenance(experiment.table(records)).data
    assert told == show.NOT_RUN if not records else " of work (" in told
