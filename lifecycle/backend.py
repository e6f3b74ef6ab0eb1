"""A backend: one `env/<name>.env`, parsed and checked, and where each value came from."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lifecycle import env_file
from lifecycle.arguments import Refused
from lifecycle.arguments.setting import checked
from lifecycle.env_file import PROCESS, Setting, Settings, nearest
from lifecycle.errors import ConfigError
from lifecycle.host import GIB
from lifecycle.keys import GPUS, KEYS, Key, owned

REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")
"""`organisation/name` on the Hugging Face hub."""
LOCAL = "env/local"
"""Where `inv switch` keeps what it chose; git ignores it, and no file in it is a backend."""
TEMPLATES = "/templates"
"""Where a container finds the file of `CHAT_TEMPLATE`."""
DEFAULT = "default"


@dataclass(frozen=True)
class Backend:
    """What one server should be. Its name is its env file's stem, and so its state folder,
    its nox session and its metrics label.
    """

    name: str
    settings: Mapping[str, Setting] = field(repr=False)

    def get(self, key: str) -> str:
        """The text of a key; "" when unset."""
        setting = self.settings.get(key)
        return setting.text if setting else ""

    @property
    def gpu(self) -> str:
        """`cpu`, `cuda` or `rocm`."""
        return self.get("GPU")

    @property
    def runtime(self) -> str:
        """`venv` or `docker`."""
        return self.get("RUNTIME") or ("venv" if self.gpu == "cpu" else "docker")

    @property
    def port(self) -> int:
        """The port on 127.0.0.1; 0 of a backend on another machine."""
        return int(self.get("PORT") or 0)

    @property
    def url(self) -> str:
        """The server's root, without `/v1`."""
        return self.get("ENDPOINT") or f"http://127.0.0.1:{self.port}"

    @property
    def elsewhere(self) -> bool:
        """It is on another machine: the gateway may use it, nothing here starts it."""
        return bool(self.get("ENDPOINT"))

    @property
    def model(self) -> str:
        """A catalogue name, a folder, or a repo id."""
        return self.get("MODEL")

    @property
    def model_file(self) -> str:
        """Where to set keys that go with the model: `inv switch` keeps those of its own."""
        local = f"{LOCAL}/{self.name}.env"
        return local if self.settings["MODEL"].source.startswith(local) else f"env/{self.name}.env"

    @property
    def served_name(self) -> str:
        """The model name clients use."""
        last = self.model.rstrip("/").rsplit("/", 1)[-1]
        return self.get("SERVED_NAME") or (self.model if REPO_ID.fullmatch(self.model) else last)

    @property
    def chat_template(self) -> str:
        """Where the server finds the file of `CHAT_TEMPLATE`; "" when there is none."""
        file = self.get("CHAT_TEMPLATE")
        return f"{TEMPLATES}/{Path(file).name}" if file and self.runtime == "docker" else file

    @property
    def devices(self) -> tuple[int, ...]:
        """Numbers of the cards it may use; none means all."""
        return tuple(int(one) for one in self.get("DEVICES").split(",") if one)

    @property
    def kv_cache_bytes(self) -> int:
        """RAM for the KV cache of a CPU server."""
        return int(float(self.get("KV_CACHE_GIB")) * GIB)

    @property
    def api_key(self) -> str:
        """The key clients send; "" before the first `up`."""
        return self.get("VLLM_API_KEY")

    def with_setting(self, key: str, text: str, source: str) -> "Backend":
        """The same backend with one value replaced (a command-line option, a fresh key).

        Raises:
            ConfigError: it cannot be used.
        """
        setting = env_file.checked(KEYS[key], text, source)
        return Backend(self.name, {**self.settings, key: setting})

    def vllm_flags(self) -> tuple[str, ...]:
        """The flags that the keys of this backend become, in the table's order; `EXTRA_ARGS` is
        `steps/extra_arguments.py`'s.
        """
        flags: list[str] = []
        for key in KEYS.values():
            if key.flag and self.get(key.name):
                flags += [*key.before, key.flag, self._told(key)]
        return tuple(flags)

    def chosen(self, key: str) -> bool:
        """Whether somebody set this key, be it to its default."""
        return key in self.settings and self.settings[key].source != DEFAULT

    def _told(self, key: Key) -> str:
        """A value as vLLM must read it: in a container our files have other places."""
        return self.chat_template if key.name == "CHAT_TEMPLATE" else self.get(key.name)


def names(root: Path) -> list[str]:
    """Every backend of a checkout, by file name."""
    return sorted(file.stem for file in (root / "env").glob("[a-z0-9]*.env"))


def override(name: str, root: Path) -> Path:
    """The file with the model that `inv switch` chose for a backend, there or not."""
    return root / LOCAL / f"{name}.env"


def load(name: str, root: Path, environ: Mapping[str, str], chosen: str | None = None) -> Backend:
    """Read one backend. Process environment beats root `.env` beats `env/local/<name>.env` beats
    `env/<name>.env`.

    Args:
        chosen: taken for the text of `env/local/<name>.env`; unset: what the file says.

    Raises:
        ConfigError: unknown name or key, bad value, `$`, values that do not fit each other or the
            hardware, or a port two backends share.
    """
    known = names(root)
    if name not in known:
        raise ConfigError(
            f"there is no backend {name!r}",
            why=f"backends are the files in env/: {', '.join(known) or 'none'}",
            fix=nearest(name, [*known, *GPUS], "Did you mean --gpu {}?"),
        )
    tracked = env_file.read(root / "env" / f"{name}.env", root, secrets_allowed=False)
    # An empty value of the override takes that of the tracked file away.
    files = env_file.given({**tracked, **_overridden(name, root, chosen)})
    settings = {**_defaults(), **files, **load_shared(root, environ)}
    _require(settings, name)
    _refuse_shared_port(name, known, root)
    settings = _applicable(settings, name)
    _refuse_owned_flags(settings)
    _refuse_more_cards_than_named(settings)
    return Backend(name, _with_extra_arguments(_with_template(settings, root), root))


def load_shared(root: Path, environ: Mapping[str, str], only: Iterable[str] = KEYS) -> Settings:
    """What applies to every backend: the root `.env` under the process environment.

    Args:
        only: the keys to read from the process environment.

    Raises:
        ConfigError: `.env` has a slip, or one of these keys a value that cannot be used.
    """
    settings = env_file.read(root / ".env", root, secrets_allowed=True)
    return settings | _of_process(environ, only)


def load_only(names: Iterable[str], root: Path, environ: Mapping[str, str]) -> Settings:
    """Some of the shared values, whatever else is wrong in `.env`: a slip must not keep a server
    alive.

    Raises:
        ConfigError: the value of one of these keys cannot be used.
    """
    file, names = root / ".env", tuple(names)
    # Bytes that are no text do not matter here, as long as they are in other lines.
    text = file.read_bytes().decode("utf-8-sig", "replace") if file.is_file() else ""
    settings = env_file.given(env_file.parse_only(text, ".env", names))
    return settings | _of_process(environ, names)


def gpu_of(name: str, root: Path) -> str:
    """What a backend computes on by its own file alone; "" when that does not tell."""
    try:
        text = (root / "env" / f"{name}.env").read_bytes().decode("utf-8-sig", "replace")
        return env_file.parse_only(text, f"env/{name}.env", ("GPU",))["GPU"].text
    except (OSError, ConfigError, KeyError):
        return ""


def _of_process(environ: Mapping[str, str], names: Iterable[str]) -> Settings:
    found = {
        name: env_file.checked(KEYS[name], environ[name], PROCESS)
        for name in names
        if environ.get(name)
    }
    return env_file.given(found)


def _defaults() -> Settings:
    return {key.name: Setting(key.default, DEFAULT) for key in KEYS.values() if key.default}


def _overridden(name: str, root: Path, text: str | None) -> Settings:
    """What the override says; a value without text is one to take away."""
    file = override(name, root)
    shown = file.relative_to(root).as_posix()
    text = env_file.text_of(file, shown) if text is None else text
    settings = env_file.parse(text, shown, secrets_allowed=False)
    for key, setting in settings.items():
        if not KEYS[key].with_model:
            raise ConfigError(
                f"{setting.source}: {key} does not belong in this file",
                why="it is for the model that inv switch chose, and what goes with a model",
                fix=f"Move the line {key}=… to env/{name}.env.",
            )
        if KEYS[key].required and not setting.text:
            raise ConfigError(
                f"{setting.source}: {key} has no value",
                fix=f"Give it one; or delete {shown}, and env/{name}.env alone counts.",
            )
    return settings


def _require(settings: Settings, name: str) -> None:
    for key in KEYS.values():
        # On which port another machine serves is said in ENDPOINT.
        needless = key.name == "PORT" and "ENDPOINT" in settings
        if key.required and key.name not in settings and not needless:
            raise ConfigError(
                f"env/{name}.env: {key.name} is missing",
                why=key.doc.replace("`", ""),
                fix=f"Add a line {key.name}=… to env/{name}.env.",
            )


def _applicable(settings: Settings, name: str) -> Settings:
    """Without the keys of other hardware: those are for other backends, or a mistake."""
    gpu = settings["GPU"].text
    others = [key for key in settings if gpu not in KEYS[key].gpus]
    for key in others:
        # The root .env and the process environment are for every backend of this machine.
        if settings[key].source.startswith((f"env/{name}.env:", f"{LOCAL}/{name}.env:")):
            raise ConfigError(
                f"{settings[key].source}: {key} does not apply to GPU={gpu}",
                why=f"it is for GPU={' and '.join(KEYS[key].gpus)}",
                fix="Take the line out.",
            )
    return {key: setting for key, setting in settings.items() if key not in others}


def _refuse_owned_flags(settings: Settings) -> None:
    extra = settings.get("EXTRA_ARGS")
    problem = owned(extra.text, settings["GPU"].text) if extra else ""
    if extra and problem:
        problem += (
            "\na value has one place, so that it can be checked and shown"
            "\nTake the flag out of EXTRA_ARGS and set the key."
        )
        raise env_file.refused(KEYS["EXTRA_ARGS"], extra.text, extra.source, problem)


def _refuse_more_cards_than_named(settings: Settings) -> None:
    shared, devices = settings.get("TENSOR_PARALLEL"), settings.get("DEVICES")
    if shared and devices and int(shared.text) > len(set(devices.text.split(","))):
        raise ConfigError(
            f"{shared.source}: TENSOR_PARALLEL={shared.text} needs as many cards as it says",
            why=f"{devices.source} names {devices.text}",
            fix="Name more cards in DEVICES, or lower TENSOR_PARALLEL.",
        )


def _with_template(settings: Settings, root: Path) -> Settings:
    """The template's path in full: the server's own folder is another one."""
    setting = settings.get("CHAT_TEMPLATE")
    if setting is None:
        return settings
    file = root / Path(setting.text).expanduser()
    if not file.is_file():
        raise env_file.refused(
            KEYS["CHAT_TEMPLATE"],
            setting.text,
            setting.source,
            f"there is no file {file}\n\nGive the path in full, or from the checkout's root.",
        )
    return {**settings, "CHAT_TEMPLATE": Setting(str(file), setting.source)}


def _with_extra_arguments(settings: Settings, root: Path) -> Settings:
    """Extra arguments that some version of vLLM takes, their paths in full.

    Which one runs is known only with the machine: `steps/extra_arguments.py` asks again.
    """
    setting = settings.get("EXTRA_ARGS")
    if setting is None:
        return settings
    # AMD's older cards get an image of a version that was not recorded, and IMAGE= may be any.
    certain = "IMAGE" not in settings and settings["GPU"].text != "rocm"
    try:
        text = checked(setting.text, root, certain=certain)
    except Refused as refused:
        problem = f"{refused.what}\n\n{refused.fix}"
        raise env_file.refused(KEYS["EXTRA_ARGS"], setting.text, setting.source, problem) from None
    return {**settings, "EXTRA_ARGS": Setting(text, setting.source)}


def _refuse_shared_port(name: str, known: Iterable[str], root: Path) -> None:
    ports: dict[int, str] = {}
    for other in known:
        # Only this backend's own file must be right: a slip in another one is reported there.
        file = root / "env" / f"{other}.env"
        try:
            found = env_file.read(file, root, secrets_allowed=False).get("PORT")
        except ConfigError:
            if other == name:
                raise
            continue
        if found is None:
            continue
        port = int(found.text)
        if port in ports:
            raise ConfigError(
                f"{found.source}: PORT={found.text} is also in {ports[port]}",
                fix="Give each backend a port of its own.",
            )
        ports[port] = found.source
