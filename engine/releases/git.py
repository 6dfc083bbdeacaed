"""A Git remote's documents: fetched by the git program, read from its objects, never checked out.

The program runs in a process group of its own with none of the server's environment: no user's or system's settings, no
hooks, filters, attributes or submodules, one transport. It goes to an address that the egress guard has looked at, and
is bounded in time, in what it may write, and in what is read of it. Knows no releases.
"""

from __future__ import annotations

import base64
import os
import resource
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from engine.errors import Forbidden, Invalid, Unavailable
from engine.transport.egress import Guard
from engine.transport.faults import TransportError

SECONDS = 120
"""How long one run of the program may take."""
MOST_WRITTEN = 512 * 1024 * 1024
"""Bytes of a file that it may write, which a pack of a whole history is."""
MOST_FILES = 2000
MOST_FILE = 1024 * 1024
MOST_TEXT = 6 * 1024 * 1024
_PORTS = {"https": 443, "ssh": 22, "http": 80}
_REF = "refs/gatewright/head"


@dataclass(frozen=True, slots=True)
class Remote:
    """What is followed: an address (https or ssh), a branch or tag, a path in it, and the credential for it.

    ``token`` goes with https, ``key`` and ``hosts`` (files: the deploy key, and the host's keys) with ssh.
    """

    url: str
    branch: str = "main"
    path: str = ""
    token: str = ""
    key: Path | None = None
    hosts: Path | None = None

    @property
    def shown(self) -> str:
        """The address without a credential that stands in it."""
        parts = urlsplit(self.url)
        return self.url.replace(f"{parts.username}:{parts.password}@", "") if parts.password else self.url

    def check(self) -> None:
        """Refuse settings by which no remote can be followed; an ``Invalid`` says what to write."""
        remote, parts = self, urlsplit(self.url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise Invalid(
                "GATEWRIGHT_GIT", f"{remote.shown!r} is no address", "https://HOST/PATH or ssh://USER@HOST/PATH"
            )
        if parts.password:
            raise Invalid("GATEWRIGHT_GIT", "a password never stands in an address", "put it into GATEWRIGHT_GIT_TOKEN")
        if parts.scheme == "ssh" and (remote.key is None or remote.hosts is None):
            how = "GATEWRIGHT_GIT_KEY and GATEWRIGHT_GIT_HOSTS name their files"
            raise Invalid("GATEWRIGHT_GIT", "ssh needs a deploy key and the host's own keys", how)
        if parts.scheme == "http" and not _loopback(parts.hostname):
            raise Invalid("GATEWRIGHT_GIT", "http is no transport for documents", "write https://")
        if not remote.branch or remote.branch.startswith("-") or any(c in remote.branch for c in " :?*[\\^~\n"):
            raise Invalid("GATEWRIGHT_GIT_BRANCH", f"{remote.branch!r} is no name of a branch or tag")
        if PurePosixPath(remote.path).is_absolute() or ".." in PurePosixPath(remote.path).parts:
            raise Invalid("GATEWRIGHT_GIT_PATH", f"{remote.path!r} leads out of the repository")


class Mirror:
    """A bare copy of a remote below a directory of ours. One process uses it at a time."""

    def __init__(self, remote: Remote, directory: Path, guard: Guard) -> None:
        self._remote = remote
        self._directory = directory
        self._guard = guard
        remote.check()

    def fetch(self) -> str:
        """Bring the branch here; gives its newest commit. Raises ``Unavailable`` with what the program said."""
        if not (self._directory / "HEAD").is_file():
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory.mkdir(parents=True, mode=0o700)
            self._run("init", "--quiet", "--bare", "--template=", str(self._directory))
        branch = self._remote.branch
        for ref in (f"refs/heads/{branch}", f"refs/tags/{branch}"):
            try:
                self._run(*self._pinned(), "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--force",
                          "--", self._remote.url, f"{ref}:{_REF}")  # fmt: skip
                break
            except Unavailable as error:
                if "couldn't find remote ref" not in str(error):
                    raise
        else:
            raise Unavailable(f"{self._remote.shown} has no branch or tag {branch!r} yet; push one")
        return self._run("rev-parse", f"{_REF}^{{commit}}").decode().strip()

    def follows(self, commit: str, before: str) -> bool:
        """Whether a commit has another one in its history."""
        try:
            self._run("merge-base", "--is-ancestor", before, commit)
        except Unavailable:
            return False
        return True

    def signed(self, commit: str, signers: Sequence[str]) -> None:
        """Raise ``Forbidden`` unless one of ``signers`` (lines of an allowed signers file of ssh) signed a commit."""
        allowed = self._directory / "signers"
        allowed.touch(mode=0o600)
        allowed.write_text("".join(f"{line}\n" for line in signers), "utf-8")
        settings = {"gpg.ssh.allowedSignersFile": str(allowed), "gpg.minTrustLevel": "fully"}
        settings |= {"gpg.program": "false", "gpg.x509.program": "false"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        try:
            self._run(*options, "verify-commit", commit)
        except Unavailable:
            raise Forbidden(
                f"{commit[:12]} is not signed by a key that the Policy in force names (signers); nothing was changed:"
                " sign it (git commit -S, gpg.format=ssh) and push"
            ) from None

    def subject(self, commit: str) -> str:
        """Who committed, and the commit's first line."""
        return self._run("log", "-1", "--format=%an: %s", commit).decode("utf-8", "replace").strip()[:1000]

    def files(self, commit: str) -> dict[str, str]:
        """The documents' files of a commit below the path, by their names there. Raises ``Invalid`` at what is none."""
        prefix = PurePosixPath(self._remote.path)
        listing = self._run("ls-tree", "-r", "-z", "--long", "--full-tree", commit)
        wanted: list[tuple[str, str]] = []
        total = 0
        for entry in filter(None, listing.split(b"\0")):
            head, _, raw = entry.partition(b"\t")
            mode, _, name, size = head.split()
            path = PurePosixPath(os.fsdecode(raw))
            if self._remote.path and not path.is_relative_to(prefix):
                continue
            inner = path.relative_to(prefix) if self._remote.path else path
            if path.suffix not in (".yaml", ".yml") or any(part.startswith(".") for part in inner.parts):
                continue
            if mode == b"120000":
                raise Invalid(str(path), f"{path} is a link; put the file itself there")
            if int(size) > MOST_FILE:
                raise Invalid(str(path), f"{path} has {int(size):,} bytes; {MOST_FILE:,} may be")
            total += int(size)
            wanted.append((name.decode(), str(inner)))
        if len(wanted) > MOST_FILES or total > MOST_TEXT:
            what = f"{len(wanted):,} files with {total:,} bytes; {MOST_FILES:,} with {MOST_TEXT:,} may be"
            raise Invalid(self._remote.path or "/", f"the commit has {what}")
        return self._texts(wanted)

    def _texts(self, wanted: Sequence[tuple[str, str]]) -> dict[str, str]:
        asked = "".join(f"{name}\n" for name, _ in wanted).encode()
        data = self._run("cat-file", "--batch", given=asked)
        texts: dict[str, str] = {}
        at = 0
        for _, place in wanted:
            line, _, _ = data[at:].partition(b"\n")
            size = int(line.rsplit(b" ", 1)[1])
            start = at + len(line) + 1
            try:
                texts[place] = data[start : start + size].decode("utf-8")
            except UnicodeDecodeError:
                raise Invalid(place, f"{place} is not UTF-8; save it as UTF-8") from None
            at = start + size + 1
        return texts

    def _pinned(self) -> tuple[str, ...]:
        """Options by which the program goes to the addresses that were looked at, and to no other."""
        parts = urlsplit(self._remote.url)
        host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
        try:
            addresses = self._guard.check(host, port)
        except TransportError as error:
            raise Unavailable(f"{self._remote.shown}: {error}") from None
        if parts.scheme == "ssh":
            alias = host if port == 22 else f"[{host}]:{port}"
            words = [
                "ssh", "-F", "/dev/null", "-i", str(self._remote.key), "-o", "IdentitiesOnly=yes",
                "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
                "-o", f"UserKnownHostsFile={self._remote.hosts}",
                "-o", "GlobalKnownHostsFile=/dev/null", "-o", f"HostName={addresses[0]}", "-o", f"HostKeyAlias={alias}",
                "-o", "ConnectTimeout=20", "-o", "ClearAllForwardings=yes",
            ]  # fmt: skip
            return ("-c", "core.sshCommand=" + shlex.join(words))
        shown = [f"[{address}]" if ":" in address else address for address in addresses]
        return ("-c", f"http.curloptResolve={host}:{port}:{','.join(shown)}")

    def _run(self, *words: str, given: bytes = b"") -> bytes:
        process = subprocess.Popen(  # noqa: S603 - words of ours; an address was looked at
            ["git", *words],  # noqa: S607 - the operator's own git, found as everything is
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._directory,
            env=self._environment(),
            start_new_session=True,
            preexec_fn=_bounded,
        )
        try:
            out, error = process.communicate(given, SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise Unavailable(f"{self._remote.shown}: git took more than {SECONDS} seconds") from None
        if process.returncode:
            raise Unavailable(f"{self._remote.shown}: {self._words(error, process.returncode)}")
        return out

    def _words(self, error: bytes, code: int) -> str:
        """What the program said, without the credential."""
        if code == -signal.SIGXFSZ:
            return f"the history has more than {MOST_WRITTEN:,} bytes"
        lines = [line for line in error.decode("utf-8", "replace").splitlines() if line.strip()]
        text = "; ".join(lines)[:500] or f"git ended with {code}"
        for secret in filter(None, (self._remote.token, _basic(self._remote.token))):
            text = text.replace(secret, "***")
        return text

    def _environment(self) -> dict[str, str]:
        settings = {
            "core.hooksPath": "/dev/null",
            "core.attributesFile": "/dev/null",
            "protocol.allow": "never",
            f"protocol.{urlsplit(self._remote.url).scheme}.allow": "always",
            "http.followRedirects": "false",
            "transfer.fsckObjects": "true",
            "fetch.recurseSubmodules": "false",
            "gc.auto": "0",
            "credential.helper": "",
        }
        if self._remote.token:
            settings["http.extraHeader"] = f"Authorization: Basic {_basic(self._remote.token)}"
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._directory),
            "GIT_DIR": str(self._directory),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": str(len(settings)),
            "LC_ALL": "C",
        }
        for number, (key, value) in enumerate(settings.items()):
            env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = key, value
        return env


def _basic(token: str) -> str:
    pair = token if ":" in token else f"x-access-token:{token}"
    return base64.b64encode(pair.encode()).decode() if token else ""


def _loopback(host: str) -> bool:
    return host in ("127.0.0.1", "::1", "localhost")


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_WRITTEN, MOST_WRITTEN))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
