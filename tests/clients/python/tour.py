"""The README's tour and every other operation, with the clients that openapi-python-client makes.

run.py generates the packages `programs`, `operator_api` and `simulator` beside this file, checks it with
mypy --strict, and runs it against a development server.
"""

import http.server
import io
import json
import os
import queue
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable
from typing import TypeVar

from operator_api.api.accounts import create_account, list_accounts
from operator_api.api.bridges import create_bridge, list_bridges, revoke_bridge
from operator_api.api.keys import create_key, list_keys, revoke_key
from operator_api.api.lines import create_line, list_all_lines, set_standby, take_line_over, update_line
from operator_api.client import AuthenticatedClient as OperatorClient
from operator_api.models import (
    AccountList,
    AccountResponse,
    BridgeDriver,
    BridgeList,
    BridgeRef,
    BridgeResponse,
    CreateAccount,
    CreateBridge,
    CreatedBridgeResponse,
    CreatedKeyResponse,
    CreateKey,
    CreateLine,
    Driver,
    KeyList,
    OperatorLineList,
    OperatorLineResponse,
    RevokedKeyResponse,
    RevokeKey,
    Scope,
    SetStandby,
    TakeLineOver,
    UpdateLine,
)
from programs.api.chats import list_chats
from programs.api.deliveries import list_deliveries, retry_delivery
from programs.api.documentation import get_open_api
from programs.api.events import stream_events
from programs.api.files import download_file, get_file, upload_file
from programs.api.lines import list_lines
from programs.api.messages import list_messages, send_audio_message, send_message
from programs.api.outbox import get_outbox_item
from programs.api.reactions import list_reactions, send_reaction
from programs.api.receipts import list_receipts, send_receipt
from programs.api.sandbox import ensure_sandbox, get_sandbox, reset_sandbox
from programs.api.typing import list_typing, send_typing
from programs.api.webhooks import (
    create_replay,
    create_webhook,
    delete_webhook,
    get_replay,
    list_webhooks,
    rotate_webhook_secret,
    test_webhook,
    update_webhook,
)
from programs.client import AuthenticatedClient, Client
from programs.models import (
    AcceptedResponse,
    ChatList,
    CreatedWebhookResponse,
    CreateReplay,
    CreateWebhook,
    DeletedResponse,
    DeleteWebhook,
    DeliveryList,
    DeliveryStatus,
    ErrorCode,
    ErrorEnvelope,
    EventKind,
    FileResponse,
    LineList,
    MessageList,
    MessageReceivedBody,
    MessageSentBody,
    OutboxItemResponse,
    OutboxStatus,
    ReactionList,
    ReactionName,
    ReadReceiptList,
    ReplayResponse,
    ReplayStatus,
    RetriedDeliveryResponse,
    RetryDelivery,
    RotatedWebhookResponse,
    SandboxResponse,
    SandboxStatus,
    SendAudioMessage,
    SendFile,
    SendReaction,
    SendReceipt,
    SendText,
    SendTyping,
    TypingIndicatorList,
    TypingState,
    UpdatedWebhookResponse,
    UpdateWebhook,
    WebhookId,
    WebhookList,
    WebhookTestResponse,
)
from programs.types import File
from simulator.api.contacts import create_group, edit_text, react, read, text_line, type_, unsend_text
from simulator.api.lines import set_capabilities, set_fault
from simulator.api.phones import get_phone
from simulator.client import AuthenticatedClient as SimulatorClient
from simulator.models import (
    ContactFile,
    ContactFiles,
    ContactInChat,
    ContactReaction,
    ContactText,
    ContactTyping,
    CreateGroup,
    EditByGuid,
    FaultMode,
    FaultResponse,
    LineCapabilities,
    LineCapabilitiesResponse,
    PhoneResponse,
    SetFault,
    SimulatedGroupResponse,
    SimulatedReactionResponse,
    SimulatedReadResponse,
    SimulatedTextResponse,
    SimulatedTypingResponse,
    UnsendById,
)
from standardwebhooks.webhooks import Webhook

URL, LINE = os.environ["URL"], os.environ["LINE"]
CONTACT = "+15550100002"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
MEMO = b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0" + bytes(64)

programs = AuthenticatedClient(base_url=URL, token=os.environ["KEY"], raise_on_unexpected_status=True)
operator = OperatorClient(base_url=URL, token=os.environ["OPERATOR"], raise_on_unexpected_status=True)
phones = SimulatorClient(base_url=URL, token=os.environ["OPERATOR"], raise_on_unexpected_status=True)

T = TypeVar("T")


def expect(kind: type[T], answer: object) -> T:
    """The answer, which must be of this kind: an error is none."""
    assert isinstance(answer, kind), answer
    return answer


def eventually(look: Callable[[], T | None]) -> T:
    """What there is to see, once it is there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


class Hook(http.server.BaseHTTPRequestHandler):
    """Keeps what is delivered, with its headers."""

    received: "queue.Queue[tuple[bytes, dict[str, str]]]" = queue.Queue()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.put((body, {name.lower(): value for name, value in self.headers.items()}))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def delivered(secret: str) -> dict[str, object]:
    """The next delivery, verified."""
    body, headers = Hook.received.get(timeout=20)
    Webhook(secret).verify(body, headers)
    return expect(dict, json.loads(body))


def is_sent(item: str) -> OutboxItemResponse | None:
    """The outbox item, once it is sent."""
    found = expect(OutboxItemResponse, get_outbox_item.sync(client=programs, id=item))
    assert found.status != OutboxStatus.FAILED, found
    return found if found.status == OutboxStatus.SENT else None


def the_tour() -> None:
    """As in the README."""
    lines = expect(LineList, list_lines.sync(client=programs))
    assert LINE in [line.handle for line in lines.data] and lines.has_more is False

    text = ContactText(line=LINE, from_=CONTACT, text="Is the shop open?")
    texted = expect(SimulatedTextResponse, text_line.sync(client=phones, body=text))
    found = list_messages.sync(client=programs, from_=LINE, to=CONTACT, limit=1)
    message = expect(MessageList, found).data[0]
    assert (message.text, message.is_from_me, message.reply_to_guid) == ("Is the shop open?", False, None)
    assert message.id == texted.message_id
    chats = expect(ChatList, list_chats.sync(client=programs, from_=LINE))
    assert chats.data[0].identifier == CONTACT and chats.next_cursor is None

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/hook"
    events = [EventKind.MESSAGE_RECEIVED, EventKind.MESSAGE_SENT]
    made = create_webhook.sync(client=programs, body=CreateWebhook(from_=LINE, url=url, events=events))
    webhook = expect(CreatedWebhookResponse, made)
    again = ContactText(line=LINE, from_=CONTACT, text="Hello?")
    expect(SimulatedTextResponse, text_line.sync(client=phones, body=again))
    received = MessageReceivedBody.from_dict(delivered(webhook.secret))
    assert (received.event, received.data.text, received.data.line_handle) == ("message.received", "Hello?", LINE)

    answer = SendText(from_=LINE, to=CONTACT, text="Until six.", reply_to=message.id)
    once = str(uuid.uuid4())
    item = expect(AcceptedResponse, send_message.sync(client=programs, body=answer, idempotency_key=once))
    repeated = send_message.sync_detailed(client=programs, body=answer, idempotency_key=once)
    assert expect(AcceptedResponse, repeated.parsed).id == item.id
    assert repeated.headers["idempotent-replayed"] == "true"
    sent = eventually(lambda: is_sent(item.id))
    assert sent.payload["text"] == "Until six." and sent.attempts == 1
    told = MessageSentBody.from_dict(delivered(webhook.secret))
    assert told.data.id == sent.message_id
    phone = expect(PhoneResponse, get_phone.sync(client=phones, handle=CONTACT))
    assert [one.text for one in phone.messages] == ["Until six."]

    stranger = SendText(from_=LINE, to="+15550100003", text="Hello stranger")
    refused = expect(ErrorEnvelope, send_message.sync(client=programs, body=stranger))
    assert (refused.error.code, refused.error.param) == (ErrorCode.CONTACT_HAS_NOT_MESSAGED, "to")

    picture = upload_file.sync(client=programs, body=File(payload=io.BytesIO(PNG)), x_filename="photo.png")
    file = expect(FileResponse, picture)
    assert (file.mime_type, file.filename, file.size) == ("image/png", "photo.png", len(PNG))
    redirect = get_file.sync_detailed(client=programs, id=file.id)
    assert redirect.status_code == 302
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(redirect.headers["location"]).query))
    nobody = Client(base_url=URL)
    downloaded = download_file.sync(
        client=nobody, id=query["id"], expires=query["expires"], signature=query["signature"]
    )
    assert expect(File, downloaded).payload.read() == PNG
    photo = SendFile(from_=LINE, to=CONTACT, attachments=[file.id])
    went = expect(AcceptedResponse, send_message.sync(client=programs, body=photo))
    eventually(lambda: is_sent(went.id))

    pending = expect(SandboxResponse, ensure_sandbox.sync(client=programs))
    assert pending.activation_code is not None
    code = ContactText(line=os.environ["SANDBOX"], from_="+15550100009", text=pending.activation_code)
    expect(SimulatedTextResponse, text_line.sync(client=phones, body=code))
    active = expect(SandboxResponse, get_sandbox.sync(client=programs))
    assert (active.status, active.contact_identifier) == (SandboxStatus.ACTIVE, "+15550100009")
    after = expect(SandboxResponse, reset_sandbox.sync(client=programs))
    assert after.contact_identifier is None

    the_webhook(webhook.id)
    server.shutdown()


def the_webhook(webhook: str) -> None:
    """What can be done with a webhook and its deliveries."""
    listed = expect(WebhookList, list_webhooks.sync(client=programs, from_=""))
    assert [one.id for one in listed.data] == [webhook] and not hasattr(listed.data[0], "secret")
    change = UpdateWebhook(id=webhook, events=[EventKind.MESSAGE_RECEIVED])
    changed = expect(UpdatedWebhookResponse, update_webhook.sync(client=programs, body=change))
    assert changed.events == [EventKind.MESSAGE_RECEIVED]
    tried = expect(WebhookTestResponse, test_webhook.sync(client=programs, body=WebhookId(id=webhook)))
    assert tried.ok and tried.status == 204
    rotated = rotate_webhook_secret.sync(client=programs, body=WebhookId(id=webhook))
    assert expect(RotatedWebhookResponse, rotated).secret.startswith("whsec_")
    replay = CreateReplay(id=webhook, since=0, include_delivered=True)
    running = expect(ReplayResponse, create_replay.sync(client=programs, body=replay))

    def is_done() -> ReplayResponse | None:
        seen = expect(ReplayResponse, get_replay.sync(client=programs, id=running.id))
        return seen if seen.status == ReplayStatus.DONE else None

    assert eventually(is_done).queued > 0

    def all_delivered() -> DeliveryList | None:
        page = list_deliveries.sync(client=programs, webhook_id=webhook, event=EventKind.MESSAGE_RECEIVED)
        found = expect(DeliveryList, page)
        ended = all(one.status == DeliveryStatus.DELIVERED for one in found.data)
        return found if ended else None

    delivery = eventually(all_delivered).data[0]
    assert delivery.attempts[0].status == 204
    retried = retry_delivery.sync(client=programs, body=RetryDelivery(id=delivery.id))
    assert expect(RetriedDeliveryResponse, retried).status == "due"
    deleted = expect(DeletedResponse, delete_webhook.sync(client=programs, body=DeleteWebhook(id=webhook)))
    assert deleted.id == webhook and deleted.deleted


def the_rest() -> None:
    """Every other operation for programs."""
    newest = expect(MessageList, list_messages.sync(client=programs, from_=LINE, to=CONTACT)).data
    inbound = next(one for one in newest if not one.is_from_me)
    memo = expect(FileResponse, upload_file.sync(client=programs, body=File(payload=io.BytesIO(MEMO))))
    voice = SendAudioMessage(from_=LINE, to=CONTACT, audio_message=memo.id)
    love = SendReaction(from_=LINE, to=CONTACT, message_id=inbound.id, type_=ReactionName.LOVE)
    party = SendReaction(from_=LINE, to=CONTACT, message_id=inbound.guid, type_="🎉")
    typing = SendTyping(from_=LINE, to=CONTACT, state=TypingState.ON)
    accepted = [
        send_audio_message.sync(client=programs, body=voice),
        send_reaction.sync(client=programs, body=love),
        send_reaction.sync(client=programs, body=party),
        send_typing.sync(client=programs, body=typing),
        send_receipt.sync(client=programs, body=SendReceipt(from_=LINE, to=CONTACT)),
    ]
    items = [expect(AcceptedResponse, one).id for one in accepted]
    for item in items:
        eventually(lambda item=item: is_sent(item))  # type: ignore[misc]
    reactions = expect(ReactionList, list_reactions.sync(client=programs, message_id=inbound.id))
    assert "🎉" in [one.type_ for one in reactions.data if one.added]
    expect(TypingIndicatorList, list_typing.sync(client=programs, from_=LINE, to=CONTACT))
    expect(ReadReceiptList, list_receipts.sync(client=programs, from_=LINE, to=CONTACT))

    # It has no end, so it is read as it comes, not by the generated function.
    wanted = stream_events._get_kwargs(since=0, event=[EventKind.MESSAGE_RECEIVED])
    with programs.get_httpx_client().stream(**wanted) as stream:
        names = (line for line in stream.iter_lines() if line.startswith("event:"))
        assert next(names) == "event: message.received"
    about = get_open_api.sync(client=programs)
    assert about is not None and not isinstance(about, ErrorEnvelope) and about["openapi"] == "3.1.0"


def the_operator() -> None:
    """Every operation of the operator."""
    account = create_account.sync(client=operator, body=CreateAccount(name="Acme"))
    acme = expect(AccountResponse, account)
    assert acme.id in [one.id for one in expect(AccountList, list_accounts.sync(client=operator)).data]
    wanted = CreateLine(account_id=acme.id, handle="+15550100042", driver=Driver.SIMULATOR)
    line = expect(OperatorLineResponse, create_line.sync(client=operator, body=wanted))
    lines = expect(OperatorLineList, list_all_lines.sync(client=operator))
    assert line.contact_first and line.id in [one.id for one in lines.data]
    all_scopes = CreateKey(account_id=acme.id, name="all", scopes="all")
    key = expect(CreatedKeyResponse, create_key.sync(client=operator, body=all_scopes))
    some = CreateKey(account_id=acme.id, name="some", scopes=[Scope.LINESREAD], line_ids=[line.id])
    expect(CreatedKeyResponse, create_key.sync(client=operator, body=some))
    theirs = AuthenticatedClient(base_url=URL, token=key.key)
    assert "+15550100042" in [one.handle for one in expect(LineList, list_lines.sync(client=theirs)).data]
    revoke = RevokeKey(id=key.id, disable_webhooks=True)
    revoked = expect(RevokedKeyResponse, revoke_key.sync(client=operator, body=revoke))
    assert revoked.revoked_at and len(expect(KeyList, list_keys.sync(client=operator)).data) >= 2
    barred = expect(ErrorEnvelope, list_lines.sync(client=theirs))
    assert barred.error.code == ErrorCode.INVALID_API_KEY
    mini = CreateBridge(name="mac mini", driver=BridgeDriver.IMSG)
    bridge = expect(CreatedBridgeResponse, create_bridge.sync(client=operator, body=mini))
    second_mini = CreateBridge(name="second mac mini", driver=BridgeDriver.IMSG)
    second = expect(CreatedBridgeResponse, create_bridge.sync(client=operator, body=second_mini))
    wanted = CreateLine(account_id=acme.id, handle="+15550100044", driver=Driver.IMSG, bridge_id=bridge.id)
    real = expect(OperatorLineResponse, create_line.sync(client=operator, body=wanted))
    standby = SetStandby(id=real.id, bridge_id=second.id)
    real = expect(OperatorLineResponse, set_standby.sync(client=operator, body=standby))
    assert (real.bridge_id, real.standby_bridge_id) == (bridge.id, second.id)
    real = expect(OperatorLineResponse, take_line_over.sync(client=operator, body=TakeLineOver(id=real.id, force=True)))
    assert (real.bridge_id, real.standby_bridge_id) == (second.id, bridge.id)
    limit = UpdateLine(id=real.id, loop_limit="10/60")
    assert expect(OperatorLineResponse, update_line.sync(client=operator, body=limit)).loop_limit == "10/60"
    assert bridge.token and expect(BridgeList, list_bridges.sync(client=operator)).data
    gone = expect(BridgeResponse, revoke_bridge.sync(client=operator, body=BridgeRef(id=bridge.id)))
    assert gone.revoked_at


def the_contacts() -> None:
    """Every other operation of the simulator."""
    card = ContactFile(data="JVBERi0xLjcK", mime_type="application/pdf", filename="menu.pdf")
    files = ContactFiles(line=LINE, from_=CONTACT, attachments=[card])
    sent = expect(SimulatedTextResponse, text_line.sync(client=phones, body=files))
    text = ContactText(line=LINE, from_=CONTACT, text="Tee")
    typo = expect(SimulatedTextResponse, text_line.sync(client=phones, body=text))
    edited = edit_text.sync(client=phones, body=EditByGuid(guid=typo.guid, text="Tea"))
    assert expect(SimulatedTextResponse, edited).message_id == typo.message_id
    assert isinstance(sent.message_id, str)
    unsent = unsend_text.sync(client=phones, body=UnsendById(message_id=sent.message_id))
    assert expect(SimulatedTextResponse, unsent).guid == sent.guid
    phone = expect(PhoneResponse, get_phone.sync(client=phones, handle=CONTACT))
    reaction = ContactReaction(line=LINE, from_=CONTACT, message_guid=phone.messages[0].guid, type_="👍")
    expect(SimulatedReactionResponse, react.sync(client=phones, body=reaction))
    types = type_.sync(client=phones, body=ContactTyping(line=LINE, from_=CONTACT))
    assert expect(SimulatedTypingResponse, types).is_typing
    reads = read.sync(client=phones, body=ContactInChat(line=LINE, from_=CONTACT))
    assert expect(SimulatedReadResponse, reads).read
    group = create_group.sync(client=phones, body=CreateGroup(line=LINE, participants=[CONTACT, "+15550100003"]))
    assert expect(SimulatedGroupResponse, group).chat_id.startswith("cht_")
    slow = SetFault(line=LINE, mode=FaultMode.SLOW, ms=1, count=1)
    assert expect(FaultResponse, set_fault.sync(client=phones, body=slow)).mode == FaultMode.SLOW
    plain = set_capabilities.sync(client=phones, body=LineCapabilities(line=LINE, advanced_features=False))
    assert expect(LineCapabilitiesResponse, plain).advanced_features is False


the_tour()
the_rest()
the_operator()
the_contacts()
print("every operation works")
