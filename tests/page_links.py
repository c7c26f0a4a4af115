"""Where the links of a page lead, and which of them lead nowhere."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection
from urllib.parse import unquote, urlsplit

FENCED = re.compile(r"^( *)(`{3,}|~{3,})[^`\n]*\n.*?^ *\2 *$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
INLINE = re.compile(r"\]\(\s*<?([^)\s>]*)>?(?:\s+(?:\"[^\"]*\"|'[^']*'))?\s*\)")
DEFINITION = re.compile(r"^ {0,3}\[([^\]]+)\]:\s*<?([^\s>]+)>?", re.MULTILINE)
REFERENCE = re.compile(r"\[([^\[\]]*)\]\[([^\[\]]*)\]")
HTML = re.compile(r"\b(href|src|srcset)\s*=\s*[\"']([^\"']*)[\"']")
WRITTEN_OUT = re.compile(r"(?<![(\[\"'])\bhttps?://[^\s<>)\"'\]|]+")
HEADING = re.compile(r"^ {0,3}#{1,6} +(.*?)(?: +#+)?$", re.MULTILINE)
NAMED = re.compile(
    r"\b(?<!/)((?:docs|results|benchmarks|data)/\w+\.md|(?:README|CONTRIBUTING|CHANGELOG)\.md)(?:#([\w-]+))?"
)


def anchors(text: str) -> set[str]:
    """Of the headings, as the usual hosts make them, and of HTML.

    >>> sorted(anchors("# IntTower's heads, by `n`\\n## [Use](x.md)\\n## Use\\n<a id='old'></a>"))
    ['inttowers-heads-by-n', 'old', 'use', 'use-1']
    """
    text = FENCED.sub("", COMMENT.sub("", text))
    found = set(re.findall(r"<\w+[^>]*\b(?:id|name)=[\"']([^\"']+)[\"']", text))
    for heading in HEADING.findall(text):
        words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)  # a link is its text
        words = re.sub(r"<[^>]+>|[*`]", "", words)
        name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        number = next(n for n in range(len(found) + 1) if (f"{name}-{n}" if n else name) not in found)
        found.add(f"{name}-{number}" if number else name)
    return found


def links(text: str) -> list[str]:
    """Targets in order of their kinds; an undefined reference is `[text][reference]`."""
    text = CODE.sub("", FENCED.sub("", COMMENT.sub("", text)))
    defined = {name.lower() for name, _ in DEFINITION.findall(text)}
    targets = INLINE.findall(text) + [target for _, target in DEFINITION.findall(text)]
    for name, value in HTML.findall(text):
        targets += [each.split()[0] for each in value.split(",")] if name == "srcset" else [value]
    targets += WRITTEN_OUT.findall(text)
    return targets + [
        f"[{shown}][{name}]" for shown, name in REFERENCE.findall(text) if (name or shown).lower() not in defined
    ]


def broken(page: str, text: str, files: Collection[str], read: Callable[[str], str]) -> list[str]:
    """Each link of the page that leads nowhere, with the reason.

    files: of the repository, without those that git ignores. read: the text of one.
    """
    problems = ((link, _problem(page, link, files, read)) for link in links(text))
    return [f"{link}: {problem}" for link, problem in problems if problem]


def broken_names(source: str, files: Collection[str], read: Callable[[str], str]) -> list[str]:
    """Pages that a program names, in its messages as in its comments, and that are not there."""
    found = [(name, anchor) for name, anchor in NAMED.findall(source) if name not in files or anchor]
    return [f"{name}#{anchor}" for name, anchor in found if name not in files or anchor not in anchors(read(name))]


def _problem(page: str, link: str, files: Collection[str], read: Callable[[str], str]) -> str | None:
    if link.startswith("["):
        return "the reference is not defined"
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        host = re.fullmatch(r"([\w-]+\.)+[a-z]{2,}", parts.netloc)
        return None if parts.scheme == "https" and host else "no https address"
    if not link:
        return "it is empty"
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(parts.path))) if parts.path else page
    if target.startswith(("..", "/")):
        return "it leads out of the repository"
    if target not in files and target != "." and not any(name.startswith(f"{target}/") for name in files):
        return "there is no such file"
    if parts.fragment and (not target.endswith(".md") or parts.fragment not in anchors(read(target))):
        return "there is no such heading"
    return None
