"""The JSON of vLLM's answers, key for key as recorded."""

import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fake_vllm import scores
from tests.fake_vllm.engine import Step
from tests.fake_vllm.faults import Fault
from tests.fake_vllm.parameters import Wanted
from tests.fake_vllm.sampling import Choice
from tests.fake_vllm.settings import VERSION, Settings

FINGERPRINT = f"vllm-{VERSION}-b18e60a0"
NOTHING_MORE = {"kv_transfer_params": None, "ec_transfer_params": None, "metrics": None}
WHOLE_PROMPT = {"prompt_logprobs": None, "prompt_token_ids": None}


def new_id(prefix: str) -> str:
    """Return an identifier as vLLM writes them."""
    return f"{prefix}-{uuid.uuid4().hex[:16]}"


@dataclass(frozen=True)
class Form:
    """What the answers of one endpoint look like."""

    kind: Literal["chat", "text"]
    settings: Settings
    wanted: Wanted
    id: str
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def is_chat(self) -> bool:
        """Whether the answers are chat messages."""
        return self.kind == "chat"

    def whole(self, choices: list[Choice]) -> dict[str, Any]:
        """Return the plain answer."""
        prompt = WHOLE_PROMPT | {"prompt_text": None} if self.is_chat else {}
        return {
            **self._head("chat.completion" if self.is_chat else "text_completion"),
            "choices": [self._choice(choice) for choice in choices],
            "service_tier": None,
            "system_fingerprint": FINGERPRINT,
            "usage": self._usage(choices, whole=True),
            **prompt,
            **NOTHING_MORE,
        }

    def opening(self, choice: Choice) -> dict[str, Any]:
        """Return the first chunk of a chat stream: the role and no text."""
        delta = {"role": "assistant", "content": ""}
        entry = {
            "index": choice.index,
            "delta": delta,
            "logprobs": None,
            "finish_reason": None,
        }
        return {**self._chunk([entry]), "prompt_token_ids": None, "prompt_text": None}

    def chunk(self, step: Step) -> dict[str, Any]:
        """Return what one token adds to a stream."""
        finish = step.choice.finish_reason if step.last else None
        entry: dict[str, Any] = {"index": step.choice.index}
        entry |= {"delta": {"content": step.text}} if self.is_chat else {"text": step.text}
        entry |= {"logprobs": None, "finish_reason": finish}
        if step.last or not self.is_chat:
            entry["stop_reason"] = step.choice.stop_reason if step.last else None
        if not self.is_chat:
            entry["prompt_token_ids"] = None
        entry["token_ids"] = None
        mark = {"system_fingerprint": FINGERPRINT} if self._closes(step) else {}
        return {**self._chunk([entry]), **mark}

    def usage_chunk(self, choices: list[Choice]) -> dict[str, Any]:
        """Return the last chunk of a stream that was asked for its usage."""
        usage = self._usage(choices, whole=False)
        return {**self._chunk([]), "usage": usage, "system_fingerprint": FINGERPRINT}

    def _closes(self, step: Step) -> bool:
        return step.last and not self.wanted.include_usage

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self.is_chat else "text_completion"
        return {**self._head(kind), "choices": choices}

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.settings.model,
        }

    def _choice(self, choice: Choice) -> dict[str, Any]:
        said = {"message": _message(choice.text)} if self.is_chat else {"text": choice.text}
        return {
            "index": choice.index,
            **said,
            "logprobs": None,
            "finish_reason": choice.finish_reason,
            "stop_reason": choice.stop_reason,
            "token_ids": None,
            **({} if self.is_chat else WHOLE_PROMPT | self._scores()),
            "routed_experts": None,
        }

    def _scores(self) -> dict[str, Any]:
        if self.wanted.prompt_logprobs is None:
            return {}
        noise = self.settings.has(Fault.GARBAGE)
        return {"prompt_logprobs": scores.of(self.wanted.prompt, noise=noise)}

    def _usage(self, choices: list[Choice], *, whole: bool) -> dict[str, Any] | None:
        if self.settings.has(Fault.NO_USAGE):
            return None
        prompt = self.wanted.prompt_tokens
        written = sum(choice.tokens for choice in choices)
        total = prompt + written + (7 if self.settings.has(Fault.WRONG_USAGE) else 0)
        usage = {"prompt_tokens": prompt, "total_tokens": total, "completion_tokens": written}
        details = {"prompt_tokens_details": None, "completion_tokens_details": None}
        return usage | details if whole else usage


def _message(text: str) -> dict[str, Any]:
    unused = ("refusal", "annotations", "audio", "function_call", "reasoning")
    return {"role": "assistant", "content": text, **dict.fromkeys(unused)}


def models(settings: Settings) -> dict[str, Any]:
    """Return the list of the one served model."""
    name = "another-model" if settings.has(Fault.OTHER_NAME) else settings.model
    now = int(time.time())
    permission = {
        "id": new_id("modelperm"),
        "object": "model_permission",
        "created": now,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
    card = {
        "id": name,
        "object": "model",
        "created": now,
        "owned_by": "vllm",
        "root": name,
        "parent": None,
        "max_model_len": settings.max_model_len,
        "permission": [permission],
    }
    return {"object": "list", "data": [card]}
