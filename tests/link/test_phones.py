"""Centrals with the habits of phones: what each experiences is what docs/gatt.md says."""

from tests.link.gatt_doc import DOCUMENT, inserted, parts


def test_what_each_central_meets_is_what_the_document_says(pump):
    text = DOCUMENT.read_text()
    for name, part in parts(pump).items():
        assert inserted(text, name, part) == text, f"{name}: run `python -m tests.link.gatt_doc`"
