"""The door: it is open, says what is served, and refuses what it must."""

import openai
import pytest

from smoke.server import Server
from smoke.test_chat import FRANCE

pytestmark = pytest.mark.smoke

WRONG_KEY = "not-the-key"


def test_health_is_good(server: Server) -> None:
    status = server.get("/health").status_code
    assert status == 200, f"/health says {status}: the engine is dead, look at: inv logs"


def test_model_list_shows_the_served_name(server: Server) -> None:
    answer = server.get("/v1/models", server.target.api_key)
    assert answer.status_code == 200, f"/v1/models says {answer.status_code}: {answer.text}"
    listed = {model["id"]: model["max_model_len"] for model in answer.json()["data"]}
    assert server.target.model in listed, (
        f"the server lists {sorted(listed)}, not {server.target.model!r}: is it another backend's?"
    )
    wanted = server.target.max_model_len
    if wanted.isdigit():
        length = listed[server.target.model]
        assert length == int(wanted), f"MAX_MODEL_LEN={wanted}, but the server says {length}"


def test_unknown_model_is_404(server: Server) -> None:
    with pytest.raises(openai.NotFoundError) as refusal:
        server.ask(FRANCE, model="no-such-model")
    # vLLM's own name for it, and OpenAI's, which a gateway gives.
    kinds = (refusal.value.type, refusal.value.code)
    assert kinds[0] == "NotFoundError" or kinds[1] == "model_not_found", (
        f"a 404 of a different kind: {refusal.value}"
    )


def test_no_key_is_401(server: Server) -> None:
    answer = server.get("/v1/models")
    assert answer.status_code == 401, (
        f"/v1/models without a key says {answer.status_code}, not 401: anybody may use this server"
    )


def test_wrong_key_is_401(server: Server) -> None:
    with pytest.raises(openai.AuthenticationError):
        server.with_key(WRONG_KEY).models.list()


def test_too_long_a_prompt_is_400(server: Server) -> None:
    # A word is at least one token, so this is too long for every tokenizer.
    prompt = "word " * (server.max_model_len() + 1)
    with pytest.raises(openai.BadRequestError):
        server.ask(prompt, max_tokens=1)
    assert server.text(FRANCE), "after refusing a long prompt the server answers no more"
