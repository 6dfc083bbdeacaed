"""A Git remote over HTTP on loopback (git's own http-backend): what is read of it, and what is refused."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engine.errors import Forbidden, Invalid, Unavailable
from engine.releases import git
from engine.releases.git import Mirror, Remote
from engine.transport.egress import Guard

BACKEND = (
    Path(subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip())
    / "git-http-backend"
)
TOKEN = "token-of-the-tests"


class GitServer:
    """Repositories below a directory, served to who sends the token."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                server.asked.append(self.headers.get("authorization", ""))
                wanted = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
                if self.headers.get("authorization") != wanted:
                    self.send_response(401)
                    self.end_headers()
                    return
                path, _, query = self.path.partition("?")
                env = {
                    **os.environ, "GIT_PROJECT_ROOT": str(server.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
                    "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "tests",
                    "CONTENT_TYPE": self.headers.get("content-type", ""),
                    "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
                    "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
                }  # fmt: skip
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                env["CONTENT_LENGTH"] = str(len(body))
                done = subprocess.run([BACKEND], input=body, capture_output=True, env=env, check=False)
                head, _, rest = done.stdout.partition(b"\r\n\r\n")
                fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
                self.send_response(int(fields.pop("Status", "200").split()[0]))
                for name, value in fields.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(rest)))
                self.end_headers()
                self.wfile.write(rest)

            do_GET = do_POST = _serve  # noqa: N815 - the library's names

            def log_message(self, *_: object) -> None:
                """Nothing is said."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/repository.git"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Author:
    """Somebody with a clone, who commits and pushes."""

    def __init__(self, root: Path) -> None:
        self.tree = root / "work"
        self.bare = root / "repository.git"
        self.git("init", "-q", "--bare", "-b", "main", str(self.bare), where=root)
        self.git("init", "-q", "-b", "main", str(self.tree), where=root)
        self.git("remote", "add", "origin", str(self.bare))

    def git(self, *words: str, where: Path | None = None) -> str:
        env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        for role in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{role}_NAME": "Ann", f"GIT_{role}_EMAIL": "ann@example.com"}
        done = subprocess.run(
            ["git", *words], cwd=where or self.tree, env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def push(self, files: dict[str, str | None], message: str = "a change", force: bool = False) -> str:
        for name, text in files.items():
            path = self.tree / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text.encode())
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        self.git("push", "-q", *(["--force"] if force else []), "origin", "main")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    made = GitServer(tmp_path)
    yield made
    made.close()


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path)


@pytest.fixture
def mirror(server: GitServer, author: Author, tmp_path: Path) -> Mirror:
    remote = Remote(server.url, path="specs", token=TOKEN)
    return Mirror(remote, tmp_path / "data" / "git", Guard([f"127.0.0.1:{server.port}"]))


def test_documents_are_read_byte_for_byte_and_nothing_runs(mirror: Mirror, author: Author, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="has no branch or tag 'main' yet; push one"):
        mirror.fetch()
    ran = tmp_path / "ran"
    files = {
        "specs/a/one.yaml": "# день 🙂\r\nkind: x\n",
        "specs/two.yml": "two",
        "specs/.github/never.yaml": "never",
        "elsewhere/three.yaml": "three",
        "specs/readme.md": "none",
        ".gitattributes": "*.yaml filter=evil\n",
        ".gitmodules": f"[submodule \"x\"]\n\tpath = x\n\turl = ext::sh -c 'touch {ran}'\n",
    }
    commit = author.push(files, "First\n\nMore words")
    (author.bare / "hooks" / "post-checkout").write_text(f"#!/bin/sh\ntouch {ran}\n")
    assert mirror.fetch() == commit
    assert mirror.files(commit) == {"a/one.yaml": "# день 🙂\r\nkind: x\n", "two.yml": "two"}
    assert mirror.subject(commit) == "Ann: First"
    second = author.push({"specs/two.yml": None})
    assert mirror.fetch() == second
    assert (mirror.follows(second, commit), mirror.follows(commit, second)) == (True, False)
    assert list(mirror.files(second)) == ["a/one.yaml"]
    assert not ran.exists()


def test_what_is_no_document_is_named(mirror: Mirror, author: Author) -> None:
    (author.tree / "specs").mkdir()
    (author.tree / "specs" / "link.yaml").symlink_to("/etc/hostname")
    author.push({})
    with pytest.raises(Invalid, match=r"specs/link\.yaml is a link; put the file itself there"):
        mirror.files(mirror.fetch())
    author.push({"specs/link.yaml": None, "specs/big.yaml": "x" * (git.MOST_FILE + 1)})
    with pytest.raises(Invalid, match=r"specs/big\.yaml has 1,048,577 bytes"):
        mirror.files(mirror.fetch())
    author.push({"specs/big.yaml": None, **{f"specs/{number}.yaml": "x" for number in range(git.MOST_FILES + 1)}})
    with pytest.raises(Invalid, match="the commit has 2,001 files"):
        mirror.files(mirror.fetch())


def test_a_remote_that_is_away_or_refuses_is_told_without_the_credential(
    server: GitServer, author: Author, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    author.push({"a.yaml": "a"})
    guard = Guard([f"127.0.0.1:{server.port}", "127.0.0.1:1"])

    def told(remote: Remote, by: Guard = guard) -> str:
        with pytest.raises(Unavailable) as caught:
            Mirror(remote, tmp_path / "other", by).fetch()
        assert "secret-word" not in str(caught.value)
        return str(caught.value)

    assert "Authentication failed" in told(Remote(server.url, token="secret-word")) or server.asked
    assert "is a private or special address" in told(Remote(server.url, token=TOKEN), Guard())
    assert "127.0.0.1:1" in told(Remote("http://127.0.0.1:1/x.git", token="secret-word"))
    monkeypatch.setattr(git, "SECONDS", 0.001)
    assert "git took more than 0.001 seconds" in told(Remote(server.url, token=TOKEN))


def test_a_history_that_is_too_large_is_cut_off(
    mirror: Mirror, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    author.push({"specs/noise.yaml": base64.b64encode(os.urandom(600_000)).decode()})
    monkeypatch.setattr(git, "MOST_WRITTEN", 100_000)
    with pytest.raises(Unavailable):
        mirror.fetch()
    monkeypatch.undo()
    assert len(mirror.files(mirror.fetch())) == 1


def test_ssh_goes_by_the_deploy_key_to_the_known_host_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in the place of ssh keeps what it was called with."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "ssh"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {tmp_path}/words\nenv > {tmp_path}/env\nexit 1\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("SESSION_SECRET", "of-the-server")
    remote = Remote("ssh://git@127.0.0.1:2222/x.git", key=tmp_path / "my key", hosts=tmp_path / "hosts")
    with pytest.raises(Unavailable):
        Mirror(remote, tmp_path / "data" / "git", Guard(["127.0.0.1:2222"])).fetch()
    words = (tmp_path / "words").read_text().splitlines()
    assert words[words.index("-i") + 1] == f"{tmp_path}/my key"
    for option in (
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={tmp_path}/hosts",
        "GlobalKnownHostsFile=/dev/null",
        "HostName=127.0.0.1",
        "HostKeyAlias=[127.0.0.1]:2222",
        "ClearAllForwardings=yes",
    ):
        assert option in words
    assert "of-the-server" not in (tmp_path / "env").read_text()


@pytest.mark.parametrize(
    ("remote", "words"),
    [
        (Remote("file:///etc"), "is no address"),
        (Remote("ext::sh -c id"), "is no address"),
        (Remote("git@host:path"), "is no address"),
        (Remote("http://example.com/x.git"), "http is no transport"),
        (Remote("https://user:pass@example.com/x.git"), "a password never stands in an address"),
        (Remote("ssh://git@example.com/x.git"), "ssh needs a deploy key and the host's own keys"),
        (Remote("https://example.com/x.git", branch="--upload-pack=id"), "is no name of a branch or tag"),
        (Remote("https://example.com/x.git", path="../.."), "leads out of the repository"),
    ],
)
def test_settings_that_follow_nothing_are_refused_at_the_start(remote: Remote, words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        remote.check()
    assert "user:pass" not in str(caught.value)


def test_a_commit_is_taken_only_from_who_may_sign(mirror: Mirror, author: Author, tmp_path: Path) -> None:
    """Signed by a key that is named, by another, and not at all; with ssh's own program."""
    lines = {}
    for name in ("ann", "eve"):
        path = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
        lines[name] = f"{name}@example.com {path.with_suffix('.pub').read_text().strip()}"

    def committed(by: str) -> str:
        sign = ["-S"] if by else []
        signing = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={tmp_path / by}"] if by else []
        author.git(*signing, "commit", "-q", "--allow-empty", *sign, "-m", f"by {by or 'nobody'}")
        author.git("push", "-q", "origin", "main")
        return mirror.fetch()

    author.push({"specs/a.yaml": "kind: Price"})
    mirror.signed(committed("ann"), [lines["ann"]])
    mirror.signed(committed("ann"), [lines["eve"], lines["ann"]])
    for by in ("eve", ""):
        with pytest.raises(Forbidden, match="is not signed by a key"):
            mirror.signed(committed(by), [lines["ann"]])
