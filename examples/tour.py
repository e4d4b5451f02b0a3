"""The tour of README.md in Python, with requests and standardwebhooks.

Start `switchboard dev`, export URL, KEY, OPERATOR and LINE as the README sets them, then:

    pip install requests standardwebhooks
    python3 examples/tour.py
"""

import os
import queue
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests
from standardwebhooks import Webhook

URL, LINE, CONTACT = os.environ["URL"], os.environ["LINE"], "+15550100002"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def session(token):
    made = requests.Session()
    made.headers["Authorization"] = f"Bearer {token}"
    return made


api, operator = session(os.environ["KEY"]), session(os.environ["OPERATOR"])


def call(caller, method, path, **details):
    """The answer; an error says what to do."""
    answer = caller.request(method, URL + path, timeout=30, **details)
    if not answer.ok:
        error = answer.json()["error"]
        raise RuntimeError(f"{error['code']}: {error['message']}")
    return answer.json()


def contact_texts(text):
    """The simulator plays the contact."""
    body = {"line": LINE, "from": CONTACT, "text": text}
    return call(operator, "POST", "/simulator/v1/messages", json=body)


def wait_until_sent(item):
    while True:
        found = call(api, "GET", "/v1/outbox", params={"id": item["id"]})
        if found["status"] in ("sent", "failed"):
            return found
        time.sleep(0.1)


# A contact texts your line, and your program sees it by asking.
contact_texts("Is the shop open?")
newest = call(api, "GET", "/v1/messages", params={"from": LINE, "to": CONTACT, "limit": 1})["data"][0]
print("asked:", newest["text"])

# Or it is told, by a webhook: here a thread takes what comes.
deliveries = queue.Queue()


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            # Refuses a wrong signature, and a timestamp that is more than five minutes off.
            deliveries.put(Webhook(secret).verify(body, dict(self.headers)))
            self.send_response(204)
        except Exception:
            self.send_response(401)
        self.end_headers()

    def log_message(self, *_):
        pass


listener = HTTPServer(("127.0.0.1", 0), Hook)
hook = f"http://127.0.0.1:{listener.server_port}/hook"
events = ["message.received", "message.sent"]
webhook = call(api, "POST", "/v1/webhooks", json={"from": LINE, "url": hook, "events": events})
secret = webhook["secret"]
threading.Thread(target=listener.serve_forever, daemon=True).start()

contact_texts("Hello?")
told = deliveries.get(timeout=20)
print("told:", told["event"], told["data"]["text"])

# Your program answers. The key makes it safe to repeat.
answer = {"from": LINE, "to": told["data"]["sender"], "text": "Until six."}
item = call(api, "POST", "/v1/messages", json=answer, headers={"Idempotency-Key": str(uuid.uuid4())})
print("answered:", wait_until_sent(item)["status"])
told = deliveries.get(timeout=20)
print("told:", told["event"], told["data"]["text"])

# The contact's phone shows it.
phone = call(operator, "GET", "/simulator/v1/phones", params={"handle": CONTACT})
print("phone:", phone["messages"][-1]["text"])

# A mistake says what to do.
try:
    call(api, "POST", "/v1/messages", json={"from": LINE, "to": "+15550100003", "text": "Hello stranger"})
except RuntimeError as error:
    print("refused:", error)

# Send a picture: upload the bytes, then name the file.
kind = {"Content-Type": "image/png", "X-Filename": "photo.png"}
file = call(api, "POST", "/v1/files", data=PNG, headers=kind)
photo = call(api, "POST", "/v1/messages", json={"from": LINE, "to": CONTACT, "attachments": [file["id"]]})
print("picture:", wait_until_sent(photo)["status"])
assert requests.get(file["url"], timeout=30).content == PNG

call(api, "DELETE", "/v1/webhooks", json={"id": webhook["id"]})
