"""Where an encoder wants to publish: the application, and the stream key, wherever it put them."""

from __future__ import annotations

from collections.abc import Mapping

APPLICATIONS = ("app", "live")


def application_in(properties: Mapping[str, object]) -> str:
    """What the properties of a connect ask for: `app/KEY?query` in full, empty when they say nothing."""
    app = properties.get("app")
    if not isinstance(app, str):
        # The path of the tcUrl; quotes around it and other spellings of its name are seen in the wild.
        url = properties.get("tcUrl") or properties.get("tcurl")
        app = url.strip("\"'").partition("://")[2].partition("/")[2] if isinstance(url, str) else ""
    return app.strip("/")


def split_application(app: str) -> tuple[str, str]:
    """`app/KEY?query` as application and the key in it, if one is there."""
    name, _, key = without_query(app).partition("/")
    return name, key


def without_query(name: str) -> str:
    """A stream name or application without the tokens that stand behind it."""
    return name.partition("?")[0].strip("/")
