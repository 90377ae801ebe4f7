"""A page as a reader gets it: its text and tags; and a page of a cube alone."""

from html.parser import HTMLParser

from crbatch.results import page


class Reader(HTMLParser):
    """Collects the text, tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def render(cube, **changes):  # type: ignore[no-untyped-def]
    settings = {"what": [("Draws", "some")], "pictures": [], "statements": [], "verdicts": None, "tables": {}} | changes
    return page.render(cube, **settings)
