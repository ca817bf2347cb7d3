"""HTML read back as a tree, for tests that look at a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "hr", "input", "wbr"}


@dataclass
class Node:
    tag: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    own_text: str = ""

    def all(self, tag: str, css_class: str | None = None) -> list[Node]:
        here = [self] if self.tag == tag and css_class in (None, *self.classes) else []
        return here + [found for child in self.children for found in child.all(tag, css_class)]

    def one(self, tag: str, css_class: str | None = None) -> Node:
        return self.all(tag, css_class)[0]

    @property
    def classes(self) -> list[str]:
        return self.attributes.get("class", "").split()

    @property
    def text(self) -> str:
        return self.own_text + "".join(child.text for child in self.children)


class Reader(HTMLParser):
    """A strict reader: every element that is not void must be closed in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Node("", {})
        self.path = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.path[-1].children.append(node)
        if tag not in VOID:
            self.path.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.path[-1].children.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.path.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.path[-1].children.append(Node("#text", {}, own_text=data))


def parse(page: str) -> Node:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.path == [reader.root]
    return reader.root
