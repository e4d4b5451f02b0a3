"""What schemathesis can't know from the document alone: what exists on this server.

Formats get values that name real things beside made-up ones, so that requests reach behind the
checks of form. Nothing here changes what counts as a failure; what is no right request, though the document can't say
so, is not made.
"""

import atexit
import collections
import json
import os
import re
import urllib.parse

import requests
import schemathesis
from hypothesis import strategies as st

STATE = json.loads(os.environ["SWITCHBOARD_STATE"])
API = STATE["api_url"]
AUTH = {"Authorization": f"Bearer {STATE['api_key']}"}
SINK = "http://127.0.0.1:1999/"
# An account may have 100 webhooks, and two processes run at once.
MOST_WEBHOOKS = 30

ID_REST = st.from_regex(r"\A[0-7][0-9a-hjkmnp-tv-z]{25}\Z")
PHONE = st.integers(0, 9999).map(lambda number: f"+1555010{number:04}")
SPACED = st.integers(0, 9999).map(lambda number: f" +1 (555) 010-{number:04}")
APPLE_ID = st.from_regex(r"\A[a-z]{1,10}@[a-z]{1,10}\.com\Z")


def often(*known):
    return st.sampled_from(known)


def made_up(prefix):
    return ID_REST.map(lambda rest: prefix + rest)


schemathesis.openapi.format(
    "line",
    often(STATE["line"], STATE["line"], STATE["line_id"]) | PHONE | APPLE_ID | made_up("ln_"),
)
schemathesis.openapi.format("line-or-all", often(STATE["line"], STATE["line"], STATE["line_id"], "") | PHONE)
schemathesis.openapi.format(
    "recipient",
    often(STATE["contact"], STATE["contact"], STATE["chat"], STATE["group"])
    | PHONE
    | SPACED
    | APPLE_ID
    | made_up("cht_"),
)
schemathesis.openapi.format(
    "message", often(STATE["message"], STATE["guid"]) | made_up("msg_") | st.uuids().map(str)
)
schemathesis.openapi.format(
    "message-or-none", often(STATE["message"], STATE["guid"], "") | made_up("msg_") | st.uuids().map(str)
)
schemathesis.openapi.format("webhook", often(STATE["webhook"]) | made_up("wh_"))
schemathesis.openapi.format("delivery", often(STATE["delivery"]) | made_up("dlv_"))
schemathesis.openapi.format("replay", often(STATE["replay"]) | made_up("rpl_"))
schemathesis.openapi.format("voice-memo", often(STATE["voice_memo"]) | made_up("file_"))
schemathesis.openapi.format("file", often(STATE["file"]) | made_up("file_"))
signed = urllib.parse.parse_qs(urllib.parse.urlsplit(STATE["file_url"]).query)
schemathesis.openapi.format("expires", often(*signed["expires"]))
schemathesis.openapi.format("signature", often(*signed["signature"]) | often("AAAA", "x"))
schemathesis.openapi.format("emoji", often("🎉", "❤️", "👍🏽", "👨‍👩‍👧‍👦", "🇩🇪", "1️⃣", "🏳️‍🌈"))
schemathesis.openapi.format(
    "uri",
    st.from_regex(r"\A[a-z0-9/]{0,20}\Z").map(lambda path: SINK + path),
)
schemathesis.openapi.format("idempotency-key", st.uuids().map(str) | st.from_regex(r"\A[!-~]{20,255}\Z"))
schemathesis.openapi.format("filename", st.from_regex(r"\A[a-z0-9 _.-]{1,40}(%C3%A4)?\.pdf\Z"))
schemathesis.openapi.format("cursor", often(*STATE["cursors"].values()))

FILES = (
    b"\xff\xd8\xff\xe0",
    b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0",
    b"%PDF-1.7\n",
)
VCARD = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ann Lee\r\nEND:VCARD\r\n"
schemathesis.openapi.media_type(
    "application/octet-stream",
    st.just(VCARD) | st.builds(bytes.__add__, st.sampled_from(FILES), st.binary(max_size=64)),
)

made = 0
count_file = os.environ["SWITCHBOARD_COUNT"]


@atexit.register
def write_count():
    with open(count_file, "w", encoding="utf-8") as file:
        file.write(str(made))


@schemathesis.hook
def before_load_schema(context, schema):
    """The link from a webhook to its deletion is not followed: the id is in the body, where the generator
    may put that of a webhook which it deleted long before, and then wonders that it is gone."""
    schema["paths"]["/v1/webhooks"]["post"]["responses"]["201"].pop("links", None)


# Which numbers and names are handles, no pattern in the document can say: it is wider than the truth.
HANDLE = re.compile(r"\s*\+[1-9][0-9 ().-]{6,24}\s*|[a-z0-9._-]+@[a-z0-9-]+(\.[a-z]+)+|(ln|cht)_[0-7][0-9a-hjkmnp-tv-z]{25}|")


@schemathesis.hook
def filter_case(context, case):
    """Passes over what is right by the pattern and no handle: it is refused, and was no right request.

    A wrong request that `before_call` will change counts as well: the change may be all that was wrong with it.
    One that is wrong by formats only may be right: the formats are ours, so the generator does not know what they refuse.
    An empty line, for one, is every line. What a pattern refuses is still sent.
    """
    if is_wrong_by_format_only(case):
        return False
    wrong = case.meta is None or case.meta.generation.mode.value != "positive"
    if wrong and harmless(case.body) == case.body and not has_foreign_cursor(case):
        return True
    return all(
        HANDLE.fullmatch(value)
        for part in (case.query, case.body)
        if isinstance(part, dict)
        for name, value in part.items()
        if name in ("from", "to") and isinstance(value, str)
    )


def is_wrong_by_format_only(case):
    mutations = getattr(case.meta.phase.data, "mutations", ()) if case.meta else ()
    return bool(mutations) and all(set(one.keywords) == {"format"} for one in mutations)


def is_loopback(url):
    return url.startswith(("http://127.0.0.1:1999/", "http://127.0.0.1:1999?"))


@schemathesis.hook
def before_call(context, case, kwargs):
    """No webhook leads out of this machine: whatever the server could dial becomes the sink."""
    if has_foreign_cursor(case):
        del case.query["cursor"]
    drop_key(case)
    if case.operation.path == "/v1/webhooks":
        case.body = harmless(case.body)


def harmless(body):
    if isinstance(body, (bytes, bytearray)):
        return re.sub(rb"https?://agent\.example\.com[a-z/]*", SINK.encode(), bytes(body))
    if isinstance(body, str):
        return re.sub(r"https?://agent\.example\.com[a-z/]*", SINK, body)
    if isinstance(body, dict) and isinstance(body.get("url"), str) and not is_loopback(body["url"]):
        # As the server's parser would read it: without what it skips.
        if re.sub(r"[\x00-\x20]", "", body["url"]).lower().startswith("http"):
            return {**body, "url": SINK}
    return body


def drop_key(case):
    """A key that came before gets its first answer again, about a webhook that may be deleted by now.

    That is right, but not the "just created" that a request followed by another asks for.
    """
    follows = case.meta is not None and case.meta.phase.name.value == "stateful"
    if follows and case.operation.path == "/v1/webhooks" and "Idempotency-Key" in (case.headers or {}):
        del case.headers["Idempotency-Key"]


def has_foreign_cursor(case):
    """A real cursor belongs to one list: elsewhere it is refused, which no schema can say."""
    query = case.query if isinstance(case.query, dict) else {}
    cursor = query.get("cursor")
    if not isinstance(cursor, str) or cursor not in STATE["cursors"].values():
        return False
    of_this_list = cursor == STATE["cursors"].get(case.operation.path)
    if not of_this_list or query.get("from") != STATE["line"]:
        return True
    return case.operation.path == "/v1/messages" and query.get("to") != STATE["contact"]


@schemathesis.hook
def after_call(context, case, response):
    global made
    made += 1
    if response.status_code == 201 and case.operation.path == "/v1/webhooks":
        url = response.json()["url"]
        assert url.startswith("http://127.0.0.1:1999/"), f"a webhook leads out of this machine: {url}"
        trim_webhooks(response.json()["id"])


created = collections.deque()


def trim_webhooks(webhook):
    """Removes the oldest of this process; what another has just made, it may ask for next."""
    created.append(webhook)
    while len(created) > MOST_WEBHOOKS:
        remove_oldest()


@atexit.register
def remove_all():
    """Rounds follow each other on the same account."""
    while created:
        remove_oldest()


def remove_oldest():
    body = {"id": created.popleft()}
    requests.delete(f"{API}/v1/webhooks", json=body, headers=AUTH, timeout=10)
