"""A backend: one `env/<name>.env`, parsed and checked, and where each value came from."""

import difflib
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv.parser import parse_stream

from lifecycle.arguments import Refused
from lifecycle.arguments.setting import checked
from lifecycle.errors import ConfigError
from lifecycle.host import GIB
from lifecycle.keys import GPUS, KEYS, Key, owned

REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")
"""`organisation/name` on the Hugging Face hub."""
LOCAL = "env/local"
"""Where `inv switch` keeps what it chose; git ignores it, and no file in it is a backend."""
TEMPLATES = "/templates"
"""Where a container finds the file of `CHAT_TEMPLATE`."""
PROCESS = "process environment"
DEFAULT = "default"


@dataclass(frozen=True)
class Setting:
    """One value and where it came from, e.g. `env/cpu.env:3`."""

    text: str
    source: str


Settings = dict[str, Setting]


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
        """The same backend with one value replaced (a command-line option, a fresh key)."""
        problem = KEYS[key].check(text)
        if problem:
            raise ConfigError(f"{key}={text} from {source}: {problem}")
        return Backend(self.name, {**self.settings, key: Setting(text, source)})

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
    tracked = _read(root / "env" / f"{name}.env", root, secrets_allowed=False)
    # An empty value of the override takes that of the tracked file away.
    files = _given({**tracked, **_overridden(name, root, chosen)})
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
    """
    settings = _read(root / ".env", root, secrets_allowed=True)
    for key in (KEYS[name] for name in only):
        text = environ.get(key.name, "")
        if text:
            _check(key, text, PROCESS)
            settings[key.name] = Setting(text, PROCESS)
    return settings


def nearest(word: str, known: Iterable[str], sentence: str) -> str:
    """A sentence that names the nearest known word; "" when none is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return sentence.format(close[0]) if close else ""


def _defaults() -> Settings:
    return {key.name: Setting(key.default, DEFAULT) for key in KEYS.values() if key.default}


def _read(file: Path, root: Path, *, secrets_allowed: bool) -> Settings:
    shown = file.relative_to(root).as_posix()
    return _given(_parsed(_text(file, shown), shown, secrets_allowed=secrets_allowed))


def _overridden(name: str, root: Path, text: str | None) -> Settings:
    """What the override says; a value without text is one to take away."""
    file = override(name, root)
    shown = file.relative_to(root).as_posix()
    text = _text(file, shown) if text is None else text
    settings = _parsed(text, shown, secrets_allowed=False)
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


def _given(settings: Settings) -> Settings:
    return {key: setting for key, setting in settings.items() if setting.text}


def _text(file: Path, shown: str) -> str:
    if not file.is_file():
        return ""
    try:
        return file.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{shown} cannot be read", why=str(error)) from None


def _parsed(text: str, shown: str, *, secrets_allowed: bool) -> Settings:
    """Every key of a file, also those without a value."""
    settings: Settings = {}
    for binding in parse_stream(io.StringIO(text)):
        # python-dotenv counts a binding's leading blank lines into it.
        original = binding.original.string
        leading = original[: len(original) - len(original.lstrip())]
        line = binding.original.line + len(leading.splitlines())
        if binding.error or (binding.key and binding.value is None):
            raise ConfigError(
                # In the root .env the line may hold a secret.
                f"{shown}:{line}: not a KEY=value line"
                + ("" if secrets_allowed else f": {original.strip()[:60]}"),
                fix="Write KEY=value, or start the line with # for a comment.",
            )
        if binding.key is None:
            continue
        where = f"{shown}:{line}"
        _add(settings, binding.key, binding.value or "", where, secrets_allowed=secrets_allowed)
    return settings


def _add(settings: Settings, name: str, text: str, where: str, *, secrets_allowed: bool) -> None:
    key = KEYS.get(name)
    if key is None:
        raise ConfigError(
            f"{where}: unknown key {name}",
            fix=nearest(name.upper(), KEYS, "Did you mean {}?")
            or "The known keys are in docs/reference/env.md.",
        )
    if name in settings and settings[name].text:
        raise ConfigError(
            f"{where}: {name} is set twice (first in {settings[name].source})",
            fix="Keep one of the two lines.",
        )
    if key.everywhere and not secrets_allowed:
        raise ConfigError(
            f"{where}: {name} does not belong in a backend's file",
            why="it would be committed" if key.secret else "it is about the whole machine",
            fix=f"Move the line {name}=… to .env in the checkout's root.",
        )
    if text:
        _check(key, text, where)
    settings[name] = Setting(text, where)


def _check(key: Key, text: str, where: str) -> None:
    # Extra arguments may hold a secret that does not belong there.
    hidden = key.secret or key.name == "EXTRA_ARGS"
    shown = f"{key.name}=…" if hidden else f"{key.name}={text}"
    if "$" in text or "\n" in text:
        raise ConfigError(
            f"{where}: {shown}: a value must be one line without '$'",
            why="shells, python-dotenv and Docker Compose each read '$' differently",
            fix="Write the value out in full.",
        )
    problem = key.check(text)
    if problem:
        raise ConfigError(f"{where}: {shown}: {problem}")


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
                f"{settings[key].source}: {key} does not hold for GPU={gpu}",
                why=f"it is for GPU={' and '.join(KEYS[key].gpus)}",
                fix="Take the line out.",
            )
    return {key: setting for key, setting in settings.items() if key not in others}


def _refuse_owned_flags(settings: Settings) -> None:
    extra = settings.get("EXTRA_ARGS")
    problem = owned(extra.text, settings["GPU"].text) if extra else ""
    if extra and problem:
        raise ConfigError(
            f"{extra.source}: EXTRA_ARGS {problem}",
            why="a value has one place, so that it can be checked and shown",
            fix="Take the flag out of EXTRA_ARGS and set the key.",
        )


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
    file = root / setting.text
    if not file.is_file():
        raise ConfigError(
            f"{setting.source}: CHAT_TEMPLATE={setting.text}: there is no file {file}",
            fix="Give the path in full, or from the checkout's root.",
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
        raise ConfigError(
            f"{setting.source}: EXTRA_ARGS: {refused.what}", fix=refused.fix
        ) from None
    return {**settings, "EXTRA_ARGS": Setting(text, setting.source)}


def _refuse_shared_port(name: str, known: Iterable[str], root: Path) -> None:
    ports: dict[str, str] = {}
    for other in known:
        # Only this backend's own file must be right: a slip in another one is reported there.
        try:
            found = _read(root / "env" / f"{other}.env", root, secrets_allowed=False).get("PORT")
        except ConfigError:
            if other == name:
                raise
            continue
        if found and found.text in ports:
            raise ConfigError(
                f"{found.source}: PORT={found.text} is also in {ports[found.text]}",
                fix="Give each backend a port of its own.",
            )
        if found:
            ports[found.text] = found.source
