# ruff: noqa: INP001 - one module, mounted alone
"""Answers for `amdsmi` where there is no /dev/kfd to ask: one card, as vLLM 0.9.2 wants to hear.

Mounted by amd-wsl-legacy.yml. The names are those that vllm/platforms imports, with the meaning of
https://rocm.docs.amd.com/projects/amdsmi/en/latest/reference/amdsmi-py-api.html
"""


class AmdSmiException(Exception):
    """Never raised here."""


def amdsmi_init() -> None:
    """Nothing to begin."""


def amdsmi_shut_down() -> None:
    """Nothing to end."""


def amdsmi_get_processor_handles() -> list[int]:
    """The card; which one it really is, torch knows."""
    return [0]


def amdsmi_get_gpu_asic_info(handle: int) -> dict[str, str]:
    """Names for the log and for files of tuned settings, of which Radeon cards have none."""
    del handle
    return {"device_id": "", "market_name": "AMD Radeon Graphics"}


def amdsmi_topo_get_link_type(one: int, other: int) -> dict[str, int]:
    """There is no second card to be linked with."""
    raise AmdSmiException(one, other)
