"""What people write in YAML is read strictly."""

import pytest

from book.lab import yaml_files


def test_a_file_holds_what_was_written(tmp_path):
    path = tmp_path / "one.yaml"
    path.write_text("a: [1, 2.5]\nb: {c: null}\n")
    assert yaml_files.read(path) == {"a": [1, 2.5], "b": {"c": None}}
    path.write_text("")
    assert yaml_files.read(path) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 1: a occurs more than once"),
        ("a:\n  - {says: x, claims: {}, says: y}\n", "line 2: says occurs more than once"),
        ("a: [1\n", "while parsing a flow sequence"),
    ],
)
def test_a_fault_is_told_with_file_and_line(tmp_path, text, message):
    path = tmp_path / "one.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"(?s)one.yaml: .*{message}"):
        yaml_files.read(path)
