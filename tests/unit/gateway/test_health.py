from lifecycle.gateway import health

TRAEFIK = """\
# TYPE traefik_service_server_up gauge
traefik_service_server_up{service="backend-4090@file",url="http://127.0.0.1:8001"} 1
traefik_service_server_up{service="backend-my.cpu-2@file",url="http://127.0.0.1:8000"} 0
traefik_service_requests_total{code="200",method="POST",service="backend-x@file"} 3
"""
VLLM = """\
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} 2.0
process_start_time_seconds 1.79e+09
"""


def test_up_is_by_backend() -> None:
    assert health.up(TRAEFIK) == {"4090": True, "my.cpu-2": False}
    assert health.up("") == {}


def test_a_vllm_tells_its_load_and_age() -> None:
    assert (health.load(VLLM), health.started(VLLM)) == (5, 1.79e9)
    assert (health.load(""), health.started("")) == (None, 0.0)
