"""``python -m tests.fake_vllm``: the double as a server of its own."""

import argparse
import asyncio
import os
import signal
import sys

from tests.fake_vllm.faults import FAULTS, parse_faults
from tests.fake_vllm.server import CrashedAtBootError, Server
from tests.fake_vllm.settings import Settings


def read_options(argv: list[str]) -> argparse.Namespace:
    """Return the options; those of a real vLLM that mean nothing here are passed over."""
    faults = "\n".join(f"  {name:20} {meaning}" for name, meaning in FAULTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.fake_vllm",
        description="A stand-in for a vLLM server. The key comes from VLLM_API_KEY.",
        epilog=f"faults:\n{faults}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    defaults = Settings()
    parser.add_argument("--host", default=defaults.host)
    parser.add_argument("--port", type=int, default=8000, help="0 chooses a free one")
    parser.add_argument("--model", default=defaults.model)
    parser.add_argument("--served-model-name", help="wins over --model, as in vLLM")
    parser.add_argument("--max-model-len", type=int, default=defaults.max_model_len)
    parser.add_argument("--max-num-seqs", type=int, default=defaults.max_num_seqs)
    parser.add_argument("--boot-seconds", type=float, default=defaults.boot_seconds)
    parser.add_argument("--token-seconds", type=float, default=defaults.token_seconds)
    parser.add_argument("--prefill-seconds", type=float, default=defaults.prefill_seconds)
    parser.add_argument("--fault", action="append", default=[], metavar="NAME")
    parser.add_argument("--fault-seconds", type=float, default=defaults.fault_seconds)
    parser.add_argument("--shutdown-timeout", type=float, default=defaults.shutdown_timeout)
    options, ignored = parser.parse_known_args(argv)
    if ignored:
        print(f"fake vLLM: ignored {' '.join(ignored)}", flush=True)
    return options


def to_settings(options: argparse.Namespace) -> Settings:
    """Return what the options and the environment ask for."""
    return Settings(
        model=options.served_model_name or options.model,
        api_key=os.environ.get("VLLM_API_KEY", ""),
        max_model_len=options.max_model_len,
        host=options.host,
        port=options.port,
        faults=parse_faults(options.fault),
        token_seconds=options.token_seconds,
        prefill_seconds=options.prefill_seconds,
        boot_seconds=options.boot_seconds,
        fault_seconds=options.fault_seconds,
        shutdown_timeout=options.shutdown_timeout,
        max_num_seqs=options.max_num_seqs,
        log=True,
    )


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    server = Server(settings, crash=lambda: os._exit(1))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    print(f"fake vLLM: {server.url}", flush=True)
    await server.run()


def main() -> int:
    """Run the double and return its exit code."""
    try:
        settings = to_settings(read_options(sys.argv[1:]))
        asyncio.run(serve(settings))
    except CrashedAtBootError:
        return 1
    except (ValueError, OSError) as error:
        print(f"fake vLLM: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
