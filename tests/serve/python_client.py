"""Tests of serve/clients/python/syncog_client.py against a real service, whose address and two API
keys come in the environment; run by test_python_client.sh."""

import http.server
import json
import os
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.environ["SYNCOG_CLIENT_FOLDER"])

from syncog_client import (AuthenticationError, Client, ConnectionFailed, NotFound,  # noqa: E402
                           RateLimitExceeded, SyncogError, Unavailable, ValidationError)

URL, KEY, OTHER_KEY = (os.environ[name] for name in ("TEST_URL", "TEST_KEY", "TEST_OTHER_KEY"))

QUESTION = "In which town was the director of Amber Tide born?"
DOCUMENTS = [
    {"title": "Amber Tide", "agents": [2],
     "text": "Amber Tide is a film of 1998. It was directed by Mara Lind."},
    {"title": "Mara Lind", "agents": [3],
     "text": "Mara Lind is a film director. She was born in Tallvik."},
    {"title": "Osk", "text": "The Osk is a river of the north.", "agents": [1]},
]


class AgainstTheService(unittest.TestCase):
    def setUp(self) -> None:
        self.client = Client(URL, KEY)
        self.addCleanup(self.client.close)

    def test_a_question_is_answered_and_found_in_the_history(self) -> None:
        reply = self.client.collaborate(QUESTION, documents=DOCUMENTS, max_rounds=4)
        self.assertEqual(reply["short_answer"], "Tallvik")
        self.assertEqual(reply["agents_used"], 3)
        self.assertEqual(self.client.collaboration(reply["id"]), reply)
        self.assertEqual(reply["answered_by"], {"provider": "extractive", "model": None})
        self.assertEqual({r["provider"] for r in reply["agent_responses"]}, {"extractive"})
        page = self.client.history(limit=1)
        self.assertEqual(page["collaborations"][0]["id"], reply["id"])
        self.assertGreaterEqual(page["total"], 1)
        self.assertEqual(self.client.history(task_type="analysis", min_confidence=0.99)["total"], 0)

    def test_a_token_takes_the_place_of_the_key(self) -> None:
        token = self.client.authenticate()
        self.assertEqual(token["token_type"], "bearer")
        self.assertEqual(token["expires_in"], 86400)
        self.assertEqual(self.client.collaborate(QUESTION, documents=DOCUMENTS)["short_answer"],
                         "Tallvik")
        self.client.authenticate()  # with the key again, not with the token

    def test_a_stream_ends_with_the_whole_reply(self) -> None:
        events = list(self.client.stream(QUESTION, documents=DOCUMENTS))
        types = [event["type"] for event in events]
        self.assertEqual(types[0], "session")
        self.assertEqual(types[-1], "final_answer")
        self.assertLess(types.index("round"), types.index("agent_response"))
        self.assertEqual(events[-1]["answer"], events[-1]["reply"]["final_answer"])
        self.assertEqual(self.client.collaboration(events[-1]["reply"]["id"]),
                         events[-1]["reply"])

    def test_a_stream_may_be_left_early(self) -> None:
        for event in self.client.stream(QUESTION, documents=DOCUMENTS):
            if event["type"] == "round":
                break
        self.assertEqual(self.client.health()["status"], "healthy")

    def test_a_dialogue_goes_on(self) -> None:
        first = self.client.collaborate(QUESTION, documents=DOCUMENTS)
        second = self.client.collaborate("And by whom was the film directed?",
                                         documents=DOCUMENTS, session_id=first["session_id"])
        self.assertEqual(second["session_id"], first["session_id"])
        self.assertNotEqual(second["id"], first["id"])

    def test_refusals_have_kinds_and_name_the_field(self) -> None:
        with self.assertRaises(ValidationError) as caught:
            self.client.collaborate(QUESTION, documents=DOCUMENTS, num_agents=11)
        self.assertEqual(caught.exception.status, 400)
        self.assertEqual(caught.exception.errors[0]["field"], "num_agents")
        with self.assertRaises(ValidationError):
            list(self.client.stream(""))
        with self.assertRaises(NotFound):
            self.client.collaboration("no-such-id")
        for wrong in ("sync_wrong", ""):
            with Client(URL, wrong) as stranger, self.assertRaises(AuthenticationError):
                stranger.history()

    def test_records_of_another_key_are_not_seen(self) -> None:
        reply = self.client.collaborate(QUESTION, documents=DOCUMENTS)
        with Client(URL, OTHER_KEY) as other:
            with self.assertRaises(NotFound):
                other.collaboration(reply["id"])
            self.assertEqual(other.history()["total"], 0)

    def test_metrics_count_what_was_asked(self) -> None:
        before = self.client.metrics()["usage"]["total_collaborations"]
        self.client.collaborate(QUESTION, documents=DOCUMENTS)
        self.assertEqual(self.client.metrics()["usage"]["total_collaborations"], before + 1)


class Scripted(http.server.BaseHTTPRequestHandler):
    """Answers with the next step of `steps`: (status, headers, body)."""

    steps: list = []
    seen: list = []
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((time.monotonic(), self.path, body, self.headers.get("Authorization")))
        status, headers, text = self.steps.pop(0)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST

    def log_message(self, *unused: object) -> None:
        pass


class AgainstAScript(unittest.TestCase):
    def setUp(self) -> None:
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        Scripted.seen = []
        self.client = Client("http://127.0.0.1:%d" % self.server.server_port, "k", timeout=2)
        self.addCleanup(self.client.close)

    def script(self, *steps: tuple) -> None:
        Scripted.steps = list(steps)

    def test_what_was_put_off_is_asked_again_when_it_was_told(self) -> None:
        self.script((429, {"Retry-After": "0.2"}, b'{"error":"RateLimitExceeded","detail":"d"}'),
                    (503, {"Retry-After": "0.1"}, b"busy"), (200, {}, b'{"final_answer":"a"}'))
        self.assertEqual(self.client.collaborate("q")["final_answer"], "a")
        times = [seen[0] for seen in Scripted.seen]
        self.assertGreaterEqual(times[1] - times[0], 0.2)
        self.assertGreaterEqual(times[2] - times[1], 0.1)
        self.assertEqual(json.loads(Scripted.seen[2][2]), {"query": "q"})

    def test_it_is_not_asked_for_ever_nor_without_being_told_when(self) -> None:
        self.script(*[(429, {"Retry-After": "0"}, b'{"error":"RateLimitExceeded"}')] * 4)
        with self.assertRaises(RateLimitExceeded) as caught:
            self.client.history()
        self.assertEqual(caught.exception.retry_after_seconds, 0)
        self.assertEqual(len(Scripted.seen), 4)
        for status, headers in ((429, {"Retry-After": "3600"}), (503, {}), (502, {}), (500, {})):
            Scripted.seen.clear()
            self.script((status, headers, b"{}"))
            with self.assertRaises(SyncogError):
                self.client.history()
            self.assertEqual(len(Scripted.seen), 1)

    def test_half_an_answer_is_none(self) -> None:
        self.script((200, {"Content-Length": "100", "Connection": "close"}, b'{"total":'))
        with self.assertRaises(ConnectionFailed):
            self.client.history()
        self.script((200, {}, b"no json"))
        with self.assertRaises(ConnectionFailed):
            self.client.history()
        self.script((200, {}, b'{"type":"session"}\n{"type":"round"'))
        with self.assertRaises(ConnectionFailed):
            list(self.client.stream("q"))
        self.script((200, {}, b'{"type":"session"}\n'))
        with self.assertRaises(ConnectionFailed):
            list(self.client.stream("q"))

    def test_after_an_answer_that_stops_coming_the_client_is_good_again(self) -> None:
        url = "http://127.0.0.1:%d" % self.server.server_port
        self.script((200, {"Content-Length": "100"}, b'{"total":'), (200, {}, b'{"total":3}'))
        with Client(url, "k", timeout=0.3) as client:
            with self.assertRaises(ConnectionFailed):
                client.history()
            self.assertEqual(client.history()["total"], 3)

    def test_a_failure_within_a_stream_is_raised_and_one_of_an_agent_is_told(self) -> None:
        self.script((200, {}, b'{"type":"error","agent_id":2,"detail":"x"}\n'
                     b'{"type":"error","agent_id":null,"error":"UpstreamError","detail":"y"}\n'))
        told = []
        with self.assertRaises(Unavailable) as caught:
            for event in self.client.stream("q"):
                told.append(event)
        self.assertEqual(told[0]["agent_id"], 2)
        self.assertEqual((caught.exception.status, caught.exception.detail), (502, "y"))

    def test_a_redirect_is_an_error_and_the_key_goes_nowhere_else(self) -> None:
        self.script((307, {"Location": "http://127.0.0.1:9/"}, b""))
        with self.assertRaises(SyncogError):
            self.client.history()
        self.assertEqual(len(Scripted.seen), 1)

    def test_nobody_there_is_said_at_once(self) -> None:
        with self.assertRaises(ConnectionFailed):
            Client("http://127.0.0.1:9", "k").history()
        for url in ("127.0.0.1", "ftp://x", "http://"):
            with self.assertRaises(ValueError):
                Client(url)


if __name__ == "__main__":
    unittest.main()
