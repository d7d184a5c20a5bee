"""A customer with a telephone and a browser, as far as the page below `/my` needs one: cookies and forms, no script."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests

from gateway.demo.telling import StoryBroken
from gateway.errors import Invalid

_TIMEOUT_S = 30
_OK = 200
_LINK = re.compile(r"https?://\S+/my/link/\S+")
_CODE = re.compile(r"(?<!\d)\d{6}(?!\d)")


@dataclass(slots=True)
class Form:
    """A form of a page: where it goes, what it carries unseen, and which boxes can be ticked."""

    action: str
    hidden: dict[str, str] = field(default_factory=dict)
    boxes: set[str] = field(default_factory=set)


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(said["action"]))
        elif tag == "a":
            self.links.append(said.get("href", ""))
        elif tag == "input" and said.get("type") == "hidden":
            self.forms[-1].hidden[said["name"]] = said["value"]
        elif tag == "input" and said.get("type") == "checkbox":
            self.forms[-1].boxes.add(said["name"])


class Customer:
    """Reads the messages to one number, and follows them. `messages` is where the demo's gateway lays them down."""

    def __init__(self, phone: str, messages: Path) -> None:
        self._phone = phone
        self._messages = messages
        self._http = requests.Session()
        self._url = ""
        self._page = _Page("")

    @property
    def path(self) -> str:
        """Which page is open."""
        return urlsplit(self._url).path

    @property
    def links(self) -> list[str]:
        """Where the links of the open page lead."""
        return self._page.links

    def link(self) -> str:
        """The link that was sent."""
        return self._told(_LINK)

    def code(self) -> str:
        """The code that was sent."""
        return self._told(_CODE)

    def see(self, path: str) -> str:
        """Open a page by its address, or by the path of a link."""
        answer = self._http.get(urljoin(self._url, path), timeout=_TIMEOUT_S)
        return self._shown(answer)

    def press(self, action: str, *, ticked: Collection[str] = (), **typed: str) -> str:
        """Send the one form that goes there, as it stands on the open page, with what was typed and ticked."""
        form = next((one for one in self._page.forms if one.action == action), None)
        if form is None or not form.boxes.issuperset(ticked):
            raise Invalid("demo_failed", f"The page {self.path} has no such form: {action}.")
        page = urlsplit(self._url)
        answer = self._http.post(
            urljoin(self._url, action),
            data={**form.hidden, **typed, **dict.fromkeys(ticked, "on")},
            headers={"Origin": f"{page.scheme}://{page.netloc}", "Sec-Fetch-Site": "same-origin"},
            timeout=_TIMEOUT_S,
        )
        return self._shown(answer)

    def _shown(self, answer: requests.Response) -> str:
        if answer.status_code != _OK:
            raise StoryBroken(f"the customer's page {urlsplit(answer.url).path}", answer.status_code, answer.text)
        if answer.headers["content-type"].startswith("text/html"):
            self._url, self._page = answer.url, _Page(answer.text)
        return answer.text

    def _told(self, what: re.Pattern[str]) -> str:
        """What the newest message to this number says of it; messages are named by their instants."""
        for path in sorted(self._messages.glob("*.json"), reverse=True):
            said = json.loads(path.read_text("utf-8"))
            if said["to"].endswith(self._phone) and (found := what.search(said["text"])):
                return found[0]
        raise Invalid("demo_failed", "The customer was sent no such message.")
