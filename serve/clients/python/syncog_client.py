"""Client of SYNC's own API in one file: Python 3.8 or later, standard library only.

    from syncog_client import Client

    with Client("http://127.0.0.1:8000", api_key="sync_...") as client:
        client.authenticate()                       # optional: a token instead of the key
        reply = client.collaborate("In which town was the director of Amber Tide born?",
                                   documents=[{"title": "Amber Tide", "text": "..."}])
        print(reply["final_answer"], reply["confidence"])
        for event in client.stream("And in which country is that?", session_id=reply["session_id"]):
            print(event["type"])
        print(client.history(limit=5)["total"])

Refusals are raised as SyncogError, or one of its kinds. Requests that the service had no room for
(429, and 503 with Retry-After) are sent again after the time that it names. A client is used by one
thread at a time.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import select
import time
from types import TracebackType
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Type, TypedDict
from urllib.parse import quote, urlencode, urlsplit

__all__ = [
    "Client", "SyncogError", "ValidationError", "AuthenticationError", "NotFound",
    "RateLimitExceeded", "Unavailable", "ConnectionFailed",
    "Agent", "Author", "Document", "Config", "Caps", "Reply", "Event", "HistoryPage", "HistoryItem", "Token",
]

BODY_BYTES_MAX = 64 << 20
LINE_BYTES_MAX = 64 << 20


# ---- what is sent and what comes back ----

class Agent(TypedDict, total=False):
    name: str
    provider: str
    model: str
    role: str
    context: str


class Document(TypedDict, total=False):
    id: str
    title: str
    text: str           # required
    agents: List[int]   # who holds it, from 1; dealt round-robin where it is absent


class Config(TypedDict, total=False):
    temperature: float
    enable_cognitive_gaps: bool
    convergence_threshold: float
    min_rounds: int
    max_context_length: int
    ask: str            # all or asker


class Caps(TypedDict, total=False):
    messages: int
    tokens: int
    cost_usd: float


class Token(TypedDict):
    access_token: str
    token_type: str
    expires_in: int
    created_at: str


class Metrics(TypedDict):
    total_messages: int
    broadcast_messages: int
    targeted_messages: int
    consensus_score: float
    cognitive_gaps_detected: int
    information_gain: float
    convergence_achieved: bool
    final_entropy: float


class AgentResponse(TypedDict):
    agent_id: int
    name: str
    provider: Optional[str]
    model: Optional[str]
    response: str
    short_answer: str
    confidence: float
    contribution_score: float


class DialogueEntry(TypedDict):
    round: int
    agent_id: int
    to: Optional[int]
    message_type: str
    message: str
    timestamp: str


class Usage(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    calls: int
    cost_usd: Optional[float]


class Author(TypedDict):
    provider: str
    model: Optional[str]


class Reply(TypedDict):
    id: str
    session_id: str
    final_answer: str
    short_answer: str
    confidence: float
    num_rounds: int
    agents_used: int
    collaboration_metrics: Metrics
    agent_responses: List[AgentResponse]
    dialogue_history: List[DialogueEntry]
    usage: Usage
    answered_by: Optional[Author]
    policy: str
    mode: str
    abstained: bool
    missing: Optional[str]
    stopped_by: str   # converged, answered, abstained, max_rounds, deadlock, cap or deadline
    agents_failed: List[int]
    skipped_pieces: List[Dict[str, Any]]
    sufficiency: Optional[float]
    injection: Optional[Dict[str, Any]]
    execution_time_seconds: float
    timestamp: str
    query: str
    task_type: str


# By `type`: session, round, agent_response, gaps, message, convergence, final_answer, error.
Event = Dict[str, Any]


class HistoryItem(TypedDict):
    id: str
    query: str
    final_answer: str
    task_type: str
    confidence: float
    num_agents: int
    num_rounds: int
    execution_time_seconds: float
    timestamp: str


class HistoryPage(TypedDict):
    total: int
    limit: int
    offset: int
    collaborations: List[HistoryItem]


# ---- errors ----

class SyncogError(Exception):
    """The service has refused, or failed."""

    def __init__(self, status: int, name: str, detail: str, body: Mapping[str, Any]) -> None:
        super().__init__("%s (%d): %s" % (name, status, detail))
        self.status = status  # of HTTP; that of a failure within a stream likewise
        self.name = name      # "ValidationError"
        self.detail = detail
        errors = body.get("errors")
        self.errors: List[Dict[str, str]] = errors if isinstance(errors, list) else []
        self.retry_after_seconds: Optional[float] = None
        error_id = body.get("error_id")
        self.error_id: Optional[str] = error_id if isinstance(error_id, str) else None


class ValidationError(SyncogError):
    """400: `errors` names the fields."""


class AuthenticationError(SyncogError):
    """401 and 403."""


class NotFound(SyncogError):
    """404."""


class RateLimitExceeded(SyncogError):
    """429: `retry_after_seconds`."""


class Unavailable(SyncogError):
    """502, 503 and 504."""


class ConnectionFailed(Exception):
    """No answer, or half of one."""


_KINDS: Dict[int, Type[SyncogError]] = {
    400: ValidationError, 401: AuthenticationError, 403: AuthenticationError, 404: NotFound,
    429: RateLimitExceeded, 502: Unavailable, 503: Unavailable, 504: Unavailable,
}
_STATUS_OF_NAME = {
    "ValidationError": 400, "UpstreamError": 502, "Unavailable": 503, "DeadlineExceeded": 504,
}


def _seconds(text: Optional[str]) -> Optional[float]:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None


def _error(status: int, body: Any, retry_after: Optional[str]) -> SyncogError:
    body = body if isinstance(body, dict) else {}
    name, detail = body.get("error"), body.get("detail")
    error = _KINDS.get(status, SyncogError)(
        status, name if isinstance(name, str) else "HTTP %d" % status,
        detail if isinstance(detail, str) else http.client.responses.get(status, ""), body)
    error.retry_after_seconds = _seconds(retry_after)
    return error


# ---- the client ----

class Client:
    """base_url: of the service. api_key: None takes SYNCOG_API_KEY, which may be missing where the
    service runs in development on this machine. timeout: seconds without a byte; collaborations
    take up to the service's own limit. retries: of requests that there was no room for, each after
    at most `retry_wait_max` seconds (longer ones are not waited for)."""

    def __init__(self, base_url: str = "http://127.0.0.1:8000", api_key: Optional[str] = None, *,
                 timeout: float = 330.0, retries: int = 3, retry_wait_max: float = 60.0) -> None:
        url = urlsplit(base_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("base_url must be http://HOST[:PORT] or https://HOST[:PORT]")
        self._secure = url.scheme == "https"
        self._host, self._port, self._path = url.hostname, url.port, url.path.rstrip("/")
        self._credentials = api_key if api_key is not None else os.environ.get("SYNCOG_API_KEY")
        self._api_key = self._credentials
        self._timeout, self._retries, self._wait_max = timeout, retries, retry_wait_max
        self._connection: Optional[http.client.HTTPConnection] = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    # -- calls --

    def authenticate(self) -> Token:
        """Exchanges the API key for a token, with which the later calls are made."""
        self._credentials = self._api_key
        token: Token = self._json("POST", "/api/v1/auth/token")
        self._credentials = token["access_token"]
        return token

    def collaborate(self, query: str, *, num_agents: Optional[int] = None,
                    max_rounds: Optional[int] = None, task_type: Optional[str] = None,
                    context: Optional[str] = None, config: Optional[Config] = None,
                    agents: Optional[Sequence[Agent]] = None,
                    documents: Optional[Sequence[Document]] = None,
                    caps: Optional[Caps] = None, session_id: Optional[str] = None) -> Reply:
        """Lets a team answer, and returns the whole reply. What is None has the service's
        default."""
        reply: Reply = self._json("POST", "/api/v1/collaborate", _body(
            query=query, num_agents=num_agents, max_rounds=max_rounds, task_type=task_type,
            context=context, config=config, agents=agents, documents=documents, caps=caps,
            session_id=session_id))
        return reply

    def stream(self, query: str, *, num_agents: Optional[int] = None,
               max_rounds: Optional[int] = None, task_type: Optional[str] = None,
               context: Optional[str] = None, config: Optional[Config] = None,
               agents: Optional[Sequence[Agent]] = None,
               documents: Optional[Sequence[Document]] = None,
               caps: Optional[Caps] = None, session_id: Optional[str] = None) -> Iterator[Event]:
        """The same as it happens; the last event is final_answer, whose `reply` is the whole one.
        A failure of the collaboration is raised. Leaving the loop early cancels it."""
        body = _body(query=query, num_agents=num_agents, max_rounds=max_rounds,
                     task_type=task_type, context=context, config=config, agents=agents,
                     documents=documents, caps=caps, session_id=session_id)
        response = self._send("POST", "/api/v1/collaborate/stream", body)
        try:
            yield from _events(response)
        finally:
            self.close()  # what is left of the answer is not waited for

    def history(self, *, limit: int = 10, offset: int = 0, task_type: Optional[str] = None,
                min_confidence: Optional[float] = None) -> HistoryPage:
        """Earlier collaborations, newest first. A `total` of 10000 means that many or more."""
        given = _body(limit=limit, offset=offset, task_type=task_type,
                      min_confidence=min_confidence)
        page: HistoryPage = self._json("GET", "/api/v1/history?" + urlencode(given))
        return page

    def collaboration(self, id: str) -> Reply:
        """The whole reply of an earlier collaboration."""
        reply: Reply = self._json("GET", "/api/v1/history/" + quote(id, safe=""))
        return reply

    def metrics(self) -> Dict[str, Any]:
        """Totals and means of this organisation's collaborations."""
        found: Dict[str, Any] = self._json("GET", "/api/v1/metrics")
        return found

    def health(self) -> Dict[str, Any]:
        found: Dict[str, Any] = self._json("GET", "/health")
        return found

    # -- the wire --

    def _json(self, method: str, path: str, body: Optional[Dict[str, Any]] = None) -> Any:
        response = self._send(method, path, body)
        try:
            return json.loads(self._read(response))
        except ValueError as error:
            self.close()
            raise ConnectionFailed("the answer is not JSON") from error

    def _send(self, method: str, path: str,
              body: Optional[Dict[str, Any]] = None) -> http.client.HTTPResponse:
        """An answer of status 200; all others are raised, or waited for."""
        data = json.dumps(body, ensure_ascii=False).encode() if body is not None else None
        for attempt in range(self._retries + 1):
            response = self._once(method, path, data)
            if response.status == 200:
                return response
            text = self._read(response)
            try:
                told = json.loads(text)
            except ValueError:
                told = None
            error = _error(response.status, told, response.getheader("Retry-After"))
            wait = error.retry_after_seconds
            if (response.status not in (429, 503) or wait is None or wait > self._wait_max
                    or attempt == self._retries):
                raise error
            time.sleep(wait + random.uniform(0, 0.25))  # so that not all come back at once
        raise AssertionError

    def _once(self, method: str, path: str,
              data: Optional[bytes]) -> http.client.HTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": "syncog-client"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        if self._credentials:
            headers["Authorization"] = "Bearer " + self._credentials
        try:
            connection = self._connect()
            connection.request(method, self._path + path, data, headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ConnectionFailed(str(error) or type(error).__name__) from error

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        try:
            data = response.read(BODY_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            self.close()  # what is left of the answer would be taken for the next one
            raise ConnectionFailed("the answer was cut: %s" % error) from error
        if len(data) > BODY_BYTES_MAX:
            self.close()
            raise ConnectionFailed("the answer is larger than %d bytes" % BODY_BYTES_MAX)
        return data

    def _connect(self) -> http.client.HTTPConnection:
        sock = self._connection.sock if self._connection else None
        if sock is not None and select.select([sock], [], [], 0)[0]:
            self.close()  # the service has closed it meanwhile
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            self._connection = kind(self._host, self._port, timeout=self._timeout)
        return self._connection


def _body(**members: Any) -> Dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _events(response: http.client.HTTPResponse) -> Iterator[Event]:
    while True:
        try:
            line = response.readline(LINE_BYTES_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionFailed("the stream was cut: %s" % error) from error
        if not line.endswith(b"\n"):
            raise ConnectionFailed("the stream was cut before its end")
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError as error:
            raise ConnectionFailed("a line of the stream is not JSON") from error
        if event.get("type") == "error" and event.get("agent_id") is None:
            raise _error(_STATUS_OF_NAME.get(event.get("error"), 500), event, None)
        yield event
        if event.get("type") == "final_answer":
            return
