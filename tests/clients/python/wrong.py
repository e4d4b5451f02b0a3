"""Calls that are wrong, one a line. mypy must find fault with each of them and with nothing else: see run.py."""

from operator_api.api.accounts import create_account
from operator_api.api.keys import create_key
from operator_api.client import AuthenticatedClient as OperatorClient
from operator_api.models import CreateKey, CreateLine, Driver
from programs.api.files import upload_file
from programs.api.lines import list_lines
from programs.api.messages import list_messages, send_message
from programs.api.outbox import get_outbox_item
from programs.api.webhooks import create_webhook
from programs.client import AuthenticatedClient, Client
from programs.models import AcceptedResponse, CreateWebhook, EventKind, Message, SendFile, SendReceipt, SendText, SendTyping
from simulator.api.contacts import text_line
from simulator.client import AuthenticatedClient as SimulatorClient
from simulator.models import ContactText, EditByGuid, FaultMode, SetFault

programs = AuthenticatedClient(base_url="", token="")
operator = OperatorClient(base_url="", token="")
phones = SimulatorClient(base_url="", token="")
nobody = Client(base_url="")


def calls(message: Message, accepted: AcceptedResponse) -> None:
    list_lines.sync(client=nobody)  # wrong: without a key
    list_lines.sync()  # wrong: without a client
    list_messages.sync(client=programs, from_="+15550100001")  # wrong: to is missing
    list_messages.sync(client=programs, from_="+15550100001", to="+15550100002", limit="1")  # wrong: limit is a number
    list_messages.sync(client=programs, from_="+15550100001", to="+15550100002", page=1)  # wrong: there is no page
    get_outbox_item.sync(client=programs)  # wrong: id is missing
    SendText(from_="+15550100001", to="+15550100002")  # wrong: no text
    SendText(from_="+15550100001", to="+15550100002", text=None)  # wrong: no text
    SendText(from_="+15550100001", to=15550100002, text="x")  # wrong: a handle is a text
    SendText(from_="+15550100001", to="+15550100002", txt="x")  # wrong: no such field
    SendText(to="+15550100002", text="x")  # wrong: from is missing
    SendFile(from_="+15550100001", to="+15550100002")  # wrong: no file
    SendFile(from_="+15550100001", to="+15550100002", attachments="file_x")  # wrong: not a list
    send_message.sync(client=programs, body=SendReceipt(from_="x", to="y"))  # wrong: another body
    send_message.sync(client=programs, body={"from": "x", "to": "y", "text": "z"})  # wrong: not a body
    send_message.sync(client=programs)  # wrong: no body
    send_message.sync(client=nobody, body=SendText(from_="x", to="y", text="z"))  # wrong: without a key
    send_message.sync(client=programs, body=SendText(from_="x", to="y", text="z"), idempotency_key=1)  # wrong: a text
    SendTyping(from_="x", to="y", state="maybe")  # wrong: on or off
    CreateWebhook(from_="", url="https://x.example", events=["message.recieved"])  # wrong: not an event
    CreateWebhook(from_="", url="https://x.example", events=EventKind.MESSAGE_SENT)  # wrong: not a list
    CreateWebhook(from_="", events=[EventKind.MESSAGE_SENT])  # wrong: url is missing
    EventKind.MESSAGE_READ  # wrong: no such event
    create_webhook.sync(client=programs, body=None)  # wrong: no body
    upload_file.sync(client=programs, body=b"bytes")  # wrong: not a File
    message.text.upper()  # wrong: may be null
    message.subject  # wrong: no such field
    accepted.status = "sent"  # wrong: always pending
    create_account.sync(client=operator, body="Acme")  # wrong: not a body
    CreateKey(name="x", scopes="some")  # wrong: all, or a list
    CreateKey(name="x", scopes=["messages:read"])  # wrong: not a Scope
    create_key.sync(client=operator)  # wrong: no body
    CreateLine(account_id="acc_x", handle="+15550100001", driver="simulator")  # wrong: not a Driver
    CreateLine(handle="+15550100001", driver=Driver.SIMULATOR)  # wrong: whose is it
    text_line.sync(client=phones, body=SendText(from_="x", to="y", text="z"))  # wrong: another API's body
    ContactText(line="+15550100001", text="x")  # wrong: from whom
    EditByGuid(guid="x")  # wrong: no text
    SetFault(line="+15550100001", mode=FaultMode.SLOW, ms="1s")  # wrong: ms is a number
