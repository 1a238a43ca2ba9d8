"""Mutual TLS between processes: who shows no certificate of the authority is refused; renewed ones are taken up."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local.ports import free_ports
from services.chassis import channels, keys, tls
from services.chassis.settings import MeshSettings, load
from services.chassis.tls import TlsFiles
from tests.contracts.authority import NAMES, Authority

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = ("TOUCHSTONE_TLS_CERTIFICATE_FILE", "TOUCHSTONE_TLS_KEY_FILE", "TOUCHSTONE_TLS_CA_FILE")


def environment(directory: Path, files: TlsFiles) -> dict[str, str]:
    keys.create_installation(directory)
    [port] = free_ports(1)
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "TOUCHSTONE_LISTEN": f"127.0.0.1:{port}",
        "TOUCHSTONE_JWKS_FILE": str(directory / keys.JWKS),
        "TOUCHSTONE_SERVICE_TOKEN_FILE": str(directory / keys.SERVICE_TOKEN),
        **{variable: str(getattr(files, name)) for variable, name in zip(VARIABLES, NAMES, strict=True)},
    }


@asynccontextmanager
async def serving(told: dict[str, str]) -> AsyncIterator[str]:
    """A service's process, and its address; it must end well."""
    program = str(Path(__file__).with_name("sample_service.py"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, env=told, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield told["TOUCHSTONE_LISTEN"]
    finally:
        process.terminate()
        _, logged = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, logged


async def asked(channel: grpc.aio.Channel, *, patience: float = 0) -> grpc.StatusCode:
    """What comes of a call; with patience, of one that waits for the connection."""
    try:
        stub = health_pb2_grpc.HealthStub(channel)
        await stub.Check(health_pb2.HealthCheckRequest(), timeout=patience or 5, wait_for_ready=bool(patience))
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def anew(address: str, files: TlsFiles | None, *, patience: float = 0) -> grpc.StatusCode:
    """What comes of a call over a connection of its own."""
    async with channels.open_channel(address, token="any", tls_files=files) as channel:
        return await asked(channel, patience=patience)


async def test_only_those_whom_the_authority_knows_are_answered(tmp_path: Path) -> None:
    authority = Authority()
    ours = authority.issue(tmp_path / "client")
    strangers = Authority().issue(tmp_path / "stranger")
    half = TlsFiles(certificate=strangers.certificate, key=strangers.key, authority=ours.authority)
    async with serving(environment(tmp_path, authority.issue(tmp_path / "server"))) as address:
        assert await anew(address, ours, patience=20) is grpc.StatusCode.OK
        refused = {
            "a certificate of somebody else's authority": anew(address, half),
            "a server of somebody else's authority": anew(address, strangers),
            "in the clear": anew(address, None),
            "without a certificate": _unnamed(address, ours),
        }
        codes = await asyncio.gather(*refused.values())
        assert dict(zip(refused, codes, strict=True)) == dict.fromkeys(refused, grpc.StatusCode.UNAVAILABLE)


async def _unnamed(address: str, files: TlsFiles) -> grpc.StatusCode:
    async with grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(files.authority.read_bytes())) as channel:
        return await asked(channel)


async def test_renewed_certificates_are_taken_up_and_what_is_under_way_goes_on(tmp_path: Path) -> None:
    before, after = Authority(), Authority()
    left_behind = before.issue(tmp_path / "left behind")
    ours, theirs = before.issue(tmp_path / "client"), before.issue(tmp_path / "server")
    async with (
        serving(environment(tmp_path, theirs)) as address,
        channels.open_channel(address, token="any", tls_files=ours) as channel,
    ):
        assert await asked(channel, patience=20) is grpc.StatusCode.OK
        watching = aiter(health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()))
        await anext(watching)

        after.issue(tmp_path / "server")
        assert await anew(address, left_behind) is grpc.StatusCode.UNAVAILABLE
        after.issue(tmp_path / "client")
        assert await asked(channel) is grpc.StatusCode.OK

        still = asyncio.ensure_future(anext(watching))
        assert not (await asyncio.wait({still}, timeout=0.3))[0], "the stream of the old connection lives"
        still.cancel()


def test_files_that_do_not_belong_together_leave_things_as_they_are(tmp_path: Path) -> None:
    authority = Authority()
    files = authority.issue(tmp_path)
    present = tls.watch(files)
    held = present()
    other = authority.issue(tmp_path / "other")
    files.certificate.write_bytes(other.certificate.read_bytes())
    assert present() == held, "the key is still the old one"
    files.authority.unlink()
    assert present() == held
    files.key.write_bytes(other.key.read_bytes())
    files.authority.write_bytes(other.authority.read_bytes())
    assert present() == tls.read(other)


@contextmanager
def set_to(monkeypatch: pytest.MonkeyPatch, told: dict[str, str]) -> Iterator[None]:
    with monkeypatch.context() as patched:
        for name, value in told.items():
            patched.setenv(name, value)
        yield


@pytest.mark.parametrize("missing", VARIABLES)
def test_certificate_key_and_authority_are_given_together(tmp_path, monkeypatch, capsys, missing):
    told = environment(tmp_path, Authority().issue(tmp_path / "server"))
    del told[missing]
    with set_to(monkeypatch, told), pytest.raises(SystemExit):
        load(MeshSettings)
    assert missing in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("key", None, "can't be read"),
        ("key", b"no key", "holds no private key"),
        ("certificate", b"none", "holds no certificate"),
        ("authority", b"none", "holds no certificate"),
        ("certificate", "another", "is not the key of"),
    ],
)
def test_files_that_can_not_be_used_are_named_before_anything_starts(
    tmp_path, monkeypatch, capsys, name, content, said
):
    files = Authority().issue(tmp_path / "server")
    if content is None:
        getattr(files, name).unlink()
    elif content == "another":
        files.certificate.write_bytes(Authority().issue(tmp_path / "other").certificate.read_bytes())
    else:
        getattr(files, name).write_bytes(content)
    with set_to(monkeypatch, environment(tmp_path, files)), pytest.raises(SystemExit) as ended:
        load(MeshSettings)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert said in told
    assert str(getattr(files, "key" if content == "another" else name)) in told
